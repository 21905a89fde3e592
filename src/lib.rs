//! magic-auth: passwordless customer sign-in by e-mail, in one binary over one SQLite file.
//!
//! A shop's backend posts a customer's e-mail address; the service finds or creates that customer and
//! answers with a new session, or with one of seven documented refusals (E001 to E007). This page is
//! the guide to the code.
//!
//! # The rooms
//!
//! | room | what is in it |
//! |---|---|
//! | [`domain`] | the values and their rules: address, IP, name, key, identity id. No I/O |
//! | [`config`] | `config.toml`, read into types that are already checked |
//! | [`store`] | the only place with SQL: the writer (group commit), the readers, one file for each table |
//! | [`throttle`] | how often sign-in may be attempted, in memory |
//! | [`sign_in`] | the main use case, in the contract's order of checks; the sandbox of integrators |
//! | [`session`] | the use cases of a session: whose is it, and ending it |
//! | [`keys`] | the API keys in force, each with its quota and its permissions |
//! | [`contacts`] | customers as files: what an import reads and an export writes |
//! | [`geoip`] | who is behind an address: databases and lists in memory, and reverse DNS |
//! | [`intelligence`] | who is behind the addresses of sign-ins, found out after the answer and stored |
//! | [`attempt_log`] | attempts whose record does not wait for the disk |
//! | [`housekeeping`] | the broom for old attempts and dead sessions; the watches on the database's files and on those of `geoip` |
//! | [`http`] | routes, request bodies and answers; one file for each endpoint; the operator's port (`http::admin`) |
//! | [`metrics`] | what the server counts and measures of itself |
//! | [`application`] | the server as a whole: built, then run until told to stop |
//! | [`cli`] | the command line; one file for each group of commands |
//! | [`clock`], [`logging`] | the one source of time; the form of the log |
//!
//! Arrows point one way: `cli` and `http` use the use cases, these use `throttle` and `keys`, which use
//! `store`, and all of them use `domain`, which knows nobody.
//!
//! # The way of a sign-in
//!
//! 1. `http::access_log` gives the request an id, and in the end one line in the log.
//! 2. `http::api_key` reads the body (`http::body`, at most 16 KiB and five seconds), because the key may
//!    be in it, finds the key in memory ([`keys::Keys::find`]), takes a request off its quota, and asks
//!    whether the key may do what the route is for (`http::routes` says what that is).
//! 3. `http::sign_in` turns the fields into values that cannot be wrong, or into a list of all that is.
//! 4. [`sign_in::SignIn::sign_in`] refuses an address that is not valid (E004) and asks the throttle
//!    (E006), which costs memory and arithmetic only.
//! 5. One job goes to the writer's thread. In one transaction it reads the customer and the ban, decides
//!    by [`sign_in::rules`] (E005, E002, E003, E007), creates what is missing, and records session and attempt.
//! 6. The writer commits all the jobs that wait with one sync of the disk, then answers each. Only now
//!    does the caller see an `identityId`: it survives `kill -9` and a power cut.
//!
//! # The rules
//!
//! - A value with rules is a type with one constructor. Whoever holds one need not check it again.
//! - Time is an argument: a moment, or the [`clock::Clock`]. One moment for each transaction.
//! - An outcome that is no failure is an enum or an `Option`; an error keeps its cause. What callers are
//!   told of an error is decided in `http::reply` alone; what operators are told stands in the log.
//! - Keys, identity ids and full addresses never reach a log. Types that hold them have a closed `Debug`, or none.
//! - The database is reached through [`store::Tx`], which has an operation for each need and no SQL
//!   for outsiders.

pub mod application;
pub mod attempt_log;
pub mod cli;
pub mod clock;
pub mod config;
pub mod contacts;
pub mod domain;
pub mod geoip;
pub mod housekeeping;
pub mod http;
pub mod intelligence;
pub mod keys;
pub mod logging;
pub mod metrics;
pub mod session;
pub mod sign_in;
pub mod store;
pub mod throttle;

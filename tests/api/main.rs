//! Black-box tests: each starts the real server on a free port and a fresh database, and talks to it
//! over HTTP or with the command line.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "nothing of a test binary can be reached from elsewhere")]

mod app;
mod dns_server;
mod leaks;
mod process;

mod account_info;
mod admin;
mod attacks;
mod bodies;
mod cli;
mod docs;
mod failures;
mod geoip;
mod housekeeping;
mod intelligence;
mod isolation;
mod keys;
mod lifecycle;
mod logout;
mod permissions;
mod races;
mod readme;
mod reverse_dns;
mod routes;
mod sandbox;
mod secrets;
mod sign_in;
mod throttle;

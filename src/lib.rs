//! magic-auth.
pub mod application;
pub mod attempt_log;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod http;
pub mod keys;
pub mod logging;
pub mod session;
pub mod sign_in;
pub mod store;
pub mod throttle;

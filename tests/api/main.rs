//! Black-box tests: each starts the real server on a free port and a fresh database, and talks to it
//! over HTTP or with the command line.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod app;
mod process;

mod sign_in;

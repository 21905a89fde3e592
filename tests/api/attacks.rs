//! Published vulnerabilities of programs like this one, and of what it is built on, replayed. Each test says where it
//! happened and shows that it does not happen here. What another test shows already is named there.

mod accounts;
mod framing;
mod headers;
mod input;
mod sessions;
mod switches;
mod throttle;

//! Who is behind an IP address.

mod reverse_dns;

pub use reverse_dns::{ReverseDns, SystemServersError, Unanswered};

//! What was acknowledged to one who calls, and what is in doubt.

/// What is known of something that is so or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Yes,
    No,
    /// A change was asked for and not acknowledged.
    InDoubt,
}

impl From<bool> for Known {
    fn from(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }
}

impl Known {
    /// Whether that may have been found.
    pub fn allows(self, found: bool) -> bool {
        self == Self::InDoubt || self == Self::from(found)
    }
}

/// A session that was acknowledged.
#[derive(Clone)]
pub struct Session {
    pub identity: String,
    pub is_live: Known,
}

/// A customer, of whom nobody but the owner of the ledger changes anything.
#[derive(Clone)]
pub struct Customer {
    /// As it is typed.
    pub address: String,
    /// The same for all addresses that are one customer's.
    pub mailbox: String,
    pub is_banned: Known,
    pub sessions: Vec<Session>,
    /// Whether anything was asked for since all of it was last checked.
    pub is_due: bool,
}

impl Customer {
    pub fn new(address: String, mailbox: String) -> Self {
        Self { address, mailbox, is_banned: Known::No, sessions: Vec::new(), is_due: true }
    }

    /// Something is asked for that ends all sessions.
    pub fn doubt_sessions(&mut self) {
        for session in self.sessions.iter_mut().filter(|session| session.is_live == Known::Yes) {
            session.is_live = Known::InDoubt;
        }
    }

    /// It was acknowledged.
    pub fn end_sessions(&mut self) {
        for session in &mut self.sessions {
            session.is_live = Known::No;
        }
    }
}

/// What one caller knows.
#[derive(Default)]
pub struct Ledger {
    pub customers: Vec<Customer>,
    /// The sign-ins that were answered, each of which is recorded.
    pub sign_ins: i64,
    /// All answers.
    pub answers: u64,
}

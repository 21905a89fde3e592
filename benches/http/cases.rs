//! What the clients do, and what is in the database when they begin.

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// They sign in: half of them are new, half are among 10,000 known ones.
    SignIn,
    /// They try one address again and again, which the throttle refuses (E006).
    Flood,
    /// They ask whose session it is.
    AccountInfo,
    /// Nothing: what counts is the start.
    Nothing,
}

impl Load {
    /// What `load.lua` calls it; `None`: there is none.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::SignIn => Some("sign-in"),
            Self::Flood => Some("flood"),
            Self::AccountInfo => Some("account-info"),
            Self::Nothing => None,
        }
    }
}

/// The customers whose addresses `load.lua` knows.
pub const KNOWN: u32 = 10_000;

/// What is in a database at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stock {
    /// The known customers and nothing else.
    Known,
    /// So many customers.
    Customers(u32),
    /// So many customers, each with a session.
    Sessions(u32),
    /// So many customers, and as many attempts in the last ten minutes, each for another mailbox and from another
    /// network.
    Attempts(u32),
}

impl Stock {
    pub fn customers(self) -> u32 {
        match self {
            Self::Known => KNOWN,
            Self::Customers(count) | Self::Sessions(count) | Self::Attempts(count) => count,
        }
    }
}

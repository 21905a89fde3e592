//! What an API key may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Something that a key may do or not. (To ask whether the service is there, any key in force will do.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Sign customers in.
    SignIn,
    /// Ask whose session it is.
    AccountInfo,
    /// End a session.
    Logout,
    /// Ask who is behind an address.
    Ip,
}

impl Permission {
    /// All permissions, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::SignIn, Self::AccountInfo, Self::Logout, Self::Ip];

    /// The name on the command line, in answers and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::AccountInfo => "account-info",
            Self::Logout => "logout",
            Self::Ip => "ip",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no permission that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of the permissions {}", Permission::ALL.map(Permission::as_str).join(", "))]
pub struct UnknownPermission;

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == text).ok_or(UnknownPermission)
    }
}

/// The permissions of a key: everything, also what there will be one day, or what is listed and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions(Option<BTreeSet<Permission>>);

impl Permissions {
    /// Everything, also what is not there yet.
    pub const ALL: Self = Self(None);

    /// These permissions and no other.
    pub fn only(permissions: impl IntoIterator<Item = Permission>) -> Self {
        Self(Some(permissions.into_iter().collect()))
    }

    /// Reads a list as [`Permissions::to_list`] writes it.
    ///
    /// # Errors
    /// When one of the names is unknown: what it allows is then not known either.
    pub fn parse_list(list: &str) -> Result<Self, UnknownPermission> {
        list.split_terminator(',').map(str::parse).collect::<Result<_, _>>().map(|listed| Self(Some(listed)))
    }

    /// The names with commas between them; `None` for everything.
    #[must_use]
    pub fn to_list(&self) -> Option<String> {
        self.names().map(|names| names.join(","))
    }

    /// The names; `None` for everything.
    #[must_use]
    pub fn names(&self) -> Option<Vec<&'static str>> {
        self.0.as_ref().map(|listed| listed.iter().map(|permission| permission.as_str()).collect())
    }

    /// Whether a key with these permissions may do this.
    #[must_use]
    pub fn allow(&self, permission: Permission) -> bool {
        self.0.as_ref().is_none_or(|listed| listed.contains(&permission))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn everything_includes_each_and_is_no_list() {
        assert!(Permission::ALL.into_iter().all(|permission| Permissions::ALL.allow(permission)));
        assert_eq!((Permissions::ALL.to_list(), Permissions::ALL.names()), (None, None));
        // Whoever was given all that there is today does not have what comes tomorrow.
        assert_ne!(Permissions::only(Permission::ALL), Permissions::ALL);
    }

    #[test]
    fn what_is_listed_is_allowed_and_nothing_else() {
        let permissions = Permissions::parse_list("logout,sign-in,logout").unwrap();
        assert_eq!(Permission::ALL.map(|permission| permissions.allow(permission)), [true, false, true, false]);
        assert_eq!(permissions.to_list().unwrap(), "sign-in,logout");
        assert_eq!(Permissions::parse_list(""), Ok(Permissions::only([])));
        assert!(!Permission::ALL.into_iter().any(|permission| Permissions::only([]).allow(permission)));
    }

    #[test]
    fn an_unknown_name_makes_the_whole_list_unknown() {
        for list in
            ["sign-in,metrics", "all", "*", "Sign-In", " sign-in", "sign-in, logout", ",", ",logout", "sign-in\0"]
        {
            assert_eq!(Permissions::parse_list(list), Err(UnknownPermission), "{list:?}");
        }
        assert_eq!(UnknownPermission.to_string(), "not one of the permissions sign-in, account-info, logout, ip");
    }

    proptest! {
        #[test]
        fn reading_any_text_never_panics_and_never_allows_everything(text: String) {
            prop_assert_ne!(Permissions::parse_list(&text), Ok(Permissions::ALL));
        }

        #[test]
        fn every_list_is_read_back_as_it_was_written(chosen in prop::sample::subsequence(Permission::ALL.to_vec(), 0..=Permission::ALL.len())) {
            let permissions = Permissions::only(chosen);
            let list = permissions.to_list().unwrap();
            prop_assert_eq!(Permissions::parse_list(&list), Ok(permissions));
        }
    }
}

//! How the values of the domain, which knows no SQL, stand in the database.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::domain::{
    ApiKeyId, AttemptId, BanReason, CanonicalEmail, ClientIp, CompanyName, CountryCode, CuRefNo, CustomerId, Digest,
    EmailAddress, Mailbox, OrganisationId, Outcome, PersonName, PhoneNumber, SessionId, Timestamp,
};

/// For `json_each`, which makes rows of them.
pub(super) fn json_array<V: Into<serde_json::Value>>(values: impl Iterator<Item = V>) -> String {
    values.collect::<serde_json::Value>().to_string()
}

macro_rules! numbers {
    ($($value:ident: $number:expr, $constructor:expr;)+) => {$(
        impl ToSql for $value {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok($number(*self).into())
            }
        }

        impl FromSql for $value {
            fn column_result(stored: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::column_result(stored).map($constructor)
            }
        }
    )+};
}

numbers! {
    ApiKeyId: |id: ApiKeyId| id.0, ApiKeyId;
    AttemptId: |id: AttemptId| id.0, AttemptId;
    CustomerId: |id: CustomerId| id.0, CustomerId;
    Mailbox: |mailbox: Mailbox| mailbox.0, Mailbox;
    OrganisationId: |id: OrganisationId| id.0, OrganisationId;
    SessionId: |id: SessionId| id.0, SessionId;
    Timestamp: Timestamp::as_millis, Timestamp::from_millis;
}

/// Of what is read, the rows that the operator sees hold the text.
macro_rules! texts {
    ($($value:ident)+) => {$(
        impl ToSql for $value {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }
    )+};
}

texts! { BanReason CanonicalEmail CompanyName CountryCode CuRefNo EmailAddress Outcome PersonName PhoneNumber }

impl ToSql for ClientIp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

impl ToSql for Digest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_bytes().as_slice().into())
    }
}

impl FromSql for Digest {
    fn column_result(stored: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::column_result(stored).map(Self::from_bytes)
    }
}

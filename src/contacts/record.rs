//! A row of a file: its fields as texts, and the contact that they make.

use std::fmt::Display;

use crate::clock::Clock;
use crate::domain::{BanReason, CompanyName, Country, CuRefNo, EmailAddress, PersonName, PhoneNumber, Timestamp};
use crate::store::NewBan;

/// The fields of a contact, named as in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Email,
    Phone,
    FirstName,
    LastName,
    CompanyName,
    CuRefNo,
    ReferralId,
    Registered,
    EmailAuthorized,
    Banned,
    BanReason,
    BanExpiresAt,
    CreatedAt,
}

impl Field {
    /// All fields, in the order of an export.
    pub(super) const ALL: [Self; 13] = [
        Self::Email,
        Self::Phone,
        Self::FirstName,
        Self::LastName,
        Self::CompanyName,
        Self::CuRefNo,
        Self::ReferralId,
        Self::Registered,
        Self::EmailAuthorized,
        Self::Banned,
        Self::BanReason,
        Self::BanExpiresAt,
        Self::CreatedAt,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::FirstName => "firstName",
            Self::LastName => "lastName",
            Self::CompanyName => "companyName",
            Self::CuRefNo => "cuRefNo",
            Self::ReferralId => "referralId",
            Self::Registered => "registered",
            Self::EmailAuthorized => "emailAuthorized",
            Self::Banned => "banned",
            Self::BanReason => "banReason",
            Self::BanExpiresAt => "banExpiresAt",
            Self::CreatedAt => "createdAt",
        }
    }

    /// The field of that name; people and their programs write `E-mail`, `First Name` and `last_name`.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.replace(|character: char| character.is_whitespace() || "_-".contains(character), "");
        Self::ALL.into_iter().find(|field| field.name().eq_ignore_ascii_case(&name))
    }
}

/// The texts of a row, and what is wrong with it.
#[derive(Default)]
pub(super) struct Record {
    values: [Option<String>; Field::ALL.len()],
    problems: Vec<String>,
}

impl Record {
    /// A row that cannot be read at all.
    pub(super) fn unreadable(problem: impl Display) -> Self {
        Self { problems: vec![problem.to_string()], ..Self::default() }
    }

    /// Adds a field. One of white space alone counts as absent.
    pub(super) fn set(&mut self, field: Field, value: &str) {
        let (place, value) = (&mut self.values[field as usize], value.trim());
        if place.is_some() {
            self.note(field, "appears more than once");
        } else if !value.is_empty() {
            *place = Some(value.to_owned());
        }
    }

    pub(super) fn note(&mut self, field: Field, problem: impl Display) {
        self.problems.push(format!("{}: {problem}", field.name()));
    }

    fn take<T, E: Display>(&mut self, field: Field, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        let text = self.values[field as usize].take()?;
        parse(&text).map_err(|error| self.note(field, error)).ok()
    }
}

/// What a row leaves open.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// The country of numbers without a code.
    pub country: Option<Country>,
    /// Whether an address counts as authorized.
    pub is_authorized: bool,
    /// When a customer came.
    pub created_at: Timestamp,
}

/// Somebody to be a customer, with an address, a telephone number, or both.
#[derive(Debug)]
pub struct Contact {
    /// The address.
    pub email: Option<EmailAddress>,
    /// The telephone number.
    pub phone: Option<PhoneNumber>,
    /// The first name.
    pub first_name: Option<PersonName>,
    /// The last name.
    pub last_name: Option<PersonName>,
    /// The company's name.
    pub company_name: Option<CompanyName>,
    /// The public name; `None`: a new one.
    pub cu_ref_no: Option<CuRefNo>,
    /// The public name of who brought the contact.
    pub referral_id: Option<CuRefNo>,
    /// Whether the contact is more than a guest.
    pub is_registered: bool,
    /// Whether the address counts as authorized.
    pub is_authorized: bool,
    /// A ban.
    pub ban: Option<NewBan>,
    /// When the contact came.
    pub created_at: Timestamp,
}

impl Contact {
    /// Reads the fields, and gathers every problem.
    pub(super) fn read(mut record: Record, defaults: &Defaults) -> Result<Self, Vec<String>> {
        let email = record.take(Field::Email, EmailAddress::parse);
        let is_authorized = record.take(Field::EmailAuthorized, parse_flag).unwrap_or(defaults.is_authorized);
        let contact = Self {
            is_authorized: is_authorized && email.is_some(),
            email,
            phone: record.take(Field::Phone, |text| PhoneNumber::parse(text, defaults.country)),
            first_name: record.take(Field::FirstName, PersonName::parse),
            last_name: record.take(Field::LastName, PersonName::parse),
            company_name: record.take(Field::CompanyName, CompanyName::parse),
            cu_ref_no: record.take(Field::CuRefNo, CuRefNo::parse),
            referral_id: record.take(Field::ReferralId, CuRefNo::parse),
            is_registered: record.take(Field::Registered, parse_flag).unwrap_or(true),
            ban: read_ban(&mut record, defaults.created_at),
            created_at: read_creation(&mut record, defaults.created_at),
        };
        if contact.email.is_none() && contact.phone.is_none() && record.problems.is_empty() {
            record.note(Field::Email, "a contact has an email or a phone");
        }
        if record.problems.is_empty() { Ok(contact) } else { Err(record.problems) }
    }
}

fn read_ban(record: &mut Record, now: Timestamp) -> Option<NewBan> {
    let is_banned = record.take(Field::Banned, parse_flag).unwrap_or(false);
    let reason = record.take(Field::BanReason, BanReason::parse);
    let expires_at = record.take(Field::BanExpiresAt, str::parse);
    // Why somebody was banned once says nothing about today, nor does a ban that ended after the export.
    let is_banned = is_banned && expires_at.is_none_or(|end| end > now);
    let reason = reason.or_else(|| BanReason::parse("imported").ok()).filter(|_| is_banned)?;
    Some(NewBan { reason, expires_at })
}

fn read_creation(record: &mut Record, now: Timestamp) -> Timestamp {
    let created_at = record.take(Field::CreatedAt, str::parse).unwrap_or(now);
    if created_at > now + Clock::TOLERANCE {
        record.note(Field::CreatedAt, "lies in the future");
    }
    created_at
}

fn parse_flag(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err("neither true nor false"),
    }
}

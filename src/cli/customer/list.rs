//! `customer list`

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::cli::Context;
use crate::cli::organisation::OrganisationArg;
use crate::cli::output::{or_dash, table};
use crate::config::Period;
use crate::domain::{CuRefNo, Timestamp};
use crate::store::{CustomerFilter, CustomerRow};

#[derive(Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    organisation: OrganisationArg,
    /// Only those who are banned
    #[arg(long)]
    banned: bool,
    /// Only guests
    #[arg(long)]
    guests: bool,
    /// Only those who have an address that is not authorized
    #[arg(long)]
    unauthorized: bool,
    /// Only those with this text in address, number, names, company or cuRefNo; case and accents do not matter
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those created within this period, such as 7d
    #[arg(long, value_name = "PERIOD")]
    since: Option<Period>,
    /// At most this many, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
    /// Only those who come after this customer in the list: the next page
    #[arg(long, value_name = "CUREFNO", value_parser = CuRefNo::parse)]
    after: Option<CuRefNo>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<()> {
    let now = context.clock.now();
    let spellings = arguments.search.as_deref().map(spellings);
    let is_wanted = |row: &CustomerRow| {
        spellings.as_ref().is_none_or(|spellings| {
            let searched = searched(row);
            spellings.iter().any(|text| searched.contains(text))
        })
    };
    let customers: Vec<ListedCustomer> = context.open_database()?.read(|tx| {
        let organisation = arguments.organisation.find(tx)?;
        let after = match &arguments.after {
            Some(after) => {
                let found = tx.find_customer_by_cu_ref_no(organisation, after, now)?;
                Some(found.with_context(|| format!("there is no customer {after}"))?.id)
            }
            None => None,
        };
        let filter = CustomerFilter {
            banned: arguments.banned,
            guests: arguments.guests,
            unauthorized: arguments.unauthorized,
            since: arguments.since.map(|period| now - period.get()),
            after,
            limit: arguments.limit,
            ..CustomerFilter::of(organisation)
        };
        let rows = tx.list_customers(&filter, is_wanted, now)?;
        anyhow::Ok(rows.into_iter().map(ListedCustomer::from).collect())
    })?;
    context.output.print(&customers, |customers| {
        let table = customers_table(customers);
        match customers.last().filter(|_| customers.len() == arguments.limit) {
            Some(last) => format!("{table}\n\nThere may be more: --after {}", last.cu_ref_no),
            None => table,
        }
    })
}

/// A customer as lists show one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedCustomer {
    pub(super) cu_ref_no: String,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) company_name: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) registered_at: Option<Timestamp>,
    pub(super) email_authorized_at: Option<Timestamp>,
    pub(super) erased_at: Option<Timestamp>,
    pub(super) referral_id: Option<String>,
    pub(super) banned: bool,
}

impl From<CustomerRow> for ListedCustomer {
    fn from(row: CustomerRow) -> Self {
        Self {
            cu_ref_no: row.account.cu_ref_no,
            email: row.account.email,
            phone: row.account.phone,
            first_name: row.account.first_name,
            last_name: row.account.last_name,
            company_name: row.account.company_name,
            created_at: row.created_at,
            registered_at: row.registered_at,
            email_authorized_at: row.email_authorized_at,
            erased_at: row.erased_at,
            referral_id: row.referred_by,
            banned: row.account.is_banned,
        }
    }
}

fn customers_table(customers: &[ListedCustomer]) -> String {
    let rows = customers.iter().map(|customer| {
        let names = [&customer.first_name, &customer.last_name].into_iter().flatten();
        let name = names.map(String::as_str).collect::<Vec<_>>().join(" ");
        let states = [
            ("banned", customer.banned),
            ("guest", customer.registered_at.is_none()),
            ("unauthorized", customer.email.is_some() && customer.email_authorized_at.is_none()),
        ];
        let states = states.into_iter().filter(|(_, applies)| *applies).map(|(state, _)| state);
        let states = states.collect::<Vec<_>>().join(", ");
        [
            customer.cu_ref_no.clone(),
            or_dash(customer.email.as_ref()),
            or_dash(customer.phone.as_ref()),
            or_dash(Some(name).filter(|name| !name.is_empty())),
            or_dash(customer.company_name.as_ref()),
            customer.created_at.to_string(),
            or_dash(Some(states).filter(|states| !states.is_empty())),
        ]
    });
    table(["cuRefNo", "email", "phone", "name", "company", "created", "state"], rows, "No customers.")
}

/// All texts of a customer in which one is searched for.
fn searched(row: &CustomerRow) -> String {
    let account = &row.account;
    let texts = [&account.email, &account.phone, &account.first_name, &account.last_name, &account.company_name];
    let texts = texts.into_iter().flatten().chain([&account.cu_ref_no]).map(String::as_str);
    // A number is also found as others write it.
    let phone = account.phone.as_ref().map(|phone| phone.replace(' ', ""));
    folded(&texts.chain(phone.as_deref()).collect::<Vec<_>>().join(" "))
}

/// The text to be searched for; if it may be a number, also as one without spaces.
fn spellings(text: &str) -> Vec<String> {
    let number = text.replace(' ', "");
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte == b'+' || byte.is_ascii_digit());
    [folded(text)].into_iter().chain(is_number.then_some(number)).collect()
}

/// The text in lower case and without accents, also those that Unicode takes for a part of the letter.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in text.nfd().filter(|character| !is_combining_mark(*character)).flat_map(char::to_lowercase) {
        match character {
            'ς' => folded.push('σ'),
            'ß' => folded.push_str("ss"),
            'ł' => folded.push('l'),
            'ø' => folded.push('o'),
            'đ' => folded.push('d'),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            other => folded.push(other),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_is_found_however_it_is_written() {
        for (stored, typed) in [
            ("Γιώργος", "ΓΙΩΡΓΟΣ"),
            ("Weiß", "WEISS"),
            ("Łukasz", "lukasz"),
            ("Sørensen", "sorensen"),
            ("Đorđe", "DORDE"),
        ] {
            assert_eq!(folded(stored), folded(typed));
        }
    }
}

#![no_main]
//! A file of customers, CSV or JSON lines: each row is a contact or a list of what is wrong with it. The right ones are the same
//! behind an export, in either form; the wrong ones, written to a file of their own, are wrong there for the same reasons.

use libfuzzer_sys::fuzz_target;
use magic_auth::contacts::{Contact, ContactWriter, Defaults, Form, Rejects, Rows};
use magic_auth::domain::{CustomerId, OrganisationId, Timestamp};
use magic_auth::store::{Account, BanRow, CustomerRow};

const DEFAULTS: Defaults = Defaults { country: None, is_authorized: true, created_at: Timestamp::from_millis(1) };

fuzz_target!(|file: &[u8]| {
    let Ok(rows) = Rows::open(file) else { return };
    let (mut rejected, mut found, mut customers) = (Vec::new(), Vec::new(), Vec::new());
    let mut rejects = rows.rejects(&mut rejected).expect("memory can be written");
    let is_csv = matches!(rejects, Rejects::Csv(_));
    let mut last = 0;
    for row in rows {
        let Ok(mut row) = row else { break };
        // (A lone carriage return ends a row, and no line.)
        assert!(row.line >= last, "rows have rising numbers");
        last = row.line;
        match row.read(&DEFAULTS) {
            Ok(contact) => customers.push(customer(contact)),
            Err(problems) => {
                assert!(!problems.is_empty());
                rejects.write(&row).expect("memory can be written");
                found.push(problems);
            }
        }
    }
    rejects.flush().expect("memory can be written");
    drop(rejects);
    for form in [Form::Csv, Form::JsonLines] {
        let exported = export(form, &customers);
        if !customers.is_empty() {
            let again = Rows::open(exported.as_slice()).expect("an export is a file of customers");
            let again =
                again.map(|row| row.expect("it can be read").read(&DEFAULTS).expect("what was exported is right"));
            assert_eq!(export(form, &again.map(customer).collect::<Vec<_>>()), exported);
        }
    }
    // (Of several byte order marks, each reading takes off some.)
    if found.is_empty() || file.windows(3).any(|bytes| bytes == "\u{feff}".as_bytes()) {
        return;
    }
    // What a file is, its first line tells: of JSON lines, that may be what is wrong; a header has no spaces any more.
    let Ok(again) = Rows::open(rejected.as_slice()) else { return assert!(!is_csv, "what was CSV is CSV again") };
    if is_csv != matches!(again.rejects(Vec::new()), Ok(Rejects::Csv(_))) {
        return;
    }
    let again: Vec<_> =
        again.map(|row| row.expect("it can be read").read(&DEFAULTS).expect_err("it is wrong")).collect();
    assert_eq!(again, found);
});

/// The customer that a contact becomes.
fn customer(contact: Contact) -> CustomerRow {
    let ban = contact.ban.map(|ban| BanRow {
        reason: ban.reason.as_str().to_owned(),
        created_at: contact.created_at,
        expires_at: ban.expires_at,
        lifted_at: None,
    });
    CustomerRow {
        id: CustomerId(1),
        organisation: OrganisationId(1),
        account: Account {
            cu_ref_no: contact.cu_ref_no.map_or("1cGIHvFoQDGLAbcA".to_owned(), |cu_ref_no| cu_ref_no.to_string()),
            email: contact.email.map(|email| email.as_str().to_owned()),
            phone: contact.phone.map(|phone| phone.as_str().to_owned()),
            first_name: contact.first_name.map(|name| name.as_str().to_owned()),
            last_name: contact.last_name.map(|name| name.as_str().to_owned()),
            company_name: contact.company_name.map(|name| name.as_str().to_owned()),
            is_banned: ban.is_some(),
        },
        created_at: contact.created_at,
        registered_at: contact.is_registered.then_some(contact.created_at),
        email_authorized_at: contact.is_authorized.then_some(contact.created_at),
        referred_by: contact.referral_id.map(|referrer| referrer.to_string()),
        erased_at: None,
        is_sandbox: false,
        ban,
    }
}

fn export(form: Form, customers: &[CustomerRow]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = ContactWriter::begin(form, &mut file).expect("memory can be written");
    customers.iter().try_for_each(|customer| writer.write(customer)).expect("memory can be written");
    writer.flush().expect("memory can be written");
    drop(writer);
    file
}

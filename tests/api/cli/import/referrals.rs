//! Who brought whom: the referrals of imported customers.

use super::{imported, rows, shop, write};
use crate::app::cli;

/// Each customer with who brought them, and with the `cuRefNo` that is still waited for.
const REFERRALS: &str = "SELECT c.cu_ref_no, r.cu_ref_no, p.cu_ref_no FROM customers AS c
    LEFT JOIN customers AS r ON r.id = c.referred_by LEFT JOIN pending_referrals AS p ON p.customer_id = c.id
    ORDER BY c.organisation_id, c.id";

fn reference(letter: char) -> String {
    letter.to_string().repeat(16)
}

/// A file of customers, each named by a letter and brought by another.
fn file(pairs: &[(char, char)]) -> String {
    let row = |(who, by): &(char, char)| format!("{who}@x.cz,{},{}\n", reference(*who), reference(*by));
    std::iter::once("email,cuRefNo,referralId\n".to_owned()).chain(pairs.iter().map(row)).collect()
}

fn row(who: char, by: Option<char>, waits_for: Option<char>) -> String {
    let shown = |letter: Option<char>| letter.map_or_else(|| "-".to_owned(), reference);
    format!("{}|{}|{}", reference(who), shown(by), shown(waits_for))
}

#[test]
fn they_may_point_backward_forward_and_in_circles_but_not_to_oneself() {
    let folder = shop();
    let said = imported(&folder, file(&[('a', 'c'), ('b', 'a'), ('c', 'b'), ('d', 'd')]));
    assert_eq!(said, "Imported 4 customers; there already: 0.");
    let expected =
        [row('a', Some('c'), None), row('b', Some('a'), None), row('c', Some('b'), None), row('d', None, None)];
    assert_eq!(rows(&folder, REFERRALS), expected);
}

#[test]
fn who_is_not_there_is_waited_for_until_a_later_file_brings_them() {
    let folder = shop();
    let said = imported(&folder, file(&[('a', 'z'), ('b', 'y')]));
    let waiting = "Imported 2 customers; there already: 0. Referrals still waiting for their referrer, in all: 2.";
    assert_eq!(said, waiting);
    assert_eq!(rows(&folder, REFERRALS), [row('a', None, Some('z')), row('b', None, Some('y'))]);
    let said = imported(&folder, file(&[('z', 'a')]));
    let waiting = "Imported 1 customer; there already: 0. Referrals still waiting for their referrer, in all: 1.";
    assert_eq!(said, waiting);
    let expected = [row('a', Some('z'), None), row('b', None, Some('y')), row('z', Some('a'), None)];
    assert_eq!(rows(&folder, REFERRALS), expected);
}

#[test]
fn nobody_is_brought_by_a_customer_of_another_organisation() {
    let folder = shop();
    let rivals = write(&folder, "rivals.csv", file(&[('a', 'b')]));
    imported(&folder, file(&[('b', 'a')]));
    assert!(
        cli(&folder, &["customer", "import", "--organisation", "rival", rivals.to_str().unwrap()]).status.success()
    );
    imported(&folder, file(&[('b', 'a')]));
    let mut found = rows(&folder, REFERRALS);
    found.sort();
    assert_eq!(found, [row('a', None, Some('b')), row('b', None, Some('a'))]);
}

#[test]
fn show_tells_of_them_also_while_they_wait() {
    let folder = shop();
    imported(&folder, file(&[('a', 'z'), ('b', 'a'), ('c', 'a')]));
    let show = |who: char| {
        let shown = cli(&folder, &["customer", "show", "--organisation", "shop", &reference(who), "--json"]).stdout;
        serde_json::from_slice::<serde_json::Value>(&shown).unwrap()
    };
    let shown = show('a');
    assert_eq!(shown["referralId"], reference('z'));
    assert_eq!(shown["referred"], 2);
    assert_eq!(shown["referredCustomers"], serde_json::json!([reference('c'), reference('b')]));
    assert_eq!(show('b')["referralId"], reference('a'));
    let text = cli(&folder, &["customer", "show", "--organisation", "shop", &reference('a')]).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(&format!("referred     {}, {}\n", reference('c'), reference('b'))), "{text}");
}

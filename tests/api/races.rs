//! What happens at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;

use magic_auth::store::Database;
use serde_json::json;

use crate::app::{Client, RIVAL, SHOP_ROOT, TestApp, spawn_app, spawn_app_with};

const JAN: &str = "jan@barasek.com";

/// Does `work` for each of the numbers, all at once.
fn at_once<T: Send + 'static>(count: usize, work: impl Fn(usize) -> T + Clone + Send + 'static) -> Vec<T> {
    let barrier = Arc::new(Barrier::new(count));
    let thread = |number| {
        let (barrier, work) = (barrier.clone(), work.clone());
        std::thread::spawn(move || {
            barrier.wait();
            work(number)
        })
    };
    let threads: Vec<JoinHandle<T>> = (0..count).map(thread).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// One of many spellings of one mailbox.
fn spelling(number: usize) -> String {
    let local = ["jan.barasek", "JanBarasek", "j.a.n.b.a.r.a.s.e.k", "janbarasek+shop", "Jan.Barasek+a.b+c"];
    let domain = ["gmail.com", "GMAIL.com", "googlemail.com", "GoogleMail.Com"];
    format!("{}@{}", local[number % local.len()], domain[number % domain.len()])
}

#[test]
fn simultaneous_first_sign_ins_of_one_mailbox_make_one_customer_and_a_session_for_each() {
    let app = spawn_app_with("[throttle.email]\nburst = 100");
    let shop = app.shop();
    let mut identities = at_once(64, {
        let shop = shop.clone();
        move |number| shop.identity(&spelling(number))
    });
    let customers: Vec<_> =
        identities.iter().map(|identity| shop.account_info(identity).json()["cuRefNo"].clone()).collect();
    assert!(customers.iter().all(|customer| customer.is_string() && *customer == customers[0]), "{customers:?}");
    identities.sort_unstable();
    identities.dedup();
    assert_eq!(identities.len(), 64);
    let count = |table: &str| app.count(&format!("SELECT count(*) FROM {table}"));
    assert_eq!((count("customers"), count("sessions"), count("login_attempts")), (1, 64, 64));
}

#[test]
fn whoever_opens_a_new_or_a_restored_database_at_once_can() {
    for round in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("magic-auth.db");
        if round % 2 == 0 {
            drop(Database::open(&path).unwrap());
            // As a backup is: nobody has been in the WAL yet.
            let restored = rusqlite::Connection::open(&path).unwrap();
            restored.pragma_update(None, "journal_mode", "delete").unwrap();
        }
        at_once(6, move |_| drop(Database::open(&path).unwrap()));
    }
}

#[test]
fn simultaneous_first_sign_ins_of_two_organisations_make_a_customer_of_each() {
    let app = spawn_app_with("[throttle.email]\nburst = 100");
    let clients = [app.shop(), app.client(RIVAL)];
    let identities = at_once(16, {
        let clients = clients.clone();
        move |number| clients[number % 2].identity(JAN)
    });
    for (number, identity) in identities.iter().enumerate() {
        assert!(clients[number % 2].is_logged_in(identity));
        assert!(!clients[(number + 1) % 2].is_logged_in(identity));
    }
    assert_eq!(app.count("SELECT count(*) FROM customers"), 2);
}

#[test]
fn simultaneous_first_sign_ins_with_one_referral_are_all_referred() {
    let app = spawn_app();
    let root = app.client(SHOP_ROOT);
    let referrer = cu_ref_no(&root, JAN);
    at_once(64, move |number| {
        let body = json!({ "email": format!("new{number}@barasek.com"), "referralId": referrer });
        root.magic_auth(&body).identity()
    });
    let recorded = "SELECT count(*) FROM customers AS new JOIN customers AS referrer ON referrer.id = new.referred_by
        WHERE referrer.email = 'jan@barasek.com' AND new.email LIKE 'new%'";
    assert_eq!(app.count(recorded), 64);
    assert_eq!(app.count("SELECT count(*) FROM customers"), 65);
}

#[test]
fn simultaneous_first_sign_ins_of_one_mailbox_with_different_referrals_keep_the_first_one() {
    let app = spawn_app();
    let root = app.client(SHOP_ROOT);
    let referrers: Vec<_> = (0..8).map(|number| cu_ref_no(&root, &format!("referrer{number}@barasek.com"))).collect();
    let identities = at_once(64, {
        let root = root.clone();
        move |number| {
            let body = json!({ "email": spelling(number), "referralId": referrers[number % referrers.len()] });
            root.magic_auth(&body).identity()
        }
    });
    assert!(identities.iter().all(|identity| root.is_logged_in(identity)));
    let first = "SELECT count(*) FROM customers AS new JOIN customers AS referrer ON referrer.id = new.referred_by";
    assert_eq!(app.count(first), 1);
    // The customer and those who referred.
    assert_eq!(app.count("SELECT count(*) FROM customers"), 1 + 8);
    assert_eq!(app.count("SELECT count(*) FROM sessions"), 64 + 8);
}

/// Signs a customer in, and gives what others refer to.
fn cu_ref_no(client: &Client, email: &str) -> String {
    client.account_info(&client.identity(email)).json()["cuRefNo"].as_str().unwrap().to_owned()
}

/// Signs in again and again, on several threads, until it is refused; gives all identities.
fn sign_in_until_refused(client: &Client, refusal: (u16, &'static str)) -> Vec<JoinHandle<Vec<String>>> {
    let thread = |_| {
        let client = client.clone();
        std::thread::spawn(move || {
            let mut identities = Vec::new();
            let mut reply = client.sign_in(JAN);
            while reply.code().is_empty() {
                identities.push(reply.identity());
                reply = client.sign_in(JAN);
            }
            assert_eq!(reply.outcome(), (refusal.0, refusal.1.to_owned()));
            identities
        })
    };
    (0..4).map(thread).collect()
}

fn wait_for_sign_ins(app: &TestApp) {
    crate::process::eventually(|| app.count("SELECT count(*) FROM sessions") > 10);
}

#[test]
fn no_session_outlives_a_ban_however_close_they_come() {
    let app = spawn_app();
    let root = app.client(SHOP_ROOT);
    let threads = sign_in_until_refused(&root, (200, "E005"));
    wait_for_sign_ins(&app);
    app.cli_ok(&["customer", "ban", "--organisation", "shop", JAN, "--reason", "fraud"]);
    assert_eq!(root.sign_in(JAN).code(), "E005");
    let refused = 1 + threads.len();
    let identities: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert!(identities.iter().all(|identity| !root.is_logged_in(identity)));
    let attempts = |outcome| as_usize(app.count(&format!("SELECT count(*) FROM login_attempts WHERE {outcome}")));
    assert_eq!((attempts("outcome = 'OK'"), attempts("outcome = 'E005'")), (identities.len(), refused));
    assert_eq!(as_usize(app.count("SELECT count(*) FROM sessions")), identities.len());
}

fn as_usize(count: i64) -> usize {
    usize::try_from(count).unwrap()
}

#[test]
fn nobody_signs_in_with_a_key_once_its_revocation_has_returned() {
    let app = spawn_app();
    let root = app.client(SHOP_ROOT);
    let threads = sign_in_until_refused(&root, (401, "PUBLIC_API_KEY_DOES_NOT_EXIST"));
    wait_for_sign_ins(&app);
    app.cli_ok(&["key", "revoke", "ROOT0000"]);
    let sessions = app.count("SELECT count(*) FROM sessions");
    assert_eq!(root.sign_in(JAN).status, 401);
    let identities: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(app.count("SELECT count(*) FROM sessions"), sessions);
    assert_eq!(as_usize(sessions), identities.len());
    // What the key has begun is the organisation's, and lives on.
    assert!(app.shop().is_logged_in(&identities[0]));
}

#[test]
fn nobody_is_logged_in_once_the_logout_was_answered() {
    let app = spawn_app();
    let root = app.client(SHOP_ROOT);
    for _ in 0..10 {
        let identity = root.identity(JAN);
        let logged_out = Arc::new(AtomicBool::new(false));
        let threads = asking_until_logged_out(&root, &identity, &logged_out);
        assert_eq!(root.logout(&identity).text, r#"{"success":true}"#);
        logged_out.store(true, Ordering::SeqCst);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

/// Asks about a session until some time after its logout, on several threads.
fn asking_until_logged_out(client: &Client, identity: &str, logged_out: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let thread = |_| {
        let (client, identity, logged_out) = (client.clone(), identity.to_owned(), logged_out.clone());
        std::thread::spawn(move || {
            let mut asked_after = 0;
            while asked_after < 10 {
                let was_logged_out = logged_out.load(Ordering::SeqCst);
                let is_logged_in = client.is_logged_in(&identity);
                assert!(!(was_logged_out && is_logged_in), "logged in after the logout");
                asked_after += usize::from(was_logged_out);
            }
        })
    };
    (0..4).map(thread).collect()
}

#[test]
fn simultaneous_logouts_all_succeed() {
    let app = spawn_app();
    let shop = app.shop();
    let identity = shop.identity(JAN);
    let answers = at_once(16, {
        let (shop, identity) = (shop.clone(), identity.clone());
        move |_| shop.logout(&identity).text
    });
    assert!(answers.iter().all(|answer| answer == r#"{"success":true}"#), "{answers:?}");
    assert!(!shop.is_logged_in(&identity));
}

#[test]
fn commands_beside_sign_ins_all_find_their_turn() {
    let app = spawn_app();
    let root = app.client(SHOP_ROOT);
    let customers: Vec<_> = (0..8).map(|number| format!("banned{number}@barasek.com")).collect();
    let identities: Vec<_> = customers.iter().map(|email| root.identity(email)).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let sign_ins = std::thread::spawn({
        let (root, is_over) = (root.clone(), is_over.clone());
        move || {
            while !is_over.load(Ordering::SeqCst) {
                root.identity(JAN);
            }
        }
    });
    std::thread::scope(|scope| {
        for email in &customers {
            scope.spawn(|| app.operator(&["ban", email, "--reason", "fraud"]));
        }
    });
    is_over.store(true, Ordering::SeqCst);
    sign_ins.join().unwrap();
    for (email, identity) in customers.iter().zip(&identities) {
        assert_eq!(root.sign_in(email).code(), "E005");
        assert!(!root.is_logged_in(identity));
    }
}

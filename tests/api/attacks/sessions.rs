//! Sessions: none comes from a refusal, and each reason to refuse one is enough, for good.

use std::time::Duration;

use magic_auth::clock::Clock;
use magic_auth::domain::IdentityId;
use serde_json::json;

use crate::app::{Client, RIVAL, SHOP, SHOP_DEV, TestApp, cli, spawn_app_with};
use crate::process::{TestProcess, spawn_process};

/// GHSA-xg6x-h9c9-2m83 (better-auth): a session was kept as valid before the checks were done.
#[test]
fn no_refusal_leaves_a_session() {
    let app = spawn_app_with(
        "[throttle]
        email.burst = 2
        [sign_in]
        unknown_email = \"refuse\"
        guest = \"refuse\"
        deny.cidrs = [\"192.0.2.0/24\"]",
    );
    app.insert_guest("guest@barasek.com", true);
    for name in ["banned", "waiting", "broken", "denied"] {
        app.insert_guest(&format!("{name}@barasek.com"), name != "waiting");
    }
    app.database().execute("UPDATE customers SET registered_at = 1 WHERE email NOT LIKE 'guest%'", []).unwrap();
    app.operator(&["ban", "banned@barasek.com", "--reason", "fraud"]);
    let refused = |email: &str, ip: &str, code: &str| {
        let reply = app.shop().magic_auth(&json!({ "email": email, "customerRealIp": ip }));
        assert_eq!((reply.code().as_str(), reply.json().get("identityId")), (code, None), "{email}");
        assert_eq!(app.count("SELECT count(*) FROM sessions"), 0, "{email}");
    };
    for (email, code) in [
        ("unknown@barasek.com", "E002"),
        ("guest@barasek.com", "E003"),
        ("no address", "E004"),
        ("banned@barasek.com", "E005"),
        ("waiting@barasek.com", "E007"),
    ] {
        refused(email, "", code);
    }
    refused("denied@barasek.com", "192.0.2.1", "E001");
    refused("waiting@barasek.com", "", "E007");
    refused("waiting@barasek.com", "", "E006");
    // After the session was made: the record of the attempt fails.
    let broken = "CREATE TRIGGER broken BEFORE INSERT ON login_attempts BEGIN SELECT RAISE(ABORT, 'broken'); END";
    app.database().execute_batch(broken).unwrap();
    refused("broken@barasek.com", "", "E001");
}

/// What ends a session before its time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Logout,
    Ban,
    SignOut,
}

impl End {
    const SETS: [&[Self]; 8] = [
        &[],
        &[Self::Logout],
        &[Self::Ban],
        &[Self::SignOut],
        &[Self::Logout, Self::Ban],
        &[Self::Logout, Self::SignOut],
        &[Self::Ban, Self::SignOut],
        &[Self::Logout, Self::Ban, Self::SignOut],
    ];

    fn happens(self, app: &TestApp, email: &str, identity: &str) {
        match self {
            Self::Logout => drop(app.shop().logout(identity)),
            Self::Ban => drop(app.operator(&["ban", email, "--reason", "fraud"])),
            Self::SignOut => drop(app.operator(&["sign-out", email])),
        }
    }
}

/// What is told of a session: `None` to who may not ask.
fn told(client: &Client, identity: &str) -> Option<bool> {
    let reply = client.account_info(identity);
    (reply.status == 200).then(|| reply.json()["loggedIn"] == true)
}

/// GHSA-83c4-ffjp-mxp9 (Keycloak), CVE-2026-28513 (Pocket ID), Rauthy before 0.32.4: of several reasons to refuse, one
/// alone was not enough, or was not asked about again.
#[test]
fn each_reason_against_a_session_is_enough() {
    let app = spawn_app_with("[session]\nlifetime = \"3h\"");
    let create = ["key", "create", "--organisation", "shop", "--kind", "prod"];
    let expired = app.cli_ok(&[&create[..], &["--expires", "1h"]].concat());
    app.advance(Duration::from_hours(1));
    let revoked = app.cli_ok(&create);
    app.cli_ok(&["key", "revoke", revoked.trim()]);
    let refused =
        [app.client(expired.trim()), app.client(revoked.trim()), app.client(""), app.client(&SHOP.to_lowercase())];

    let sign_in = |number: usize| app.shop().identity(&format!("c{number}@barasek.com"));
    let identities: Vec<_> = (0..End::SETS.len()).map(sign_in).collect();
    for (number, (ends, identity)) in End::SETS.iter().zip(&identities).enumerate() {
        ends.iter().for_each(|end| end.happens(&app, &format!("c{number}@barasek.com"), identity));
    }
    let assert_told = |is_in_time: bool| {
        for (ends, identity) in End::SETS.iter().zip(&identities) {
            assert_eq!(told(&app.shop(), identity), Some(ends.is_empty() && is_in_time), "{ends:?}");
            assert_eq!(told(&app.client(SHOP_DEV), identity), Some(ends.is_empty() && is_in_time), "{ends:?}");
            assert_eq!(told(&app.client(RIVAL), identity), Some(false), "{ends:?}");
            assert_eq!(refused.each_ref().map(|client| told(client, identity)), [None; 4], "{ends:?}");
        }
    };
    assert_told(true);
    app.advance(Duration::from_hours(3));
    assert_told(false);
}

/// A server where sessions and keys have ended in each way, and one session lives.
struct Ended {
    identities: [String; 4],
    living: String,
}

impl Ended {
    fn at(process: &TestProcess) -> Self {
        let operator = |arguments: &[&str]| assert!(cli(&process.folder, arguments).status.success(), "{arguments:?}");
        let shop = process.shop();
        let [living, out, banned, signed_out, expired] = ["living", "out", "banned", "signed-out", "expired"]
            .map(|name| shop.identity(&format!("{name}@barasek.com")));
        shop.logout(&out);
        operator(&["customer", "ban", "--organisation", "shop", "banned@barasek.com", "--reason", "fraud"]);
        operator(&["customer", "sign-out", "--organisation", "shop", "signed-out@barasek.com"]);
        operator(&["key", "revoke", SHOP_DEV]);
        let expire = "UPDATE sessions SET expires_at = 1 WHERE customer_id = (SELECT id FROM customers WHERE email LIKE 'expired%')";
        assert_eq!(process.database().execute(expire, []).unwrap(), 1);
        Self { identities: [out, banned, signed_out, expired], living }
    }

    fn assert_refused_at(&self, process: &TestProcess) {
        for identity in &self.identities {
            assert!(!process.shop().is_logged_in(identity));
        }
        assert!(process.shop().is_logged_in(&self.living));
        assert_eq!(process.shop().sign_in("banned@barasek.com").code(), "E005");
        assert_eq!(Client::new(process.address, SHOP_DEV).account_info(&self.living).status, 401);
    }
}

/// CVE-2026-9802 (Keycloak): what had been revoked was accepted again after a restart.
#[test]
fn what_has_ended_does_not_come_back_by_a_crash_a_restart_or_a_backup() {
    let process = spawn_process("");
    let ended = Ended::at(&process);
    ended.assert_refused_at(&process);
    let backup = process.folder.path().join("backup.db");
    assert!(cli(&process.folder, &["backup", backup.to_str().unwrap()]).status.success());
    let process = process.kill_and_restart();
    ended.assert_refused_at(&process);
    let mut process = process;
    process.signal("TERM");
    assert!(process.wait().success());
    let restored = cli(&process.folder, &["restore", backup.to_str().unwrap()]);
    assert!(restored.status.success(), "{restored:?}");
    ended.assert_refused_at(&process.start_again());
}

/// PocketBase #6947: characters of random texts were not equally frequent. Chi-square for each of 21 places over 62
/// characters: 61 on average, and above 180 less than once in 10^12 fair draws.
#[test]
fn a_million_identities_are_evenly_random_in_each_place() {
    let now = Clock::system().now();
    let mut counts = vec![[0_u32; 128]; 32];
    for _ in 0..1_000_000 {
        for (place, byte) in IdentityId::generate(now).expose().bytes().enumerate() {
            counts[place][usize::from(byte)] += 1;
        }
    }
    let expected = 1_000_000.0 / 62.0;
    let chi_square = |counts: &[u32; 128]| -> f64 {
        let characters = (b'0'..=b'z').filter(u8::is_ascii_alphanumeric);
        characters.map(|byte| (f64::from(counts[usize::from(byte)]) - expected).powi(2) / expected).sum()
    };
    for (place, counts) in counts.iter().enumerate().skip(11) {
        let found = chi_square(counts);
        assert!(found < 180.0, "place {place}: {found}");
    }
    // The first place of the row's number hardly changes: the measure finds that.
    assert!(chi_square(&counts[0]) > 180.0);
}

//! Input that is taken for another one, or for more than there is.

use std::path::Path;

use crate::app::{TestApp, spawn_app, spawn_app_with};
use crate::geoip::database;
use crate::process::eventually;

/// RUSTSEC-2024-0421 (idna): labels in Punycode that decode to plain ASCII, or to nothing, were another domain's
/// double. CVE-2019-19844 (Django): letters that become ASCII by a change of case were the victim's address.
#[test]
fn no_look_alike_leads_to_somebody_elses_account() {
    let app = spawn_app_with("[throttle]\nemail.burst = 0");
    let identities = ["mike@barasek.com", "kiss@example.org"].map(|email| app.shop().identity(email));
    for email in [
        "mike@xn--barasek-.com",
        "mike@xn--BARASEK-.com",
        "mike@barasek.xn--com-",
        "mike@xn--.com",
        "mike@xn--barasek.com",
        "mike@xn--barasek-\u{301}.com",
        "kiss@xn--example-.org",
        "kiss@exa\u{200c}mple.org",
        "kiss@exa\u{200d}mple.org",
        "kiss@ex\u{e0061}ample.org",
        "kiss@𝐞xample.org",
        "kiss@ⓔxample.org",
        "kiss@example\u{ff0e}org",
        "kiss@example\u{ff61}org",
        "m\u{131}ke@barasek.com",
        "M\u{130}KE@barasek.com",
        "\u{212a}iss@example.org",
        "ki\u{17f}s@example.org",
        "ki\u{df}@example.org",
    ] {
        assert_eq!(app.shop().sign_in(email).code(), "E004", "{email:?}");
    }
    assert_eq!(app.count("SELECT count(*) FROM customers"), 2);
    assert_eq!(app.count("SELECT count(*) FROM sessions"), 2);
    assert!(identities.iter().all(|identity| app.shop().is_logged_in(identity)));
}

/// Rauthy #1165: a page of no rows was a page of all, or the end of the server.
#[test]
fn a_limit_of_nothing_less_or_far_too_much_is_none_of_all() {
    let app = spawn_app();
    for name in ["jan", "eva", "petr"] {
        app.shop().identity(&format!("{name}@barasek.com"));
    }
    let rows = |command: &[&str], limit: &str| {
        let limit = format!("--limit={limit}");
        let output = app.cli(&[command, &["--organisation", "shop", "--json", &limit]].concat());
        output.status.success().then(|| {
            let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            rows.as_array().unwrap().len()
        })
    };
    for command in [&["attempts"][..], &["customer", "list"]] {
        assert_eq!(rows(command, "2"), Some(2), "{command:?}");
        assert!(matches!(rows(command, "0"), Some(0) | None), "{command:?}");
        for wrong in ["-1", "", "two", "1e9", "0x10", "99999999999999999999999"] {
            assert_eq!(rows(command, wrong), None, "{command:?} {wrong}");
        }
        assert_eq!(rows(command, "4294967295"), Some(3), "{command:?}");
    }
}

/// RUSTSEC-2025-0132 (maxminddb): a database that changed while it was mapped into memory was undefined behaviour.
#[test]
fn a_database_that_changes_while_it_is_read_gives_an_old_answer_or_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("place.mmdb");
    let contents = ["country.mmdb", "city.mmdb"].map(|name| std::fs::read(database(name)).unwrap());
    std::fs::write(&path, &contents[0]).unwrap();
    let app = spawn_app_with(&format!("[rate_limit]\nprod.requests = 0\n[geoip]\ndatabases = [{path:?}]"));
    let update = || {
        for round in 1..=3 {
            overwrite_in_pieces(&path, &contents[round % 2]);
            eventually(|| country(&app) == ["DE", "CZ"][round % 2]);
        }
    };
    std::thread::scope(|scope| {
        let updater = scope.spawn(update);
        while !updater.is_finished() {
            assert!(["DE", "CZ"].contains(&country(&app).as_str()));
        }
    });
}

/// As a careless updater does: not a new file in the place of the old one, but the same file, cut and written anew.
fn overwrite_in_pieces(path: &Path, content: &[u8]) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    for piece in content.chunks(100) {
        file.write_all(piece).unwrap();
    }
}

fn country(app: &TestApp) -> String {
    app.shop().get("/api/v1/ip?ip=192.175.48.1").json()["country"].as_str().unwrap().to_owned()
}

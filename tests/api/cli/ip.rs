//! `ip`

use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{cli, error, folder_with};
use crate::geoip::database;

/// A folder with a configuration of these databases and a list of VPNs, and no server on it.
fn folder(databases: &[&str]) -> TempDir {
    let databases: Vec<_> = databases.iter().map(|name| database(name)).collect();
    let folder = folder_with(&format!("[geoip]\ndatabases = {databases:?}\nlists.vpn = [\"vpn.txt\"]"));
    std::fs::write(folder.path().join("vpn.txt"), "192.175.48.0/24").unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_hours(24 * 365 * 50);
    let list = std::fs::File::options().write(true).open(folder.path().join("vpn.txt")).unwrap();
    list.set_modified(long_ago).unwrap();
    folder
}

fn printed(folder: &TempDir, arguments: &[&str]) -> String {
    let output = cli(folder, &[&["ip"], arguments].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_known_is_told_with_its_source_without_a_server_and_its_database() {
    let folder = folder(&["city.mmdb", "asn.mmdb"]);
    assert_snapshot!(printed(&folder, &["192.175.48.1"]), @r"
    fact              value               source
    address           192.175.48.1
    kind              public
    embedded          -
    reverse dns       -
    country           CZ                  GeoLite2-City, 2020-01-02
    region            Hlavni mesto Praha  GeoLite2-City, 2020-01-02
    city              Prague              GeoLite2-City, 2020-01-02
    latitude          50.0755             GeoLite2-City, 2020-01-02
    longitude         14.4378             GeoLite2-City, 2020-01-02
    time zone         Europe/Prague       GeoLite2-City, 2020-01-02
    asn               64500               GeoLite2-ASN, 2020-01-02
    asn organisation  Example Networks    GeoLite2-ASN, 2020-01-02
    hosting           no                  hosting ASNs of magic-auth, 2026-11-24
    proxy             -
    vpn               yes                 vpn.txt, 2019-12-20
    tor               -
    anonymous         yes                 vpn.txt, 2019-12-20
    ");
    assert!(!folder.path().join("magic-auth.db").exists());
}

#[test]
fn it_can_speak_json() {
    let folder = folder(&["country.mmdb"]);
    let answer: Value = serde_json::from_str(&printed(&folder, &["2002:c0af:3001::1", "--json"])).unwrap();
    let expected = json!({
        "success": true,
        "ip": "2002:c0af:3001::1",
        "kind": "public",
        "embedded": "192.175.48.1",
        "reverseDns": null,
        "country": "DE",
        "region": null,
        "city": null,
        "latitude": null,
        "longitude": null,
        "timeZone": null,
        "asn": null,
        "asnOrganisation": null,
        "flags": { "hosting": null, "proxy": null, "vpn": true, "tor": null, "anonymous": true },
        "sources": [
            { "name": "GeoLite2-Country", "date": "2020-01-02", "facts": ["country"] },
            { "name": "vpn.txt", "date": "2019-12-20", "facts": ["vpn", "anonymous"] },
        ],
    });
    assert_eq!(answer, expected);
}

#[test]
fn a_special_address_is_only_what_it_is() {
    let folder = folder_with("");
    for (address, kind) in [("::1", "loopback"), ("100.64.0.1", "cgnat"), ("fe80::1", "link-local")] {
        let answer: Value = serde_json::from_str(&printed(&folder, &[address, "--json"])).unwrap();
        assert_eq!((&answer["kind"], &answer["sources"]), (&json!(kind), &json!([])));
    }
}

#[test]
fn without_anything_to_ask_it_says_what_is_missing() {
    let folder = folder_with("");
    let hint = "The configuration names nothing to ask: see [geoip] databases.";
    assert_eq!(printed(&folder, &["8.8.8.8"]).lines().last(), Some(hint));
    assert!(!printed(&folder, &["10.1.2.3"]).contains(hint));
}

#[test]
fn a_database_that_cannot_be_used_is_an_error_that_names_the_key() {
    let folder = folder_with("[geoip]\ndatabases = [\"none.mmdb\"]");
    assert_snapshot!(error(&folder, &["ip", "8.8.8.8"]), @"magic-auth: [geoip] databases: FOLDER/none.mmdb: cannot be read: No such file or directory (os error 2)");
}

//! What `check` says of the files that tell who is behind an address.

use insta::assert_snapshot;

use super::found;
use crate::app::write_config;
use crate::cli::{cli, single_spaced};
use crate::geoip::database;

#[test]
fn it_says_what_each_file_is_good_for() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["city.mmdb", "anonymous-ip.mmdb", "nothing.mmdb"];
    for file in files {
        std::fs::copy(database(file), folder.path().join(file)).unwrap();
    }
    let city = std::fs::read(database("city.mmdb")).unwrap();
    std::fs::write(folder.path().join("half.mmdb"), &city[..city.len() / 2]).unwrap();
    for (list, content) in [("tor.txt", "192.0.2.1\n"), ("vpn.txt", "# none\n"), ("proxy.txt", "192.0.2.1\nproxy\n")] {
        std::fs::write(folder.path().join(list), content).unwrap();
    }
    let lists = "lists = { tor = [\"tor.txt\"], vpn = [\"vpn.txt\"], proxy = [\"proxy.txt\"] }";
    write_config(&folder, &format!("[geoip]\ndatabases = {:?}\n{lists}", [&files[..], &["half.mmdb"]].concat()));
    let found = found(&folder);
    let lines = found.lines().filter(|line| line.starts_with("geoip") || line.starts_with("magic-auth:"));
    let today = lines.map(without_dates).collect::<Vec<_>>().join("\n");
    assert_snapshot!(today, @r"
    geoip database      WARNING  GeoLite2-City of 2020-01-02 (FOLDER/city.mmdb) is more than 60 days old: get a new one. It has country, region, city, latitude, longitude, time zone
    geoip database      WARNING  GeoIP2-Anonymous-IP of 2020-01-02 (FOLDER/anonymous-ip.mmdb) is more than 60 days old: get a new one. It has hosting, proxy, vpn, tor, anonymous
    geoip database      WARNING  Example-Prices of 2020-01-02 (FOLDER/nothing.mmdb) contains nothing that magic-auth uses
    geoip database      WRONG    [geoip] databases: FOLDER/half.mmdb: not a MaxMind database, or an incomplete one
    geoip list          ok       tor: FOLDER/tor.txt of TODAY has 1 address or network
    geoip list          WARNING  vpn: FOLDER/vpn.txt of TODAY is empty
    geoip list          WRONG    [geoip.lists] proxy: FOLDER/proxy.txt:2: not an IP address or a network such as 10.0.0.0/8
    magic-auth: 2 of 14 checks found something wrong
    ");
}

#[test]
fn a_rule_that_nothing_can_apply_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(database("city.mmdb"), folder.path().join("city.mmdb")).unwrap();
    std::fs::write(folder.path().join("vpn.txt"), "192.0.2.1\n").unwrap();
    let wrong = |deny: &str| {
        let files = "databases = [\"city.mmdb\"]\nlists = { vpn = [\"vpn.txt\"] }";
        write_config(&folder, &format!("[geoip]\n{files}\n[sign_in.deny]\n{deny}"));
        let printed = String::from_utf8(cli(&folder, &["check"]).stdout).unwrap();
        let line = printed.lines().find(|line| line.starts_with("sign_in.deny"));
        line.map(single_spaced)
    };
    assert_eq!(wrong("countries = [\"KP\"]\nflags = [\"vpn\", \"anonymous\"]"), None);
    assert_eq!(
        wrong("countries = [\"KP\"]\nasns = [64496]\nflags = [\"tor\", \"vpn\", \"hosting\"]").unwrap(),
        "sign_in.deny WRONG asns, flags \"tor\", flags \"hosting\" can deny nobody: no database or list in [geoip] tells \
         that; add one that does, or remove the rule"
    );
}

/// A line with the dates of files that the test has made left out.
fn without_dates(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let is_date = word.len() == 10 && word.bytes().filter(|byte| *byte == b'-').count() == 2;
        if is_date && !word.starts_with("2020") { "TODAY" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

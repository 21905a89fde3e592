//! The room as a whole, on databases in every schema: see `tests/geoip/make.py` for what they say.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::database::Database;
use super::*;
use crate::domain::Flag;

/// In `city.mmdb`, Prague; in `country.mmdb`, Germany; in `asn.mmdb`, 64500; in `anonymous-ip.mmdb`, a VPN.
const PRAGUE: &str = "192.175.48.1";
/// In `country.mmdb`, Austria; in `asn.mmdb`, 16509; in `anonymous-ip.mmdb`, a proxy.
const CLOUD: &str = "192.31.196.1";
/// In none of them.
const NOWHERE: &str = "9.9.9.9";

fn database(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/geoip").join(name)
}

/// A configuration, as it stands under `[geoip]`, with these databases.
fn config_with(databases: &[&Path], more: &str) -> GeoIpConfig {
    toml::from_str(&format!("databases = {databases:?}\n{more}")).unwrap()
}

fn geoip_with(databases: &[&str], more: &str) -> GeoIp {
    let databases: Vec<_> = databases.iter().map(|name| database(name)).collect();
    let databases: Vec<_> = databases.iter().map(PathBuf::as_path).collect();
    GeoIp::load(&config_with(&databases, more)).unwrap()
}

fn facts(geoip: &GeoIp, ip: &str) -> IpFacts {
    let ip = ip.parse().unwrap();
    let facts = geoip.look_up(ip);
    let IpFacts { country, asn, flags, .. } = facts;
    assert_eq!(geoip.traits(ip), IpTraits { country, asn, flags });
    facts
}

/// Country, region, city and time zone.
fn place(geoip: &GeoIp, ip: &str) -> [String; 4] {
    let facts = facts(geoip, ip);
    let country = facts.country.map(|country| country.to_string());
    [country, facts.region, facts.city, facts.time_zone].map(Option::unwrap_or_default)
}

/// Hosting, proxy, vpn, tor and anonymous, each `+`, `-` or, when it is not known, `?`.
fn flags(geoip: &GeoIp, ip: &str) -> String {
    let flags = facts(geoip, ip).flags;
    let sign = |flag| flags.get(flag).map_or('?', |value| if value { '+' } else { '-' });
    Flag::ALL.into_iter().map(sign).collect()
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    // As an updater does it: the file is replaced as a whole.
    let new = folder.path().join("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, &path).unwrap();
    path
}

#[test]
fn facts_come_with_their_sources() {
    let facts = facts(&geoip_with(&["city.mmdb", "asn.mmdb"], ""), PRAGUE);
    let json = serde_json::to_value(facts).unwrap();
    let expected = serde_json::json!({
        "ip": PRAGUE,
        "kind": "public",
        "embedded": null,
        "reverseDns": null,
        "country": "CZ",
        "region": "Hlavni mesto Praha",
        "city": "Prague",
        "latitude": 50.0755,
        "longitude": 14.4378,
        "timeZone": "Europe/Prague",
        "asn": 64500,
        "asnOrganisation": "Example Networks",
        "flags": { "hosting": false, "proxy": null, "vpn": null, "tor": null, "anonymous": null },
        "sources": [
            {
                "name": "GeoLite2-City",
                "date": "2020-01-02",
                "facts": ["country", "region", "city", "latitude", "longitude", "timeZone"],
            },
            { "name": "GeoLite2-ASN", "date": "2020-01-02", "facts": ["asn", "asnOrganisation"] },
            { "name": "hosting ASNs of magic-auth", "date": "2026-11-24", "facts": ["hosting"] },
        ],
    });
    assert_eq!(json, expected);
}

#[test]
fn the_first_database_that_knows_a_fact_is_believed() {
    let geoip = geoip_with(&["country.mmdb", "city.mmdb"], "");
    assert_eq!(place(&geoip, PRAGUE), ["DE", "Hlavni mesto Praha", "Prague", "Europe/Prague"]);
    let geoip = geoip_with(&["city.mmdb", "country.mmdb"], "");
    assert_eq!(place(&geoip, PRAGUE), ["CZ", "Hlavni mesto Praha", "Prague", "Europe/Prague"]);
    assert_eq!(place(&geoip, CLOUD), ["AT", "", "", ""]);
    assert_eq!(place(&geoip, NOWHERE), ["", "", "", ""]);
    assert_eq!(facts(&geoip, NOWHERE).sources, []);
}

#[test]
fn every_vendors_schema_is_understood() {
    for (database, ip, expected) in [
        ("dbip-city-lite.mmdb", PRAGUE, ["CZ", "South Moravian", "Brno (Veveří)", ""]),
        ("flat-city-ipv4.mmdb", PRAGUE, ["CZ", "South Moravian", "Brno", "Europe/Prague"]),
        ("flat-city-ipv6.mmdb", "2620:4f:8000::1", ["AT", "", "", "Europe/Vienna"]),
        ("ipinfo-lite.mmdb", PRAGUE, ["CZ", "", "", ""]),
        ("country.mmdb", PRAGUE, ["DE", "", "", ""]),
        ("asn.mmdb", PRAGUE, ["", "", "", ""]),
    ] {
        assert_eq!(place(&geoip_with(&[database], ""), ip), expected, "{database}");
    }
    let ipinfo = geoip_with(&["ipinfo-lite.mmdb"], "");
    let found = facts(&ipinfo, PRAGUE);
    assert_eq!((found.asn, found.asn_organisation.as_deref()), (Some(64500), Some("Example Networks")));
    assert_eq!(facts(&ipinfo, "2620:4f:8000::1").asn, Some(64500));
}

#[test]
fn a_database_may_come_as_one_file_for_each_version_of_ip() {
    let geoip = geoip_with(&["flat-city-ipv4.mmdb", "flat-city-ipv6.mmdb"], "");
    let degrees = |ip| {
        let facts = facts(&geoip, ip);
        facts.latitude.zip(facts.longitude)
    };
    // The file has 49.195098876953125, for it is of single precision.
    assert_eq!(degrees(PRAGUE), Some((49.1951, 16.6068)));
    assert_eq!(degrees("2620:4f:8000::1"), Some((48.2082, 16.3738)));
}

#[test]
fn a_record_with_missing_or_odd_fields_gives_what_is_there() {
    let geoip = geoip_with(&["city.mmdb"], "");
    assert_eq!(place(&geoip, "192.175.48.200"), ["SK", "", "", "Europe/Bratislava"]);
    assert_eq!(facts(&geoip, "192.175.48.200").latitude, None);
    let odd = facts(&geoip, "192.52.193.1");
    let expected = IpFacts {
        country: "PL".parse().ok(),
        sources: odd.sources.clone(),
        ..IpFacts::unknown(odd.ip, AddressKind::Public, None)
    };
    assert_eq!(odd, expected);
    assert_eq!(odd.sources[0].facts, [Fact::Country]);
}

#[test]
fn special_addresses_are_never_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    let all = write(&folder, "all.txt", "0.0.0.0/0\n::/0\n");
    let geoip = geoip_with(&["anonymous-ip.mmdb"], &format!("lists.tor = [{all:?}]"));
    assert_eq!(flags(&geoip, NOWHERE), "---++");
    for (ip, kind) in [
        ("127.0.0.1", AddressKind::Loopback),
        ("10.1.2.3", AddressKind::Private),
        ("::ffff:10.1.2.3", AddressKind::Private),
        ("fe80::1", AddressKind::LinkLocal),
        ("100.64.0.1", AddressKind::Cgnat),
        ("2001:db8::1", AddressKind::Documentation),
        ("ff02::1", AddressKind::Multicast),
        ("0.0.0.0", AddressKind::Reserved),
    ] {
        let facts = facts(&geoip, ip);
        let ip = ip.parse().unwrap();
        assert_eq!(facts, IpFacts::unknown(ip, kind, facts.embedded));
    }
}

#[test]
fn an_embedded_address_is_what_is_looked_up() {
    let geoip = geoip_with(&["city.mmdb"], "");
    for ip in ["::ffff:192.175.48.1", "64:ff9b::c0af:3001", "2002:c0af:3001::1", "2001::3f50:cffe"] {
        let facts = facts(&geoip, ip);
        assert_eq!((facts.ip, facts.embedded), (ip.parse().unwrap(), PRAGUE.parse().ok()));
        assert_eq!(facts.city.as_deref(), Some("Prague"), "{ip}");
    }
}

#[test]
fn a_flag_is_what_any_source_says_that_could_know() {
    let folder = tempfile::tempdir().unwrap();
    let list = write(&folder, "list.txt", "192.175.48.0/24 # here\n");
    let anonymous = &["anonymous-ip.mmdb"][..];
    let lists =
        |names: &[&str]| names.iter().map(|name| format!("lists.{name} = [{list:?}]")).collect::<Vec<_>>().join("\n");
    for (databases, more, ip, expected) in [
        // Nothing could know.
        (&[][..], String::new(), PRAGUE, "?????"),
        (&["country.mmdb"], String::new(), PRAGUE, "?????"),
        // What an anonymity database does not have hides nobody.
        (anonymous, String::new(), NOWHERE, "-----"),
        (anonymous, String::new(), PRAGUE, "--+-+"),
        (anonymous, String::new(), "192.175.48.200", "+--++"),
        (anonymous, String::new(), CLOUD, "-+--+"),
        (anonymous, String::new(), "2620:4f:8000::1", "----+"),
        // A list knows of its own flag; each that hides somebody makes anonymous.
        (&[], lists(&["tor"]), PRAGUE, "???++"),
        (&[], lists(&["tor"]), NOWHERE, "???-?"),
        (&[], lists(&["vpn"]), PRAGUE, "??+?+"),
        (&[], lists(&["proxy"]), PRAGUE, "?+??+"),
        (&[], lists(&["hosting"]), PRAGUE, "+????"),
        (&[], lists(&["tor", "vpn", "proxy"]), NOWHERE, "?----"),
        // Whoever says that an address has a flag is believed.
        (anonymous, lists(&["tor", "hosting"]), PRAGUE, "+-+++"),
        // An autonomous system is a hosting company's or not.
        (&["asn.mmdb"], String::new(), PRAGUE, "-????"),
        (&["asn.mmdb"], String::new(), CLOUD, "+????"),
        (&["asn.mmdb"], String::new(), NOWHERE, "?????"),
        (&["asn.mmdb"], "hosting_asns = [64500]".to_owned(), PRAGUE, "+????"),
        (&["asn.mmdb"], "hosting_asns = [64500]".to_owned(), CLOUD, "-????"),
        (&["asn.mmdb"], lists(&["hosting"]), PRAGUE, "+????"),
    ] {
        assert_eq!(flags(&geoip_with(databases, &more), ip), expected, "{databases:?} {more} {ip}");
    }
}

#[test]
fn a_flag_is_the_source_that_decided() {
    let folder = tempfile::tempdir().unwrap();
    let exits = write(&folder, "exits.txt", PRAGUE);
    let geoip = geoip_with(&["anonymous-ip.mmdb"], &format!("lists.tor = [{exits:?}]"));
    let told = |ip| {
        let sources = facts(&geoip, ip).sources;
        sources.into_iter().map(|source| (source.name, source.facts)).collect::<Vec<_>>()
    };
    let [hosting, proxy, vpn, tor, anonymous] = Flag::ALL.map(Fact::from);
    let database = |facts: &[Fact]| ("GeoIP2-Anonymous-IP".to_owned(), facts.to_vec());
    assert_eq!(told(NOWHERE), [database(&[hosting, proxy, vpn, tor, anonymous])]);
    assert_eq!(told(PRAGUE), [database(&[hosting, proxy, vpn, anonymous]), ("exits.txt".to_owned(), vec![tor])]);
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let error = |databases: &[&Path], more: &str| {
        let error = GeoIp::load(&config_with(databases, more)).unwrap_err().to_string();
        error.replace(&folder.path().display().to_string(), "FOLDER")
    };
    let missing = folder.path().join("none.mmdb");
    let text = write(&folder, "text.mmdb", "no database");
    let whole = fs::read(database("city.mmdb")).unwrap();
    let half = write(&folder, "half.mmdb", &whole[..whole.len() / 2]);
    let list = write(&folder, "tor.txt", "192.0.2.1\n\n192.0.2.0/33\n");
    assert_eq!(
        error(&[&missing], ""),
        "[geoip] databases: FOLDER/none.mmdb: cannot be read: No such file or directory (os error 2)"
    );
    assert_eq!(error(&[folder.path()], ""), "[geoip] databases: FOLDER: cannot be read: it is not a file");
    let renamed = replaced(&whole, b"GeoLite2-City", b"GeoLite2\x1bCity");
    let renamed = write(&folder, "renamed.mmdb", renamed);
    for path in [&text, &half, &renamed] {
        let name = path.file_name().unwrap().to_str().unwrap();
        let message = format!("[geoip] databases: FOLDER/{name}: not a MaxMind database, or an incomplete one");
        assert_eq!(error(&[&database("city.mmdb"), path], ""), message);
    }
    assert_eq!(
        error(&[], &format!("lists.tor = [{list:?}]")),
        "[geoip.lists] tor: FOLDER/tor.txt:3: not an IP address or a network such as 10.0.0.0/8"
    );
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let place = memchr::memmem::find(bytes, old).unwrap();
    [&bytes[..place], new, &bytes[place + old.len()..]].concat()
}

#[test]
fn a_file_that_has_changed_is_read_again_and_one_that_is_broken_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str| write(&folder, "geo.mmdb", fs::read(database(name)).unwrap());
    let path = copy("country.mmdb");
    let list = write(&folder, "tor.txt", NOWHERE);
    let geoip = GeoIp::load(&config_with(&[&path], &format!("lists.tor = [{list:?}]"))).unwrap();
    let known = || {
        geoip.reload_changed();
        (place(&geoip, PRAGUE)[0].clone(), flags(&geoip, PRAGUE))
    };
    let known_is = |country: &str, flags: &str| assert_eq!(known(), (country.to_owned(), flags.to_owned()));
    known_is("DE", "???-?");
    copy("city.mmdb");
    known_is("CZ", "???-?");
    write(&folder, "tor.txt", PRAGUE);
    known_is("CZ", "???++");
    // Broken, cut off, with a damaged record, gone: what was there before stays.
    let whole = fs::read(database("country.mmdb")).unwrap();
    let damaged = damaged_record(&whole);
    assert!(Database::new(damaged.clone()).is_ok());
    for content in [&b"no database"[..], &whole[..whole.len() - 1], &damaged] {
        write(&folder, "geo.mmdb", content);
        known_is("CZ", "???++");
    }
    write(&folder, "tor.txt", "tor");
    fs::remove_file(&path).unwrap();
    known_is("CZ", "???++");
    copy("country.mmdb");
    write(&folder, "tor.txt", "");
    known_is("DE", "???++");
    write(&folder, "tor.txt", NOWHERE);
    known_is("DE", "???-?");
}

/// A database that can be opened, with a text that ends beyond the file.
fn damaged_record(database: &[u8]) -> Vec<u8> {
    let mut damaged = database.to_vec();
    let place = damaged.windows(3).position(|bytes| bytes == b"\x42DE").unwrap();
    // A text of 255 and more bytes, and so beyond the end of the data.
    damaged[place..place + 3].copy_from_slice(b"\x5f\xff\xff");
    damaged
}

#[test]
fn examining_a_file_says_what_can_be_learned_from_it() {
    let contents = |path: PathBuf, list| SourceFile { path, list }.examine().map(|examined| examined.contents);
    let [hosting, proxy, vpn, tor, anonymous] = Flag::ALL.map(Fact::from);
    for (name, facts) in [
        ("city.mmdb", &Fact::ALL[..6]),
        ("country.mmdb", &[Fact::Country]),
        ("asn.mmdb", &[Fact::Asn, Fact::AsnOrganisation]),
        ("anonymous-ip.mmdb", &[hosting, proxy, vpn, tor, anonymous]),
        ("ipinfo-lite.mmdb", &[Fact::Country, Fact::Asn, Fact::AsnOrganisation]),
        ("flat-city-ipv6.mmdb", &[Fact::Country, Fact::Latitude, Fact::Longitude, Fact::TimeZone]),
        ("nothing.mmdb", &[]),
    ] {
        assert_eq!(contents(database(name), None).unwrap(), Contents::Facts(facts.to_vec()), "{name}");
    }
    let folder = tempfile::tempdir().unwrap();
    let list = write(&folder, "vpn.txt", "192.0.2.1\n192.0.2.0/24\n");
    assert_eq!(contents(list, Some(Flag::Vpn)).unwrap(), Contents::Networks(2));
    let damaged = write(&folder, "damaged.mmdb", damaged_record(&fs::read(database("country.mmdb")).unwrap()));
    assert!(contents(damaged, None).unwrap_err().to_string().contains("the database is damaged: "));
}

/// Opens it, reads all of it, and looks some addresses up: nothing of that may panic.
fn use_up(content: Vec<u8>) {
    let use_it = || {
        let Ok(database) = Database::new(content) else { return };
        let _ = database.examine();
        for ip in
            [PRAGUE, CLOUD, NOWHERE, "192.175.48.200", "2620:4f:8000::1", "2001:4:112::1", "::", "255.255.255.255"]
        {
            let _ = [Scope::All, Scope::Traits].map(|scope| database.find(ip.parse::<IpAddr>().unwrap(), scope));
        }
    };
    // The library follows a pointer to itself 512 times, for which an optimised build needs 100 KiB and this one 2 MiB.
    std::thread::scope(|scope| {
        std::thread::Builder::new().stack_size(8 << 20).spawn_scoped(scope, use_it).unwrap().join().unwrap();
    });
}

fn any_database() -> impl Strategy<Value = Vec<u8>> {
    let names = ["city.mmdb", "asn.mmdb", "anonymous-ip.mmdb", "flat-city-ipv4.mmdb", "ipinfo-lite.mmdb"];
    prop::sample::select(names.to_vec()).prop_map(|name| fs::read(database(name)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_panic(mut content: Vec<u8>, metadata: Vec<u8>) {
        use_up(content.clone());
        content.extend(b"\xab\xcd\xefMaxMind.com");
        content.extend(metadata);
        use_up(content);
    }

    #[test]
    fn no_cut_database_panics(content in any_database(), from: prop::sample::Index, to: prop::sample::Index) {
        let (from, to) = (from.index(content.len()), to.index(content.len()));
        use_up(content[..to].to_vec());
        use_up(content[from..].to_vec());
        use_up([&content[..from.min(to)], &content[from.max(to)..]].concat());
    }

    #[test]
    fn no_flipped_bits_panic(
        mut content in any_database(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..8),
    ) {
        for (place, bit) in flips {
            let place = place.index(content.len());
            content[place] ^= 1 << bit;
        }
        use_up(content);
    }

    #[test]
    fn no_overwritten_bytes_panic(
        mut content in any_database(),
        place: prop::sample::Index,
        bytes in prop::collection::vec(any::<u8>(), 1..16),
    ) {
        let place = place.index(content.len());
        let end = content.len().min(place + bytes.len());
        content[place..end].copy_from_slice(&bytes[..end - place]);
        use_up(content);
    }
}

//! Reverse DNS, against a DNS server on loopback.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use futures_util::future::{FutureExt as _, join_all};
use magic_auth::clock::Clock;
use magic_auth::domain::HostName;
use magic_auth::geoip::{ReverseDns, Unanswered};

use crate::dns_server::{DnsServer, SOA_MINIMUM};

const NONE: &str = "(none)";
const UNANSWERED: &str = "(unanswered)";

const SECOND: Duration = Duration::from_secs(1);

/// A name that leads back to 192.0.2.1.
const MAIL: &str = "1.2.0.192.in-addr.arpa 3600 PTR Mail.Example.com
                    mail.example.com 7200 A 192.0.2.1";

/// What asks the server.
struct Asker {
    reverse_dns: ReverseDns,
    clock: Clock,
}

impl Asker {
    fn of(servers: &[SocketAddr]) -> Self {
        let clock = Clock::system();
        Self { reverse_dns: ReverseDns::new(servers.to_vec(), clock.clone()).unwrap(), clock }
    }

    /// The name of an address, [`NONE`] or [`UNANSWERED`].
    async fn ask(&self, ip: &str) -> String {
        match self.reverse_dns.host_name(ip.parse::<IpAddr>().unwrap(), None).await {
            Ok(name) => name.as_ref().map_or(NONE.to_owned(), HostName::to_string),
            Err(Unanswered) => UNANSWERED.to_owned(),
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(future)
}

/// What is found about an address in a zone.
fn name_in(zone: &str, ip: &str) -> String {
    block_on(Asker::of(&[DnsServer::start(zone).address]).ask(ip))
}

/// A port on which nobody listens, and nobody else will.
fn refusing() -> (UdpSocket, SocketAddr) {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    // Connected to itself, the socket takes nothing from anybody, and the system refuses in its name.
    taken.connect(address).unwrap();
    (taken, address)
}

#[test]
fn a_name_that_leads_back_to_the_address_is_its_name() {
    assert_eq!(name_in(MAIL, "192.0.2.1"), "mail.example.com");
    assert_eq!(name_in(MAIL, "::ffff:192.0.2.1"), "mail.example.com");
}

#[test]
fn a_name_that_leads_elsewhere_is_a_lie() {
    let zone = "1.2.0.192.in-addr.arpa 3600 PTR google.example.com
                google.example.com 3600 A 192.0.2.8
                google.example.com 3600 A 192.0.2.9
                2.2.0.192.in-addr.arpa 3600 PTR nowhere.example.com
                3.2.0.192.in-addr.arpa 3600 PTR v6.example.com
                v6.example.com 3600 AAAA 2001:db8::3";
    for ip in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert_eq!(name_in(zone, ip), NONE, "{ip}");
    }
}

#[test]
fn an_address_may_have_no_name() {
    assert_eq!(name_in(MAIL, "192.0.2.2"), NONE);
    assert_eq!(name_in("2.2.0.192.in-addr.arpa 3600 A 192.0.2.2", "192.0.2.2"), NONE);
}

#[test]
fn of_several_names_the_first_that_leads_back_counts() {
    let zone = "1.2.0.192.in-addr.arpa 3600 PTR lie.example.com
                1.2.0.192.in-addr.arpa 3600 PTR broken.example.com
                1.2.0.192.in-addr.arpa 3600 PTR two.example.com
                1.2.0.192.in-addr.arpa 3600 PTR three.example.com
                lie.example.com 3600 A 192.0.2.9
                broken.example.com fails
                two.example.com 3600 A 192.0.2.8
                two.example.com 3600 A 192.0.2.1
                three.example.com 3600 A 192.0.2.1";
    assert_eq!(name_in(zone, "192.0.2.1"), "two.example.com");
}

#[test]
fn four_names_are_tried_and_no_more() {
    let names: Vec<_> = (1..=9).map(|n| format!("1.2.0.192.in-addr.arpa 3600 PTR n{n}.example.com")).collect();
    let dns = DnsServer::start(&format!("{}\nn5.example.com 3600 A 192.0.2.1", names.join("\n")));
    assert_eq!(block_on(Asker::of(&[dns.address]).ask("192.0.2.1")), NONE);
    let names = ["A n1.example.com", "A n2.example.com", "A n3.example.com", "A n4.example.com"];
    assert_eq!(dns.take_asked(), [&["PTR 1.2.0.192.in-addr.arpa"], &names[..]].concat());
}

#[test]
fn what_is_no_host_name_is_not_even_looked_up() {
    let long = ["a"; 4].map(|letter| letter.repeat(62)).join(".") + ".b";
    let names = [
        r"a\032b.example.com",
        "<script>.example.com",
        r"b\195\188cher.example.com",
        r"a\.b.example.com",
        r"a\000.example.com",
        r"a\010b.example.com",
        "192.0.2.1",
        ".",
    ];
    for name in names {
        let dns = DnsServer::start(&format!("1.2.0.192.in-addr.arpa 3600 PTR {name}\n{name} 3600 A 192.0.2.1"));
        assert_eq!(block_on(Asker::of(&[dns.address]).ask("192.0.2.1")), NONE, "{name}");
        assert_eq!(dns.take_asked(), ["PTR 1.2.0.192.in-addr.arpa"], "{name}");
    }
    let zone = format!("1.2.0.192.in-addr.arpa 3600 PTR {long}\n{long} 3600 A 192.0.2.1");
    assert_eq!(name_in(&zone, "192.0.2.1"), long, "the longest that fits");
}

#[test]
fn an_answer_that_cannot_be_read_is_none() {
    assert_eq!(name_in(&format!("{MAIL}\n1.2.0.192.in-addr.arpa cut"), "192.0.2.1"), UNANSWERED);
    assert_eq!(name_in(&format!("{MAIL}\nmail.example.com cut"), "192.0.2.1"), UNANSWERED);
}

#[test]
fn ipv6_addresses_have_names_too() {
    let zone = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa 3600 PTR six.example.com
                six.example.com 3600 A 192.0.2.1
                six.example.com 3600 AAAA 2001:db8::1";
    assert_eq!(name_in(zone, "2001:db8::1"), "six.example.com");
}

#[test]
fn aliases_are_followed_on_both_ways() {
    let zone = "1.2.0.192.in-addr.arpa 3600 CNAME 1.0-25.2.0.192.in-addr.arpa
                1.0-25.2.0.192.in-addr.arpa 3600 CNAME 1.customer.example.com
                1.customer.example.com 3600 PTR mail.example.com
                mail.example.com 3600 CNAME host.example.com
                host.example.com 3600 A 192.0.2.1
                2.2.0.192.in-addr.arpa 3600 CNAME 2.0-25.2.0.192.in-addr.arpa";
    assert_eq!(name_in(zone, "192.0.2.1"), "mail.example.com");
    assert_eq!(name_in(zone, "192.0.2.2"), NONE);
}

#[test]
fn an_answer_too_long_for_a_datagram_is_fetched_over_tcp() {
    let label = "x".repeat(60);
    let many: Vec<_> = (2..40).map(|n| format!("1.2.0.192.in-addr.arpa 3600 PTR {label}.{n}.example.com")).collect();
    let dns = DnsServer::start(&format!("{MAIL}\n{}", many.join("\n")));
    assert_eq!(block_on(Asker::of(&[dns.address]).ask("192.0.2.1")), "mail.example.com");
    let asked = ["PTR 1.2.0.192.in-addr.arpa", "tcp PTR 1.2.0.192.in-addr.arpa", "A mail.example.com"];
    assert_eq!(dns.take_asked(), asked);
}

#[test]
fn messages_that_are_no_answer_to_the_question_are_ignored() {
    let zone = format!(
        "{MAIL}\n1.2.0.192.in-addr.arpa forged\nmail.example.com forged\n{}",
        "forged.example.com 60 A 192.0.2.1"
    );
    let dns = DnsServer::start(&zone);
    assert_eq!(block_on(Asker::of(&[dns.address]).ask("192.0.2.1")), "mail.example.com");
    assert_eq!(dns.take_asked(), ["PTR 1.2.0.192.in-addr.arpa", "A mail.example.com"]);
}

#[test]
fn records_of_other_names_do_not_count() {
    let zone = "1.2.0.192.in-addr.arpa chatty
                mail.example.com chatty
                gossip.example.com 3600 A 192.0.2.1";
    assert_eq!(name_in(&format!("{MAIL}\n{zone}"), "192.0.2.1"), "mail.example.com");
    assert_eq!(name_in(zone, "192.0.2.1"), NONE);
}

#[test]
fn silence_costs_two_seconds_in_all_and_nobody_else_anything() {
    let silent = "8.2.0.192.in-addr.arpa silent
                  9.2.0.192.in-addr.arpa 60 PTR one.example.com
                  9.2.0.192.in-addr.arpa 60 PTR two.example.com
                  one.example.com silent
                  two.example.com silent";
    let dns = DnsServer::start(&format!("{MAIL}\n{silent}"));
    let asker = Asker::of(&[dns.address]);
    let started = asker.clock.steady();
    let timed = async |ip| (asker.ask(ip).await, asker.clock.steady().saturating_sub(started));
    block_on(async {
        let (address, names, other) = tokio::join!(timed("192.0.2.8"), timed("192.0.2.9"), timed("192.0.2.1"));
        for (answer, waited) in [&address, &names] {
            assert_eq!(*answer, UNANSWERED);
            assert!(*waited >= 2 * SECOND && *waited < 4 * SECOND, "{waited:?}");
        }
        assert_eq!(other.0, "mail.example.com");
        assert!(other.1 < address.1.min(names.1), "{:?}", other.1);

        dns.take_asked();
        assert_eq!(asker.ask("192.0.2.8").await, UNANSWERED);
        assert_eq!(dns.take_asked(), Vec::<String>::new(), "that is remembered, for a while");
    });
}

#[test]
fn where_one_server_does_not_help_the_next_is_asked() {
    let failing = DnsServer::start("1.2.0.192.in-addr.arpa fails\nmail.example.com fails");
    let silent = DnsServer::start("1.2.0.192.in-addr.arpa silent");
    let (_taken, refusing) = refusing();
    let dns = DnsServer::start(MAIL);
    let asker = Asker::of(&[failing.address, refusing, silent.address, dns.address]);
    assert_eq!(block_on(asker.ask("192.0.2.1")), "mail.example.com");
    for unhelpful in [failing, silent] {
        assert_eq!(unhelpful.take_asked(), ["PTR 1.2.0.192.in-addr.arpa"]);
    }
}

#[test]
fn servers_that_refuse_are_not_asked_again_at_once() {
    let dns = DnsServer::start("1.2.0.192.in-addr.arpa fails");
    let (_taken, refusing) = refusing();
    let asker = Asker::of(&[dns.address, refusing]);
    block_on(async {
        for _ in 0..2 {
            assert_eq!(asker.ask("192.0.2.1").await, UNANSWERED);
            assert_eq!(dns.take_asked(), ["PTR 1.2.0.192.in-addr.arpa"]);
            assert_eq!(asker.ask("192.0.2.1").await, UNANSWERED);
            assert_eq!(dns.take_asked(), Vec::<String>::new());
            asker.clock.advance(30 * SECOND);
        }
    });
}

/// For how many seconds the answer on an address is remembered, of those that are to be tried.
#[track_caller]
fn assert_is_remembered_for(zone: &str, ip: &str, seconds: u32) {
    let dns = DnsServer::start(zone);
    let asker = Asker::of(&[dns.address]);
    block_on(async {
        let first = asker.ask(ip).await;
        assert!(!dns.take_asked().is_empty());
        asker.clock.advance((seconds - 5) * SECOND);
        assert_eq!(asker.ask(ip).await, first);
        assert_eq!(dns.take_asked(), Vec::<String>::new(), "it is asked again too early");
        asker.clock.advance(5 * SECOND);
        assert_eq!(asker.ask(ip).await, first);
        assert!(!dns.take_asked().is_empty(), "it is not asked again");
    });
}

#[test]
fn an_answer_holds_as_long_as_the_shortest_of_its_records() {
    assert_is_remembered_for(MAIL, "192.0.2.1", 3_600);
    let zone = "1.2.0.192.in-addr.arpa 3600 PTR mail.example.com
                mail.example.com 500 CNAME host.example.com
                host.example.com 900 A 192.0.2.1";
    assert_is_remembered_for(zone, "192.0.2.1", 500);
    let lie = "1.2.0.192.in-addr.arpa 700 PTR mail.example.com
               mail.example.com 800 A 192.0.2.9";
    assert_is_remembered_for(lie, "192.0.2.1", 700);
}

#[test]
fn that_there_is_no_name_holds_as_long_as_the_zone_says() {
    assert_is_remembered_for(MAIL, "192.0.2.2", SOA_MINIMUM);
}

#[test]
fn a_ttl_is_at_least_half_a_minute_and_at_most_a_day_or_an_hour() {
    let zone = "1.2.0.192.in-addr.arpa 0 PTR short.example.com
                short.example.com 0 A 192.0.2.1
                2.2.0.192.in-addr.arpa 4294967295 PTR long.example.com
                long.example.com 604800 A 192.0.2.2
                3.2.0.192.in-addr.arpa 604800 PTR lie.example.com
                lie.example.com 604800 A 192.0.2.9";
    assert_is_remembered_for(zone, "192.0.2.1", 30);
    assert_is_remembered_for(zone, "192.0.2.2", 86_400);
    assert_is_remembered_for(zone, "192.0.2.3", 3_600);
}

#[test]
fn who_asks_about_the_same_address_at_once_shares_one_query() {
    let dns = DnsServer::start_slow(MAIL, Duration::from_millis(20));
    let asker = Asker::of(&[dns.address]);
    let answers = block_on(join_all((0..50).map(|_| asker.ask("192.0.2.1"))));
    assert_eq!(answers, vec!["mail.example.com"; 50]);
    assert_eq!(dns.take_asked(), ["PTR 1.2.0.192.in-addr.arpa", "A mail.example.com"]);
}

#[test]
fn who_gives_up_does_not_take_the_others_with_him() {
    let dns = DnsServer::start_slow(MAIL, Duration::from_millis(20));
    let asker = Asker::of(&[dns.address]);
    let answer = block_on(async {
        let mut impatient = Box::pin(asker.ask("192.0.2.1"));
        let patient = asker.ask("192.0.2.1");
        assert_eq!((&mut impatient).now_or_never(), None);
        drop(impatient);
        patient.await
    });
    assert_eq!(answer, "mail.example.com");
}

#[test]
fn at_most_sixteen_look_ups_ask_at_once() {
    let records = |n| format!("{n}.2.0.192.in-addr.arpa 60 PTR n{n}.example.com\nn{n}.example.com 60 A 192.0.2.{n}");
    let zone = (1..=60).map(records).collect::<Vec<_>>().join("\n");
    let dns = DnsServer::start_slow(&zone, Duration::from_millis(20));
    let asker = Asker::of(&[dns.address]);
    let ips: Vec<String> = (1..=60).map(|n| format!("192.0.2.{n}")).collect();
    let answers = block_on(join_all(ips.iter().map(|ip| asker.ask(ip))));
    let expected: Vec<_> = (1..=60).map(|n| format!("n{n}.example.com")).collect();
    assert_eq!(answers, expected);
    assert!((2..=16).contains(&dns.most_at_once()), "{}", dns.most_at_once());
}

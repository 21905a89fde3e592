//! A DNS server on loopback with a made-up zone. It answers as a resolver does, follows aliases, truncates
//! what does not fit into a datagram, and notes what it is asked.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use simple_dns::rdata::{A, AAAA, CNAME, PTR, RData, SOA};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

const MAX_DATAGRAM: usize = 512;

/// The SOA of the zone; what does not exist there does not for the lesser of the two.
pub const SOA_TTL: u32 = 900;
pub const SOA_MINIMUM: u32 = 600;

/// A server, which runs until the test's process ends.
pub struct DnsServer {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    asked: Vec<String>,
    most_at_once: usize,
}

type Record = ResourceRecord<'static>;

#[derive(Clone)]
struct Zone {
    records: Vec<Record>,
    misbehaviours: Vec<(Name<'static>, Misbehaviour)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Misbehaviour {
    Silent,
    Fails,
    /// Forgeries come before the true answer.
    Forged,
    /// The answer breaks off.
    Cut,
    /// The answer has records that nobody asked for.
    Chatty,
}

impl DnsServer {
    /// A server of these records, one a line: `NAME TTL TYPE DATA`, or `NAME silent`, `fails`, `forged`,
    /// `cut` or `chatty` for how it answers questions about the name. Names may have escapes.
    pub fn start(zone: &str) -> Self {
        Self::start_collecting(zone, None)
    }

    /// A server that answers only when nobody has asked anything more for so long.
    pub fn start_slow(zone: &str, pause: Duration) -> Self {
        Self::start_collecting(zone, Some(pause))
    }

    fn start_collecting(zone: &str, pause: Option<Duration>) -> Self {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().unwrap();
        let zone = Zone::parse(zone);
        let seen = Arc::<Mutex<Seen>>::default();
        udp.set_read_timeout(pause).unwrap();
        std::thread::spawn({
            let (zone, seen) = (zone.clone(), seen.clone());
            move || serve_udp(&udp, pause, &zone, &seen)
        });
        std::thread::spawn({
            let seen = seen.clone();
            move || serve_tcp(&tcp, &zone, &seen)
        });
        Self { address, seen }
    }

    /// What was asked since the last time: `A mail.example.com`, and `tcp PTR …`.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap().asked)
    }

    /// The most questions that waited for an answer at the same time.
    pub fn most_at_once(&self) -> usize {
        self.seen.lock().unwrap().most_at_once
    }
}

/// Sockets for both protocols on the same free port.
fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

fn serve_udp(socket: &UdpSocket, pause: Option<Duration>, zone: &Zone, seen: &Mutex<Seen>) {
    let mut buffer = [0; MAX_DATAGRAM];
    let mut waiting = Vec::new();
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, peer)) => {
                waiting.push((buffer[..length].to_vec(), peer));
                seen.lock().unwrap().asked.push(question(&buffer[..length]));
                if pause.is_some() {
                    continue;
                }
            }
            Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}"),
        }
        let mut seen = seen.lock().unwrap();
        seen.most_at_once = seen.most_at_once.max(waiting.len());
        for (query, peer) in waiting.drain(..) {
            for message in zone.datagrams(&query) {
                socket.send_to(&message, peer).unwrap();
            }
        }
    }
}

fn serve_tcp(listener: &TcpListener, zone: &Zone, seen: &Mutex<Seen>) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut query = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut query).unwrap();
        seen.lock().unwrap().asked.push(format!("tcp {}", question(&query)));
        let message = zone.answer(&Packet::parse(&query).unwrap());
        stream.write_all(&[&u16::try_from(message.len()).unwrap().to_be_bytes(), &message[..]].concat()).unwrap();
    }
}

fn question(query: &[u8]) -> String {
    let query = Packet::parse(query).unwrap();
    assert!(query.has_flags(PacketFlag::RECURSION_DESIRED));
    let QTYPE::TYPE(kind) = query.questions[0].qtype else { panic!("a type is asked for") };
    format!("{kind:?} {}", query.questions[0].qname)
}

impl Zone {
    fn parse(text: &str) -> Self {
        let mut zone = Self { records: Vec::new(), misbehaviours: Vec::new() };
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [] => {}
                [name, ttl, kind, data] => zone.records.push(record(name, ttl.parse().unwrap(), kind, data)),
                [name, misbehaviour] => zone.misbehaviours.push((owned(name), Misbehaviour::parse(misbehaviour))),
                _ => panic!("{line}"),
            }
        }
        zone
    }

    /// What is sent over UDP.
    fn datagrams(&self, query: &[u8]) -> Vec<Vec<u8>> {
        let query = Packet::parse(query).unwrap();
        let mut message = self.answer(&query);
        if message.len() > MAX_DATAGRAM {
            let mut truncated = reply(&query);
            truncated.set_flags(PacketFlag::TRUNCATION);
            message = truncated.build_bytes_vec().unwrap();
        }
        match self.misbehaviour(&query) {
            Some(Misbehaviour::Silent) => Vec::new(),
            Some(Misbehaviour::Forged) => [forgeries(&query), vec![message]].concat(),
            Some(Misbehaviour::Cut) => vec![message[..message.len() - 1].to_vec()],
            _ => vec![message],
        }
    }

    fn answer(&self, query: &Packet<'_>) -> Vec<u8> {
        let mut reply = reply(query);
        if self.misbehaviour(query) == Some(Misbehaviour::Fails) {
            *reply.rcode_mut() = RCODE::ServerFailure;
            return reply.build_bytes_vec().unwrap();
        }
        let mut name = query.questions[0].qname.clone();
        while let Some(alias) = self.alias_of(&name) {
            let RData::CNAME(target) = &alias.rdata else { unreachable!() };
            name = target.0.clone();
            reply.answers.push(alias);
        }
        let QTYPE::TYPE(kind) = query.questions[0].qtype else { panic!("a type is asked for") };
        let found: Vec<_> = self.records_of(&name).filter(|record| record.rdata.type_code() == kind).collect();
        if found.is_empty() {
            reply.name_servers.push(soa());
        }
        if self.records_of(&name).next().is_none() {
            *reply.rcode_mut() = RCODE::NameError;
        }
        if self.misbehaviour(query) == Some(Misbehaviour::Chatty) {
            reply.answers.push(record("other.example.com", 60, "PTR", "gossip.example.com"));
            reply.answers.push(record("other.example.com", 60, "A", "192.0.2.1"));
        }
        reply.answers.extend(found.into_iter().cloned());
        reply.build_bytes_vec_compressed().unwrap()
    }

    fn records_of<'a>(&'a self, name: &'a Name<'_>) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(move |record| record.name == *name)
    }

    fn alias_of(&self, name: &Name<'_>) -> Option<Record> {
        self.records_of(name).find(|record| record.rdata.type_code() == TYPE::CNAME).cloned()
    }

    fn misbehaviour(&self, query: &Packet<'_>) -> Option<Misbehaviour> {
        let name = &query.questions[0].qname;
        self.misbehaviours.iter().find(|(known, _)| known == name).map(|(_, misbehaviour)| *misbehaviour)
    }
}

impl Misbehaviour {
    fn parse(text: &str) -> Self {
        match text {
            "silent" => Self::Silent,
            "fails" => Self::Fails,
            "forged" => Self::Forged,
            "cut" => Self::Cut,
            "chatty" => Self::Chatty,
            other => panic!("{other}"),
        }
    }
}

fn owned(name: &str) -> Name<'static> {
    Name::new(name).unwrap().into_owned()
}

fn record(name: &str, ttl: u32, kind: &str, data: &str) -> Record {
    let data = match kind {
        "A" => RData::A(A::from(data.parse::<Ipv4Addr>().unwrap())),
        "AAAA" => RData::AAAA(AAAA::from(data.parse::<Ipv6Addr>().unwrap())),
        "CNAME" => RData::CNAME(CNAME(owned(data))),
        "PTR" => RData::PTR(PTR(owned(data))),
        other => panic!("{other}"),
    };
    ResourceRecord::new(owned(name), CLASS::IN, ttl, data)
}

fn soa() -> Record {
    let soa = SOA {
        mname: owned("ns.example.com"),
        rname: owned("admin.example.com"),
        serial: 1,
        refresh: 1,
        retry: 1,
        expire: 1,
        minimum: SOA_MINIMUM,
    };
    ResourceRecord::new(owned("example.com"), CLASS::IN, SOA_TTL, RData::SOA(soa))
}

fn reply<'a>(query: &Packet<'a>) -> Packet<'a> {
    let mut reply = Packet::new_reply(query.id());
    reply.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::RECURSION_AVAILABLE);
    reply.questions.clone_from(&query.questions);
    reply
}

/// Messages that are no answer to the query: noise, the query itself, one under another number, and one to
/// another question.
fn forgeries(query: &Packet<'_>) -> Vec<Vec<u8>> {
    let question = query.questions[0].qname.to_string();
    let lie = |name: &str| record(name, 60, "PTR", "forged.example.com");
    let mut other_number = reply(query);
    other_number.set_id(query.id().wrapping_add(1));
    other_number.answers.push(lie(&question));
    let mut other_question = reply(query);
    other_question.questions[0].qname = owned("other.example.com");
    other_question.answers.push(lie(&question));
    let packets = [query.clone(), other_number, other_question];
    let mut messages = vec![Vec::new(), b"noise".to_vec(), vec![0xff; MAX_DATAGRAM]];
    messages.extend(packets.iter().map(|packet| packet.build_bytes_vec().unwrap()));
    messages
}

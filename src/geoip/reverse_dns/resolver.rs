//! A stub resolver: it sends a question to a DNS server that finds the answer, and reads that.
//!
//! It asks for the names of an address and the addresses of a name, as they are given: no domain is
//! searched, no file of hosts read, and nothing remembered.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dns::base::iana::Rcode;
use dns::base::wire::ParseError;
use dns::base::{Message, MessageBuilder, Name, ParseRecordData, Rtype, Ttl};
use dns::rdata::{A, Aaaa, Ptr, Soa};
use log::debug;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::Unanswered;
use crate::domain::HostName;

/// After so long, the next server is asked, or the same one again: a datagram may have been lost.
const PATIENCE: Duration = Duration::from_millis(700);

/// How often servers that stay silent are asked. Together that is the time that a look-up has.
const ROUNDS: usize = 3;

/// The longest answer over UDP. A longer one is announced there and fetched over TCP.
const MAX_DATAGRAM: usize = 512;

/// How long an empty answer without a word on that holds.
const SHORT: Ttl = Ttl::ZERO;

type Question = (Name<Vec<u8>>, Rtype);
type Reply = Message<Vec<u8>>;

/// The DNS servers.
#[derive(Debug)]
pub(super) struct Resolver {
    servers: Vec<SocketAddr>,
    /// The server that answered last, which is asked first: one that is gone costs time only once.
    first: AtomicUsize,
}

/// What a server knows.
#[derive(Debug)]
pub(super) struct Known<T> {
    pub(super) values: Vec<T>,
    /// For how long that holds.
    pub(super) ttl: Duration,
}

impl Resolver {
    /// A resolver that asks these servers.
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, first: AtomicUsize::new(0) }
    }

    /// What the address says are its names, without those that are no host names.
    pub(super) async fn list_names(&self, ip: IpAddr) -> Result<Known<HostName>, Unanswered> {
        let name = Name::reverse_from_addr(ip).map_err(|_| Unanswered)?;
        let reply = self.ask(&(name, Rtype::PTR)).await?;
        read(&reply, |record: Ptr<_>| HostName::parse(&record.ptrdname().to_string()).ok())
    }

    /// The addresses of a name that are of the same version as this one.
    pub(super) async fn list_addresses(&self, name: &HostName, version: IpAddr) -> Result<Known<IpAddr>, Unanswered> {
        let name = Name::vec_from_str(name.as_str()).map_err(|_| Unanswered)?;
        match version {
            IpAddr::V4(_) => read(&self.ask(&(name, Rtype::A)).await?, |record: A| Some(record.addr().into())),
            IpAddr::V6(_) => read(&self.ask(&(name, Rtype::AAAA)).await?, |record: Aaaa| Some(record.addr().into())),
        }
    }

    /// Asks one server after the other, and once more while any has not answered.
    async fn ask(&self, question: &Question) -> Result<Reply, Unanswered> {
        let first = self.first.load(Ordering::Relaxed);
        for _ in 0..ROUNDS {
            let mut is_silent = false;
            for index in (0..self.servers.len()).map(|index| (first + index) % self.servers.len()) {
                match timeout(PATIENCE, exchange(self.servers[index], question)).await {
                    Ok(Ok(reply)) => {
                        self.first.store(index, Ordering::Relaxed);
                        return Ok(reply);
                    }
                    Ok(Err(error)) => debug!("the DNS server {} gave no usable answer: {error}", self.servers[index]),
                    Err(_) => is_silent = true,
                }
            }
            if !is_silent {
                break;
            }
        }
        Err(Unanswered)
    }
}

/// Asks a server over UDP and, if the answer does not fit, over TCP. That there is no such name is an answer.
async fn exchange(server: SocketAddr, question: &Question) -> io::Result<Reply> {
    let query = query(question)?;
    let mut reply = ask_over_udp(server, &query).await?;
    if reply.header().tc() {
        reply = ask_over_tcp(server, &query).await?;
    }
    match reply.header().rcode() {
        Rcode::NOERROR | Rcode::NXDOMAIN => Ok(reply),
        other => Err(io::Error::other(format!("it says {other}"))),
    }
}

/// The question under a number that cannot be guessed: a forger would have to know it, and the port.
fn query(question: &Question) -> io::Result<Message<Vec<u8>>> {
    let number = nanoid::rngs::thread_local(2).into_iter().fold(0, |bits, byte| bits << 8 | u16::from(byte));
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(number);
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    builder.push((&question.0, question.1)).map_err(io::Error::other)?;
    Ok(builder.into_message())
}

/// Sends the query from a port of its own and waits for its answer, deaf to everything else.
async fn ask_over_udp(server: SocketAddr, query: &Message<Vec<u8>>) -> io::Result<Reply> {
    let any = if server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query.as_slice()).await?;
    let mut datagram = [0; MAX_DATAGRAM];
    loop {
        let length = socket.recv(&mut datagram).await?;
        if let Some(reply) = answer(query, &datagram[..length]) {
            return Ok(reply);
        }
    }
}

/// Over TCP, each message follows its length.
async fn ask_over_tcp(server: SocketAddr, query: &Message<Vec<u8>>) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.as_slice().len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), query.as_slice()].concat()).await?;
    let mut message = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut message).await?;
    answer(query, &message).ok_or_else(|| io::Error::other("it answers another question"))
}

/// The message, if it is an answer to the query.
fn answer(query: &Message<Vec<u8>>, message: &[u8]) -> Option<Reply> {
    Message::from_octets(message.to_vec()).ok().filter(|message| message.is_answer(query))
}

/// The values of those records of an answer that are about the name asked for, or the one that it is an
/// alias of (as in reverse zones of less than 256 addresses, RFC 2317).
fn read<'a, Data, T>(reply: &'a Reply, value: impl Fn(Data) -> Option<T>) -> Result<Known<T>, Unanswered>
where
    Data: ParseRecordData<'a, Vec<u8>>,
{
    let read = || {
        let name = reply.canonical_name().ok_or(ParseError::form_error("endless aliases"))?;
        let mut records = Vec::new();
        for record in reply.answer()?.limit_to_in::<Data>() {
            let record = record?;
            if *record.owner() == name {
                records.push(record.into_data());
            }
        }
        let ttl = ttl(reply, records.is_empty())?;
        Ok(Known { values: records.into_iter().filter_map(value).collect(), ttl: ttl.into_duration() })
    };
    read().map_err(|error: ParseError| {
        debug!("the answer of a DNS server cannot be read: {error}");
        Unanswered
    })
}

/// For how long an answer holds: as long as each of its records. If what was asked for does not exist, its
/// zone says how long that holds (RFC 2308).
fn ttl(reply: &Reply, is_negative: bool) -> Result<Ttl, ParseError> {
    let mut ttl = Ttl::MAX;
    for record in reply.answer()? {
        ttl = ttl.min(record?.ttl());
    }
    if is_negative {
        let zone = reply.authority()?.limit_to_in::<Soa<_>>().next().transpose()?;
        ttl = ttl.min(zone.map_or(SHORT, |zone| zone.ttl().min(zone.data().minimum())));
    }
    Ok(ttl)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer with an alias, a name and, in the authority section, an SOA record.
    fn real_answer() -> Vec<u8> {
        let name = |text: &str| Name::<Vec<u8>>::vec_from_str(text).unwrap();
        let (asked, alias) = (name("1.2.0.192.in-addr.arpa"), name("1.0-25.2.0.192.in-addr.arpa"));
        let mut builder = MessageBuilder::new_vec().question();
        builder.push((&asked, Rtype::PTR)).unwrap();
        let mut builder = builder.answer();
        builder.push((&asked, 60, dns::rdata::Cname::new(&alias))).unwrap();
        builder.push((&alias, 60, Ptr::new(name("mail.example.com")))).unwrap();
        let mut builder = builder.authority();
        let soa = Soa::new(name("ns.example.com"), name("admin.example.com"), 1.into(), SHORT, SHORT, SHORT, SHORT);
        builder.push((name("example.com"), 60, soa)).unwrap();
        builder.into_message().into_octets()
    }

    fn read_names(message: Vec<u8>) -> Option<Vec<HostName>> {
        let reply = Message::from_octets(message).ok()?;
        read(&reply, |record: Ptr<_>| HostName::parse(&record.ptrdname().to_string()).ok())
            .ok()
            .map(|known| known.values)
    }

    #[test]
    fn an_alias_is_followed() {
        assert_eq!(read_names(real_answer()), Some(vec![HostName::parse("mail.example.com").unwrap()]));
    }

    proptest! {
        #[test]
        fn reading_noise_never_panics(message: Vec<u8>) {
            read_names(message);
        }

        #[test]
        fn reading_a_damaged_answer_never_panics(damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let mut message = real_answer();
            for (place, byte) in damages {
                let place = place.index(message.len());
                message[place] = byte;
            }
            read_names(message);
        }
    }
}

//! Thousands of connections on which nothing comes, or half a head.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::Options;
use crate::callers::{Connection, get, in_peace, meanwhile};
use crate::server::{Besieged, KEY, PATIENCE, Taken, take_descriptors};

/// For the first head of a connection.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// For the next request to begin.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// For the next request to come as a whole.
const NEXT_REQUEST: Duration = Duration::from_secs(2 * 80);

/// What this process and the server need beside the connections of a siege, of which each has two in the server.
const OTHER_DESCRIPTORS: usize = 200;

/// So many of all connections have been used once.
const USED: usize = 10;

pub fn run(options: &Options) -> anyhow::Result<String> {
    let descriptors = take_descriptors()?;
    let count = options.connections.min(descriptors.saturating_sub(OTHER_DESCRIPTORS) / 2);
    let server = Besieged::start(descriptors)?;
    let before = in_peace(&server)?;
    let rest = server.rest()?;
    let (memory, during) = meanwhile(&server, || {
        let (used, begun) = connect_and_use(&server, count / USED)?;
        let silent = connect(&server, count - used.len() - begun.len())?;
        let memory = memory_of(&server, rest, count)?;
        for answer in wait_until_let_go(silent, HEAD_DEADLINE)? {
            ensure!(answer.starts_with("HTTP/1.1 408 ") && answer.ends_with("\r\n\r\n"), "{answer:?}");
        }
        let kept = 2 * (used.len() + begun.len());
        ensure!(server.taken()?.descriptors >= rest.descriptors + kept, "who may come again was let go");
        if options.to_the_end {
            for (connections, deadline) in [(used, KEEP_ALIVE), (begun, NEXT_REQUEST)] {
                for answer in wait_until_let_go(connections, deadline)? {
                    ensure!(answer.is_empty(), "{answer:?}");
                }
            }
        }
        Ok(memory)
    })?;
    server.recover(rest)?;
    during.ensure_as_well_as(&before)?;
    server.end(&[before.identities.as_slice(), &during.identities].concat())?;
    let fewer = if count < options.connections {
        format!(" (of {}: no descriptors)", options.connections)
    } else {
        String::new()
    };
    let each = memory / u64::try_from(count.max(1))?;
    Ok(format!("{count} connections{fewer} with {each} bytes each\n  before: {before}\n  during: {during}"))
}

/// What the connections take, at the most: on a busy machine, the first may be let go before the last is accepted. (That all
/// were accepted, their answers say.)
fn memory_of(server: &Besieged, rest: Taken, count: usize) -> anyhow::Result<u64> {
    let (begin, mut most) = (Instant::now(), 0);
    while begin.elapsed() < HEAD_DEADLINE {
        let taken = server.taken()?;
        most = most.max(taken.memory.saturating_sub(rest.memory));
        if taken.descriptors >= rest.descriptors + 2 * count {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(most)
}

/// Connections on which nothing is sent, or, on every other one, half a head.
fn connect(server: &Besieged, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    let connect = |number: usize| {
        let connection = Connection::open(server.address)?;
        if number.is_multiple_of(2) {
            connection.send(&half_a_head())?;
        }
        Ok(connection.stream.into_inner())
    };
    (0..count).map(connect).collect()
}

/// Connections with one request that was answered, and then nothing; and as many with half of another head.
fn connect_and_use(server: &Besieged, count: usize) -> anyhow::Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let connect = |then: &[u8]| {
        let mut connection = Connection::open(server.address)?;
        connection.send(&get(&format!("/api/v1/ping?apiKey={KEY}")))?;
        connection.read_answer()?.context("no answer")?;
        connection.send(then)?;
        Ok(connection.stream.into_inner())
    };
    let connect = |then: &[u8]| (0..count).map(|_| connect(then)).collect::<anyhow::Result<_>>();
    Ok((connect(&[])?, connect(&half_a_head())?))
}

pub fn half_a_head() -> Vec<u8> {
    let mut head = get("/api/v1/ping");
    head.truncate(head.len() - 2);
    head
}

/// Waits until the server has closed all of them, and gives what it said.
fn wait_until_let_go(connections: Vec<TcpStream>, deadline: Duration) -> anyhow::Result<Vec<String>> {
    let begin = Instant::now();
    let said = |mut stream: TcpStream| {
        let patience = (deadline + PATIENCE).saturating_sub(begin.elapsed()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(patience))?;
        let mut answer = String::new();
        match stream.read_to_string(&mut answer) {
            Ok(_) => Ok(answer),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("an idle connection is held for {} s", begin.elapsed().as_secs())
            }
            Err(error) => Err(error.into()),
        }
    };
    connections.into_iter().map(said).collect()
}

//! Connections that break at a random moment, or of which the callers close their half.

use std::io::Read as _;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use fastrand::Rng;
use socket2::SockRef;

use crate::Options;
use crate::callers::{Connection, identity, sign_in};
use crate::server::{Besieged, take_descriptors};

/// Callers at the same time.
const CALLERS: usize = 8;

/// Mailboxes in which all of them meet.
const MAILBOXES: usize = 20;

/// How a caller behaves.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Sends a part of the request and resets the connection.
    ResetRequest,
    /// Sends the request and resets the connection, in a moment or at once.
    ResetUnanswered,
    /// Reads a part of the answer and resets the connection.
    ResetAnswer,
    /// Sends a part of the request and closes this half of the connection.
    HalfRequest,
    /// Sends the request, or several, and closes this half of the connection.
    HalfClosed(usize),
}

impl Manner {
    fn choose(rng: &mut Rng) -> Self {
        match rng.u8(..6) {
            0 => Self::ResetRequest,
            1 => Self::ResetUnanswered,
            2 => Self::ResetAnswer,
            3 => Self::HalfRequest,
            _ => Self::HalfClosed(rng.usize(1..=8)),
        }
    }
}

pub fn run(options: &Options) -> anyhow::Result<String> {
    let server = Besieged::start(take_descriptors()?)?;
    // The mailboxes are there before, so that all that the server needs at rest is.
    let mut identities: Vec<_> = play(&server, Manner::HalfClosed(1), 0, &mut Rng::with_seed(0))?;
    let rest = server.rest()?;
    let mut rng = Rng::with_seed(options.seed.unwrap_or_default());
    let called = thread::scope(|scope| {
        let call = |caller| {
            let (server, mut rng) = (&server, rng.fork());
            let rounds = options.rounds / CALLERS;
            scope.spawn(move || -> anyhow::Result<Vec<String>> {
                let mut identities = Vec::new();
                for _ in 0..rounds {
                    let manner = Manner::choose(&mut rng);
                    identities.extend(play(server, manner, caller, &mut rng).with_context(|| format!("{manner:?}"))?);
                }
                Ok(identities)
            })
        };
        let callers: Vec<_> = (0..CALLERS).map(call).collect();
        let join = |caller: thread::ScopedJoinHandle<'_, _>| caller.join().map_err(|_| anyhow!("a caller panicked"))?;
        callers.into_iter().map(join).collect::<anyhow::Result<Vec<_>>>()
    })?;
    identities.extend(called.into_iter().flatten());
    server.recover(rest)?;
    server.end(&identities)?;
    Ok(format!("{} connections, {} identities read", options.rounds, identities.len()))
}

/// One connection. Gives the identities that were read.
fn play(server: &Besieged, manner: Manner, caller: usize, rng: &mut Rng) -> anyhow::Result<Vec<String>> {
    let request = sign_in(&spelling(rng.usize(..MAILBOXES), caller));
    let mut connection = Connection::open(server.address)?;
    match manner {
        Manner::ResetRequest => {
            connection.send(&request[..rng.usize(1..request.len())])?;
            reset(&connection, rng)
        }
        Manner::ResetUnanswered => {
            connection.send(&request)?;
            reset(&connection, rng)
        }
        Manner::ResetAnswer => {
            connection.send(&request)?;
            let mut part = vec![0; rng.usize(1..200)];
            connection.stream.read_exact(&mut part)?;
            reset(&connection, rng)
        }
        Manner::HalfRequest => {
            connection.send(&request[..rng.usize(1..request.len())])?;
            connection.stream.get_ref().shutdown(Shutdown::Write)?;
            let answer = connection.read_answer()?;
            ensure!(answer.as_ref().is_none_or(|(status, _)| *status == 400), "{answer:?}");
            Ok(Vec::new())
        }
        Manner::HalfClosed(requests) => {
            connection.send(&request.repeat(requests))?;
            thread::sleep(moment(rng));
            connection.stream.get_ref().shutdown(Shutdown::Write)?;
            let identities = (0..requests).map(|_| identity(connection.read_answer()?)).collect();
            ensure!(connection.read_answer()?.is_none(), "an answer to nothing");
            identities
        }
    }
}

/// Has the connection end with a reset, in a moment or at once.
fn reset(connection: &Connection, rng: &mut Rng) -> anyhow::Result<Vec<String>> {
    thread::sleep(moment(rng));
    SockRef::from(connection.stream.get_ref()).set_linger(Some(Duration::ZERO))?;
    Ok(Vec::new())
}

/// Mostly none, else about as long as an answer takes.
fn moment(rng: &mut Rng) -> Duration {
    if rng.bool() { Duration::ZERO } else { Duration::from_micros(rng.u64(..3_000)) }
}

/// A caller's own spelling of a mailbox.
fn spelling(mailbox: usize, caller: usize) -> String {
    format!("rude{mailbox}+{caller}@gmail.com")
}

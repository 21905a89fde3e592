//! Heads and bodies that come a byte a second, and answers that are read so.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::Options;
use crate::callers::{GOOD, get, in_peace, meanwhile, sign_in};
use crate::server::{Besieged, PATIENCE, Taken, take_descriptors};

/// How many of each kind that is let go soon.
const MANY: usize = 100;

/// How many of those who take no answers: each costs the server much memory.
const FEW: usize = 4;

/// When heads and bodies must have come.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long the system of the server waits for somebody to take what was sent: its limit of 30 s, which it does not look at
/// all the time.
const UNTAKEN: Duration = Duration::from_mins(1);

/// Between two bytes.
const PACE: Duration = Duration::from_secs(1);

/// What a caller does slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Head,
    Body,
    /// Sends requests without a pause.
    Reading,
}

/// A caller, as long as the server holds on to it.
struct Slow {
    kind: Kind,
    stream: TcpStream,
    to_send: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    is_let_go: bool,
}

pub fn run(options: &Options) -> anyhow::Result<String> {
    let server = Besieged::start(take_descriptors()?)?;
    let before = in_peace(&server)?;
    let rest = server.rest()?;
    let (memory, during) = meanwhile(&server, || {
        let kinds = [(Kind::Head, MANY), (Kind::Body, MANY), (Kind::Reading, FEW)];
        let kinds = kinds.iter().flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count));
        let mut callers = kinds.map(|kind| Slow::connect(&server, kind)).collect::<anyhow::Result<Vec<_>>>()?;
        let memory = besiege(&server, rest, &mut callers, options.to_the_end)?;
        callers.iter().try_for_each(Slow::check)?;
        Ok(memory)
    })?;
    server.recover(rest)?;
    during.ensure_as_well_as(&before)?;
    server.end(&[before.identities.as_slice(), &during.identities].concat())?;
    let together = memory.saturating_sub(rest.memory) >> 20;
    let end = if options.to_the_end { "were let go" } else { "left by themselves (see --to-the-end)" };
    Ok(format!(
        "{MANY} heads, {MANY} bodies; {FEW} who read slowly cost {together} MiB together and {end}\n  before: {before}\n  during: {during}"
    ))
}

/// Goes on until all are let go that are to be. Gives the most memory that the server had.
fn besiege(server: &Besieged, rest: Taken, callers: &mut [Slow], to_the_end: bool) -> anyhow::Result<u64> {
    let (begin, mut memory) = (Instant::now(), 0);
    loop {
        for caller in callers.iter_mut().filter(|caller| !caller.is_let_go) {
            caller.go_on()?;
        }
        let taken = server.taken()?;
        memory = memory.max(taken.memory);
        let held = callers.iter().find(|caller| !caller.is_let_go && caller.kind != Kind::Reading);
        let is_late = begin.elapsed() > DEADLINE + PATIENCE;
        ensure!(
            held.is_none() || !is_late,
            "a slow {:?} is held for {:?}",
            held.map(|held| held.kind),
            begin.elapsed()
        );
        // Somebody who takes nothing is not even told of the end.
        let is_anybody_held = to_the_end && taken.descriptors > rest.descriptors + 2 * GOOD;
        let is_late = begin.elapsed() > UNTAKEN + PATIENCE;
        ensure!(!is_anybody_held || !is_late, "who reads slowly is held for {:?}", begin.elapsed());
        if held.is_none() && !is_anybody_held {
            return Ok(memory);
        }
        thread::sleep(PACE);
    }
}

impl Slow {
    fn connect(server: &Besieged, kind: Kind) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(server.address)?;
        stream.set_nonblocking(true)?;
        let request = sign_in("slow@shop.example");
        let to_send = match kind {
            Kind::Head => request,
            Kind::Body => {
                let (head, body) = request.split_at(request.len() - body_length(&request));
                stream.write_all(head)?;
                body.to_vec()
            }
            Kind::Reading => get("/openapi.json").repeat(1_000),
        };
        Ok(Self { kind, stream, to_send, sent: 0, answer: Vec::new(), is_let_go: false })
    }

    /// Reads, then sends: what is sent to somebody who has gone would be answered with a reset.
    fn go_on(&mut self) -> anyhow::Result<()> {
        let room = if self.kind == Kind::Reading { 1 } else { 4_096 };
        let mut room = vec![0; room];
        match self.stream.read(&mut room) {
            Ok(0) => self.is_let_go = true,
            Ok(length) => self.answer.extend_from_slice(&room[..length]),
            Err(error) => self.stop_unless_later(error)?,
        }
        let has_answer = self.kind != Kind::Reading && !self.answer.is_empty();
        while !self.is_let_go && !has_answer {
            let end = if self.kind == Kind::Reading { self.to_send.len() } else { self.sent + 1 };
            match self.stream.write(&self.to_send[self.sent..end]) {
                Ok(length) => self.sent = (self.sent + length) % self.to_send.len(),
                Err(error) => {
                    self.stop_unless_later(error)?;
                    break;
                }
            }
            if self.kind != Kind::Reading {
                break;
            }
        }
        Ok(())
    }

    fn stop_unless_later(&mut self, error: std::io::Error) -> anyhow::Result<()> {
        match error.kind() {
            ErrorKind::WouldBlock => {}
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => self.is_let_go = true,
            _ => return Err(error.into()),
        }
        Ok(())
    }

    /// What it was told.
    fn check(&self) -> anyhow::Result<()> {
        let answer = String::from_utf8_lossy(&self.answer);
        let is_right = match self.kind {
            Kind::Head => answer.starts_with("HTTP/1.1 408 ") && answer.ends_with("\r\n\r\n"),
            Kind::Body => answer.starts_with("HTTP/1.1 408 ") && answer.contains("REQUEST_TIMEOUT"),
            Kind::Reading => !answer.is_empty() && "HTTP/1.1 200 OK".starts_with(&answer[..answer.len().min(15)]),
        };
        ensure!(is_right, "a slow {:?} was answered with {answer:?}", self.kind);
        Ok(())
    }
}

fn body_length(request: &[u8]) -> usize {
    let end_of_head = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_default() + 4;
    request.len() - end_of_head
}

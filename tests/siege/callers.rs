//! Good callers, and what all callers say.

use std::io::{BufRead, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use serde_json::{Value, json};

use crate::server::{Besieged, KEY};

/// Good callers at the same time. Every other one has a connection of its own for each request.
pub const GOOD: usize = 4;

/// Of each of them, after a sign-in.
const PAUSE: Duration = Duration::from_millis(20);

/// So many times as long, and so much longer, others may have to wait during a siege.
const WORSE: (u32, Duration) = (20, Duration::from_millis(250));

/// A whole sign-in.
pub fn sign_in(address: &str) -> Vec<u8> {
    let body = json!({ "email": address }).to_string();
    let head = format!("POST /api/v1/customer/magic-auth?apiKey={KEY} HTTP/1.1\r\nHost: shop\r\n");
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A whole request for this path, without a body.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n").into_bytes()
}

/// A connection on which one request after the other is answered.
pub struct Connection {
    pub stream: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    pub fn send(&self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.get_ref().write_all(bytes)?)
    }

    /// Signs a customer in, and gives the identity.
    pub fn sign_in(&mut self, address: &str) -> anyhow::Result<String> {
        self.send(&sign_in(address))?;
        identity(self.read_answer()?)
    }

    pub fn is_logged_in(&mut self, identity: &str) -> anyhow::Result<bool> {
        self.send(&get(&format!("/api/v1/customer/get-account-info?apiKey={KEY}&identityId={identity}")))?;
        let (_, body) = self.read_answer()?.context("no answer")?;
        Ok(body.starts_with(r#"{"loggedIn":true,"#))
    }

    /// The status and the body of the next answer, or nothing when the server closes the connection instead.
    pub fn read_answer(&mut self) -> anyhow::Result<Option<(u16, String)>> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::ConnectionReset && line.is_empty() => return Ok(None),
            read => drop(read?),
        }
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("no answer: {line}"))?;
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            ensure!(self.stream.read_line(&mut line)? > 0, "a torn head");
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim_end().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).context("a torn body")?;
        Ok(Some((status, String::from_utf8(body)?)))
    }
}

/// The identity in an answer, which must be a success.
pub fn identity(answer: Option<(u16, String)>) -> anyhow::Result<String> {
    let (status, body) = answer.context("no answer")?;
    let parsed: Value = serde_json::from_str(&body).with_context(|| format!("{status}: {body}"))?;
    Ok(parsed["identityId"].as_str().with_context(|| format!("{status}: {body}"))?.to_owned())
}

/// How the good callers were served.
#[derive(Default)]
pub struct Served {
    pub identities: Vec<String>,
    times: Vec<Duration>,
}

impl Served {
    fn percentile(&self, percent: usize) -> Duration {
        self.times[(self.times.len() - 1) * percent / 100]
    }

    /// Compares it with how they were served before a siege.
    pub fn ensure_as_well_as(&self, before: &Self) -> anyhow::Result<()> {
        let (factor, floor) = WORSE;
        let longest = before.percentile(99) * factor + floor;
        ensure!(self.percentile(99) < longest, "the siege is felt: {self}; before it: {before}");
        Ok(())
    }
}

impl std::fmt::Display for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [middle, high, highest] = [50, 99, 100].map(|percent| self.percentile(percent).as_secs_f64() * 1_000.0);
        write!(f, "{} sign-ins, p50 {middle:.1} ms, p99 {high:.1} ms, longest {highest:.1} ms", self.times.len())
    }
}

/// How they are served while nothing else goes on.
pub fn in_peace(server: &Besieged) -> anyhow::Result<Served> {
    let wait = || {
        thread::sleep(Duration::from_millis(1_500));
        Ok(())
    };
    Ok(meanwhile(server, wait)?.1)
}

/// Has good callers sign customers in while something goes on.
pub fn meanwhile<T>(server: &Besieged, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, Served)> {
    let is_over = AtomicBool::new(false);
    let mut good = Served::default();
    let done = thread::scope(|scope| {
        let call = |number| {
            scope.spawn({
                let is_over = &is_over;
                move || keep_signing_in(server, number, is_over)
            })
        };
        let callers: Vec<_> = (0..GOOD).map(call).collect();
        let done = act();
        is_over.store(true, Ordering::Relaxed);
        for caller in callers {
            let (identities, times) =
                caller.join().map_err(|_| anyhow!("a caller panicked"))?.context("a good caller")?;
            good.identities.extend(identities);
            good.times.extend(times);
        }
        done
    })?;
    good.times.sort_unstable();
    Ok((done, good))
}

/// At least once, so that there is always something to compare.
fn keep_signing_in(
    server: &Besieged,
    caller: usize,
    is_over: &AtomicBool,
) -> anyhow::Result<(Vec<String>, Vec<Duration>)> {
    let (mut identities, mut times) = (Vec::new(), Vec::new());
    let mut connection = Connection::open(server.address)?;
    while times.is_empty() || !is_over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        if caller.is_multiple_of(2) {
            connection = Connection::open(server.address)?;
        }
        identities.push(connection.sign_in(&format!("good{caller}-{}@shop.example", times.len()))?);
        times.push(begin.elapsed());
        thread::sleep(PAUSE);
    }
    Ok((identities, times))
}

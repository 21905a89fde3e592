//! The operator's port: as many connections as there may be, of monitors that ask once and begin to ask again; one more,
//! which waits until another one goes; and, to the end, a monitor that goes on asking.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::Options;
use crate::callers::{Connection, get};
use crate::idle::half_a_head;
use crate::server::Besieged;

/// So many connections there may be.
const MOST: usize = 16;

/// For how long a monitor goes on asking: longer than a connection is kept on which no request comes as a whole.
const ASKING: Duration = Duration::from_secs(100);

/// Between two of its requests.
const PAUSE: Duration = Duration::from_secs(1);

pub fn run(options: &Options) -> anyhow::Result<String> {
    let server = Besieged::start(1_024)?;
    let rest = server.rest()?;
    let mut monitors = (0..MOST).map(|_| connect_and_use(&server)).collect::<anyhow::Result<Vec<_>>>()?;
    ensure_taken(&server, rest.descriptors + 2 * MOST)?;
    let mut waiting = Connection::open(server.admin)?;
    waiting.send(&get("/health/live"))?;
    ensure_taken(&server, rest.descriptors + 2 * MOST)?;
    drop(monitors.pop());
    ensure_is_well(&mut waiting)?;

    let begin = Instant::now();
    while options.to_the_end && begin.elapsed() < ASKING {
        ask(&mut waiting)?;
        std::thread::sleep(PAUSE);
    }
    drop((monitors, waiting));
    server.recover(rest)?;
    server.end(&[])?;
    Ok(format!("{MOST} connections to the operator's port, and another one after them"))
}

/// A connection with one request that was answered, and half of another head.
fn connect_and_use(server: &Besieged) -> anyhow::Result<Connection> {
    let mut monitor = Connection::open(server.admin)?;
    ask(&mut monitor)?;
    monitor.send(&half_a_head())?;
    Ok(monitor)
}

/// Each connection has two: its own, and that of its watch.
fn ensure_taken(server: &Besieged, expected: usize) -> anyhow::Result<()> {
    let taken = server.rest()?.descriptors;
    ensure!(taken == expected, "{taken} descriptors are taken, not {expected}");
    Ok(())
}

fn ask(monitor: &mut Connection) -> anyhow::Result<()> {
    monitor.send(&get("/health/live"))?;
    ensure_is_well(monitor)
}

fn ensure_is_well(monitor: &mut Connection) -> anyhow::Result<()> {
    let (status, body) = monitor.read_answer()?.context("no answer")?;
    ensure!(status == 200, "{status}: {body}");
    Ok(())
}

//! So many connections that the server may open no further file; and as many as there may be when it starts with few
//! descriptors, so that it has some left for itself.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use anyhow::ensure;

use crate::Options;
use crate::callers::Connection;
use crate::server::{Besieged, eventually, take_descriptors};

/// What the server may have.
const DESCRIPTORS: usize = 64;

/// What it may have from the start, and what of it connections do not take.
const FEW_FROM_THE_START: usize = 128;
const LEFT: usize = 32;

/// Connections that were there before.
const KNOWN: usize = 4;

/// Sign-ins on each of these.
const SIGN_INS: usize = 25;

/// For how long the server is watched while there is nothing that it can do.
const WATCHED: Duration = Duration::from_secs(1);

/// So much of that time it may be busy. It tries to accept twice a second.
const BUSY: Duration = Duration::from_millis(100);

pub fn run(_: &Options) -> anyhow::Result<String> {
    let server = Besieged::start(take_descriptors()?)?;
    server.limit_descriptors(DESCRIPTORS)?;
    let rest = server.rest()?;
    let mut known = (0..KNOWN).map(|_| Connection::open(server.address)).collect::<Result<Vec<_>, _>>()?;
    let mut identities = sign_in(&mut known, "before")?;

    // Many more than can be accepted, so that each that is let go is followed by another.
    let besiegers: Vec<_> =
        (0..4 * DESCRIPTORS).map(|_| TcpStream::connect(server.address)).collect::<Result<_, _>>()?;
    let wait_until_full = || {
        let is_full = || Ok(server.taken()?.descriptors >= DESCRIPTORS);
        eventually("the server has descriptors left", is_full)
    };
    wait_until_full()?;
    let busy_before = server.processor_time()?;
    thread::sleep(WATCHED);
    let busy = server.processor_time()?.saturating_sub(busy_before);
    ensure!(busy < BUSY, "with nothing to do, the server is busy for {busy:?} of {WATCHED:?}");
    identities.extend(sign_in(&mut known, "during")?);
    server.run(&["customer", "ban", "during0-0@shop.example", "--reason", "fraud", "--keep-sessions"])?;
    server.run(&["key", "create", "--kind", "prod"])?;
    wait_until_full()?;

    drop(besiegers);
    let mut new = (0..KNOWN).map(|_| Connection::open(server.address)).collect::<Result<Vec<_>, _>>()?;
    identities.extend(sign_in(&mut new, "after")?);
    identities.extend(sign_in(&mut known, "afterwards")?);
    drop((known, new));
    server.recover(rest)?;
    server.end(&identities)?;
    leaves_some_for_itself()?;
    Ok(format!(
        "{} sign-ins; with all {DESCRIPTORS} taken, the server is busy for {busy:?} of {WATCHED:?}",
        identities.len()
    ))
}

/// Who comes when there are as many connections as there may be waits until another one goes.
fn leaves_some_for_itself() -> anyhow::Result<()> {
    let server = Besieged::start(FEW_FROM_THE_START)?;
    let rest = server.rest()?;
    let mut known = (0..KNOWN).map(|_| Connection::open(server.address)).collect::<Result<Vec<_>, _>>()?;
    let mut identities = sign_in(&mut known, "before")?;
    let besiegers: Vec<_> =
        (0..FEW_FROM_THE_START).map(|_| TcpStream::connect(server.address)).collect::<Result<_, _>>()?;
    let taken = server.rest()?.descriptors;
    ensure!(taken > rest.descriptors + 2 * KNOWN, "nobody else is let in: {taken} descriptors");
    ensure!(taken <= FEW_FROM_THE_START - LEFT, "{taken} descriptors of {FEW_FROM_THE_START} are taken");
    identities.extend(sign_in(&mut known, "during")?);
    drop(besiegers);
    let mut new = vec![Connection::open(server.address)?];
    identities.extend(sign_in(&mut new, "after")?);
    drop((known, new));
    server.recover(rest)?;
    server.end(&identities)
}

/// Signs customers in on each of the connections.
fn sign_in(connections: &mut [Connection], when: &str) -> anyhow::Result<Vec<String>> {
    let mut identities = Vec::new();
    for (number, connection) in connections.iter_mut().enumerate() {
        for customer in 0..SIGN_INS {
            identities.push(connection.sign_in(&format!("{when}{number}-{customer}@shop.example"))?);
        }
    }
    Ok(identities)
}

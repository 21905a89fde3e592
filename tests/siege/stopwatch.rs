//! Somebody with a stopwatch, who wants to learn from the times of answers who is a customer and who is banned.
//!
//! That the answers themselves tell it is the contract; that the times tell no more is looked at here: the figures are
//! printed, and nothing depends on them. (supabase/auth #2223 told by its times whose address was known.)

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use fastrand::Rng;

use crate::Options;
use crate::callers::{Connection, sign_in};
use crate::server::Besieged;

/// Whose address is tried.
const WHO: [&str; 3] = ["new", "known", "banned"];

/// Who is tried again and again.
const KNOWN: usize = 50;

pub fn run(options: &Options) -> anyhow::Result<String> {
    let server = Besieged::start(1_024)?;
    let mut connection = Connection::open(server.address)?;
    let mut identities = Vec::new();
    for (who, number) in WHO.into_iter().skip(1).flat_map(|who| (0..KNOWN).map(move |number| (who, number))) {
        let address = address(who, number);
        let identity = connection.sign_in(&address)?;
        if who == "banned" {
            server.run(&["customer", "ban", &address, "--reason", "fraud", "--keep-sessions"])?;
        }
        identities.push(identity);
    }

    let mut rng = Rng::with_seed(options.seed.unwrap_or_default());
    let mut times = WHO.map(|_| Vec::with_capacity(options.samples));
    for sample in 0..options.samples {
        // In an order that tells nothing either.
        let mut order = [0, 1, 2];
        rng.shuffle(&mut order);
        for index in order {
            let number = if WHO[index] == "new" { sample } else { sample % KNOWN };
            let request = sign_in(&address(WHO[index], number));
            let begin = Instant::now();
            connection.send(&request)?;
            let (_, body) = connection.read_answer()?.context("no answer")?;
            times[index].push(begin.elapsed());
            ensure!(body.contains("E005") == (WHO[index] == "banned"), "{}: {body}", WHO[index]);
        }
    }
    drop(connection);
    server.end(&identities)?;
    let said: Vec<_> = WHO.iter().zip(times).map(|(who, times)| format!("{who} {}", quartiles(times))).collect();
    Ok(format!("µs at a quarter, a half and three quarters of {}: {}", options.samples, said.join(", ")))
}

fn address(who: &str, number: usize) -> String {
    // All of one length.
    format!("{who:x>6}{number:06}@shop.example")
}

fn quartiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    [1, 2, 3].map(|quarter| times[times.len() * quarter / 4].as_micros().to_string()).join(" ")
}

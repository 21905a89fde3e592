//! Who runs against whom, under which load.

use crate::Options;
use crate::cases::{Load, Stock};
use crate::contestants::Contestant;

/// Servers that are compared with each other. Everything is told in relation to the first.
#[derive(Debug)]
pub struct Race {
    pub title: String,
    pub connections: u32,
    pub load: Load,
    pub runners: Vec<Runner>,
}

/// A server in a race.
#[derive(Clone, Debug)]
pub struct Runner {
    pub name: String,
    pub contestant: Contestant,
    /// What is in its database when it starts.
    pub data: Stock,
}

/// The connections where their number is not what is asked.
const MANY: u32 = 64;

pub fn plan(options: &Options) -> Vec<Race> {
    let contestants = options.contestants();
    let known = |contestants: &[Contestant]| contestants.iter().map(|one| runner(*one, Stock::Known)).collect();
    let both = [Contestant::Ceiling, Contestant::Ours];
    let mut races: Vec<Race> = options
        .connections
        .iter()
        .map(|&connections| Race {
            title: format!("Sign-ins, {connections} connection{}", if connections == 1 { "" } else { "s" }),
            connections,
            load: Load::SignIn,
            runners: known(&contestants),
        })
        .collect();
    races.push(Race {
        title: format!("Whose session is it, of {} sessions", options.sessions),
        connections: MANY,
        load: Load::AccountInfo,
        runners: both.map(|one| runner(one, Stock::Sessions(options.sessions))).to_vec(),
    });
    races.push(Race {
        title: "One address again and again (E006)".to_owned(),
        connections: MANY,
        load: Load::Flood,
        runners: known(&both),
    });
    races.extend(options.customers.iter().flat_map(|customers| with_many(*customers)));
    races
}

fn with_many(customers: u32) -> [Race; 2] {
    let race = |title: String, load, stock| Race {
        title,
        connections: MANY,
        load,
        runners: [("nearly empty", Stock::Known), ("full", stock)]
            .map(|(name, data)| Runner { name: name.to_owned(), ..runner(Contestant::Ours, data) })
            .to_vec(),
    };
    [
        race(format!("Sign-ins with {customers} customers"), Load::SignIn, Stock::Customers(customers)),
        race(
            format!("Start with {customers} customers, and as many attempts in the throttle's window"),
            Load::Nothing,
            Stock::Attempts(customers),
        ),
    ]
}

fn runner(contestant: Contestant, data: Stock) -> Runner {
    Runner { name: contestant.name().to_owned(), contestant, data }
}

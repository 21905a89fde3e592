//! What callers do without a pause: customers come for the first time and again, log out, and are asked about.

use fastrand::Rng;

use crate::caller::Caller;
use crate::client::Stop;
use crate::operator::{Deed, Operator};

/// Mailboxes in which the customers of all threads meet, each with its own spelling.
const SHARED: usize = 20;

/// Calls until there is no answer any more.
pub fn keep_calling(caller: &Caller<'_>, thread: usize, rng: &mut Rng) -> Stop {
    loop {
        if let Err(stop) = call(caller, thread, rng) {
            return stop;
        }
    }
}

fn call(caller: &Caller<'_>, thread: usize, rng: &mut Rng) -> Result<(), Stop> {
    let count = caller.count();
    if count < SHARED {
        let customer = caller.meet(spelling(count, thread), spelling(count, 0));
        return caller.sign_in(customer);
    }
    let known = rng.usize(..count);
    let sessions = caller.look(known, |customer| customer.sessions.len());
    match rng.u8(..10) {
        0..5 => {
            let address = format!("t{thread}-{count}@crash.example");
            let customer = caller.meet(address.clone(), address);
            caller.sign_in(customer)
        }
        5..7 => caller.sign_in(known),
        // Whose first sign-in was not answered.
        _ if sessions == 0 => caller.sign_in(known),
        7 => caller.log_out(known, rng.usize(..sessions)),
        _ => caller.ask(known, rng.usize(..sessions)).map(drop),
    }
}

/// A thread's own spelling of a mailbox.
fn spelling(number: usize, thread: usize) -> String {
    match thread {
        0 => format!("shared{number}@gmail.com"),
        1 => format!("Shared.{number}@gmail.com"),
        _ => format!("s.hared{number}+{thread}@GoogleMail.com"),
    }
}

/// Works on the command line, and calls as well, until there is no answer any more.
pub fn keep_operating(operator: &mut Operator<'_>, rng: &mut Rng) -> Stop {
    loop {
        if let Err(stop) = operate(operator, rng) {
            return stop;
        }
    }
}

fn operate(operator: &mut Operator<'_>, rng: &mut Rng) -> Result<(), Stop> {
    let caller = &operator.caller;
    let count = caller.count();
    let address = format!("operator{count}@crash.example");
    let customer = if rng.bool() { caller.meet(address.clone(), address) } else { rng.usize(..count) };
    caller.sign_in(customer)?;
    caller.sign_in(customer)?;
    operator.act(Deed::choose(rng), None, rng)?;
    Ok(())
}

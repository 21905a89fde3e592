//! Somebody who calls the service, and notes what is acknowledged. Each answer is held against what is known already.

use std::net::SocketAddr;
use std::sync::Mutex;

use anyhow::{anyhow, ensure};

use crate::client::{AccountInfo, Client, SignIn, Stop};
use crate::ledger::{Customer, Known, Ledger, Session};
use crate::shop::{ROOT, lock};

/// A caller with a ledger of which nobody else changes anything.
pub struct Caller<'l> {
    client: Client,
    ledger: &'l Mutex<Ledger>,
}

impl<'l> Caller<'l> {
    pub fn new(address: SocketAddr, ledger: &'l Mutex<Ledger>) -> Self {
        Self { client: Client::new(address, ROOT), ledger }
    }

    /// How many customers there are.
    pub fn count(&self) -> usize {
        lock(self.ledger).customers.len()
    }

    /// Takes in a customer who has not come yet.
    pub fn meet(&self, address: String, mailbox: String) -> usize {
        let customers = &mut lock(self.ledger).customers;
        customers.push(Customer::new(address, mailbox));
        customers.len() - 1
    }

    /// Signs a customer in, or finds that the customer is banned.
    pub fn sign_in(&self, customer: usize) -> Result<(), Stop> {
        let address = self.look(customer, |customer| customer.address.clone());
        let answer = self.client.sign_in(&address)?;
        lock(self.ledger).sign_ins += 1;
        self.note(customer, |customer| {
            let is_banned = matches!(answer, SignIn::Banned);
            ensure!(customer.is_banned.allows(is_banned), "{:?} that it is banned", customer.is_banned);
            customer.is_banned = is_banned.into();
            if let SignIn::SignedIn(identity) = answer {
                customer.sessions.push(Session { identity, is_live: Known::Yes });
            }
            Ok(())
        })
    }

    /// Logs a session out.
    pub fn log_out(&self, customer: usize, session: usize) -> Result<(), Stop> {
        let identity = self.change(customer, |customer| {
            let session = &mut customer.sessions[session];
            if session.is_live == Known::Yes {
                session.is_live = Known::InDoubt;
            }
            session.identity.clone()
        });
        self.client.log_out(&identity)?;
        self.note(customer, |customer| {
            customer.sessions[session].is_live = Known::No;
            Ok(())
        })
    }

    /// Asks whose a session is. Gives the owner's `cuRefNo` when it is live.
    pub fn ask(&self, customer: usize, session: usize) -> Result<Option<String>, Stop> {
        let identity = self.look(customer, |customer| customer.sessions[session].identity.clone());
        let answer = self.client.account_info(&identity)?;
        self.note(customer, |customer| {
            let session = &mut customer.sessions[session];
            let is_live = matches!(answer, AccountInfo::LoggedIn { .. });
            ensure!(session.is_live.allows(is_live), "{:?} that it is live: a session", session.is_live);
            session.is_live = is_live.into();
            let AccountInfo::LoggedIn { cu_ref_no, is_banned } = answer else { return Ok(None) };
            ensure!(customer.is_banned.allows(is_banned), "{:?} that it is banned", customer.is_banned);
            Ok(Some(cu_ref_no))
        })
    }

    /// Looks at a customer.
    pub fn look<T>(&self, customer: usize, at: impl FnOnce(&Customer) -> T) -> T {
        at(&lock(self.ledger).customers[customer])
    }

    /// Changes what is known of a customer, who is to be checked then.
    pub fn change<T>(&self, customer: usize, to: impl FnOnce(&mut Customer) -> T) -> T {
        let customer = &mut lock(self.ledger).customers[customer];
        customer.is_due = true;
        to(customer)
    }

    /// Notes an answer.
    fn note<T>(&self, customer: usize, to: impl FnOnce(&mut Customer) -> anyhow::Result<T>) -> Result<T, Stop> {
        lock(self.ledger).answers += 1;
        self.change(customer, |customer| to(customer).map_err(|wrong| anyhow!("{wrong} of {}", customer.address)))
            .map_err(Stop::Wrong)
    }
}

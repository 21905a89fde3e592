//! The runs that are recorded: what a shop, its customers and its operators do.

use std::ops::Range;

use magic_auth::clock::Clock;
use magic_auth::domain::{ApiKey, IdentityId, KeyKind};
use rusqlite::{Connection, params};

use crate::facts::{BACKUP, Claim, Fact};
use crate::power_loss::Run;
use crate::recording::Files;
use crate::shim::Shim;
use crate::shop::{DATABASE, KEY, Server, Shop};

/// A shop that is recorded, and what it was promised.
struct Recorded<'s> {
    shop: Shop<'s>,
    facts: Vec<Fact>,
}

/// Some 300 requests, between them all that an operator does, three starts and one death.
pub fn requests(shim: &Shim) -> Run {
    let mut run = Recorded { shop: Shop::open(Some(shim), &Files::new()), facts: Vec::new() };
    let server = run.shop.serve().unwrap();
    run.sign_in_and_out(&server, 0..40);
    run.ban(&server, "banned@shop.example");
    let erased = run.sign_in(&server, "erased@shop.example");
    run.revoke_a_key();
    run.sign_in_together(&server, 40..100);
    drop(server);
    let server = run.shop.serve().unwrap();
    run.sign_in_and_out(&server, 100..230);
    run.import();
    run.sign_in_and_out(&server, 230..240);
    server.stop();
    run.erase("erased@shop.example", erased);
    let server = run.shop.serve().unwrap();
    run.sign_in_and_out(&server, 240..250);
    run.back_up();
    run.sign_in_and_out(&server, 250..260);
    server.stop();
    Run::of(&run.shop, Files::new(), run.facts)
}

/// A run of a program that is told of syncs of its WAL which are not made.
pub fn without_syncs(shim: &Shim) -> Run {
    let mut run = Recorded { shop: Shop::open(Some(shim), &Files::new()), facts: Vec::new() };
    let server = run.shop.serve().unwrap();
    run.shop.orders.forget_syncs_of_wal();
    run.sign_in_and_out(&server, 0..5);
    drop(server);
    Run::of(&run.shop, Files::new(), run.facts)
}

/// The upgrade of a database of the first version.
pub fn upgrade(shim: &Shim) -> Run {
    let (before, claims) = first_version();
    let shop = Shop::open(Some(shim), &before);
    shop.serve().unwrap().stop();
    Run::of(&shop, before, claims.into_iter().map(|claim| Fact::since(0, claim)).collect())
}

/// A database of the first version, and what was promised of it.
pub fn first_version() -> (Files, Vec<Claim>) {
    let shop = Shop::open(None, &Files::new());
    let now = Clock::system().now();
    let database = Connection::open(shop.disk().join(DATABASE)).unwrap();
    database.execute_batch(include_str!("../schemas/1.sql")).unwrap();
    let key = ApiKey::parse(KEY).unwrap();
    let revoked = ApiKey::generate(KeyKind::Prod);
    database.execute("INSERT INTO organisations VALUES (1, 'shop', 0)", []).unwrap();
    for (key, revoked_at) in [(&key, None), (&revoked, Some(1))] {
        let sql = "INSERT INTO api_keys (organisation_id, digest, prefix, hint, source, created_at, revoked_at)
            VALUES (1, ?1, ?2, ?3, 'cli', 0, ?4)";
        database.execute(sql, params![key.digest().as_bytes(), key.kind().prefix(), key.hint(), revoked_at]).unwrap();
    }
    let mut claims = vec![
        Claim::KeyInForce { key: KEY.to_owned() },
        Claim::KeyRevoked { key: revoked.expose().to_owned() },
        Claim::Banned { email: "customer-100@shop.example".to_owned() },
    ];
    for number in 1..=100 {
        let identity = IdentityId::generate(now);
        let values =
            params![number, format!("{number:016}"), format!("customer-{number}@shop.example"), now.as_millis()];
        let sql = "INSERT INTO customers (id, organisation_id, cu_ref_no, email, email_canonical, created_at,
                registered_at, email_authorized_at) VALUES (?1, 1, ?2, ?3, ?3, ?4, ?4, ?4)";
        database.execute(sql, values).unwrap();
        let sql = "INSERT INTO sessions (id, digest, customer_id, session_epoch, created_at, expires_at, last_seen_at)
            VALUES (?1, ?2, ?3, 0, ?4, ?4 + 9999999, ?4)";
        let session = identity.session_id().0;
        database.execute(sql, params![session, identity.digest().as_bytes(), number, now.as_millis()]).unwrap();
        let sql = "INSERT INTO login_attempts (organisation_id, api_key_id, customer_id, outcome, at)
            VALUES (1, 1, ?1, 'OK', ?2)";
        database.execute(sql, params![number, now.as_millis()]).unwrap();
        claims.push(Claim::SignedIn { identity: identity.expose().to_owned() });
    }
    let ban = "INSERT INTO bans (customer_id, reason, created_at) VALUES (100, 'fraud', 0);
        UPDATE customers SET session_epoch = 1 WHERE id = 100";
    database.execute_batch(ban).unwrap();
    let Some(Claim::SignedIn { identity }) = claims.pop() else { unreachable!() };
    claims.push(Claim::SignedOut { identity });
    database.pragma_update(None, "user_version", 1).unwrap();
    database.pragma_update(None, "journal_mode", "wal").unwrap();
    drop(database);
    (shop.files(), claims)
}

impl Recorded<'_> {
    fn promised(&mut self, claim: Claim) {
        self.facts.push(Fact::since(self.shop.now(), claim));
    }

    /// What was promised so is now to end.
    fn end(&mut self, claim: &Claim) {
        let now = self.shop.now();
        let fact = self.facts.iter_mut().find(|fact| fact.claim == *claim).unwrap();
        fact.until = now;
    }

    /// Signs a customer in and gives the identity id.
    fn sign_in(&mut self, server: &Server, email: &str) -> String {
        let identity = server.sign_in(email).unwrap();
        self.promised(Claim::SignedIn { identity: identity.clone() });
        identity
    }

    /// Does what ends a session.
    fn end_session(&mut self, identity: String, work: impl FnOnce(&Shop<'_>, &str)) {
        self.end(&Claim::SignedIn { identity: identity.clone() });
        work(&self.shop, &identity);
        self.promised(Claim::SignedOut { identity });
    }

    /// Customers sign in one after the other, and every third of them logs out again.
    fn sign_in_and_out(&mut self, server: &Server, numbers: Range<usize>) {
        for number in numbers {
            let identity = self.sign_in(server, &customer(number));
            if number % 3 == 0 {
                self.end_session(identity, |_, identity| server.log_out(identity));
            }
        }
    }

    /// Four customers at a time sign in, so that several share a commit.
    fn sign_in_together(&mut self, server: &Server, numbers: Range<usize>) {
        let shop = &self.shop;
        let numbers: Vec<_> = numbers.collect();
        let signed_in = std::thread::scope(|scope| {
            let threads: Vec<_> = numbers
                .chunks(numbers.len() / 4)
                .map(|numbers| {
                    scope.spawn(|| {
                        let sign_in = |number: &usize| {
                            let identity = server.sign_in(&customer(*number)).unwrap();
                            Fact::since(shop.now(), Claim::SignedIn { identity })
                        };
                        numbers.iter().map(sign_in).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        self.facts.extend(signed_in);
    }

    fn ban(&mut self, server: &Server, email: &str) {
        let identity = self.sign_in(server, email);
        self.end_session(identity, |shop, _| drop(shop.run_well(&["customer", "ban", email, "--reason", "fraud"])));
        self.promised(Claim::Banned { email: email.to_owned() });
    }

    fn revoke_a_key(&mut self) {
        let key = self.shop.create_key("prod");
        let in_force = Claim::KeyInForce { key: key.clone() };
        self.promised(in_force.clone());
        self.end(&in_force);
        self.shop.run_well(&["key", "revoke", &key]);
        self.promised(Claim::KeyRevoked { key });
    }

    /// Imports a guest. The commit finds a WAL of more than 1,000 pages and moves it into the database, so that what
    /// comes after it begins the WAL anew.
    fn import(&mut self) {
        let wal = std::fs::metadata(self.shop.disk().join(format!("{DATABASE}-wal"))).unwrap().len();
        assert!(wal > 1_000 * 4_096, "{wal}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "email,registered\nimported@shop.example,false\n").unwrap();
        self.shop.run_well(&["customer", "import", file.path().to_str().unwrap()]);
        self.promised(Claim::Imported { email: "imported@shop.example".to_owned() });
    }

    fn erase(&mut self, email: &str, identity: String) {
        self.end_session(identity, |shop, _| drop(shop.run_well(&["customer", "erase", "--yes", email])));
        self.promised(Claim::Erased { email: email.to_owned() });
    }

    fn back_up(&mut self) {
        let customers = self.facts.iter().filter(|fact| matches!(fact.claim, Claim::SignedIn { .. })).count();
        self.shop.run_well(&["backup", self.shop.disk().join(BACKUP).to_str().unwrap()]);
        self.promised(Claim::BackedUp { customers: customers - 1 });
    }
}

fn customer(number: usize) -> String {
    format!("customer-{number}@shop.example")
}

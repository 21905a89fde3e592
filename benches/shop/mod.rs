//! A shop within the process of a benchmark: a fresh database, its store and its throttle, and sign-ins without HTTP.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Waker};

use actix_web::rt::Runtime;
use anyhow::{Context as _, ensure};
use magic_auth::clock::Clock;
use magic_auth::config::Config;
use magic_auth::domain::{
    ApiKey, Canonicalization, ClientIp, EmailAddress, KeyKind, Mailbox, OrganisationId, Permissions,
};
use magic_auth::intelligence::Intelligence;
use magic_auth::keys::{Key, Keys};
use magic_auth::metrics::Metrics;
use magic_auth::sign_in::{Answer, Request, SignIn};
use magic_auth::store::{Database, NewKey, Store};
use magic_auth::throttle::{Throttle, TooSoon};
use tempfile::TempDir;

/// What people type: plain, with a tag at a provider that ignores it, and with a domain that IDNA has to encode.
pub const ADDRESSES: [(&str, &str); 3] = [
    ("plain", "jan.novak@example.com"),
    ("tagged", " Jan.Novak+shop@GoogleMail.com"),
    ("international", "jan@háčkyčárky.cz"),
];

/// Turns what was typed into what decides whose it is.
pub fn parse_address(text: &str) -> anyhow::Result<Mailbox> {
    Ok(EmailAddress::parse(text)?.canonical(Canonicalization::Provider).mailbox(OrganisationId(1)))
}

/// A number that goes with this one alone, and whose order is another: real customers do not come in the order of
/// their addresses.
fn scattered(number: u32) -> u32 {
    number.wrapping_mul(2_654_435_761)
}

/// Limits that nobody reaches; they count all the same.
const CONFIG: &str = "[throttle.email]\nburst = 1_000_000\n[throttle.ip]\nburst = 1_000_000\n";

/// A throttle that remembers nothing yet, and some thousands who come to it again and again.
pub struct Gate {
    throttle: Throttle,
    callers: Vec<(Mailbox, ClientIp)>,
}

impl Gate {
    pub fn open() -> anyhow::Result<Self> {
        let Site { config, clock, mut database, .. } = Site::open()?;
        let caller = |number| Ok((Mailbox(scattered(number).into()), ip(scattered(number))?));
        Ok(Self {
            throttle: database.read(|tx| Throttle::rebuild(&config.throttle, &clock, tx))?,
            callers: (0..4_096).map(caller).collect::<anyhow::Result<_>>()?,
        })
    }

    /// An attempt, which is let through.
    pub fn check(&self, attempt: usize) -> Result<(), TooSoon> {
        let (mailbox, ip) = self.callers[attempt % self.callers.len()];
        self.throttle.check(OrganisationId(1), mailbox, Some(ip))
    }
}

/// A configuration and a database of its own. It is where `target` is: elsewhere may be a disk of memory, whose sync
/// costs nothing.
struct Site {
    config: Config,
    clock: Clock,
    database: Database,
    folder: TempDir,
}

impl Site {
    fn open() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let file = folder.path().join("config.toml");
        std::fs::write(&file, CONFIG)?;
        let config = Config::load(Some(&file))?;
        let database = Database::open(&config.database.path)?;
        Ok(Self { config, clock: Clock::system(), database, folder })
    }
}

/// The shop.
pub struct Shop {
    sign_in: SignIn,
    store: Store,
    key: Arc<Key>,
    runtime: Runtime,
    /// The customers who have come so far.
    customers: Cell<u32>,
    _folder: TempDir,
}

/// Requests that come at once. The writer is kept busy until they are all there, so that they make full batches.
pub struct Rush {
    requests: Vec<Request>,
    hold: Sender<()>,
}

impl Shop {
    /// A shop without customers.
    pub fn open() -> anyhow::Result<Self> {
        let Site { config, clock, mut database, folder } = Site::open()?;
        let key = ApiKey::generate(KeyKind::Prod);
        let throttle = database.write(|tx| {
            let organisation = tx.upsert_organisation("shop", clock.now())?;
            let new = NewKey { organisation, key: &key, permissions: &Permissions::ALL, expires_at: None };
            tx.insert_key(&new, clock.now())?;
            Throttle::rebuild(&config.throttle, &clock, tx)
        })?;
        let intelligence = Intelligence::new(&config, clock.clone())?;
        let metrics = Arc::<Metrics>::default();
        let store = Store::start(database, 1, metrics.writer.clone())?;
        let key = Keys::load(&store, config.rate_limit, &clock)?.find(&key, &store)?;
        Ok(Self {
            sign_in: SignIn::new(&config, throttle, Arc::new(intelligence), metrics, clock),
            store,
            key: key.context("the key that was made is not there")?,
            runtime: Runtime::new()?,
            customers: Cell::default(),
            _folder: folder,
        })
    }

    /// So many new customers.
    pub fn rush(&self, customers: u32) -> anyhow::Result<Rush> {
        let first = self.customers.get();
        self.customers.set(first + customers);
        let requests = (first..first + customers).map(request).collect::<anyhow::Result<_>>()?;
        let (hold, until_dropped) = channel::<()>();
        let (reach, reached) = channel();
        drop(self.store.write(move |_| {
            let _ = reach.send(());
            let _ = until_dropped.recv();
            Ok(())
        }));
        reached.recv()?;
        Ok(Rush { requests, hold })
    }

    /// Signs all of them in.
    pub fn sign_in(&self, rush: Rush) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let mut waiting = Vec::with_capacity(rush.requests.len());
            for request in rush.requests {
                let mut answer = Box::pin(self.sign_in.sign_in(&self.key, request, &self.store));
                // The first look at it is what brings its job to the writer.
                let look = Pin::new(&mut answer).poll(&mut Context::from_waker(Waker::noop()));
                ensure!(look.is_pending(), "a sign-in was answered without the writer");
                waiting.push(answer);
            }
            drop(rush.hold);
            for answer in waiting {
                ensure!(matches!(answer.await?, Answer::SignedIn(_)), "a sign-in was refused");
            }
            Ok(())
        })
    }
}

fn request(number: u32) -> anyhow::Result<Request> {
    let number = scattered(number);
    Ok(Request {
        email: Some(EmailAddress::parse(&format!("{number:08x}@example.com"))?),
        first_name: None,
        last_name: None,
        ip: Some(ip(number)?),
        referral_id: None,
    })
}

fn ip(number: u32) -> anyhow::Result<ClientIp> {
    Ok(ClientIp::parse(&Ipv4Addr::from_bits(number).to_string())?)
}

//! The server as a whole: built from a configuration, then run until it is told to stop.

use std::net::{SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_web::web;
use futures_util::FutureExt as _;
use log::{error, info, warn};
use socket2::{Domain, Socket, Type};

use crate::clock::Clock;
use crate::config::{Config, MAX_WORKERS, Origin};
use crate::domain::Permissions;
use crate::housekeeping::Housekeeping;
use crate::http::{self, Services};
use crate::intelligence::{Intelligence, IntelligenceError};
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::session::Sessions;
use crate::sign_in::SignIn;
use crate::store::{ConfigKey, Database, KeyState, NewKey, OpenError, ServerLock, Store, StoreError};
use crate::throttle::Throttle;

/// A server that has its database, its keys and its socket, and does not answer yet.
#[derive(Debug)]
pub struct Application {
    services: web::Data<Services>,
    housekeeping: Housekeeping,
    listener: TcpListener,
    address: SocketAddr,
    admin: Option<(TcpListener, SocketAddr)>,
    workers: usize,
    allowed_origins: Vec<Origin>,
    _lock: ServerLock,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database cannot be read or written.
    #[error("cannot use the database {}: {cause}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What the store says.
        cause: StoreError,
    },
    /// A file of `[geoip]` cannot be used.
    #[error(transparent)]
    Intelligence(#[from] IntelligenceError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address} ({key}): {cause}{}", advice(cause))]
    Listen {
        /// Where the configuration says so.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: std::io::Error,
    },
}

impl Application {
    /// Reads the files about addresses, takes the lock, opens and upgrades the database, brings the configured keys
    /// into it, rebuilds the throttle, and binds the socket.
    ///
    /// # Errors
    /// When any of it is impossible.
    pub fn build(config: Config, clock: Clock) -> Result<Self, StartError> {
        let path = config.database.path.to_path_buf();
        let store_failed = |cause| StartError::Store { path: path.clone(), cause };
        let workers = match config.server.workers {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_WORKERS)),
            workers => workers,
        };

        let intelligence = Arc::new(Intelligence::new(&config, clock.clone())?);
        let lock = ServerLock::take(&path)?;
        let mut database = Database::open(&path)?;
        apply_organisations(&mut database, &config, &clock).map_err(store_failed)?;
        let throttle = database.read(|tx| Throttle::rebuild(&config.throttle, &clock, tx)).map_err(store_failed)?;

        let housekeeping = Housekeeping::new(&config, &clock, &intelligence.geoip);
        let metrics = Arc::<Metrics>::default();
        // One for each thread that reads: the workers', the main one's, which looks after IP addresses, and that of the
        // operator's port.
        let readers = workers + 1 + usize::from(config.admin.listen.is_some());
        let readers = u32::try_from(readers).unwrap_or(u32::MAX);
        let store = Store::start(database, readers, metrics.writer.clone())?;
        let services = Services {
            keys: Keys::load(&store, config.rate_limit, &clock).map_err(store_failed)?,
            sign_in: SignIn::new(&config, throttle, intelligence.clone(), metrics.clone(), clock.clone()),
            sessions: Sessions::new(config.session, clock.clone()),
            intelligence,
            store,
            metrics,
            is_stopping: AtomicBool::new(false),
            clock,
            trusted_proxies: config.server.trusted_proxies,
        };

        let (listener, address) = bind("[server] listen", config.server.listen)?;
        let admin = config.admin.listen.map(bind_admin).transpose()?;
        Ok(Self {
            services: web::Data::new(services),
            housekeeping,
            listener,
            address,
            admin,
            workers,
            allowed_origins: config.server.allowed_origins,
            _lock: lock,
        })
    }

    /// The address that the socket is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of health and metrics, if there are any.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|(_, address)| *address)
    }

    /// Answers requests until `stop` completes, ends what is under way, and writes what is still to
    /// be written.
    ///
    /// # Errors
    /// When the socket cannot be served.
    pub async fn run_until(self, stop: impl Future<Output = ()> + 'static) -> std::io::Result<()> {
        let services = self.services.clone();
        let writing = actix_web::rt::spawn(keep_at("recording attempts", async move || {
            services.sign_in.attempt_log.keep_writing(&services.store).await;
        }));
        let (services, mut housekeeping) = (self.services.clone(), self.housekeeping);
        let housekeeping =
            actix_web::rt::spawn(keep_at("housekeeping", async move || housekeeping.keep(&services.store).await));
        let services = self.services.clone();
        let finding_out = actix_web::rt::spawn(keep_at("finding out about addresses", async move || {
            services.intelligence.keep_finding_out(&services.store).await;
        }));
        let admin = self.admin.map(|(listener, _)| http::serve_admin(listener, self.services.clone())).transpose()?;
        let admin = admin.map(|server| {
            let handle = server.handle();
            actix_web::rt::spawn(server);
            handle
        });
        let served = http::serve(self.listener, self.services.clone(), self.workers, self.allowed_origins, stop)?.await;
        writing.abort();
        housekeeping.abort();
        finding_out.abort();
        if let Some(admin) = admin {
            admin.stop(false).await;
        }
        self.services.sign_in.attempt_log.finish(&self.services.store).await;
        served
    }
}

/// Does work that belongs to no request, and begins it anew when it panics: nobody would see that it is not done any more.
async fn keep_at(what: &str, mut work: impl AsyncFnMut()) {
    while AssertUnwindSafe(work()).catch_unwind().await.is_err() {
        error!("{what} panicked and is begun anew");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn bind_admin(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let (listener, address) = bind("[admin] listen", address)?;
    info!(address:%; "health and metrics");
    if !address.ip().is_loopback() {
        warn!(
            "[admin] listens on {address}, where others may reach it, and requires no key: use loopback or a private network"
        );
    }
    Ok((listener, address))
}

/// What to do when an address is taken.
fn advice(cause: &std::io::Error) -> &'static str {
    match cause.kind() {
        std::io::ErrorKind::AddrInUse => {
            ": another program, perhaps the demo, listens there: stop it or choose another port"
        }
        _ => "",
    }
}

fn bind(key: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |cause| StartError::Listen { key, address, cause };
    let listener = listen(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Binds the socket as the standard library does, but for the number of connections that may wait to
/// be accepted: its 128 are too few for a burst, and who finds no place tries again only after a second.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    // Who sends requests and takes no answers is let go, within a minute: else they pile up in memory for ever.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(30)))?;
    socket.listen(2_048)?;
    Ok(socket.into())
}

/// Makes the organisations and keys of the database those of the configuration.
fn apply_organisations(database: &mut Database, config: &Config, clock: &Clock) -> Result<(), StoreError> {
    let now = clock.now();
    database.write(|tx| {
        let mut present = Vec::new();
        for configured in &config.organisations {
            let organisation = tx.upsert_organisation(configured.name.as_str(), now)?;
            for key in &configured.api_keys {
                present.push(key.digest());
                let new = NewKey { organisation, key, permissions: &Permissions::ALL, expires_at: None };
                match tx.upsert_config_key(&new, now)? {
                    ConfigKey::InForce => {}
                    ConfigKey::MovedFrom(before) => warn!(
                        "the key {} is now one of {}; the customers, sessions and bans of {before} stay where they are",
                        key.label(),
                        configured.name.as_str()
                    ),
                    ConfigKey::NotInForce => warn!(
                        "the key {} in the configuration is not in force: it was revoked, rotated, or created for \
                         another organisation, on the command line; remove it from the file",
                        key.label()
                    ),
                }
            }
        }
        match tx.revoke_config_keys_except(&present, now)? {
            0 => {}
            count => info!(count; "revoked keys that have left the configuration"),
        }
        let mut in_force = tx.list_keys()?;
        in_force.retain(|key| key.state(now) == KeyState::Active);
        for key in &in_force {
            if !config.has_organisation(&key.organisation_name) {
                warn!(
                    key = key.label(), organisation = key.organisation_name;
                    "a key made on the command line is in force, although its organisation is not in the configuration"
                );
            }
        }
        if in_force.is_empty() {
            let first =
                if config.organisations.is_empty() { "add an [[organisation]] to the configuration and " } else { "" };
            warn!("no API key is in force, so every request gets a 401: {first}make a key with magic-auth key create");
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::TcpStream;

    use socket2::SockRef;

    use super::*;

    /// PocketBase #7762: a panic in a worker.
    #[actix_web::test]
    async fn work_that_panics_is_begun_anew() {
        let begun = Cell::new(0);
        keep_at("a test", async || {
            begun.set(begun.get() + 1);
            assert!(begun.get() > 1, "a panic of a worker");
        })
        .await;
        assert_eq!(begun.get(), 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_lets_go_of_who_takes_no_answers() {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let _there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, _) = listener.accept().unwrap();
        assert_eq!(SockRef::from(&here).tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
    }
}

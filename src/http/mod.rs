//! The HTTP side: what a request looks like and how it is answered. One file for each endpoint.
//!
//! A request passes [`access_log`] (request id, one log line), the list in [`routes`], and
//! [`api_key`] (key, quota, permission); then its endpoint decodes, calls one use case, and encodes.

mod access_log;
mod account_info;
mod admin;
mod api_key;
mod body;
mod connection;
mod docs;
mod fields;
mod forwarded;
mod ip;
mod logout;
mod openapi;
mod ping;
mod reply;
mod routes;
mod schema;
mod secrets;
mod sign_in;
mod unread_body;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::Server;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use actix_web::middleware::{Compat, Condition, from_fn};
use actix_web::{App, HttpServer, web};
use utoipa::openapi::OpenApi;

use crate::clock::Clock;
use crate::config::Origin;
use crate::domain::Network;
use crate::intelligence::Intelligence;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::session::Sessions;
use crate::sign_in::SignIn;
use crate::store::Store;
pub use admin::serve_admin;
pub use ip::IpAnswer;
pub(crate) use reply::retry_after_seconds;

/// For the head of a connection's first request. (A body has a deadline of its own.)
const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// For how long an idle connection is kept: longer than clients keep theirs, so that they close
/// first and no request is sent into a connection that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// At the end, for requests that are under way. What is not done by then is cut off: nobody has been told
/// that it succeeded.
const SHUTDOWN_DEADLINE_SECS: u64 = 6;

/// The whole description, as indented JSON.
///
/// # Errors
/// When it is no JSON: never, but for a mistake in this program.
pub fn document() -> serde_json::Result<String> {
    description().to_pretty_json()
}

fn description() -> OpenApi {
    let mut description = openapi::base();
    routes::describe(&mut description);
    description
}

/// What the endpoints work with; one for the whole server.
#[derive(Debug)]
pub struct Services {
    /// The keys in force.
    pub keys: Keys,
    /// The main use case.
    pub sign_in: SignIn,
    /// The use cases of a session.
    pub sessions: Sessions,
    /// Who is behind addresses.
    pub intelligence: Arc<Intelligence>,
    /// The database.
    pub store: Store,
    /// What is counted and measured.
    pub metrics: Arc<Metrics>,
    /// Whether the server has been told to stop.
    pub is_stopping: AtomicBool,
    /// The time.
    pub clock: Clock,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
}

/// Lets the pages of these origins call the service from a browser, and read what its answers say.
fn cors(allowed_origins: &[Origin]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST"])
        .allowed_headers([AUTHORIZATION, CONTENT_TYPE])
        .allowed_header("x-request-id")
        .expose_headers(["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id"])
        .expose_headers([RETRY_AFTER])
        .max_age(3_600);
    allowed_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin.as_str()))
}

/// Serves on `listener` until `stop` completes; then ends what is under way.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(
    listener: TcpListener,
    services: web::Data<Services>,
    workers: usize,
    allowed_origins: Vec<Origin>,
    stop: impl Future<Output = ()> + 'static,
) -> std::io::Result<Server> {
    let stopping = services.clone();
    let app = move || {
        App::new()
            .app_data(services.clone())
            .configure(routes::configure)
            .service(docs::page())
            .default_service(web::to(routes::not_found))
            .wrap(Compat::new(Condition::new(!allowed_origins.is_empty(), cors(&allowed_origins))))
            .wrap(from_fn(access_log::log_request))
    };
    let server = HttpServer::new(app)
        .workers(workers)
        .max_connections(connection::max_per_worker(workers))
        .client_request_timeout(HEAD_DEADLINE)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(SHUTDOWN_DEADLINE_SECS)
        .disable_signals()
        .on_connect(connection::watch)
        .listen(listener)?
        .run();
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        stop.await;
        stopping.is_stopping.store(true, Ordering::Relaxed);
        handle.stop(true).await;
    });
    Ok(server)
}

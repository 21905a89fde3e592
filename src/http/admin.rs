//! The operator's own port (`[admin] listen`): whether the server lives and is ready, and what it measures.

use std::future::{Ready, ready};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::{Server, Service as _};
use actix_web::http::header::{ACCEPT, CONTENT_TYPE};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Route, guard, web};
use log::error;
use parking_lot::Mutex;
use serde::Serialize;

use super::Services;
use super::connection::{self, Answering};
use crate::metrics::{Format, Levels};

/// A writer that has not answered by then is not ready to serve anybody.
const PATIENCE: Duration = Duration::from_secs(2);

/// Some monitors and load balancers; that many have descriptors among those of the server itself.
const MAX_CONNECTIONS: usize = 16;

/// Serves on a listener of its own, which must not be the public one.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve_admin(listener: TcpListener, services: web::Data<Services>) -> std::io::Result<Server> {
    let session_count = web::Data::new(SessionCount::default());
    let app = move || {
        App::new()
            .app_data(services.clone())
            .app_data(session_count.clone())
            .route("/health/live", get().to(live))
            .route("/health/ready", get().to(readiness))
            .route("/metrics", get().to(metrics))
            .wrap_fn(|request, service| {
                let answering = Answering::new(request.conn_data());
                let answer = service.call(request);
                async {
                    let answer = answer.await;
                    drop(answering);
                    answer
                }
            })
    };
    let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(1);
    let server = server.max_connections(MAX_CONNECTIONS).on_connect(connection::watch);
    Ok(server.listen(listener)?.run())
}

/// `GET`, and `HEAD`, by which some monitors ask.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The process answers: that is all that is asked.
fn live() -> Ready<HttpResponse> {
    ready(HttpResponse::Ok().json(Health { status: "ok", reason: None }))
}

/// Whether sign-ins would succeed: the server is not about to stop, and what the writer writes reaches the disk.
async fn readiness(services: web::Data<Services>) -> HttpResponse {
    let reason = if services.is_stopping.load(Ordering::Relaxed) {
        Some("the server is stopping".to_owned())
    } else {
        match tokio::time::timeout(PATIENCE, services.store.prove_writing()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("the disk has not answered for {} s", PATIENCE.as_secs())),
        }
    };
    match reason {
        None => HttpResponse::Ok().json(Health { status: "ok", reason }),
        Some(_) => HttpResponse::ServiceUnavailable().json(Health { status: "unavailable", reason }),
    }
}

async fn metrics(
    services: web::Data<Services>,
    session_count: web::Data<SessionCount>,
    request: HttpRequest,
) -> HttpResponse {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::of_accept(accept);
    let levels = Levels {
        throttled_networks: services.sign_in.throttle.count_networks(),
        throttled_mailboxes: services.sign_in.throttle.count_mailboxes(),
        wal_bytes: services.store.wal_size(),
        sessions: session_count.into_inner().get(&services).await,
        geoip_ages: services.intelligence.geoip.ages(services.clock.now()),
    };
    match services.metrics.encode(&levels, format) {
        Ok(text) => HttpResponse::Ok().insert_header((CONTENT_TYPE, format.content_type())).body(text),
        Err(error) => {
            error!("the metrics cannot be written: {error}");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// How many sessions there are, counted once a minute at most, for counting reads them all.
#[derive(Debug, Default)]
struct SessionCount {
    /// The count, and when it was made by the steady clock.
    last: Mutex<Option<(u64, Duration)>>,
    is_counting: AtomicBool,
}

impl SessionCount {
    const MAX_AGE: Duration = Duration::from_mins(1);

    async fn get(self: Arc<Self>, services: &web::Data<Services>) -> Option<u64> {
        let now = services.clock.steady();
        let is_due = self.last.lock().is_none_or(|(_, counted_at)| now >= counted_at + Self::MAX_AGE);
        if is_due && !self.is_counting.swap(true, Ordering::Relaxed) {
            let (this, services) = (self.clone(), services.clone());
            let counted = web::block(move || {
                let count = services.store.read(|tx| tx.count_sessions());
                *this.last.lock() = count.ok().map(|count| (count, now));
                this.is_counting.store(false, Ordering::Relaxed);
            });
            // What takes longer is told to whoever asks next.
            let _ = tokio::time::timeout(PATIENCE, counted).await;
        }
        self.last.lock().map(|(count, _)| count)
    }
}

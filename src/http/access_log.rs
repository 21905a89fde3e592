//! The outermost layer: a request id for every request, and one log line without secrets.
//!
//! The line has the route's pattern and never the URL, for keys and identity ids stand in URLs.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, web};
use log::{error, info};

use super::Services;
use super::api_key::{Caller, RefusedKey};
use super::connection::{Answering, close_after};
use super::forwarded::client_address;
use super::reply::{ApiError, ReplyCode};
use super::secrets::may_be_secret;
use super::unread_body::ChunkedBody;

/// The name of a request: the caller's `X-Request-Id` when it is 1 to 64 of `[A-Za-z0-9._-]` and has no
/// secret in it, else a random one. It goes back in the same header and into every log line about the request.
#[derive(Clone, Debug)]
pub(super) struct RequestId(Rc<str>);

impl RequestId {
    const HEADER: HeaderName = HeaderName::from_static("x-request-id");
    const MAX_LENGTH: usize = 64;

    fn of(request: &ServiceRequest) -> Self {
        let is_allowed = |text: &&str| {
            (1..=Self::MAX_LENGTH).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
                && !may_be_secret(text)
        };
        let sent = request.headers().get(Self::HEADER).and_then(|value| value.to_str().ok()).filter(is_allowed);
        let random = || nanoid::format(nanoid::rngs::thread_local, &nanoid::alphabet::SAFE, 16);
        Self(sent.map_or_else(|| random().into(), Into::into))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromRequest for RequestId {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.extensions().get::<Self>().cloned();
        ready(Ok(id.unwrap_or_else(|| Self("-".into()))))
    }
}

/// The address that a sign-in named, masked: for the log line of its request.
#[derive(Debug)]
pub(super) struct LoggedEmail(pub(super) String);

/// Answers the request, gives the answer its id, and logs it.
pub(super) async fn log_request(
    services: web::Data<Services>,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let started = services.clock.steady();
    let _answering = Answering::new(request.conn_data());
    let id = RequestId::of(&request);
    request.extensions_mut().insert(id.clone());
    let chunked = ChunkedBody::of(&mut request);
    let wants_upgrade = request.head().upgrade();
    let mut response = next.call(request).await?;
    if wants_upgrade {
        // The HTTP layer closes the connection of a request that would like another protocol, and does not say so: the
        // next request would be sent into it.
        close_after(&mut response);
    }
    if let Some(body) = chunked {
        body.close_if_unread(&mut response);
    }
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(RequestId::HEADER, value);
    }
    log_response(&response, &id, services.clock.steady().saturating_sub(started), &services);
    Ok(response)
}

/// `OPTIONS` and `CONNECT`. Anything longer is whatever somebody likes to write into the log.
const LONGEST_METHOD: usize = 7;

fn log_response(response: &ServiceResponse, id: &RequestId, duration: Duration, services: &Services) {
    let request = response.request();
    let status = response.status().as_u16();
    let peer = request.peer_addr().map_or(IpAddr::from(Ipv4Addr::UNSPECIFIED), |address| address.ip());
    let extensions = request.extensions();
    let caller = extensions.get::<Caller>();
    let refused_key = extensions.get::<RefusedKey>();
    let code = response.response().extensions().get::<ReplyCode>().map_or("-", |code| code.0);
    if let Some(ApiError::Internal(cause)) = response.response().error().and_then(|error| error.as_error()) {
        error!(request_id = id.as_str(); "a request failed: {cause}");
    }
    let route = request.match_pattern().unwrap_or_else(|| "-".to_owned());
    info!(
        request_id = id.as_str(),
        method = Some(request.method().as_str()).filter(|method| method.len() <= LONGEST_METHOD).unwrap_or("-"),
        route = route.as_str(),
        status,
        code,
        duration_ms = (duration.as_secs_f64() * 1e6).round() / 1e3,
        client:% = client_address(peer, request.headers(), &services.trusted_proxies),
        organisation = caller.map(|caller| caller.organisation_name.as_str()),
        key = caller.map(|caller| caller.label.as_str()).or(refused_key.map(|key| key.0.as_str())),
        email = extensions.get::<LoggedEmail>().map(|email| email.0.as_str());
        "answered"
    );
    services.metrics.count_request(route, status, duration);
}

//! The guard of every route: which API key was sent, whether it is in force, its quota, and what it may do.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use actix_web::http::{Method, Uri};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, web};
use log::debug;

use super::connection::close_after;
use super::fields::{Fields, Value};
use super::reply::ApiError;
use super::{Services, body};
use crate::domain::{ApiKey, Permission};
use crate::keys::{Key, QuotaState};

/// Who calls: the key, which is in force, within its quota, and may do what it calls for.
#[derive(Clone, Debug)]
pub(super) struct Caller(Arc<Key>);

impl Deref for Caller {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.0
    }
}

/// How the log names a key that is not in force: `key list` says why it is not.
pub(super) struct RefusedKey(pub(super) String);

/// The fields of the body, read by the guard, for the key may be among them. Extracting it fails with what is wrong with
/// the body.
pub(super) struct Body(pub(super) Fields);

/// Lets a request through with a key that is in force, has quota left and may do what the route `needs`, and
/// tells the quota with the answer.
pub(super) async fn authenticate(
    needs: Option<Permission>,
    services: web::Data<Services>,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let body = match *request.method() {
        Method::POST => body::receive(&mut request).await,
        _ => Ok(Fields::default()),
    };
    let is_unread = body.as_ref().is_err_and(ApiError::leaves_body_unread);
    let mut response = answer(&services, needs, request, body, next).await?;
    if is_unread {
        // Else the rest would be waited for, for as long as it takes to come.
        close_after(&mut response);
    }
    Ok(response)
}

async fn answer(
    services: &Services,
    needs: Option<Permission>,
    request: ServiceRequest,
    body: Result<Fields, ApiError>,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let presented = presented_key(request.query_string(), body.as_ref().ok(), request.headers());
    let presented = presented.and_then(|text| ApiKey::parse(&text).ok());
    let found = match &presented {
        Some(key) if key.is_demo() && !is_for_this_machine(request.headers()) => {
            debug!("a demo key opens nothing to another host or to a page of one");
            Ok(None)
        }
        Some(key) => services.keys.find(key, &services.store),
        None => Ok(None),
    };
    let key = match found {
        Ok(Some(key)) => key,
        Ok(None) => {
            if let Some(key) = presented {
                request.extensions_mut().insert(RefusedKey(key.label()));
            }
            return Ok(request.error_response(ApiError::UnknownKey));
        }
        Err(error) => return Ok(request.error_response(ApiError::from(error))),
    };
    let quota = key.take();
    let refusal = match quota.and_then(|quota| quota.retry_after) {
        Some(retry_after) => Some(ApiError::RateLimitExceeded { retry_after }),
        None => needs.filter(|needed| !key.may(*needed)).map(|lacking| ApiError::PermissionDenied { lacking }),
    };
    request.extensions_mut().insert(Caller(key));
    request.extensions_mut().insert(body);
    let mut response = match refusal {
        Some(error) => request.error_response(error),
        None => next.call(request).await?,
    };
    if let Some(quota) = quota {
        tell_quota(response.headers_mut(), quota);
    }
    Ok(response)
}

/// Whether the request is for this machine and, when a browser says which page it is of, for a page of this machine. A demo
/// key, which everybody knows, opens nothing else: a page of anybody that somebody looks at here can have the browser call
/// this server, also by a name of the page's own (DNS rebinding).
fn is_for_this_machine(headers: &HeaderMap) -> bool {
    [HOST, ORIGIN].iter().filter_map(|name| headers.get(name)).all(|value| {
        let uri = value.to_str().ok().and_then(|text| text.parse::<Uri>().ok());
        uri.as_ref().and_then(Uri::host).is_some_and(names_this_machine)
    })
}

fn names_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// The first key that is there, in the query, the body or the header `Authorization`. An empty one
/// counts as absent; of several in the query the first counts.
fn presented_key(query: &str, body: Option<&Fields>, headers: &HeaderMap) -> Option<String> {
    let in_query = query_value(query, "apiKey");
    let in_body = || match body?.get("apiKey")? {
        Value::Text(key) => Some(key.clone()).filter(|key| !key.is_empty()),
        Value::Null => None,
        // It is there, and no key.
        Value::NotUtf8 | Value::Other => Some(String::new()),
    };
    in_query.or_else(in_body).or_else(|| bearer(headers))
}

/// The first value of a query parameter that is not empty.
pub(super) fn query_value(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(found, value)| found == name && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn tell_quota(headers: &mut HeaderMap, quota: QuotaState) {
    let mut tell = |name, value: i64| headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    tell("x-ratelimit-limit", quota.limit.into());
    tell("x-ratelimit-remaining", quota.remaining.into());
    tell("x-ratelimit-reset", quota.full_at.as_secs_rounded_up());
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Self>().cloned().ok_or(ApiError::UnknownKey))
    }
}

impl FromRequest for Body {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let received = request.extensions_mut().remove::<Result<Fields, ApiError>>();
        ready(received.unwrap_or(Ok(Fields::default())).map(Self))
    }
}

//! The list of routes: each path once, with its method and its guard.

use std::future::{Ready, ready};

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, guard, web};

use super::reply::ApiError;
use super::{account_info, api_key, logout, ping, sign_in};

/// Every route of the service. All of them need an API key.
pub(super) fn configure(routes: &mut web::ServiceConfig) {
    routes
        .service(post("/api/v1/customer/magic-auth", sign_in::handle))
        .service(post("/contact/v1/magic-auth", sign_in::handle))
        .service(get("/api/v1/customer/get-account-info", account_info::handle))
        .service(get("/contact/v1/get-account-info", account_info::handle))
        .service(post("/api/v1/customer/logout", logout::handle))
        .service(get("/api/v1/ping", ping::handle))
        .service(get("/ping/v1", ping::handle));
}

/// What every other path answers.
pub(super) fn not_found() -> Ready<Result<HttpResponse, ApiError>> {
    ready(Err(ApiError::RouteDoesNotExist))
}

fn post<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = web::method(Method::POST).to(handler).wrap(from_fn(api_key::authenticate));
    web::resource(path).route(route).default_service(web::to(|| method_not_allowed("POST")))
}

fn get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let reading = guard::Any(guard::Get()).or(guard::Head());
    let route = web::route().guard(reading).to(handler).wrap(from_fn(api_key::authenticate));
    web::resource(path).route(route).default_service(web::to(|| method_not_allowed("GET, HEAD")))
}

fn method_not_allowed(allow: &'static str) -> Ready<Result<HttpResponse, ApiError>> {
    ready(Err(ApiError::MethodNotAllowed { allow }))
}

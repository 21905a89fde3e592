//! The list of routes: each path once, with its method, its guard, its handler and its description.

use std::future::{Ready, ready};
use std::sync::LazyLock;

use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, Resource, guard, web};
use utoipa::openapi::OpenApi;
use utoipa_actix_web::OpenApiFactory;

use super::reply::ApiError;
use super::{account_info, api_key, docs, ip, logout, openapi, ping, sign_in};
use crate::domain::Permission::{self, AccountInfo, Ip, Logout, SignIn};

/// A line of the list: the endpoint is the module whose `handle` answers.
macro_rules! route {
    ($path:literal, $operation_id:literal, $methods:ident, $guard:expr, $endpoint:ident) => {
        Route {
            path: $path,
            operation_id: $operation_id,
            guard: $guard,
            resource: resource($path, $methods, $guard.wrap(web::to($endpoint::handle))),
            description: Box::new($endpoint::__path_handle),
        }
    };
}

/// Every described route. (The page that shows the description is [`super::docs::page`].)
fn list() -> Vec<Route> {
    vec![
        route!("/api/v1/customer/magic-auth", "magicAuth", POST, KeyThatMay(SignIn), sign_in),
        route!("/contact/v1/magic-auth", "contactMagicAuth", POST, KeyThatMay(SignIn), sign_in),
        route!("/api/v1/customer/get-account-info", "getAccountInfo", GET, KeyThatMay(AccountInfo), account_info),
        route!("/contact/v1/get-account-info", "contactGetAccountInfo", GET, KeyThatMay(AccountInfo), account_info),
        route!("/api/v1/customer/logout", "logout", POST, KeyThatMay(Logout), logout),
        route!("/api/v1/ip", "ip", GET, KeyThatMay(Ip), ip),
        route!("/api/v1/ping", "ping", GET, AnyKey, ping),
        route!("/ping/v1", "pingShort", GET, AnyKey, ping),
        route!("/openapi.json", "openApi", GET, Open, docs),
    ]
}

/// Serves every route.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    for route in list() {
        config.service(route.resource);
    }
}

/// Describes every route.
pub(super) fn describe(description: &mut OpenApi) {
    for route in list() {
        route.describe(description);
    }
}

/// A route that is served and described.
struct Route {
    path: &'static str,
    operation_id: &'static str,
    guard: Guard,
    resource: Resource,
    description: Box<dyn OpenApiFactory>,
}

impl Route {
    /// Adds what the handler says of itself, under this route's path and name.
    fn describe(&self, description: &mut OpenApi) {
        for mut item in self.description.paths().paths.into_values() {
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                operation.operation_id = Some(self.operation_id.to_owned());
                match self.guard {
                    Open => {}
                    AnyKey => openapi::complete(operation, None),
                    KeyThatMay(permission) => openapi::complete(operation, Some(permission)),
                }
            }
            description.paths.paths.insert(self.path.to_owned(), item);
        }
        let mut schemas = Vec::new();
        self.description.schemas(&mut schemas);
        description.components.get_or_insert_default().schemas.extend(schemas);
    }
}

/// The methods of a route. Those that read answer HEAD too.
#[derive(Clone, Copy)]
enum Methods {
    Get,
    Post,
}

use Methods::{Get as GET, Post as POST};

impl Methods {
    fn contain(self, method: &Method) -> bool {
        match self {
            GET => [Method::GET, Method::HEAD].contains(method),
            POST => *method == Method::POST,
        }
    }

    fn allow(self) -> &'static str {
        match self {
            GET => "GET, HEAD, OPTIONS",
            POST => "POST, OPTIONS",
        }
    }
}

/// Whom a route answers.
#[derive(Clone, Copy)]
enum Guard {
    /// Everybody.
    Open,
    /// Who has a key in force.
    AnyKey,
    /// Who has a key with this permission.
    KeyThatMay(Permission),
}

use Guard::{AnyKey, KeyThatMay, Open};

impl Guard {
    /// Puts the guard before a handler.
    fn wrap(self, handler: actix_web::Route) -> actix_web::Route {
        let needs = match self {
            Open => return handler,
            AnyKey => None,
            KeyThatMay(permission) => Some(permission),
        };
        handler.wrap(from_fn(move |services, request, next| api_key::authenticate(needs, services, request, next)))
    }
}

fn resource(path: &str, methods: Methods, route: actix_web::Route) -> Resource {
    let is_one_of = guard::fn_guard(move |context| methods.contain(&context.head().method));
    let others = web::to(move |request: HttpRequest| other_method(&request, methods.allow()));
    web::resource(path).route(route.guard(is_one_of)).default_service(others)
}

/// OPTIONS says which methods there are (RFC 9110, section 9.3.7); any other is not one of them.
fn other_method(request: &HttpRequest, allow: &'static str) -> Ready<Result<HttpResponse, ApiError>> {
    ready(match *request.method() {
        Method::OPTIONS => Ok(HttpResponse::NoContent().insert_header((ALLOW, allow)).finish()),
        _ => Err(ApiError::MethodNotAllowed { allow }),
    })
}

/// The paths that there are, to help who missed one.
static PATHS: LazyLock<Vec<&'static str>> = LazyLock::new(|| list().into_iter().map(|route| route.path).collect());

/// What every other path answers: with the nearest path, when one is near.
#[expect(clippy::needless_pass_by_value, reason = "a handler is given what it asks for")]
pub(super) fn not_found(request: HttpRequest) -> Ready<Result<HttpResponse, ApiError>> {
    let path: String = request.path().chars().take(100).collect::<String>().to_lowercase();
    let similarity = |known: &&str| strsim::normalized_levenshtein(&path, known);
    let nearest = PATHS.iter().copied().max_by(|one, other| similarity(one).total_cmp(&similarity(other)));
    let nearest = nearest.filter(|nearest| similarity(nearest) >= 0.6);
    ready(Err(ApiError::RouteDoesNotExist { nearest }))
}

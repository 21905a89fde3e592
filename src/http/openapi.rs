//! The OpenAPI 3.1 description, made of what serves the requests: the types of the answers, and the errors as
//! [`ApiError`] answers them. The list of routes puts it together.

use std::time::Duration;

use actix_web::ResponseError as _;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, ContentBuilder, Header, Ref, RefOr, Required, Response, ResponseBuilder, Server};
use utoipa::{OpenApi, PartialSchema as _};

use super::fields::problem;
use super::reply::{ApiError, Problem, RateLimitDetails};
use super::schema::{Always, one_of};
use crate::domain::Permission;
use crate::store::StoreError;

/// What the description says of the service as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "magic-auth",
        description = "Passwordless customer sign-in: a trusted backend names an e-mail address and gets an identity \
            session, or one of seven documented error codes.\n\n\
            Every request but those for this description needs an **API key**: as the query parameter `apiKey`, as the \
            field `apiKey` of the request body, or as `Authorization: Bearer`. The first of them that is there counts, \
            in this order. (OpenAPI has no security scheme for the second.) A key may be limited to some of the \
            operations: each says with its 403 what it needs.\n\n\
            With a `DEV_` key, and only with one, the addresses `e001@magic.test` to `e007@magic.test` answer with that \
            code, and `ok@magic.test` with a session of a sandbox customer. None of this counts, except in the key's quota.",
        license(name = "MIT", identifier = "MIT")
    ),
    tags(
        (name = "customer", description = "Signing customers in and out"),
        (name = "service", description = "The service itself")
    ),
    components(schemas(Problem, RateLimitDetails))
)]
struct Description;

const QUERY_KEY: &str = "apiKey";
const BEARER_KEY: &str = "bearer";

/// The description without the routes, which the list of routes adds.
pub(super) fn base() -> utoipa::openapi::OpenApi {
    let mut base = Description::openapi();
    base.servers = Some(vec![Server::new("/")]);
    let components = base.components.get_or_insert_with(Components::new);
    let query = ApiKeyValue::with_description(QUERY_KEY, "The API key in the query, as the platform's clients send it");
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The API key as a bearer token"));
    components.add_security_scheme(QUERY_KEY, SecurityScheme::ApiKey(ApiKey::Query(query)));
    components.add_security_scheme(BEARER_KEY, SecurityScheme::Http(bearer.build()));
    base
}

/// Adds to an operation with a key what all of them have in common: the key, the answers to a request that
/// does not reach its use case (also for a key without the permission that it `needs`), and the headers.
pub(super) fn complete(operation: &mut Operation, needs: Option<Permission>) {
    operation.security = Some(vec![key_in(QUERY_KEY), key_in(BEARER_KEY)]);
    let mut errors = vec![
        ApiError::UnknownKey,
        ApiError::RateLimitExceeded { retry_after: Duration::from_secs(36) },
        ApiError::Internal(StoreError::Stopped),
    ];
    errors.extend(needs.map(|lacking| ApiError::PermissionDenied { lacking }));
    if operation.request_body.is_some() {
        errors.extend([
            ApiError::BodyBroken,
            ApiError::BodyTimedOut,
            ApiError::BodyTooLarge,
            ApiError::UnsupportedMediaType,
            ApiError::ValidationFailed(vec![problem("email", "is required")]),
            ApiError::Overloaded,
        ]);
    }
    let is_required =
        |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(parameter) if parameter.required == Required::True);
    if operation.parameters.iter().flatten().any(is_required) {
        errors.push(ApiError::ValidationFailed(Vec::new()));
    }
    for error in &errors {
        let response = RefOr::T(error_response(error));
        operation.responses.responses.insert(error.status_code().as_str().to_owned(), response);
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            let has_quota = status != ApiError::UnknownKey.status_code().as_str();
            add_common_headers(response, has_quota);
        }
    }
}

fn key_in(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new::<_, [&str; 0], &str>(scheme, [])
}

/// The answer to an error: its envelope with the one code it has.
fn error_response(error: &ApiError) -> Response {
    let mut envelope = ObjectBuilder::new()
        .property("success", Always::<false>::schema())
        .property("errorCode", one_of([error.code()], "What went wrong, for programs."))
        .property("message", text("What went wrong, for people."))
        .required("success")
        .required("errorCode")
        .required("message");
    match error {
        ApiError::ValidationFailed(_) => {
            let problems = ArrayBuilder::new().items(Ref::from_schema_name("Problem")).min_items(Some(1));
            envelope = envelope.property("details", problems).required("details");
        }
        ApiError::RateLimitExceeded { .. } => {
            envelope = envelope.property("error", Ref::from_schema_name("RateLimitDetails")).required("error");
        }
        _ => {}
    }
    let mut response = ResponseBuilder::new()
        .description(error.to_string())
        .content("application/json", ContentBuilder::new().schema(Some(Schema::Object(envelope.build()))).build());
    match error {
        ApiError::UnknownKey => {
            let scheme = one_of(["Bearer"], "The scheme in which a header can name a key.");
            response = response.header("WWW-Authenticate", Header::builder().schema(Some(scheme)).build());
        }
        ApiError::RateLimitExceeded { .. } | ApiError::Overloaded => {
            response = response.header("Retry-After", number("Whole seconds after which a request passes", 1));
        }
        _ => {}
    }
    response.build()
}

fn add_common_headers(response: &mut Response, has_quota: bool) {
    let mut add = |name: &str, header: Header| {
        response.headers.insert(name.to_owned(), RefOr::T(header));
    };
    let id = "The request's X-Request-Id when it is 1 to 64 of [A-Za-z0-9._-] and has nothing in it that could be a key or an identity id, else a random one";
    add("X-Request-Id", Header::builder().schema(Some(text(""))).description(Some(id)).build());
    if has_quota {
        add("X-RateLimit-Limit", number("The size of the key's bucket of requests; absent for a key without quota", 1));
        add("X-RateLimit-Remaining", number("The requests left in the bucket", 0));
        add("X-RateLimit-Reset", number("The Unix second at which the bucket is full again", 0));
    }
}

fn number(description: &str, minimum: i32) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(minimum));
    Header::builder().schema(Some(schema)).description(Some(description)).build()
}

fn text(description: &str) -> Object {
    let description = Some(description).filter(|text| !text.is_empty());
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).description(description).build()
}

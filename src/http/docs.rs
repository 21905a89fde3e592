//! The description of the API: `GET /openapi.json` for programs, `GET /docs` for people, to read and to
//! try. Both need no key, and no byte of them comes from elsewhere.

use std::future::{Ready, ready};
use std::sync::LazyLock;

use actix_web::dev::HttpServiceFactory;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, LOCATION, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::DefaultHeaders;
use actix_web::{HttpResponse, web};
use log::error;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// The page runs its own scripts, talks to its own server, and nothing else. (Its widgets set styles on
/// elements, and its icons are `data:` images.)
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The description as it is served. It is made when somebody first asks for it: most servers are never asked, and it
/// takes two MiB of memory to make.
static DOCUMENT: LazyLock<web::Bytes> = LazyLock::new(|| match super::description().to_json() {
    Ok(document) => document.into(),
    Err(error) => {
        error!("the description of the API is no JSON: {error}");
        web::Bytes::new()
    }
});

/// Read this description
///
/// OpenAPI 3.1, for generators of clients. `/docs` shows it to people.
#[utoipa::path(
    get,
    path = "",
    tag = "service",
    security(()),
    responses((status = 200, body = Object, content_type = "application/json", description = "This description"))
)]
pub(super) fn handle() -> Ready<HttpResponse> {
    ready(HttpResponse::Ok().content_type("application/json").body(DOCUMENT.clone()))
}

/// `/docs/`: the page and what it loads.
pub(super) fn page() -> impl HttpServiceFactory {
    // Without `none`, it would ask a server of others to validate the description.
    let config = Config::new(["/openapi.json"]).try_it_out_enabled(true).validator_url("none");
    let headers = DefaultHeaders::new().add((CONTENT_SECURITY_POLICY, POLICY)).add((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    web::scope("/docs")
        .service(
            web::resource("")
                .to(|| ready(HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish())),
        )
        .service(SwaggerUi::new("/{_:.*}").config(config))
        .wrap(headers)
}

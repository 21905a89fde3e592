//! `GET /api/v1/ip`: who is behind an address.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{Required, Schema};
use utoipa::{IntoParams, ToSchema};

use super::Services;
use super::api_key::{Caller, query_value};
use super::fields::problem;
use super::reply::{ApiError, json};
use super::schema::{Always, ip_addresses};
use crate::domain::parse_ip;
use crate::geoip::IpFacts;

/// What is asked.
struct Asked;

impl IntoParams for Asked {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let ip = Parameter::builder()
            .name("ip")
            .parameter_in(ParameterIn::Query)
            .required(Required::True)
            .description(Some("An IPv4 or IPv6 address"))
            .example(Some("8.8.8.8".into()))
            .schema(Some(Schema::from(ip_addresses())));
        vec![ip.build()]
    }
}

/// Ask who is behind an address
///
/// What the operator's databases and lists say of it, with the source and date of each fact, and its name in the
/// DNS. What is not known is null.
#[utoipa::path(
    get,
    path = "",
    tag = "service",
    params(Asked),
    responses((status = 200, body = IpAnswer, description = "What is known of the address"))
)]
pub(super) async fn handle(
    services: web::Data<Services>,
    caller: Caller,
    http: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let Some(text) = query_value(http.query_string(), "ip") else {
        return Err(ApiError::ValidationFailed(vec![problem("ip", "is required")]));
    };
    // As it stands there, and not as the address of a customer: of any address it can be asked what it is.
    let ip = parse_ip(&text);
    let ip = ip.map_err(|error| ApiError::ValidationFailed(vec![problem("ip", &error.to_string())]))?;
    let facts = services.intelligence.facts(ip, Some(caller.organisation)).await;
    Ok(json("OK", &IpAnswer::new(facts)))
}

/// The answer to who is behind an address, as the API and the command line give it.
#[derive(Debug, Serialize, ToSchema)]
pub struct IpAnswer {
    #[schema(inline)]
    success: Always<true>,
    /// What is known.
    #[serde(flatten)]
    pub facts: IpFacts,
}

impl IpAnswer {
    /// The answer with these facts.
    #[must_use]
    pub fn new(facts: IpFacts) -> Self {
        Self { success: Always, facts }
    }
}

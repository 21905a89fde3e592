//! `GET /api/v1/customer/get-account-info`

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::Services;
use super::api_key::{Caller, query_value};
use super::reply::{ApiError, json};
use crate::domain::IdentityId;
use crate::store::Account;

pub(super) async fn handle(
    services: web::Data<Services>,
    caller: Caller,
    http: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let identity = query_value(http.query_string(), "identityId").and_then(|text| IdentityId::parse(&text).ok());
    let account = match &identity {
        Some(identity) => services.sessions.find_account(&caller, identity, &services.store)?,
        None => None,
    };
    let mut response = match (&identity, &account) {
        (Some(identity), Some(account)) => json(StatusCode::OK, "OK", &LoggedIn::new(identity, account)),
        _ => json(StatusCode::OK, "NOT_LOGGED_IN", &NotLoggedIn { logged_in: false }),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotLoggedIn {
    logged_in: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the name is the contract's")]
struct LoggedIn<'a> {
    logged_in: bool,
    identity_id: &'a str,
    cu_ref_no: &'a str,
    /// The platform keeps credit; this service has none.
    credit_balance: u32,
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    company_name: Option<&'a str>,
    /// The platform has paying customers; this service does not tell them apart.
    premium: bool,
    ban: bool,
}

impl<'a> LoggedIn<'a> {
    fn new(identity: &'a IdentityId, account: &'a Account) -> Self {
        Self {
            logged_in: true,
            identity_id: identity.expose(),
            cu_ref_no: &account.cu_ref_no,
            credit_balance: 0,
            email: account.email.as_deref(),
            phone: account.phone.as_deref(),
            first_name: account.first_name.as_deref(),
            last_name: account.last_name.as_deref(),
            company_name: account.company_name.as_deref(),
            premium: false,
            ban: account.is_banned,
        }
    }
}

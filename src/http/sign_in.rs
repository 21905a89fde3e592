//! `POST /api/v1/customer/magic-auth`

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use log::error;
use serde::Serialize;

use super::Services;
use super::access_log::{LoggedEmail, RequestId};
use super::api_key::{Body, Caller};
use super::fields::Fields;
use super::reply::{ApiError, json, retry_after_seconds};
use crate::domain::{ClientIp, EmailAddress, PersonName, PersonNameError, Refusal};
use crate::sign_in::{Answer, Overloaded, Request};

pub(super) async fn handle(
    services: web::Data<Services>,
    caller: Caller,
    body: Body,
    id: RequestId,
    http: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let request = read(body.0)?;
    if let Ok(email) = EmailAddress::parse(&request.email) {
        http.extensions_mut().insert(LoggedEmail(email.masked()));
    }
    let answer = services.sign_in.sign_in(&caller, request, &services.store).await;
    match answer.map_err(|Overloaded| ApiError::Overloaded)? {
        Answer::SignedIn(identity) => {
            Ok(json(StatusCode::OK, "OK", &SignedIn { success: true, identity_id: identity.expose() }))
        }
        Answer::Refused { refusal, retry_after } => {
            let mut response = refused(refusal);
            if let Some(wait) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after_seconds(wait)));
            }
            Ok(response)
        }
        Answer::Failed(cause) => {
            error!(request_id = id.as_str(); "a sign-in failed: {cause}");
            Ok(refused(Refusal::LoginFailed))
        }
    }
}

fn read(fields: Fields) -> Result<Request, ApiError> {
    let mut fields = fields.reader();
    let name = |text: &str| match PersonName::parse(text) {
        Ok(name) => Ok(Some(name)),
        Err(PersonNameError::Empty) => Ok(None),
        Err(error) => Err(error),
    };
    let request = Request {
        email: fields.required("email"),
        first_name: fields.parsed("firstName", name),
        last_name: fields.parsed("lastName", name),
        ip: fields.parsed("customerRealIp", |text| ClientIp::parse(text).map(Some)),
        referral_id: fields.optional("referralId"),
    };
    fields.optional("apiKey");
    fields.finish(request)
}

#[derive(Serialize)]
struct SignedIn<'s> {
    success: bool,
    #[serde(rename = "identityId")]
    identity_id: &'s str,
}

#[derive(Serialize)]
struct Refused {
    success: bool,
    #[serde(rename = "errorCode")]
    error_code: &'static str,
    message: &'static str,
}

/// Every refusal is a 200: clients read the code only from an answer of that kind.
fn refused(refusal: Refusal) -> HttpResponse {
    let body = Refused { success: false, error_code: refusal.code(), message: refusal.message() };
    json(StatusCode::OK, refusal.code(), &body)
}

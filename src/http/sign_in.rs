//! `POST /api/v1/customer/magic-auth`

use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use log::error;
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::Services;
use super::access_log::{LoggedEmail, RequestId};
use super::api_key::{Body, Caller};
use super::fields::Fields;
use super::reply::{ApiError, json, json_not_stored, retry_after_seconds};
use super::schema::{Always, RetryAfter, as_form, ip_addresses, refusal_codes, refusal_messages};
use crate::domain::{ClientIp, EmailAddress, PersonName, PersonNameError, Refusal};
use crate::sign_in::{Answer, Overloaded, Request};

/// Sign a customer in
///
/// Finds or creates the customer who owns the e-mail address and answers with a new identity session, or with
/// one of the documented error codes. Every outcome is a 200; `success` tells them apart.
#[utoipa::path(
    post,
    path = "",
    tag = "customer",
    request_body(content(
        (SignInRequest = "application/json", example = json!({
            "email": "jan@barasek.com",
            "firstName": "Jan",
            "lastName": "Barášek",
            "customerRealIp": "1.1.1.1",
            "referralId": "1cGIHvFoQDGLAbcA"
        })),
        (SignInForm = "application/x-www-form-urlencoded"),
        (SignInForm = "multipart/form-data")
    )),
    responses((
        status = 200,
        body = SignInAnswer,
        description = "Signed in, or the code that says why not",
        headers(
            ("Retry-After" = inline(RetryAfter), description = "With E006: whole seconds before which no attempt is let through"),
            ("Cache-Control" = String, description = "With an identity: no-store")
        ),
        links(("account" = (
            operation_id = "getAccountInfo",
            parameters(("identityId" = "$response.body#/identityId"))
        ))),
        examples(
            ("signed in" = (value = json!({"success": true, "identityId": "Z9CPkS2o3UV163VQn5OUv0T8BQi8Fvdg"}))),
            ("banned" = (value = json!({
                "success": false, "errorCode": "E005", "message": "Customer account has been banned."
            })))
        )
    ))
)]
pub(super) async fn handle(
    services: web::Data<Services>,
    caller: Caller,
    body: Body,
    id: RequestId,
    http: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    // Within a block: what is still held while the disk is waited for makes every request's state larger.
    let signing_in = {
        let request = read(body.0)?;
        if let Some(email) = &request.email {
            http.extensions_mut().insert(LoggedEmail(email.masked()));
        }
        services.sign_in.sign_in(&caller, request, &services.store)
    };
    match signing_in.await.map_err(|Overloaded| ApiError::Overloaded)? {
        Answer::SignedIn(identity) => {
            let signed_in = SignedIn { success: Always, identity_id: identity.expose().to_owned() };
            Ok(json_not_stored("OK", &SignInAnswer::SignedIn(signed_in)))
        }
        Answer::Denied => Ok(refused(Refusal::LoginFailed)),
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
        email: EmailAddress::parse(&fields.required("email")).ok(),
        first_name: fields.parsed("firstName", name),
        last_name: fields.parsed("lastName", name),
        ip: fields.parsed("customerRealIp", |text| ClientIp::parse(text).map(Some)),
        referral_id: fields.optional("referralId").filter(|id| !id.is_empty()),
    };
    fields.finish(request)
}

/// Who signs in.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it describes the body, which is read field by field")]
struct SignInRequest {
    /// The customer's e-mail address. Outer space and letter case do not matter. One that is not valid is
    /// answered with E004.
    #[schema(example = "jan@barasek.com")]
    email: String,
    /// Tidied; fills a name that is missing and never overwrites one. At most 100 characters once it is tidied:
    /// control characters and repeated spaces do not count.
    #[schema(example = "Jan")]
    first_name: Option<String>,
    /// Like `firstName`.
    #[schema(example = "Barášek")]
    last_name: Option<String>,
    #[schema(schema_with = ip_address)]
    customer_real_ip: Option<String>,
    /// The `cuRefNo` of the customer who brought this one: 16 of `[A-Za-z0-9]`. One that names nobody is
    /// ignored.
    #[schema(example = "1cGIHvFoQDGLAbcA")]
    referral_id: Option<String>,
    /// The API key, when it is not in the query. With a key in the query, any string is accepted and ignored.
    api_key: Option<String>,
}

fn ip_address() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["", "localhost"]));
    ip_addresses()
        .description(Some(
            "The customer's IP address. `localhost`, `::1`, `::`, `0.0.0.0` and the empty text are `127.0.0.1`.",
        ))
        .item(text)
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .into()
}

/// How a sign-in ends.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum SignInAnswer {
    SignedIn(SignedIn),
    Refused(Refused),
}

/// A session, which is on the disk.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SignedIn {
    #[schema(inline)]
    success: Always<true>,
    /// Identifies the session, and is its secret.
    #[schema(pattern = "^[A-Za-z0-9]{32}$", example = "Z9CPkS2o3UV163VQn5OUv0T8BQi8Fvdg")]
    identity_id: String,
}

/// A documented refusal.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Refused {
    #[schema(inline)]
    success: Always<false>,
    #[schema(schema_with = refusal_codes)]
    error_code: &'static str,
    #[schema(schema_with = refusal_messages)]
    message: &'static str,
}

/// Every refusal is a 200: clients read the code only from an answer of that kind.
fn refused(refusal: Refusal) -> HttpResponse {
    let refused = Refused { success: Always, error_code: refusal.code(), message: refusal.message() };
    json(refusal.code(), &SignInAnswer::Refused(refused))
}

/// [`SignInRequest`] in a form.
struct SignInForm;

impl PartialSchema for SignInForm {
    fn schema() -> RefOr<Schema> {
        as_form::<SignInRequest>()
    }
}

impl ToSchema for SignInForm {}

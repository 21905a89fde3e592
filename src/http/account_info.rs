//! `GET /api/v1/customer/get-account-info`

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::Services;
use super::api_key::{Caller, query_value};
use super::reply::{ApiError, json_not_stored};
use super::schema::Always;
use crate::domain::IdentityId;
use crate::store::Account;

/// Ask whose session it is
///
/// As of this moment: a logout, a ban or an expiry shows at once.
#[utoipa::path(
    get,
    path = "",
    tag = "customer",
    params(("identityId" = Option<String>, Query, description = "The identity id that the sign-in returned", example = "Z9CPkS2o3UV163VQn5OUv0T8BQi8Fvdg")),
    responses(
        (
            status = 200,
            body = AccountInfo,
            description = "The customer, or that the session is unknown, expired or ended",
            headers(("Cache-Control" = String, description = "no-store")),
            examples(
                ("logged in" = (value = json!({
                    "loggedIn": true, "identityId": "Z9CPkS2o3UV163VQn5OUv0T8BQi8Fvdg", "cuRefNo": "1cGIHvFoQDGLAbcA",
                    "creditBalance": 0, "email": "jan@barasek.com", "firstName": "Jan", "lastName": "Barášek",
                    "premium": false, "ban": false
                }))),
                ("not logged in" = (value = json!({"loggedIn": false})))
            )
        )
    )
)]
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
    let (code, info) = match (identity, account) {
        (Some(identity), Some(account)) => ("OK", AccountInfo::LoggedIn(LoggedIn::new(&identity, account))),
        _ => ("NOT_LOGGED_IN", AccountInfo::NotLoggedIn(NotLoggedIn { logged_in: Always })),
    };
    Ok(json_not_stored(code, &info))
}

/// Whose session it is.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum AccountInfo {
    LoggedIn(LoggedIn),
    NotLoggedIn(NotLoggedIn),
}

/// The session is missing, unknown, expired or ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NotLoggedIn {
    #[schema(inline)]
    logged_in: Always<false>,
}

/// The customer whose session it is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are the contract's")]
struct LoggedIn {
    #[schema(inline)]
    logged_in: Always<true>,
    /// The identity id that was sent.
    #[schema(pattern = "^[A-Za-z0-9]{32}$")]
    identity_id: String,
    /// The customer's reference number; it never changes.
    #[schema(pattern = "^[A-Za-z0-9]{16}$")]
    cu_ref_no: String,
    /// Always 0: the hosted platform keeps credit, this service has none.
    #[schema(maximum = 0)]
    credit_balance: u32,
    /// The normalised address; `null` for a contact who has only a telephone.
    #[schema(required, max_length = 254)]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 100)]
    first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 100)]
    last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    company_name: Option<String>,
    // The hosted platform has paying customers; this service does not tell them apart.
    #[schema(inline)]
    premium: Always<false>,
    /// Whether a ban is in force.
    ban: bool,
}

impl LoggedIn {
    fn new(identity: &IdentityId, account: Account) -> Self {
        Self {
            logged_in: Always,
            identity_id: identity.expose().to_owned(),
            cu_ref_no: account.cu_ref_no,
            credit_balance: 0,
            email: account.email,
            phone: account.phone,
            first_name: account.first_name,
            last_name: account.last_name,
            company_name: account.company_name,
            premium: Always,
            ban: account.is_banned,
        }
    }
}

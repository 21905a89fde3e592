//! `POST /api/v1/customer/logout`

use actix_web::{HttpResponse, web};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::Services;
use super::api_key::{Body, Caller};
use super::reply::{ApiError, Success};
use super::schema::as_form;
use crate::domain::IdentityId;

/// End a session
///
/// Succeeds also when there is nothing to end.
#[utoipa::path(
    post,
    path = "",
    tag = "customer",
    request_body(content(
        (LogoutRequest = "application/json", example = json!({"identityId": "Z9CPkS2o3UV163VQn5OUv0T8BQi8Fvdg"})),
        (LogoutForm = "application/x-www-form-urlencoded"),
        (LogoutForm = "multipart/form-data")
    )),
    responses((
        status = 200,
        body = Success,
        description = "The session is no more",
        example = json!({"success": true})
    ))
)]
pub(super) async fn handle(
    services: web::Data<Services>,
    caller: Caller,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let mut fields = body.0.reader();
    let identity = fields.required("identityId");
    let identity = fields.finish(identity)?;
    // A token that cannot be one is unknown like any other: there is nothing to end.
    if let Ok(identity) = IdentityId::parse(&identity) {
        services.sessions.sign_out(&caller, &identity, &services.store).await?;
    }
    Ok(Success::reply())
}

/// Which session to end.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "it describes the body, which is read field by field")]
struct LogoutRequest {
    /// The identity id that the sign-in returned.
    #[schema(example = "Z9CPkS2o3UV163VQn5OUv0T8BQi8Fvdg")]
    identity_id: String,
    /// The API key, when it is not in the query.
    api_key: Option<String>,
}

/// [`LogoutRequest`] in a form.
struct LogoutForm;

impl PartialSchema for LogoutForm {
    fn schema() -> RefOr<Schema> {
        as_form::<LogoutRequest>()
    }
}

impl ToSchema for LogoutForm {}

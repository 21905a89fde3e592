//! `POST /api/v1/customer/logout`

use actix_web::{HttpResponse, web};

use super::Services;
use super::api_key::{Body, Caller};
use super::reply::{ApiError, Success};
use crate::domain::IdentityId;

pub(super) async fn handle(
    services: web::Data<Services>,
    caller: Caller,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let mut fields = body.0.reader();
    let identity = fields.required("identityId");
    fields.optional("apiKey");
    let identity = fields.finish(identity)?;
    // A token that cannot be one is unknown like any other: there is nothing to end.
    if let Ok(identity) = IdentityId::parse(&identity) {
        services.sessions.sign_out(&caller, &identity, &services.store).await?;
    }
    Ok(Success::reply())
}

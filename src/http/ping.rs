//! `GET /api/v1/ping`: whether the service is there and the key in force.

use actix_web::HttpResponse;

use super::api_key::Caller;
use super::reply::Success;

/// Ask whether the service is there
///
/// Also tells whether the key is in force and, in headers, what is left of its quota.
#[utoipa::path(
    get,
    path = "",
    tag = "service",
    responses((
        status = 200,
        body = Success,
        description = "The service is there and the key in force",
        example = json!({"success": true})
    ))
)]
pub(super) async fn handle(_caller: Caller) -> HttpResponse {
    Success::reply()
}

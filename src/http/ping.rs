//! `GET /api/v1/ping`: whether the service is there and the key in force.

use actix_web::HttpResponse;

use super::api_key::Caller;
use super::reply::Success;

pub(super) async fn handle(_caller: Caller) -> HttpResponse {
    Success::reply()
}

//! The ceiling: reads what magic-auth reads, and answers a constant.

use std::hint::black_box;

use actix_web::{HttpResponse, web};

use super::SignIn;

const IDENTITY: &str = "Z9CPkS2o3UV163VQn5OUv0T8BQi8Fvdg";

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/customer/magic-auth", web::post().to(sign_in))
        .route("/api/v1/customer/get-account-info", web::get().to(account_info));
}

async fn sign_in(body: web::Bytes) -> actix_web::Result<HttpResponse> {
    let body: SignIn = serde_json::from_slice(&body)?;
    black_box(&body);
    Ok(HttpResponse::Ok().json(serde_json::json!({"success": true, "identityId": IDENTITY})))
}

async fn account_info() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({
        "loggedIn": true, "identityId": IDENTITY, "cuRefNo": "1cGIHvFoQDGLAbcA", "creditBalance": 0,
        "email": "jan@barasek.com", "premium": false, "ban": false,
    }))
}

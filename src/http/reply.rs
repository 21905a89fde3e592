//! How requests are answered, and the one place that turns an error into status, code and body.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::schema::Always;
use crate::domain::Permission;
use crate::store::StoreError;

/// The code of an answer, for the log: it travels with the response.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyCode(pub(super) &'static str);

/// An answer with this body, known to the log by this code.
pub(super) fn json(code: &'static str, body: &impl Serialize) -> HttpResponse {
    with_code(HttpResponse::Ok().json(body), code)
}

/// The same, for the caller alone: with a secret in it, it is kept nowhere on its way.
pub(super) fn json_not_stored(code: &'static str, body: &impl Serialize) -> HttpResponse {
    let mut response = json(code, body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn with_code(mut response: HttpResponse, code: &'static str) -> HttpResponse {
    response.extensions_mut().insert(ReplyCode(code));
    response
}

/// It is done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Success {
    #[schema(inline)]
    success: Always<true>,
}

impl Success {
    /// The whole answer.
    pub(super) fn reply() -> HttpResponse {
        json("OK", &Self { success: Always })
    }
}

/// A duration as `Retry-After` says it: whole seconds, rounded up, at least 1.
pub(crate) fn retry_after_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// What is wrong with a field of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// The field's name, or `body`.
    pub(super) field: String,
    /// What is wrong with it and what is expected.
    pub(super) problem: String,
}

/// A request that never reached its use case, or whose use case broke. The texts are what people are told: safe and helpful.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// No key, or none in force: one answer for all.
    #[error(
        "The API key is missing or not valid. Send it as the query parameter apiKey, as the body field apiKey or as Authorization: Bearer. In a body that cannot be read, it is not found."
    )]
    UnknownKey,
    /// The key may not do this.
    #[error("The API key lacks the permission {lacking}. Use a key that has it; the operator can create one.")]
    PermissionDenied {
        /// What it would need.
        lacking: Permission,
    },
    /// No such path.
    #[error("There is no such route.{}", nearest.map(|nearest| format!(" Did you mean {nearest}?")).unwrap_or_default())]
    RouteDoesNotExist {
        /// The path that may have been meant.
        nearest: Option<&'static str>,
    },
    /// The path is there, but not with this method.
    #[error("The route does not support this method. See the Allow header.")]
    MethodNotAllowed {
        /// The methods that are.
        allow: &'static str,
    },
    /// The body did not come in time.
    #[error("The request body did not arrive in time.")]
    BodyTimedOut,
    /// The connection broke within the body, or its framing is wrong.
    #[error("The request body could not be read.")]
    BodyBroken,
    /// The body is longer than allowed.
    #[error("The request body is longer than 16 KiB.")]
    BodyTooLarge,
    /// The body is in no form that the service reads.
    #[error(
        "Send the body as JSON (application/json or text/plain), application/x-www-form-urlencoded or multipart/form-data, in UTF-8 and without Content-Encoding."
    )]
    UnsupportedMediaType,
    /// The body can be read, but is not what is expected.
    #[error("The request is not valid. See details.")]
    ValidationFailed(Vec<Problem>),
    /// The key's quota is used up.
    #[error("The API key has used up its quota. See the header Retry-After.")]
    RateLimitExceeded {
        /// The time after which a request passes.
        retry_after: Duration,
    },
    /// Too many requests wait for the disk.
    #[error("The service is overloaded at the moment. Try again in a second.")]
    Overloaded,
    /// The database failed.
    #[error("The service failed. Try again later.")]
    Internal(StoreError),
}

impl ApiError {
    /// Whether the rest of the body is still to come.
    pub(super) fn leaves_body_unread(&self) -> bool {
        matches!(self, Self::BodyTimedOut | Self::BodyBroken | Self::BodyTooLarge)
    }

    /// What programs are told.
    pub(super) fn code(&self) -> &'static str {
        self.status_and_code().1
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::UnknownKey => (StatusCode::UNAUTHORIZED, "PUBLIC_API_KEY_DOES_NOT_EXIST"),
            Self::PermissionDenied { .. } => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Self::RouteDoesNotExist { .. } => (StatusCode::NOT_FOUND, "ROUTE_DOES_NOT_EXIST"),
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Self::BodyTimedOut => (StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
            Self::BodyBroken => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE"),
            Self::ValidationFailed(_) => (StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED"),
            Self::RateLimitExceeded { .. } => (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_OVERLOADED"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded => Self::Overloaded,
            other => Self::Internal(other),
        }
    }
}

/// The one envelope of all errors.
#[derive(Serialize)]
struct Envelope<'e> {
    success: Always<false>,
    #[serde(rename = "errorCode")]
    error_code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'e [Problem]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RateLimitDetails>,
}

/// When the next request passes.
#[derive(Serialize, ToSchema)]
pub(super) struct RateLimitDetails {
    /// The error code again.
    code: &'static str,
    /// The message again.
    message: String,
    /// Whole seconds after which a request passes.
    #[schema(minimum = 1)]
    retry_after: u64,
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status_and_code().0
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status_code());
        let mut envelope = Envelope {
            success: Always,
            error_code: self.code(),
            message: self.to_string(),
            details: None,
            error: None,
        };
        match self {
            // RFC 9110, section 15.5.2; and there are clients that take a 401 without it for a broken answer.
            Self::UnknownKey => {
                response.insert_header((WWW_AUTHENTICATE, "Bearer"));
            }
            Self::MethodNotAllowed { allow } => {
                response.insert_header((ALLOW, *allow));
            }
            Self::ValidationFailed(problems) => envelope.details = Some(problems),
            Self::RateLimitExceeded { retry_after } => {
                let retry_after = retry_after_seconds(*retry_after);
                response.insert_header((RETRY_AFTER, retry_after));
                envelope.error = Some(RateLimitDetails { code: self.code(), message: self.to_string(), retry_after });
            }
            Self::Overloaded => {
                response.insert_header((RETRY_AFTER, 1));
            }
            _ => {}
        }
        with_code(response.json(envelope), self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_says_the_status_and_the_code_of_every_error() {
        let readme = include_str!("../../README.md");
        for error in [
            ApiError::BodyBroken,
            ApiError::UnknownKey,
            ApiError::PermissionDenied { lacking: Permission::Ip },
            ApiError::RouteDoesNotExist { nearest: None },
            ApiError::MethodNotAllowed { allow: "GET" },
            ApiError::BodyTimedOut,
            ApiError::BodyTooLarge,
            ApiError::UnsupportedMediaType,
            ApiError::ValidationFailed(Vec::new()),
            ApiError::RateLimitExceeded { retry_after: Duration::ZERO },
            ApiError::Internal(StoreError::Stopped),
            ApiError::Overloaded,
        ] {
            let row = format!("| {} | `{}` |", error.status_code().as_u16(), error.code());
            assert!(readme.contains(&row), "{row}");
        }
    }
}

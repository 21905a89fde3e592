//! How requests are answered, and the one place that turns an error into status, code and body.

use std::borrow::Cow;
use std::fmt;
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
pub(super) fn json(status: StatusCode, code: &'static str, body: &impl Serialize) -> HttpResponse {
    with_code(HttpResponse::build(status).json(body), code)
}

/// The same, for the caller alone: with a secret in it, it is kept nowhere on its way.
pub(super) fn json_not_stored(status: StatusCode, code: &'static str, body: &impl Serialize) -> HttpResponse {
    let mut response = json(status, code, body);
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
        json(StatusCode::OK, "OK", &Self { success: Always })
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

/// A request that never reached its use case, or whose use case broke.
#[derive(Debug)]
pub(super) enum ApiError {
    /// No key, or none in force: one answer for all.
    UnknownKey,
    /// The key may not do this.
    PermissionDenied {
        /// What it would need.
        lacking: Permission,
    },
    /// No such path.
    RouteDoesNotExist {
        /// The path that may have been meant.
        nearest: Option<&'static str>,
    },
    /// The path is there, but not with this method.
    MethodNotAllowed {
        /// The methods that are.
        allow: &'static str,
    },
    /// The body did not come in time.
    BodyTimedOut,
    /// The connection broke within the body, or its framing is wrong.
    BodyBroken,
    /// The body is longer than allowed.
    BodyTooLarge,
    /// The body is in no form that the service reads.
    UnsupportedMediaType,
    /// The body can be read, but is not what is expected.
    ValidationFailed(Vec<Problem>),
    /// The key's quota is used up.
    RateLimitExceeded {
        /// The time after which a request passes.
        retry_after: Duration,
    },
    /// Too many requests wait for the disk.
    Overloaded,
    /// The database failed.
    Internal(StoreError),
}

impl ApiError {
    /// Whether the rest of the body is still to come.
    pub(super) fn leaves_body_unread(&self) -> bool {
        matches!(self, Self::BodyTimedOut | Self::BodyBroken | Self::BodyTooLarge)
    }

    /// What programs are told.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::UnknownKey => "PUBLIC_API_KEY_DOES_NOT_EXIST",
            Self::PermissionDenied { .. } => "PERMISSION_DENIED",
            Self::RouteDoesNotExist { .. } => "ROUTE_DOES_NOT_EXIST",
            Self::MethodNotAllowed { .. } => "METHOD_NOT_ALLOWED",
            Self::BodyTimedOut => "REQUEST_TIMEOUT",
            Self::BodyBroken => "BAD_REQUEST",
            Self::BodyTooLarge => "BODY_TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::ValidationFailed(_) => "VALIDATION_FAILED",
            Self::RateLimitExceeded { .. } => "RATE_LIMIT_EXCEEDED",
            Self::Overloaded => "SERVICE_OVERLOADED",
            Self::Internal(_) => "INTERNAL_ERROR",
        }
    }

    /// What people are told: safe and helpful.
    pub(super) fn message(&self) -> Cow<'static, str> {
        let fixed = match self {
            Self::PermissionDenied { lacking } => {
                let message = "The API key lacks the permission";
                return format!("{message} {lacking}. Use a key that has it; the operator can create one.").into();
            }
            Self::RouteDoesNotExist { nearest: Some(nearest) } => {
                return format!("There is no such route. Did you mean {nearest}?").into();
            }
            Self::RouteDoesNotExist { nearest: None } => "There is no such route.",
            Self::UnknownKey => {
                "The API key is missing or not valid. Send it as the query parameter apiKey, as the body field apiKey \
                 or as Authorization: Bearer."
            }
            Self::MethodNotAllowed { .. } => "The route does not support this method. See the Allow header.",
            Self::BodyTimedOut => "The request body did not arrive in time.",
            Self::BodyBroken => "The request body could not be read.",
            Self::BodyTooLarge => "The request body is longer than 16 KiB.",
            Self::UnsupportedMediaType => {
                "Send the body as application/json, application/x-www-form-urlencoded or multipart/form-data, in UTF-8 \
                 and without Content-Encoding."
            }
            Self::ValidationFailed(_) => "The request is not valid. See details.",
            Self::RateLimitExceeded { .. } => "The API key has used up its quota. See the header Retry-After.",
            Self::Overloaded => "The service is overloaded at the moment. Try again in a second.",
            Self::Internal(_) => "The service failed. Try again later.",
        };
        fixed.into()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
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
    message: Cow<'static, str>,
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
    message: Cow<'static, str>,
    /// Whole seconds after which a request passes.
    #[schema(minimum = 1)]
    retry_after: u64,
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::UnknownKey => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied { .. } => StatusCode::FORBIDDEN,
            Self::RouteDoesNotExist { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::ValidationFailed(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimitExceeded { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status_code());
        let mut envelope =
            Envelope { success: Always, error_code: self.code(), message: self.message(), details: None, error: None };
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
                envelope.error = Some(RateLimitDetails { code: self.code(), message: self.message(), retry_after });
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

//! Reading a request body: bounded in length and time, and in every form that the contract names.

use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpMessage as _;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::web::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use log::debug;
use mime::Mime;

use super::fields::{Fields, Value, problem};
use super::reply::ApiError;

/// The longest body. A sign-in has some hundred bytes.
const MAX_LENGTH: usize = 16 * 1_024;

/// For the whole body, from the end of the head: the HTTP layer has no time limit of its own for it.
const DEADLINE: Duration = Duration::from_secs(5);

/// Takes the body off the request and reads its fields.
pub(super) async fn receive(request: &mut ServiceRequest) -> Result<Fields, ApiError> {
    let payload = request.take_payload();
    let headers = request.headers();
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_LENGTH) {
        return Err(ApiError::BodyTooLarge);
    }
    let body = tokio::time::timeout(DEADLINE, read(payload)).await.map_err(|_| ApiError::BodyTimedOut)??;
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(ApiError::UnsupportedMediaType);
    }
    decode(headers, body).await
}

async fn read(mut payload: Payload) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            debug!("a request body broke off: {error}");
            ApiError::BodyBroken
        })?;
        if body.len() + chunk.len() > MAX_LENGTH {
            return Err(ApiError::BodyTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

async fn decode(headers: &HeaderMap, body: Bytes) -> Result<Fields, ApiError> {
    // What `curl -d` sends is JSON under the name of a form.
    let is_json = body.trim_ascii_start().starts_with(b"{");
    let Some(media_type) = headers.get(CONTENT_TYPE) else {
        return if is_json || body.is_empty() { json(&body) } else { Err(ApiError::UnsupportedMediaType) };
    };
    let media_type = media_type.to_str().ok().and_then(|text| text.parse::<Mime>().ok());
    let media_type = media_type.filter(is_utf8).ok_or(ApiError::UnsupportedMediaType)?;
    match media_type.essence_str() {
        "application/json" | "text/plain" => json(&body),
        "application/x-www-form-urlencoded" if is_json => json(&body),
        "application/x-www-form-urlencoded" => form(&body),
        // In a box: few send this, and for all others its state would make every request's larger by two kilobytes.
        "multipart/form-data" => Box::pin(multipart(headers, body)).await,
        _ => Err(ApiError::UnsupportedMediaType),
    }
}

fn is_utf8(media_type: &Mime) -> bool {
    media_type
        .get_param("charset")
        .is_none_or(|charset| ["utf-8", "utf8", "us-ascii"].iter().any(|name| charset == *name))
}

fn json(body: &[u8]) -> Result<Fields, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(Fields::default());
    }
    serde_json::from_slice(body)
        .map_err(|error| invalid_body(&format!("must be a JSON object: {}", without_content(&error))))
}

/// Where and why the JSON is not valid, without a word of what it says.
fn without_content(error: &serde_json::Error) -> String {
    if error.is_data() { "this is another JSON value".to_owned() } else { error.to_string() }
}

fn form(body: &[u8]) -> Result<Fields, ApiError> {
    let mut fields = Fields::default();
    for (name, value) in form_urlencoded::parse(body) {
        // The parser puts a replacement character where the bytes are not UTF-8.
        let is_text = !value.contains(char::REPLACEMENT_CHARACTER);
        fields.add(form_name(&name)?, if is_text { Value::Text(value.into_owned()) } else { Value::Other });
    }
    Ok(fields)
}

/// The name of a form's field. In a multipart form a control character cannot stand in it, and a backslash
/// not everywhere; one rule for both kinds of form.
fn form_name(name: &str) -> Result<String, ApiError> {
    if name.bytes().any(|byte| byte.is_ascii_control() || byte == b'\\') {
        return Err(invalid_body("must have field names without control characters and backslashes"));
    }
    Ok(name.to_owned())
}

async fn multipart(headers: &HeaderMap, body: Bytes) -> Result<Fields, ApiError> {
    let body = stream::once(std::future::ready(Ok(body)));
    let mut parts = Multipart::new(headers, body);
    let mut fields = Fields::default();
    while let Some(part) = parts.try_next().await.map_err(|error| malformed_multipart(&error))? {
        let name = form_name(part.name().unwrap_or_default())?;
        let value = part_value(part).await?;
        fields.add(name, value);
    }
    Ok(fields)
}

async fn part_value(part: Field) -> Result<Value, ApiError> {
    let is_file = part
        .content_disposition()
        .is_some_and(|disposition| disposition.get_filename().is_some() || disposition.get_filename_ext().is_some());
    let chunks: Vec<Bytes> = part.try_collect().await.map_err(|error| malformed_multipart(&error))?;
    Ok(match String::from_utf8(chunks.concat()) {
        Ok(text) if !is_file => Value::Text(text),
        _ => Value::Other,
    })
}

fn malformed_multipart(error: &MultipartError) -> ApiError {
    debug!("a multipart body is malformed: {error}");
    invalid_body("must be well-formed multipart/form-data")
}

fn invalid_body(text: &str) -> ApiError {
    ApiError::ValidationFailed(vec![problem("body", text)])
}

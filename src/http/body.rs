//! Reading a request body: bounded in length and time, and in every form that the contract names.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header::{
    CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ContentDisposition, HeaderMap, HeaderValue,
};
use actix_web::web::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use log::debug;
use mime::Mime;
use multer::{Field, Multipart};
use percent_encoding::percent_decode;

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
    let Some(media_type) = headers.get(CONTENT_TYPE).filter(|media_type| !media_type.is_empty()) else {
        return if is_json || body.is_empty() { json(&body) } else { Err(ApiError::UnsupportedMediaType) };
    };
    let media_type = media_type.to_str().ok().and_then(parse_media_type);
    let media_type = media_type.filter(is_utf8).ok_or(ApiError::UnsupportedMediaType)?;
    match media_type.essence_str() {
        "application/json" | "text/plain" => json(&body),
        "application/x-www-form-urlencoded" if is_json => json(&body),
        "application/x-www-form-urlencoded" => Ok(form(&body)),
        // In a box: few send this, and for all others its state would make every request's larger by two kilobytes.
        "multipart/form-data" => Box::pin(multipart(&media_type, body)).await,
        _ => Err(ApiError::UnsupportedMediaType),
    }
}

/// Spaces around the semicolons, and nothing between two of them, are allowed (RFC 9110, section 5.6.6), but not
/// known to the parser.
fn parse_media_type(text: &str) -> Option<Mime> {
    let pieces: Vec<_> = text.split(';').map(str::trim).filter(|piece| !piece.is_empty()).collect();
    pieces.join(";").parse().ok()
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

fn form(body: &[u8]) -> Fields {
    // The parser puts a replacement character where bytes are not UTF-8, and one may be there.
    let is_utf8 = percent_decode(body).decode_utf8().is_ok();
    let mut fields = Fields::default();
    for (name, value) in form_urlencoded::parse(body) {
        let is_text = is_utf8 || !value.contains(char::REPLACEMENT_CHARACTER);
        fields.add_of_form(&name, if is_text { Value::Text(value.into_owned()) } else { Value::NotUtf8 });
    }
    fields
}

async fn multipart(media_type: &Mime, body: Bytes) -> Result<Fields, ApiError> {
    let boundary = media_type.get_param(mime::BOUNDARY).filter(|boundary| *boundary != "");
    let boundary = boundary.ok_or_else(malformed_multipart)?;
    let body = stream::once(std::future::ready(Ok::<_, Infallible>(body)));
    let mut parts = Multipart::new(body, boundary.as_str());
    let mut fields = Fields::default();
    while let Some(part) = parts.next_field().await.map_err(|_| malformed_multipart())? {
        let disposition = disposition(&part).ok_or_else(malformed_multipart)?;
        let name = disposition.get_name().ok_or_else(malformed_multipart)?;
        let is_file = disposition.get_filename().is_some() || disposition.get_filename_ext().is_some();
        let value = part.bytes().await.map_err(|_| malformed_multipart())?;
        let value = match String::from_utf8(value.into()) {
            _ if is_file => Value::Other,
            Ok(text) => Value::Text(text),
            Err(_) => Value::NotUtf8,
        };
        fields.add_of_form(name, value);
    }
    Ok(fields)
}

/// What the part is. (`multer` only looks for `name` and `filename` in the header's text.)
fn disposition(part: &Field<'_>) -> Option<ContentDisposition> {
    let header = part.headers().get(CONTENT_DISPOSITION.as_str())?;
    let header = HeaderValue::from_bytes(header.as_bytes()).ok()?;
    ContentDisposition::from_raw(&header).ok().filter(ContentDisposition::is_form_data)
}

fn malformed_multipart() -> ApiError {
    invalid_body("must be well-formed multipart/form-data")
}

fn invalid_body(text: &str) -> ApiError {
    ApiError::ValidationFailed(vec![problem("body", text)])
}

//! What a caller's text may hold that nobody is to read again.

use crate::domain::{ApiKey, IdentityId};

/// Of keys and of identity ids.
const LENGTH_OF_SECRETS: usize = 32;

/// Whether a part of the text could be a key or an identity id. (32 hexadecimal digits are a trace id.)
pub(super) fn may_be_secret(text: &str) -> bool {
    text.as_bytes().windows(LENGTH_OF_SECRETS).filter_map(|part| std::str::from_utf8(part).ok()).any(|part| {
        let is_trace_id = part.bytes().all(|byte| byte.is_ascii_hexdigit());
        ApiKey::parse(part).is_ok() || (IdentityId::parse(part).is_ok() && !is_trace_id)
    })
}

#![no_main]
//! A body as JSON: it is answered, and never by a failure of the service.

use libfuzzer_sys::fuzz_target;
use magic_auth_fuzz::post;

fuzz_target!(|body: &[u8]| {
    for path in ["/api/v1/customer/magic-auth", "/api/v1/customer/logout"] {
        post(path, "application/json", body);
    }
});

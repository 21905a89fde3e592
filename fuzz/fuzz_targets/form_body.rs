#![no_main]
//! A body as a form: it is answered, never by a failure of the service, and without the key.

use libfuzzer_sys::fuzz_target;
use magic_auth_fuzz::post;

fuzz_target!(|body: &[u8]| {
    for path in ["/api/v1/customer/magic-auth", "/api/v1/customer/logout"] {
        post(path, "application/x-www-form-urlencoded", body);
    }
});

#![no_main]
//! A body as JSON: it is answered, and never by a failure of the service.

use libfuzzer_sys::fuzz_target;
use magic_auth_fuzz::{client, is_expected};

fuzz_target!(|body: &[u8]| {
    let mut client = client();
    for path in ["/api/v1/customer/magic-auth", "/api/v1/customer/logout"] {
        let status = client.post(path, "application/json", body);
        assert!(is_expected(status), "{status}");
    }
});

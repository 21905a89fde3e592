#![no_main]
//! A file of customers, CSV or JSON lines: each row is a contact or a list of what is wrong with it, and is written as it was.

use libfuzzer_sys::fuzz_target;
use magic_auth::contacts::{Defaults, Rows};
use magic_auth::domain::Timestamp;

fuzz_target!(|file: &[u8]| {
    let Ok(mut rows) = Rows::open(file) else { return };
    let defaults = Defaults { country: None, is_authorized: true, created_at: Timestamp::from_millis(1) };
    let mut rejects = rows.rejects(Vec::new()).expect("memory can be written");
    let mut last = 0;
    while let Some(row) = rows.next() {
        let Ok(mut row) = row else { break };
        // (A lone carriage return ends a row, and no line.)
        assert!(row.line >= last, "rows have rising numbers");
        last = row.line;
        if let Err(problems) = row.read(&defaults) {
            assert!(!problems.is_empty());
            rejects.write(&row).expect("memory can be written");
        }
    }
    rejects.flush().expect("memory can be written");
});

#![no_main]
//! A file of customers, CSV or JSON lines: each row is a contact or a list of what is wrong with it. The wrong ones, written
//! to a file of their own, are wrong there for the same reasons.

use libfuzzer_sys::fuzz_target;
use magic_auth::contacts::{Defaults, Rejects, Rows};
use magic_auth::domain::Timestamp;

const DEFAULTS: Defaults = Defaults { country: None, is_authorized: true, created_at: Timestamp::from_millis(1) };

fuzz_target!(|file: &[u8]| {
    let Ok(mut rows) = Rows::open(file) else { return };
    let (mut rejected, mut found) = (Vec::new(), Vec::new());
    let mut rejects = rows.rejects(&mut rejected).expect("memory can be written");
    let is_csv = matches!(rejects, Rejects::Csv(_));
    let mut last = 0;
    while let Some(row) = rows.next() {
        let Ok(mut row) = row else { break };
        // (A lone carriage return ends a row, and no line.)
        assert!(row.line >= last, "rows have rising numbers");
        last = row.line;
        if let Err(problems) = row.read(&DEFAULTS) {
            assert!(!problems.is_empty());
            rejects.write(&row).expect("memory can be written");
            found.push(problems);
        }
    }
    rejects.flush().expect("memory can be written");
    drop(rejects);
    // (The reader of CSV takes a byte order mark off behind the header, too.)
    if found.is_empty() || file.windows(3).any(|bytes| bytes == "\u{feff}".as_bytes()) {
        return;
    }
    // What a file is, its first line tells: of JSON lines, that may be what is wrong; a header has no spaces any more.
    let Ok(again) = Rows::open(rejected.as_slice()) else { return assert!(!is_csv, "what was CSV is CSV again") };
    if is_csv != matches!(again.rejects(Vec::new()), Ok(Rejects::Csv(_))) {
        return;
    }
    let again: Vec<_> =
        again.map(|row| row.expect("it can be read").read(&DEFAULTS).expect_err("it is wrong")).collect();
    assert_eq!(again, found);
});

#![no_main]
//! The configuration: whatever stands in the file, it is read or refused in one line that names the file.

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use magic_auth::config::Config;

static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is a folder").keep();
    folder.join("config.toml")
});

fuzz_target!(|text: &[u8]| {
    std::fs::write(&*FILE, text).expect("the file can be written");
    if let Err(error) = Config::load(Some(&FILE)) {
        let message = error.to_string();
        assert!(message.contains("config.toml") && !message.contains('\n'), "{message}");
    }
});

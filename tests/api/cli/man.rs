//! `man`

use std::process::Command;

use insta::assert_snapshot;

use super::{error, failed, folder_with};
use crate::app::cli;
use crate::process::skip;

#[test]
fn every_command_gets_a_page_and_the_pages_are_told() {
    let folder = folder_with("no TOML");
    let output = cli(&folder, &["man", folder.path().to_str().unwrap()]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let pages: Vec<_> = printed.lines().collect();
    for page in ["magic-auth.1", "magic-auth-serve.1", "magic-auth-key.1", "magic-auth-customer-sign-out.1"] {
        assert!(pages.contains(&folder.path().join(page).to_str().unwrap()), "{page} is none of {printed}");
    }
    for page in pages {
        let text = std::fs::read_to_string(page).unwrap();
        let name = page.rsplit('/').next().unwrap().strip_suffix(".1").unwrap();
        for part in [&format!("\n.TH {name} 1 "), "\n.SH NAME\n", "\n.SH SYNOPSIS\n", "\n.SH OPTIONS\n"] {
            assert!(text.contains(part), "{page}: {text}");
        }
        match Command::new("groff").args(["-man", "-Tutf8", "-ww", page]).output() {
            Ok(rendered) => assert!(rendered.status.success() && rendered.stderr.is_empty(), "{rendered:?}"),
            Err(_) => skip("whether a page can be read", "groff"),
        }
    }
}

#[test]
fn a_page_says_what_help_says() {
    let folder = folder_with("");
    cli(&folder, &["man", folder.path().to_str().unwrap()]);
    let page = std::fs::read_to_string(folder.path().join("magic-auth-key-revoke.1")).unwrap();
    for line in [
        concat!(r#".TH magic-auth-key-revoke 1  "magic-auth "#, env!("CARGO_PKG_VERSION"), "\" "),
        r"magic\-auth\-key\-revoke \- Revoke a key for good; running servers refuse it when this returns",
        r"Its last four characters, as `key list` shows them, with or without the prefix; or the whole key",
    ] {
        assert!(page.lines().any(|other| other == line), "{line} is not in {page}");
    }
}

#[test]
fn the_pages_name_the_variable_of_the_environment() {
    let folder = folder_with("");
    cli(&folder, &["man", folder.path().to_str().unwrap()]);
    let page = std::fs::read_to_string(folder.path().join("magic-auth.1")).unwrap();
    assert!(page.contains("MAGIC_AUTH_CONFIG"), "{page}");
}

#[test]
fn the_folder_must_be_there() {
    let folder = folder_with("");
    let missing = folder.path().join("man1");
    assert_snapshot!(error(&folder, &["man", missing.to_str().unwrap()]), @"magic-auth: the folder FOLDER/man1 does not exist: create it first");
    let file = folder.path().join("config.toml");
    assert_snapshot!(error(&folder, &["man", file.to_str().unwrap()]), @"magic-auth: the folder FOLDER/config.toml does not exist: create it first");
}

#[test]
fn a_page_that_cannot_be_written_is_named() {
    let folder = folder_with("");
    std::fs::create_dir(folder.path().join("magic-auth-key.1")).unwrap();
    let output = cli(&folder, &["man", folder.path().to_str().unwrap()]);
    assert_snapshot!(failed(&folder, &output), @"magic-auth: cannot write FOLDER/magic-auth-key.1: Is a directory (os error 21)");
}

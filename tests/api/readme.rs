//! The README says what is so.

use magic_auth::domain::Refusal;
use serde_json::Value;

use crate::app::{Client, spawn_app, spawn_app_with};

const README: &str = include_str!("../../README.md");
const DEMO_KEY: &str = "PRODPGrFxpGEtrOZfuWhnoJohUYBXuOE";

#[test]
fn every_path_that_it_links_exists() {
    let targets = README.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let paths: Vec<_> = targets.filter(|target| !target.starts_with('#') && !target.contains("://")).collect();
    assert!(paths.len() >= 5, "{paths:?}");
    for path in paths {
        assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{path}");
    }
}

#[test]
fn every_section_that_it_links_exists() {
    let anchors: Vec<String> = README
        .lines()
        .filter_map(|line| line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")))
        .map(|title| title.to_lowercase().replace(' ', "-").replace(['\'', '…'], ""))
        .collect();
    for target in README.split("](#").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
        assert!(anchors.iter().any(|anchor| anchor == target), "{target} is none of {anchors:?}");
    }
}

#[test]
fn its_table_has_every_code_with_its_message() {
    for refusal in Refusal::ALL {
        let row = format!("| {} | {} |", refusal.code(), refusal.message());
        assert!(README.contains(&row), "{row}");
    }
}

#[test]
fn its_first_request_signs_in() {
    let app = spawn_app_with(&format!("[[organisation]]\nname = \"demo\"\napi_keys = [\"{DEMO_KEY}\"]"));
    let (_, rest) = README.split_once("curl -X POST \"http://127.0.0.1:8080").unwrap();
    let (path, rest) = rest.split_once('"').unwrap();
    let body = rest.split('\'').nth(1).unwrap();
    let reply = Client::new(app.address, "").post(path, "application/json", body);
    assert_eq!(reply.identity().len(), 32);
}

/// The names of all fields in it.
fn fields(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(fields).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| [vec![name.clone()], fields(value)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn it_names_every_field_that_a_command_prints() {
    let app = spawn_app();
    let (section, _) = README.split_once("### What `--json` prints").unwrap().1.split_once("\n## ").unwrap();
    let jan = "jan@barasek.com";
    app.shop().sign_in(jan);
    app.operator(&["ban", jan, "--reason", "fraud", "--keep-sessions"]);
    let file = |name: &str| app.folder.path().join(name).display().to_string();
    std::fs::write(file("more.csv"), "email\njan@gmail.com\n").unwrap();
    let (more, export, backup) = (file("more.csv"), file("export.csv"), file("backup.db"));
    for command in [
        &["key", "create", "--kind", "dev", "--organisation", "shop"][..],
        &["key", "rotate", "ROOT0000"],
        &["key", "list"],
        &["customer", "list", "--organisation", "shop"],
        &["customer", "show", jan, "--organisation", "shop"],
        &["customer", "import", &more, "--organisation", "shop"],
        &["customer", "export", &export, "--organisation", "shop"],
        &["customer", "why", jan, "--organisation", "shop"],
        &["customer", "duplicates", "--organisation", "shop"],
        &["customer", "unban", jan, "--organisation", "shop"],
        &["attempts"],
        &["attempts", "--summary"],
        &["check"],
        &["backup", &backup],
    ] {
        let printed: Value = serde_json::from_str(&app.cli_ok(&[command, &["--json"]].concat())).unwrap();
        for field in fields(&printed) {
            assert!(section.contains(&format!("`{field}`")), "{command:?} prints {field}");
        }
    }
}

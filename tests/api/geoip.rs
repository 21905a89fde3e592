//! Who is behind an address: what the server makes of the files that tell.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::app::write_config;
use crate::process::{eventually, serve_command, start_process};

/// A database of `tests/geoip/make.py`.
pub fn database(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/geoip").join(name)
}

/// Replaces a file in the folder as a whole, as an updater does.
fn replace(folder: &TempDir, name: &str, content: &[u8]) {
    std::fs::write(folder.path().join("new"), content).unwrap();
    std::fs::rename(folder.path().join("new"), folder.path().join(name)).unwrap();
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_at_start() {
    let folder = tempfile::tempdir().unwrap();
    replace(&folder, "tor.txt", b"192.0.2.1\ntor.example\n");
    for (config, error) in [
        (
            "databases = [\"none.mmdb\"]",
            "[geoip] databases: FOLDER/none.mmdb: cannot be read: No such file or directory",
        ),
        ("databases = [\"config.toml\"]", "[geoip] databases: FOLDER/config.toml: not a MaxMind database"),
        ("lists.tor = [\"tor.txt\"]", "[geoip.lists] tor: FOLDER/tor.txt:2: not an IP address or a network"),
    ] {
        write_config(&folder, &format!("[geoip]\n{config}"));
        let output = serve_command(&folder).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap().replace(folder.path().to_str().unwrap(), "FOLDER");
        assert!(text.starts_with(&format!("magic-auth: {error}")) && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn a_file_that_is_replaced_is_read_again_and_a_broken_one_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let content = |name| std::fs::read(database(name)).unwrap();
    replace(&folder, "geo.mmdb", &content("country.mmdb"));
    replace(&folder, "tor.txt", b"");
    write_config(&folder, "[geoip]\ndatabases = [\"geo.mmdb\"]\nlists.tor = [\"tor.txt\"]");
    let server = start_process(folder);
    let logged = |text: &str| server.log().matches(text).count();
    replace(&server.folder, "geo.mmdb", &content("city.mmdb"));
    eventually(|| logged("geo.mmdb again: GeoLite2-City, made on 2020-01-02") == 1);
    replace(&server.folder, "geo.mmdb", &content("city.mmdb")[..500]);
    eventually(|| logged("geo.mmdb: not a MaxMind database") == 1);
    // Whatever is said of this one, is said after a look at the broken one.
    replace(&server.folder, "tor.txt", b"192.0.2.1");
    eventually(|| logged("tor.txt again: tor.txt") == 1);
    assert_eq!(logged("geo.mmdb: not a MaxMind database, or an incomplete one; the contents read earlier"), 1);
    server.shop().identity("jan@barasek.com");
    replace(&server.folder, "geo.mmdb", &content("asn.mmdb"));
    eventually(|| logged("geo.mmdb again: GeoLite2-ASN") == 1);
}

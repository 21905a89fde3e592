//! From a file to a checked [`Config`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::{Config, OrganisationConfig};

/// Why the configuration cannot be used. Each message is one line and says where to look; none
/// repeats a key.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file is no valid TOML, or a value breaks its rules.
    #[error("{}:{line}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// Values that are fine each alone contradict each other.
    #[error("{}: {message}", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// What contradicts what.
        message: String,
    },
}

impl Config {
    /// Reads the file that was named, else `./config.toml`, else takes the defaults, which have no
    /// organisation.
    ///
    /// # Errors
    /// When the file cannot be read or used.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new("config.toml"));
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { file: Some(path.to_owned()), ..Self::parse(&text, path)? }),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let cause = io::Error::new(error.kind(), "it is not UTF-8: save it as UTF-8");
                Err(ConfigError::Unreadable { path: path.to_owned(), cause })
            }
            Err(cause) => Err(ConfigError::Unreadable { path: path.to_owned(), cause }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::Invalid {
            path: path.to_owned(),
            line: 1 + error.span().map_or(0, |span| text[..span.start].matches('\n').count()),
            message: without_keys(&in_words(error.message())),
        })?;
        config.check().map_err(|message| ConfigError::Contradiction { path: path.to_owned(), message })?;
        if let Some(folder) = path.parent() {
            config.database.path.join_to(folder);
            config.geoip.join_to(folder);
        }
        Ok(config)
    }
}

/// As usual, but for what is said when the brackets are one too few.
pub(super) fn organisations<'de, D: Deserializer<'de>>(file: D) -> Result<Vec<OrganisationConfig>, D::Error> {
    struct Tables;

    impl<'de> Visitor<'de> for Tables {
        type Value = Vec<OrganisationConfig>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("[[organisation]] with two brackets, once for each")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, tables: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(tables))
        }
    }

    file.deserialize_seq(Tables)
}

/// What serde calls by the names of types.
fn in_words(message: &str) -> String {
    message
        .replace("expected u32", "expected a whole number from 0 to 4294967295")
        .replace("expected usize", "expected a whole number from 0")
        .replace("expected a sequence", "expected a list such as [\"a\", \"b\"]")
}

/// A parser's message may quote what it found. What could be a key is left out.
fn without_keys(message: &str) -> String {
    let is_secret = |word: &str| word.len() >= 24;
    message
        .split_inclusive(|character: char| !character.is_alphanumeric() && character != '_')
        .map(|word| if is_secret(word) { "…" } else { word })
        .collect::<String>()
        .replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::KeyKind;
    use proptest::prelude::*;
    use std::collections::HashSet;
    use std::fmt::Write as _;
    use std::time::Duration;

    fn error(text: &str) -> String {
        Config::parse(text, Path::new("config.toml")).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        let shipped = include_str!("../../config.toml");
        let mut shipped = Config::parse(shipped, Path::new("config.toml")).unwrap();
        assert_eq!(shipped.organisations.len(), 1);
        assert!(shipped.organisations[0].api_keys.iter().all(crate::domain::ApiKey::is_demo));
        shipped.organisations.clear();
        assert_default(shipped);
    }

    #[track_caller]
    fn assert_default(mut config: Config) {
        let default = Config::default();
        assert_eq!(limits(&config), limits(&default));
        (config.throttle, config.rate_limit) = (default.throttle, default.rate_limit);
        assert_eq!(format!("{config:?}"), format!("{default:?}"));
    }

    #[test]
    fn the_readme_says_all_keys_and_the_defaults_and_a_wrong_value_of_each_is_named() {
        let shipped = include_str!("../../config.toml");
        let readme = include_str!("../../README.md");
        let (_, table) = readme.split_once("| key | default | meaning |\n|---|---|---|\n").unwrap();
        let mut text = String::new();
        let mut known = HashSet::new();
        let mut wrong = Vec::new();
        for row in table.lines().take_while(|row| row.starts_with('|')) {
            let [keys, values] = [1, 2].map(|cell| quoted(row.split(" | ").nth(cell - 1).unwrap()));
            let (folder, _) = keys[0].rsplit_once('.').unwrap();
            for (number, key) in keys.iter().enumerate() {
                let name = key.rsplit('.').next().unwrap();
                assert!(shipped.contains(&format!("{name} = ")), "{key} is in the shipped file");
                known.insert(name);
                let table = if folder == "organisation" { "[[organisation]]" } else { &format!("[{folder}]") };
                wrong.push(format!("{table}\n{name} = 1979-05-27"));
                if let Some(value) = values.get(number).or(values.first()).filter(|_| folder != "organisation") {
                    writeln!(text, "{folder}.{name} = {value}").unwrap();
                }
            }
        }
        assert_default(Config::parse(&text, Path::new("config.toml")).unwrap());
        let lines = shipped.lines().filter_map(|line| line.trim_start_matches("# ").split_once(" = "));
        let is_key = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        for name in lines.map(|(name, _)| name).filter(is_key) {
            assert!(known.contains(name), "{name} is in the README's table");
        }
        assert!(wrong.len() > 25, "{wrong:?}");
        for text in wrong {
            let error = error(&text);
            assert!(error.starts_with("config.toml:2: ") && !error.contains('\n'), "{text}: {error}");
            for type_name in ["u16", "u32", "u64", "usize", "struct", "sequence"] {
                assert!(!error.contains(type_name), "{text}: {error}");
            }
        }
    }

    /// What stands between backticks.
    fn quoted(cell: &str) -> Vec<&str> {
        cell.split('`').skip(1).step_by(2).collect()
    }

    /// Burst and refill interval of each limit.
    fn limits(config: &Config) -> Vec<Option<(u32, Duration)>> {
        [
            config.throttle.mailbox_quota(),
            config.throttle.network_quota(),
            config.rate_limit.quota(KeyKind::Prod),
            config.rate_limit.quota(KeyKind::Dev),
            config.rate_limit.quota(KeyKind::Root),
        ]
        .map(|quota| quota.map(|quota| (quota.burst_size().get(), quota.replenish_interval())))
        .to_vec()
    }

    #[test]
    fn a_limit_that_is_given_in_part_keeps_its_other_defaults() {
        let text =
            "[throttle]\nip.period = \"1h\"\nemail.burst = 0\n[rate_limit]\ndev.requests = 3600\nprod.requests = 0";
        let config = Config::parse(text, Path::new("config.toml")).unwrap();
        let minute = Duration::from_mins(1);
        let expected = vec![None, Some((60, minute)), None, Some((50, Duration::from_secs(1))), None];
        assert_eq!(limits(&config), expected);
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let text = "[geoip]\ndatabases = [\"geo/city.mmdb\", \"/var/asn.mmdb\"]\nlists.tor = [\"tor.txt\"]";
        let config = Config::parse(text, Path::new("/etc/magic-auth/config.toml")).unwrap();
        assert_eq!(*config.database.path, *Path::new("/etc/magic-auth/magic-auth.db"));
        let databases: Vec<&Path> = config.geoip.databases.iter().map(|path| &**path).collect();
        assert_eq!(databases, [Path::new("/etc/magic-auth/geo/city.mmdb"), Path::new("/var/asn.mmdb")]);
        assert_eq!(*config.geoip.lists.tor[0], *Path::new("/etc/magic-auth/tor.txt"));
    }

    #[test]
    fn errors_name_the_line_and_what_is_wrong() {
        for (text, expected) in [
            ("[server]\nlisen = 1", "config.toml:2: unknown field `lisen`"),
            ("\n\n[servr]", "config.toml:3: unknown field `servr`"),
            ("[server]\nlisten = \"localhost\"", "config.toml:2: not an IP address and a port"),
            (
                "[server]\nlisten = 8080",
                "config.toml:2: invalid type: integer `8080`, expected an address and a port in quotes, such as \"127.0.0.1:8081\"",
            ),
            (
                "[sign_in]\nnew_customer_email = false",
                "config.toml:2: invalid type: boolean `false`, expected `authorized` or `unauthorized`",
            ),
            (
                "[email]\ncanonicalization = 1",
                "config.toml:2: invalid type: integer `1`, expected `provider` or `none`",
            ),
            ("[log]\nformat = \"xml\"", "config.toml:2: unknown variant `xml`, expected `text` or `json`"),
            ("[session]\nlifetime = \"soon\"", "config.toml:2: not a duration"),
            ("[session]\nlifetime = \"0s\"", "config.toml:2: a duration must be more than zero"),
            ("[sign_in]\nguest = \"refuze\"", "config.toml:2: unknown variant `refuze`"),
            (
                "[throttle.email]\nburst = -1",
                "config.toml:2: invalid value: integer `-1`, expected a whole number from 0 to 4294967295",
            ),
            ("[server]\nworkers = \"2\"", "config.toml:2: invalid type: string \"2\", expected a whole number from 0"),
            (
                "[throttle]\nip = 60",
                "config.toml:2: invalid type: integer `60`, expected a table with burst and period",
            ),
            ("server = true", "config.toml:1: invalid type: boolean `true`, expected the table [server]"),
            ("[geoip]\nlists = 1", "config.toml:2: invalid type: integer `1`, expected the table [geoip.lists]"),
            ("[[organisation]]\nname = \"a b\"", "config.toml:2: an organisation's name"),
            (
                "[organisation]\nname = \"a\"",
                "config.toml:1: invalid type: map, expected [[organisation]] with two brackets, once for each",
            ),
            ("[[organisation]]\napi_keys = []", "config.toml:1: missing field `name`"),
            (
                "[retention]\nlogin_attempts = 90",
                "config.toml:2: invalid type: integer `90`, expected a duration such as \"90d\"",
            ),
            ("[retention]\nlogin_attempts = \"0d\"", "config.toml:2: a duration must be more than zero"),
            ("[retention]\nsessions = \"90d\"", "config.toml:2: unknown field `sessions`"),
            (
                "[geoip]\ndatabases = \"a.mmdb\"",
                "config.toml:2: invalid type: string \"a.mmdb\", expected a list such as [\"a\", \"b\"]",
            ),
            ("[geoip]\ndatabases = [\n\"a.mmdb\",\n\"\"]", "config.toml:4: a path must not be empty"),
            ("[database]\npath = \"\"", "config.toml:2: a path must not be empty"),
            ("[geoip]\ndatabase = []", "config.toml:2: unknown field `database`"),
            ("[geoip]\nreverse_dns = \"yes\"", "config.toml:2: invalid type: string"),
            ("[geoip]\ndns_servers = [\"dns.example\"]", "config.toml:2: not a DNS server such as 127.0.0.1"),
            ("[geoip]\nrefresh = \"0d\"", "config.toml:2: a duration must be more than zero"),
            (
                "[geoip]\nhosting_asns = [1,\n-1]",
                "config.toml:3: invalid value: integer `-1`, expected a whole number from 0 to 4294967295",
            ),
            ("[geoip]\nhosting_asns = [\"AS1\"]", "config.toml:2: invalid type: string"),
            ("[geoip.lists]\ntor = [\"\"]", "config.toml:2: a path must not be empty"),
            ("[geoip.lists]\nanonymous = []", "config.toml:2: unknown field `anonymous`"),
            ("[log]\nformat = text", "config.toml:2: "),
            ("[server\n", "config.toml:1: "),
        ] {
            let error = error(text);
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_utf_8_is_told_how_to_save_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, b"# \xe1").unwrap();
        let error = Config::load(Some(&path)).unwrap_err().to_string();
        assert!(error.ends_with("config.toml: it is not UTF-8: save it as UTF-8"), "{error}");
    }

    #[test]
    fn errors_repeat_no_key() {
        const KEY: &str = "PROD0123456789abcdefghijklmnopqr";
        for text in [
            format!("[[organisation]]\nname = \"a\"\napi_keys = [\"{KEY}x\"]"),
            format!("[[organisation]]\nname = \"a\"\napi_keys = \"{KEY}\""),
            format!("[[organisation]]\nname = \"a\"\n{KEY} = 1"),
            format!("[[organisation]]\nname = \"a\"\napi_keys = [\"{KEY}\", \"{KEY}\"]"),
        ] {
            let error = error(&text);
            assert!(!error.contains(&KEY[4..28]), "{error}");
        }
    }

    #[test]
    fn contradictions_are_found() {
        let twice = "[[organisation]]\nname = \"a\"\n[[organisation]]\nname = \"a\"";
        assert_eq!(error(twice), "config.toml: the organisation \"a\" is listed twice");
        assert_eq!(error("[server]\nworkers = 513"), "config.toml: server.workers is at most 512");
        let none = "config.toml: rate_limit.dev.burst is at least 1: for no limit at all, set requests = 0";
        assert_eq!(error("[rate_limit.dev]\nburst = 0"), none);
        assert!(Config::parse("[rate_limit.dev]\nburst = 0\nrequests = 0", Path::new("config.toml")).is_ok());
        let slow = "[rate_limit.dev]\nrequests = 1\nper = \"36500d\"\nburst = 2";
        assert!(error(slow).starts_with("config.toml: rate_limit.dev: the whole burst"), "{}", error(slow));
        for limit in
            ["[throttle.ip]\nburst = 4294967295\nperiod = \"1ms\"", "[rate_limit.prod]\nrequests = 1\nper = \"365d\""]
        {
            let config = Config::parse(limit, Path::new("config.toml"));
            assert!(config.is_err() || limits(&config.unwrap()).iter().take(4).all(Option::is_some), "{limit}");
        }
        let demo = include_str!("../../config.toml").replace("127.0.0.1:8080", "0.0.0.0:8080");
        assert!(error(&demo).contains("has a demo key, which everybody knows"), "{}", error(&demo));
    }

    #[test]
    fn attempts_are_kept_for_as_long_as_the_throttle_counts_them() {
        let with = |retention, email, ip| {
            let text = format!("[retention]\nlogin_attempts = \"{retention}\"\n[throttle]\n{email}\n{ip}");
            Config::parse(&text, Path::new("config.toml")).map(drop).map_err(|error| error.to_string())
        };
        let shorter_than = |key| {
            Err(format!(
                "config.toml: retention.login_attempts is shorter than {key}: keep attempts for at least as long, for \
                 the throttle is rebuilt from them at each start"
            ))
        };
        assert_eq!(with("10m", "", ""), Ok(()));
        assert_eq!(with("10m", "email.burst = 7", "ip.burst = 17"), Ok(()));
        assert_eq!(with("9m", "", ""), shorter_than("throttle.email.period"));
        assert_eq!(with("9m", "email.burst = 0", ""), shorter_than("throttle.ip.period"));
        assert_eq!(with("9m", "email.burst = 0", "ip.burst = 0"), Ok(()));
        assert_eq!(with("90d", "email.period = \"91d\"", ""), shorter_than("throttle.email.period"));
    }

    proptest! {
        #[test]
        fn reading_any_text_never_panics(text in "[\\[\\]a-z_=\"0-9{}\n .,#é'-]{0,60}") {
            let _ = Config::parse(&text, Path::new("config.toml"));
        }
    }
}

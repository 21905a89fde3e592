//! supabase/auth #2600: one switch of the configuration silently turned off a check that it did not name. All
//! switches of `[sign_in]` in all combinations: each check fires as if there were no other.

use serde_json::json;

use crate::app::{TestApp, spawn_app_with};

/// `[sign_in]`.
#[expect(clippy::struct_excessive_bools, reason = "these are switches")]
#[derive(Clone, Copy, Debug)]
struct Switches {
    refuse_unknown: bool,
    refuse_guest: bool,
    unauthorized: bool,
    deny: bool,
}

impl Switches {
    fn all() -> impl Iterator<Item = Self> {
        (0..16).map(|bits| Self {
            refuse_unknown: bits & 1 != 0,
            refuse_guest: bits & 2 != 0,
            unauthorized: bits & 4 != 0,
            deny: bits & 8 != 0,
        })
    }

    fn spawn(self) -> TestApp {
        let or = |is: bool, one, other| if is { one } else { other };
        let app = spawn_app_with(&format!(
            "[throttle]
            email.burst = 2
            [sign_in]
            unknown_email = \"{}\"
            guest = \"{}\"
            new_customer_email = \"{}\"
            deny.cidrs = [{}]",
            or(self.refuse_unknown, "refuse", "create"),
            or(self.refuse_guest, "refuse", "promote"),
            or(self.unauthorized, "unauthorized", "authorized"),
            or(self.deny, "\"192.0.2.0/24\"", ""),
        ));
        for name in ["guest", "customer", "banned"] {
            app.insert_guest(&format!("{name}@barasek.com"), true);
        }
        for name in ["waiting-guest", "waiting"] {
            app.insert_guest(&format!("{name}@barasek.com"), false);
        }
        let register = "UPDATE customers SET registered_at = 1 WHERE email NOT LIKE '%guest%'";
        let ban = "INSERT INTO bans (customer_id, reason, created_at)
            SELECT id, 'fraud', 1 FROM customers WHERE email LIKE 'banned%'";
        app.database().execute_batch(&format!("{register}; {ban}")).unwrap();
        app
    }

    /// What a sign-in of each is answered, from an address that may be denied; the contract's order of checks.
    fn expected(self, name: &str, is_denied: bool) -> &'static str {
        match name {
            _ if is_denied && self.deny => "E001",
            "banned" => "E005",
            "unknown" if self.refuse_unknown => "E002",
            "guest" | "waiting-guest" if self.refuse_guest => "E003",
            "waiting" | "waiting-guest" => "E007",
            "unknown" if self.unauthorized => "E007",
            _ => "",
        }
    }
}

#[test]
fn no_switch_turns_off_the_check_of_another() {
    for switches in Switches::all() {
        let app = switches.spawn();
        for name in ["unknown", "guest", "waiting-guest", "waiting", "banned", "customer"] {
            let attempt = |ip: &str| {
                let email = format!("{name}@barasek.com");
                app.shop().magic_auth(&json!({ "email": email, "customerRealIp": ip })).code()
            };
            for (ip, is_denied) in [("192.0.2.1", true), ("198.51.100.1", false)] {
                assert_eq!(attempt(ip), switches.expected(name, is_denied), "{switches:?} {name} {ip}");
            }
            assert_eq!(attempt("192.0.2.1"), "E006", "{switches:?} {name}");
        }
        assert_eq!(app.shop().sign_in("no address").code(), "E004", "{switches:?}");
        let sessions = app.count("SELECT count(*) FROM sessions");
        let signed_in = app.count("SELECT count(*) FROM login_attempts WHERE outcome = 'OK'");
        assert_eq!(sessions, signed_in, "{switches:?}");
    }
}

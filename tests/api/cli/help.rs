//! The help texts, whole.

use insta::assert_snapshot;

use crate::app::cli;

fn help(command: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = cli(&folder, &[command, &["--help"]].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_of_the_program() {
    assert_snapshot!(help(&[]), @"
    Passwordless customer sign-in by e-mail: one binary, one SQLite file, one TOML file

    Usage: magic-auth [OPTIONS] [COMMAND]

    Commands:
      serve        Answer requests until Ctrl-C or SIGTERM
      check        Check the configuration, the database and the machine; exit code 1 when something is
                   wrong
      key          Make, list, rotate and revoke API keys
      customer     Import, export, list, show, ban, authorize, sign out and erase customers
      attempts     List sign-in attempts, the newest first; follow them, or sum them up
      ip           Tell who is behind an IP address: country, place, network, flags
      backup       Copy the database into a file, even while the server runs; replaces an earlier backup
                   there
      restore      Replace the database, which is kept beside it, with a copy of a backup; stop the
                   server first
      openapi      Print the OpenAPI description of the API, as `/openapi.json` serves it
      completions  Print a shell completion script
      man          Write the manual, a page for each command
      help         Print this message or the help of the given subcommand(s)

    Options:
          --config <PATH>  The configuration file [default: ./config.toml, or built-in defaults if there
                           is none] [env: MAGIC_AUTH_CONFIG]
          --json           Print JSON instead of a table
      -h, --help           Print help
      -V, --version        Print version

    Without a command, magic-auth serves. See the README for the configuration and the API.
    ");
}

#[test]
fn the_help_of_serve() {
    assert_snapshot!(help(&["serve"]), @"
    Answer requests until Ctrl-C or SIGTERM

    Usage: magic-auth serve [OPTIONS]

    Options:
          --config <PATH>  The configuration file [default: ./config.toml, or built-in defaults if there
                           is none] [env: MAGIC_AUTH_CONFIG]
          --json           Print JSON instead of a table
      -h, --help           Print help
    ");
}

#[test]
fn the_help_of_check() {
    assert_snapshot!(help(&["check"]), @"
    Check the configuration, the database and the machine; exit code 1 when something is wrong

    Usage: magic-auth check [OPTIONS]

    Options:
          --config <PATH>  The configuration file [default: ./config.toml, or built-in defaults if there
                           is none] [env: MAGIC_AUTH_CONFIG]
          --json           Print JSON instead of a table
      -h, --help           Print help
    ");
}

#[test]
fn the_help_of_ip() {
    assert_snapshot!(help(&["ip"]), @"
    Tell who is behind an IP address: country, place, network, flags

    Usage: magic-auth ip [OPTIONS] <ADDRESS>

    Arguments:
      <ADDRESS>  An IPv4 or IPv6 address

    Options:
          --config <PATH>  The configuration file [default: ./config.toml, or built-in defaults if there
                           is none] [env: MAGIC_AUTH_CONFIG]
          --json           Print JSON instead of a table
      -h, --help           Print help

    What is known comes from the files that the configuration names under [geoip]. Of an address that is
    not public, nothing else is known. With --json, unknown values are null.
    ");
}

#[test]
fn the_help_of_backup() {
    assert_snapshot!(help(&["backup"]), @"
    Copy the database into a file, even while the server runs; replaces an earlier backup there

    Usage: magic-auth backup [OPTIONS] <FILE>

    Arguments:
      <FILE>  Where the copy goes

    Options:
          --config <PATH>  The configuration file [default: ./config.toml, or built-in defaults if there
                           is none] [env: MAGIC_AUTH_CONFIG]
          --json           Print JSON instead of a table
      -h, --help           Print help
    ");
}

#[test]
fn the_help_of_restore() {
    assert_snapshot!(help(&["restore"]), @"
    Replace the database, which is kept beside it, with a copy of a backup; stop the server first

    Usage: magic-auth restore [OPTIONS] <FILE>

    Arguments:
      <FILE>  What `backup` made

    Options:
          --config <PATH>  The configuration file [default: ./config.toml, or built-in defaults if there
                           is none] [env: MAGIC_AUTH_CONFIG]
          --json           Print JSON instead of a table
      -h, --help           Print help
    ");
}

#[test]
fn the_help_of_key() {
    assert_snapshot!(help(&["key"]), @"
    Make, list, rotate and revoke API keys

    Usage: magic-auth key [OPTIONS] <COMMAND>

    Commands:
      create  Make a key and print it: the only time that it is shown
      list    List all keys: prefix and last four characters, never the key
      rotate  Replace a key: print a new one like it, and let the old one expire after a while
      revoke  Revoke a key for good; running servers refuse it when this returns
      help    Print this message or the help of the given subcommand(s)

    Options:
          --config <PATH>  The configuration file [default: ./config.toml, or built-in defaults if there
                           is none] [env: MAGIC_AUTH_CONFIG]
          --json           Print JSON instead of a table
      -h, --help           Print help
    ");
}

#[test]
fn the_help_of_key_create() {
    assert_snapshot!(help(&["key", "create"]), @"
    Make a key and print it: the only time that it is shown

    Usage: magic-auth key create [OPTIONS] --kind <KIND>

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  The organisation; may be left out when there is only one
          --json                 Print JSON instead of a table
          --kind <KIND>          What the key is for: `root` has no quota and no throttle [possible
                                 values: prod, dev, root]
          --expires <PERIOD>     For how long it is valid, such as 365d [default: until it is revoked]
          --only <PERMISSIONS>   What the key may do, separated by commas [default: everything]
                                 [possible values: sign-in, account-info, logout, ip]
      -h, --help                 Print help
    ");
}

#[test]
fn the_help_of_key_list() {
    assert_snapshot!(help(&["key", "list"]), @"
    List all keys: prefix and last four characters, never the key

    Usage: magic-auth key list [OPTIONS]

    Options:
          --config <PATH>  The configuration file [default: ./config.toml, or built-in defaults if there
                           is none] [env: MAGIC_AUTH_CONFIG]
          --json           Print JSON instead of a table
      -h, --help           Print help
    ");
}

#[test]
fn the_help_of_key_rotate() {
    assert_snapshot!(help(&["key", "rotate"]), @"
    Replace a key: print a new one like it, and let the old one expire after a while

    Usage: magic-auth key rotate [OPTIONS] <HINT>

    Arguments:
      <HINT>  Its last four characters, as `key list` shows them, with or without the prefix

    Options:
          --config <PATH>     The configuration file [default: ./config.toml, or built-in defaults if
                              there is none] [env: MAGIC_AUTH_CONFIG]
          --overlap <PERIOD>  For how long the old key stays in force, but never longer than its own
                              expiry [default: 24h]
          --json              Print JSON instead of a table
      -h, --help              Print help
    ");
}

#[test]
fn the_help_of_key_revoke() {
    assert_snapshot!(help(&["key", "revoke"]), @"
    Revoke a key for good; running servers refuse it when this returns

    Usage: magic-auth key revoke [OPTIONS] <HINT>

    Arguments:
      <HINT>  Its last four characters, as `key list` shows them, with or without the prefix; or the
              whole key

    Options:
          --config <PATH>  The configuration file [default: ./config.toml, or built-in defaults if there
                           is none] [env: MAGIC_AUTH_CONFIG]
          --json           Print JSON instead of a table
      -h, --help           Print help
    ");
}

#[test]
fn the_help_of_customer() {
    assert_snapshot!(help(&["customer"]), @"
    Import, export, list, show, ban, authorize, sign out and erase customers

    Usage: magic-auth customer [OPTIONS] <COMMAND>

    Commands:
      list         List customers, the newest first
      show         Show a customer with all bans, and the newest sessions, attempts and referred
                   customers
      ban          Ban a customer (E005) and end all sessions
      unban        Lift a customer's ban
      authorize    Mark a customer's e-mail address as authorized
      deauthorize  Mark a customer's e-mail address as not authorized (E007); the sessions live on
      register     Make a guest a registered customer (E003)
      sign-out     End all sessions of a customer
      why          Tell what a sign-in would answer now, and why, rule by rule
      duplicates   List customers whose addresses would be one mailbox under another canonicalization
      set-email    Give a customer another e-mail address, or a first one; sessions and attempts stay
      erase        Forget a person for good: only the cuRefNo stays
      import       Import customers from a file; running it again brings in what is missing
      export       Export all customers into a file that can be imported again
      help         Print this message or the help of the given subcommand(s)

    Options:
          --config <PATH>  The configuration file [default: ./config.toml, or built-in defaults if there
                           is none] [env: MAGIC_AUTH_CONFIG]
          --json           Print JSON instead of a table
      -h, --help           Print help
    ");
}

#[test]
fn the_help_of_customer_show() {
    assert_snapshot!(help(&["customer", "show"]), @"
    Show a customer with all bans, and the newest sessions, attempts and referred customers

    Usage: magic-auth customer show [OPTIONS] <EMAIL|PHONE|CUREFNO>

    Arguments:
      <EMAIL|PHONE|CUREFNO>  The customer's e-mail address, in any spelling, telephone number such as
                             +420777123456, or cuRefNo

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  The organisation; may be left out when there is only one
          --json                 Print JSON instead of a table
      -h, --help                 Print help
    ");
}

#[test]
fn the_help_of_customer_ban() {
    assert_snapshot!(help(&["customer", "ban"]), @r#"
    Ban a customer (E005) and end all sessions

    Usage: magic-auth customer ban [OPTIONS] --reason <TEXT> <EMAIL|PHONE|CUREFNO>

    Arguments:
      <EMAIL|PHONE|CUREFNO>  The customer's e-mail address, in any spelling, telephone number such as
                             +420777123456, or cuRefNo

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  The organisation; may be left out when there is only one
          --json                 Print JSON instead of a table
          --reason <TEXT>        Why; kept with the ban and shown to operators only
          --for <PERIOD>         For how long, such as 7d [default: until it is lifted]
          --keep-sessions        Keep the sessions; they show `"ban":true`
      -h, --help                 Print help
    "#);
}

#[test]
fn the_help_of_customer_unban() {
    assert_snapshot!(help(&["customer", "unban"]), @"
    Lift a customer's ban

    Usage: magic-auth customer unban [OPTIONS] <EMAIL|PHONE|CUREFNO>

    Arguments:
      <EMAIL|PHONE|CUREFNO>  The customer's e-mail address, in any spelling, telephone number such as
                             +420777123456, or cuRefNo

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  The organisation; may be left out when there is only one
          --json                 Print JSON instead of a table
      -h, --help                 Print help
    ");
}

#[test]
fn the_help_of_customer_authorize() {
    assert_snapshot!(help(&["customer", "authorize"]), @"
    Mark a customer's e-mail address as authorized

    Usage: magic-auth customer authorize [OPTIONS] <EMAIL|PHONE|CUREFNO>

    Arguments:
      <EMAIL|PHONE|CUREFNO>  The customer's e-mail address, in any spelling, telephone number such as
                             +420777123456, or cuRefNo

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  The organisation; may be left out when there is only one
          --json                 Print JSON instead of a table
      -h, --help                 Print help
    ");
}

#[test]
fn the_help_of_customer_deauthorize() {
    assert_snapshot!(help(&["customer", "deauthorize"]), @"
    Mark a customer's e-mail address as not authorized (E007); the sessions live on

    Usage: magic-auth customer deauthorize [OPTIONS] <EMAIL|PHONE|CUREFNO>

    Arguments:
      <EMAIL|PHONE|CUREFNO>  The customer's e-mail address, in any spelling, telephone number such as
                             +420777123456, or cuRefNo

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  The organisation; may be left out when there is only one
          --json                 Print JSON instead of a table
      -h, --help                 Print help
    ");
}

#[test]
fn the_help_of_customer_sign_out() {
    assert_snapshot!(help(&["customer", "sign-out"]), @"
    End all sessions of a customer

    Usage: magic-auth customer sign-out [OPTIONS] <EMAIL|PHONE|CUREFNO>

    Arguments:
      <EMAIL|PHONE|CUREFNO>  The customer's e-mail address, in any spelling, telephone number such as
                             +420777123456, or cuRefNo

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  The organisation; may be left out when there is only one
          --json                 Print JSON instead of a table
      -h, --help                 Print help
    ");
}

#[test]
fn the_help_of_customer_list() {
    assert_snapshot!(help(&["customer", "list"]), @"
    List customers, the newest first

    Usage: magic-auth customer list [OPTIONS]

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  The organisation; may be left out when there is only one
          --banned               Only those who are banned
          --json                 Print JSON instead of a table
          --guests               Only guests
          --unauthorized         Only those who have an address that is not authorized
          --search <TEXT>        Only those with this text in address, number, names, company or
                                 cuRefNo; case and accents do not matter
          --since <PERIOD>       Only those created within this period, such as 7d
          --limit <NUMBER>       At most this many, the newest [default: 50]
          --after <CUREFNO>      Only those who come after this customer in the list: the next page
      -h, --help                 Print help
    ");
}

#[test]
fn the_help_of_customer_set_email() {
    assert_snapshot!(help(&["customer", "set-email"]), @"
    Give a customer another e-mail address, or a first one; sessions and attempts stay

    Usage: magic-auth customer set-email [OPTIONS] <EMAIL|PHONE|CUREFNO> <ADDRESS>

    Arguments:
      <EMAIL|PHONE|CUREFNO>  The customer's e-mail address, in any spelling, telephone number such as
                             +420777123456, or cuRefNo
      <ADDRESS>              The new address

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  The organisation; may be left out when there is only one
          --json                 Print JSON instead of a table
      -h, --help                 Print help
    ");
}

#[test]
fn the_help_of_customer_erase() {
    assert_snapshot!(help(&["customer", "erase"]), @"
    Forget a person for good: only the cuRefNo stays

    Usage: magic-auth customer erase [OPTIONS] <EMAIL|PHONE|CUREFNO>

    Arguments:
      <EMAIL|PHONE|CUREFNO>  The customer's e-mail address, in any spelling, telephone number such as
                             +420777123456, or cuRefNo

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  The organisation; may be left out when there is only one
          --json                 Print JSON instead of a table
          --yes                  Do not ask
      -h, --help                 Print help
    ");
}

#[test]
fn the_help_of_customer_import() {
    assert_snapshot!(help(&["customer", "import"]), @"
    Import customers from a file; running it again brings in what is missing

    Usage: magic-auth customer import [OPTIONS] <FILE>

    Arguments:
      <FILE>  CSV with a header or JSON lines; - is standard input

    Options:
          --config <PATH>              The configuration file [default: ./config.toml, or built-in
                                       defaults if there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>        The organisation; may be left out when there is only one
          --default-country <COUNTRY>  The country of telephone numbers without a code, such as CZ
          --json                       Print JSON instead of a table
          --dry-run                    Say what would be done, and change nothing in the database
          --rejects <FILE>             Keep the rows that are wrong in a new file, to be corrected and
                                       imported; a dry run keeps them too
      -h, --help                       Print help
    ");
}

#[test]
fn the_help_of_customer_export() {
    assert_snapshot!(help(&["customer", "export"]), @"
    Export all customers into a file that can be imported again

    Usage: magic-auth customer export [OPTIONS] <FILE>

    Arguments:
      <FILE>  The file to write, which replaces an earlier export; - is standard output

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  The organisation; may be left out when there is only one
          --format <FORMAT>      The form of the file [default: by its name, .jsonl or .ndjson; else
                                 CSV] [possible values: csv, jsonl]
          --json                 Print JSON instead of a table
      -h, --help                 Print help
    ");
}

#[test]
fn the_help_of_customer_why() {
    assert_snapshot!(help(&["customer", "why"]), @"
    Tell what a sign-in would answer now, and why, rule by rule

    Usage: magic-auth customer why [OPTIONS] <EMAIL>

    Arguments:
      <EMAIL>  The e-mail address, as it would be sent

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  The organisation; may be left out when there is only one
          --ip <IP>              The customer's address, as in `customerRealIp` [default: none]
          --json                 Print JSON instead of a table
      -h, --help                 Print help

    This does not count as an attempt and changes nothing. Attempts of the last second may be missing
    from what it says about the throttle. The key and its quota are not considered: with a ROOT key,
    nothing is throttled; with a DEV_ key, sandbox addresses (such as ok@magic.test) give the answer
    that they are named after.
    ");
}

#[test]
fn the_help_of_customer_duplicates() {
    assert_snapshot!(help(&["customer", "duplicates"]), @"
    List customers whose addresses would be one mailbox under another canonicalization

    Usage: magic-auth customer duplicates [OPTIONS]

    Options:
          --config <PATH>               The configuration file [default: ./config.toml, or built-in
                                        defaults if there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>         The organisation; may be left out when there is only one
          --canonicalization <SETTING>  The setting of `email.canonicalization` that you are considering
                                        [default: provider] [possible values: provider, none]
          --json                        Print JSON instead of a table
      -h, --help                        Print help

    This changes nothing. Decide what to do about them before you change the setting.
    ");
}

#[test]
fn the_help_of_attempts() {
    assert_snapshot!(help(&["attempts"]), @"
    List sign-in attempts, the newest first; follow them, or sum them up

    Usage: magic-auth attempts [OPTIONS]

    Options:
          --config <PATH>        The configuration file [default: ./config.toml, or built-in defaults if
                                 there is none] [env: MAGIC_AUTH_CONFIG]
          --organisation <NAME>  Only of this organisation
          --email <ADDRESS>      Only for this address, in any spelling, and for those that its customer
                                 had before
          --json                 Print JSON instead of a table
          --ip <IP>              Only from this address
          --outcome <OUTCOME>    Only with this outcome: OK, E001 to E007, or denied
          --since <PERIOD>       Only those within this period, such as 1h
          --limit <NUMBER>       At most this many, the newest [default: 100]; with --summary, this many
                                 addresses and mailboxes [default: 10]
          --follow               List them the oldest first, and go on with new ones as they are
                                 recorded; with --json, one object a line
          --summary              Count them: for each outcome, and for the addresses and mailboxes with
                                 the most
          --show-emails          Show full e-mail addresses in the summary, instead of j***@barasek.com
      -h, --help                 Print help
    ");
}

#[test]
fn the_help_of_completions() {
    assert_snapshot!(help(&["completions"]), @"
    Print a shell completion script

    Usage: magic-auth completions [OPTIONS] <SHELL>

    Arguments:
      <SHELL>  Which shell [possible values: bash, zsh, fish]

    Options:
          --config <PATH>  The configuration file [default: ./config.toml, or built-in defaults if there
                           is none] [env: MAGIC_AUTH_CONFIG]
          --json           Print JSON instead of a table
      -h, --help           Print help
    ");
}

#[test]
fn the_help_of_man() {
    assert_snapshot!(help(&["man"]), @"
    Write the manual, a page for each command

    Usage: magic-auth man [OPTIONS] <FOLDER>

    Arguments:
      <FOLDER>  The folder to write to, such as /usr/local/share/man/man1

    Options:
          --config <PATH>  The configuration file [default: ./config.toml, or built-in defaults if there
                           is none] [env: MAGIC_AUTH_CONFIG]
          --json           Print JSON instead of a table
      -h, --help           Print help
    ");
}

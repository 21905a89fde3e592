//! `completions`

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::folder_with;
use crate::app::cli;
use crate::process::skip;

fn script(shell: &str) -> String {
    let folder = folder_with("");
    let output = cli(&folder, &["completions", shell]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a shell prints when it reads these commands; `None` when the shell is not there.
fn run(shell: &str, arguments: &[&str], commands: &str) -> Option<String> {
    let mut command = Command::new(shell);
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn bash_completes_commands_options_and_values() {
    let script = script("bash");
    let function = script.lines().find_map(|line| line.trim().strip_prefix("complete -F ")?.split(' ').next()).unwrap();
    for (words, expected) in [
        ("magic-auth cus", "customer"),
        ("magic-auth customer sh", "show"),
        ("magic-auth key create --ki", "--kind"),
        ("magic-auth key create --kind pr", "prod"),
        ("magic-auth completions fi", "fish"),
    ] {
        let last = words.split(' ').count() - 1;
        let [before, word] = [1, 0].map(|back| words.split(' ').nth(last - back).unwrap());
        let commands = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={last}; {function} magic-auth '{word}' '{before}'; echo ${{COMPREPLY[@]}}"
        );
        assert_eq!(run("bash", &["--norc"], &commands).expect("bash is there").trim(), expected, "{words}");
    }
}

#[test]
fn zsh_and_fish_get_scripts_of_their_own() {
    for (shell, begin, command) in [
        ("zsh", "#compdef magic-auth\n", "'sign-out:End all sessions of a customer'"),
        ("fish", "# Print an optspec", "-a \"sign-out\" -d 'End all sessions of a customer'"),
    ] {
        let script = script(shell);
        assert!(script.starts_with(begin), "{script}");
        assert!(script.contains(command), "{script}");
        // Read, not run.
        if run(shell, &["-n"], &script).is_none() {
            skip("whether its script can be read", shell);
        }
    }
}

#[test]
fn a_script_does_not_depend_on_a_configuration() {
    let folder = folder_with("no TOML");
    for arguments in [&["completions", "bash"][..], &["completions", "bash", "--json"]] {
        let output = cli(&folder, arguments);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), script("bash"));
    }
}

//! The command line, as its user meets it.
#![expect(clippy::unwrap_used, reason = "a test stops where its server does")]

mod support;

use serde_json::Value;
use std::{
    collections::HashSet,
    process::{Command, Output, Stdio},
};
use support::{BINARY, Running, free_port, serve};

fn housekey(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_has_examples_and_every_command_has_help() {
    let output = housekey(&["--help"]);
    assert!(output.status.success());
    assert!(stdout(&output).contains("housekey exec -- npm test"), "{}", stdout(&output));
    for command in [
        "serve",
        "dev",
        "exec",
        "adopt",
        "account",
        "crawl",
        "invite",
        "key",
        "delegate",
        "verify",
        "watch",
        "config",
        "health",
        "completions",
    ] {
        let output = housekey(&[command, "--help"]);
        assert!(output.status.success(), "{command}");
        assert!(stdout(&output).contains("Usage:"), "{command}");
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    assert_eq!(housekey(&["nonesuch"]).status.code(), Some(2));
    assert_eq!(housekey(&["dev", "--port", "many"]).status.code(), Some(2));
    assert_eq!(housekey(&["exec"]).status.code(), Some(2));
}

#[test]
fn completions_are_printed_for_bash() {
    let output = housekey(&["completions", "bash"]);
    assert!(stdout(&output).contains("complete -F"), "{}", stdout(&output));
}

#[test]
fn exec_gives_the_command_a_server_and_passes_on_its_exit_code() {
    let script = "test -n \"$HOUSEKEY_DEV_PLC_URL\" && test -n \"$HOUSEKEY_DEV_ALICE_ACCESS_JWT\" && echo $HOUSEKEY_DEV_ALICE_HANDLE && exit 7";
    let output = housekey(&["exec", "--", "sh", "-c", script]);
    assert_eq!(stdout(&output).trim(), "alice.test");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn exec_tells_a_missing_command_and_a_signal_by_exit_code() {
    assert_eq!(housekey(&["exec", "--", "no-such-command-here"]).status.code(), Some(127));
    assert_eq!(housekey(&["exec", "--", "/etc/passwd"]).status.code(), Some(126));
    assert_eq!(housekey(&["exec", "--", "sh", "-c", "kill -9 $$"]).status.code(), Some(128 + 9));
}

#[test]
fn twenty_exec_runs_at_once_do_not_meet() {
    let children: Vec<_> = (0..20)
        .map(|_| {
            Command::new(BINARY)
                .args(["exec", "--", "sh", "-c", "echo $HOUSEKEY_DEV_PDS_URL $HOUSEKEY_DEV_ALICE_DID"])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let told: HashSet<String> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            stdout(&output)
        })
        .collect();
    assert_eq!(told.len(), 20);
}

#[test]
fn the_same_seed_makes_the_same_accounts_whatever_the_port() {
    let accounts = |flags: &[&str]| -> Vec<(String, String)> {
        let server = Running::dev(flags);
        let list = server.ready["accounts"].as_array().unwrap().clone();
        list.iter()
            .map(|account| {
                (account["did"].as_str().unwrap().to_owned(), account["password"].as_str().unwrap().to_owned())
            })
            .collect()
    };
    let first = accounts(&["--seed", "7"]);
    assert_eq!(first.len(), 2);
    assert_eq!(accounts(&["--seed", "7"]), first);
    assert_ne!(accounts(&["--seed", "8"]), first);
}

#[test]
fn dev_keeps_its_accounts_in_a_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    let did = |server: &Running| server.ready["accounts"][0]["did"].clone();
    let server = Running::dev(&["--state", state, "--accounts", "alice"]);
    let made = did(&server);
    assert_eq!(server.terminate(), Some(0));
    let again = Running::dev(&["--state", state, "--accounts", "alice"]);
    assert_eq!(did(&again), made);
    assert!(again.ready["accounts"][0]["accessJwt"].is_string());
}

#[test]
fn serve_without_a_configuration_says_what_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(BINARY).arg("serve").current_dir(dir.path()).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("hostname"), "{}", stderr(&output));
    assert!(stderr(&output).contains("[server]"), "an example is part of the answer: {}", stderr(&output));
}

#[test]
fn a_second_process_on_the_same_data_is_refused_in_words() {
    let plc = Running::dev(&["--accounts", ""]);
    let dir = tempfile::tempdir().unwrap();
    let first = Running::start(&mut serve(dir.path(), free_port(), plc.text("plc")));
    let second = serve(dir.path(), free_port(), plc.text("plc")).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("another"), "{}", stderr(&second));
    assert_eq!(first.terminate(), Some(0));
}

#[test]
fn accounts_are_made_listed_and_shown_over_http_and_health_tells() {
    let plc = Running::dev(&["--accounts", ""]);
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = serve(dir.path(), port, plc.text("plc"));
    command.env("HOUSEKEY_ACCOUNTS_INVITE_REQUIRED", "true");
    let server = Running::start(&mut command);
    let url = format!("http://localhost:{port}");
    let run = |arguments: &[&str]| -> Output {
        Command::new(BINARY)
            .args(arguments)
            .args(["--server", &url, "--json"])
            .env("HOUSEKEY_ADMIN_PASSWORD", "admin password")
            .output()
            .unwrap()
    };
    let made = run(&["account", "create", "zoe.test", "--email", "zoe@example.com"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let made: Value = serde_json::from_str(&stdout(&made)).unwrap();
    assert!(made["password"].as_str().unwrap().len() >= 16, "a password is made where none is given");
    let listed: Value = serde_json::from_str(&stdout(&run(&["account", "list"]))).unwrap();
    assert_eq!(listed["accounts"][0]["handle"], "zoe.test");
    let info: Value = serde_json::from_str(&stdout(&run(&["account", "info", "zoe.test"]))).unwrap();
    assert_eq!(info["did"], made["did"]);
    let again = run(&["account", "create", "zoe.test", "--email", "other@example.com"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("taken"), "{}", stderr(&again));
    assert!(run(&["health"]).status.success());
    assert_eq!(server.terminate(), Some(0));
    let unreachable = run(&["health"]);
    assert_eq!(unreachable.status.code(), Some(1));
    assert!(stderr(&unreachable).contains("could not be asked"), "{}", stderr(&unreachable));
}

#[test]
fn the_administrator_finds_one_account_among_many_that_are_named_alike() {
    // More than a page of handles that contain the last one.
    let names: Vec<String> = (0..100).map(|n| format!("x{n:02}ice")).chain(["ice".to_owned()]).collect();
    let server = Running::dev(&["--accounts", &names.join(",")]);
    let run = as_administrator(&server);
    let info = run(&["account", "info", "ice.test"]);
    assert!(info.status.success(), "{}", stderr(&info));
    let did = serde_json::from_str::<Value>(&stdout(&info)).unwrap()["did"].clone();
    // As an app shows the address of a record: with the handle.
    let record = "at://ice.test/com.example.note/none";
    assert!(stderr(&run(&["account", "takedown", record])).contains("Subject not found"));
    assert!(run(&["account", "takedown", "ice.test", "--ref", "17"]).status.success());
    assert!(run(&["account", "takedown", did.as_str().unwrap()]).status.success());
    let status: Value = serde_json::from_str(&stdout(&run(&["account", "status", "ice.test"]))).unwrap();
    assert_eq!(status["takedown"]["ref"], "17", "said twice, it keeps the number of its case");
}

#[test]
fn an_invite_code_that_is_mistyped_is_not_said_to_be_disabled() {
    let server = Running::dev(&["--accounts", "alice"]);
    let run = as_administrator(&server);
    let made: Value = serde_json::from_str(&stdout(&run(&["invite", "create", "--count", "2"]))).unwrap();
    let [one, two] = ["/codes/0", "/codes/1"].map(|at| made.pointer(at).unwrap().as_str().unwrap());
    let disabled = || -> Vec<Value> {
        let listed: Value = serde_json::from_str(&stdout(&run(&["invite", "list"]))).unwrap();
        let codes = listed["codes"].as_array().unwrap().iter();
        codes.filter(|code| code["disabled"] == true).map(|code| code["code"].clone()).collect()
    };
    let refused = run(&["invite", "disable", one, "localhost-nobod-yhas1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("no invite code localhost-nobod-yhas1: nothing was disabled"));
    assert_eq!(disabled(), Vec::<Value>::new());
    for _ in 0..2 {
        assert!(run(&["invite", "disable", one]).status.success());
        assert_eq!(disabled(), [one]);
    }
    assert_ne!(one, two);
    for none in [["--count", "0"], ["--uses", "0"]] {
        assert_eq!(run(&[&["invite", "create"][..], &none].concat()).status.code(), Some(2), "{none:?}");
    }
}

/// Runs commands in the name of a development server's administrator.
fn as_administrator(server: &Running) -> impl Fn(&[&str]) -> Output + '_ {
    |arguments| {
        Command::new(BINARY)
            .args(arguments)
            .args(["--server", server.text("pds"), "--json"])
            .env("HOUSEKEY_ADMIN_PASSWORD", server.text("admin_password"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

#[test]
fn config_check_finds_a_misspelt_key_and_names_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("housekey.toml");
    std::fs::write(&file, "[server]\nhostnme = \"pds.example.com\"\n").unwrap();
    let output = housekey(&["config", "check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("hostname"), "{}", stderr(&output));
    std::fs::write(&file, "[server]\nhostname = \"pds.example.com\"\n").unwrap();
    assert!(housekey(&["config", "check", "--config", file.to_str().unwrap()]).status.success());
}

//! `housekey delegate`, against a server: what its user does and what public material says afterwards.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where its server does")]

mod support;
#[path = "support/website.rs"]
mod website;

use serde_json::{Value, json};
use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};
use support::{BINARY, Client, Running};
use tempfile::TempDir;
use website::Website;

/// A server with one account, and a directory for the keys of its owner.
struct Desk {
    server: Running,
    dir: TempDir,
    handle: &'static str,
}

impl Desk {
    fn new() -> Self {
        let server = Running::dev(&["--accounts", "alice", "--no-plc-limits"]);
        let desk = Self { server, dir: tempfile::tempdir().unwrap(), handle: "alice.test" };
        std::fs::write(desk.path("password"), desk.server.ready["accounts"][0]["password"].as_str().unwrap()).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(BINARY).args(arguments).current_dir(self.dir.path()).stdin(Stdio::null()).output().unwrap()
    }

    fn key(&self, name: &str, kind: &str) -> String {
        let made = self.run(&["key", "new", name, "--type", kind, "--no-words", "--json"]);
        assert!(made.status.success(), "{}", said(&made));
        serde_json::from_slice::<Value>(&made.stdout).unwrap()["key"].as_str().unwrap().to_owned()
    }

    /// Another account, with a rotation key of its owner's before the server's.
    async fn with_rotation_key(self, did_key: &str) -> Self {
        let request = json!({
            "handle": "zoe.test", "email": "zoe@example.com", "password": "correct horse", "recoveryKey": did_key,
        });
        Client::new(self.server.text("pds")).post("com.atproto.server.createAccount", &request).await.unwrap();
        std::fs::write(self.path("password"), "correct horse").unwrap();
        Self { handle: "zoe.test", ..self }
    }

    /// A command of the owner, without being able to ask anything.
    fn delegate(&self, verb: &str, more: &[&str]) -> Output {
        let account = ["--identifier", self.handle, "--password-file", "password"];
        let servers = ["--plc", self.server.text("plc"), "--server", self.server.text("pds")];
        self.run(&[&["delegate", verb][..], &account, &servers, more].concat())
    }

    fn done(&self, verb: &str, more: &[&str]) -> String {
        let output = self.delegate(verb, more);
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn verify(&self, more: &[&str]) -> (i32, Value) {
        let asked = ["verify", self.handle, "--json", "--plc", self.server.text("plc")];
        let output = self.run(&[&asked[..], &["--resolver", self.server.text("pds")], more].concat());
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The code in the latest mail that has one.
    async fn code(&self) -> String {
        let page = reqwest_get(self.server.text("mail")).await;
        let mails: Value = serde_json::from_slice(&page).unwrap();
        let is_code = |word: &&str| {
            word.len() == 11
                && word.as_bytes()[5] == b'-'
                && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        let texts = mails["mails"].as_array().unwrap().iter().filter_map(|mail| mail["text"].as_str());
        texts.flat_map(str::split_whitespace).find(is_code).unwrap().to_owned()
    }
}

/// The entry that a refusal asks for.
fn entry_in(refused: &Output) -> Value {
    let text = said(refused);
    let json = text.get(text.find('{').unwrap()..=text.rfind('}').unwrap()).unwrap();
    serde_json::from_str(json).unwrap()
}

async fn reqwest_get(url: &str) -> Vec<u8> {
    use housekey::outbound::{FetchLimits, OutboundOptions, TrustedClient};
    let client = TrustedClient::new(&OutboundOptions::default()).unwrap();
    let limits = FetchLimits { body_bytes: 1 << 20, total: support::PATIENCE, redirects: 0 };
    client.get(&url.parse().unwrap(), limits).await.unwrap().body.to_vec()
}

fn said(output: &Output) -> String {
    [output.stdout.as_slice(), b"\n", &output.stderr].concat().iter().map(|byte| char::from(*byte)).collect()
}

#[test]
fn a_key_of_each_kind_is_named_replaced_and_ended_and_public_material_agrees() {
    let desk = Desk::new();
    assert_eq!(desk.verify(&[]).0, 4);
    let first = desk.key("a.key", "ed25519");
    assert!(desk.done("create", &["--key", "a.key"]).contains(&first));
    let (code, verdict) = desk.verify(&["--pin", "pins"]);
    assert_eq!((code, verdict["status"].as_str(), verdict["recent"].as_bool()), (0, Some("verified"), Some(true)));
    for (before, next, kind) in [("a.key", "b.key", "p256"), ("b.key", "c.key", "k256")] {
        desk.key(next, kind);
        desk.done("rotate", &["--key", before, "--next", next]);
        let (code, verdict) = desk.verify(&["--pin", "pins"]);
        assert_eq!(
            (code, verdict["vsPin"].as_str(), verdict["complete"].as_bool()),
            (0, Some("successor"), Some(true))
        );
    }
    desk.done("end", &["--key", "c.key"]);
    let (code, verdict) = desk.verify(&["--pin", "pins"]);
    assert_eq!((code, verdict["status"].as_str()), (4, Some("ended")));
}

#[test]
fn another_key_than_the_named_one_can_not_endorse_and_nothing_is_sent() {
    let desk = Desk::new();
    desk.key("a.key", "ed25519");
    desk.key("b.key", "ed25519");
    desk.key("c.key", "ed25519");
    desk.done("create", &["--key", "a.key"]);
    let refused = desk.delegate("rotate", &["--key", "b.key", "--next", "c.key"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("not the one in the file"), "{}", said(&refused));
    assert_eq!(desk.verify(&[]).0, 0);
}

#[tokio::test]
async fn a_lost_key_is_replaced_with_a_mailed_code_and_everybody_is_warned() {
    let desk = Desk::new();
    desk.key("a.key", "ed25519");
    let next = desk.key("b.key", "ed25519");
    desk.done("create", &["--key", "a.key"]);
    let waits = desk.delegate("rotate", &["--lost", "--next", "b.key"]);
    assert_eq!(waits.status.code(), Some(1));
    assert!(said(&waits).contains("--token"), "{}", said(&waits));
    let code = desk.code().await;
    assert!(desk.done("rotate", &["--lost", "--next", "b.key", "--token", &code]).contains(&next));
    assert!(!desk.path("b.key.e2ee.statement").exists(), "the statement does not wait any more");
    let (code, verdict) = desk.verify(&[]);
    assert_eq!((code, verdict["resets"][0]["key"].as_str()), (1, Some(next.as_str())));
    let waits = desk.delegate("end", &["--lost"]);
    assert!(said(&waits).contains("--token"), "{}", said(&waits));
    let code = desk.code().await;
    desk.done("end", &["--lost", "--token", &code]);
    assert_eq!(desk.verify(&[]).0, 4);
}

#[test]
fn associated_data_is_set_survives_a_rotation_and_is_ended() {
    let desk = Desk::new();
    desk.key("a.key", "ed25519");
    desk.key("b.key", "p256");
    desk.done("create", &["--key", "a.key"]);
    std::fs::write(desk.path("data.json"), r#"{"packages": ["one"]}"#).unwrap();
    desk.done("data", &["--key", "a.key", "--app", "com.example.chat", "--data", "data.json"]);
    assert!(desk.done("rotate", &["--key", "a.key", "--next", "b.key"]).contains("signed anew: 1"));
    let shown =
        desk.run(&["verify", "alice.test", "--plc", desk.server.text("plc"), "--resolver", desk.server.text("pds")]);
    assert!(said(&shown).contains("com.example.chat: holds until"), "{}", said(&shown));
    desk.done("data", &["--key", "b.key", "--app", "com.example.chat", "--end"]);
    let listed = desk.run(&["delegate", "show", "alice.test", "--server", desk.server.text("pds"), "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["delegations"][0]["state"], "active");
}

#[tokio::test]
async fn an_operation_can_be_signed_by_the_owners_own_rotation_key_and_by_no_other() {
    let desk = Desk::new();
    let rotation = desk.key("rotation.key", "p256");
    desk.key("other.key", "p256");
    desk.key("a.key", "ed25519");
    let desk = desk.with_rotation_key(&rotation).await;
    let refused = desk.delegate("create", &["--key", "a.key", "--rotation-key", "other.key"]);
    assert!(said(&refused).contains("not a rotation key"), "{}", said(&refused));
    desk.done("create", &["--key", "a.key", "--rotation-key", "rotation.key"]);
    assert_eq!(desk.verify(&[]).0, 0);
    let refused = desk.delegate("rotate", &["--key", "a.key", "--next", "rotation.key"]);
    assert!(said(&refused).contains("KeyNotUserHeld"), "a rotation key is no delegate key: {}", said(&refused));
}

#[test]
fn a_server_that_alone_says_whose_account_it_is_is_not_believed_in_silence() {
    let desk = Desk::new();
    desk.key("a.key", "ed25519");
    let resolver = ["--resolver", desk.server.text("pds")];
    let nobody = ["--resolver", "http://localhost:1"];
    let key = ["--key", "a.key"];
    let trusted = desk.delegate("create", &[&key[..], &nobody].concat());
    assert!(trusted.status.success(), "{}", said(&trusted));
    assert!(said(&trusted).contains("says that this is alice.test, which could not be resolved"), "{}", said(&trusted));
    let checked = desk.delegate("end", &[&key[..], &resolver].concat());
    assert!(checked.status.success() && !said(&checked).contains("note:"), "{}", said(&checked));
}

#[test]
fn a_wrong_password_is_told_before_anything_is_signed() {
    let desk = Desk::new();
    desk.key("a.key", "ed25519");
    let resolver = ["--key", "a.key", "--resolver", desk.server.text("pds")];
    desk.done("create", &resolver);
    std::fs::write(desk.path("password"), "not the password").unwrap();
    let refused = desk.delegate("rotate", &["--key", "a.key", "--next", "a.key"]);
    assert!(said(&refused).contains("AuthenticationRequired"), "{}", said(&refused));
}

#[tokio::test]
async fn the_owner_of_a_did_web_pastes_what_is_shown_and_runs_the_same_command_again() {
    let website = Website::start();
    let desk = Desk { handle: "carol.test", ..Desk::new() };
    website.moves_to(&desk.server).await;
    std::fs::write(desk.path("password"), "correct horse").unwrap();
    for name in ["a.key", "b.key", "c.key"] {
        desk.key(name, "ed25519");
    }
    let entry_for = |verb: &str, flags: &[&str]| {
        let refused = desk.delegate(verb, flags);
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains("run this command again"), "{}", said(&refused));
        entry_in(&refused)
    };

    let create = ["--key", "a.key"];
    website.names(entry_for("create", &create));
    assert_eq!(desk.verify(&[]).1["status"], "unproven");
    desk.done("create", &create);
    let (code, verdict) = desk.verify(&["--pin", "pins"]);
    assert_eq!((code, verdict["status"].as_str(), verdict["log"].as_str()), (0, Some("verified"), Some("none")));
    assert!(said(&desk.delegate("create", &create)).contains("names this key already"));
    let refused = desk.delegate("rotate", &["--key", "a.key", "--next", "b.key", "--rotation-key", "c.key"]);
    assert!(said(&refused).contains("a did:web has no operations"), "{}", said(&refused));

    std::fs::write(desk.path("data.json"), r#"{"packages": ["one"]}"#).unwrap();
    desk.done("data", &["--key", "a.key", "--app", "com.example.chat", "--data", "data.json"]);
    let rotate = ["--key", "a.key", "--next", "b.key"];
    website.names(entry_for("rotate", &rotate));
    assert!(desk.done("rotate", &rotate).contains("signed anew: 1"));
    let (code, verdict) = desk.verify(&["--pin", "pins"]);
    assert_eq!((code, verdict["vsPin"].as_str()), (0, Some("successor")));

    // The code that was mailed is still good when the document has been changed.
    let lost = ["--lost", "--next", "c.key"];
    assert!(said(&desk.delegate("rotate", &lost)).contains("--token"));
    let code = desk.code().await;
    let lost = [&lost[..], &["--token", &code]].concat();
    website.names(entry_for("rotate", &lost));
    desk.done("rotate", &lost);
    let (code, verdict) = desk.verify(&["--pin", "pins"]);
    assert_eq!((code, verdict["vsPin"].as_str()), (1, Some("reset")));

    let end = ["--key", "c.key"];
    let refused = desk.delegate("end", &end);
    assert!(said(&refused).contains("remove its verificationMethod entry #e2ee"), "{}", said(&refused));
    website.forgets(&format!("{}#e2ee", website.did));
    desk.done("end", &end);
    let (code, verdict) = desk.verify(&[]);
    assert_eq!((code, verdict["status"].as_str()), (4, Some("ended")));
    assert!(said(&desk.delegate("end", &end)).contains("names no key"));
}

#[tokio::test]
async fn the_owner_of_a_did_web_that_the_server_serves_needs_this_command_alone() {
    let desk = Desk { handle: "dora.test", ..Desk::new() };
    let did = "did:web:dora.test";
    let request =
        json!({ "handle": "dora.test", "did": did, "email": "dora@example.com", "password": "correct horse" });
    let pds = Client::new(desk.server.text("pds"));
    pds.post("com.atproto.server.createAccount", &request).await.unwrap();
    std::fs::write(desk.path("password"), "correct horse").unwrap();
    let resolver = desk.server.text("pds").to_owned();
    let done = |verb: &str, flags: &[&str]| desk.done(verb, &[flags, &["--resolver", &resolver]].concat());
    let refused = |verb: &str, flags: &[&str]| {
        let output = desk.delegate(verb, &[flags, &["--resolver", &resolver]].concat());
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        said(&output)
    };
    let seen = |field: &str| {
        let (code, verdict) = desk.verify(&["--pin", "pins"]);
        assert_eq!(verdict["log"], "none", "the host alone says what it was");
        (code, verdict["status"].as_str().unwrap().to_owned(), verdict[field].clone())
    };
    let keys: Vec<String> =
        [("a.key", "ed25519"), ("b.key", "p256"), ("c.key", "k256")].map(|(name, kind)| desk.key(name, kind)).to_vec();
    assert_eq!(seen("vsPin"), (4, "none".to_owned(), json!("none")));

    assert!(done("create", &["--key", "a.key"]).contains(&keys[0]));
    assert_eq!(seen("vsPin"), (0, "verified".to_owned(), json!("none")));
    let document = pds.get(&format!("com.atproto.identity.resolveDid?did={did}")).await.unwrap();
    let method = json!({ "id": format!("{did}#e2ee"), "type": "Multikey", "controller": did,
                         "publicKeyMultibase": keys[0].trim_start_matches("did:key:") });
    assert!(document["didDoc"]["verificationMethod"].as_array().unwrap().contains(&method), "{document}");
    assert!(refused("create", &["--key", "b.key"]).contains("names a key already"));
    let own = refused("rotate", &["--key", "a.key", "--next", "b.key", "--rotation-key", "c.key"]);
    assert!(own.contains("a did:web has no operations"), "{own}");

    std::fs::write(desk.path("data.json"), r#"{"packages": ["one"]}"#).unwrap();
    done("data", &["--key", "a.key", "--app", "com.example.chat", "--data", "data.json"]);
    assert!(done("rotate", &["--key", "a.key", "--next", "b.key"]).contains("signed anew: 1"));
    assert_eq!(seen("vsPin"), (0, "verified".to_owned(), json!("successor")));

    let lost = ["--lost", "--next", "c.key"];
    assert!(refused("rotate", &lost).contains("--token"));
    let code = desk.code().await;
    done("rotate", &[&lost[..], &["--token", &code]].concat());
    assert_eq!(seen("vsPin"), (1, "verified".to_owned(), json!("reset")));

    done("end", &["--key", "c.key"]);
    assert_eq!(seen("complete"), (4, "ended".to_owned(), json!(true)));
    done("create", &["--key", "a.key", "--previous", "c.key"]);
    assert_eq!(desk.verify(&[]).1["status"], "verified");

    // Nobody else is asked about a name that no DNS has.
    let alone = desk.run(&["verify", did, "--json", "--plc", desk.server.text("plc")]);
    assert_eq!(alone.status.code(), Some(3), "{}", said(&alone));
    let watched = desk.run(&["watch", did, "--plc", desk.server.text("plc")]);
    assert_eq!(watched.status.code(), Some(2));
    assert!(said(&watched).contains("no log that could be watched"), "{}", said(&watched));
}

//! Two servers, an account with something of everything at one of them, and the command line.

use super::support::{BINARY, Client, Running, free_port, serve};
use housekey::{
    clock::{Clock as _, SystemClock},
    crypto::{Curve, SigningKey},
    entropy::OsEntropy,
    outbound::{OutboundOptions, PlcClient},
    plc::{Service, UnsignedOperation},
    syntax::Did,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

/// Two servers, their directory, and an owner with a rotation key of her own.
pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) plc: Running,
    pub(super) old: Running,
    pub(super) new: Running,
    alice: Client,
    pub(super) did: Did,
    rotation: SigningKey,
}

impl World {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let plc = Running::dev(&["--accounts", "nobody"]);
        let server = |name: &str| {
            let data = dir.path().join(name);
            fs::create_dir(&data).unwrap();
            let mut command = serve(&data, free_port(), plc.text("plc"));
            // The website of a did:web is on loopback too.
            Running::start(command.env("HOUSEKEY_OUTBOUND_ALLOW_PRIVATE_ADDRESSES", "true"))
        };
        let (old, new) = (server("old"), server("new"));
        let rotation = SigningKey::generate(Curve::K256, &OsEntropy);
        let input = json!({
            "handle": "alice.test", "email": "alice@example.com", "password": "correct horse",
            "recoveryKey": rotation.did_key().to_string(),
        });
        let client = Client::new(old.text("pds"));
        let made = client.post("com.atproto.server.createAccount", &input).await.unwrap();
        let alice = client.with_token(made["accessJwt"].as_str().unwrap());
        let did = made["did"].as_str().unwrap().parse().unwrap();
        fs::write(dir.path().join("password"), "correct horse").unwrap();
        Self { dir, plc, old, new, alice, did, rotation }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The JSON of a success.
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(super) fn export(&self, more: &[&str]) -> Output {
        let who =
            ["account", "export", "alice.test", "--plc", self.plc.text("plc"), "--resolver", self.old.text("pds")];
        self.run(&[&who[..], more].concat())
    }

    pub(super) async fn records(&self, server: &Running) -> Value {
        let query = format!("com.atproto.repo.listRecords?repo={}&collection=com.example.post&limit=100", self.did);
        Client::new(server.text("pds")).get(&query).await.unwrap()["records"].clone()
    }

    /// Posts, a picture, preferences, a delegation.
    pub(super) async fn fill(&self) -> Vec<String> {
        let mut pictures = Vec::new();
        for n in 0..3 {
            let picture = format!("picture {n}");
            let blob =
                self.alice.upload("com.atproto.repo.uploadBlob", "text/plain", picture.as_bytes()).await.unwrap();
            pictures.push(blob["blob"]["ref"]["$link"].as_str().unwrap().to_owned());
            let record = json!({"text": n, "picture": blob["blob"]});
            let input = json!({"repo": self.did, "collection": "com.example.post", "record": record});
            self.alice.post("com.atproto.repo.createRecord", &input).await.unwrap();
        }
        self.alice.post("app.bsky.actor.putPreferences", &preferences()).await.unwrap();
        let made = self.run(&["key", "new", "a.key", "--type", "ed25519", "--no-words", "--json"]);
        assert!(made.status.success(), "{}", said(&made));
        let account =
            ["delegate", "create", "--identifier", "alice.test", "--password-file", "password", "--key", "a.key"];
        let servers = ["--plc", self.plc.text("plc"), "--server", self.old.text("pds")];
        let delegated = self.run(&[&account[..], &servers].concat());
        assert!(delegated.status.success(), "{}", said(&delegated));
        pictures
    }

    /// The old server's word for an account at the new one, in a file.
    pub(super) async fn get_proof(&self) {
        let described = Client::new(self.new.text("pds")).get("com.atproto.server.describeServer").await.unwrap();
        // Long enough for whatever is interrupted before it is used.
        let proof = format!(
            "com.atproto.server.getServiceAuth?aud={}&lxm=com.atproto.server.createAccount&exp={}",
            described["did"].as_str().unwrap(),
            SystemClock.now().plus(Duration::from_mins(30)).as_secs()
        );
        let proof = self.alice.get(&proof).await.unwrap()["token"].as_str().unwrap().to_owned();
        fs::write(self.path("proof"), proof).unwrap();
    }

    /// Lets the DID name the new server and its key, signed by the owner's own key.
    pub(super) async fn change_identity(&self, credentials: &Value) {
        let plc = PlcClient::new(&self.plc.text("plc").parse().unwrap(), &OutboundOptions::default()).unwrap();
        let log = plc.audit_log(&self.did).await.unwrap();
        let last = log.last().unwrap();
        let mut next = UnsignedOperation { prev: Some(last.cid), ..last.operation.normalized().unwrap() };
        let text = |pointer: &str| credentials.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        next.verification_methods.insert("atproto".to_owned(), text("/verificationMethods/atproto"));
        let (kind, endpoint) = (text("/services/atproto_pds/type"), text("/services/atproto_pds/endpoint"));
        next.services.insert("atproto_pds".to_owned(), Service { kind, endpoint });
        next.rotation_keys.push(text("/rotationKeys/0"));
        next.rotation_keys.dedup();
        plc.post(&self.did, &serde_json::to_string(&next.sign(&self.rotation)).unwrap()).await.unwrap();
    }
}

pub(super) fn preferences() -> Value {
    json!({"preferences": [
        {"$type": "app.bsky.actor.defs#personalDetailsPref", "birthDate": "1990-05-05T00:00:00.000Z"},
        {"$type": "app.bsky.actor.defs#adultContentPref", "enabled": false},
    ]})
}

pub(super) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(super) fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

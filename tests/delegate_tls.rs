//! `housekey verify` and `watch` over TLS, with a certificate authority that only the user knows.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test stops where its server does, and spawns what stands before it"
)]

mod support;

use housekey::{
    clock::{Clock, SystemClock},
    crypto::{DelegateSigningKey, KeyType},
    delegation::{DelegationId, Draft, VerifiedLog},
    entropy::OsEntropy,
    plc::Entry,
    syntax::Did,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};
use support::{BINARY, Client, Running};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A TLS server for localhost in front of a plain one; its address, and its authority's certificate in a file.
async fn tls_before(plain: &str, dir: &Path) -> (String, String) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let file = dir.join("ca.pem");
    std::fs::write(&file, ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let behind = plain.strip_prefix("http://").unwrap().replace("localhost", "127.0.0.1");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                // Who does not believe the certificate hangs up.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut behind = TcpStream::connect(behind).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut stream, &mut behind).await);
            });
        }
    });
    (url, file.to_str().unwrap().to_owned())
}

fn new_key() -> DelegateSigningKey {
    DelegateSigningKey::generate(KeyType::Ed25519, &OsEntropy)
}

struct Owner {
    did: Did,
    session: Client,
    directory: Client,
}

impl Owner {
    async fn name(&self, method: &str, key: &DelegateSigningKey, endorser: Option<&DelegateSigningKey>) {
        let log: Vec<Entry> =
            serde_json::from_value(self.directory.json(&format!("/{}/log/audit", self.did)).await).unwrap();
        let draft = Draft {
            did: self.did.clone(),
            id: DelegationId::default(),
            key: Some(key.public()),
            prev: Some(VerifiedLog::new(&self.did, &log).unwrap().head()),
            created_at: SystemClock.now(),
        };
        let statement = draft.sign(Some(key), endorser).unwrap().to_json();
        let method = format!("dev.housekey.delegation.{method}");
        self.session.post(&method, &json!({ "statement": statement })).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_behind_tls_is_read_and_watched_by_who_believes_its_authority() {
    let server = Running::dev(&["--accounts", "", "--no-plc-limits"]);
    let dir = tempfile::tempdir().unwrap();
    let (plc, ca) = tls_before(server.text("plc"), dir.path()).await;
    let (session, did) = Client::new(server.text("pds")).sign_up("olivia.test").await;
    let owner = Owner { did: did.parse().unwrap(), session, directory: Client::new(server.text("plc")) };
    let (first, second) = (new_key(), new_key());
    owner.name("createDelegation", &first, None).await;

    let verify = |more: &[&str]| {
        let output = Command::new(BINARY).args(["verify", &did, "--json", "--plc", &plc]).args(more).output().unwrap();
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), verdict["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(verify(&[]), (3, "unavailable".to_owned()), "its authority is nobody's");
    assert_eq!(verify(&["--ca-file", &ca]), (0, "verified".to_owned()));

    let mut watching = Command::new(BINARY)
        .args(["watch", &did, "--json", "--plc", &plc, "--ca-file", &ca])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut notes = BufReader::new(watching.stderr.take().unwrap()).lines();
    while !notes.next().unwrap().unwrap().contains("connected") {}
    owner.name("updateDelegation", &second, Some(&first)).await;
    let line = BufReader::new(watching.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["kind"], &event["key"]), (&json!("endorsed"), &json!(second.public().to_string())));
    watching.kill().unwrap();
    watching.wait().unwrap();
}

//! A did:web whose document its owner hosts.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "each test binary uses a part of this, and a test stops where its server does"
)]

use super::support::{Client, Running};
use housekey::{
    clock::{Clock, SystemClock},
    crypto::{
        Curve, SigningKey,
        jwt::{ServiceClaims, sign_service},
    },
    entropy::OsEntropy,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

/// Where the owner of a did:web has its document.
pub struct Website {
    /// The DID of that owner.
    pub did: String,
    document: Arc<Mutex<Value>>,
}

impl Website {
    /// On a port of its own.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let did = format!("did:web:localhost%3A{}", listener.local_addr().unwrap().port());
        let document = Arc::new(Mutex::new(Value::Null));
        let shown = Arc::clone(&document);
        // Lives as long as the test's process.
        drop(thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let head = BufReader::new(&stream).lines();
                head.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
                let body = shown.lock().unwrap().to_string();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                drop(stream.write_all(format!("{head}{body}").as_bytes()));
            }
        }));
        Self { did, document }
    }

    /// Lets the document name a key of the account.
    pub fn names(&self, entry: Value) {
        self.forgets(entry["id"].as_str().unwrap());
        self.document.lock().unwrap()["verificationMethod"].as_array_mut().unwrap().push(entry);
    }

    /// Lets it name this one no more.
    pub fn forgets(&self, id: &str) {
        let mut document = self.document.lock().unwrap();
        document["verificationMethod"].as_array_mut().unwrap().retain(|method| method["id"] != id);
    }

    /// The entry of a key.
    pub fn method(&self, id: &str, did_key: &str) -> Value {
        let multibase = did_key.trim_start_matches("did:key:");
        json!({ "id": format!("{}#{id}", self.did), "type": "Multikey", "controller": self.did,
                "publicKeyMultibase": multibase })
    }

    /// The account of Carol, moved in and active; she is logged in.
    pub async fn moves_to(&self, server: &Running) -> Client {
        let key = SigningKey::generate(Curve::K256, &OsEntropy);
        *self.document.lock().unwrap() = json!({
            "id": self.did, "alsoKnownAs": ["at://carol.test"],
            "verificationMethod": [self.method("atproto", &key.did_key().to_string())],
            "service": [{ "id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": server.text("pds") }],
        });
        let pds = Client::new(server.text("pds"));
        let described = pds.get("com.atproto.server.describeServer").await.unwrap();
        let now = SystemClock.now().as_secs();
        let token = sign_service(
            &key,
            &ServiceClaims {
                iat: now,
                iss: self.did.clone(),
                aud: described["did"].as_str().unwrap().to_owned(),
                exp: now + 60,
                lxm: Some("com.atproto.server.createAccount".to_owned()),
                jti: Some("1".to_owned()),
            },
        );
        let request = json!({
            "did": self.did, "handle": "carol.test", "email": "carol@example.com", "password": "correct horse",
        });
        let made = pds.with_token(&token).post("com.atproto.server.createAccount", &request).await.unwrap();
        let carol = pds.with_token(made["accessJwt"].as_str().unwrap());
        let wanted = carol.get("com.atproto.identity.getRecommendedDidCredentials").await.unwrap();
        self.names(self.method("atproto", wanted["verificationMethods"]["atproto"].as_str().unwrap()));
        carol.post("com.atproto.server.activateAccount", &Value::Null).await.unwrap();
        carol
    }
}

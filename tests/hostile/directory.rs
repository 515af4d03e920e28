//! The embedded PLC directory against what is no operation.

use super::Server;
use serde_json::{Value, json};

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

impl Server {
    /// The directory's errors are a message alone.
    fn directory_refuses(&self, verb: &str, target: &str, headers: &[(&str, &str)], body: &[u8], status: u16) {
        let what = format!("{verb} {target} {}", super::lossy(body));
        let answer = self.call(verb, target, headers, body);
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        let error: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{what}: {}", answer.text()));
        assert!(error["message"].as_str().unwrap().len() >= 8, "{what}: {error}");
    }
}

#[test]
fn the_directory_refuses_what_is_no_operation() {
    let server = Server::directory();
    let (did, other) = (server.account(0, "did"), server.account(1, "did"));
    let before = server.call("GET", "/export", &[], b"").body;
    let genesis = server.get(&format!("/{did}/log"), &[])[0].clone();
    let with = |key: &str, value: Value| {
        let mut operation = genesis.clone();
        operation[key] = value;
        operation.to_string()
    };
    let values: Vec<&Value> = genesis.as_object().unwrap().values().collect();
    for body in [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "{}".to_owned(),
        r#"{"type":"x"}"#.to_owned(),
        r#"{"a":"#.repeat(3_000),
        json!(values).to_string(),
        genesis.to_string(),
        with("sig", json!("x")),
        with("sig", json!("A".repeat(86))),
        with("prev", json!("x")),
        with("prev", json!("bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a")),
        with("rotationKeys", json!([])),
        with("rotationKeys", json!(["x"])),
        with("verificationMethods", json!({ "x".repeat(40): "did:key:x" })),
        with("alsoKnownAs", json!(vec!["at://alice.test"; 100])),
        with("services", json!({ "a": { "type": "x", "endpoint": "y".repeat(5_000) } })),
        with("more", json!("x".repeat(50_000))),
    ] {
        for target in [did, other] {
            server.directory_refuses("POST", &format!("/{target}"), &JSON, body.as_bytes(), 400);
        }
    }
    server.directory_refuses("POST", &format!("/{did}"), &[], genesis.to_string().as_bytes(), 400);
    server.directory_refuses("POST", &format!("/{did}"), &JSON, &vec![b' '; 70_000], 413);
    server.directory_refuses("PUT", &format!("/{did}"), &JSON, b"{}", 405);
    for target in ["/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "/did:web:example.com", "/x", "/%00", &format!("/{did}/x")] {
        server.directory_refuses("GET", target, &[], b"", 404);
    }
    for query in ["count=0", "count=x", "count=-1", "after=x", "after=-1", "after=1.5"] {
        server.directory_refuses("GET", &format!("/export?{query}"), &[], b"", 400);
    }
    assert_eq!(server.call("GET", "/export", &[], b"").body, before);
}

//! Every method of the table against everything that it must refuse.

use super::{
    Answer, Server,
    table::{CID, Takes, Who, bad_values, good},
};
use housekey::limits::{delegation::CHANGE_BODY_BYTES, http::WRITE_BODY_BYTES};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What stands where a value of another type belongs.
fn ill_typed(good: &Value) -> Vec<Value> {
    let all = [json!(1), json!(1.5), json!(true), json!("x".repeat(5_000)), json!([[]]), json!({ "a": 1 })];
    all.into_iter().filter(|value| std::mem::discriminant(value) != std::mem::discriminant(good)).collect()
}

struct Attack<'a> {
    server: &'a Server,
    nsid: &'static str,
    credentials: Option<String>,
}

impl Attack<'_> {
    fn path(&self) -> String {
        format!("/xrpc/{}", self.nsid)
    }

    fn call(&self, verb: &str, query: &str, content_type: &str, body: &[u8]) -> Answer {
        let mut headers = Vec::new();
        if let Some(credentials) = &self.credentials {
            headers.push(("Authorization", credentials.as_str()));
        }
        if !content_type.is_empty() {
            headers.push(("Content-Type", content_type));
        }
        let answer = self.server.call(verb, &format!("{}{query}", self.path()), &headers, body);
        answer.refusal(&format!("{verb} {}{query} {content_type} {}", self.path(), super::lossy(body)));
        answer
    }

    fn wrong_verbs(&self, right: &str) {
        for verb in ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
            if verb != right {
                let answer = self.call(verb, "", "", b"");
                assert!(answer.text().contains(&format!("expected {right}")), "{verb}: {}", answer.text());
            }
        }
    }

    fn bad_params(&self, demanded: &Value, optional: &[&str]) {
        let demanded: Vec<(&str, &str)> = demanded
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let query = |without: &str| {
            let pairs = demanded.iter().filter(|(name, _)| *name != without);
            pairs.fold(String::new(), |query, (name, value)| format!("{query}{name}={value}&"))
        };
        for (name, value) in &demanded {
            let missing = self.call("GET", &format!("?{}", query(name)), "", b"");
            assert!(missing.text().contains(name), "{name}: {}", missing.text());
            self.call("GET", &format!("?{}{name}=", query(name)), "", b"");
            if !name.ends_with('s') {
                self.call("GET", &format!("?{}{name}={value}", query("")), "", b"");
            }
        }
        for name in demanded.iter().map(|(name, _)| name).chain(optional) {
            for value in bad_values(name) {
                self.call("GET", &format!("?{}{name}={value}", query(name)), "", b"");
            }
            self.call("GET", &format!("?{}{name}={}", query(name), "x".repeat(9_000)), "", b"");
        }
    }

    fn bad_bodies(&self, good: &Value, demanded: &[&str]) {
        let json = "application/json";
        let text = good.to_string();
        for content_type in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json"]
        {
            self.call("POST", "", content_type, text.as_bytes());
        }
        for body in ["{", "[]", "[null]", "\"x\"", "1", "null", "{\"a\":1}}", "\u{feff}{}", "{'a':1}"] {
            self.call("POST", "", json, body.as_bytes());
        }
        self.call("POST", "", json, text.strip_suffix('}').unwrap().as_bytes());
        self.call("POST", "", json, b"{\"a\":\"\xff\xfe\"}");
        self.call("POST", "", json, r#"{"a":"#.repeat(20_000).as_bytes());
        let most = match self.nsid.rsplit('.').next() {
            Some("createDelegation" | "updateDelegation") => CHANGE_BODY_BYTES,
            _ => WRITE_BODY_BYTES,
        };
        let oversize = self.call("POST", "", json, &vec![b' '; most + 1]);
        assert_eq!(oversize.status, 413, "{}", self.nsid);
        for (name, value) in good.as_object().unwrap() {
            let mut other = good.clone();
            if demanded.contains(&name.as_str()) {
                other.as_object_mut().unwrap().remove(name);
                let missing = self.call("POST", "", json, other.to_string().as_bytes());
                assert!(missing.text().contains(name.as_str()), "{name}: {}", missing.text());
            }
            for ill in ill_typed(value) {
                other[name] = ill;
                self.call("POST", "", json, other.to_string().as_bytes());
            }
        }
    }

    fn bad_uploads(&self) {
        let kind = if self.path().ends_with("importRepo") { "application/vnd.ipld.car" } else { "text/plain" };
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Type: {kind}\r\nConnection: close\r\n",
            self.path(),
            self.credentials.as_deref().unwrap()
        );
        let too_large = self.server.send(format!("{head}Content-Length: 200000000000\r\n\r\nx").as_bytes());
        assert_eq!(too_large.refusal("an announced 200 GB"), "PayloadTooLarge");
        self.server.abandon(format!("{head}Content-Length: 10\r\n\r\nhalf").as_bytes());
        self.server.abandon(format!("{head}Transfer-Encoding: chunked\r\n\r\n4\r\nha").as_bytes());
        self.server.send(format!("{head}Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx").as_bytes()).refusal("br");
        self.server
            .send(format!("{head}Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx").as_bytes())
            .refusal("gzip");
    }
}

/// Tokens and passwords that open nothing.
fn bad_credentials(server: &Server, who: Who) -> Vec<String> {
    let (own, other) = (server.account(0, "accessJwt"), server.account(1, "accessJwt"));
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (own_parts, other_parts) = (parts(own), parts(other));
    let encode = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let claims = format!(
        r#"{{"scope":"com.atproto.access","sub":"{}","aud":"did:web:localhost","iat":1,"exp":2}}"#,
        server.account(0, "did")
    );
    let mut bad = vec![
        "Bearer x".to_owned(),
        "Bearer a.b.c".to_owned(),
        format!("Bearer {own}x"),
        format!("Bearer {own} {own}"),
        format!("Bearer {}", "x".repeat(20_000)),
        // Another account's claims under this account's signature; none at all; one that is over, by nobody's key.
        format!("Bearer {}.{}.{}", own_parts[0], other_parts[1], own_parts[2]),
        format!("Bearer {}.{}.", encode(r#"{"typ":"at+jwt","alg":"none"}"#), own_parts[1]),
        format!("Bearer {}.{}.{}", own_parts[0], encode(&claims), own_parts[2]),
        "Basic !!!".to_owned(),
        "Basic YWRtaW46d3Jvbmc=".to_owned(),
        "DPoP x".to_owned(),
        "\u{e9}".to_owned(),
    ];
    let service = server.get(
        "/xrpc/com.atproto.server.getServiceAuth?aud=did:web:example.com",
        &[("Authorization", &server.bearer(0))],
    );
    bad.push(format!("Bearer {}", service["token"].as_str().unwrap()));
    if who != Who::Refresh {
        bad.push(format!("Bearer {}", server.refresh_token()));
    }
    if matches!(who, Who::Refresh | Who::Admin) {
        bad.push(server.bearer(0));
    }
    bad
}

#[test]
fn every_method_refuses_bad_input_in_words_and_nothing_changes() {
    let server = Server::start();
    let before = server.state();
    let names: BTreeSet<&'static str> = housekey::methods::methods().names().collect();
    for nsid in names {
        let (who, takes) = good(nsid, server.account(0, "did"));
        let credentials = match who {
            Who::Anyone | Who::Viewer => None,
            Who::Session => Some(server.bearer(0)),
            Who::Refresh => Some(format!("Bearer {}", server.refresh_token())),
            Who::Admin => Some(server.admin()),
        };
        let attack = Attack { server: &server, nsid, credentials };
        match &takes {
            Takes::Params(demanded, optional) => {
                attack.wrong_verbs("GET");
                attack.bad_params(demanded, optional);
            }
            Takes::Body(good, demanded) => {
                attack.wrong_verbs("POST");
                attack.bad_bodies(good, demanded);
            }
            Takes::Nothing => {
                attack.wrong_verbs("POST");
                attack.call("POST", "", "application/json", b"{\"a\":1}");
                attack.call("POST", "", "application/json", &vec![b' '; 1_000_001]);
            }
            Takes::Bytes => {
                attack.wrong_verbs("POST");
                attack.bad_uploads();
            }
            Takes::Socket => {
                for (verb, query) in [("GET", ""), ("GET", "?cursor=x"), ("POST", ""), ("PUT", "")] {
                    attack.call(verb, query, "", b"");
                }
            }
        }
        bad_tokens(&server, nsid, who, &takes);
        assert_eq!(server.state(), before, "{nsid} changed something");
    }
}

fn bad_tokens(server: &Server, nsid: &'static str, who: Who, takes: &Takes) {
    if who == Who::Anyone {
        return;
    }
    let (verb, query, body) = match takes {
        Takes::Params(demanded, _) => {
            let pairs = demanded.as_object().unwrap().iter();
            let query = pairs
                .fold("?".to_owned(), |query, (name, value)| format!("{query}{name}={}&", value.as_str().unwrap()));
            ("GET", query, String::new())
        }
        Takes::Body(good, _) => ("POST", String::new(), good.to_string()),
        Takes::Nothing | Takes::Bytes | Takes::Socket => ("POST", String::new(), String::new()),
    };
    let mut all: Vec<Option<String>> = bad_credentials(server, who).into_iter().map(Some).collect();
    if who != Who::Viewer {
        all.push(None);
    }
    for credentials in all {
        let is_absent = credentials.is_none();
        let attack = Attack { server, nsid, credentials };
        let answer = attack.call(verb, &query, if body.is_empty() { "" } else { "application/json" }, body.as_bytes());
        assert!(!is_absent || answer.status == 401, "{nsid}: {}", answer.text());
    }
}

#[test]
fn nobody_writes_to_anothers_repository() {
    let server = Server::start();
    let before = server.state();
    let unknown = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa";
    for repo in [server.account(1, "did"), server.account(1, "handle"), "nobody.test", unknown] {
        for nsid in ["createRecord", "putRecord", "deleteRecord", "applyWrites"] {
            let input = json!({ "repo": repo, "collection": "com.example.hostile", "rkey": "self", "record": {},
                "writes": [{ "$type": "com.atproto.repo.applyWrites#create", "collection": "com.example.hostile", "value": {} }] });
            let headers = [("Authorization", &*server.bearer(0)), ("Content-Type", "application/json")];
            let answer =
                server.call("POST", &format!("/xrpc/com.atproto.repo.{nsid}"), &headers, input.to_string().as_bytes());
            let name = answer.refusal(&format!("{nsid} {repo}"));
            assert!(["AuthenticationRequired", "AccountNotFound"].contains(&name.as_str()), "{nsid} {repo}: {name}");
        }
    }
    assert_eq!(server.state(), before);
}

#[test]
fn bad_writes_have_their_names_and_change_nothing() {
    let server = Server::start();
    let before = server.state();
    let did = server.account(0, "did");
    let write = |kind: &str| {
        json!({ "$type": format!("com.atproto.repo.applyWrites#{kind}"), "collection": "com.example.hostile",
            "rkey": "a", "value": { "n": 1 } })
    };
    let blob = json!({ "$type": "blob", "ref": { "$link": CID }, "mimeType": "image/png", "size": 1 });
    let records = [
        (json!({ "n": 1.5 }), "InvalidRequest"),
        (json!({ "n": 9_007_199_254_740_992_i64 }), "InvalidRequest"),
        (json!({ "$type": "com.example.other" }), "InvalidRequest"),
        (json!({ "$type": "x".repeat(900_000) }), "InvalidRequest"),
        (json!({ "a": { "$link": "x" } }), "InvalidRequest"),
        (json!({ "a": { "$bytes": "?" } }), "InvalidRequest"),
        (json!({ "a": { "$type": "blob" } }), "InvalidRequest"),
        (json!({ "a": { "cid": CID, "mimeType": "image/png" } }), "InvalidRequest"),
        (json!({ "a": blob }), "BlobNotFound"),
    ];
    let calls = records.into_iter().map(|(record, name)| {
        ("createRecord", json!({ "repo": did, "collection": "com.example.hostile", "record": record }), name)
    });
    let more = [
        (
            "createRecord",
            json!({ "repo": did, "collection": "com.example.hostile", "record": {}, "swapCommit": CID }),
            "InvalidSwap",
        ),
        (
            "putRecord",
            json!({ "repo": did, "collection": "com.example.hostile", "rkey": "a", "record": {}, "swapRecord": CID }),
            "InvalidSwap",
        ),
        ("applyWrites", json!({ "repo": did, "writes": vec![write("create"); 201] }), "InvalidRequest"),
        ("applyWrites", json!({ "repo": did, "writes": [write("create"), write("create")] }), "InvalidRequest"),
        ("applyWrites", json!({ "repo": did, "writes": [write("create"), write("rename")] }), "InvalidRequest"),
        ("applyWrites", json!({ "repo": did, "writes": [write("update")] }), "InvalidRequest"),
        (
            "applyWrites",
            json!({ "repo": did, "writes": [["com.atproto.repo.applyWrites#create", "com.example.hostile", null, {}]] }),
            "InvalidRequest",
        ),
        ("applyWrites", json!({ "repo": did, "writes": [{ "collection": "com.example.hostile" }] }), "InvalidRequest"),
    ];
    for (nsid, input, name) in calls.chain(more) {
        let headers = [("Authorization", &*server.bearer(0)), ("Content-Type", "application/json")];
        let input = input.to_string();
        let answer = server.call("POST", &format!("/xrpc/com.atproto.repo.{nsid}"), &headers, input.as_bytes());
        assert_eq!(answer.refusal(&input), name, "{nsid}: {}", super::lossy(input.as_bytes()));
    }
    assert_eq!(server.state(), before);
}

#[test]
fn what_is_not_here_has_the_lexicons_error_names() {
    let server = Server::start();
    let (did, nobody) = (server.account(0, "did"), "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa");
    let record = format!("repo={did}&collection=com.example.x&rkey=x");
    for (call, name) in [
        (format!("repo.getRecord?{record}"), "RecordNotFound"),
        (format!("sync.getBlob?did={did}&cid={CID}"), "BlobNotFound"),
        (format!("sync.getBlocks?did={did}&cids={CID}"), "BlockNotFound"),
        (format!("sync.getBlob?did={nobody}&cid={CID}"), "RepoNotFound"),
        (format!("sync.getRepo?did={nobody}"), "RepoNotFound"),
        (format!("sync.getRepoStatus?did={nobody}"), "RepoNotFound"),
        (format!("sync.getLatestCommit?did={nobody}"), "RepoNotFound"),
        (format!("sync.getRecord?did={nobody}&collection=com.example.x&rkey=x"), "RepoNotFound"),
        (format!("sync.listBlobs?did={nobody}"), "RepoNotFound"),
        ("identity.resolveHandle?handle=nobody.test".to_owned(), "HandleNotFound"),
        ("identity.resolveIdentity?identifier=nobody.test".to_owned(), "HandleNotFound"),
        (format!("identity.resolveDid?did={nobody}"), "DidNotFound"),
        ("sync.getHostStatus?hostname=x".to_owned(), "MethodNotImplemented"),
    ] {
        let answer = server.call("GET", &format!("/xrpc/com.atproto.{call}"), &[], b"");
        assert_eq!(answer.refusal(&call), name, "{call}");
    }
    let unknown = server.call("GET", "/xrpc/app.bsky.feed.getTimeline", &[], b"");
    assert_eq!((unknown.status, unknown.refusal("app.bsky").as_str()), (401, "AuthMissing"));
    let nobodys = server.call("GET", "/xrpc/com.example.unheardOf", &[], b"");
    assert_eq!((nobodys.status, nobodys.refusal("com.example").as_str()), (400, "InvalidRequest"));
}

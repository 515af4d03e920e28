//! What the log of a server at its most talkative holds, and what it does not: no secret, and nothing of any body.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where its server does")]

mod support;

use data_encoding::{BASE64, HEXLOWER};
use housekey::{
    clock::{Clock, SystemClock},
    crypto::{DelegateSigningKey, KeyType},
    delegation::{DelegationId, Draft, VerifiedLog},
    entropy::OsEntropy,
    plc::Entry,
};
use serde_json::{Value, json};
use std::{
    cell::RefCell,
    fs::File,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Stdio,
    sync::mpsc::{Receiver, Sender, channel},
};
use support::{Client, PATIENCE, Running, free_port, serve};

const ADMIN_PASSWORD: &str = "marked-admin-password";
const POSTS: &str = "app.bsky.feed.post";

/// What must not be in the log, by what it is.
#[derive(Default)]
struct Secrets(RefCell<Vec<(&'static str, String)>>);

impl Secrets {
    /// Notes one; gives it back for use.
    fn note(&self, what: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 8, "{what} is too short to be told from chance");
        self.0.borrow_mut().push((what, secret.clone()));
        secret
    }

    /// Notes a text of an answer.
    fn text(&self, what: &'static str, answer: &Value, key: &str) -> String {
        self.note(what, answer[key].as_str().unwrap())
    }

    /// Notes the tokens of a session; gives the access and the refresh token.
    fn session(&self, session: &Value) -> (String, String) {
        (self.text("an access token", session, "accessJwt"), self.text("a refresh token", session, "refreshJwt"))
    }
}

#[tokio::test]
async fn the_log_has_request_ids_and_neither_a_secret_nor_anything_of_a_body() {
    let plc = Running::dev(&["--accounts", "", "--no-plc-limits"]);
    let (sink, mails) = mail_sink();
    let dir = tempfile::tempdir().unwrap();
    let log_file = dir.path().join("log");
    let port = free_port();
    let secrets = Secrets::default();
    let mail_password = secrets.note("the mail server's password", "marked-mail-password");
    let running = Running::start(
        serve(dir.path(), port, plc.text("plc"))
            .env("HOUSEKEY_ADMIN_PASSWORD", secrets.note("the administrator's password", ADMIN_PASSWORD))
            .env("HOUSEKEY_ACCOUNTS_INVITE_REQUIRED", "true")
            .env("HOUSEKEY_EMAIL_SMTP_URL", format!("smtp://user:{mail_password}@127.0.0.1:{sink}"))
            .env("HOUSEKEY_EMAIL_FROM", "pds@example.com")
            .env("HOUSEKEY_LOG_LEVEL", "trace")
            .env("HOUSEKEY_LOG_FORMAT", "json")
            .stderr(Stdio::from(File::create(&log_file).unwrap())),
    );
    secrets.note("the administrator's credentials", BASE64.encode(format!("admin:{ADMIN_PASSWORD}").as_bytes()));
    secrets.note("the master key", master_key(dir.path()));
    let story = Story {
        secrets,
        server: Client::new(&format!("http://localhost:{port}")),
        directory: Client::new(plc.text("plc")),
        mails,
    };

    let (did, session) = story.sign_up().await;
    story.sessions(&session).await;
    story.records(&did, &session).await;
    story.delegation(&did, &session).await;
    story.identity(&session).await;
    story.administration(&did).await;
    story.passwords(&session).await;
    assert_eq!(running.terminate(), Some(0));

    let log = std::fs::read_to_string(&log_file).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (what, secret) in story.secrets.0.borrow().iter() {
        let found = log.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(found, None, "{what} {secret:?} is in the log");
    }
    for (nsid, status) in [
        ("com.atproto.server.createAccount", 200),
        ("com.atproto.server.createSession", 401),
        ("com.atproto.repo.createRecord", 200),
        ("com.atproto.repo.createRecord", 400),
        ("com.atproto.repo.importRepo", 200),
        ("com.atproto.server.resetPassword", 200),
        ("dev.housekey.delegation.createDelegation", 200),
    ] {
        let answered = lines.iter().find(|line| line["span"]["nsid"] == nsid && line["span"]["status"] == status);
        let answered = answered.unwrap_or_else(|| panic!("{nsid} with {status} is not in the log"));
        assert!(answered["span"]["request_id"].as_str().unwrap().len() >= 8, "{answered}");
    }
}

/// Somebody who does all that has to do with secrets.
struct Story {
    secrets: Secrets,
    server: Client,
    directory: Client,
    mails: Receiver<String>,
}

impl Story {
    async fn sign_up(&self) -> (String, Client) {
        let admin = self.server.with_admin(ADMIN_PASSWORD);
        let invite = admin.post("com.atproto.server.createInviteCode", &json!({ "useCount": 1 })).await.unwrap();
        let made = self
            .server
            .post(
                "com.atproto.server.createAccount",
                &json!({ "handle": "olivia.test", "email": self.secrets.note("an e-mail address", "marked-address@example.com"),
                    "password": self.secrets.note("a password", "marked-first-password"),
                    "inviteCode": self.secrets.text("an invite code", &invite, "code") }),
            )
            .await
            .unwrap();
        let (access, _) = self.secrets.session(&made);
        (made["did"].as_str().unwrap().to_owned(), self.server.with_token(&access))
    }

    async fn log_in(&self, password: &str) -> Result<(String, String), (u16, String)> {
        let input = json!({ "identifier": "olivia.test", "password": password });
        let opened = self.server.post("com.atproto.server.createSession", &input).await?;
        Ok(self.secrets.session(&opened))
    }

    async fn sessions(&self, session: &Client) {
        let (_, refresh) = self.log_in("marked-first-password").await.unwrap();
        let (access, _) = self.secrets.session(
            &self.server.with_token(&refresh).post("com.atproto.server.refreshSession", &Value::Null).await.unwrap(),
        );
        self.server.with_token(&access).get("com.atproto.server.getSession").await.unwrap();
        let wrong = self.secrets.note("a wrong password", "marked-wrong-password");
        assert_eq!(self.log_in(&wrong).await.unwrap_err().0, 401);
        // In the wrong place, it must not come back in a message that is logged.
        for input in [
            json!({ "identifier": "olivia.test", "password": [wrong] }),
            json!({ "identifier": "olivia.test", "password": "x", "allowTakendown": wrong }),
        ] {
            assert_eq!(self.server.post("com.atproto.server.createSession", &input).await.unwrap_err().0, 400);
        }
        let forged = self.secrets.note("a forged token", format!("{access}forged"));
        self.server.with_token(&forged).get("com.atproto.server.getSession").await.unwrap_err();
        let made = session.post("com.atproto.server.createAppPassword", &json!({ "name": "phone" })).await.unwrap();
        let password = self.secrets.text("an app password", &made, "password");
        self.log_in(&password).await.unwrap();
        let query = "com.atproto.server.getServiceAuth?aud=did:web:localhost&lxm=com.atproto.repo.uploadBlob";
        let token = self.secrets.text("a service token", &session.get(query).await.unwrap(), "token");
        let text = self.secrets.note("a blob's text", "marked text of a blob by a service token");
        drop(self.server.with_token(&token).upload("com.atproto.repo.uploadBlob", "text/plain", text.as_bytes()).await);
    }

    async fn records(&self, did: &str, session: &Client) {
        let text = self.secrets.note("a record's text", "marked text of a record");
        let record = json!({ "$type": POSTS, "text": text, "createdAt": "2026-01-01T00:00:00.000Z" });
        let input = json!({ "repo": did, "collection": POSTS, "record": record });
        session.post("com.atproto.repo.createRecord", &input).await.unwrap();
        let text = self.secrets.note("a refused record's text", "marked-text-of-a-refused-record");
        for record in [
            json!({ "$type": text, "text": "x", "createdAt": "2026-01-01T00:00:00.000Z" }),
            json!({ "$type": POSTS, "text": { "x": text }, "createdAt": "2026-01-01T00:00:00.000Z" }),
            json!({ "$type": POSTS, "text": "x", "createdAt": text }),
            json!({ "$type": POSTS, "text": "x", "createdAt": "2026-01-01T00:00:00.000Z", "langs": [text] }),
        ] {
            let input = json!({ "repo": did, "collection": POSTS, "record": record });
            assert_eq!(session.post("com.atproto.repo.createRecord", &input).await.unwrap_err().0, 400);
        }
        let text = self.secrets.note("a blob's text", "marked text of a blob");
        session.upload("com.atproto.repo.uploadBlob", "text/plain", text.as_bytes()).await.unwrap();
        let preferences = json!({ "preferences": [{ "$type": "app.bsky.actor.defs#mutedWord",
            "value": self.secrets.note("a preference", "marked preference") }] });
        drop(session.post("app.bsky.actor.putPreferences", &preferences).await);
        let car = session.bytes(&format!("com.atproto.sync.getRepo?did={did}")).await;
        session.upload("com.atproto.repo.importRepo", "application/vnd.ipld.car", &car).await.unwrap();
        let text = self.secrets.note("a refused import's text", "marked text of no CAR file");
        session.upload("com.atproto.repo.importRepo", "application/vnd.ipld.car", text.as_bytes()).await.unwrap_err();
    }

    async fn delegation(&self, did: &str, session: &Client) {
        let key = DelegateSigningKey::generate(KeyType::Ed25519, &OsEntropy);
        self.secrets.note("a delegate key", HEXLOWER.encode(key.to_bytes().as_slice()));
        let log: Vec<Entry> = serde_json::from_value(self.directory.json(&format!("/{did}/log/audit")).await).unwrap();
        let did = did.parse().unwrap();
        let draft = Draft {
            key: Some(key.public()),
            prev: Some(VerifiedLog::new(&did, &log).unwrap().head()),
            did,
            id: DelegationId::default(),
            created_at: SystemClock.now(),
        };
        let statement = draft.sign(Some(&key), None).unwrap().to_json();
        session.post("dev.housekey.delegation.createDelegation", &json!({ "statement": statement })).await.unwrap();
    }

    async fn identity(&self, session: &Client) {
        session.post("com.atproto.identity.requestPlcOperationSignature", &Value::Null).await.unwrap();
        let code = self.code();
        let guess = json!({ "token": self.secrets.note("a guessed code", "MARKE-DGUES") });
        session.post("com.atproto.identity.signPlcOperation", &guess).await.unwrap_err();
        let signed = session.post("com.atproto.identity.signPlcOperation", &json!({ "token": code })).await.unwrap();
        self.secrets.text("an operation's signature", &signed["operation"], "sig");
        drop(session.post("com.atproto.identity.submitPlcOperation", &signed).await);
        session.post("com.atproto.server.requestEmailConfirmation", &Value::Null).await.unwrap();
        let input = json!({ "email": "marked-address@example.com", "token": self.code() });
        session.post("com.atproto.server.confirmEmail", &input).await.unwrap();
    }

    async fn administration(&self, did: &str) {
        let admin = self.server.with_admin(ADMIN_PASSWORD);
        admin.get(&format!("com.atproto.admin.getAccountInfo?did={did}")).await.unwrap();
        admin.get("com.atproto.admin.searchAccounts?email=marked-address@example.com").await.unwrap();
        let content = self.secrets.note("a mail's text", "marked text of a mail");
        let mail = json!({ "recipientDid": did, "senderDid": did, "subject": "News", "content": content });
        admin.post("com.atproto.admin.sendEmail", &mail).await.unwrap();
        self.mail_with(&content);
        let input = json!({ "did": did, "purpose": "deleteAccount" });
        let made = admin.post("dev.housekey.admin.createCode", &input).await.unwrap();
        self.secrets.text("a code that the administrator made", &made, "code");
        let password = self.secrets.note("a password that the administrator set", "marked-second-password");
        let input = json!({ "did": did, "password": password });
        admin.post("com.atproto.admin.updateAccountPassword", &input).await.unwrap();
        let wrong = self.secrets.note("a wrong password of the administrator", "marked-wrong-admin");
        self.secrets.note("wrong credentials", BASE64.encode(format!("admin:{wrong}").as_bytes()));
        let wrong = self.server.with_admin(&wrong);
        assert_eq!(wrong.get("com.atproto.admin.searchAccounts").await.unwrap_err().0, 401);
    }

    async fn passwords(&self, session: &Client) {
        let asked = json!({ "email": "marked-address@example.com" });
        self.server.post("com.atproto.server.requestPasswordReset", &asked).await.unwrap();
        let code = self.code();
        let password = self.secrets.note("a new password", "marked-third-password");
        let input = json!({ "token": "MARKE-DGUES", "password": password });
        self.server.post("com.atproto.server.resetPassword", &input).await.unwrap_err();
        let input = json!({ "token": code, "password": password });
        self.server.post("com.atproto.server.resetPassword", &input).await.unwrap();
        self.log_in(&password).await.unwrap();
        drop(session.post("com.atproto.server.deleteSession", &Value::Null).await);
    }

    /// The next mail in which `wanted` finds something.
    fn mail<T>(&self, wanted: impl Fn(&str) -> Option<T>) -> T {
        loop {
            let mail = self.mails.recv_timeout(PATIENCE).unwrap();
            if let Some(found) = wanted(&mail) {
                return found;
            }
        }
    }

    fn mail_with(&self, text: &str) {
        self.mail(|mail| mail.contains(text).then_some(()));
    }

    /// The code of the next mail that has one: two groups of five characters.
    fn code(&self) -> String {
        let is_code = |word: &&str| word.len() == 11 && word.as_bytes()[5] == b'-' && word.to_uppercase() == **word;
        self.secrets.note("a mailed code", self.mail(|mail| mail.split_whitespace().find(is_code).map(str::to_owned)))
    }
}

fn master_key(data_dir: &Path) -> String {
    std::fs::read_to_string(data_dir.join("master.key")).unwrap().trim().to_owned()
}

/// A mail server that takes everything: its port, and what it took.
fn mail_sink() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mails) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            std::thread::spawn(move || drop(take_mails(stream.unwrap(), &sender)));
        }
    });
    (port, mails)
}

fn take_mails(mut stream: TcpStream, sender: &Sender<String>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    stream.write_all(b"220 sink\r\n")?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let answer: &[u8] = match line.get(..4).unwrap_or_default() {
            "EHLO" => b"250-sink\r\n250 AUTH PLAIN\r\n",
            "AUTH" => b"235 welcome\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") && lines.read_line(&mut mail)? != 0 {}
                drop(sender.send(mail.replace("=\r\n", "")));
                b"250 kept\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer)?;
    }
}

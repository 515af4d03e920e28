use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::{
    client::{pds::Through, sign_in::AskCode},
    clock::ManualClock,
    limits::client::CODE_TRIES,
    outbound::{
        TrustedClient,
        testing::{Answer, FakeServer, answer, open_options},
    },
};

const DID: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

/// A server that signs in with the password and a code of its mail.
struct MailingServer {
    server: FakeServer,
    heard: Arc<Mutex<Vec<String>>>,
    refreshes: Arc<Mutex<bool>>,
}

impl MailingServer {
    async fn start() -> Self {
        let (heard, refreshes) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(true)));
        let (hear, may_refresh) = (Arc::clone(&heard), Arc::clone(&refreshes));
        let server = FakeServer::start(move |request| {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let body: Value = serde_json::from_str(body).unwrap_or_default();
            let code = body.get("authFactorToken").and_then(Value::as_str);
            let is_refresh = head.contains("com.atproto.server.refreshSession");
            let is_signed_in = head.to_lowercase().contains("authorization: bearer");
            hear.lock().unwrap().push(match (is_refresh, code) {
                (true, _) => "refresh".to_owned(),
                (false, code) => code.unwrap_or("no code").to_owned(),
            });
            assert_eq!(is_refresh, is_signed_in, "{head}");
            if is_refresh {
                assert!(head.contains("Bearer refreshing"), "{head}");
                if *may_refresh.lock().unwrap() {
                    return tokens();
                }
                return refusal("400 Bad Request", "ExpiredToken", "Token has been revoked");
            }
            match (body.get("password").and_then(Value::as_str), code) {
                (Some("right"), Some("ABCDE-FGHIJ" | "KLMNO-PQRST")) => tokens(),
                (Some("right"), Some(_)) => refusal("400 Bad Request", "InvalidToken", "Token is invalid"),
                (Some("right"), None) => refusal(
                    "401 Unauthorized",
                    "AuthFactorTokenRequired",
                    "A sign in code has been sent to your email address",
                ),
                _ => refusal("401 Unauthorized", "AuthenticationRequired", "Invalid identifier or password"),
            }
        });
        Self { server: server.await, heard, refreshes }
    }

    fn session(&self, password: &str, given: Option<&str>, ask: Option<AskCode>, clock: Arc<dyn Clock>) -> Session {
        let client = TrustedClient::new(&open_options()).unwrap();
        let pds = Pds::new(self.server.url("/"), Through::Trusted(client));
        let code = SignInCode { given: given.map(str::to_owned), ask, option: "--sign-in-code" };
        Session::new(pds, DID.parse().unwrap(), Secret::new(password), code, clock)
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

fn tokens() -> Answer {
    answer("200 OK", "", json!({ "did": DID, "accessJwt": "access", "refreshJwt": "refreshing" }).to_string())
}

fn refusal(status: &str, name: &str, message: &str) -> Answer {
    answer(status, "", json!({ "error": name, "message": message }).to_string())
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)))
}

#[tokio::test]
async fn where_a_server_mails_a_code_for_each_sign_in_and_nobody_can_be_asked_the_option_is_named() {
    let server = MailingServer::start().await;
    let refused = server.session("right", None, None, clock()).open().await.unwrap_err();
    assert!(refused.waits_for_code() && !refused.is_definite());
    let said = refused.to_string();
    assert!(said.contains("has mailed a sign-in code") && said.contains("--sign-in-code CODE"), "{said}");
    let refused = server.session("wrong", None, None, clock()).open().await.unwrap_err();
    assert!(refused.is("AuthenticationRequired") && !refused.waits_for_code(), "{refused}");
    assert_eq!(server.heard(), ["no code", "no code"]);
}

#[tokio::test]
async fn a_code_of_an_earlier_mail_signs_in_and_a_wrong_one_says_how_another_comes() {
    let server = MailingServer::start().await;
    server.session("right", Some("ABCDE-FGHIJ"), None, clock()).open().await.unwrap();
    let refused = server.session("right", Some("AAAAA-AAAAA"), None, clock()).open().await.unwrap_err();
    assert!(refused.waits_for_code());
    let said = refused.to_string();
    assert!(said.contains("Token is invalid; without --sign-in-code another code is mailed"), "{said}");
    assert_eq!(server.heard(), ["ABCDE-FGHIJ", "AAAAA-AAAAA"]);
}

#[tokio::test]
async fn the_owner_is_asked_for_the_code_and_asked_again_a_few_times() {
    let server = MailingServer::start().await;
    // The second time it is the right one.
    let ask: AskCode = |_, refused| Some(refused.map_or("AAAAA-AAAAA", |_| "ABCDE-FGHIJ").to_owned());
    server.session("right", None, Some(ask), clock()).open().await.unwrap();
    assert_eq!(server.heard(), ["no code", "AAAAA-AAAAA", "ABCDE-FGHIJ"]);

    let always_wrong: AskCode = |_, _| Some("AAAAA-AAAAA".to_owned());
    let refused = server.session("right", None, Some(always_wrong), clock()).open().await.unwrap_err();
    assert!(matches!(refused, CallError::WrongSignInCode { .. }), "{refused}");
    assert_eq!(server.heard().len(), 1 + CODE_TRIES);

    let later: AskCode = |_, _| None;
    let refused = server.session("right", None, Some(later), clock()).open().await.unwrap_err();
    assert!(matches!(refused, CallError::SignInCode { .. }), "{refused}");
    assert_eq!(server.heard(), ["no code"]);
}

#[tokio::test]
async fn long_work_goes_on_without_another_code_as_long_as_the_server_lets_the_session_go_on() {
    let server = MailingServer::start().await;
    let clock = clock();
    let ask: AskCode = |_, _| Some("KLMNO-PQRST".to_owned());
    let mut session = server.session("right", Some("ABCDE-FGHIJ"), Some(ask), Arc::<ManualClock>::clone(&clock));
    session.fresh().await.unwrap();
    session.fresh().await.unwrap();
    clock.advance(MOVE_SESSION);
    session.fresh().await.unwrap();
    assert_eq!(server.heard(), ["ABCDE-FGHIJ", "refresh"]);
    *server.refreshes.lock().unwrap() = false;
    clock.advance(MOVE_SESSION);
    session.fresh().await.unwrap();
    assert_eq!(server.heard(), ["refresh", "no code", "KLMNO-PQRST"], "a code signs in once");
}

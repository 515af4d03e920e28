//! `GET /.well-known/atproto-delegation`: what a peer needs next (`docs/delegation.md`), the same bytes for every reader.

use super::{WebRequest, pds::is_handle};
use crate::{
    delegation::{DelegationError, DelegationId},
    service::{
        Server,
        delegation::{Rendered, well_known},
    },
    syntax::Did,
    xrpc::{Reply, ReplyBody, XrpcError},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;

#[derive(Deserialize)]
struct Params {
    did: Did,
    #[serde(default)]
    id: DelegationId,
}

/// The resource, on the server's own name only.
pub(super) async fn page(server: &Server, request: &WebRequest) -> Reply {
    let not_found = || XrpcError::from(DelegationError::DelegationNotFound).into_reply();
    if is_handle(server, &request.host).await {
        return public(not_found());
    }
    let Ok(Params { did, id }) = serde_html_form::from_str(&request.query) else {
        let message = "the parameter did must be a DID, and id, if there is one, a delegation id";
        return public(XrpcError::invalid(message).into_reply());
    };
    match well_known(server, &did, &id).await {
        Ok(Some(rendered)) => public(answer(rendered, &request.headers)),
        Ok(None) => public(not_found()),
        Err(cause) => public(XrpcError::from(cause).into_reply()),
    }
}

fn answer(Rendered { body, tag }: Rendered, headers: &HeaderMap) -> Reply {
    let is_known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|tags| {
        let weak = |known: &str| known.trim().trim_start_matches("W/") == tag;
        tags.trim() == "*" || tags.split(',').any(weak)
    });
    let reply = if is_known {
        Reply::new(StatusCode::NOT_MODIFIED, ReplyBody::Full(Bytes::new()))
    } else {
        Reply::bytes("application/json", body)
    };
    let reply = reply.with_header(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    match HeaderValue::from_str(&tag) {
        Ok(tag) => reply.with_header(header::ETAG, tag),
        Err(_) => reply,
    }
}

/// Readable from every page.
fn public(reply: Reply) -> Reply {
    reply.with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        crypto::KeyType,
        delegation::{AppDataDraft, Draft, Purpose, Session, WELL_KNOWN_PATH, WellKnown, testing::delegate},
        service::{
            delegation::{ChangeRequest, change, put_associated_data},
            testing::World,
        },
        store::{Account, AccountState},
        syntax::Tid,
        web::{PdsSite, Site, WebReply},
    };
    use http::Method;
    use std::{net::Ipv4Addr, sync::Arc, time::Duration};

    async fn ask(world: &World, host: &str, query: &str, known: Option<&HeaderValue>) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some(known) = known {
            headers.insert(header::IF_NONE_MATCH, known.clone());
        }
        let request = WebRequest {
            method: Method::GET,
            path: WELL_KNOWN_PATH.to_owned(),
            query: query.to_owned(),
            host: host.to_owned(),
            headers,
            client_ip: Ipv4Addr::LOCALHOST.into(),
            body: Bytes::new(),
        };
        match Arc::new(PdsSite::new(Arc::clone(&world.server))).handle(request).await {
            WebReply::Reply(reply) => reply,
            WebReply::Socket(_) => panic!("a page is no socket"),
        }
    }

    fn body(reply: &Reply) -> serde_json::Value {
        match &reply.body {
            ReplyBody::Full(bytes) => serde_json::from_slice(bytes).unwrap(),
            ReplyBody::Stream(_) => panic!("a page is in memory"),
        }
    }

    async fn delegated(world: &World) -> (Account, serde_json::Value) {
        let alice = world.account("alice").await;
        let key = delegate(KeyType::Ed25519, 1);
        let draft = Draft {
            did: alice.did.clone(),
            id: DelegationId::default(),
            key: Some(key.public()),
            prev: Some(world.directory.log(&alice.did)[0].cid),
            created_at: world.clock.now(),
        };
        let statement = draft.sign(Some(&key), None).unwrap().to_json();
        let session = Session::Fresh { second_factor: false };
        let request = ChangeRequest { statement: statement.clone(), ..ChangeRequest::default() };
        change(&world.server, &alice, session, Purpose::Create, request).await.unwrap();
        (alice, statement)
    }

    #[tokio::test]
    async fn the_resource_is_readable_by_every_page_and_known_by_its_tag() {
        let world = World::new().await;
        let (alice, statement) = delegated(&world).await;
        let query = format!("did={}", alice.did);
        let reply = ask(&world, "pds.example.com", &query, None).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(reply.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(reply.headers[header::CACHE_CONTROL], "public, max-age=60");
        let said = WellKnown::from_json(&body(&reply), &alice.did, &DelegationId::default()).unwrap();
        assert_eq!(said.statement.map(|said| said.to_json()), Some(statement));
        let tag = &reply.headers[header::ETAG];
        assert!(tag.to_str().unwrap().starts_with('"'), "a strong tag");
        let again = ask(&world, "pds.example.com", &format!("{query}&id=e2ee"), Some(tag)).await;
        assert_eq!((again.status, &again.headers[header::ETAG]), (StatusCode::NOT_MODIFIED, tag));
    }

    #[tokio::test]
    async fn what_never_was_and_a_handles_own_name_are_404_in_json() {
        let world = World::new().await;
        let (alice, _) = delegated(&world).await;
        for (host, query) in [
            ("pds.example.com", format!("did={}&id=other", alice.did)),
            ("pds.example.com", "did=did:plc:ewvi7nxzyoun6zhxrhs64oiz".to_owned()),
            ("alice.test", format!("did={}", alice.did)),
        ] {
            let reply = ask(&world, host, &query, None).await;
            assert_eq!((reply.status, &body(&reply)["error"]), (StatusCode::NOT_FOUND, &"DelegationNotFound".into()));
            assert_eq!(reply.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        }
        for query in ["", "did=alice", "did=did:plc:ewvi7nxzyoun6zhxrhs64oiz&id=A"] {
            assert_eq!(ask(&world, "pds.example.com", query, None).await.status, StatusCode::BAD_REQUEST, "{query}");
        }
    }

    #[tokio::test]
    async fn what_is_kept_of_it_is_never_older_than_what_it_follows_from() {
        let world = World::new().await;
        let (alice, _) = delegated(&world).await;
        let query = format!("did={}", alice.did);
        let read = async || ask(&world, "pds.example.com", &query, None).await;
        let first = body(&read().await);
        assert_eq!((body(&read().await), &first["apps"]), (first.clone(), &serde_json::json!({})));
        let (key, now) = (delegate(KeyType::Ed25519, 1), world.clock.now());
        let entry = |hours: u64, number: u16| {
            let draft = AppDataDraft {
                did: alice.did.clone(),
                id: DelegationId::default(),
                app: "com.example.chat".parse().unwrap(),
                rev: Tid::new(now, number),
                data: Some(crate::ipld::Map::new()),
                expires_at: now.plus(Duration::from_hours(hours)),
            };
            draft.sign(&key).to_json()
        };
        for (hours, number) in [(2, 0), (1, 1)] {
            let entry = entry(hours, number);
            put_associated_data(&world.server, &alice, &entry).await.unwrap();
            assert_eq!(body(&read().await)["apps"]["com.example.chat"], entry, "a record was written");
        }
        world.clock.advance(Duration::from_hours(1));
        assert_eq!(body(&read().await)["apps"], serde_json::json!({}), "an entry expired");
        let mut next = world.directory.current(&alice.did);
        next.prev = Some(world.directory.log(&alice.did)[1].cid);
        next.verification_methods.remove("e2ee");
        world.directory.accept(&alice.did, &next.sign(&world.server.rotation_key));
        world.server.resolver.forget(&alice.did).await;
        assert_eq!(body(&read().await).get("statement"), None, "the document names no key any more");
        let off = AccountState::Deactivated { delete_after: None };
        world.server.store.set_account_state(alice.id, off, Vec::new()).await.unwrap();
        assert_eq!(read().await.status, StatusCode::NOT_FOUND, "the account was switched off");
    }
}

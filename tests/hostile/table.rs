//! One good call of each method, and what each parameter must not be.

use serde_json::{Value, json};

/// A CID of nothing that is here.
pub(super) const CID: &str = "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a";

/// A DID that has no account here.
const NOBODY: &str = "did:web:nobody.example.com";

/// Who may call a method.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Anybody; credentials are not looked at.
    Anyone,
    /// Anybody, and bad credentials are refused all the same.
    Viewer,
    Session,
    Refresh,
    Admin,
}

/// What a method takes.
pub(super) enum Takes {
    /// Query parameters that it demands, and those that it may be given.
    Params(Value, &'static [&'static str]),
    /// A JSON body with these properties; the second list are those that it demands.
    Body(Value, &'static [&'static str]),
    Nothing,
    Bytes,
    Socket,
}

use Takes::{Body, Bytes, Nothing, Params, Socket};
use Who::{Admin, Anyone, Refresh, Session, Viewer};

/// One good call of each method. Who adds a method says here what its good call is.
pub(super) fn good(nsid: &str, did: &str) -> (Who, Takes) {
    let (area, name) = nsid.strip_prefix("com.atproto.").unwrap_or(nsid).split_once('.').unwrap();
    let known = match area {
        "admin" => admin(name, did),
        "identity" => identity(name, did),
        "lexicon" => lexicon(name),
        "repo" => repo(name, did),
        "server" => server(name, did),
        "sync" => sync(name, did),
        "dev" => housekey_admin(name).or_else(|| account(name)).or_else(|| delegation(name, did)),
        "app" => app(name, did),
        "temp" => temp(name),
        "moderation" => moderation(name, did),
        _ => None,
    };
    known.unwrap_or_else(|| panic!("{nsid} is new: what is a good call of it?"))
}

fn admin(name: &str, did: &str) -> Option<(Who, Takes)> {
    Some(match name {
        "deleteAccount" => (Admin, Body(json!({ "did": NOBODY }), &["did"])),
        "disableAccountInvites" | "enableAccountInvites" => {
            (Admin, Body(json!({ "account": NOBODY, "note": "x" }), &["account"]))
        }
        "disableInviteCodes" => (Admin, Body(json!({ "codes": [], "accounts": [] }), &[])),
        "getAccountInfo" => (Admin, Params(json!({ "did": did }), &[])),
        "getAccountInfos" => (Admin, Params(json!({ "dids": did }), &[])),
        "getSubjectStatus" => (Admin, Params(json!({}), &["did", "uri", "blob"])),
        "getInviteCodes" | "searchAccounts" => (Admin, Params(json!({}), &["limit", "cursor"])),
        "sendEmail" => {
            let input = json!({ "recipientDid": NOBODY, "content": "x", "subject": "x", "senderDid": NOBODY });
            (Admin, Body(input, &["recipientDid", "content", "senderDid"]))
        }
        "updateAccountEmail" => (Admin, Body(json!({ "account": NOBODY, "email": "x" }), &["account", "email"])),
        "updateAccountPassword" => (Admin, Body(json!({ "did": NOBODY, "password": "x" }), &["did", "password"])),
        "updateAccountHandle" => (Admin, Body(json!({ "did": NOBODY, "handle": "a b" }), &["did", "handle"])),
        "updateAccountSigningKey" => (Admin, Body(json!({ "did": NOBODY, "signingKey": "x" }), &["did", "signingKey"])),
        "updateSubjectStatus" => {
            let subject = json!({ "$type": "com.atproto.admin.defs#repoRef", "did": NOBODY });
            (Admin, Body(json!({ "subject": subject, "takedown": { "applied": true } }), &["subject"]))
        }
        _ => return None,
    })
}

fn housekey_admin(name: &str) -> Option<(Who, Takes)> {
    Some(match name.strip_prefix("housekey.admin.")? {
        "createCode" => {
            (Admin, Body(json!({ "did": NOBODY, "purpose": "resetPassword", "id": "e2ee" }), &["did", "purpose"]))
        }
        "listMails" => (Admin, Params(json!({}), &["limit", "cursor", "state"])),
        "getRelayStatus" => (Admin, Params(json!({}), &[])),
        "requestCrawl" => (Admin, Nothing),
        "retryMails" => (Admin, Body(json!({ "ids": [] }), &[])),
        _ => return None,
    })
}

fn account(name: &str) -> Option<(Who, Takes)> {
    Some(match name.strip_prefix("housekey.account.")? {
        "listSecurityEvents" => (Session, Params(json!({}), &["did", "limit", "cursor"])),
        _ => return None,
    })
}

fn app(name: &str, did: &str) -> Option<(Who, Takes)> {
    let push = || {
        let input = json!({ "serviceDid": did, "token": "x", "platform": "ios", "appId": "x" });
        (Session, Body(input, &["serviceDid", "token", "platform", "appId"]))
    };
    Some(match name.strip_prefix("bsky.")? {
        "actor.putPreferences" => (Session, Body(json!({ "preferences": [] }), &["preferences"])),
        "notification.registerPush" | "notification.unregisterPush" => push(),
        // Their parameters are the AppView's to judge.
        "actor.getPreferences"
        | "actor.getProfile"
        | "actor.getProfiles"
        | "feed.getActorLikes"
        | "feed.getAuthorFeed"
        | "feed.getFeed"
        | "feed.getPostThread"
        | "feed.getTimeline" => (Session, Params(json!({}), &[])),
        _ => return None,
    })
}

fn moderation(name: &str, did: &str) -> Option<(Who, Takes)> {
    let subject = json!({ "$type": "com.atproto.admin.defs#repoRef", "did": did });
    Some(match name {
        "createReport" => (Session, Body(json!({ "reasonType": "x", "subject": subject }), &["reasonType", "subject"])),
        _ => return None,
    })
}

fn delegation(name: &str, did: &str) -> Option<(Who, Takes)> {
    Some(match name.strip_prefix("housekey.delegation.")? {
        "createDelegation" | "updateDelegation" => (Session, Body(json!({ "statement": {} }), &["statement"])),
        "deleteDelegation" => (Session, Body(json!({ "id": "e2ee" }), &[])),
        "requestDelegationToken" => (Session, Body(json!({ "statement": {} }), &[])),
        "putAssociatedData" => (Session, Body(json!({ "entry": {} }), &["entry"])),
        "getDelegation" | "getAssociatedData" => (Anyone, Params(json!({ "actor": did }), &["id"])),
        "listDelegations" => (Anyone, Params(json!({ "actor": did }), &[])),
        _ => return None,
    })
}

fn identity(name: &str, did: &str) -> Option<(Who, Takes)> {
    Some(match name {
        "getRecommendedDidCredentials" => (Session, Params(json!({}), &[])),
        "refreshIdentity" => (Anyone, Body(json!({ "identifier": did }), &["identifier"])),
        "requestPlcOperationSignature" => (Session, Nothing),
        "resolveDid" => (Anyone, Params(json!({ "did": did }), &[])),
        "resolveHandle" => (Anyone, Params(json!({ "handle": "alice.test" }), &[])),
        "resolveIdentity" => (Anyone, Params(json!({ "identifier": did }), &[])),
        "signPlcOperation" => {
            let operation = json!({ "token": "AAAAA-BBBBB", "rotationKeys": [], "alsoKnownAs": [],
                "verificationMethods": {}, "services": {} });
            (Session, Body(operation, &[]))
        }
        "submitPlcOperation" => (Session, Body(json!({ "operation": {} }), &["operation"])),
        "updateHandle" => (Session, Body(json!({ "handle": "alice.test" }), &["handle"])),
        _ => return None,
    })
}

fn lexicon(name: &str) -> Option<(Who, Takes)> {
    Some(match name {
        "resolveLexicon" => (Anyone, Params(json!({ "nsid": "com.example.hostile" }), &[])),
        _ => return None,
    })
}

fn repo(name: &str, did: &str) -> Option<(Who, Takes)> {
    const COLLECTION: &str = "com.example.hostile";
    let write = |demanded| {
        let input = json!({ "repo": did, "collection": COLLECTION, "rkey": "self", "record": {}, "validate": false,
            "swapCommit": CID });
        (Session, Body(input, demanded))
    };
    Some(match name {
        "applyWrites" => {
            let input = json!({ "repo": did, "validate": false, "writes": [], "swapCommit": CID });
            (Session, Body(input, &["repo", "writes"]))
        }
        "createRecord" => write(&["repo", "collection", "record"]),
        "putRecord" => write(&["repo", "collection", "rkey", "record"]),
        "deleteRecord" => {
            let input = json!({ "repo": did, "collection": COLLECTION, "rkey": "self", "swapRecord": CID });
            (Session, Body(input, &["repo", "collection", "rkey"]))
        }
        "describeRepo" => (Anyone, Params(json!({ "repo": did }), &[])),
        "getRecord" => (Anyone, Params(json!({ "repo": did, "collection": COLLECTION, "rkey": "self" }), &["cid"])),
        "listMissingBlobs" => (Session, Params(json!({}), &["limit", "cursor"])),
        "listRecords" => (Anyone, Params(json!({ "repo": did, "collection": COLLECTION }), &["limit", "reverse"])),
        "importRepo" | "uploadBlob" => (Session, Bytes),
        _ => return None,
    })
}

fn server(name: &str, did: &str) -> Option<(Who, Takes)> {
    Some(match name {
        "activateAccount" | "requestAccountDelete" | "requestEmailConfirmation" | "requestEmailUpdate" => {
            (Session, Nothing)
        }
        "checkAccountStatus" | "getAccountInviteCodes" | "getSession" | "listAppPasswords" => {
            (Session, Params(json!({}), &[]))
        }
        "confirmEmail" => {
            let input = json!({ "email": "alice@example.com", "token": "AAAAA-BBBBB" });
            (Session, Body(input, &["email", "token"]))
        }
        "createAccount" => {
            let input = json!({ "handle": "mallory.test", "email": "m@example.com", "password": "correct horse",
                "inviteCode": "x", "did": did, "recoveryKey": "x" });
            (Viewer, Body(input, &["handle"]))
        }
        "createAppPassword" => (Session, Body(json!({ "name": "phone", "privileged": false }), &["name"])),
        "createInviteCode" => (Admin, Body(json!({ "useCount": 1, "forAccount": did }), &["useCount"])),
        "createInviteCodes" => {
            (Admin, Body(json!({ "codeCount": 1, "useCount": 1, "forAccounts": [] }), &["useCount"]))
        }
        "createSession" => {
            let input = json!({ "identifier": "alice.test", "password": "wrong horse", "allowTakendown": false });
            (Anyone, Body(input, &["identifier", "password"]))
        }
        "deactivateAccount" => (Session, Body(json!({ "deleteAfter": "2099-01-01T00:00:00Z" }), &[])),
        "deleteAccount" => {
            let input = json!({ "did": NOBODY, "password": "wrong horse", "token": "AAAAA-BBBBB" });
            (Anyone, Body(input, &["did", "password", "token"]))
        }
        "deleteSession" | "refreshSession" => (Refresh, Nothing),
        "describeServer" => (Anyone, Params(json!({}), &[])),
        "getServiceAuth" => (Session, Params(json!({ "aud": "did:web:example.com" }), &["exp", "lxm"])),
        "requestPasswordReset" => (Anyone, Body(json!({ "email": "alice@example.com" }), &["email"])),
        "reserveSigningKey" => (Anyone, Body(json!({ "did": did }), &[])),
        "resetPassword" => {
            let input = json!({ "token": "AAAAA-BBBBB", "password": "correct horse" });
            (Anyone, Body(input, &["token", "password"]))
        }
        "revokeAppPassword" => (Session, Body(json!({ "name": "phone" }), &["name"])),
        "updateEmail" => {
            let input = json!({ "email": "alice@example.com", "token": "AAAAA-BBBBB" });
            (Session, Body(input, &["email"]))
        }
        _ => return None,
    })
}

fn sync(name: &str, did: &str) -> Option<(Who, Takes)> {
    let of_did = |optional| Params(json!({ "did": did }), optional);
    Some(match name {
        "getBlob" => (Viewer, Params(json!({ "did": did, "cid": CID }), &[])),
        "getBlocks" => (Viewer, Params(json!({ "did": did, "cids": CID }), &[])),
        "getCheckout" | "getHead" | "getLatestCommit" => (Viewer, of_did(&[])),
        "getRecord" => {
            (Viewer, Params(json!({ "did": did, "collection": "com.example.hostile", "rkey": "self" }), &[]))
        }
        "getRepo" => (Viewer, of_did(&["since"])),
        "getRepoStatus" => (Anyone, of_did(&[])),
        "listBlobs" => (Viewer, of_did(&["since", "limit", "cursor"])),
        "listRepos" => (Anyone, Params(json!({}), &["limit", "cursor"])),
        "listReposByCollection" => {
            (Anyone, Params(json!({ "collection": "com.example.hostile" }), &["limit", "cursor"]))
        }
        "subscribeRepos" => (Anyone, Socket),
        _ => return None,
    })
}

fn temp(name: &str) -> Option<(Who, Takes)> {
    Some(match name {
        "addReservedHandle" => (Admin, Body(json!({ "handle": "reserved.test" }), &["handle"])),
        "checkHandleAvailability" => (Anyone, Params(json!({ "handle": "alice.test" }), &[])),
        "checkSignupQueue" => (Session, Params(json!({}), &[])),
        "dereferenceScope" => (Anyone, Params(json!({ "scope": "ref:x" }), &[])),
        "revokeAccountCredentials" => (Admin, Body(json!({ "account": NOBODY }), &["account"])),
        _ => return None,
    })
}

/// What a parameter of this name must not be, percent-encoded.
pub(super) fn bad_values(name: &str) -> &'static [&'static str] {
    match name {
        "did" | "dids" => &["x", "did:", "did:plc:", "alice.test", "did:web:%00", "did:PLC:a", "..%2F..%2Fetc", "%ff"],
        "repo" | "identifier" | "actor" => &["x", "@alice.test", "did:", "..%2F..", "a..b", "%00", "%f0%28%8c%28"],
        "collection" | "lxm" | "nsid" => {
            &["x", "com.example", "com..example.x", "com.example.a%2Fb", "com.example.%C3%A9"]
        }
        "rkey" => &[".", "..", "a%2Fb", "%20", "%00", "%23"],
        "uri" => &["x", "at://", "at://did:plc:/a.b.c/x", "https://example.com", "at://alice.test/a.b.c/x%00"],
        "cid" | "cids" | "blob" => &["x", "bafy", "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn", "b", "%00"],
        "since" => &["x", "0", "3kaaaaaaaaa2aa", "zzzzzzzzzzzzz"],
        "limit" => &["x", "0", "-1", "2001", "1.5", "NaN", "99999999999999999999", "0x10", "1%00"],
        "cursor" => &["x", "'%20or%201=1", "99999999999999999999", "%00"],
        "handle" => &["x", "a..b", "-a.test", "a_b.test", "%E2%98%83.test", "alice.test%00"],
        "aud" => &["x", "did:web:example.com%23", "did:web:example.com%23a%23b", "alice.test"],
        "exp" => &["x", "-5", "1", "99999999999", "99999999999999999999"],
        "reverse" => &["maybe", "2"],
        "state" => &["lost", "0", "%00"],
        "scope" => &["x", "ref:", "%00"],
        "id" => &["", "E2EE", "1a", "atproto", "a-b", "%00", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
        other => panic!("{other} is new: what must it not be?"),
    }
}

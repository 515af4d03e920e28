//! What an archive holds, in words and as JSON.

use crate::{
    cli::progress::Bar,
    client::archive::{SignedBy, Told, UNKNOWABLE, Verified},
};
use serde_json::json;

/// How far it is, and what there is to note.
pub(super) fn show(bar: &Bar, told: Told) {
    match told {
        Told::Progress { what, done, all } => bar.show(what, done, all),
        Told::Note(text) => bar.note(&format!("note: {text}")),
    }
}

/// As `--json` prints it.
pub(super) fn as_json(verified: &Verified) -> serde_json::Value {
    let manifest = &verified.manifest;
    let delegations: Vec<_> = verified
        .delegations
        .iter()
        .map(|delegated| json!({"id": delegated.id, "status": delegated.status, "statements": delegated.statements}))
        .collect();
    json!({
        "good": true,
        "did": manifest.did,
        "handle": manifest.handle,
        "createdAt": manifest.created_at,
        "rev": manifest.rev,
        "root": manifest.root,
        "signedBy": verified.signed_by,
        "records": manifest.records,
        "blobs": manifest.blobs,
        "blobBytes": manifest.blob_bytes,
        "unusedBlobs": verified.unused_blobs,
        "missingBlobs": manifest.missing_blobs,
        "missing": verified.missing,
        "preferences": verified.has_preferences,
        "delegations": delegations,
        "unknowable": UNKNOWABLE,
    })
}

/// As people read it.
pub(super) fn print(verified: &Verified) {
    let manifest = &verified.manifest;
    println!("  Account        {}", manifest.did);
    if let Some(handle) = &manifest.handle {
        println!("  Handle         {handle}");
    }
    println!("  Made           {}", manifest.created_at);
    let key = match verified.signed_by {
        SignedBy::Present => "the key that the DID names",
        SignedBy::Earlier => "a key that the DID named before",
    };
    println!("  Revision       {}, signed by {key}", manifest.rev);
    println!("  Records        {}", manifest.records);
    println!("  Blobs          {}, {} bytes", manifest.blobs, manifest.blob_bytes);
    println!("  Preferences    {}", if verified.has_preferences { "yes" } else { "none" });
    for delegated in &verified.delegations {
        let status = serde_json::to_value(delegated.status).unwrap_or_default();
        let status = status.as_str().unwrap_or_default().to_owned();
        println!("  Delegation     {}: {status}, {} statements", delegated.id, delegated.statements);
    }
    if manifest.missing_blobs > 0 {
        println!("\n{} blobs that records use are not in it:", manifest.missing_blobs);
        verified.missing.iter().for_each(|cid| println!("  {cid}"));
    }
}

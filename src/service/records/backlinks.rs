//! Which records point at what, for the kinds of which an account has only one per target.
use crate::{
    ipld::Value,
    store::Backlink,
    syntax::{AtUri, Did, Nsid},
};

/// The links by which a duplicate of this record is found: follows and blocks of an account, likes and reposts of a
/// record. Others have none, and neither have those whose subject is not what it should be.
pub fn backlinks(collection: &Nsid, record: &Value) -> Vec<Backlink> {
    let link = match collection.as_str() {
        "app.bsky.graph.follow" | "app.bsky.graph.block" => record
            .get("subject")
            .and_then(Value::as_text)
            .filter(|subject| subject.parse::<Did>().is_ok())
            .map(|subject| ("subject", subject)),
        "app.bsky.feed.like" | "app.bsky.feed.repost" => record
            .get("subject")
            .and_then(|subject| subject.get("uri"))
            .and_then(Value::as_text)
            .filter(|uri| uri.parse::<AtUri>().is_ok())
            .map(|uri| ("subject.uri", uri)),
        _ => None,
    };
    link.map(|(path, target)| Backlink { path: path.to_owned(), target: target.to_owned() }).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipld::json::from_json;
    use serde_json::json;

    fn links(collection: &str, record: &serde_json::Value) -> Vec<(String, String)> {
        let links = backlinks(&collection.parse().unwrap(), &from_json(record).unwrap());
        links.into_iter().map(|link| (link.path, link.target)).collect()
    }

    #[test]
    fn a_follow_links_to_its_did_and_a_like_to_its_uri() {
        let did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
        assert_eq!(links("app.bsky.graph.follow", &json!({ "subject": did })), [("subject".into(), did.into())]);
        let uri = format!("at://{did}/app.bsky.feed.post/3k2a");
        let like = json!({ "subject": { "uri": uri, "cid": "x" } });
        assert_eq!(links("app.bsky.feed.like", &like), [("subject.uri".into(), uri)]);
    }

    #[test]
    fn subjects_of_the_wrong_shape_and_other_collections_have_no_links() {
        assert_eq!(links("app.bsky.graph.follow", &json!({ "subject": "alice.test" })), []);
        assert_eq!(links("app.bsky.graph.block", &json!({ "subject": 7 })), []);
        assert_eq!(links("app.bsky.feed.like", &json!({ "subject": "at://did:plc:x/a.b.c/1" })), []);
        assert_eq!(links("app.bsky.feed.repost", &json!({ "subject": { "uri": "https://x.test" } })), []);
        assert_eq!(links("app.bsky.feed.post", &json!({ "subject": "did:plc:ewvi7nxzyoun6zhxrhs64oiz" })), []);
    }
}

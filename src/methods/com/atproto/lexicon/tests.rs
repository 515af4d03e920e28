use crate::service::testing::{As, World};

#[tokio::test]
async fn a_name_is_demanded_and_must_be_one() {
    let world = World::new().await;
    let ask = async |query: &str| world.get(&format!("com.atproto.lexicon.resolveLexicon{query}"), As::Nobody).await;
    let none = ask("").await;
    assert_eq!(
        (none.error(), none.message()),
        ((400, "InvalidRequest"), "Error: Params must have the property \"nsid\"")
    );
    assert_eq!(ask("?nsid=post").await.message(), "Error: nsid must be a valid nsid");
    let unknown = ask("?nsid=com.example.none").await;
    assert_eq!(unknown.error(), (400, "LexiconNotFound"));
    assert!(unknown.message().contains("_lexicon.example.com"), "{unknown:?}");
}

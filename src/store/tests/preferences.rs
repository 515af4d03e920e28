use super::*;

fn preference(name: &str, n: u32) -> Preference {
    Preference { name: format!("app.bsky.actor.defs#{name}"), value: format!("{{\"n\":{n}}}") }
}

#[tokio::test]
async fn preferences_are_read_in_the_order_in_which_they_were_put_and_replaced_together() {
    let world = World::new();
    let (alice, bob) = (AccountId(1), AccountId(2));
    let first = vec![preference("b", 1), preference("a", 2), preference("b", 3)];
    world.store.replace_preferences(alice, None, first.clone()).await.unwrap();
    world.store.replace_preferences(bob, None, vec![preference("c", 9)]).await.unwrap();
    assert_eq!(world.store.preferences(alice).await.unwrap(), first);
    world.store.replace_preferences(alice, None, vec![preference("a", 4)]).await.unwrap();
    assert_eq!(world.store.preferences(alice).await.unwrap(), [preference("a", 4)]);
    world.store.replace_preferences(alice, None, Vec::new()).await.unwrap();
    assert_eq!(world.store.preferences(alice).await.unwrap(), []);
    assert_eq!(world.store.preferences(bob).await.unwrap(), [preference("c", 9)]);
}

#[tokio::test]
async fn a_kept_preference_outlives_a_replacement() {
    let world = World::new();
    let alice = AccountId(1);
    world.store.replace_preferences(alice, None, vec![preference("a", 1), preference("kept", 2)]).await.unwrap();
    let kept = Some("app.bsky.actor.defs#kept");
    world.store.replace_preferences(alice, kept, vec![preference("b", 3)]).await.unwrap();
    assert_eq!(world.store.preferences(alice).await.unwrap(), [preference("kept", 2), preference("b", 3)]);
}

//! The data model.
use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::ipld::{Cid, Map, Value};

#[test]
fn a_map_keeps_canonical_order() {
    let mut map = Map::new();
    for key in ["bb", "c", "", "aa", "a", "ä"] {
        assert_eq!(map.insert(key, 1), None);
    }
    assert_eq!(map.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["", "a", "c", "aa", "bb", "ä"]);
    assert_eq!(map.insert("a", "new"), Some(Value::Int(1)));
    assert_eq!(map.get("a"), Some(&Value::from("new")));
    assert_eq!(map.len(), 6);
    assert_eq!(map.remove("a"), Some(Value::from("new")));
    assert_eq!(map.remove("a"), None);
    assert!(!map.contains_key("a"));
    *map.get_mut("c").unwrap() = Value::Null;
    assert!(map.get("c").unwrap().is_null());
}

#[test]
fn of_equal_keys_the_last_stays() {
    let map: Map = [("b", 1), ("a", 1), ("b", 2), ("b", 3)].into_iter().collect();
    assert_eq!(map, [("a", 1), ("b", 3)].into_iter().collect());
    assert_eq!(map.into_iter().collect::<Vec<_>>(), [("a".to_owned(), Value::Int(1)), ("b".to_owned(), Value::Int(3))]);
}

#[test]
fn a_value_gives_what_it_is_and_nothing_else() {
    let cid = Cid::of_raw(b"");
    let mut map = Map::new();
    map.insert("$type", "a.b.c");
    let map = Value::from(map);
    assert_eq!(map.type_name(), Some("a.b.c"));
    assert_eq!(map.get("$type").and_then(Value::as_text), Some("a.b.c"));
    assert_eq!(Value::from(5).as_int(), Some(5));
    assert_eq!(Value::from(true).as_bool(), Some(true));
    assert_eq!(Value::from(cid).as_link(), Some(&cid));
    assert_eq!(Value::from(vec![1u8]).as_bytes(), Some(&[1u8][..]));
    assert_eq!(Value::from(vec![Value::Null]).as_list(), Some(&[Value::Null][..]));
    assert_eq!(Value::Null.as_map(), None);
    assert_eq!(Value::from("5").as_int(), None);
    assert_eq!(Value::Null.get("a"), None);
}

proptest! {
    #[test]
    fn a_map_behaves_like_a_tree_map(steps in proptest::collection::vec(("[ab]{0,2}", any::<Option<i64>>()), 0..40)) {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        for (key, step) in steps {
            if let Some(n) = step {
                prop_assert_eq!(map.insert(key.as_str(), n), model.insert(key, n).map(Value::Int));
            } else {
                prop_assert_eq!(map.remove(&key), model.remove(&key).map(Value::Int));
            }
        }
        prop_assert_eq!(&map, &model.into_iter().collect::<Map>());
        prop_assert!(map.iter().zip(map.iter().skip(1)).all(|((a, _), (b, _))| (a.len(), a) < (b.len(), b)));
    }
}

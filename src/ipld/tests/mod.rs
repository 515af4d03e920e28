//! Tests of the formats, and the values that they are made of.
mod car;
mod cbor;
mod cid;
mod json;
mod value;

use proptest::prelude::*;

use super::{Cid, Map, Value};

/// Any value of the data model, as CBOR has it.
fn any_value() -> impl Strategy<Value = Value> {
    any_value_with(any::<i64>().boxed())
}

/// Any value that JSON input may make: no `$` keys, small integers.
fn any_json_value() -> impl Strategy<Value = Value> {
    any_value_with((-9_007_199_254_740_991i64..=9_007_199_254_740_991).boxed())
}

fn any_value_with(integers: BoxedStrategy<i64>) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        integers.prop_map(Value::Int),
        (-300i64..300).prop_map(Value::Int),
        ".{0,30}".prop_map(Value::Text),
        any::<String>().prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        any_cid().prop_map(Value::Link),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            proptest::collection::vec(("[a-z]{0,3}|[^$]{1,30}", inner), 0..8)
                .prop_map(|entries| Value::Map(entries.into_iter().collect::<Map>())),
        ]
    })
}

fn any_cid() -> impl Strategy<Value = Cid> {
    (any::<bool>(), any::<[u8; 8]>())
        .prop_map(|(raw, bytes)| if raw { Cid::of_raw(&bytes) } else { Cid::of_cbor(&bytes) })
}

/// Lists inside each other, `depth` of them.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| Value::List(vec![inner]))
}

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.replace(' ', "").as_bytes()).unwrap()
}

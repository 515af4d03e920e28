//! JSON of the data model, with the public vectors.
use proptest::prelude::*;
use serde_json::json;

use super::{any_json_value, any_value, nested};
use crate::{
    interop,
    ipld::{
        BlobRef, Cid, Map, Value, cbor, fuzzing,
        json::{JsonError, as_blob_ref, blob_refs, from_json, map_from_json, to_json, write_cbor_as_json},
    },
    limits::ipld::MAX_DEPTH,
};

fn transcoded(value: &Value) -> String {
    let mut out = Vec::new();
    write_cbor_as_json(&cbor::encode(value), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_data_model_fixture_has_the_published_bytes_and_cid() {
    let Some(fixtures) = interop::json("data-model/data-model-fixtures.json") else { return };
    for fixture in fixtures.as_array().unwrap() {
        let value = from_json(&fixture["json"]).unwrap();
        let bytes = cbor::encode(&value);
        let published =
            data_encoding::BASE64_NOPAD.decode(fixture["cbor_base64"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(bytes, published);
        assert_eq!(Cid::of_cbor(&bytes).to_string(), fixture["cid"].as_str().unwrap());
        assert_eq!(cbor::decode(&bytes), Ok(value.clone()));
        assert_eq!(to_json(&value), fixture["json"]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&transcoded(&value)).unwrap(), fixture["json"]);
    }
}

#[test]
fn every_data_model_vector_behaves() {
    for (file, valid) in [("valid", true), ("invalid", false)] {
        let Some(vectors) = interop::json(&format!("data-model/data-model-{file}.json")) else { return };
        for vector in vectors.as_array().unwrap() {
            assert_eq!(map_from_json(&vector["json"]).is_ok(), valid, "{}", vector["note"]);
            fuzzing::json(vector["json"].to_string().as_bytes());
        }
    }
}

#[test]
fn a_record_has_the_bytes_and_cid_that_other_implementations_give_it() {
    let record = json!({"text": "hi", "$type": "com.example.note", "n": 1, "bin": {"$bytes": "AAE="}});
    let bytes = cbor::encode(&from_json(&record).unwrap());
    let expected = "a4616e016362696e42000164746578746268696524747970657063 6f6d2e6578616d706c652e6e6f7465";
    assert_eq!(bytes, super::hex(expected));
}

#[test]
fn numbers_are_integers_that_javascript_can_hold() {
    let number = |text: &str| from_json(&serde_json::from_str(text).unwrap());
    for (text, n) in [("0", 0), ("-0.0", 0), ("5.0", 5), ("1e3", 1000), ("9007199254740991", 9_007_199_254_740_991)] {
        assert_eq!(number(text), Ok(Value::Int(n)), "{text}");
    }
    assert_eq!(number("-4503599627370497.0"), Ok(Value::Int(-4_503_599_627_370_497)));
    for text in ["0.5", "-1.25", "1e-3"] {
        assert_eq!(number(text), Err(JsonError::Float), "{text}");
    }
    for text in ["9007199254740992", "-9007199254740992", "18446744073709551615", "1e300", "9223372036854775808.0"] {
        assert_eq!(number(text), Err(JsonError::IntegerRange), "{text}");
    }
}

#[test]
fn links_and_bytes_are_objects_with_one_key() {
    let cid = Cid::of_cbor(b"");
    assert_eq!(from_json(&json!({"$link": cid})), Ok(Value::Link(cid)));
    for text in ["", "AA", "AA==", "AAECAw", "AAECAw==", "+/+/", "AB", "123"] {
        assert!(matches!(from_json(&json!({"$bytes": text})), Ok(Value::Bytes(_))), "{text}");
    }
    for bad in ["A", "AA=", "A===", "-_-_", "AA AA", "AA==AA"] {
        assert_eq!(from_json(&json!({"$bytes": bad})), Err(JsonError::Bytes), "{bad}");
    }
    assert_eq!(from_json(&json!({"$bytes": "AA", "$link": cid})), Err(JsonError::Link));
    assert_eq!(from_json(&json!({"$bytes": "AA", "a": 1})), Err(JsonError::Bytes));
    assert_eq!(from_json(&json!({"$bytes": null})), Err(JsonError::Bytes));
    assert_eq!(from_json(&json!({"$link": "bafy"})), Err(JsonError::Link));
    assert_eq!(to_json(&Value::Bytes(vec![0])), json!({"$bytes": "AA"}));
}

#[test]
fn a_type_is_a_name_and_a_blob_is_whole() {
    let link = json!({"$link": Cid::of_raw(b"")});
    assert_eq!(from_json(&json!([{"$type": ""}])), Err(JsonError::Type));
    assert_eq!(from_json(&json!({"a": {"$type": null}})), Err(JsonError::Type));
    let good = json!({"$type": "blob", "ref": link, "mimeType": "image/png", "size": 0});
    assert!(from_json(&good).is_ok());
    for (key, wrong) in [
        ("ref", json!("bafy")),
        ("mimeType", json!("")),
        ("mimeType", json!(5)),
        ("size", json!(-1)),
        ("size", json!("1")),
    ] {
        let mut bad = good.clone();
        bad[key] = wrong;
        assert_eq!(from_json(&bad), Err(JsonError::Blob), "{bad}");
        bad.as_object_mut().unwrap().remove(key);
        assert_eq!(from_json(&bad), Err(JsonError::Blob), "{bad}");
    }
    assert!(from_json(&json!({"cid": Cid::of_raw(b""), "mimeType": "image/png"})).is_ok());
}

#[test]
fn only_an_object_is_a_record() {
    assert_eq!(map_from_json(&json!("a")), Err(JsonError::NotAnObject));
    assert_eq!(map_from_json(&json!({"$link": Cid::of_raw(b"")})), Err(JsonError::NotAnObject));
    assert_eq!(map_from_json(&json!({})), Ok(Map::new()));
}

#[test]
fn nesting_and_size_stop_where_cbor_stops() {
    assert_eq!(from_json(&to_json(&nested(MAX_DEPTH))), Ok(nested(MAX_DEPTH)));
    assert_eq!(from_json(&to_json(&nested(MAX_DEPTH + 1))), Err(JsonError::TooDeep));
    let mut out = b"kept".to_vec();
    let deep = cbor::encode(&nested(MAX_DEPTH + 1));
    assert_eq!(write_cbor_as_json(&deep, &mut out), Err(cbor::CborError::TooDeep));
    assert_eq!(out, b"kept");
    let wide = serde_json::Value::Array(vec![serde_json::Value::Null; crate::limits::ipld::CBOR_MAX_ITEMS]);
    assert_eq!(from_json(&wide), Err(JsonError::TooManyItems));
}

#[test]
fn blob_references_are_found_at_any_depth() {
    let blob = |name: &str| json!({"$type": "blob", "ref": {"$link": Cid::of_raw(name.as_bytes())}, "mimeType": "a/b", "size": 3});
    let record = json!({
        "a": blob("1"),
        "b": [[{"c": blob("2")}], {"cid": Cid::of_raw(b"legacy"), "mimeType": "a/b"}],
        "d": {"$type": "blob", "ref": {"$link": Cid::of_raw(b"3")}, "mimeType": "a/b", "size": 3, "more": blob("4")},
    });
    let found = blob_refs(&from_json(&record).unwrap());
    let cids: Vec<Cid> = found.iter().map(|blob| blob.cid).collect();
    assert_eq!(cids, ["1", "2", "3", "4"].map(|name| Cid::of_raw(name.as_bytes())));
    assert_eq!(found[0], BlobRef { cid: Cid::of_raw(b"1"), mime_type: "a/b".to_owned(), size: 3 });
    assert_eq!(as_blob_ref(&Value::Null), None);
    assert_eq!(blob_refs(&nested(5000)), []);
}

#[test]
fn transcoding_escapes_what_json_must_escape() {
    let text: String = (0..0x80).map(char::from).chain("ä\u{2028}😀".chars()).collect();
    assert_eq!(transcoded(&Value::from(text.as_str())), serde_json::to_string(&text).unwrap());
    let mut map = Map::new();
    map.insert("quote\"", Value::List(vec![Value::Null, true.into(), false.into(), i64::MIN.into(), i64::MAX.into()]));
    map.insert("", Value::List(vec![]));
    let expected = "{\"\":[],\"quote\\\"\":[null,true,false,-9223372036854775808,9223372036854775807]}";
    assert_eq!(transcoded(&map.into()), expected);
}

#[test]
fn the_fuzz_body_holds_on_a_corpus() {
    for text in [
        "",
        "1",
        "[",
        "{\"$link\":1}",
        "{\"a\":1,\"a\":2}",
        "[1.0,-0.0,1e2]",
        "\"\\ud83d\\ude00\"",
        "{\"$type\":\"x\"}",
    ] {
        fuzzing::json(text.as_bytes());
    }
}

proptest! {
    #[test]
    fn every_value_survives_json(value in any_json_value()) {
        prop_assert_eq!(from_json(&to_json(&value)), Ok(value.clone()));
        fuzzing::json(to_json(&value).to_string().as_bytes());
    }

    #[test]
    fn transcoding_writes_what_the_tree_writes(value in any_value()) {
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&transcoded(&value)).unwrap(), to_json(&value));
    }

    #[test]
    fn integers_print_as_they_do_elsewhere(n: i64) {
        prop_assert_eq!(transcoded(&Value::Int(n)), n.to_string());
    }

    #[test]
    fn no_likely_json_breaks_the_parser(text in "[\\[{]{0,3}(\"[$a-z]{0,5}\"[:,]|[0-9.e-]{1,4},|null,){0,6}1[\\]}]{0,3}") {
        fuzzing::json(text.as_bytes());
    }
}

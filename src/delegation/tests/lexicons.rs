//! The published schemas: each in its place, nothing referred to that is not there, errors named as in the code.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::*;

const METHODS: [&str; 8] = [
    "createDelegation",
    "updateDelegation",
    "deleteDelegation",
    "requestDelegationToken",
    "getDelegation",
    "listDelegations",
    "getAssociatedData",
    "putAssociatedData",
];

fn lexicons() -> BTreeMap<String, Json> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/lexicons/dev/housekey/delegation");
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    };
    std::fs::read_dir(dir).unwrap().map(read).collect()
}

fn refs<'a>(json: &'a Json, found: &mut Vec<&'a str>) {
    match json {
        Json::Object(object) => {
            found.extend(object.get("ref").and_then(Json::as_str));
            object.values().for_each(|value| refs(value, found));
        }
        Json::Array(items) => items.iter().for_each(|item| refs(item, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn there_is_one_for_each_method_and_collection_and_its_id_is_its_place() {
    let lexicons = lexicons();
    let mut expected: Vec<&str> = METHODS.to_vec();
    expected.extend(["data", "defs", "statement"]);
    expected.sort_unstable();
    assert_eq!(lexicons.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    for (name, lexicon) in &lexicons {
        assert_eq!(lexicon["lexicon"], 1);
        assert_eq!(lexicon["id"], format!("dev.housekey.delegation.{name}"));
    }
    assert_eq!(STATEMENT_COLLECTION, lexicons["statement"]["id"]);
    assert_eq!(APP_DATA_COLLECTION, lexicons["data"]["id"]);
    for (name, lexicon) in lexicons.iter().filter(|(name, _)| METHODS.contains(&name.as_str())) {
        let kind = if name.starts_with("get") || name.starts_with("list") { "query" } else { "procedure" };
        assert_eq!(lexicon["defs"]["main"]["type"], kind, "{name}");
    }
}

#[test]
fn every_reference_is_to_a_definition_that_is_there() {
    let lexicons = lexicons();
    for lexicon in lexicons.values() {
        let mut found = Vec::new();
        refs(lexicon, &mut found);
        for reference in found {
            let (name, definition) =
                reference.strip_prefix("dev.housekey.delegation.").unwrap().split_once('#').unwrap();
            assert!(lexicons[name]["defs"][definition].is_object(), "{reference}");
        }
    }
}

#[test]
fn every_error_is_one_that_the_code_has_and_they_stand_in_its_order() {
    for (name, lexicon) in lexicons() {
        let Some(errors) = lexicon["defs"]["main"]["errors"].as_array() else { continue };
        let place = |error: &Json| DelegationError::NAMES.iter().position(|name| error["name"] == *name);
        let places: Vec<_> = errors.iter().map(place).collect();
        assert!(places.iter().all(Option::is_some), "{name}");
        assert!(places.is_sorted(), "{name}");
    }
}

#[test]
fn the_signed_maps_have_the_fields_of_their_schemas() {
    let mut world = world();
    world.delegate(&key(2), Some(&key(1)));
    let entry = world.entry("com.example.chat", Some(crate::ipld::Map::new()), &key(2));
    let defs = &lexicons()["defs"]["defs"];
    for (name, type_name, map) in
        [("statement", STATEMENT_TYPE, world.statements[1].to_map()), ("appData", APP_DATA_TYPE, entry.to_map())]
    {
        assert_eq!(type_name, format!("dev.housekey.delegation.defs#{name}"));
        let mut fields: Vec<&str> = map.iter().map(|(field, _)| field).filter(|field| *field != "$type").collect();
        fields.sort_unstable();
        let properties: Vec<&String> = defs[name]["properties"].as_object().unwrap().keys().collect();
        assert_eq!(fields, properties);
    }
}

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use serde_json::{Value as Json, json};

use super::*;
use crate::{interop, ipld::json::from_json, limits::lexicon::TYPE_MAX_DEPTH};

/// Documents of a test, over the published ones.
#[derive(Default)]
struct Shelf(HashMap<String, Arc<Document>>);

impl Catalog for Shelf {
    fn document(&self, nsid: &str) -> Option<Arc<Document>> {
        self.0.get(nsid).cloned().or_else(|| published().document(nsid))
    }
}

impl Shelf {
    fn of(documents: &[Json]) -> Self {
        let compiled = documents.iter().map(|document| Arc::new(compile(document).unwrap()));
        Self(compiled.map(|document| (document.id.to_string(), document)).collect())
    }

    fn record(&self, record: &Json) -> Result<(), String> {
        let name = record["$type"].as_str().unwrap();
        let document = self.document(name).unwrap();
        let value = from_json(record).map_err(|cause| cause.to_string())?;
        check_record(self, document.record().unwrap(), &value).map_err(|flaw| flaw.to_string())
    }
}

fn compile(document: &Json) -> Result<Document, DocumentError> {
    Document::from_json(document.to_string().as_bytes())
}

fn defs(defs: &Json) -> Json {
    json!({ "lexicon": 1, "id": "com.example.kind", "defs": defs })
}

/// What a record whose one property `x` has this schema says of a value; `None` is good.
fn judged(schema: &Json, value: &Json) -> Option<String> {
    let record = json!({ "type": "object", "properties": { "x": schema } });
    let shelf = Shelf::of(&[defs(&json!({
        "main": { "type": "record", "key": "any", "record": record },
        "item": { "type": "object", "properties": { "n": { "type": "integer" } } },
        "name": { "type": "token" },
    }))]);
    let refused = shelf.record(&json!({ "$type": "com.example.kind", "x": value })).err()?;
    Some(refused.strip_prefix("Record/x ").unwrap_or(&refused).to_owned())
}

#[test]
fn every_schema_of_the_vectors_is_taken_or_refused_as_they_say() {
    for (file, good) in [("lexicon/lexicon-valid.json", true), ("lexicon/lexicon-invalid.json", false)] {
        let Some(Json::Array(cases)) = interop::json(file) else { continue };
        assert!(!cases.is_empty());
        for case in cases {
            let compiled = compile(&case["lexicon"]);
            assert_eq!(compiled.is_ok(), good, "{}: {compiled:?}", case["name"]);
        }
    }
}

#[test]
fn every_record_of_the_vectors_is_judged_as_they_say() {
    let Some(dir) = interop::dir() else { return };
    let files = std::fs::read_dir(dir.join("lexicon/catalog")).unwrap();
    let documents: Vec<Json> = files
        .map(|file| serde_json::from_str(&std::fs::read_to_string(file.unwrap().path()).unwrap()).unwrap())
        .collect();
    assert!(documents.len() >= 5);
    let shelf = Shelf::of(&documents);
    let kind = shelf.document("example.lexicon.record").unwrap();
    for (file, good) in [("lexicon/record-data-valid.json", true), ("lexicon/record-data-invalid.json", false)] {
        let Some(Json::Array(cases)) = interop::json(file) else { continue };
        for case in cases {
            let judged = shelf.record(&case["data"]);
            assert_eq!(judged.is_ok(), good, "{}: {judged:?}", case["name"]);
            let key = case["rkey"].as_str().unwrap().parse().unwrap();
            assert_eq!(check_record_key(kind.record().unwrap(), &key), Ok(()), "{}", case["name"]);
        }
    }
}

#[test]
fn every_carried_schema_compiles_under_its_name_and_refers_to_what_is_carried() {
    let names: Vec<&str> = published().names().collect();
    assert!(names.len() > 390, "{}", names.len());
    for name in names {
        let document = published().get(name).unwrap_or_else(|| panic!("{name} does not compile"));
        assert_eq!(document.id.as_str(), name);
        for reference in references(document) {
            let found = published().get(&reference.nsid).and_then(|document| document.definition(&reference.name));
            assert!(found.is_some(), "{name} refers to {reference}");
        }
    }
    for kind in ["app.bsky.feed.post", "app.bsky.actor.profile", "com.atproto.lexicon.schema"] {
        assert!(published().get(kind).unwrap().record().is_some(), "{kind}");
    }
}

#[test]
fn every_schema_of_housekeys_own_is_carried_with_its_text() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/lexicons/dev/housekey");
    let (mut dirs, mut seen) = (vec![root], 0);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let id = serde_json::from_str::<Json>(&text).unwrap()["id"].as_str().unwrap().to_owned();
            assert_eq!(published().own_text(&id), Some(text.as_bytes()), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 11);
    assert_eq!(published().own_text("app.bsky.feed.post"), None);
}

fn references(document: &Document) -> Vec<Reference> {
    fn of_type(schema: &Type, found: &mut Vec<Reference>) {
        if let Type::Reference(reference) = schema {
            found.push(reference.clone());
        } else if let Type::Union(union) = schema {
            found.extend(union.references.iter().cloned());
        } else if let Type::List(list) = schema {
            of_type(&list.items, found);
        } else if let Type::Object(object) = schema {
            object.properties.iter().for_each(|property| of_type(&property.schema, found));
        }
    }
    let mut found = Vec::new();
    for definition in document.definitions.values() {
        match definition {
            Definition::Record(record) => of_type(&Type::Object(Box::new(record.object.clone())), &mut found),
            Definition::Method(method) => {
                let bodies = [&method.input, &method.output].into_iter().flatten();
                bodies.filter_map(|body| body.schema.as_ref()).for_each(|schema| of_type(schema, &mut found));
            }
            Definition::Type(schema) => of_type(schema, &mut found),
            Definition::PermissionSet => {}
        }
    }
    found
}

#[test]
fn a_post_is_judged_in_the_references_words() {
    let shelf = Shelf::default();
    let post = |extra: Json| {
        let mut post = json!({ "$type": "app.bsky.feed.post", "text": "hello", "createdAt": "2026-01-01T00:00:00Z" });
        post.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        shelf.record(&post)
    };
    let fine = json!({ "langs": ["en", "pt-BR"], "embed": { "$type": "com.example.unheardOf" }, "other": [1],
        "facets": [{ "index": { "byteStart": 0, "byteEnd": 3 },
            "features": [{ "$type": "app.bsky.richtext.facet#link", "uri": "https://example.com" }] }] });
    assert_eq!(post(fine), Ok(()));
    assert_eq!(
        shelf.record(&json!({ "$type": "app.bsky.feed.post", "createdAt": "2026-01-01T00:00:00Z" })),
        Err("Record must have the property \"text\"".to_owned())
    );
    for (extra, words) in [
        (json!({ "text": 7 }), "Record/text must be a string"),
        (json!({ "text": "x".repeat(3_001) }), "Record/text must not be longer than 3000 characters"),
        (json!({ "text": "x".repeat(301) }), "Record/text must not be longer than 300 graphemes"),
        (
            json!({ "createdAt": "yesterday" }),
            "Record/createdAt must be an valid atproto datetime (both RFC-3339 and ISO-8601)",
        ),
        (json!({ "langs": ["en", "en", "en", "en"] }), "Record/langs must not have more than 3 elements"),
        (json!({ "langs": ["en", "!"] }), "Record/langs/1 must be a well-formed BCP 47 language tag"),
        (json!({ "embed": { "images": [] } }), "Record/embed must be an object which includes the \"$type\" property"),
        (
            json!({ "reply": { "root": { "uri": "at://x.test/a.b.c/1" } } }),
            "Record/reply/root must have the property \"cid\"",
        ),
        (json!({ "reply": null }), "Record/reply must be an object"),
    ] {
        assert_eq!(post(extra), Err(words.to_owned()));
    }
}

#[test]
fn constraints_of_every_type_hold_at_their_edges() {
    let blob = |mime: &str, size: u64| {
        json!({ "$type": "blob", "mimeType": mime, "size": size,
        "ref": { "$link": "bafkreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq" } })
    };
    let cases = [
        (
            json!({ "type": "integer", "minimum": 1, "maximum": 3 }),
            vec![json!(1), json!(3), json!(2.0)],
            vec![
                (json!(0), "can not be less than 1"),
                (json!(4), "can not be greater than 3"),
                (json!("1"), "must be an integer"),
            ],
        ),
        (json!({ "type": "integer", "const": 2 }), vec![json!(2)], vec![(json!(3), "must be 2")]),
        (json!({ "type": "integer", "enum": [1, 5] }), vec![json!(5)], vec![(json!(2), "must be one of (1|5)")]),
        (
            json!({ "type": "boolean", "const": false }),
            vec![json!(false)],
            vec![(json!(true), "must be false"), (json!(0), "must be a boolean")],
        ),
        (
            json!({ "type": "string", "minLength": 2, "maxLength": 4 }),
            vec![json!("ab"), json!("éé")],
            vec![
                (json!("a"), "must not be shorter than 2 characters"),
                (json!("ééa"), "must not be longer than 4 characters"),
            ],
        ),
        (
            json!({ "type": "string", "minGraphemes": 2, "maxGraphemes": 2 }),
            vec![json!("👩‍👩‍👦‍👦é")],
            vec![
                (json!("👩‍👩‍👦‍👦"), "must not be shorter than 2 graphemes"),
                (json!("abc"), "must not be longer than 2 graphemes"),
            ],
        ),
        (json!({ "type": "string", "enum": ["a", "b"] }), vec![json!("b")], vec![(json!("c"), "must be one of (a|b)")]),
        (json!({ "type": "string", "const": "a" }), vec![json!("a")], vec![(json!("b"), "must be a")]),
        (json!({ "type": "string", "knownValues": ["a"] }), vec![json!("b")], vec![]),
        (
            json!({ "type": "bytes", "minLength": 1, "maxLength": 2 }),
            vec![json!({ "$bytes": "AQI" })],
            vec![
                (json!({ "$bytes": "" }), "must not be smaller than 1 bytes"),
                (json!({ "$bytes": "AQID" }), "must not be larger than 2 bytes"),
                (json!({ "bytes": "AQID" }), "must be a byte array"),
            ],
        ),
        (
            json!({ "type": "array", "items": { "type": "integer" }, "minLength": 1, "maxLength": 2 }),
            vec![json!([1, 2])],
            vec![
                (json!([]), "must not have fewer than 1 elements"),
                (json!([1, 2, 3]), "must not have more than 2 elements"),
                (json!({}), "must be an array"),
            ],
        ),
        (
            json!({ "type": "blob", "accept": ["image/*", "text/plain"], "maxSize": 10 }),
            vec![blob("image/png", 10), blob("text/plain", 0)],
            vec![
                (blob("image/png", 11), "must not be larger than 10 bytes"),
                (blob("text/html", 1), "must have a mimeType that is one of (image/*|text/plain)"),
                (json!({ "mimeType": "image/png" }), "should be a blob ref"),
            ],
        ),
        (
            json!({ "type": "unknown" }),
            vec![json!({}), json!({ "$type": "com.example.other", "x": 1 })],
            vec![
                (json!([]), "must be an object"),
                (blob("a/b", 1), "must be an object"),
                (json!({ "$bytes": "" }), "must be an object"),
            ],
        ),
        (json!({ "type": "null" }), vec![json!(null)], vec![(json!(0), "must be null")]),
        (
            json!({ "type": "ref", "ref": "#name" }),
            vec![json!("com.example.kind#name")],
            vec![(json!("name"), "must be com.example.kind#name")],
        ),
        (
            json!({ "type": "union", "refs": ["#item"], "closed": true }),
            vec![json!({ "$type": "com.example.kind#item" })],
            vec![
                (json!({ "$type": "com.example.kind" }), "$type must be one of lex:com.example.kind#item"),
                (json!({ "$type": "com.example.kind#item", "n": "" }), "Record/x/n must be an integer"),
            ],
        ),
        (
            json!({ "type": "union", "refs": ["com.atproto.repo.strongRef#main"] }),
            vec![json!({ "$type": "com.example.new" })],
            vec![(
                json!({ "$type": "com.atproto.repo.strongRef", "uri": "at://x.test" }),
                "must have the property \"cid\"",
            )],
        ),
    ];
    for (schema, good, bad) in &cases {
        for value in good {
            assert_eq!(judged(schema, value), None, "{schema} {value}");
        }
        for (value, words) in bad {
            assert_eq!(judged(schema, value).as_deref(), Some(*words), "{schema} {value}");
        }
    }
}

#[test]
fn what_is_absent_null_or_not_mentioned_is_judged_by_required_and_nullable() {
    let object = json!({ "type": "object", "required": ["a", "b"], "nullable": ["b"],
        "properties": { "a": { "type": "integer" }, "b": { "type": "integer" }, "c": { "type": "integer" } } });
    assert_eq!(judged(&object, &json!({ "a": 1, "b": null, "zzz": [] })), None);
    assert_eq!(judged(&object, &json!({ "a": 1 })).as_deref(), Some("must have the property \"b\""));
    assert_eq!(judged(&object, &json!({ "a": null, "b": 1 })).as_deref(), Some("Record/x/a must be an integer"));
    assert_eq!(
        judged(&object, &json!({ "a": 1, "b": 1, "c": null })).as_deref(),
        Some("Record/x/c must be an integer")
    );
    let defaulted =
        json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": "integer", "default": 1 } } });
    assert_eq!(judged(&defaulted, &json!({})), None);
}

#[test]
fn a_schema_that_recurs_ends_where_the_value_ends() {
    let shelf = Shelf::of(&[defs(&json!({
        "main": { "type": "record", "key": "any", "record": { "type": "object", "properties": { "tree": { "type": "ref", "ref": "#tree" } } } },
        "tree": { "type": "object", "properties": { "left": { "type": "ref", "ref": "#tree" }, "all": { "type": "array", "items": { "type": "union", "refs": ["#tree"] } } } },
    }))]);
    let deep = (0..50).fold(json!({}), |inner, _| json!({ "left": inner }));
    assert_eq!(shelf.record(&json!({ "$type": "com.example.kind", "tree": deep })), Ok(()));
    let wrong = (0..50).fold(json!(1), |inner, _| json!({ "left": inner }));
    let refused = shelf.record(&json!({ "$type": "com.example.kind", "tree": wrong })).unwrap_err();
    assert!(refused.ends_with("/left must be an object"), "{refused}");
}

#[test]
fn a_definition_that_only_points_at_itself_is_no_schema() {
    for loops in [json!({ "a": { "type": "ref", "ref": "#a" } }), json!({ "a": { "type": "union", "refs": ["#a"] } })] {
        assert!(compile(&defs(&loops)).is_err());
    }
}

#[test]
fn schemas_that_refer_to_each_other_end_where_the_value_ends() {
    let of = |id: &str, other: &str| {
        json!({ "lexicon": 1, "id": id, "defs": { "main": { "type": "object", "properties": {
            "one": { "type": "ref", "ref": other },
            "any": { "type": "array", "items": { "type": "union", "refs": [id, other] } } } } } })
    };
    let shelf = Shelf::of(&[
        defs(&json!({ "main": { "type": "record", "key": "any", "record": { "type": "object", "properties": {
            "a": { "type": "ref", "ref": "com.example.a" } } } } })),
        of("com.example.a", "com.example.b"),
        of("com.example.b", "com.example.a"),
    ]);
    let deep = (0..50).fold(json!({}), |inner, _| json!({ "one": inner }));
    assert_eq!(shelf.record(&json!({ "$type": "com.example.kind", "a": deep })), Ok(()));
    let wrong = (0..50).fold(json!(1), |inner, _| json!({ "one": inner }));
    let refused = shelf.record(&json!({ "$type": "com.example.kind", "a": wrong })).unwrap_err();
    assert!(refused.ends_with("/one must be an object"), "{refused}");
}

#[test]
fn a_schema_made_to_cost_time_is_cut_off_by_counting() {
    let many: serde_json::Map<String, Json> =
        (0..3_000).map(|n| (format!("p{n}"), json!({ "type": "boolean" }))).collect();
    let schema = json!({ "type": "array", "items": { "type": "object", "properties": many } });
    let refused = judged(&schema, &json!(vec![json!({}); 400])).unwrap();
    assert!(refused.contains("takes more than"), "{refused}");
    let names: Vec<String> = (0..3_000).map(|n| n.to_string()).collect();
    let schema = json!({ "type": "array", "items": { "type": "string", "enum": names } });
    let refused = judged(&schema, &json!(vec!["2999"; 400])).unwrap();
    assert!(refused.contains("takes more than"), "{refused}");
}

#[test]
fn a_broken_schema_is_refused_by_its_place() {
    let deep =
        (0..=TYPE_MAX_DEPTH).fold(json!({ "type": "integer" }), |inner, _| json!({ "type": "array", "items": inner }));
    for (document, words) in [
        (json!([]), "schema must be an object"),
        (json!({ "lexicon": 2, "id": "com.example.kind", "defs": {} }), "schema/lexicon must be 1"),
        (json!({ "lexicon": 1, "id": "kind", "defs": {} }), "schema/id is no NSID"),
        (json!({ "lexicon": 1, "id": "com.example.kind" }), "schema must have \"defs\""),
        (defs(&json!({ "a": 1 })), "schema/defs/a must be an object"),
        (defs(&json!({ "a": { "type": "float" } })), "schema/defs/a has the type \"float\""),
        (defs(&json!({ "a": { "type": "string", "format": "colour" } })), "schema/defs/a/format is \"colour\""),
        (defs(&json!({ "a": { "type": "string", "maxLength": -1 } })), "schema/defs/a/maxLength must not be negative"),
        (
            defs(&json!({ "a": { "type": "object", "required": ["b"], "properties": {} } })),
            "schema/defs/a requires \"b\"",
        ),
        (
            defs(&json!({ "a": { "type": "array", "items": { "type": "ref", "ref": "x#y#z" } } })),
            "schema/defs/a/items/ref must be an NSID",
        ),
        (defs(&json!({ "a": { "type": "query" } })), "schema/defs/a is a query, which only \"main\" may be"),
        (
            defs(&json!({ "main": { "type": "record", "key": "uuid", "record": { "type": "object" } } })),
            "schema/defs/main/key must be",
        ),
        (
            defs(
                &json!({ "main": { "type": "query", "parameters": { "type": "params", "properties": { "x": { "type": "bytes" } } } } }),
            ),
            "schema/defs/main/parameters/properties/x must be",
        ),
        (defs(&json!({ "a": deep })), "a definition nests more than"),
    ] {
        let refused = compile(&document).unwrap_err().to_string();
        assert!(refused.starts_with(words), "{refused}");
    }
    assert!(Document::from_json(b"{").unwrap_err().to_string().contains("not JSON"));
    let large = vec![b' '; crate::limits::lexicon::DOCUMENT_MAX_BYTES + 1];
    assert!(Document::from_json(&large).unwrap_err().to_string().contains("bytes"));
}

#[test]
fn what_refers_to_an_unknown_schema_cannot_be_judged() {
    let schema = json!({ "type": "ref", "ref": "com.example.elsewhere" });
    assert_eq!(judged(&schema, &json!({})).as_deref(), Some("Lexicon not found: lex:com.example.elsewhere"));
}

#[test]
fn keys_are_judged_by_their_kind() {
    let kind = |key: &str| {
        let record = json!({ "type": "record", "key": key, "record": { "type": "object" } });
        compile(&defs(&json!({ "main": record }))).unwrap().record().unwrap().clone()
    };
    let judged = |kind: &Record, key: &str| check_record_key(kind, &key.parse().unwrap());
    assert_eq!(judged(&kind("any"), "anything"), Ok(()));
    assert_eq!(judged(&kind("tid"), "3jzfcijpj2z2a"), Ok(()));
    assert_eq!(judged(&kind("tid"), "self"), Err("it must be a TID, not \"self\"".to_owned()));
    assert_eq!(judged(&kind("literal:self"), "self"), Ok(()));
    assert_eq!(judged(&kind("literal:self"), "me"), Err("it must be \"self\", not \"me\"".to_owned()));
    assert_eq!(judged(&kind("nsid"), "com.example.kind"), Ok(()));
    assert_eq!(judged(&kind("nsid"), "kind"), Err("it must be an NSID, not \"kind\"".to_owned()));
}

#[test]
fn parameters_are_text_that_stands_for_values() {
    let judged = |nsid: &str, query: &str| {
        let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let method = published().get(nsid).unwrap().method().unwrap();
        check_params(published(), method.params.as_ref().unwrap(), &pairs).map_err(|flaw| flaw.to_string())
    };
    let records = "com.atproto.repo.listRecords";
    let repo = "repo=alice.test&collection=app.bsky.feed.post";
    assert_eq!(judged(records, &format!("{repo}&limit=100&reverse=true&cursor=&more=1")), Ok(()));
    for (query, words) in [
        (String::new(), "Params must have the property \"repo\""),
        ("repo=alice.test&collection=".to_owned(), "Params must have the property \"collection\""),
        (format!("{repo}&limit=101"), "limit can not be greater than 100"),
        (format!("{repo}&limit=0"), "limit can not be less than 1"),
        (format!("{repo}&limit=ten"), "limit must be an integer"),
        (format!("{repo}&reverse=perhaps"), "reverse must be a boolean"),
        ("repo=a%20b&collection=app.bsky.feed.post".to_owned(), "repo must be a valid did or a handle"),
        ("repo=alice.test&collection=post".to_owned(), "collection must be a valid nsid"),
    ] {
        assert_eq!(judged(records, &query), Err(words.to_owned()), "{query}");
    }
    let blocks = "com.atproto.sync.getBlocks?did=did:plc:ewvi7nxzyoun6zhxrhs64oiz";
    let (nsid, did) = blocks.split_once('?').unwrap();
    let cid = "bafyreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq";
    assert_eq!(judged(nsid, &format!("{did}&cids={cid}&cids={cid}")), Ok(()));
    assert_eq!(judged(nsid, &format!("{did}&cids={cid}&cids=x")), Err("cids/1 must be a cid string".to_owned()));
}

#[test]
fn inputs_are_judged_as_they_came() {
    let judged = |nsid: &str, input: Json| {
        let body = published().get(nsid).unwrap().method().unwrap().input.clone().unwrap();
        check_input(published(), &body, &input).map_err(|flaw| flaw.to_string())
    };
    let put = "com.atproto.repo.putRecord";
    let body = json!({ "repo": "alice.test", "collection": "com.example.kind", "rkey": "a", "record": { "n": 1.5 }, "swapRecord": null });
    assert_eq!(judged(put, body), Ok(()));
    assert_eq!(judged(put, json!({})), Err("Input must have the property \"repo\"".to_owned()));
    assert_eq!(judged(put, json!([])), Err("Input must be an object".to_owned()));
    let apply = json!({ "repo": "alice.test", "writes": [{ "$type": "com.atproto.repo.applyWrites#destroy" }] });
    let refused = judged("com.atproto.repo.applyWrites", apply).unwrap_err();
    assert!(
        refused.starts_with("Input/writes/0 $type must be one of lex:com.atproto.repo.applyWrites#create, "),
        "{refused}"
    );
}

//! Identifiers, with the public vectors.
use std::str::FromStr;

use proptest::prelude::*;

use super::*;
use crate::{clock::Timestamp, interop};

/// Every line of a vector file, with the project's own lines for where there is none.
fn check<T: FromStr>(valid: &[&str], invalid: &[&str], files: &[&str]) {
    for line in valid.iter().map(|&line| line.to_owned()).chain(
        files
            .iter()
            .filter(|file| file.ends_with("_valid.txt"))
            .flat_map(|file| interop::lines(&format!("syntax/{file}"))),
    ) {
        assert!(line.parse::<T>().is_ok(), "refused: {line:?}");
    }
    for line in invalid.iter().map(|&line| line.to_owned()).chain(
        files
            .iter()
            .filter(|file| file.ends_with("_invalid.txt"))
            .flat_map(|file| interop::lines(&format!("syntax/{file}"))),
    ) {
        assert!(line.parse::<T>().is_err(), "accepted: {line:?}");
    }
}

#[test]
fn every_did_vector_behaves() {
    check::<Did>(
        &["did:plc:ewvi7nxzyoun6zhxrhs64oiz", "did:web:pds.house", "did:x:%41"],
        &["", "did:", "did::a", "did:plc", "did:plc:", "did:Plc:a", "did:plc:a b", "did:plc:ä", "did:web:a/b"],
        &["did_syntax_valid.txt", "did_syntax_invalid.txt"],
    );
    assert!(format!("did:x:{}", "a".repeat(2042)).parse::<Did>().is_ok());
    assert!(format!("did:x:{}", "a".repeat(2043)).parse::<Did>().is_err());
}

#[test]
fn every_handle_vector_behaves() {
    check::<Handle>(
        &["alice.house.test", "A.b", "xn--p1ai.xn--p1ai"],
        &["", ".", "a.", "alice", "alice..test", "alice.-a", "a_b.test", "alice.test\n", "ı.test", "1.2"],
        &["handle_syntax_valid.txt", "handle_syntax_invalid.txt"],
    );
}

#[test]
fn every_nsid_vector_behaves() {
    check::<Nsid>(
        &["com.example.thing", "app.bsky.feed.post", "a.b.c1"],
        &["", "com.example", "com..thing", "com.example.", "com.example.1thing", "1om.example.thing", "com.exa_mple.a"],
        &["nsid_syntax_valid.txt", "nsid_syntax_invalid.txt"],
    );
}

#[test]
fn every_record_key_vector_behaves() {
    check::<RecordKey>(
        &["self", "3jzfcijpj2z2a", "a:b~c_d-e.f", "..."],
        &["", ".", "..", "a/b", "a b", "ä", "a%20"],
        &["recordkey_syntax_valid.txt", "recordkey_syntax_invalid.txt"],
    );
}

#[test]
fn every_tid_vector_behaves() {
    check::<Tid>(
        &["3jzfcijpj2z2a", "2222222222222", "bzzzzzzzzzzzz"],
        &["", "3jzfcijpj2z21", "3jzfcijpj2z2", "c222222222222", "zzzzzzzzzzzzz", "3jzfcijpj2zä"],
        &["tid_syntax_valid.txt", "tid_syntax_invalid.txt"],
    );
}

#[test]
fn every_at_uri_vector_behaves() {
    check::<AtUri>(
        &["at://did:plc:abc/com.example.thing/self", "at://alice.test", "at://alice.test/com.example.thing"],
        &["", "at://", "at:///", "at://alice.test/", "at://alice.test/com.example.thing/", "at://alice.test?a=b"],
        &["aturi_syntax_valid.txt", "aturi_syntax_invalid.txt"],
    );
}

#[test]
fn every_at_identifier_vector_behaves() {
    check::<AtIdentifier>(
        &["did:web:a.test", "alice.test"],
        &["", "did:", "alice", "@alice.test"],
        &["atidentifier_syntax_valid.txt", "atidentifier_syntax_invalid.txt"],
    );
}

#[test]
fn every_datetime_vector_behaves() {
    check::<Datetime>(
        &["2024-02-29T23:59:59.999Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00"],
        &["", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:60Z"],
        &["datetime_syntax_valid.txt", "datetime_syntax_invalid.txt", "datetime_parse_invalid.txt"],
    );
}

#[test]
fn every_language_vector_behaves() {
    check::<Language>(
        &["de", "de-AT", "zh-cmn-Hans-CN", "sl-rozaj-biske-1994", "x-house", "en-a-bb-x-a-b"],
        &["", "-", "de-", "x", "x-", "de-x", "de-a", "de-a-b", "de-DE-Latn", "i-house", "de-ä", "de-toolongsub"],
        &["language_syntax_valid.txt", "language_syntax_invalid.txt", "language_parse_invalid.txt"],
    );
}

#[test]
fn every_uri_vector_behaves() {
    check::<Uri>(
        &["https://a.test/", "tag:a", "at://alice.test/com.example.thing"],
        &["", ":", "a", "a:", "a://", "1a:b", "https://a b", "https://a\u{0}", "https://a\u{a0}"],
        &["uri_syntax_valid.txt", "uri_syntax_invalid.txt"],
    );
}

#[test]
fn every_cid_text_vector_behaves() {
    check::<CidText>(
        &["bafyreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq"],
        &["", "bafy", "bafyreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabw!"],
        &["cid_syntax_valid.txt", "cid_syntax_invalid.txt"],
    );
}

#[test]
fn a_did_knows_its_method() {
    let did = |text: &str| text.parse::<Did>().unwrap();
    assert!(did("did:plc:ewvi7nxzyoun6zhxrhs64oiz").is_plc());
    assert!(!did("did:plc:ewvi7nxzyoun6zhxrhs64oi1").is_plc());
    assert!(!did("did:plc:ewvi7nxzyoun6zhxrhs64oi").is_plc());
    assert!(did("did:web:example.com").is_web());
    assert!(did("did:web:localhost%3A2583").is_web());
    assert!(!did("did:web:example.com:user").is_web());
    assert!(!did("did:web:example.com%3A8080").is_web());
    assert!(!did("did:web:localhost%3A99999").is_web());
    assert!(!did("did:web:example").is_web());
    assert_eq!(did("did:web:example.com").method(), "web");
    assert_eq!(did("did:web:example.com").identifier(), "example.com");
}

#[test]
fn a_handle_is_lower_cased_and_falls_into_parts() {
    let handle: Handle = "Alice.House.TEST".parse().unwrap();
    assert_eq!(handle.as_str(), "alice.house.test");
    assert_eq!((handle.first_label(), handle.parent()), ("alice", "house.test"));
    assert!(!handle.has_disallowed_tld());
    for tld in ["local", "arpa", "invalid", "localhost", "internal", "example", "alt", "onion", "ONION"] {
        assert!(format!("alice.{tld}").parse::<Handle>().unwrap().has_disallowed_tld(), "{tld}");
    }
    assert!(!"onion.alice.test".parse::<Handle>().unwrap().has_disallowed_tld());
}

#[test]
fn an_nsid_falls_into_authority_and_name() {
    let nsid: Nsid = "com.atproto.repo.createRecord".parse().unwrap();
    assert_eq!(nsid.authority(), "repo.atproto.com");
    assert_eq!(nsid.prefix(), "com.atproto.repo");
    assert_eq!(nsid.name(), "createRecord");
}

#[test]
fn an_at_uri_falls_into_parts_and_prints_them() {
    let uri: AtUri = "at://Alice.test/com.example.thing/self".parse().unwrap();
    assert_eq!(uri.to_string(), "at://alice.test/com.example.thing/self");
    let did = "did:web:a.test".parse().unwrap();
    let record = AtUri::record(&did, uri.collection.as_ref().unwrap(), uri.rkey.as_ref().unwrap());
    assert_eq!(record.to_string(), "at://did:web:a.test/com.example.thing/self");
}

#[test]
fn a_datetime_names_an_instant() {
    let at = |text: &str| text.parse::<Datetime>().unwrap().timestamp();
    assert_eq!(at("1970-01-01T00:00:00Z"), Timestamp::EPOCH);
    assert_eq!(at("2023-11-14T22:13:20.123456789Z"), Timestamp::from_micros(1_700_000_000_123_456));
    assert_eq!(at("2023-11-15T00:13:20+02:00"), Timestamp::from_secs(1_700_000_000));
    assert_eq!(at("2023-11-14T15:13:20-07:00"), Timestamp::from_secs(1_700_000_000));
    assert_eq!(at("0000-01-01T00:00:00Z").as_secs(), -62_167_219_200);
    assert_eq!(Datetime::from(Timestamp::from_micros(i64::MIN)).as_str(), "0000-01-01T00:00:00.000Z");
    assert_eq!(Datetime::from(Timestamp::from_micros(i64::MAX)).as_str(), "9999-12-30T22:00:00.000Z");
}

#[test]
fn a_tid_holds_time_and_clock_id() {
    let tid = Tid::new(Timestamp::from_micros(1_700_000_000_123_456), 0xfc01);
    assert_eq!(tid.timestamp(), Timestamp::from_micros(1_700_000_000_123_456));
    assert_eq!(tid.clock_id(), 1);
    assert_eq!(Tid::new(Timestamp::from_secs(-5), 0).as_u64(), 0);
    assert_eq!(Tid::new(Timestamp::from_micros(i64::MAX), 1023).to_string(), "bzzzzzzzzzzzz");
    assert_eq!(Tid::from_u64(1 << 63), None);
    assert_eq!("3jzfcijpj2z2a".parse::<Tid>().unwrap().to_string(), "3jzfcijpj2z2a");
}

#[test]
fn tids_grow_even_if_the_clock_steps_back() {
    let now = Timestamp::from_secs(1_700_000_000);
    let first = Tid::after(None, now, 7);
    assert_eq!(first, Tid::new(now, 7));
    let second = Tid::after(Some(first), now, 7);
    assert!(second > first);
    let third = Tid::after(Some(second), Timestamp::EPOCH, 3);
    assert!(third > second);
    assert_eq!(third.clock_id(), 3);
    let last = Tid::from_u64(u64::MAX >> 1).unwrap();
    assert_eq!(Tid::after(Some(last), now, 7), last);
    let before_last = Tid::from_u64((u64::MAX >> 1) - 1).unwrap();
    assert_eq!(Tid::after(Some(before_last), now, 7), last);
}

#[test]
fn a_refused_text_in_json_reads_as_the_parsers_sentence() {
    let error = serde_json::from_str::<Did>("\"plc:abc\"").unwrap_err().to_string();
    assert!(error.starts_with("the DID is not valid: it must begin with \"did:\""), "{error}");
    let error = serde_json::from_value::<AtUri>(serde_json::json!("at://alice.test/")).unwrap_err().to_string();
    assert_eq!(error, "the AT-URI is not valid: it must have at least three parts between dots");
    assert!(serde_json::from_str::<Tid>("1").unwrap_err().to_string().contains("expected a text"));
}

#[test]
fn identifiers_travel_through_json_as_text() {
    let tid: Tid = "3jzfcijpj2z2a".parse().unwrap();
    assert_eq!(serde_json::to_string(&tid).unwrap(), "\"3jzfcijpj2z2a\"");
    let escaped: Handle = serde_json::from_str("\"al\\u0069ce.Test\"").unwrap();
    assert_eq!(serde_json::to_string(&escaped).unwrap(), "\"alice.test\"");
}

#[test]
fn the_fuzz_body_holds_on_every_vector() {
    let corpus = ["", "a", "did:plc:", "at://a.b/c.d.e/f", "0000-01-01T00:00:00.1Z", "x-a", "3jzfcijpj2z2a", "\u{0}"];
    for text in corpus {
        fuzzing::syntax(text.as_bytes());
    }
    for kind in ["did", "handle", "nsid", "recordkey", "tid", "aturi", "datetime", "language", "uri", "cid"] {
        for validity in ["valid", "invalid"] {
            for line in interop::lines(&format!("syntax/{kind}_syntax_{validity}.txt")) {
                fuzzing::syntax(line.as_bytes());
            }
        }
    }
    fuzzing::syntax(&[0xff, 0xfe]);
}

proptest! {
    #[test]
    fn no_bytes_break_a_parser(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        fuzzing::syntax(&bytes);
    }

    #[test]
    fn no_likely_text_breaks_a_parser(text in "(at://|did:|)[a-z0-9.:/%~_+T-]{0,40}(Z)?") {
        fuzzing::syntax(text.as_bytes());
    }

    #[test]
    fn tids_sort_as_texts_as_they_do_as_numbers(a in 0..u64::MAX >> 1, b in 0..u64::MAX >> 1) {
        let (a, b) = (Tid::from_u64(a).unwrap(), Tid::from_u64(b).unwrap());
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        prop_assert_eq!(a.to_string().parse::<Tid>(), Ok(a));
    }

    #[test]
    fn well_formed_identifiers_round_trip(did in "did:[a-z]{1,8}:[a-zA-Z0-9._:%-]{0,30}[a-zA-Z0-9._-]",
        nsid in "[a-z][a-z0-9]{0,5}(\\.[a-z0-9]{1,6}){1,4}\\.[a-zA-Z][a-zA-Z0-9]{0,12}", rkey in "[a-zA-Z0-9_:~-]{1,64}") {
        let uri = format!("at://{did}/{nsid}/{rkey}");
        let parsed: AtUri = uri.parse().unwrap();
        prop_assert_eq!(parsed.to_string(), uri);
        prop_assert_eq!(parsed.authority.as_did().unwrap().as_str(), did);
    }

    #[test]
    fn a_datetime_made_of_an_instant_names_it(millis in -62_167_219_200_000i64..253_402_207_200_000) {
        let at = Timestamp::from_micros(millis * 1000);
        let datetime = Datetime::from(at);
        prop_assert_eq!(datetime.timestamp(), at);
        let again: Datetime = datetime.as_str().parse().unwrap();
        prop_assert_eq!(again, datetime);
    }
}

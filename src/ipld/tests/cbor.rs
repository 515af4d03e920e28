//! DAG-CBOR, with another implementation as the oracle.
use ipld_core::ipld::Ipld;
use proptest::prelude::*;

use super::{any_value, hex, nested};
use crate::{
    ipld::{
        Cid, Value,
        cbor::{CborError, Reader, Writer, decode, decode_prefix, encode},
        fuzzing,
    },
    limits::ipld::{CBOR_MAX_BYTES, CBOR_MAX_ITEMS, MAX_DEPTH},
};

const LINK: &str = "d82a58250001711220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn canonical_bytes_decode_and_encode_to_themselves() {
    for (bytes, value) in [
        ("00", Value::Int(0)),
        ("17", Value::Int(23)),
        ("1818", Value::Int(24)),
        ("190100", Value::Int(256)),
        ("1a00010000", Value::Int(65_536)),
        ("1b0000000100000000", Value::Int(1 << 32)),
        ("1b7fffffffffffffff", Value::Int(i64::MAX)),
        ("20", Value::Int(-1)),
        ("3818", Value::Int(-25)),
        ("3b7fffffffffffffff", Value::Int(i64::MIN)),
        ("f4", Value::Bool(false)),
        ("f5", Value::Bool(true)),
        ("f6", Value::Null),
        ("60", Value::from("")),
        ("62c3a4", Value::from("ä")),
        ("4100", Value::from(vec![0u8])),
        ("80", Value::List(vec![])),
        ("a0", Value::Map(crate::ipld::Map::new())),
        (
            "a2616201626161f6",
            [("b", Value::Int(1)), ("aa", Value::Null)].into_iter().collect::<crate::ipld::Map>().into(),
        ),
        (LINK, Value::Link(Cid::of_cbor(b""))),
    ] {
        assert_eq!(decode(&hex(bytes)), Ok(value.clone()), "{bytes}");
        assert_eq!(encode(&value), hex(bytes), "{bytes}");
    }
}

#[test]
fn what_is_not_canonical_dag_cbor_is_refused_with_its_reason() {
    for (bytes, error) in [
        ("", CborError::Truncated),
        ("18", CborError::Truncated),
        ("6161 00", CborError::TrailingBytes),
        ("6261", CborError::Truncated),
        ("1817", CborError::NotShortest),
        ("1900ff", CborError::NotShortest),
        ("1a0000ffff", CborError::NotShortest),
        ("1b00000000ffffffff", CborError::NotShortest),
        ("3800", CborError::NotShortest),
        ("7800", CborError::NotShortest),
        ("5800", CborError::NotShortest),
        ("9800", CborError::NotShortest),
        ("b800", CborError::NotShortest),
        ("1b8000000000000000", CborError::IntegerRange),
        ("3b8000000000000000", CborError::IntegerRange),
        ("9fff", CborError::IndefiniteLength),
        ("bfff", CborError::IndefiniteLength),
        ("5fff", CborError::IndefiniteLength),
        ("7fff", CborError::IndefiniteLength),
        ("ff", CborError::IndefiniteLength),
        ("1c", CborError::Malformed),
        ("1f", CborError::Malformed),
        ("f90000", CborError::Float),
        ("fa00000000", CborError::Float),
        ("fb3ff0000000000000", CborError::Float),
        ("fb7ff8000000000000", CborError::Float),
        ("f7", CborError::Simple),
        ("e0", CborError::Simple),
        ("f814", CborError::Simple),
        ("f8ff", CborError::Simple),
        ("c000", CborError::Tag(0)),
        ("d82b00", CborError::Tag(43)),
        ("d9002a00", CborError::NotShortest),
        ("61ff", CborError::NotUtf8),
        ("62c0af", CborError::NotUtf8),
        ("63eda080", CborError::NotUtf8),
        ("a10000", CborError::KeyNotText),
        ("a14100f6", CborError::KeyNotText),
        ("a2616200616100", CborError::KeyOrder),
        ("a262616100616200", CborError::KeyOrder),
        ("a2616100616100", CborError::DuplicateKey),
        ("9affffffff", CborError::Truncated),
        ("9bffffffffffffffff", CborError::Truncated),
        ("bb7fffffffffffffff", CborError::Truncated),
        ("7bffffffffffffffff", CborError::Truncated),
        ("5b7fffffffffffffff", CborError::Truncated),
        ("8200", CborError::Truncated),
        ("a1616100 00", CborError::TrailingBytes),
        ("a16161", CborError::Truncated),
        ("d82a", CborError::Truncated),
        ("d82a4100f6f6f6", CborError::Link),
        ("d82a582500", CborError::Truncated),
    ] {
        assert_eq!(decode(&hex(bytes)), Err(error), "{bytes}");
        fuzzing::cbor(&hex(bytes));
    }
}

#[test]
fn a_link_must_be_a_cid_of_the_protocol() {
    for (at, wrong) in [(3, 0x24), (4, 1), (5, 0), (6, 0x70), (7, 0x11), (8, 0x1f)] {
        let mut bytes = hex(LINK);
        bytes[at] = wrong;
        assert_eq!(decode(&bytes), Err(CborError::Link), "{at}");
    }
}

#[test]
fn nesting_stops_at_the_bound() {
    assert_eq!(decode(&encode(&nested(MAX_DEPTH))), Ok(nested(MAX_DEPTH)));
    assert_eq!(decode(&encode(&nested(MAX_DEPTH + 1))), Err(CborError::TooDeep));
    fuzzing::cbor(&encode(&nested(MAX_DEPTH + 1)));
    let mut hostile = vec![0x81; 1_000_000];
    hostile.push(0xf6);
    assert_eq!(decode(&hostile), Err(CborError::TooDeep));
    let hostile: Vec<u8> = b"\xa1\x61a".iter().copied().cycle().take(3_000_000).chain([0xf6]).collect();
    assert_eq!(decode(&hostile), Err(CborError::TooDeep));
    assert_eq!(Reader::new(&hostile).skip(), Err(CborError::TooDeep));
}

#[test]
fn a_tree_has_bounds_of_values_and_bytes() {
    let list = |len: usize| {
        let mut writer = Writer::new();
        writer.array(len).raw(&vec![0xf6; len]);
        writer.into_bytes()
    };
    assert!(decode(&list(CBOR_MAX_ITEMS - 1)).is_ok());
    assert_eq!(decode(&list(CBOR_MAX_ITEMS)), Err(CborError::TooManyItems));
    let text = |len: usize| encode(&Value::Bytes(vec![0; len]));
    assert!(decode(&text(CBOR_MAX_BYTES - 5)).is_ok());
    assert_eq!(decode(&text(CBOR_MAX_BYTES - 4)), Err(CborError::TooLarge));
}

#[test]
fn a_prefix_ends_where_its_value_ends() {
    assert_eq!(decode_prefix(&hex("6161 6162")), Ok((Value::from("a"), 2)));
    assert_eq!(decode_prefix(&[]), Err(CborError::Truncated));
}

#[test]
fn a_fixed_shape_is_written_and_pulled_piece_by_piece() {
    let cid = Cid::of_cbor(b"");
    let inner = encode(&Value::from("raw"));
    let mut writer = Writer::with_capacity(100);
    assert!(writer.is_empty());
    writer.map(2).text("a").array(9).int(-500).bool(true).null().link(&cid).link_or_null(None).link_or_null(Some(&cid));
    writer.bytes(&[1, 2]).value(&Value::Int(7)).raw(&inner).text("b").map(0);
    let bytes = writer.into_bytes();
    assert!(decode(&bytes).is_ok());

    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.map(), Ok(2));
    assert_eq!(reader.key("a"), Ok(()));
    assert_eq!(reader.array(), Ok(9));
    assert_eq!(reader.int(), Ok(-500));
    assert_eq!(reader.bool(), Ok(true));
    assert_eq!(reader.link_or_null(), Ok(None));
    assert_eq!(reader.link(), Ok(cid));
    assert_eq!(reader.link_or_null(), Ok(None));
    assert_eq!(reader.link_or_null(), Ok(Some(cid)));
    assert_eq!(reader.bytes(), Ok(&[1, 2][..]));
    assert_eq!(reader.value(), Ok(Value::Int(7)));
    assert_eq!(reader.skip(), Ok(&inner[..]));
    assert_eq!(reader.clone().key("c"), Err(CborError::Unexpected { expected: "c" }));
    assert_eq!(reader.text(), Ok("b"));
    assert_eq!(reader.remaining(), 1);
    assert_eq!(reader.clone().end(), Err(CborError::TrailingBytes));
    assert_eq!(reader.clone().text(), Err(CborError::Unexpected { expected: "a text" }));
    assert_eq!(reader.value(), Ok(Value::Map(crate::ipld::Map::new())));
    assert_eq!(reader.end(), Ok(()));
}

/// The same value for the other implementation.
fn to_oracle(value: &Value) -> Ipld {
    match value {
        Value::Null => Ipld::Null,
        Value::Bool(b) => Ipld::Bool(*b),
        Value::Int(n) => Ipld::Integer(i128::from(*n)),
        Value::Text(text) => Ipld::String(text.clone()),
        Value::Bytes(bytes) => Ipld::Bytes(bytes.clone()),
        Value::List(items) => Ipld::List(items.iter().map(to_oracle).collect()),
        Value::Map(map) => Ipld::Map(map.iter().map(|(key, value)| (key.to_owned(), to_oracle(value))).collect()),
        Value::Link(cid) => Ipld::Link(ipld_core::cid::Cid::try_from(&cid.as_bytes()[..]).unwrap()),
    }
}

/// What the other implementation read, when the protocol's data model can hold it.
fn from_oracle(ipld: &Ipld) -> Option<Value> {
    Some(match ipld {
        Ipld::Null => Value::Null,
        Ipld::Bool(b) => Value::Bool(*b),
        Ipld::Integer(n) => Value::Int(i64::try_from(*n).ok()?),
        Ipld::Float(_) => return None,
        Ipld::String(text) => Value::Text(text.clone()),
        Ipld::Bytes(bytes) => Value::Bytes(bytes.clone()),
        Ipld::List(items) => Value::List(items.iter().map(from_oracle).collect::<Option<_>>()?),
        Ipld::Map(map) => {
            Value::Map(map.iter().map(|(key, value)| Some((key.as_str(), from_oracle(value)?))).collect::<Option<_>>()?)
        }
        Ipld::Link(cid) => Value::Link(Cid::from_bytes(&cid.to_bytes())?),
    })
}

fn agree_with_the_oracle(bytes: &[u8]) -> Result<(), TestCaseError> {
    fuzzing::cbor(bytes);
    let theirs = serde_ipld_dagcbor::from_slice::<Ipld>(bytes).ok();
    match decode(bytes) {
        Ok(value) => prop_assert_eq!(theirs, Some(to_oracle(&value))),
        // What they read beyond us is what the data model has no place for, or what they do not write like that.
        Err(error) => {
            let representable = theirs.as_ref().and_then(from_oracle);
            if let Some(value) = representable {
                prop_assert!(encode(&value) != bytes, "{:?} refused with {}", value, error);
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_value_encodes_as_another_implementation_does(value in any_value()) {
        let bytes = encode(&value);
        prop_assert_eq!(&bytes, &serde_ipld_dagcbor::to_vec(&to_oracle(&value)).unwrap());
        prop_assert_eq!(decode(&bytes), Ok(value));
        agree_with_the_oracle(&bytes)?;
    }

    #[test]
    fn a_changed_byte_is_read_as_another_implementation_does(value in any_value(), at in any::<prop::sample::Index>(), to: u8) {
        let mut bytes = encode(&value);
        let at = at.index(bytes.len());
        bytes[at] = to;
        agree_with_the_oracle(&bytes)?;
    }

    #[test]
    fn every_true_prefix_is_refused(value in any_value(), at in any::<prop::sample::Index>()) {
        let bytes = encode(&value);
        prop_assert_eq!(decode(&bytes[..at.index(bytes.len())]), Err(CborError::Truncated));
    }

    #[test]
    fn no_bytes_break_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        agree_with_the_oracle(&bytes)?;
    }
}

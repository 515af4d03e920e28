//! CIDs.
use proptest::prelude::*;

use super::any_cid;
use crate::ipld::{Cid, Codec};

const EMPTY_RAW: &str = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";

#[test]
fn the_cid_of_no_bytes_is_the_well_known_one() {
    let cid = Cid::of_raw(b"");
    assert_eq!(cid.to_string(), EMPTY_RAW);
    assert_eq!(EMPTY_RAW.parse(), Ok(cid));
    assert_eq!(cid.codec(), Codec::Raw);
    assert!(cid.matches(b""));
    assert!(!cid.matches(b"a"));
    assert_eq!(cid.as_bytes()[..4], [1, 0x55, 0x12, 0x20]);
    assert_eq!(cid.as_bytes()[4..], cid.digest()[..]);
    assert_eq!(Cid::new(Codec::Raw, *cid.digest()), cid);
    assert_eq!(Cid::of_cbor(b"").codec(), Codec::DagCbor);
    assert_eq!(format!("{cid:?}"), format!("Cid({EMPTY_RAW})"));
}

#[test]
fn only_the_strict_form_is_a_cid() {
    let good = EMPTY_RAW;
    let short = good.strip_suffix('u').unwrap();
    let too_many_bits = format!("{short}v");
    for bad in [
        "",
        "b",
        good.trim_start_matches('b'),
        short,
        &format!("{good}a"),
        &good.to_uppercase(),
        &good.replacen('b', "z", 1),
        &good.replace('k', "1"),
        &too_many_bits,
        "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR",
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
        "zdj7WWeQ43G6JJvLWQWZpyHuAMq6uYWRjkBXFad11vE2LHhQ7",
        "bäfkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyk",
    ] {
        assert!(bad.parse::<Cid>().is_err(), "{bad}");
    }
    for (at, wrong) in [(0, 0), (0, 2), (1, 0x70), (2, 0x13), (3, 0x21)] {
        let mut bytes = *Cid::of_raw(b"").as_bytes();
        bytes[at] = wrong;
        assert_eq!(Cid::from_bytes(&bytes), None, "{at} {wrong}");
    }
    assert_eq!(Cid::from_bytes(&[1, 0x55, 0x12, 0x20]), None);
    assert_eq!(Cid::from_bytes(&[&Cid::of_raw(b"").as_bytes()[..], &[0]].concat()), None);
}

#[test]
fn a_cid_is_text_in_json() {
    let cid = Cid::of_cbor(b"");
    let json = serde_json::to_string(&cid).unwrap();
    assert_eq!(json, format!("\"{cid}\""));
    assert_eq!(serde_json::from_str::<Cid>(&json).unwrap(), cid);
    let error = serde_json::from_str::<Cid>("\"nonsense\"").unwrap_err().to_string();
    assert!(error.starts_with("the CID is not valid: a CIDv1 in base32"), "{error}");
}

proptest! {
    #[test]
    fn every_cid_round_trips_and_another_implementation_prints_the_same(cid in any_cid()) {
        let text = cid.to_string();
        prop_assert_eq!(text.parse::<Cid>(), Ok(cid));
        prop_assert_eq!(Cid::from_bytes(cid.as_bytes()), Some(cid));
        prop_assert_eq!(ipld_core::cid::Cid::try_from(&cid.as_bytes()[..]).unwrap().to_string(), text);
    }

    #[test]
    fn whatever_parses_prints_as_it_was(text in "b(afkrei|afyrei)[a-z2-7]{52}") {
        if let Ok(cid) = text.parse::<Cid>() {
            prop_assert_eq!(cid.to_string(), text);
        }
    }
}

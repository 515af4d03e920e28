use data_encoding::{BASE64_NOPAD, HEXLOWER, HEXUPPER};

use super::*;
use crate::{entropy::SeededEntropy, interop};

const CURVES: [Curve; 2] = [Curve::K256, Curve::P256];

fn key(curve: Curve, seed: u64) -> SigningKey {
    SigningKey::generate(curve, &SeededEntropy::new(seed))
}

/// The order of the curve.
fn order(curve: Curve) -> [u8; 32] {
    let hex: &[u8] = match curve {
        Curve::K256 => b"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        Curve::P256 => b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    };
    HEXLOWER.decode(hex).unwrap().try_into().unwrap()
}

/// The signature with `s` replaced by the order less `s`.
fn with_other_s(curve: Curve, signature: Signature) -> [u8; 64] {
    let mut other = signature.0;
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i32::from(order(curve)[at]) - i32::from(signature.0[32 + at]) - borrow;
        borrow = i32::from(difference < 0);
        other[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    other
}

#[test]
fn every_interop_signature_is_judged_right() {
    let Some(fixtures) = interop::json("crypto/signature-fixtures.json") else { return };
    for fixture in fixtures.as_array().unwrap() {
        let text = |name: &str| fixture[name].as_str().unwrap();
        let bytes = |name: &str| BASE64_NOPAD.decode(text(name).as_bytes()).unwrap();
        let from_did: DidKey = text("publicKeyDid").parse().unwrap();
        let from_document = DidKey::from_verification_method(text("didDocSuite"), text("publicKeyMultibase")).unwrap();
        assert_eq!(from_did, from_document);
        assert_eq!(from_did.curve().jwt_alg(), text("algorithm"));
        let verified = from_did.verify(&bytes("messageBase64"), &bytes("signatureBase64")).is_ok();
        assert_eq!(verified, fixture["validSignature"].as_bool().unwrap(), "{}", text("comment"));
    }
}

#[test]
fn every_interop_private_key_has_its_did_key() {
    if let Some(fixtures) = interop::json("crypto/w3c_didkey_K256.json") {
        for fixture in fixtures.as_array().unwrap() {
            let key = SigningKey::from_hex(fixture["privateKeyBytesHex"].as_str().unwrap()).unwrap();
            assert_eq!(key.did_key().to_string(), fixture["publicDidKey"].as_str().unwrap());
        }
    }
    if let Some(fixtures) = interop::json("crypto/w3c_didkey_P256.json") {
        for fixture in fixtures.as_array().unwrap() {
            let bytes = bs58::decode(fixture["privateKeyBytesBase58"].as_str().unwrap()).into_vec().unwrap();
            let key = SigningKey::from_bytes(Curve::P256, &bytes).unwrap();
            assert_eq!(key.did_key().to_string(), fixture["publicDidKey"].as_str().unwrap());
        }
    }
}

#[test]
fn a_signature_verifies_with_its_key_and_message_alone() {
    for curve in CURVES {
        let signature = key(curve, 1).sign(b"message").0;
        assert_eq!(key(curve, 1).did_key().verify(b"message", &signature), Ok(()));
        assert_eq!(key(curve, 1).did_key().verify(b"massage", &signature), Err(KeyError::Signature));
        assert_eq!(key(curve, 2).did_key().verify(b"message", &signature), Err(KeyError::Signature));
    }
}

#[test]
fn signatures_are_deterministic_and_follow_rfc_6979() {
    // RFC 6979, A.2.5: P-256, SHA-256, "sample". The S there is high, so ours is the other one.
    let hex = b"C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
    let key = SigningKey::from_bytes(Curve::P256, &HEXUPPER.decode(hex).unwrap()).unwrap();
    let r = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716";
    let s = "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8";
    let signature = key.sign(b"sample");
    assert_eq!(HEXUPPER.encode(&signature.0[..32]), r);
    assert_eq!(HEXUPPER.encode(&with_other_s(Curve::P256, signature)[32..]), s);
    assert_eq!(key.sign(b"sample"), signature);
}

#[test]
fn every_signature_made_here_is_low_s() {
    for curve in CURVES {
        let key = key(curve, 3);
        for n in 0..32_u8 {
            let signature = key.sign(&[n]);
            assert!(signature.0[32..] < with_other_s(curve, signature)[32..]);
        }
    }
}

#[test]
fn a_high_s_signature_is_refused_except_where_a_jwt_allows_it() {
    for curve in CURVES {
        let key = key(curve, 1);
        let high = with_other_s(curve, key.sign(b"message"));
        assert_eq!(key.did_key().verify(b"message", &high), Err(KeyError::Signature));
        assert_eq!(key.did_key().verify_allowing_high_s(b"message", &high), Ok(()));
        assert_eq!(key.did_key().verify_allowing_high_s(b"other", &high), Err(KeyError::Signature));
    }
}

#[test]
fn a_signature_of_another_length_or_of_zeros_is_refused() {
    for curve in CURVES {
        let (key, mut longer) = (key(curve, 1), [0; 65]);
        longer[..64].copy_from_slice(&key.sign(b"message").0);
        for bad in [&longer[..], &longer[..63], &[], &[0; 64]] {
            assert_eq!(key.did_key().verify(b"message", bad), Err(KeyError::Signature));
        }
    }
}

#[test]
fn a_did_key_prints_as_it_was_read() {
    for curve in CURVES {
        let did_key = key(curve, 1).did_key();
        assert_eq!(did_key.to_string().parse(), Ok(did_key.clone()));
        assert_eq!(DidKey::from_verification_method("Multikey", &did_key.multibase()), Ok(did_key));
    }
}

#[test]
fn a_legacy_verification_method_may_hold_an_uncompressed_point() {
    let private = key(Curve::K256, 1);
    let Private::K256(inner) = &private.0 else { panic!("a K-256 key was made") };
    let point = inner.verifying_key().to_sec1_point(false).to_bytes();
    assert_eq!(point.len(), 65);
    let multibase = format!("z{}", bs58::encode(point).into_string());
    let parsed = DidKey::from_verification_method("EcdsaSecp256k1VerificationKey2019", &multibase);
    assert_eq!(parsed, Ok(private.did_key()));
    assert_eq!(DidKey::from_verification_method("EcdsaSecp256r1VerificationKey2019", &multibase), Err(KeyError::Point));
    assert_eq!(DidKey::from_verification_method("Ed25519VerificationKey2020", &multibase), Err(KeyError::Unsupported));
}

#[test]
fn texts_that_are_no_did_key_are_refused() {
    let good = key(Curve::K256, 1).did_key().to_string();
    let ed25519 = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    assert_eq!(ed25519.parse::<DidKey>(), Err(KeyError::Unsupported));
    for bad in [
        "",
        "did:key:",
        "did:key:z",
        "did:key:f00",
        "z6Mk",
        "did:plc:z",
        good.trim_start_matches('d'),
        &good.replace('z', "Z"),
    ] {
        assert!(bad.parse::<DidKey>().is_err(), "{bad}");
    }
    assert!(format!("{good}1").parse::<DidKey>().is_err());
    assert!(format!("did:key:z1{}", good.trim_start_matches("did:key:z")).parse::<DidKey>().is_err());
    assert_eq!(format!("did:key:z{}", "1".repeat(100_000)).parse::<DidKey>(), Err(KeyError::Encoding));
}

#[test]
fn the_syntax_of_a_did_key_does_not_ask_for_the_kind() {
    let of = |bytes: &[u8]| format!("did:key:z{}", bs58::encode(bytes).into_string());
    assert!(is_did_key_syntax("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"));
    assert!(is_did_key_syntax(&key(Curve::P256, 1).did_key().to_string()));
    assert!(is_did_key_syntax(&of(&[0xeb, 0x01, 7])));
    assert!(!is_did_key_syntax(&of(&[0xeb, 0x01])), "nothing after the multicodec");
    assert!(!is_did_key_syntax(&of(&[0xeb, 0x80, 0x00, 7])), "a multicodec that is not minimal");
    assert!(!is_did_key_syntax(&of(&[0xff; 12])), "a multicodec without an end");
    assert!(!is_did_key_syntax(&of(&[0x01; 200])), "too long");
    for bad in ["", "did:key:", "did:key:z", "did:key:z0OIl", "did:key:6Mkha", "did:web:z6Mkha"] {
        assert!(!is_did_key_syntax(bad), "{bad}");
    }
}

#[test]
fn private_keys_round_trip_and_bad_ones_are_refused() {
    for curve in CURVES {
        let first = key(curve, 1);
        let again = SigningKey::from_bytes(curve, first.to_bytes().as_slice()).unwrap();
        assert_eq!(again.did_key(), first.did_key());
        for bad in [&[0_u8; 32][..], &[0xff; 32], &order(curve), &[1; 31], &[1; 33], &[]] {
            assert_eq!(SigningKey::from_bytes(curve, bad).err(), Some(KeyError::Private));
        }
    }
    for bad in ["", "00", &"g".repeat(64), &"0".repeat(64), &"1".repeat(66)] {
        assert_eq!(SigningKey::from_hex(bad).err(), Some(KeyError::Private));
    }
}

#[test]
fn keys_of_one_seed_are_the_same_and_of_another_are_not() {
    for curve in CURVES {
        assert_eq!(key(curve, 1).did_key(), key(curve, 1).did_key());
        assert_ne!(key(curve, 1).did_key(), key(curve, 2).did_key());
    }
    assert_ne!(key(Curve::K256, 1).did_key(), key(Curve::P256, 1).did_key());
}

#[test]
fn a_source_of_zeros_still_gives_a_key() {
    struct Zeros;
    impl Entropy for Zeros {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0);
        }
    }
    let _key = SigningKey::generate(Curve::K256, &Zeros);
}

#[test]
fn the_fuzzing_body_accepts_good_and_bad_input() {
    for text in
        ["", "did:key:z", &key(Curve::K256, 1).did_key().to_string(), &key(Curve::P256, 1).did_key().multibase()]
    {
        crate::crypto::fuzzing::did_key(text.as_bytes());
    }
    crate::crypto::fuzzing::did_key(&[0xff, 0xfe]);
}

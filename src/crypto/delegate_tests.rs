use data_encoding::HEXLOWER;

use super::*;
use crate::entropy::SeededEntropy;

/// Private key, public key, message and signature of RFC 8032, section 7.1.
const RFC_8032: [[&str; 4]; 2] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
];

/// The order of Ed25519's base point, little-endian.
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

fn key(key_type: KeyType, seed: u64) -> DelegateSigningKey {
    DelegateSigningKey::generate(key_type, &SeededEntropy::new(seed))
}

fn ed25519_text(raw: &[u8]) -> String {
    format!("did:key:z{}", bs58::encode([ED25519_MULTICODEC.as_slice(), raw].concat()).into_string())
}

#[test]
fn ed25519_signs_and_verifies_as_the_rfc_says() {
    for [private, public, message, signature] in RFC_8032 {
        let key = DelegateSigningKey::from_bytes(KeyType::Ed25519, &bytes(private)).unwrap();
        assert_eq!(key.public().ed25519_bytes().unwrap().as_slice(), bytes(public));
        assert_eq!(key.sign(&bytes(message)).as_slice(), bytes(signature));
        assert_eq!(key.public().verify(&bytes(message), &bytes(signature)), Ok(()));
        assert_eq!(key.public().verify(b"other", &bytes(signature)), Err(DelegateKeyError::Signature));
    }
}

#[test]
fn every_type_signs_verifies_and_prints_as_it_was_read() {
    for key_type in KeyType::ALL {
        let (key, other) = (key(key_type, 1), key(key_type, 2));
        let signature = key.sign(b"message");
        assert_eq!(key.public().verify(b"message", &signature), Ok(()), "{}", key_type.name());
        assert_eq!(key.public().verify(b"another", &signature), Err(DelegateKeyError::Signature));
        assert_eq!(other.public().verify(b"message", &signature), Err(DelegateKeyError::Signature));
        assert_eq!(key.public().verify(b"message", &signature[..63]), Err(DelegateKeyError::Signature));
        let text = key.public().to_string();
        let read: DelegateKey = text.parse().unwrap();
        assert_eq!(read, key.public());
        assert_eq!(read.to_string(), text);
        assert_eq!(read.key_type(), key_type);
        assert_ne!(read, other.public());
        let again = DelegateSigningKey::from_bytes(key_type, key.to_bytes().as_slice()).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(again.key_type(), key_type);
    }
}

#[test]
fn an_ed25519_key_has_the_did_key_that_others_give_it() {
    let text = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    let key: DelegateKey = text.parse().unwrap();
    assert_eq!(key.key_type(), KeyType::Ed25519);
    assert_eq!(key.to_string(), text);
}

#[test]
fn an_s_beyond_the_order_is_refused() {
    let [private, _, message, signature] = RFC_8032[1];
    let key = DelegateSigningKey::from_bytes(KeyType::Ed25519, &bytes(private)).unwrap();
    let mut malleated = bytes(signature);
    let mut carry = 0;
    for (byte, order) in malleated[32..].iter_mut().zip(bytes(L)) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(key.public().verify(&bytes(message), &malleated), Err(DelegateKeyError::Signature));
}

#[test]
fn a_small_order_r_is_refused_although_the_equation_holds() {
    // R is the identity and S the key's scalar times the hash: right by the equation of RFC 8032.
    let signature = bytes(
        "010000000000000000000000000000000000000000000000000000000000000051face3630a0be70010b02d9e4cce9276c33cb6f0e2c2b25df53e396512aec05",
    );
    let raw: [u8; 32] = bytes(RFC_8032[0][1]).try_into().unwrap();
    let lenient = ed25519_dalek::VerifyingKey::from_bytes(&raw).unwrap();
    let given = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    assert!(
        ed25519_dalek::Verifier::verify(&lenient, b"forged", &given).is_ok(),
        "the vector is not what it should be"
    );
    let key: DelegateKey = ed25519_text(&raw).parse().unwrap();
    assert_eq!(key.verify(b"forged", &signature), Err(DelegateKeyError::Signature));
}

#[test]
fn keys_of_small_order_are_refused() {
    for low in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "0100000000000000000000000000000000000000000000000000000000000080",
    ] {
        assert_eq!(ed25519_text(&bytes(low)).parse::<DelegateKey>(), Err(DelegateKeyError::Point), "{low}");
    }
}

#[test]
fn keys_whose_coordinate_is_not_reduced_are_refused() {
    let mut on_the_curve = 0;
    for beyond in 0..19u8 {
        for sign in [0x7f, 0xff] {
            let mut raw = [0xff; 32];
            raw[0] = 0xed + beyond;
            raw[31] = sign;
            on_the_curve += u8::from(ed25519_dalek::VerifyingKey::from_bytes(&raw).is_ok());
            assert_eq!(ed25519_text(&raw).parse::<DelegateKey>(), Err(DelegateKeyError::Point), "{beyond}");
        }
    }
    assert!(on_the_curve > 4, "none of these is a point that a lenient reader would take");
}

#[test]
fn a_high_s_is_refused_on_p256() {
    // Its crate makes both kinds; one of these messages has a high S before it is normalised.
    let key = SigningKey::generate(Curve::P256, &SeededEntropy::new(3));
    let raw = p256::ecdsa::SigningKey::from_slice(key.to_bytes().as_slice()).unwrap();
    let public = DelegateKey::from(key.did_key());
    let mut high = 0;
    for n in 0..16u8 {
        let signature: p256::ecdsa::Signature = p256::ecdsa::signature::Signer::sign(&raw, &[n]);
        let low = signature.normalize_s() == signature;
        high += u8::from(!low);
        assert_eq!(public.verify(&[n], &signature.to_bytes()).is_ok(), low);
        assert_eq!(public.verify(&[n], &signature.normalize_s().to_bytes()), Ok(()));
    }
    assert!(high > 0);
}

#[test]
fn what_is_no_delegate_key_is_refused_by_kind() {
    let p256 = key(KeyType::P256, 1).public().to_string();
    let uncompressed = {
        let raw = p256::ecdsa::SigningKey::from_slice(key(KeyType::P256, 1).to_bytes().as_slice()).unwrap();
        let point = raw.verifying_key().to_sec1_point(false);
        format!("did:key:z{}", bs58::encode([&[0x80, 0x24], point.as_bytes()].concat()).into_string())
    };
    for (text, cause) in [
        ("", DelegateKeyError::Encoding),
        ("did:web:example.com", DelegateKeyError::Encoding),
        ("did:key:z0OIl", DelegateKeyError::Encoding),
        (p256.strip_prefix("did:key:").unwrap(), DelegateKeyError::Encoding),
        (&p256.to_uppercase(), DelegateKeyError::Encoding),
        (&format!("{p256} "), DelegateKeyError::Encoding),
        (&ed25519_text(&[1; 31]), DelegateKeyError::Point),
        (&uncompressed, DelegateKeyError::Point),
        // X25519, which does not sign.
        ("did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc", DelegateKeyError::Unsupported),
    ] {
        assert_eq!(text.parse::<DelegateKey>(), Err(cause), "{text}");
    }
}

#[test]
fn a_private_key_of_another_length_or_beyond_the_order_is_refused() {
    for key_type in KeyType::ALL {
        assert!(DelegateSigningKey::from_bytes(key_type, &[1; 31]).is_err());
        assert!(DelegateSigningKey::from_bytes(key_type, &[1; 33]).is_err());
        assert_eq!(DelegateSigningKey::from_bytes(key_type, &[0xff; 32]).is_ok(), key_type == KeyType::Ed25519);
    }
}

#[test]
fn keys_order_and_hash_as_their_bytes_do() {
    let mut keys: Vec<DelegateKey> = (0..4).flat_map(|n| KeyType::ALL.map(|kind| key(kind, n).public())).collect();
    keys.sort();
    assert!(keys.windows(2).all(|pair| pair[0].to_multicodec_bytes() < pair[1].to_multicodec_bytes()));
    let set: std::collections::HashSet<DelegateKey> = keys.iter().chain(&keys).cloned().collect();
    assert_eq!(set.len(), keys.len());
}

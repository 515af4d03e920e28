//! Keys, signatures, tokens, passwords and sealed secrets. Pure: randomness and time are arguments.

mod delegate;
pub mod jwt;
mod key;
pub mod passphrase;
pub mod password;
pub mod scrypt_hash;
pub mod seal;
mod secret;
pub mod token;

pub use delegate::{DelegateKey, DelegateKeyError, DelegateSigningKey, KeyType};
pub use key::{Curve, DidKey, KeyError, Signature, SigningKey, is_did_key_syntax};
pub use secret::Secret;

/// Bodies of the fuzz targets: each must neither panic nor accept what it would not write back.
#[doc(hidden)]
pub mod fuzzing {
    use super::{DelegateKey, DidKey, is_did_key_syntax, jwt::UnverifiedServiceToken};

    /// A did:key that parses prints as it was read.
    ///
    /// # Panics
    /// When that is not so.
    pub fn did_key(data: &[u8]) {
        let Ok(text) = std::str::from_utf8(data) else { return };
        if let Ok(key) = text.parse::<DidKey>() {
            assert_eq!(key.to_string(), text, "a did:key does not print as it was read");
            assert!(is_did_key_syntax(text), "a good did:key does not have the syntax of one");
        }
        if let Ok(key) = text.parse::<DelegateKey>() {
            assert_eq!(key.to_string(), text, "a delegate key does not print as it was read");
            assert!(is_did_key_syntax(text), "a good delegate key does not have the syntax of a did:key");
        }
        for kind in ["Multikey", "EcdsaSecp256k1VerificationKey2019", "EcdsaSecp256r1VerificationKey2019"] {
            if let Ok(key) = DidKey::from_verification_method(kind, text) {
                assert_eq!(key.to_string().parse(), Ok(key), "a verification method's key does not round-trip");
            }
        }
    }

    /// Parsing a service token never panics.
    pub fn service_token(data: &[u8]) {
        if let Ok(text) = std::str::from_utf8(data) {
            drop(UnverifiedServiceToken::parse(text));
        }
    }
}

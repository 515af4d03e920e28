//! Secrets at rest: XChaCha20-Poly1305 under subkeys of one master key.
//!
//! A sealed secret is a 24-byte random nonce and then the ciphertext with its tag. The subkey comes from HKDF-SHA256 with
//! the purpose in it, and the purpose is also bound as associated data: what was sealed for one account opens for no other.

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::entropy::{Entropy, random_bytes};

const NONCE_BYTES: usize = 24;

/// The 32-byte key that everything sealed hangs on.
#[derive(Clone, zeroize::ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

/// A sealed secret could not be opened: another master key, another purpose, or damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret could not be opened: the master key is not the one it was sealed with")]
pub struct CannotOpen;

impl MasterKey {
    /// A new random key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(random_bytes(entropy))
    }

    /// From 64 hex digits.
    pub fn from_hex(hex: &str) -> Option<Self> {
        if hex.len() != 64 {
            return None;
        }
        let bytes = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?);
        bytes.as_slice().try_into().ok().map(Self)
    }

    /// As 64 hex digits, for `master.key`.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER.encode(&self.0))
    }

    /// Seals `plain` for `purpose` (bound in: `repo-key:<did>`, …); nonce in front.
    #[expect(clippy::expect_used, reason = "the cipher fails only beyond 256 GiB of plaintext")]
    pub fn seal(&self, purpose: &str, plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = random_bytes(entropy);
        let payload = Payload { msg: plain, aad: purpose.as_bytes() };
        let ciphertext = self.cipher(purpose).encrypt(&nonce.into(), payload).expect("a secret is short");
        [nonce.as_slice(), &ciphertext].concat()
    }

    /// Opens what was sealed for the same purpose.
    ///
    /// # Errors
    /// [`CannotOpen`] when the key or the purpose is another one, or the bytes were changed.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(CannotOpen)?;
        let payload = Payload { msg: ciphertext, aad: purpose.as_bytes() };
        self.cipher(purpose).decrypt(&(*nonce).into(), payload).map(Zeroizing::new).map_err(|_| CannotOpen)
    }

    /// A value that tells whether a later key is this one, without revealing it.
    pub fn check_value(&self) -> [u8; 16] {
        *self.derive("check", "")
    }

    fn cipher(&self, purpose: &str) -> XChaCha20Poly1305 {
        let subkey = self.derive::<32>("seal", purpose);
        XChaCha20Poly1305::new(&(*subkey).into())
    }

    #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes; here it gives 16 or 32")]
    fn derive<const N: usize>(&self, use_of_it: &str, purpose: &str) -> Zeroizing<[u8; N]> {
        let mut key = Zeroizing::new([0; N]);
        let label = ["housekey/1/", use_of_it, "/", purpose].concat();
        Hkdf::<Sha256>::new(None, &self.0).expand(label.as_bytes(), key.as_mut_slice()).expect("the length is valid");
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn key(seed: u64) -> MasterKey {
        MasterKey::generate(&SeededEntropy::new(seed))
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_key_and_purpose() {
        let sealed = key(1).seal("repo-key:did:plc:a", b"secret", &SeededEntropy::new(9));
        assert_eq!(key(1).open("repo-key:did:plc:a", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(sealed.len(), 24 + 6 + 16);
    }

    #[test]
    fn another_key_or_purpose_does_not_open_it() {
        let sealed = key(1).seal("repo-key:did:plc:a", b"secret", &SeededEntropy::new(9));
        assert_eq!(key(2).open("repo-key:did:plc:a", &sealed), Err(CannotOpen));
        assert_eq!(key(1).open("repo-key:did:plc:b", &sealed), Err(CannotOpen));
    }

    #[test]
    fn a_change_of_any_byte_is_noticed() {
        let sealed = key(1).seal("p", b"secret", &SeededEntropy::new(9));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key(1).open("p", &changed), Err(CannotOpen), "byte {at}");
            assert_eq!(key(1).open("p", &sealed[..at]), Err(CannotOpen), "first {at} bytes");
        }
    }

    #[test]
    fn sealing_twice_gives_different_bytes() {
        let entropy = SeededEntropy::new(9);
        assert_ne!(key(1).seal("p", b"secret", &entropy), key(1).seal("p", b"secret", &entropy));
    }

    #[test]
    fn the_check_value_belongs_to_the_key_and_is_no_part_of_it() {
        assert_eq!(key(1).check_value(), key(1).check_value());
        assert_ne!(key(1).check_value(), key(2).check_value());
        assert!(!key(1).0.windows(16).any(|part| part == key(1).check_value()));
    }

    #[test]
    fn hex_round_trips_and_anything_else_is_refused() {
        let hex = key(1).to_hex();
        assert_eq!(MasterKey::from_hex(&hex).unwrap().0, key(1).0);
        assert_eq!(MasterKey::from_hex(&hex.to_ascii_uppercase()).unwrap().0, key(1).0);
        for bad in [String::new(), format!("{}0", *hex), "0".repeat(63), format!("{}g", "0".repeat(63))] {
            assert!(MasterKey::from_hex(&bad).is_none(), "{bad}");
        }
    }
}

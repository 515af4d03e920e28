//! Safety numbers: what two people compare to know that each sees the other's key; fingerprints of single keys.

use sha2::{Digest, Sha256, Sha512};

use super::DelegationId;
use crate::{crypto::DelegateKey, limits::delegation::SAFETY_NUMBER_ROUNDS, syntax::Did};

/// One side of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The account.
    pub did: &'a Did,
    /// The delegation id.
    pub id: &'a DelegationId,
    /// Its key.
    pub key: &'a DelegateKey,
}

/// The 60 digits that both sides see, whichever asks.
pub fn safety_number(one: Side<'_>, other: Side<'_>) -> String {
    let mut halves = [half(one), half(other)];
    halves.sort();
    halves.concat()
}

/// The 30 digits of one side.
pub fn half(side: Side<'_>) -> String {
    let key = side.key.to_multicodec_bytes();
    let id = side.id.as_str().as_bytes();
    let mut hash = [&[0, 0], key.as_slice(), side.did.as_str().as_bytes(), &[0], id].concat();
    for _ in 0..SAFETY_NUMBER_ROUNDS {
        hash = Sha512::new().chain_update(&hash).chain_update(&key).finalize().to_vec();
    }
    let number = |chunk: &[u8]| chunk.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
    let groups = hash.chunks_exact(5).take(6).map(|chunk| format!("{:05}", number(chunk) % 100_000));
    groups.collect::<Vec<_>>().concat()
}

/// A safety number or a half of one, in groups of five digits.
pub fn in_groups(digits: &str) -> String {
    let characters: Vec<char> = digits.chars().collect();
    characters.chunks(5).map(String::from_iter).collect::<Vec<_>>().join(" ")
}

/// A short name for a key, to be read out: the first 16 bytes of the SHA-256 of its multicodec form, in hex.
pub fn fingerprint(key: &DelegateKey) -> String {
    let hash = Sha256::digest(key.to_multicodec_bytes());
    let pairs: Vec<String> = hash.chunks(2).take(8).map(|pair| data_encoding::HEXLOWER.encode(pair)).collect();
    pairs.join(" ")
}

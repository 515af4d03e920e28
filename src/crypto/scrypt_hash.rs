//! Password hashes of the reference PDS, `salt:hash` in hex: scrypt with N = 2^14, r = 8, p = 1. The salt's hex text is
//! the salt, not the bytes that it stands for.

use data_encoding::HEXLOWER;
use scrypt::{Params, scrypt};
use sha2::{Digest, Sha256};

use super::token::constant_time_eq;
use crate::limits::accounts::{FOREIGN_SALT_MAX_CHARS, PASSWORD_MAX_BYTES};

/// Binary logarithm of N.
const LOG_N: u8 = 14;
const R: u32 = 8;
const P: u32 = 1;
/// Bytes of the hash.
const HASH_BYTES: usize = 64;

/// Whether a stored hash is of this kind.
pub fn is_foreign(hash: &str) -> bool {
    split(hash).is_some()
}

/// Whether the password is the one behind this hash; false for a hash of another form.
pub fn verify(password: &str, hash: &str) -> bool {
    let Some((salt, expected)) = split(hash) else { return false };
    hash_with(password, salt).is_some_and(|found| constant_time_eq(found.as_bytes(), expected.as_bytes()))
}

/// The hash of an app password, whose salt the reference takes from the account's DID.
pub fn app_password_hash(did: &str, password: &str) -> Option<String> {
    let digest = Sha256::digest(did.as_bytes());
    let salt = HEXLOWER.encode(digest.get(..16)?);
    hash_with(password, &salt).map(|hash| format!("{salt}:{hash}"))
}

fn split(hash: &str) -> Option<(&str, &str)> {
    let (salt, rest) = hash.split_once(':')?;
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    ((1..=FOREIGN_SALT_MAX_CHARS).contains(&salt.len()) && is_hex(salt) && rest.len() == 2 * HASH_BYTES && is_hex(rest))
        .then_some((salt, rest))
}

fn hash_with(password: &str, salt: &str) -> Option<String> {
    if password.len() > PASSWORD_MAX_BYTES {
        return None;
    }
    let params = Params::new(LOG_N, R, P).ok()?;
    let mut out = [0; HASH_BYTES];
    scrypt(password.as_bytes(), salt.as_bytes(), &params, &mut out).ok()?;
    Some(HEXLOWER.encode(&out))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by Node's crypto.scrypt(password, salt, 64), which the reference calls.
    const PLAIN: &str = "00112233445566778899aabbccddeeff:3e19ebeabf15ad17c24de695284e79441c0d80c6d98b95a3c052c58a0d57b09f83b0742a5805af28a0b5bbcf673af62819b91eb830a104fb0bb42def767f52aa";
    const UNICODE: &str = "00112233445566778899aabbccddeeff:e0c009d7b2db7e65f658ac5958ed2cbf0d5bd272c9c652c905a4b63c7f55bff615dcde13e24cc3659db52fe433aa7d0a8402487b4add4fcfde6b48487c46f97e";
    const APP: &str = "099e4ea96cd62c05a232331859d20c97:b530a60786e6c3332c638b4812c77d08df88be1e50a9b907e8f12ac8a8850b9896f3d85f5c5f2016e70dc641b1c4853fc29a8a0ae0c0ac3e3de26635035ecb9b";

    #[test]
    fn hashes_made_by_the_reference_are_accepted_and_other_passwords_are_not() {
        assert!(verify("correct horse", PLAIN));
        assert!(!verify("correct horsf", PLAIN));
        assert!(verify("pässwörd 🔑", UNICODE));
        let hash = app_password_hash("did:plc:ewvi7nxzyoun6zhxrhs64oiz", "abcd-efgh-2345-wxyz");
        assert_eq!(hash.as_deref(), Some(APP));
    }

    #[test]
    fn a_hash_of_another_form_matches_nothing_and_costs_nothing() {
        let long = format!("{}:{}", "0".repeat(FOREIGN_SALT_MAX_CHARS + 1), "0".repeat(128));
        for bad in ["", ":", "x", "$argon2id$v=19$m=8,t=1,p=1$x$y", "00:00", "zz:zz", PLAIN.get(..100).unwrap(), &long]
        {
            assert!(!is_foreign(bad) && !verify("", bad), "{bad}");
        }
        assert!(!verify(&"x".repeat(PASSWORD_MAX_BYTES + 1), PLAIN));
    }
}

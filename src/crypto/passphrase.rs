//! A key from a passphrase, for files that their owner locks: Argon2id (RFC 9106).

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::seal::MasterKey;

/// How much work it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// KiB of memory.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

/// The key that seals and opens; `None` when Argon2 does not permit that work, or there is not as much memory.
pub fn derive(passphrase: &str, salt: &[u8; 16], work: Work) -> Option<MasterKey> {
    let params = Params::new(work.memory_kib, work.passes, 1, Some(32)).ok()?;
    let mut bytes = Zeroizing::new([0; 32]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(passphrase.as_bytes(), salt, bytes.as_mut_slice()).ok()?;
    MasterKey::from_hex(&Zeroizing::new(HEXLOWER.encode(bytes.as_slice())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;

    const LITTLE: Work = Work { memory_kib: 8, passes: 1 };

    #[test]
    fn the_same_passphrase_and_salt_open_what_they_sealed_and_others_do_not() {
        let sealed = derive("open sesame", &[1; 16], LITTLE).unwrap().seal("a", b"secret", &OsEntropy);
        let open = |passphrase, salt| derive(passphrase, &salt, LITTLE).unwrap().open("a", &sealed);
        assert_eq!(open("open sesame", [1; 16]).unwrap().as_slice(), b"secret");
        assert!(open("open sesam", [1; 16]).is_err());
        assert!(open("open sesame", [2; 16]).is_err());
    }

    #[test]
    fn work_that_argon2_does_not_know_gives_no_key() {
        assert!(derive("a", &[1; 16], Work { memory_kib: 0, passes: 1 }).is_none());
        assert!(derive("a", &[1; 16], Work { memory_kib: 8, passes: 0 }).is_none());
    }
}

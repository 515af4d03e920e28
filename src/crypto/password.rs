//! Argon2id password hashes as PHC strings: the parameters travel in the hash.

use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use data_encoding::BASE64_NOPAD;
use subtle::ConstantTimeEq;

use super::scrypt_hash;
use crate::{
    entropy::{Entropy, random_bytes},
    limits::accounts,
};

/// How much work a new hash takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// 19 MiB, two passes, one lane (OWASP).
    Standard,
    /// The least that Argon2 permits, for printed development passwords.
    Minimum,
}

/// Hashes a password of at most [`accounts::PASSWORD_MAX_BYTES`]; of a longer one, which callers refuse before, the
/// result matches nothing.
pub fn hash(password: &str, cost: Cost, entropy: &dyn Entropy) -> String {
    let salt: [u8; 16] = random_bytes(entropy);
    if password.len() > accounts::PASSWORD_MAX_BYTES {
        return decoy(cost).to_owned();
    }
    // Parameters and lengths are constants that Argon2 accepts, so nothing here fails; were that ever wrong, an account
    // that nobody can open is the safe outcome, and the tests below would tell.
    try_hash(password, cost, &salt).unwrap_or_else(|| decoy(cost).to_owned())
}

/// Whether the password is the one behind this hash, ours or the reference's; false for a malformed hash, or one whose
/// work exceeds the bounds.
pub fn verify(password: &str, hash: &str) -> bool {
    if scrypt_hash::is_foreign(hash) {
        return scrypt_hash::verify(password, hash);
    }
    let Ok(parsed) = PasswordHash::new(hash) else { return false };
    password.len() <= accounts::PASSWORD_MAX_BYTES && is_bounded(&parsed) && is_right(password, &parsed)
}

/// A hash that no known password has, verified against for unknown users so that both cases take equal time.
pub const fn decoy(cost: Cost) -> &'static str {
    // Salt and output are zero bytes: nobody can find a password whose hash they are.
    match cost {
        Cost::Standard => {
            "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        }
        Cost::Minimum => {
            "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        }
    }
}

fn try_hash(password: &str, cost: Cost, salt: &[u8; 16]) -> Option<String> {
    let (memory, passes) = match cost {
        Cost::Standard => (accounts::PASSWORD_HASH_MEMORY_KIB, accounts::PASSWORD_HASH_PASSES),
        Cost::Minimum => (Params::MIN_M_COST, Params::MIN_T_COST),
    };
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let params = Params::new(memory, passes, Params::MIN_P_COST, Some(output.len())).ok()?;
    fill(&Argon2::new(Algorithm::Argon2id, Version::V0x13, params), password, salt, &mut output)?;
    let (salt, output) = (BASE64_NOPAD.encode(salt), BASE64_NOPAD.encode(&output));
    Some(format!("$argon2id$v=19$m={memory},t={passes},p={}${salt}${output}", Params::MIN_P_COST))
}

/// Whether the password makes the output that the hash has, by the algorithm and work that it names.
fn is_right(password: &str, hash: &PasswordHash) -> bool {
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return false };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str());
    let version = hash.version.map_or_else(|| Ok(Version::default()), Version::try_from);
    let (Ok(algorithm), Ok(version), Ok(params)) = (algorithm, version, Params::try_from(hash)) else { return false };
    let mut output = vec![0; expected.len()];
    fill(&Argon2::new(algorithm, version, params), password, salt, &mut output).is_some()
        && output.ct_eq(expected.as_bytes()).into()
}

/// Computes the output of a hash.
///
/// The memory is taken in one piece so large that the system's allocator maps it by itself and gives it back at once. Of
/// smaller pieces it keeps one for each thread that ever hashed: hundreds of MiB. Only what is used is ever touched.
fn fill(argon2: &Argon2<'_>, password: &str, salt: &[u8], output: &mut [u8]) -> Option<()> {
    let blocks = argon2.params().block_count();
    let mut memory = Vec::with_capacity(blocks.max(accounts::PASSWORD_HASH_BUFFER_BYTES / Block::SIZE));
    memory.resize(blocks, Block::new());
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, &mut memory).ok()
}

fn is_bounded(hash: &PasswordHash) -> bool {
    Params::try_from(hash).is_ok_and(|params| {
        params.m_cost() <= accounts::PASSWORD_HASH_MAX_MEMORY_KIB
            && params.t_cost() <= accounts::PASSWORD_HASH_MAX_PASSES
            && params.p_cost() <= accounts::PASSWORD_HASH_MAX_PASSES
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn the_password_behind_a_hash_is_accepted_and_another_is_not() {
        for cost in [Cost::Standard, Cost::Minimum] {
            let stored = hash("correct horse", cost, &SeededEntropy::new(1));
            assert!(verify("correct horse", &stored));
            assert!(!verify("correct horsf", &stored));
            assert!(!verify("", &stored));
        }
    }

    #[test]
    fn a_hash_tells_its_parameters() {
        let entropy = SeededEntropy::new(1);
        assert!(hash("x", Cost::Standard, &entropy).starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(hash("x", Cost::Minimum, &entropy).starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
    }

    #[test]
    fn the_same_password_has_another_hash_each_time() {
        let entropy = SeededEntropy::new(1);
        assert_ne!(hash("x", Cost::Minimum, &entropy), hash("x", Cost::Minimum, &entropy));
    }

    #[test]
    fn a_hash_made_elsewhere_is_accepted() {
        let foreign = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(verify("password", foreign));
        assert!(!verify("Password", foreign));
    }

    #[test]
    fn the_decoy_costs_what_a_real_hash_costs_and_matches_nothing() {
        for cost in [Cost::Standard, Cost::Minimum] {
            let real = hash("x", cost, &SeededEntropy::new(1));
            let (real, decoy_hash) = (PasswordHash::new(&real).unwrap(), PasswordHash::new(decoy(cost)).unwrap());
            assert_eq!(real.params, decoy_hash.params);
            assert_eq!(real.version, decoy_hash.version);
            assert_eq!(real.hash.unwrap().len(), decoy_hash.hash.unwrap().len());
            assert!(is_bounded(&decoy_hash));
            assert!(!verify("", decoy(cost)));
        }
    }

    #[test]
    fn a_malformed_hash_matches_nothing() {
        for bad in
            ["", "x", "$argon2id$", "$scrypt$ln=1$AAAA$AAAA", "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA"]
        {
            assert!(!verify("", bad), "{bad}");
        }
    }

    #[test]
    fn a_hash_that_asks_for_too_much_work_is_refused() {
        let (salt, output) = ("AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        for params in ["m=4294967295,t=1,p=1", "m=8,t=4294967295,p=1", "m=262144,t=1,p=17"] {
            let greedy = format!("$argon2id$v=19${params}${salt}${output}");
            assert!(!is_bounded(&PasswordHash::new(&greedy).unwrap()), "{params}");
        }
    }

    #[test]
    fn a_password_over_the_bound_matches_nothing() {
        let long = "x".repeat(accounts::PASSWORD_MAX_BYTES + 1);
        assert!(!verify(&long, &hash(&long, Cost::Minimum, &SeededEntropy::new(1))));
    }
}

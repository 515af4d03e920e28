//! Random codes that people copy or type, and comparison of secrets in constant time.

use data_encoding::BASE32_NOPAD;
use subtle::ConstantTimeEq;

use super::Secret;
use crate::{
    entropy::{Entropy, random_bytes},
    limits::accounts,
};

/// A code for a mail, five and five characters of upper-case base32 with a hyphen between: 50 random bits.
pub fn mail_code(entropy: &dyn Entropy) -> Secret {
    Secret::new(grouped(entropy, 2, 5).to_ascii_uppercase())
}

/// An app password, `xxxx-xxxx-xxxx-xxxx` in lower-case base32: 80 random bits.
pub fn app_password(entropy: &dyn Entropy) -> Secret {
    Secret::new(grouped(entropy, 4, 4))
}

/// An invite code, `<hostname-with-dashes>-xxxxx-xxxxx`: 50 random bits.
pub fn invite_code(hostname: &str, entropy: &dyn Entropy) -> String {
    format!("{}-{}", hostname.replace('.', "-"), grouped(entropy, 2, 5))
}

/// `n_bytes` random bytes (at most [`accounts::RANDOM_TEXT_MAX_BYTES`]) in lower-case base32 without padding.
pub fn base32_lower(entropy: &dyn Entropy, n_bytes: usize) -> String {
    let mut bytes = zeroize::Zeroizing::new(vec![0; n_bytes.min(accounts::RANDOM_TEXT_MAX_BYTES)]);
    entropy.fill(&mut bytes);
    let mut text = BASE32_NOPAD.encode(&bytes);
    text.make_ascii_lowercase();
    text
}

/// Whether two secrets are equal, in time that depends on their lengths alone.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// `groups` groups of `width` lower-case base32 characters with dashes between: at most 16 characters in all.
fn grouped(entropy: &dyn Entropy, groups: usize, width: usize) -> String {
    let bytes = zeroize::Zeroizing::new(random_bytes::<10>(entropy));
    let mut characters = BASE32_NOPAD.encode(bytes.as_slice());
    characters.make_ascii_lowercase();
    let mut text = String::with_capacity(groups * (width + 1));
    for (at, character) in characters.chars().take(groups * width).enumerate() {
        if at > 0 && at % width == 0 {
            text.push('-');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn is_group(text: &str, width: usize) -> bool {
        text.len() == width && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
    }

    #[test]
    fn a_mail_code_is_two_groups_of_five_in_upper_case() {
        let code = mail_code(&SeededEntropy::new(1));
        let groups: Vec<_> = code.expose().split('-').collect();
        assert_eq!(groups.len(), 2);
        assert!(groups.iter().all(|group| is_group(&group.to_ascii_lowercase(), 5)));
        assert_eq!(code.expose(), code.expose().to_ascii_uppercase());
    }

    #[test]
    fn an_app_password_is_four_groups_of_four() {
        let password = app_password(&SeededEntropy::new(1));
        assert_eq!(password.expose().split('-').filter(|group| is_group(group, 4)).count(), 4);
        assert_eq!(password.expose().len(), 19);
    }

    #[test]
    fn an_invite_code_begins_with_the_hostname() {
        let code = invite_code("pds.example.com", &SeededEntropy::new(1));
        let tail = code.strip_prefix("pds-example-com-").unwrap();
        assert_eq!(tail.split('-').filter(|group| is_group(group, 5)).count(), 2);
        assert_eq!(tail.len(), 11);
    }

    #[test]
    fn two_codes_from_one_source_differ() {
        let entropy = SeededEntropy::new(1);
        assert_ne!(mail_code(&entropy), mail_code(&entropy));
        assert_ne!(base32_lower(&entropy, 20), base32_lower(&entropy, 20));
    }

    #[test]
    fn twenty_bytes_are_thirty_two_characters_and_the_bound_holds() {
        let entropy = SeededEntropy::new(1);
        assert_eq!(base32_lower(&entropy, 20).len(), 32);
        assert_eq!(base32_lower(&entropy, usize::MAX).len(), (accounts::RANDOM_TEXT_MAX_BYTES * 8).div_ceil(5));
    }

    #[test]
    fn comparison_sees_length_and_content() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(b"same", b"same"));
        assert!(!constant_time_eq(b"same", b"sama"));
        assert!(!constant_time_eq(b"same", b"same "));
    }
}

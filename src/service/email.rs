//! E-mail addresses as people type them.

use std::{collections::HashSet, sync::LazyLock};

use crate::limits::accounts as limits;

/// Domains that give addresses away to everybody for an hour; `assets/disposable/update.sh` says where they come from.
static DISPOSABLE: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("../../assets/disposable/domains.txt").lines().collect());

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// There is none.
    #[error("Email is required")]
    Missing,
    /// It is not one that mail could be sent to.
    #[error("This email address is not supported, please use a different email.")]
    Unsupported,
}

/// A new address for an account, lower-cased as it is stored.
///
/// # Errors
/// [`EmailError`], also for an address that is thrown away after use.
pub fn parse_email(text: Option<&str>) -> Result<String, EmailError> {
    parse_address(text).and_then(|email| if is_disposable(&email) { Err(EmailError::Unsupported) } else { Ok(email) })
}

/// Any address, lower-cased as it is stored.
///
/// # Errors
/// [`EmailError`].
pub fn parse_address(text: Option<&str>) -> Result<String, EmailError> {
    let text = text.filter(|text| !text.is_empty()).ok_or(EmailError::Missing)?;
    if is_address(text) { Ok(text.to_lowercase()) } else { Err(EmailError::Unsupported) }
}

/// Whether the domain, or one that it is below of, is listed.
fn is_disposable(email: &str) -> bool {
    let domain = email.rsplit_once('@').map_or(email, |(_, domain)| domain);
    std::iter::successors(Some(domain), |domain| domain.split_once('.').map(|(_, parent)| parent))
        .any(|domain| DISPOSABLE.contains(domain))
}

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    text.len() <= limits::EMAIL_MAX_CHARS
        && local.len() <= limits::EMAIL_LOCAL_MAX_CHARS
        && local.split('.').all(is_atom)
        && domain.contains('.')
        && domain.split('.').all(is_label)
        && domain.rsplit('.').next().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A dot-atom's part (RFC 5322, 3.2.3); quoted local parts, which nobody has, are refused.
fn is_atom(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c))
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_addresses_are_taken_and_lower_cased() {
        assert_eq!(parse_email(Some("Alice@Example.COM")).as_deref(), Ok("alice@example.com"));
        assert_eq!(parse_email(Some("a.b+tag@mail.example.test")).as_deref(), Ok("a.b+tag@mail.example.test"));
    }

    #[test]
    fn addresses_that_are_thrown_away_are_refused_and_those_of_people_are_not() {
        for text in ["a@mailinator.com", "A@Mailinator.COM", "a@sub.mailinator.com", "a@guerrillamail.com"] {
            assert_eq!(parse_email(Some(text)), Err(EmailError::Unsupported), "{text}");
            assert!(parse_address(Some(text)).is_ok());
        }
        for text in ["a@gmail.com", "a@example.com", "a@proton.me", "a@xmailinator.org", "a@mailinator.com.example"] {
            assert!(parse_email(Some(text)).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_list_is_one_domain_a_line_in_lower_case_and_in_order() {
        let lines: Vec<&str> = include_str!("../../assets/disposable/domains.txt").lines().collect();
        assert!(lines.len() > 1000 && lines.is_sorted(), "{}", lines.len());
        assert!(lines.iter().all(|line| is_address(&format!("a@{line}")) && *line == line.to_lowercase()));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "alice",
            "@example.com",
            "alice@",
            "alice@localhost",
            "a b@example.com",
            "a@b@example.com",
            "a..b@example.com",
            "alice@-x.com",
            "alice@x-.com",
            "alice@example..com",
            "alice@127.0.0.1",
            "a\r\nRCPT@x.com",
            "a@x.com\n",
            &long,
        ] {
            assert_eq!(parse_email(Some(text)), Err(EmailError::Unsupported), "{text:?}");
        }
        assert_eq!(parse_email(None), Err(EmailError::Missing));
        assert_eq!(parse_email(Some("")), Err(EmailError::Missing));
    }
}

//! What methods that read repositories share: who sees what, and the checks of `limit` and `cursor`.
use std::fmt::Display;

use crate::{
    limits::records::CURSOR_BYTES,
    service::repos::Sight,
    syntax::Did,
    xrpc::{XrpcError, auth::Viewer},
};

/// The owner and the administrator see a repository in every state.
pub(super) fn sight(viewer: &Viewer, did: &Did) -> Sight {
    match viewer {
        Viewer::Admin => Sight::All,
        Viewer::Account(own) if own == did => Sight::All,
        Viewer::Account(_) | Viewer::Anyone => Sight::Active,
    }
}

/// The page length that was asked for, between 1 and `max`.
pub(super) fn page_length(limit: Option<i64>, default: usize, max: usize) -> Result<usize, XrpcError> {
    let Some(limit) = limit else { return Ok(default) };
    usize::try_from(limit)
        .ok()
        .filter(|limit| (1..=max).contains(limit))
        .ok_or_else(|| XrpcError::invalid(format!("limit must be between 1 and {max}, not {limit}")))
}

/// The cursor that was sent, as what it must be.
pub(super) fn cursor<T: std::str::FromStr>(cursor: Option<&str>) -> Result<Option<T>, XrpcError> {
    cursor
        .filter(|text| !text.is_empty())
        .map(|text| {
            Some(text).filter(|text| text.len() <= CURSOR_BYTES).and_then(|text| text.parse().ok()).ok_or_else(|| {
                XrpcError::invalid("Malformed cursor: it must be one that an earlier answer of this method gave")
            })
        })
        .transpose()
}

/// The cursor of a page's last entry; only behind a full page may there be more.
pub(super) fn next_cursor<'a, T, C: Display>(
    page: &'a [T],
    limit: usize,
    of: impl FnOnce(&'a T) -> C,
) -> Option<String> {
    page.last().filter(|_| page.len() >= limit).map(|last| of(last).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_outside_its_range_is_refused_with_the_range() {
        assert_eq!(page_length(None, 50, 100).unwrap(), 50);
        assert_eq!(page_length(Some(100), 50, 100).unwrap(), 100);
        for wrong in [0, 101, -1, i64::MIN, i64::MAX] {
            let refused = page_length(Some(wrong), 50, 100).unwrap_err();
            assert!(refused.message.contains("between 1 and 100"), "{}", refused.message);
        }
    }

    #[test]
    fn a_cursor_that_is_none_of_ours_is_refused() {
        assert_eq!(cursor::<i64>(Some("12")).unwrap(), Some(12));
        assert_eq!(cursor::<i64>(Some("")).unwrap(), None);
        assert!(cursor::<i64>(Some("1' or 1=1")).is_err());
        assert!(cursor::<String>(Some(&"x".repeat(CURSOR_BYTES + 1))).is_err());
    }

    #[test]
    fn only_a_full_page_has_a_next_one() {
        assert_eq!(next_cursor(&[1, 2], 2, |last| *last).as_deref(), Some("2"));
        assert_eq!(next_cursor(&[1], 2, |last| *last), None);
        assert_eq!(next_cursor::<i32, i32>(&[], 2, |last| *last), None);
    }

    #[test]
    fn only_the_owner_and_the_administrator_see_everything() {
        let own: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
        let other: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oia".parse().unwrap();
        assert_eq!(sight(&Viewer::Account(own.clone()), &own), Sight::All);
        assert_eq!(sight(&Viewer::Admin, &own), Sight::All);
        assert_eq!(sight(&Viewer::Account(other), &own), Sight::Active);
        assert_eq!(sight(&Viewer::Anyone, &own), Sight::Active);
    }
}

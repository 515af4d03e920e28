//! How an account stands: what its document names, and where it is active. All of it is public.

use serde_json::Value;

use crate::{
    client::{pds::Pds, sources::Sources},
    syntax::Did,
};

/// What a server says of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It serves the account.
    Active,
    /// It has the account and does not serve it.
    Inactive,
    /// It has no such account.
    Absent,
    /// It could not be asked.
    Unknown,
}

impl Stand {
    /// In a word, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Active => "it is active",
            Self::Inactive => "it is not active",
            Self::Absent => "there is no such account",
            Self::Unknown => "nobody could be asked",
        }
    }

    pub(super) async fn at(pds: &Pds, did: &Did) -> Self {
        match pds.get("com.atproto.sync.getRepoStatus", &[("did", did.as_str())]).await {
            Ok(status) => match status.get("active").and_then(Value::as_bool) {
                Some(true) => Self::Active,
                Some(false) => Self::Inactive,
                None => Self::Unknown,
            },
            Err(cause) if cause.is("RepoNotFound") => Self::Absent,
            Err(cause) if cause.is("RepoDeactivated") => Self::Inactive,
            Err(_) => Self::Unknown,
        }
    }
}

/// How the account stands between two servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The server that the document names, if that is known.
    pub document: Option<String>,
    /// The old server, and what it says.
    pub old: (String, Stand),
    /// The new server, and what it says.
    pub new: (String, Stand),
}

impl Standing {
    pub(super) async fn of(sources: &Sources, did: &Did, old: &Pds, new: &Pds) -> Self {
        let (document, at_old, at_new) = tokio::join!(sources.server_of(did), Stand::at(old, did), Stand::at(new, did));
        let document = document.ok().map(|url| url.as_str().trim_end_matches('/').to_owned());
        Self { document, old: (old.host(), at_old), new: (new.host(), at_new) }
    }

    /// What is out of order, if anything is: an account that is active at both servers, or surely at none.
    pub const fn trouble(&self) -> Option<&'static str> {
        match (self.old.1, self.new.1) {
            (Stand::Active, Stand::Active) => Some("it is active at both servers: run this again to end that"),
            (Stand::Inactive | Stand::Absent, Stand::Inactive | Stand::Absent) => {
                Some("it is active at neither server: run this again to end that")
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ((old, at_old), (new, at_new)) = (&self.old, &self.new);
        let document = self.document.as_deref().unwrap_or("a server that could not be found out");
        write!(f, "the account's document names {document}; at {old} {}; at {new} {}", at_old.words(), at_new.words())?;
        self.trouble().map_or(Ok(()), |trouble| write!(f, ". {trouble}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(old: Stand, new: Stand) -> Standing {
        let document = Some("https://old.example".to_owned());
        Standing { document, old: ("https://old.example".into(), old), new: ("https://new.example".into(), new) }
    }

    #[test]
    fn an_account_that_is_active_at_both_or_at_neither_is_trouble_and_an_unknown_server_is_not() {
        for (old, new, trouble) in [
            (Stand::Active, Stand::Active, Some("both")),
            (Stand::Inactive, Stand::Inactive, Some("neither")),
            (Stand::Absent, Stand::Inactive, Some("neither")),
            (Stand::Active, Stand::Inactive, None),
            (Stand::Inactive, Stand::Active, None),
            (Stand::Unknown, Stand::Inactive, None),
        ] {
            let said = standing(old, new).trouble();
            assert_eq!(said.is_some(), trouble.is_some(), "{old:?} {new:?}");
            assert!(said.unwrap_or_default().contains(trouble.unwrap_or_default()));
        }
    }

    #[test]
    fn it_is_said_in_words() {
        assert_eq!(
            standing(Stand::Active, Stand::Absent).to_string(),
            "the account's document names https://old.example; at https://old.example it is active; \
             at https://new.example there is no such account",
        );
    }
}

//! The steps of a move.

/// The steps of a move, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// An account at the new server, not active yet.
    Account,
    /// Its records.
    Repository,
    /// Its blobs.
    Blobs,
    /// Its preferences.
    Preferences,
    /// Both servers have the same: nothing is lost when the identity changes.
    Check,
    /// The DID document names the new server. From here on there is no way back but another move.
    Identity,
    /// The new server serves the account.
    Activate,
    /// The old server does not any more.
    Deactivate,
    /// Everything is looked at once more.
    Verify,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Account,
        Self::Repository,
        Self::Blobs,
        Self::Preferences,
        Self::Check,
        Self::Identity,
        Self::Activate,
        Self::Deactivate,
        Self::Verify,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Repository => "repository",
            Self::Blobs => "blobs",
            Self::Preferences => "preferences",
            Self::Check => "check",
            Self::Identity => "identity",
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
            Self::Verify => "verify",
        }
    }

    /// What it does, in a line.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Account => "an account at the new server, not active yet",
            Self::Repository => "the records",
            Self::Blobs => "pictures and other blobs",
            Self::Preferences => "the preferences",
            Self::Check => "both servers have the same",
            Self::Identity => "the DID document names the new server",
            Self::Activate => "the new server serves the account",
            Self::Deactivate => "the old server does not any more",
            Self::Verify => "everything is looked at once more",
        }
    }

    /// Whether it only brings over what is at the old server, or looks at it.
    pub(super) const fn copies(self) -> bool {
        matches!(self, Self::Repository | Self::Blobs | Self::Preferences | Self::Check)
    }
}

impl std::str::FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|step| step.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|step| step.name()).collect();
            format!("a move has the steps {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_by_its_name_and_the_names_are_told_where_it_is_not() {
        for step in Step::ALL {
            assert_eq!(step.name().parse(), Ok(step));
        }
        assert!("blob".parse::<Step>().unwrap_err().contains("blobs, preferences"));
    }

    #[test]
    fn steps_are_in_their_order() {
        assert!(Step::ALL.is_sorted());
    }
}

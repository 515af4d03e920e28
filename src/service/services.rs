//! Other services that the operator chose: requests are passed to them, and one may moderate here.

use url::Url;

use crate::syntax::Did;

/// A service that the operator set: where it is, and who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownService {
    /// Its address, which is trusted: it may be private, and plain http.
    pub url: Url,
    /// Its DID: the audience of tokens for it.
    pub did: Did,
}

/// The services of `[services]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// Timelines, profiles, notifications.
    pub appview: Option<KnownService>,
    /// Where the `AppView`'s images are: `%s` for preset, DID and CID.
    pub image_pattern: Option<String>,
    /// Who moderates, and may use the methods of `com.atproto.admin`.
    pub moderation: Option<KnownService>,
    /// Who takes reports.
    pub report: Option<KnownService>,
    /// Who carries private messages.
    pub chat: Option<KnownService>,
}

impl Services {
    /// All that are set.
    pub fn known(&self) -> impl Iterator<Item = &KnownService> {
        [&self.appview, &self.moderation, &self.report, &self.chat].into_iter().flatten()
    }
}

//! `[services]`: other services that requests are passed to or that are told of news.

use url::Url;

use super::{
    ConfigError, Warning,
    kinds::{CdnPattern, DidText, ServiceUrl},
    section::section,
    source::Given,
    value::List,
};
use crate::syntax::Did;

section! {
    /// Other services. A URL and the DID beside it are only set together.
    Services = "services" () {
        /// The `AppView`: timelines, profiles, notifications.
        appview_url: Option<Url> as ServiceUrl = optional;
        /// Its DID.
        appview_did: Option<Did> as DidText = optional;
        /// Where the `AppView`'s images are: `%s` for preset, DID and CID.
        appview_cdn_url_pattern: Option<String> as CdnPattern = optional;
        /// The moderation service.
        moderation_url: Option<Url> as ServiceUrl = optional;
        /// Its DID.
        moderation_did: Option<Did> as DidText = optional;
        /// The service that takes reports.
        report_url: Option<Url> as ServiceUrl = optional;
        /// Its DID.
        report_did: Option<Did> as DidText = optional;
        /// The chat service.
        chat_url: Option<Url> as ServiceUrl = optional;
        /// Its DID.
        chat_did: Option<Did> as DidText = optional;
        /// Relays that are asked to fetch news from here.
        crawlers: Vec<Url> as List<ServiceUrl> = default("");
    }
}

impl Services {
    /// The `AppView`.
    pub fn appview(&self) -> Option<(Url, Did)> {
        self.appview_url.clone().zip(self.appview_did.clone())
    }

    /// The moderation service.
    pub fn moderation(&self) -> Option<(Url, Did)> {
        self.moderation_url.clone().zip(self.moderation_did.clone())
    }

    /// The service that takes reports.
    pub fn report(&self) -> Option<(Url, Did)> {
        self.report_url.clone().zip(self.report_did.clone())
    }

    /// The chat service.
    pub fn chat(&self) -> Option<(Url, Did)> {
        self.chat_url.clone().zip(self.chat_did.clone())
    }

    pub(super) fn check(&self, given: &Given, warnings: &mut Vec<Warning>) -> Result<(), ConfigError> {
        let pairs = [
            ("appview_url", "appview_did"),
            ("moderation_url", "moderation_did"),
            ("report_url", "report_did"),
            ("chat_url", "chat_did"),
        ];
        for (url, did) in pairs {
            given.together("services", url, did)?;
        }
        if self.appview_cdn_url_pattern.is_some() && self.appview_url.is_none() {
            warnings.push(Warning::new("services.appview_cdn_url_pattern", "it has no effect without appview_url"));
        }
        let set = [&self.appview_url, &self.moderation_url, &self.report_url, &self.chat_url];
        if set.into_iter().any(Option::is_some) || !self.crawlers.is_empty() {
            warnings.push(Warning::new(
                "services",
                "what is set there is not used in this version yet: no request is passed on and no relay is called",
            ));
        }
        Ok(())
    }
}

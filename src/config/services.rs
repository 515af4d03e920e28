//! `[services]`: other services that requests are passed to or that are told of news.

use url::Url;

use super::{
    ConfigError, Warning,
    kinds::{CdnPattern, DidText, ServiceUrl},
    section::section,
    source::Given,
    value::List,
};
use crate::{limits::relays::RELAYS_MAX, service, syntax::Did};

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
        /// Relays that are told of news.
        crawlers: Vec<Url> as List<ServiceUrl> = default("");
    }
}

impl Services {
    /// The services that requests are passed to.
    pub fn known(&self) -> service::Services {
        let pair = |url: &Option<Url>, did: &Option<Did>| {
            url.clone().zip(did.clone()).map(|(url, did)| service::KnownService { url, did })
        };
        service::Services {
            appview: pair(&self.appview_url, &self.appview_did),
            image_pattern: self.appview_cdn_url_pattern.clone(),
            moderation: pair(&self.moderation_url, &self.moderation_did),
            report: pair(&self.report_url, &self.report_did),
            chat: pair(&self.chat_url, &self.chat_did),
        }
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
        if self.crawlers.len() > RELAYS_MAX {
            let problem = format!("has {} relays; at most {RELAYS_MAX} can be told of news", self.crawlers.len());
            return Err(given.conflict("services", "crawlers", problem));
        }
        Ok(())
    }
}

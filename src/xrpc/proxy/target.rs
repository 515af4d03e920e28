//! Who a request is passed to: by its `atproto-proxy` header, or by its method's name.

use http::{HeaderMap, HeaderName};
use url::Url;

use crate::{
    outbound::{Freshness, ResolveError},
    service::{KnownService, Server, Services},
    syntax::Did,
    xrpc::{RequestHead, XrpcError},
};

/// The header that names a service: `<did>#<service id>`.
pub(super) const PROXY_HEADER: HeaderName = HeaderName::from_static("atproto-proxy");

const APPVIEW: &str = "bsky_appview";
const CHAT: &str = "bsky_chat";
const LABELER: &str = "atproto_labeler";

/// Namespaces whose methods are a server's own: one that is missing here is missing, whoever else might have it.
const OWN: &[&str] = &[
    "com.atproto.admin.",
    "com.atproto.identity.",
    "com.atproto.lexicon.",
    "com.atproto.repo.",
    "com.atproto.server.",
    "com.atproto.sync.",
    "com.atproto.temp.",
    "dev.housekey.",
];

/// A service as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// By the header.
    Named {
        /// Its DID.
        did: Did,
        /// Which service of it.
        id: String,
    },
    /// By the method.
    Known(KnownService),
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The service's address; `/xrpc/<method>` comes behind it.
    pub url: Url,
    /// The audience of tokens for it.
    pub did: Did,
    /// Who chose the address.
    pub trust: Trust,
}

/// Who chose an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The operator: it may be private.
    Operator,
    /// Somebody's DID document: it must be https on the public internet, unless the operator allowed more.
    Document,
}

impl Target {
    /// What a request names, resolved.
    ///
    /// # Errors
    /// 400 or 501 when it names nothing that there is, 502 when that cannot be found out now.
    pub async fn of(server: &Server, head: &RequestHead) -> Result<Self, XrpcError> {
        Self::resolve(server, wanted(&server.policy.services, head)?).await
    }

    /// A service that the operator set.
    pub fn known(service: &KnownService) -> Self {
        Self { url: service.url.clone(), did: service.did.clone(), trust: Trust::Operator }
    }

    pub(super) async fn resolve(server: &Server, wanted: Wanted) -> Result<Self, XrpcError> {
        let services = &server.policy.services;
        let target = match wanted {
            Wanted::Known(service) => Self::known(&service),
            Wanted::Named { did, .. } if did == server.policy.service_did => return Err(own_request()),
            Wanted::Named { did, id } => {
                if let Some(service) = known_by(services, &did, &id) {
                    Self::known(service)
                } else {
                    let url = address(server, &did, &id, None).await?;
                    let url = url.ok_or_else(|| XrpcError::invalid("could not resolve proxy did service url"))?;
                    Self::found(services, did, url)
                }
            }
        };
        if target.did == server.policy.service_did || target.url.origin() == server.policy.public_url.origin() {
            return Err(own_request());
        }
        Ok(target)
    }

    /// The address that a document names is the operator's choice too when it is the same.
    pub(super) fn found(services: &Services, did: Did, url: Url) -> Self {
        let is_known = services.known().any(|service| service.url.origin() == url.origin());
        Self { url, did, trust: if is_known { Trust::Operator } else { Trust::Document } }
    }

    /// The address of one of its methods.
    pub(super) fn method(&self, nsid: &str, query: Option<&str>) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/xrpc/{nsid}", self.url.path().trim_end_matches('/')));
        url.set_query(query.filter(|query| !query.is_empty()));
        url.set_fragment(None);
        url
    }
}

fn own_request() -> XrpcError {
    XrpcError::invalid("a request cannot be passed to the server that it was sent to")
}

/// The address of service `#id` in a DID's document.
pub(super) async fn address(
    server: &Server,
    did: &Did,
    id: &str,
    kind: Option<&str>,
) -> Result<Option<Url>, XrpcError> {
    let document = server.resolver.did(did, Freshness::Cached).await.map_err(|error| match error {
        ResolveError::Unavailable(..) => super::error::failure(error.to_string()),
        ResolveError::NotFound(_)
        | ResolveError::Deactivated(_)
        | ResolveError::UnsupportedMethod(_)
        | ResolveError::BadDocument(..) => XrpcError::invalid("could not resolve proxy did"),
    })?;
    Ok(document.service(id, kind))
}

/// What a request names.
pub(super) fn wanted(services: &Services, head: &RequestHead) -> Result<Wanted, XrpcError> {
    if let Some((did, id)) = named(&head.headers)? {
        return Ok(Wanted::Named { did, id });
    }
    let nsid = head.nsid.as_str();
    if OWN.iter().any(|own| nsid.starts_with(own)) && nsid != "com.atproto.repo.getRecord" {
        return Err(XrpcError::not_implemented());
    }
    let service = default_service(services, nsid).cloned();
    service.map(Wanted::Known).ok_or_else(|| XrpcError::invalid(format!("No service configured for {nsid}")))
}

/// Whether a request asks for another service than the configured `AppView`. Without one, nobody else is meant.
///
/// # Errors
/// 400 when the header names nothing.
pub fn names_another_appview(services: &Services, head: &RequestHead) -> Result<bool, XrpcError> {
    let Some(appview) = &services.appview else { return Ok(false) };
    Ok(named(&head.headers)?.is_some_and(|(did, id)| did != appview.did || id != APPVIEW))
}

/// Whether the header is there.
pub(super) fn is_named(headers: &HeaderMap) -> bool {
    headers.get(PROXY_HEADER).is_some_and(|value| !value.is_empty())
}

/// Reads the header. The refusals are the reference's.
fn named(headers: &HeaderMap) -> Result<Option<(Did, String)>, XrpcError> {
    let Some(value) = headers.get(PROXY_HEADER).filter(|value| !value.is_empty()) else { return Ok(None) };
    let text = value.to_str().map_err(|_| XrpcError::invalid("invalid proxy header format"))?;
    let (did, id) = text.split_once('#').unwrap_or((text, ""));
    let refused = if text.starts_with('#') {
        "no did specified in proxy header"
    } else if id.is_empty() {
        "no service id specified in proxy header"
    } else if id.contains('#') {
        "invalid proxy header format"
    } else if text.contains(' ') {
        "proxy header cannot contain spaces"
    } else {
        let did = did.parse().map_err(|_| XrpcError::invalid("could not resolve proxy did"))?;
        return Ok(Some((did, id.to_owned())));
    };
    Err(XrpcError::invalid(refused))
}

/// Who serves a method that is not served here.
fn default_service<'a>(services: &'a Services, nsid: &str) -> Option<&'a KnownService> {
    if nsid.starts_with("tools.ozone.") {
        services.moderation.as_ref()
    } else if nsid.eq_ignore_ascii_case("com.atproto.moderation.createReport") {
        services.report.as_ref()
    } else if nsid.starts_with("chat.bsky.") {
        services.chat.as_ref()
    } else {
        services.appview.as_ref()
    }
}

/// The configured service that this is: its address needs no document.
fn known_by<'a>(services: &'a Services, did: &Did, id: &str) -> Option<&'a KnownService> {
    let candidates: [(&Option<KnownService>, &str); 4] = [
        (&services.appview, APPVIEW),
        (&services.chat, CHAT),
        (&services.moderation, LABELER),
        (&services.report, LABELER),
    ];
    let found = candidates.into_iter().filter(|(_, name)| *name == id).filter_map(|(service, _)| service.as_ref());
    found.into_iter().find(|service| service.did == *did)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn known(name: &str) -> KnownService {
        KnownService {
            url: format!("https://{name}.example.com/").parse().unwrap(),
            did: format!("did:web:{name}.example.com").parse().unwrap(),
        }
    }

    fn services() -> Services {
        Services {
            appview: Some(known("appview")),
            moderation: Some(known("mod")),
            report: Some(known("report")),
            chat: Some(known("chat")),
            image_pattern: None,
        }
    }

    fn head(nsid: &str, proxy: Option<&str>) -> RequestHead {
        let headers = proxy.map(|value| (PROXY_HEADER, value.parse().unwrap()));
        RequestHead {
            nsid: nsid.to_owned(),
            headers: headers.into_iter().collect(),
            client_ip: Ipv4Addr::LOCALHOST.into(),
        }
    }

    fn default_of(services: &Services, nsid: &str) -> Result<String, (u16, String)> {
        match wanted(services, &head(nsid, None)) {
            Ok(Wanted::Known(service)) => Ok(service.did.to_string()),
            Ok(Wanted::Named { .. }) => panic!("nobody is named"),
            Err(error) => Err((error.status.as_u16(), error.name.into_owned())),
        }
    }

    #[test]
    fn each_namespace_has_its_service() {
        for (nsid, name) in [
            ("app.bsky.feed.getTimeline", "appview"),
            ("com.atproto.label.queryLabels", "appview"),
            ("com.example.unheardOf", "appview"),
            ("chat.bsky.convo.listConvos", "chat"),
            ("tools.ozone.moderation.emitEvent", "mod"),
            ("com.atproto.moderation.createReport", "report"),
        ] {
            assert_eq!(default_of(&services(), nsid), Ok(format!("did:web:{name}.example.com")), "{nsid}");
            let none = default_of(&Services::default(), nsid);
            assert_eq!(none, Err((400, "InvalidRequest".to_owned())), "{nsid}");
        }
    }

    #[test]
    fn a_method_of_the_servers_own_that_is_missing_is_nobodys() {
        for nsid in ["com.atproto.sync.getHostStatus", "com.atproto.server.nonesuch", "dev.housekey.nonesuch"] {
            assert_eq!(default_of(&services(), nsid), Err((501, "MethodNotImplemented".to_owned())), "{nsid}");
        }
    }

    #[test]
    fn the_header_is_a_did_and_a_service_of_it() {
        let read = |text: &str| named(&head("com.example.x", Some(text)).headers).map_err(|error| error.message);
        let good = ("did:web:a.example".parse().unwrap(), "svc".to_owned());
        assert_eq!(read("did:web:a.example#svc"), Ok(Some(good)));
        assert_eq!(read(""), Ok(None));
        for (text, why) in [
            ("#svc", "no did specified in proxy header"),
            ("did:web:a.example", "no service id specified in proxy header"),
            ("did:web:a.example#", "no service id specified in proxy header"),
            ("did:web:a.example#a#b", "invalid proxy header format"),
            ("did:web:a.example#a b", "proxy header cannot contain spaces"),
            ("https://a.example#svc", "could not resolve proxy did"),
            ("did:web:#svc", "could not resolve proxy did"),
        ] {
            assert_eq!(read(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_configured_service_needs_no_document_when_it_is_named_whole() {
        let services = services();
        let by = |did: &str, id: &str| known_by(&services, &did.parse().unwrap(), id).map(|s| s.did.to_string());
        assert_eq!(by("did:web:appview.example.com", "bsky_appview").as_deref(), Some("did:web:appview.example.com"));
        assert_eq!(by("did:web:report.example.com", "atproto_labeler").as_deref(), Some("did:web:report.example.com"));
        assert_eq!(by("did:web:appview.example.com", "bsky_notif"), None);
        assert_eq!(by("did:web:other.example.com", "bsky_appview"), None);
    }

    #[test]
    fn the_methods_address_keeps_the_services_path_and_the_query_as_it_came() {
        let target = |url: &str| Target::found(&services(), "did:web:a.example".parse().unwrap(), url.parse().unwrap());
        let url = target("https://a.example/base/?x=1#y").method("com.example.get", Some("a=%2F&b=%zz&c"));
        assert_eq!(url.as_str(), "https://a.example/base/xrpc/com.example.get?a=%2F&b=%zz&c");
        assert_eq!(
            target("https://a.example").method("com.example.get", None).as_str(),
            "https://a.example/xrpc/com.example.get"
        );
        assert_eq!(target("https://a.example").trust, Trust::Document);
        assert_eq!(target("https://chat.example.com/x").trust, Trust::Operator);
    }

    #[test]
    fn only_another_appview_than_the_configured_one_is_another() {
        let another = |services: &Services, header| {
            names_another_appview(services, &head("app.bsky.actor.getPreferences", header)).unwrap()
        };
        assert!(!another(&services(), None));
        assert!(!another(&services(), Some("did:web:appview.example.com#bsky_appview")));
        assert!(another(&services(), Some("did:web:other.example.com#bsky_appview")));
        assert!(!another(&Services::default(), Some("did:web:other.example.com#bsky_appview")));
    }
}

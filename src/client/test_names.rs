//! did:webs under `.test`, a name that no DNS ever has: whoever works with a development server names it as the resolver, and it
//! knows their documents. No name of the public DNS is ever asked of it, so that nobody comes between a did:web and its host.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::pds::Pds;
use crate::{
    identity::DidDocument,
    outbound::{LocalDocuments, ResolveError},
    syntax::Did,
};

/// The server that knows the names.
#[derive(Clone, Debug)]
pub(super) struct TestNames(Pds);

impl TestNames {
    /// Those that this server knows.
    pub(super) const fn of(resolver: Pds) -> Self {
        Self(resolver)
    }

    async fn ask(&self, did: &Did) -> Result<Arc<DidDocument>, ResolveError> {
        let query = [("did", did.as_str())];
        let answer = self.0.get("com.atproto.identity.resolveDid", &query).await;
        let mut answer = answer.map_err(|cause| {
            if cause.is("DidNotFound") {
                ResolveError::NotFound(did.to_string())
            } else {
                ResolveError::Unavailable(did.to_string(), cause.to_string())
            }
        })?;
        let bad = |cause: &dyn std::fmt::Display| ResolveError::BadDocument(did.to_string(), cause.to_string());
        let json = answer.get_mut("didDoc").map(serde_json::Value::take).ok_or_else(|| bad(&"there is none"))?;
        DidDocument::parse(did, json).map(Arc::new).map_err(|cause| bad(&cause))
    }
}

impl LocalDocuments for TestNames {
    fn document<'a>(&'a self, did: &'a Did) -> BoxFuture<'a, Option<Result<Arc<DidDocument>, ResolveError>>> {
        Box::pin(async move { if is_under_test(did) { Some(self.ask(did).await) } else { None } })
    }
}

/// Whether a did:web is under `.test` (RFC 6761), and a name: no port, no path.
fn is_under_test(did: &Did) -> bool {
    let name = did.as_str().strip_prefix("did:web:").and_then(|name| name.strip_suffix(".test"));
    name.is_some_and(|name| !name.contains([':', '%']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_dns_could_have_are_never_asked_of_a_resolver() {
        for (did, under) in [
            ("did:web:dora.test", true),
            ("did:web:a.b.test", true),
            ("did:web:dora.test.example.com", false),
            ("did:web:dora.example.com", false),
            ("did:web:test.com", false),
            ("did:web:localhost%3A1.test", false),
            ("did:web:dora.example.com:a.test", false),
            ("did:plc:ewvi7nxzyoun6zhxrhs64oiz", false),
        ] {
            assert_eq!(did.parse::<Did>().is_ok_and(|did| is_under_test(&did)), under, "{did}");
        }
    }
}

//! Where a request came from, for whoever counts or notes it: known to everything that one request does, without being
//! handed through every verb.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr},
};

use crate::limits::accounts::USER_AGENT_MAX_CHARS;

tokio::task_local! {
    static ORIGIN: Origin;
}

/// Who asks, as far as the connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, after trusted proxies.
    pub address: IpAddr,
    /// What it calls itself; printable, at most [`USER_AGENT_MAX_CHARS`] characters.
    pub agent: Option<String>,
}

impl Origin {
    /// A request's. Of the agent stays what can be shown.
    pub fn new(address: IpAddr, agent: Option<&str>) -> Self {
        let shown = |agent: &str| agent.chars().filter(|c| !c.is_control()).take(USER_AGENT_MAX_CHARS).collect();
        Self { address, agent: agent.map(shown).filter(|agent: &String| !agent.is_empty()) }
    }

    /// Runs `work` as what this origin asked for.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        ORIGIN.scope(self, work).await
    }

    /// Whose request this is; none for what the server does by itself.
    pub fn current() -> Option<Self> {
        ORIGIN.try_with(Self::clone).ok()
    }

    /// The address to count by; what the server does by itself counts as its own machine's.
    pub fn current_address() -> IpAddr {
        ORIGIN.try_with(|origin| origin.address).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_origin_is_known_inside_of_its_request_only() {
        assert_eq!(Origin::current(), None);
        let origin = Origin::new("203.0.113.9".parse().unwrap(), Some("an app"));
        let seen = origin.clone().scope(async { Origin::current() }).await;
        assert_eq!(seen, Some(origin));
        assert_eq!(Origin::current(), None);
    }

    #[test]
    fn of_an_agent_stays_what_can_be_shown() {
        let agent = |text: &str| Origin::new(Ipv4Addr::LOCALHOST.into(), Some(text)).agent;
        assert_eq!(agent("app\r\n\u{1b}[31m/1.0").as_deref(), Some("app[31m/1.0"));
        assert_eq!(agent("\u{7}"), None);
        assert_eq!(agent(&"é".repeat(10_000)).unwrap().chars().count(), USER_AGENT_MAX_CHARS);
    }
}

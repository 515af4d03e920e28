//! Where a request came from, for whoever counts or notes it: known to everything that one request does, without being
//! handed through every verb.

use std::{
    cell::RefCell,
    future::Future,
    net::{IpAddr, Ipv4Addr},
};

use crate::limits::accounts::USER_AGENT_MAX_CHARS;

tokio::task_local! {
    static ORIGIN: RefCell<Origin>;
}

/// Who asks, as far as the connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, after trusted proxies.
    pub address: IpAddr,
    /// What it calls itself; printable, at most [`USER_AGENT_MAX_CHARS`] characters.
    pub agent: Option<String>,
    /// Whether the administrator or a moderator asks, as far as credentials were checked.
    pub is_operator: bool,
}

impl Origin {
    /// A request's. Of the agent stays what can be shown.
    pub fn new(address: IpAddr, agent: Option<&str>) -> Self {
        let shown = |agent: &str| agent.chars().filter(|c| !c.is_control()).take(USER_AGENT_MAX_CHARS).collect();
        let agent = agent.map(shown).filter(|agent: &String| !agent.is_empty());
        Self { address, agent, is_operator: false }
    }

    /// Runs `work` as what this origin asked for.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        ORIGIN.scope(RefCell::new(self), work).await
    }

    /// Runs `work` as what this origin asked for, if anybody did: for what goes on in a task of its own.
    pub async fn carry<F: Future>(origin: Option<Self>, work: F) -> F::Output {
        match origin {
            Some(origin) => origin.scope(work).await,
            None => work.await,
        }
    }

    /// Whose request this is; none for what the server does by itself.
    pub fn current() -> Option<Self> {
        ORIGIN.try_with(|origin| origin.borrow().clone()).ok()
    }

    /// From here on the present request is known to be the administrator's or a moderator's.
    pub fn is_the_operators() {
        // What the server does by itself has no origin, and needs none.
        ORIGIN.try_with(|origin| origin.borrow_mut().is_operator = true).unwrap_or_default();
    }

    /// The address to count by; what the server does by itself counts as its own machine's.
    pub fn current_address() -> IpAddr {
        ORIGIN.try_with(|origin| origin.borrow().address).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
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

    #[tokio::test]
    async fn what_a_check_of_credentials_found_is_known_to_the_rest_of_the_request() {
        let origin = Origin::new(Ipv4Addr::LOCALHOST.into(), None);
        let seen = origin.scope(async {
            let before = Origin::current().unwrap().is_operator;
            Origin::is_the_operators();
            (before, Origin::current().unwrap().is_operator)
        });
        assert_eq!(seen.await, (false, true));
        Origin::is_the_operators();
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

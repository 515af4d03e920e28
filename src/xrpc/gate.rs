//! The budgets at the door: what a method declares is drawn, and every answer says what is left.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{RequestHead, XrpcError};
use crate::{
    service::Server,
    syntax::Did,
    throttle::{Bucket, Draw, Exceeded, Key, Standing},
};

const BYPASS: HeaderName = HeaderName::from_static("x-ratelimit-bypass");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What a call draws on besides its address's budgets, once it is known who calls with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    bucket: Bucket,
    whose: Whose,
    points: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    Account(Did),
    NameFromAddress(String),
}

impl Charge {
    /// On an account's bucket.
    pub fn account(bucket: Bucket, did: &Did, points: u32) -> Self {
        Self { bucket, whose: Whose::Account(did.clone()), points }
    }

    /// On the bucket of a name (as it was typed, whatever its case) together with the caller's address.
    pub fn name_from_address(bucket: Bucket, name: &str) -> Self {
        Self { bucket, whose: Whose::NameFromAddress(name.trim().to_lowercase()), points: 1 }
    }
}

/// One call's way past its budgets.
pub(super) struct Gate<'a> {
    server: &'a Server,
    address: IpAddr,
    exempt: bool,
    /// The tightest budget so far.
    standing: Option<Standing>,
}

impl<'a> Gate<'a> {
    pub(super) fn new(server: &'a Server, head: &RequestHead) -> Self {
        let key = head.headers.get(BYPASS).map(HeaderValue::as_bytes);
        let exempt = server.throttle.is_exempt(head.client_ip, key);
        Self { server, address: head.client_ip, exempt, standing: None }
    }

    /// Draws a call on the caller's own budgets.
    pub(super) fn enter(&mut self, buckets: &[Bucket]) -> Result<(), XrpcError> {
        let draw = |&bucket: &Bucket| Draw { bucket, key: Key::Address(self.address), points: 1 };
        match buckets {
            [bucket] => self.draw(&[draw(bucket)]),
            buckets => self.draw(&buckets.iter().map(draw).collect::<Vec<_>>()),
        }
    }

    /// Draws what the method says that this call takes.
    pub(super) fn charge(&mut self, charge: Option<Charge>) -> Result<(), XrpcError> {
        let Some(Charge { bucket, whose, points }) = charge else { return Ok(()) };
        let key = match &whose {
            Whose::Account(did) => Key::Name(did.as_str()),
            Whose::NameFromAddress(name) => Key::NameFrom(name, self.address),
        };
        self.draw(&[Draw { bucket, key, points }])
    }

    fn draw(&mut self, draws: &[Draw<'_>]) -> Result<(), XrpcError> {
        let throttle = &self.server.throttle;
        let drawn = if self.exempt { throttle.untouched(draws, throttle.now()) } else { throttle.draw(draws)? };
        if let Some(standing) = drawn.standing
            && self.standing.is_none_or(|tightest| standing.remaining < tightest.remaining)
        {
            self.standing = Some(standing);
        }
        Ok(())
    }

    /// Tells the caller where it stands, unless the answer says so already.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        if let Some(standing) = &self.standing
            && !headers.contains_key(LIMIT)
        {
            tell(standing, headers);
        }
    }
}

/// Writes the headers.
pub(super) fn tell(standing: &Standing, headers: &mut HeaderMap) {
    headers.insert(LIMIT, standing.limit.into());
    headers.insert(REMAINING, standing.remaining.into());
    headers.insert(RESET, standing.reset.into());
    if let Ok(policy) = HeaderValue::try_from(format!("{};w={}", standing.limit, standing.window)) {
        headers.insert(POLICY, policy);
    }
}

impl From<Exceeded> for XrpcError {
    fn from(exceeded: Exceeded) -> Self {
        Self::rate_limited(&exceeded, exceeded.to_string())
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;

//! Who may sign up: the administrator always, others as the operator decided.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};

use super::{
    Server,
    accounts::{SignUp, SignUpError},
    handles::Reserved,
    invites,
};
use crate::{
    limits::community::{IPV6_SUBSCRIBER_BITS, SIGN_UP_WINDOW},
    store::StoreError,
};

/// Who asks for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUpBy {
    /// Somebody.
    Anyone {
        /// At this network address, where it is known.
        from: Option<IpAddr>,
    },
    /// The administrator, who needs no invite and is not counted.
    Admin {
        /// Whether the handle may be a reserved one.
        reserved: Reserved,
    },
}

impl Default for SignUpBy {
    fn default() -> Self {
        Self::Anyone { from: None }
    }
}

impl SignUpBy {
    /// Whether an invite is needed where the operator asks for one.
    pub(super) const fn needs_invite(self) -> bool {
        matches!(self, Self::Anyone { .. })
    }

    /// Whether the handle may be a reserved one.
    pub(super) const fn reserved(self) -> Reserved {
        match self {
            Self::Anyone { .. } => Reserved::Refused,
            Self::Admin { reserved } => reserved,
        }
    }
}

/// A place among the day's sign-ups of one address; none where they are not counted.
pub(super) type Place = Option<i64>;

/// Takes a place, before anything else is looked at.
pub(super) async fn take_place(server: &Server, sign_up: &SignUp) -> Result<Place, SignUpError> {
    let rules = &server.policy.sign_up;
    let SignUpBy::Anyone { from } = &sign_up.by else { return Ok(None) };
    if rules.is_closed {
        require_to_be_let_in(server, sign_up).await?;
    }
    let (Some(from), Some(most)) = (from, rules.per_address) else { return Ok(None) };
    let now = server.now();
    let place = server.store.take_sign_up(origin(*from), most, now.minus(SIGN_UP_WINDOW), now).await?;
    place.map(Some).ok_or(SignUpError::TooManyFromThere)
}

/// A closed server makes no accounts but the administrator's, and the administrator cannot ask in a DID's stead: an invite
/// code that is the administrator's own, and not one that an account gives away, lets the DID ask for itself.
async fn require_to_be_let_in(server: &Server, sign_up: &SignUp) -> Result<(), SignUpError> {
    if sign_up.issuer.is_none() || sign_up.issuer != sign_up.did {
        return Err(SignUpError::Closed);
    }
    match &sign_up.invite_code {
        Some(code) if server.store.invite_is_of(code, invites::ADMIN).await? => Ok(()),
        _ => Err(SignUpError::ClosedToMoves),
    }
}

/// Gives a place back of which no account came.
pub(super) async fn give_back(server: &Server, place: Place) {
    let Some(place) = place else { return };
    if let Err(cause @ (StoreError::Database(_) | StoreError::Damaged(_) | StoreError::File(_))) =
        server.store.give_sign_up_back(place).await
    {
        tracing::warn!(%cause, "a sign-up that failed still counts against its address: {cause}");
    }
}

/// What counts as one address: one of IPv4, a subscriber's network of IPv6.
fn origin(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => Ipv6Net::new(address, IPV6_SUBSCRIBER_BITS)
            .map_or_else(|_| address.to_string(), |net| IpNet::V6(net).trunc().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{
        SignUpRules,
        accounts::create_account,
        testing::{World, policy},
    };

    #[test]
    fn an_ipv6_subscriber_counts_once_and_a_mapped_address_as_what_it_maps() {
        let same = |a: &str, b: &str| origin(a.parse().unwrap()) == origin(b.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }

    fn from(address: &str) -> SignUpBy {
        SignUpBy::Anyone { from: Some(address.parse().unwrap()) }
    }

    #[tokio::test]
    async fn one_address_makes_only_so_many_accounts_a_day_and_failures_do_not_count() {
        let mut policy = policy();
        policy.sign_up = SignUpRules { per_address: Some(2), ..SignUpRules::default() };
        let world = World::with(policy).await;
        let sign_up = async |name: &str, by: SignUpBy| {
            let mut sign_up = World::sign_up(name);
            sign_up.by = by;
            create_account(&world.server, sign_up).await.map(drop)
        };
        for _ in 0..3 {
            assert!(matches!(sign_up("no", from("192.0.2.1")).await, Err(SignUpError::Handle(_))));
        }
        sign_up("alice", from("192.0.2.1")).await.unwrap();
        let (two, three) = tokio::join!(sign_up("carol", from("192.0.2.1")), sign_up("dave", from("192.0.2.1")));
        assert_eq!(usize::from(two.is_ok()) + usize::from(three.is_ok()), 1, "{two:?} {three:?}");
        assert_eq!(sign_up("erin", from("192.0.2.1")).await, Err(SignUpError::TooManyFromThere));
        sign_up("erin", from("192.0.2.2")).await.unwrap();
        sign_up("frank", SignUpBy::Admin { reserved: Reserved::Refused }).await.unwrap();
        world.clock.advance(SIGN_UP_WINDOW);
        sign_up("grace", from("192.0.2.1")).await.unwrap();
    }

    #[tokio::test]
    async fn a_closed_server_makes_accounts_for_the_administrator_only() {
        let mut policy = policy();
        policy.invite_required = true;
        policy.sign_up.is_closed = true;
        let world = World::with(policy).await;
        let refused = create_account(&world.server, World::sign_up("alice")).await.unwrap_err();
        assert_eq!(refused, SignUpError::Closed);
        let mut own = World::sign_up("support");
        own.by = SignUpBy::Admin { reserved: Reserved::Refused };
        let refused = create_account(&world.server, own.clone()).await.unwrap_err();
        assert_eq!(refused, SignUpError::Handle(crate::service::handles::HandleError::Reserved));
        own.by = SignUpBy::Admin { reserved: Reserved::Allowed };
        create_account(&world.server, own).await.unwrap();
    }
}

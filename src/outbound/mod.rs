//! What the server asks of others: guarded HTTP, DNS, identities, the PLC directory, relays, mail.
//!
//! URLs that the operator set are trusted (they may be private or plain http); whatever a user, a client or a remote
//! document influences goes through the guard against server-side request forgery.
mod fetch;
mod flights;
mod guard;
mod lookup;
mod mail;
mod messages;
mod plc;
mod relay;
mod resolver;
#[cfg(test)]
pub(crate) mod testing;
mod tls;
mod txt;

pub use fetch::{
    FetchError, FetchLimits, Fetched, GuardedClient, OutboundOptions, Outgoing, OutgoingBody, Streamed, TrustedClient,
};
pub(crate) use flights::{Flights, Joined, landed};
pub use guard::Refusal;
pub use mail::{Mail, MailError, Mailer, SmtpOptions};
pub use messages::Messages;
pub use plc::{PlcClient, PlcError, PostError};
pub use relay::{HostStatus, RelayClient, RelayError};
pub use resolver::{Freshness, LocalDocuments, Remembered, ResolveError, Resolver, ResolverOptions};

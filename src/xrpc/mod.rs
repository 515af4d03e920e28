//! XRPC: what an endpoint is, how bytes become its types and back. Spec: <https://atproto.com/specs/xrpc>.

pub mod auth;
mod body;
mod error;
mod error_accounts;
mod error_credentials;
mod error_delegation;
mod error_imports;
mod error_lexicons;
mod error_records;
mod error_states;
mod gate;
mod params;
mod piped;
pub mod proxy;
mod reply;
mod request_id;
mod schemas;
mod table;

pub use body::{FromBody, Json, NoInput, Object, RequestBody, Upload};
pub use error::XrpcError;
pub use gate::Charge;
pub use piped::Piped;
pub use reply::{Empty, IntoReply, Reply, ReplyBody};
pub use request_id::RequestId;
pub use table::{Api, Call, Dispatch, MethodKind, Methods, NoParams, Procedure, Query, StreamItem, Subscription};

use http::HeaderMap;
use std::net::IpAddr;

/// What an endpoint and its auth may know of the request besides parameters and body.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The method that is called.
    pub nsid: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The client's address, after trusted proxies.
    pub client_ip: IpAddr,
}

//! A running server, as the command line talks to it: XRPC over HTTP with the administrator's password.

use super::{ConfigFile, Failure};
use crate::{
    config::{Config, Overrides},
    crypto::Secret,
    outbound::{OutboundOptions, Outgoing, OutgoingBody, TrustedClient},
};
use clap::Args;
use data_encoding::BASE64;
use futures_util::StreamExt;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::Value;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use url::Url;

/// Bytes of an answer: at most a page of accounts.
const ANSWER_BYTES: usize = 8 << 20;
/// How long an answer may take: making an account asks the PLC directory.
const WAIT: Duration = Duration::from_mins(1);

/// Which server, and as whom.
#[derive(Clone, Debug, Args)]
pub(super) struct ServerArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Address of the server [default: where the configured one listens]
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
}

/// A server that can be asked.
pub(super) struct Api {
    base: Url,
    admin: Option<Secret>,
    client: TrustedClient,
}

impl Api {
    /// From the arguments; else the address that the configuration lets the server listen on.
    pub(super) fn new(args: &ServerArgs) -> Result<Self, Failure> {
        let overrides = Overrides {
            // With --server nothing else need be configured but the password.
            hostname: args.server.as_ref().and_then(Url::host_str).map(str::to_owned),
            ..Overrides::default()
        };
        let (config, _) = Config::read(args.file.config.as_deref(), overrides)?;
        let outbound = OutboundOptions {
            allow_private_addresses: true,
            extra_ca_pem: config.outbound.extra_ca_pem.clone(),
            user_agent: concat!("housekey/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..OutboundOptions::default()
        };
        let base = match &args.server {
            Some(url) => url.clone(),
            None => local(config.server.listen)?,
        };
        Ok(Self { base, admin: config.admin.password, client: TrustedClient::new(&outbound)? })
    }

    /// GET of a path such as `/xrpc/_health`.
    pub(super) async fn get(&self, path_and_query: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, self.url(path_and_query)?, None, None).await
    }

    /// GET of a method as the administrator.
    pub(super) async fn admin_get(&self, nsid: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let mut url = self.url(&format!("/xrpc/{nsid}"))?;
        url.query_pairs_mut().extend_pairs(query);
        self.ask(Method::GET, url, Some(self.basic()?), None).await
    }

    /// POST to a method as the administrator; null sends no body.
    pub(super) async fn admin_post(&self, nsid: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(
            Method::POST,
            self.url(&format!("/xrpc/{nsid}"))?,
            Some(self.basic()?),
            Some(body).filter(|body| !body.is_null()),
        )
        .await
    }

    async fn ask(
        &self,
        method: Method,
        url: Url,
        authorization: Option<HeaderValue>,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut headers = HeaderMap::new();
        headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        headers.extend(body.map(|_| (CONTENT_TYPE, HeaderValue::from_static("application/json"))));
        let body = body.map_or(OutgoingBody::Empty, |body| OutgoingBody::Bytes(body.to_string().into()));
        let unreachable = |cause| Failure::new(format!("{} could not be reached: {cause}", self.base));
        let mut answer = self.client.send(Outgoing { method, url, headers, body }, WAIT).await.map_err(unreachable)?;
        let mut bytes = Vec::new();
        while let Some(piece) = answer.body.next().await {
            bytes.extend_from_slice(&piece.map_err(unreachable)?);
            if bytes.len() > ANSWER_BYTES {
                return Err(Failure::new(format!("{} answered with more than {ANSWER_BYTES} bytes", self.base)));
            }
        }
        self.read(answer.status, &bytes)
    }

    fn url(&self, path_and_query: &str) -> Result<Url, Failure> {
        self.base.join(path_and_query).map_err(|cause| Failure::new(format!("{}: {cause}", self.base)))
    }

    fn basic(&self) -> Result<HeaderValue, Failure> {
        let password = self.admin.as_ref().ok_or_else(|| {
            Failure::usage("the administrator's password is needed: set [admin] password or HOUSEKEY_ADMIN_PASSWORD")
        })?;
        let pair = format!("admin:{}", password.expose());
        let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(pair.as_bytes())))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn read(&self, status: StatusCode, body: &[u8]) -> Result<Value, Failure> {
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, message) = (text("error"), text("message"));
        Err(Failure::new(match (name.is_empty(), message.is_empty()) {
            (true, true) => format!("{} answered with status {status}", self.base),
            (_, true) => name,
            (_, false) => message,
        }))
    }
}

/// The address of a server on this machine that listens on `listen`.
fn local(mut listen: SocketAddr) -> Result<Url, Failure> {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    Url::parse(&format!("http://{listen}")).map_err(Failure::new)
}

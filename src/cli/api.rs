//! A running server, as the command line talks to it: XRPC over HTTP with the administrator's password.

use super::{ConfigFile, Failure};
use crate::{
    client::pds::{CallError, Pds, Through},
    config::{Config, Overrides},
    crypto::Secret,
    outbound::{OutboundOptions, TrustedClient},
};
use clap::Args;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::Url;

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
    pds: Pds,
    password: Option<Secret>,
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
        let pds = Pds::new(base, Through::Trusted(TrustedClient::new(&outbound)?));
        Ok(Self { pds, password: config.admin.password })
    }

    /// GET of a method, as anybody.
    pub(super) async fn get(&self, nsid: &str) -> Result<Value, Failure> {
        self.pds.get(nsid, &[]).await.map_err(plain)
    }

    /// GET of a method as the administrator.
    pub(super) async fn admin_get(&self, nsid: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.admin()?.get(nsid, query).await.map_err(plain)
    }

    /// All pages of a method as the administrator: what its answers list under `field`, in so many at once.
    pub(super) async fn admin_all(
        &self,
        nsid: &str,
        query: &[(&str, &str)],
        (field, page): (&str, &str),
    ) -> Result<Vec<Value>, Failure> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = [query, &[("limit", page)]].concat();
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let answer = self.admin_get(nsid, &query).await?;
            all.extend(answer.get(field).and_then(Value::as_array).into_iter().flatten().cloned());
            cursor = answer.get("cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// POST to a method as the administrator; null sends no body.
    pub(super) async fn admin_post(&self, nsid: &str, body: &Value) -> Result<Value, Failure> {
        self.admin()?.post(nsid, body).await.map_err(plain)
    }

    fn admin(&self) -> Result<Pds, Failure> {
        let password = self.password.as_ref().ok_or_else(|| {
            Failure::usage("the administrator's password is needed: set [admin] password or HOUSEKEY_ADMIN_PASSWORD")
        })?;
        Ok(self.pds.as_admin(password))
    }
}

/// The administrator's own server need not be named: its sentence says enough.
fn plain(cause: CallError) -> Failure {
    if let CallError::Refused { message, name: Some(_), .. } = &cause {
        return Failure::new(message);
    }
    Failure::new(cause)
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

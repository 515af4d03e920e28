//! The kinds of single values.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use serde_json::Value;
use url::Url;

use super::value::{Refused, Scalar, Shape};
use crate::{
    clock::Timestamp,
    crypto::{DidKey, Secret, SigningKey, seal::MasterKey},
    limits::{
        community::SIGN_UPS_PER_ADDRESS_MAX,
        config::{MAX_BYTES, MAX_COUNT, MAX_HOURS, MAX_SECONDS},
    },
    syntax::{Datetime, Did, Handle},
};

/// A kind whose value is shown by its `Display`, or as it says.
macro_rules! scalar {
    ($(#[$about:meta])* $name:ident: $value:ty, $expected:expr, $parse:expr $(, shape $shape:ident)? $(, show $show:expr)?) => {
        $(#[$about])*
        pub(super) struct $name;

        impl Scalar for $name {
            type Value = $value;
            const EXPECTED: &'static str = $expected;
            $(const SHAPE: Shape = Shape::$shape;)?

            fn parse(text: &str) -> Result<$value, Refused> {
                $parse(text)
            }

            fn show(value: &$value) -> Value {
                scalar!(@show value $(, $show)?)
            }
        }
    };
    (@show $shown:ident) => { Value::from($shown.to_string()) };
    (@show $shown:ident, $show:expr) => { Value::from($show($shown)) };
}

/// A kind whose value is never shown.
macro_rules! secret {
    ($(#[$about:meta])* $name:ident: $value:ty, $expected:literal, $parse:expr) => {
        $(#[$about])*
        pub(super) struct $name;

        impl Scalar for $name {
            type Value = $value;
            const EXPECTED: &'static str = $expected;
            const SECRET: bool = true;

            fn parse(text: &str) -> Result<$value, Refused> {
                $parse(text)
            }

            fn show(_: &$value) -> Value {
                Value::Null
            }
        }
    };
}

scalar!(
    /// The server's own name, lower-cased.
    HostName: String, "a host name such as \"pds.example.com\", without https:// and without a port", host_name
);
scalar!(
    /// A domain for handles, lower-cased, without the leading dot.
    HandleDomain: String, "a domain such as \"pds.example.com\", under which accounts get handles", handle_domain
);
scalar!(
    /// Where to listen.
    Address: SocketAddr, "an IP address with a port, such as \"127.0.0.1:2583\" or \"[::1]:2583\",", parsed
);
scalar!(
    /// A DNS server; the port is 53 unless given.
    DnsServer: SocketAddr, "an IP address, with or without a port, such as \"9.9.9.9\" or \"9.9.9.9:53\",", dns_server
);
scalar!(
    /// Addresses that belong together.
    Network: IpNet, "an IP address or a block of them, such as \"10.0.0.1\" or \"172.16.0.0/12\",", network
);
scalar!(
    /// A path, relative to where the program is started.
    Directory: PathBuf, "the path of a directory", path, show |path: &PathBuf| path.to_string_lossy().into_owned()
);
scalar!(
    /// An account's or service's permanent name.
    DidText: Did, "a DID such as \"did:web:example.com\"", parsed
);
scalar!(
    /// A public key.
    PublicKey: DidKey, "a K-256 or P-256 public key such as \"did:key:zQ3sh…\"", parsed
);
scalar!(
    /// The server's address for clients: an origin.
    PublicUrl: Url,
    "a URL such as \"https://pds.example.com\", without a path (http:// is for localhost and loopback addresses only)",
    public_url, show url_text
);
scalar!(
    /// The address of a service that the operator trusts.
    ServiceUrl: Url, "a URL such as \"https://example.com\"", service_url, show url_text
);
scalar!(
    /// The address of a page for people.
    PageUrl: String, "the URL of a page, such as \"https://example.com/terms\"", page_url
);
scalar!(
    /// Where images are found: the three places are for preset, DID and CID.
    CdnPattern: String,
    "a URL with %s in three places, for preset, DID and CID, such as \"https://cdn.example.com/img/%s/plain/%s/%s@jpeg\"",
    cdn_pattern
);
scalar!(
    /// A mail address, with or without a name.
    Sender: String, "a mail address such as \"pds@example.com\" or \"Example PDS <pds@example.com>\"", sender
);
scalar!(
    /// A bare mail address.
    MailAddress: String, "a mail address such as \"admin@example.com\"", mail_address
);
scalar!(
    /// One line of text.
    Line: String, "a text of one line that is not empty", line
);
scalar!(
    /// Yes or no.
    Flag: bool, "true or false", parsed, shape Flag, show |flag: &bool| *flag
);
scalar!(
    /// A size in bytes.
    Bytes: u64, "a number of bytes from 1 to 1099511627776 (1 TiB)", |text| number(text, MAX_BYTES),
    shape Number, show |bytes: &u64| *bytes
);
scalar!(
    /// A number of points.
    Points: u32, "a whole number from 1 to 1000000000", |text| {
        number(text, u64::from(MAX_COUNT)).map(|number| u32::try_from(number).unwrap_or(MAX_COUNT))
    }, shape Number, show |count: &u32| *count
);
scalar!(
    /// A number of stored things.
    Many: u64, "a whole number from 1 to 1000000000", |text| number(text, u64::from(MAX_COUNT)), shape Number,
    show |count: &u64| *count
);
scalar!(
    /// A time in hours.
    Hours: Duration, "a number of hours from 1 to 876000", |text| number(text, MAX_HOURS).map(Duration::from_hours),
    shape Number, show |time: &Duration| time.as_secs() / 3_600
);
scalar!(
    /// A time in seconds.
    Seconds: Duration, "a number of seconds from 1 to 3153600000",
    |text| number(text, MAX_SECONDS).map(Duration::from_secs),
    shape Number, show Duration::as_secs
);

scalar!(
    /// How many; 0 stands for no bound.
    Count: u64, "a number from 0 to 1000000",
    |text: &str| match text.parse() {
        Ok(number) if number <= SIGN_UPS_PER_ADDRESS_MAX => Ok(number),
        Ok(_) | Err(_) => Err(Refused(None)),
    },
    shape Number, show |count: &u64| *count
);
scalar!(
    /// A point in time.
    Instant: Timestamp, "a time such as \"2026-01-01T00:00:00Z\"",
    |text: &str| Ok(text.parse::<Datetime>()?.timestamp()), show |time: &Timestamp| time.to_rfc3339_millis()
);

secret!(
    /// A password, or another secret of any form.
    AnySecret: Secret, "a text that is not empty", any_secret
);
secret!(
    /// A K-256 private key.
    PrivateKey: SigningKey, "a K-256 private key as 64 hexadecimal digits (openssl rand -hex 32 makes one)",
    |text| SigningKey::from_hex(text).map_err(|_| Refused(None))
);
secret!(
    /// The key that seals secrets at rest.
    SealingKey: MasterKey, "a key of 64 hexadecimal digits (openssl rand -hex 32 makes one)",
    |text| MasterKey::from_hex(text).ok_or(Refused(None))
);
secret!(
    /// A mail server with its credentials.
    SmtpUrl: Secret, "a URL such as \"smtps://user:password@smtp.example.com\" (smtp:// or smtps://)", smtp_url
);

/// A URL without the slash that stands for an empty path.
fn url_text(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn parsed<T: std::str::FromStr<Err: std::error::Error>>(text: &str) -> Result<T, Refused> {
    Ok(text.parse()?)
}

fn refused(why: &str) -> Refused {
    Refused(Some(why.to_owned()))
}

fn host_name(text: &str) -> Result<String, Refused> {
    let name = text.to_ascii_lowercase();
    // An address serves for trying things out.
    if name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Ok(name);
    }
    Ok(name.parse::<Handle>().map_err(|cause| refused(cause.why))?.to_string())
}

fn handle_domain(text: &str) -> Result<String, Refused> {
    let domain = text.strip_prefix('.').unwrap_or(text).to_ascii_lowercase();
    // A domain serves if there can be a handle under it.
    match format!("a.{domain}").parse::<Handle>() {
        Ok(_) => Ok(domain),
        Err(cause) => Err(refused(cause.why)),
    }
}

fn dns_server(text: &str) -> Result<SocketAddr, Refused> {
    const DNS_PORT: u16 = 53;
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(SocketAddr::new(address, DNS_PORT)),
        Err(_) => parsed(text),
    }
}

fn network(text: &str) -> Result<IpNet, Refused> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.into()),
        Err(_) => parsed(text),
    }
}

fn path(text: &str) -> Result<PathBuf, Refused> {
    if text.is_empty() || text.contains('\0') { Err(refused("it is empty")) } else { Ok(PathBuf::from(text)) }
}

fn line(text: &str) -> Result<String, Refused> {
    if text.trim().is_empty() || text.chars().any(char::is_control) { Err(Refused(None)) } else { Ok(text.to_owned()) }
}

fn number(text: &str, max: u64) -> Result<u64, Refused> {
    match text.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(Refused(None)),
    }
}

fn service_url(text: &str) -> Result<Url, Refused> {
    let url: Url = text.parse()?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("it must begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("there may be no user name and no password in it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("there may be no ? and no # in it"));
    }
    Ok(url)
}

fn public_url(text: &str) -> Result<Url, Refused> {
    let url = service_url(text)?;
    if url.path() != "/" {
        return Err(refused("there may be no path in it"));
    }
    Ok(url)
}

fn page_url(text: &str) -> Result<String, Refused> {
    let url: Url = text.parse()?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(text.to_owned())
    } else {
        Err(refused("it must begin with https:// or http://"))
    }
}

fn cdn_pattern(text: &str) -> Result<String, Refused> {
    page_url(&text.replace("%s", "x"))?;
    if text.matches("%s").count() == 3 { Ok(text.to_owned()) } else { Err(Refused(None)) }
}

fn sender(text: &str) -> Result<String, Refused> {
    text.parse::<lettre::message::Mailbox>()?;
    Ok(text.to_owned())
}

fn mail_address(text: &str) -> Result<String, Refused> {
    text.parse::<lettre::Address>()?;
    Ok(text.to_owned())
}

fn any_secret(text: &str) -> Result<Secret, Refused> {
    if text.is_empty() { Err(refused("it is empty")) } else { Ok(Secret::new(text)) }
}

fn smtp_url(text: &str) -> Result<Secret, Refused> {
    let url: Url = text.parse()?;
    if matches!(url.scheme(), "smtp" | "smtps") && url.has_host() { Ok(Secret::new(text)) } else { Err(Refused(None)) }
}

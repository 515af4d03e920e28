//! Who is at the other end, and which name they asked for, after proxies that are trusted.

use crate::limits::http::FORWARDED_HOPS;
use http::{HeaderMap, HeaderName, Uri, header};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

fn trusts(proxies: &[IpNet], address: IpAddr) -> bool {
    proxies.iter().any(|net| net.contains(&address))
}

/// Whether what this peer says about others is believed.
pub(super) fn is_trusted(proxies: &[IpNet], peer: SocketAddr) -> bool {
    trusts(proxies, peer.ip().to_canonical())
}

/// The client's address. `X-Forwarded-For` is read from the right, where the nearest proxy wrote: whatever stands left
/// of the first address that is not trusted may be invented.
pub(super) fn client_ip(proxies: &[IpNet], peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let mut client = peer.ip().to_canonical();
    if proxies.is_empty() || !trusts(proxies, client) {
        return client;
    }
    let hops = headers.get_all(X_FORWARDED_FOR).iter().rev().flat_map(|value| value.as_bytes().rsplit(|&b| b == b','));
    for hop in hops.take(FORWARDED_HOPS) {
        let Some(address) = std::str::from_utf8(hop).ok().and_then(|text| parse_address(text.trim())) else {
            return client;
        };
        client = address;
        if !trusts(proxies, client) {
            return client;
        }
    }
    client
}

fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// The name that was asked for, as it was written, without port; empty if there was none. An absolute URI wins over the
/// header, as HTTP demands; a trusted proxy's `X-Forwarded-Host` over both.
pub(super) fn host<'a>(proxies: &[IpNet], peer: SocketAddr, uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    let forwarded = || {
        let value = headers.get(X_FORWARDED_HOST)?;
        trusts(proxies, peer.ip().to_canonical()).then_some(())?;
        // The first is what the client asked of the first proxy.
        value.to_str().ok()?.split(',').next().map(str::trim)
    };
    let asked = forwarded()
        .or_else(|| uri.authority().map(http::uri::Authority::as_str))
        .or_else(|| headers.get(header::HOST).and_then(|value| value.to_str().ok()))
        .unwrap_or("");
    without_port(asked)
}

fn without_port(host: &str) -> &str {
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    match host.split_once(':') {
        // More than one colon: an IPv6 address without brackets.
        Some((_, rest)) if rest.contains(':') => host,
        Some((name, _)) => name,
        None => host,
    }
}

/// Whether the request names its host once, as HTTP/1.1 demands, and with nothing in it that no host has.
pub(super) fn has_one_host(version: http::Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let is_good = hosts.next().map_or(version < http::Version::HTTP_11, |host| is_host(host.as_bytes()));
    is_good && hosts.next().is_none()
}

/// Characters of names, addresses and ports (RFC 3986, 3.2.2); no user name, no path.
fn is_host(host: &[u8]) -> bool {
    host.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_~:[]%!$&'()*+,;=".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_host_with_spaces_a_path_or_a_user_is_refused() {
        let headers = |host: &'static str| HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
        for good in ["", "localhost", "pds.example.com:2583", "[::1]:80", "127.0.0.1", "a_b.example"] {
            assert!(has_one_host(http::Version::HTTP_11, &headers(good)), "{good}");
        }
        for bad in ["a b", "a/b", "a?b", "a#b", "x@a", "a\\b", "a\tb", "<a>"] {
            assert!(!has_one_host(http::Version::HTTP_11, &headers(bad)), "{bad}");
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(proxies: &[&str], peer: &str, forwarded: &[&str]) -> IpAddr {
        let proxies: Vec<IpNet> = proxies.iter().map(|net| net.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        client_ip(&proxies, SocketAddr::new(ip(peer), 1), &headers)
    }

    #[test]
    fn a_stranger_cannot_say_who_it_is() {
        assert_eq!(client(&[], "203.0.113.9", &["198.51.100.1"]), ip("203.0.113.9"));
        assert_eq!(client(&["127.0.0.0/8"], "203.0.113.9", &["127.0.0.1"]), ip("203.0.113.9"));
    }

    #[test]
    fn what_a_client_invents_left_of_its_own_address_is_ignored() {
        assert_eq!(client(&["127.0.0.0/8"], "127.0.0.1", &["10.0.0.1, 198.51.100.7"]), ip("198.51.100.7"));
        assert_eq!(client(&["127.0.0.0/8"], "127.0.0.1", &["10.0.0.1", "198.51.100.7"]), ip("198.51.100.7"));
    }

    #[test]
    fn a_chain_of_trusted_proxies_is_walked_through() {
        let trusted = ["127.0.0.0/8", "10.0.0.0/8"];
        assert_eq!(client(&trusted, "127.0.0.1", &["6.6.6.6, 198.51.100.7, 10.1.2.3"]), ip("198.51.100.7"));
        assert_eq!(client(&trusted, "127.0.0.1", &["10.0.0.9, 10.1.2.3"]), ip("10.0.0.9"));
        assert_eq!(client(&trusted, "127.0.0.1", &[]), ip("127.0.0.1"));
    }

    #[test]
    fn rubbish_ends_the_walk_and_ports_and_mapped_addresses_are_understood() {
        assert_eq!(client(&["127.0.0.0/8"], "127.0.0.1", &["198.51.100.7, unknown"]), ip("127.0.0.1"));
        assert_eq!(client(&["127.0.0.0/8"], "127.0.0.1", &["198.51.100.7:4711"]), ip("198.51.100.7"));
        assert_eq!(client(&["127.0.0.0/8"], "::ffff:127.0.0.1", &["[2001:db8::1]:80"]), ip("2001:db8::1"));
        assert_eq!(client(&["::1/128"], "::1", &["[2001:db8::1]"]), ip("2001:db8::1"));
    }

    fn asked(uri: &str, host_header: &str, forwarded: Option<&str>, peer: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host_header).unwrap());
        if let Some(value) = forwarded {
            headers.insert(X_FORWARDED_HOST, HeaderValue::from_str(value).unwrap());
        }
        let proxies = ["127.0.0.0/8".parse().unwrap()];
        host(&proxies, SocketAddr::new(ip(peer), 1), &uri.parse().unwrap(), &headers).to_owned()
    }

    #[test]
    fn the_host_is_the_uris_then_the_headers() {
        assert_eq!(asked("/", "alice.example.com:8080", None, "203.0.113.9"), "alice.example.com");
        assert_eq!(asked("http://bob.example.com:1/", "alice.example.com", None, "203.0.113.9"), "bob.example.com");
        assert_eq!(asked("/", "[::1]:2583", None, "203.0.113.9"), "::1");
        assert_eq!(asked("/", "::1", None, "203.0.113.9"), "::1");
    }

    #[test]
    fn a_forwarded_host_counts_only_from_a_trusted_proxy() {
        assert_eq!(asked("/", "inside", Some("alice.example.com"), "127.0.0.1"), "alice.example.com");
        assert_eq!(asked("/", "inside", Some("alice.example.com, x"), "127.0.0.1"), "alice.example.com");
        assert_eq!(asked("/", "inside", Some("alice.example.com"), "203.0.113.9"), "inside");
    }
}

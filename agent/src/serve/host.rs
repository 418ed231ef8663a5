//! By which names a browser may call this server.
//!
//! A page of another site can have its own name point to this address ("DNS rebinding"). To the
//! browser the two are one site then, and the page reads what this server answers. The requests
//! carry that other name as `Host`, so they can be told.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, Ipv6Addr},
};

use axum::http::{Request, header::HOST, uri::Authority};

/// The names.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    any: bool,
    names: HashSet<String>,
}

impl Hosts {
    /// These names, in lower case, besides addresses and `localhost`; `*` is any.
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names: HashSet<_> = names.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { any: names.contains("*"), names }
    }

    /// Is the server called by a name of its own? A request without any name is of no browser.
    pub(super) fn admit<B>(&self, request: &Request<B>) -> bool {
        if self.any {
            return true;
        }
        // Of HTTP/2, and of a request to a proxy; it counts before the header.
        let target = request.uri().authority().map(Authority::as_str);
        let headers = request.headers().get_all(HOST).iter();
        let headers = headers.map(|value| value.to_str().unwrap_or_default());
        target.into_iter().chain(headers).all(|host| self.is_own(host))
    }

    /// Is this, perhaps with a port behind it, an address or a known name?
    fn is_own(&self, host: &str) -> bool {
        if let Some(rest) = host.strip_prefix('[') {
            let address = rest.split_once(']').map(|(address, _)| address);
            return address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
        }
        let name = host.split_once(':').map_or(host, |(name, _)| name);
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        name.parse::<Ipv4Addr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.names.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, hosts: &[&str]) -> Request<()> {
        let builder = Request::get(uri);
        hosts.iter().fold(builder, |builder, host| builder.header(HOST, *host)).body(()).unwrap()
    }

    #[test]
    fn names_of_our_own() {
        let hosts = Hosts::new(["Node-1".to_owned(), "web.example".to_owned()]);
        for (host, own) in [
            ("127.0.0.1:4676", true),
            ("10.1.2.3", true),
            ("[::1]:4676", true),
            ("[fe80::1]", true),
            ("localhost", true),
            ("LOCALHOST:1", true),
            ("localhost.:4676", true),
            ("a.localhost", true),
            ("node-1:4676", true),
            ("NODE-1", true),
            ("web.example.", true),
            ("evil.example:4676", false),
            ("web.example.evil", false),
            ("evil-localhost", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1@evil.example", false),
            ("2130706433", false),
            ("0x7f.1", false),
            ("[::1", false),
            ("[evil]", false),
            ("", false),
            ("*", false),
            ("é", false),
        ] {
            assert_eq!(hosts.is_own(host), own, "{host}");
        }
    }

    #[test]
    fn every_name_counts() {
        let hosts = Hosts::default();
        assert!(hosts.admit(&request("/", &[])));
        assert!(hosts.admit(&request("/", &["localhost"])));
        assert!(!hosts.admit(&request("/", &["localhost", "evil"])));
        assert!(!hosts.admit(&request("http://evil/", &["localhost"])));
        assert!(!hosts.admit(&request("http://localhost/", &["evil"])));
        assert!(Hosts::new(["*".to_owned()]).admit(&request("http://evil/", &["other"])));
    }
}

//! Asks other servers what steps of routines want to know (`periphery.md` 10).
//!
//! Names are resolved first and the address that was looked at is the one that is connected to, so that a name
//! cannot mean another machine a moment later. Addresses that only this machine or its network reach are
//! refused unless the operator allows them. At least once: what was asked and not reported is asked again.
//! Nothing in Taffrail speaks TLS, this neither.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, Url};
use serde_json::Value;
use taffrail_domain::routine::{Fetch, Fetched};

/// How long an answer may take, names and body included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most of an answer that is read.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Most hops on one host.
const REDIRECTS_MAX: usize = 5;

/// What steps of routines may ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach {
    /// Whether private, loopback and link-local addresses too.
    pub allows_private: bool,
}

impl Reach {
    /// Asks, and says what became of it.
    pub(super) async fn perform(self, fetch: &Fetch) -> Fetched {
        let asked = tokio::time::timeout(PATIENCE, self.ask(fetch)).await;
        match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Fetched::Failed(error),
            Err(_) => Fetched::Failed(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    async fn ask(self, fetch: &Fetch) -> Result<Fetched, String> {
        let url = Url::parse(&fetch.url).map_err(|error| format!("url: {error}"))?;
        if url.scheme() != "http" {
            return Err("only http is spoken here: let a proxy of yours speak TLS".to_owned());
        }
        let host = url.host_str().ok_or("url names no host")?.to_owned();
        if !may_ask(&fetch.egress_targets, &url) {
            return Err(format!("{host} is none of the routine's egress_targets"));
        }
        let addresses = self.resolve(&host).await?;
        let (targets, same_host) = (fetch.egress_targets.clone(), host.clone());
        let client = Client::builder()
            .resolve_to_addrs(&host, &addresses)
            .redirect(Policy::custom(move |attempt| {
                // Each hop is looked at as the first one was: another host was not looked up, another port
                // may be none of the targets.
                let next = attempt.url();
                let may_follow = next.scheme() == "http"
                    && next.host_str() == Some(&same_host)
                    && may_ask(&targets, next)
                    && attempt.previous().len() <= REDIRECTS_MAX;
                // The answer is the one that points elsewhere.
                if may_follow { attempt.follow() } else { attempt.stop() }
            }))
            // A proxy would look names up by itself.
            .no_proxy()
            .user_agent(concat!("taffrail/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(told)?;
        let method: Method = fetch.method.parse().map_err(|_| "method is none".to_owned())?;
        let mut request = client.request(method, url).headers(headers(fetch)?);
        request = match &fetch.body {
            None | Some(Value::Null) => request,
            Some(Value::String(text)) => request.body(text.clone()),
            Some(value) => request.json(value),
        };
        read(request.send().await.map_err(told)?).await
    }

    /// Every address of a host, if all of them may be asked: one of several would be chosen by chance. They
    /// name no port: each hop has its own.
    async fn resolve(self, host: &str) -> Result<Vec<SocketAddr>, String> {
        // An IPv6 address stands in brackets.
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((bare, 0)).await;
        let found: Vec<SocketAddr> = found.map_err(|_| format!("{host} cannot be found"))?.collect();
        if found.is_empty() {
            return Err(format!("{host} cannot be found"));
        }
        if !self.allows_private && !found.iter().all(|address| is_public(address.ip())) {
            return Err(format!("{host} is a private address"));
        }
        Ok(found)
    }
}

/// Whether a routine with these targets may ask there; one without may ask anywhere.
fn may_ask(targets: &[String], url: &Url) -> bool {
    targets.is_empty() || targets.iter().any(|target| is_for(target, url))
}

/// `example.com`, `example.com:8080`, or `*.example.com` for everything below it.
fn is_for(target: &str, url: &Url) -> bool {
    let target = target.trim().to_lowercase();
    let target = target.split_once("://").map_or(&*target, |(_, rest)| rest);
    let target = target.split('/').next().unwrap_or_default();
    let host = url.host_str().unwrap_or_default().to_lowercase();
    if let Some(parent) = target.strip_prefix("*.") {
        return host.strip_suffix(parent).is_some_and(|below| below.ends_with('.'));
    }
    let with_port = url.port_or_known_default().map(|port| format!("{host}:{port}"));
    target == host || with_port.is_some_and(|with_port| target == with_port)
}

fn headers(fetch: &Fetch) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &fetch.headers {
        let refused = || format!("header {name:.64} is none");
        let named: HeaderName = name.parse().map_err(|_| refused())?;
        let value: HeaderValue = value.parse().map_err(|_| refused())?;
        headers.insert(named, value);
    }
    Ok(headers)
}

async fn read(mut response: Response) -> Result<Fetched, String> {
    let status = response.status().as_u16();
    let mut body = vec![];
    while let Some(piece) = response.chunk().await.map_err(told)? {
        if body.len() + piece.len() > BODY_BYTES_MAX {
            return Err("the answer is larger than 1 MiB".to_owned());
        }
        body.extend_from_slice(&piece);
    }
    Ok(Fetched::Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Addresses may hold secrets: an error tells its cause without them.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        text = deeper.to_string();
        cause = deeper.source();
    }
    text
}

/// Whether an address belongs to the public internet: none of this machine, its networks, or of no one.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    let is_benchmark = first == 198 && matches!(second, 18 | 19);
    let is_protocol = first == 192 && second == 0 && third == 0;
    !(first == 0
        || first >= 240
        || is_shared
        || is_benchmark
        || is_protocol
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4 in other clothes: mapped, compatible, translated, tunnelled.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        [0x64, 0xff9b, 1, ..] | [0x2001, 0xdb8, ..] | [0x2001, 0, ..] => false,
        // Only this eighth of them is given out.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2002:101:101::", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().expect(public)), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().expect(private)), "{private}");
        }
    }

    /// A server that gives one answer, over and over.
    async fn answering(answer: String) -> SocketAddr {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 1024];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn a_hop_leads_only_where_the_routine_may_ask_anyway() {
        let end = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_owned();
        let last = answering(end).await;
        let hop = |to: String| {
            format!("HTTP/1.1 307 Hop\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        };
        let first = answering(hop(format!("http://{last}/"))).await;
        let elsewhere = answering(hop(format!("http://localhost:{}/", last.port()))).await;
        let ask = async |from: SocketAddr, targets: &[String]| {
            let fetch = Fetch {
                run: "run_1".into(),
                step: "a".into(),
                fence: taffrail_domain::Offset(1),
                method: "GET".to_owned(),
                url: format!("http://{from}/"),
                headers: std::collections::BTreeMap::new(),
                body: None,
                egress_targets: targets.to_vec(),
            };
            Reach { allows_private: true }.perform(&fetch).await
        };
        let answer = |status, body: &str| Fetched::Answer { status, body: body.to_owned() };
        let (host, own) = ("127.0.0.1".to_owned(), first.to_string());
        assert_eq!(ask(first, &[]).await, answer(200, "ok"));
        assert_eq!(ask(first, &[host]).await, answer(200, "ok"));
        assert_eq!(ask(first, &[own]).await, answer(307, ""), "another port is none of the targets");
        assert_eq!(ask(elsewhere, &[]).await, answer(307, ""), "another host was not looked up");
    }

    #[tokio::test]
    async fn an_address_that_is_connected_to_brings_no_port_along() {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            let found = Reach { allows_private: true }.resolve(host).await.expect(host);
            assert!(found.iter().all(|address| address.port() == 0), "{found:?}");
        }
    }

    #[test]
    fn a_target_is_a_host_a_port_of_it_or_all_that_is_below_it() {
        let url = Url::parse("http://api.example.com:8080/x").expect("a url");
        for target in ["api.example.com", "API.example.com:8080", "*.example.com", "http://api.example.com/y"]
        {
            assert!(is_for(target, &url), "{target}");
        }
        for target in ["example.com", "api.example.com:80", "*.api.example.com", "*.ample.com", ""] {
            assert!(!is_for(target, &url), "{target}");
        }
    }
}

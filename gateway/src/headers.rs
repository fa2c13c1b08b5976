//! What may pass between client and upstream: hop-by-hop fields, forwarded fields, identity fields and the gateway's
//! own cookies (RFC 9110 sections 7.6 and 17; docs/threats.md T-03, T-04 and T-10).

use std::net::IpAddr;
use std::rc::Rc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use policy::{Host, RequestId};

use crate::telemetry::TRACEPARENT;

/// Every name the gateway's own cookies begin with.
pub const COOKIE_PREFIX: &str = "__Host-sekimori";
/// The header that carries the signed assertion of who asks.
pub const ASSERTION: HeaderName = HeaderName::from_static("sekimori-assertion");

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Fields that speak about one connection only.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Fields that steer a message and may not come after it.
const NEVER_IN_TRAILERS: [HeaderName; 10] = [
    header::AUTHORIZATION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::EXPECT,
    header::HOST,
    header::LOCATION,
    header::SET_COOKIE,
];

/// Fields that say where a request came from, who sent it, or that it does something else than its method and path say:
/// only the gateway writes them. Apps trust these by habit, so they are removed also where there is nothing to put in
/// their place.
const VOUCHED: [&str; 16] = [
    "forwarded",
    "remote-user",
    "true-client-ip",
    "x-client-ip",
    "x-email",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-remote-user",
    "x-request-id",
    "x-rewrite-url",
    "x-roles",
    "x-ssl-client-cert",
    "x-user",
];
/// Beginnings of such fields.
const VOUCHED_BEGINNINGS: [&str; 6] =
    ["sekimori-", "x-auth-", "x-forwarded-", "x-remote-", "x-sekimori-", "x-ssl-client-"];

/// How a client is introduced to every upstream: the same for all requests of one connection, so made once for it.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// The peer's address.
    address: HeaderValue,
    /// The host people used, with the port where browsers write one.
    pub host: HeaderValue,
    /// All of it by RFC 7239.
    forwarded: HeaderValue,
    /// The same as lines of an HTTP/1.1 head.
    lines: Box<[u8]>,
}

impl Introduction {
    /// The introduction of a peer that asks for a host. `None` for what cannot stand in a header, which no address
    /// and no host is.
    pub fn new(address: IpAddr, host: &Host, public_port: u16) -> Option<Self> {
        let authority = if public_port == 443 { host.to_string() } else { format!("{host}:{public_port}") };
        // A host with a port is quoted (RFC 7239 section 4).
        let quoted = if public_port == 443 { authority.clone() } else { format!("\"{authority}\"") };
        let node = match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("\"[{v6}]\""),
        };
        let address = HeaderValue::from_str(&address.to_string()).ok()?;
        let host = HeaderValue::from_str(&authority).ok()?;
        let forwarded = HeaderValue::from_str(&format!("for={node};host={quoted};proto=https")).ok()?;
        let mut lines = Vec::new();
        push_field(&mut lines, &X_FORWARDED_FOR, &address);
        push_field(&mut lines, &X_FORWARDED_HOST, &host);
        push_field(&mut lines, &X_FORWARDED_PROTO, &HeaderValue::from_static("https"));
        push_field(&mut lines, &header::FORWARDED, &forwarded);
        Some(Self { address, host, forwarded, lines: lines.into() })
    }
}

/// What the gateway tells an upstream about a request, in fields of its own: every spelling of them that the client sent
/// was removed before.
#[derive(Debug)]
pub struct Told {
    /// The request.
    pub id: RequestId,
    /// How its client is introduced.
    pub introduction: Rc<Introduction>,
    /// The signed assertion, where the app wants one.
    pub assertion: Option<HeaderValue>,
    /// Identity headers of the app that have a value.
    pub identity: Vec<(HeaderName, HeaderValue)>,
    /// Whether the client says it takes trailers.
    pub trailers: bool,
    /// To which trace the request belongs, where it is traced.
    pub traceparent: Option<HeaderValue>,
}

impl Told {
    /// Puts the fields among the others.
    pub fn insert(&self, headers: &mut HeaderMap) {
        let introduction = &self.introduction;
        if self.trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        if let Ok(id) = HeaderValue::from_bytes(&self.id.digits()) {
            headers.insert(X_REQUEST_ID, id);
        }
        headers.insert(X_FORWARDED_FOR, introduction.address.clone());
        headers.insert(X_FORWARDED_HOST, introduction.host.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        headers.insert(header::FORWARDED, introduction.forwarded.clone());
        if let Some(assertion) = &self.assertion {
            headers.insert(ASSERTION, assertion.clone());
        }
        for (name, value) in &self.identity {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(traceparent) = &self.traceparent {
            headers.insert(TRACEPARENT, traceparent.clone());
        }
    }

    /// Writes the same fields as lines of an HTTP/1.1 head, which is cheaper than to put them among the others first.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.introduction.lines);
        if self.trailers {
            out.extend_from_slice(b"te: trailers\r\n");
        }
        out.extend_from_slice(b"x-request-id: ");
        out.extend_from_slice(&self.id.digits());
        out.extend_from_slice(b"\r\n");
        if let Some(assertion) = &self.assertion {
            push_field(out, &ASSERTION, assertion);
        }
        self.identity.iter().for_each(|(name, value)| push_field(out, name, value));
        if let Some(traceparent) = &self.traceparent {
            push_field(out, &TRACEPARENT, traceparent);
        }
    }
}

/// Writes one line of an HTTP/1.1 head.
pub fn push_field(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Whether the client declared that it takes trailers (`TE: trailers`).
pub fn takes_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(header::TE).iter().any(|value| {
        value.to_str().is_ok_and(|text| text.split(',').any(|part| part.trim().eq_ignore_ascii_case("trailers")))
    })
}

/// Removes from a client's headers, in place, what no upstream may get from a client; `identity` are the names of the
/// app's own identity headers. What the upstream is told instead: [`Told`].
pub fn towards_upstream<'a>(headers: &mut HeaderMap, identity: impl Iterator<Item = &'a HeaderName> + Clone) {
    let found = Found::look(headers, identity.clone().next().is_some());
    found.remove_hop_by_hop(headers);
    if found.vouched {
        remove_vouched(headers, identity);
    }
    if found.cookie {
        remove_own_cookies(headers);
    }
}

/// Turns an upstream's headers into the client's, in place.
pub fn towards_client(headers: &mut HeaderMap) {
    let found = Found::look(headers, false);
    found.remove_hop_by_hop(headers);
    if found.alt_svc {
        // An alternative service would lead around the checkpoint.
        headers.remove(header::ALT_SVC);
    }
    if found.set_cookie {
        let kept: Vec<HeaderValue> =
            headers.get_all(header::SET_COOKIE).iter().filter(|value| !sets_own_cookie(value)).cloned().collect();
        headers.remove(header::SET_COOKIE);
        for value in kept {
            headers.append(header::SET_COOKIE, value);
        }
    }
    // The host is the gateway's: no app may switch its protection off.
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
}

/// Removes from a client's trailers what no trailer may carry (RFC 9110 section 6.5.1), and what only the gateway may
/// say: a server that merges trailers into headers would believe it.
pub fn trailers_towards_upstream<'a>(trailers: &mut HeaderMap, identity: impl Iterator<Item = &'a HeaderName> + Clone) {
    remove_vouched(trailers, identity);
    trailers_towards_client(trailers);
}

/// Removes from an upstream's trailers what no trailer may carry.
pub fn trailers_towards_client(trailers: &mut HeaderMap) {
    Found::look(trailers, false).remove_hop_by_hop(trailers);
    for name in NEVER_IN_TRAILERS {
        trailers.remove(name);
    }
}

/// What one look over the fields found, so that only what is there is removed: most messages have none of it.
#[derive(Clone, Copy, Default, Debug)]
struct Found {
    /// Which of [`HOP_BY_HOP`], a bit each.
    hop_by_hop: u8,
    /// Whether some may be vouched for by the gateway alone.
    vouched: bool,
    cookie: bool,
    set_cookie: bool,
    alt_svc: bool,
}

impl Found {
    fn look(headers: &HeaderMap, vouched: bool) -> Self {
        let mut found = Self { vouched, ..Self::default() };
        for name in headers.keys() {
            // The first letter decides nearly always.
            match name.as_str().as_bytes().first() {
                Some(b'a') => found.alt_svc |= *name == header::ALT_SVC,
                Some(b'c') if *name == header::COOKIE => found.cookie = true,
                Some(b'c' | b'k' | b'p' | b'u') => found.note_hop_by_hop(name),
                Some(b't') => {
                    found.note_hop_by_hop(name);
                    found.vouched |= is_vouched(name);
                }
                Some(b's') if *name == header::SET_COOKIE => found.set_cookie = true,
                Some(b'f' | b'r' | b's' | b'x') => found.vouched |= is_vouched(name),
                Some(_) | None => {}
            }
        }
        found
    }

    fn note_hop_by_hop(&mut self, name: &HeaderName) {
        for (place, hop) in HOP_BY_HOP.iter().enumerate() {
            self.hop_by_hop |= u8::from(name == hop) << place;
        }
    }

    /// Removes what `Connection` names, then the fixed list. `Connection` may not name fields that travel end to end
    /// and that the gateway or the app relies on; those stay (a client must not switch off what we add, or smuggle by
    /// removal).
    fn remove_hop_by_hop(self, headers: &mut HeaderMap) {
        if self.hop_by_hop == 0 {
            return;
        }
        if self.hop_by_hop & 1 != 0 && !says_the_usual(headers) {
            for name in named_by_connection(headers) {
                headers.remove(name);
            }
        }
        for (place, name) in HOP_BY_HOP.iter().enumerate() {
            if self.hop_by_hop & (1 << place) != 0 {
                headers.remove(name);
            }
        }
    }
}

/// Whether all that `Connection` says is one of its usual words, which name no fields.
fn says_the_usual(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONNECTION).iter();
    let usual = |value: &HeaderValue| matches!(value.as_bytes(), b"keep-alive" | b"close" | b"Keep-Alive" | b"Close");
    values.next().is_some_and(usual) && values.next().is_none()
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
        // The two usual words are no names of fields, or in the fixed list.
        .filter(|token| !token.eq_ignore_ascii_case("keep-alive") && !token.eq_ignore_ascii_case("close"))
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .filter(|name| !matches!(*name, header::HOST | header::CONTENT_LENGTH | header::COOKIE | header::AUTHORIZATION))
        .collect()
}

/// Whether a field is one of those that only the gateway may write, in any spelling: servers differ on `_` and `-`.
fn is_vouched(name: &HeaderName) -> bool {
    let text = name.as_str();
    VOUCHED.iter().any(|name| same_spelling(text, name))
        || VOUCHED_BEGINNINGS.iter().any(|beginning| begins(text, beginning))
}

/// Removes every spelling of a field that only the gateway may write: the usual ones, and those the app declares.
fn remove_vouched<'a>(headers: &mut HeaderMap, identity: impl Iterator<Item = &'a HeaderName> + Clone) {
    let vouched =
        |name: &HeaderName| is_vouched(name) || identity.clone().any(|own| same_spelling(name.as_str(), own.as_str()));
    let found: Vec<HeaderName> = headers.keys().filter(|name| vouched(name)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

fn same_spelling(one: &str, other: &str) -> bool {
    one.len() == other.len() && begins(one, other)
}

/// Whether `text` begins with `prefix`, where `_` and `-` count as one character.
fn begins(text: &str, prefix: &str) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte };
    text.len() >= prefix.len() && text.bytes().zip(prefix.bytes()).all(|(a, b)| fold(a) == fold(b))
}

fn remove_own_cookies(headers: &mut HeaderMap) {
    // Looked up once, and taken out or put back where it is.
    let header::Entry::Occupied(mut cookies) = headers.entry(header::COOKIE) else { return };
    let pairs = || cookies.iter().flat_map(|value| pairs_of(value.as_bytes()));
    let is_split = cookies.iter().nth(1).is_some();
    // HTTP/2 may split the field; towards HTTP/1 it is one again (RFC 9113 section 8.2.3).
    if !is_split && !pairs().any(is_own_cookie) {
        return;
    }
    let mut kept = Vec::new();
    for pair in pairs().filter(|pair| !pair.is_empty() && !is_own_cookie(pair)) {
        if !kept.is_empty() {
            kept.extend_from_slice(b"; ");
        }
        kept.extend_from_slice(pair);
    }
    match HeaderValue::from_maybe_shared(bytes::Bytes::from(kept)) {
        Ok(value) if !value.is_empty() => drop(cookies.insert(value)),
        Ok(_) | Err(_) => drop(cookies.remove()),
    }
}

/// The pairs of a `Cookie` field.
fn pairs_of(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memchr_iter(b';', field).chain([field.len()]);
    ends.scan(0, |begin, end| {
        let pair = field.get(*begin..end).unwrap_or_default().trim_ascii();
        *begin = end + 1;
        Some(pair)
    })
}

/// Whether a `name=value` is one of ours. Browsers send a cookie without a name back as its bare value, so `=NAME=x`
/// sets what looks like ours too.
fn is_own_cookie(pair: &[u8]) -> bool {
    let named = pair.iter().position(|byte| !matches!(byte, b'=' | b' ' | b'\t')).unwrap_or(pair.len());
    let pair = pair.get(named..).unwrap_or_default();
    pair.get(..COOKIE_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(COOKIE_PREFIX.as_bytes()))
}

fn sets_own_cookie(value: &HeaderValue) -> bool {
    is_own_cookie(value.as_bytes().trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Timestamp;

    fn sent(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let declared = [HeaderName::from_static("x-user"), HeaderName::from_static("x-device")];
        let trailers = takes_trailers(&headers);
        towards_upstream(&mut headers, declared.iter());
        let kept = headers.len();
        told(trailers).insert(&mut headers);
        assert_eq!(headers.len(), kept + told(trailers).lines().len(), "what the gateway tells, nobody else told");
        headers
    }

    fn told(trailers: bool) -> Told {
        let host = Host::parse("emr.example.jp").unwrap();
        let introduction = Introduction::new("2001:db8::1".parse().unwrap(), &host, 443).unwrap();
        Told {
            id: RequestId::new(Timestamp::from_unix_micros(0), 1),
            introduction: Rc::new(introduction),
            assertion: Some(HeaderValue::from_static("signed")),
            identity: vec![(HeaderName::from_static("x-user"), HeaderValue::from_static("n.sato"))],
            trailers,
            traceparent: Some(HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")),
        }
    }

    impl Told {
        /// What is written into a head, line by line, sorted.
        fn lines(&self) -> Vec<String> {
            let mut out = Vec::new();
            self.write(&mut out);
            let mut lines: Vec<_> =
                String::from_utf8(out).unwrap().split_terminator("\r\n").map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        }
    }

    #[test]
    fn the_same_is_told_over_both_versions() {
        for trailers in [false, true] {
            let mut headers = HeaderMap::new();
            told(trailers).insert(&mut headers);
            let mut inserted: Vec<_> =
                headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
            inserted.sort_unstable();
            assert_eq!(told(trailers).lines(), inserted);
        }
    }

    #[test]
    fn clients_cannot_say_who_they_are() {
        let headers = sent(&[
            ("X-User", "root"),
            ("x_user", "root"),
            ("X-Device", "tablet-1"),
            ("x_DEVICE", "tablet-1"),
            ("Sekimori-Assertion", "forged"),
            ("sekimori_assertion", "forged"),
            ("X-Sekimori-Roles", "doctor"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("X_Forwarded_For", "10.0.0.1"),
            ("Forwarded", "for=10.0.0.1"),
            ("X-Real-IP", "10.0.0.1"),
            ("X_Forwarded_User", "root"),
            ("Remote-User", "root"),
            ("X-Auth-Request-Email", "root"),
            ("True-Client-IP", "10.0.0.1"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("x_method_override", "DELETE"),
        ]);
        assert_eq!(headers.get("x-user").unwrap(), "n.sato");
        assert_eq!(headers.get_all("x-user").iter().count(), 1);
        assert_eq!(headers.get("sekimori-assertion").unwrap(), "signed");
        assert_eq!(headers.get("x-forwarded-for").unwrap(), "2001:db8::1");
        assert_eq!(headers.get("forwarded").unwrap(), "for=\"[2001:db8::1]\";host=emr.example.jp;proto=https");
        for gone in [
            "x_user",
            "x-device",
            "x_device",
            "sekimori_assertion",
            "x-sekimori-roles",
            "x_forwarded_for",
            "x-real-ip",
            "x_forwarded_user",
            "remote-user",
            "x-auth-request-email",
            "true-client-ip",
            "x-http-method-override",
            "x_method_override",
        ] {
            assert!(headers.get(gone).is_none(), "{gone}");
        }
    }

    #[test]
    fn connection_tokens_are_processed_before_ours_are_added() {
        let headers = sent(&[
            ("Connection", "close, X-Private, X-User, Sekimori-Assertion"),
            ("X-Private", "1"),
            ("Keep-Alive", "5"),
            ("TE", "trailers, deflate"),
            ("Upgrade", "h2c"),
            ("Proxy-Authorization", "Basic x"),
        ]);
        assert_eq!(headers.get("x-user").unwrap(), "n.sato");
        assert_eq!(headers.get("sekimori-assertion").unwrap(), "signed");
        assert_eq!(headers.get("te").unwrap(), "trailers");
        for gone in ["connection", "x-private", "keep-alive", "upgrade", "proxy-authorization"] {
            assert!(headers.get(gone).is_none(), "{gone}");
        }
    }

    #[test]
    fn the_gateways_cookies_stay_at_the_gateway() {
        let headers = sent(&[("Cookie", "a=1; __Host-sekimori=secret; b=2"), ("Cookie", "__host-Sekimori-lang=ja")]);
        assert_eq!(headers.get("cookie").unwrap(), "a=1; b=2");
        assert_eq!(sent(&[("Cookie", "a=1"), ("Cookie", "b=2")]).get("cookie").unwrap(), "a=1; b=2");
        assert!(sent(&[("Cookie", "__Host-sekimori=secret")]).get("cookie").is_none());

        let mut answer = HeaderMap::new();
        for cookie in [
            "JSESSIONID=1; Path=/",
            "__Host-sekimori=x; Path=/; Secure",
            "__HOST-SEKIMORI-x=1",
            "=__Host-sekimori=x",
            " = __Host-sekimori=x",
        ] {
            answer.append(header::SET_COOKIE, HeaderValue::from_static(cookie));
        }
        answer.insert(header::ALT_SVC, HeaderValue::from_static("h3=\":443\""));
        towards_client(&mut answer);
        assert_eq!(answer.get_all(header::SET_COOKIE).iter().collect::<Vec<_>>(), ["JSESSIONID=1; Path=/"]);
        assert!(answer.get(header::ALT_SVC).is_none());
    }

    #[test]
    fn apps_see_the_address_people_use() {
        let host = Host::parse("emr.example.jp").unwrap();
        let plain = Introduction::new("192.0.2.7".parse().unwrap(), &host, 443).unwrap();
        assert_eq!(plain.forwarded, "for=192.0.2.7;host=emr.example.jp;proto=https");
        let ported = Introduction::new("192.0.2.7".parse().unwrap(), &host, 8443).unwrap();
        assert_eq!(ported.host, "emr.example.jp:8443");
        assert_eq!(ported.forwarded, "for=192.0.2.7;host=\"emr.example.jp:8443\";proto=https");
    }

    #[test]
    fn trailers_cannot_say_what_headers_may_not() {
        let mut trailers = HeaderMap::new();
        for name in [
            "grpc-status",
            "sekimori-assertion",
            "x_user",
            "staff_id",
            "x-forwarded-for",
            "cookie",
            "host",
            "content-length",
        ] {
            trailers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("0"));
        }
        let declared = [HeaderName::from_static("staff-id")];
        trailers_towards_upstream(&mut trailers, declared.iter());
        assert_eq!(trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["grpc-status"]);
    }
}

//! Our cookies. All have the `__Host-` prefix: this host alone, https alone, never set by a neighbour (RFC 6265bis).

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use policy::{Timestamp, UserId};

/// Every cookie of the gateway begins with this; none ever reaches an app, none is ever taken from one.
const OWN_PREFIX: &str = "__Host-sekimori";
/// Holds the session's token for its host.
pub const SESSION_COOKIE: &str = "__Host-sekimori";
/// Holds the chosen language.
pub(crate) const LANGUAGE_COOKIE: &str = "__Host-sekimori-lang";

/// Says who was last signed in in this browser, so that the next person finds nothing of theirs.
const LAST_COOKIE: &str = "__Host-sekimori-last";

/// How long a started ceremony may take, in seconds; as long as its state is kept on the server.
const CEREMONY_SECONDS: u32 = 600;
/// How long the chosen language is kept, in seconds.
const LANGUAGE_SECONDS: u32 = 31_536_000;
/// How long it is remembered who was last signed in, in seconds: as long as browsers keep an app's cookies.
const LAST_SECONDS: u32 = 34_560_000;
/// How many ceremonies of one kind one browser may have under way on one host; the oldest gives way.
pub(crate) const CEREMONIES_PER_BROWSER_MAX: usize = 32;

/// Whether a cookie is the gateway's own, whatever its case: remove it before a request goes to an app, and from
/// `Set-Cookie` of an app's answer.
#[must_use]
pub fn is_own_cookie(name: &str) -> bool {
    let name = name.trim();
    name.get(..OWN_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN_PREFIX))
}

/// The session token that a request shows for its host.
#[must_use]
pub fn session_token(headers: &HeaderMap) -> Option<&str> {
    value(headers, SESSION_COOKIE)
}

/// Whether a request shows that its browser was here before: it carries a session, or is on its way to one.
#[must_use]
pub fn has_own_cookie(headers: &HeaderMap) -> bool {
    all(headers).any(|(name, _)| is_own_cookie(name) && name != LANGUAGE_COOKIE)
}

/// The value of one cookie; `None` if it is missing or stands there twice with different values.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = all(headers).filter(|(found, _)| *found == name).map(|(_, value)| value);
    let first = values.next()?;
    values.all(|other| other == first).then_some(first)
}

/// Every cookie of a request, in the order sent.
fn all(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim_ascii().split_once('='))
}

/// Which ceremony a cookie ties to the browser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ceremony {
    /// From the login host back to this host.
    HandOff,
    /// From the provider back to the login host.
    Provider,
    /// From the question for a passkey to its answer.
    Passkey,
    /// From the question for a new passkey to its answer.
    Enrolment,
    /// From the provider's answer to the passkey that must follow.
    SecondFactor,
    /// From a device's certificate to its file.
    DeviceFile,
}

impl Ceremony {
    fn prefix(self) -> &'static str {
        match self {
            Self::HandOff => "__Host-sekimori-h-",
            Self::Provider => "__Host-sekimori-o-",
            Self::Passkey => "__Host-sekimori-p-",
            Self::Enrolment => "__Host-sekimori-e-",
            Self::SecondFactor => "__Host-sekimori-s-",
            Self::DeviceFile => "__Host-sekimori-d-",
        }
    }

    /// The name of the cookie, if the id could be one of ours.
    fn cookie_name(self, id: &str) -> Option<String> {
        let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (plain && (1..=64).contains(&id.len())).then(|| format!("{}{id}", self.prefix()))
    }
}

/// Ties a ceremony to this browser. Where too many are under way, the oldest are let go: every tab has its own
/// cookie, so that many tabs succeed at once, and the request head stays small.
pub(crate) fn tie(
    headers: &HeaderMap,
    ceremony: Ceremony,
    id: &str,
    secret: &str,
    at: Timestamp,
) -> impl Iterator<Item = HeaderValue> {
    let name = ceremony.cookie_name(id);
    let tied = name.and_then(|name| set(&name, &format!("{}.{secret}", at.unix_seconds()), Some(CEREMONY_SECONDS)));
    oldest(headers, ceremony).into_iter().filter_map(|name| remove(&name)).chain(tied)
}

/// The secret that ties a ceremony to this browser.
pub(crate) fn tied<'a>(headers: &'a HeaderMap, ceremony: Ceremony, id: &str) -> Option<&'a str> {
    value(headers, &ceremony.cookie_name(id)?).and_then(|value| value.split_once('.')).map(|(_, secret)| secret)
}

/// Lets go of a ceremony's cookie.
pub(crate) fn untie(ceremony: Ceremony, id: &str) -> Option<HeaderValue> {
    ceremony.cookie_name(id).and_then(|name| remove(&name))
}

/// The names of those that must go before one more is set.
fn oldest(headers: &HeaderMap, ceremony: Ceremony) -> Vec<String> {
    let begun = |value: &str| value.split_once('.').and_then(|(at, _)| at.parse::<i64>().ok()).unwrap_or(0);
    let own = all(headers).filter(|(name, _)| name.starts_with(ceremony.prefix()));
    let mut found: Vec<(i64, &str)> = own.map(|(name, value)| (begun(value), name)).collect();
    found.sort_unstable();
    let too_many = (found.len() + 1).saturating_sub(CEREMONIES_PER_BROWSER_MAX);
    found.into_iter().take(too_many).map(|(_, name)| name.to_owned()).collect()
}

/// The session's cookie; gone when the browser closes.
pub(crate) fn session(token: &str) -> Option<HeaderValue> {
    set(SESSION_COOKIE, token, None)
}

/// Lets go of the session's cookie.
pub(crate) fn no_session() -> Option<HeaderValue> {
    remove(SESSION_COOKIE)
}

/// Remembers who signed in in this browser.
pub(crate) fn last(user: &UserId) -> Option<HeaderValue> {
    set(LAST_COOKIE, user.as_str(), Some(LAST_SECONDS))
}

/// Whether somebody else than this person was signed in in this browser before, and may have left something in it.
pub(crate) fn was_somebody_else(headers: &HeaderMap, user: &UserId) -> bool {
    all(headers).any(|(name, value)| name == LAST_COOKIE && value != user.as_str())
}

/// The language's cookie.
pub(crate) fn language(tag: &str) -> Option<HeaderValue> {
    set(LANGUAGE_COOKIE, tag, Some(LANGUAGE_SECONDS))
}

fn remove(name: &str) -> Option<HeaderValue> {
    set(name, "", Some(0))
}

fn set(name: &str, value: &str, seconds: Option<u32>) -> Option<HeaderValue> {
    let age = seconds.map_or(String::new(), |seconds| format!("; Max-Age={seconds}"));
    let mut cookie =
        HeaderValue::from_str(&format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}")).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(line: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(line).unwrap());
        headers
    }

    #[test]
    fn a_cookie_that_stands_twice_counts_only_if_both_agree() {
        assert_eq!(session_token(&headers("a=b; __Host-sekimori=x")), Some("x"));
        assert_eq!(session_token(&headers("__Host-sekimori=x; __Host-sekimori=y")), None);
        assert_eq!(session_token(&headers("__Host-sekimorix=x; __host-sekimori=x")), None);
        assert_eq!(session_token(&HeaderMap::new()), None);
    }

    #[test]
    fn our_cookies_are_known_by_any_spelling() {
        for own in ["__Host-sekimori", "__host-SEKIMORI-h-1", " __Host-sekimori-lang"] {
            assert!(is_own_cookie(own), "{own}");
        }
        assert!(
            !is_own_cookie("JSESSIONID") && !is_own_cookie("__Host-seki") && !is_own_cookie("患者患者患者患者患者")
        );
    }

    #[test]
    fn every_cookie_is_bound_to_host_and_https_and_hidden_from_scripts() {
        let user = UserId::parse("u-1").unwrap();
        let all = [session("t"), no_session(), language("ja"), last(&user), untie(Ceremony::HandOff, "i")];
        for cookie in all.into_iter().flatten() {
            let text = cookie.to_str().unwrap();
            assert!(text.starts_with("__Host-sekimori") && text.contains("; Path=/; Secure; HttpOnly; SameSite=Lax"));
            assert!(!text.contains("Domain") && cookie.is_sensitive());
        }
        assert!(!session("t").unwrap().to_str().unwrap().contains("Max-Age"), "a session ends with the browser");
        assert_eq!(session("a\r\nb"), None);
    }

    #[test]
    fn the_oldest_ceremony_gives_way_when_there_are_too_many() {
        let at = Timestamp::from_unix_micros(9_000_000_000);
        let line: Vec<String> = (0..CEREMONIES_PER_BROWSER_MAX)
            .map(|n| format!("__Host-sekimori-h-tab{n}={}.secret", 1_000 + (n + 5) % CEREMONIES_PER_BROWSER_MAX))
            .collect();
        let request = headers(&line.join("; "));
        let cookies: Vec<_> = tie(&request, Ceremony::HandOff, "new", "s", at).collect();
        assert_eq!(cookies.len(), 2);
        assert!(cookies[0].to_str().unwrap().starts_with("__Host-sekimori-h-tab27=; "), "{:?}", cookies[0].to_str());
        assert!(cookies[0].to_str().unwrap().ends_with("Max-Age=0"));
        assert!(cookies[1].to_str().unwrap().starts_with("__Host-sekimori-h-new=9000.s; "));
        assert_eq!(tie(&request, Ceremony::Provider, "new", "s", at).count(), 1, "kinds are counted apart");
    }

    #[test]
    fn the_person_before_is_known_by_any_doubt() {
        let (sato, ito) = (UserId::parse("u-1").unwrap(), UserId::parse("u-2").unwrap());
        let request = headers("__Host-sekimori-last=u-1; x=y");
        assert!(!was_somebody_else(&request, &sato) && was_somebody_else(&request, &ito));
        assert!(was_somebody_else(&headers("__Host-sekimori-last=u-1; __Host-sekimori-last=u-2"), &sato));
        assert!(!was_somebody_else(&HeaderMap::new(), &sato));
    }

    #[test]
    fn a_ceremony_is_tied_by_its_own_cookie_only() {
        let request = headers("__Host-sekimori-h-one=5.secret");
        assert_eq!(tied(&request, Ceremony::HandOff, "one"), Some("secret"));
        assert_eq!(tied(&request, Ceremony::HandOff, "two"), None);
        assert_eq!(tied(&request, Ceremony::Provider, "one"), None);
        assert_eq!(tied(&request, Ceremony::HandOff, "one=5; x"), None);
        assert_eq!(tied(&request, Ceremony::HandOff, ""), None);
    }
}

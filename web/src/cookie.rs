//! Our cookies. All have the `__Host-` prefix: this host alone, https alone, never set by a neighbour (RFC 6265bis).

use http::HeaderMap;
use http::header::COOKIE;

/// Every cookie of the gateway begins with this; none ever reaches an app, none is ever taken from one.
const OWN_PREFIX: &str = "__Host-sekimori";
/// Holds the session's token for its host.
pub const SESSION_COOKIE: &str = "__Host-sekimori";
/// Holds the chosen language.
pub(crate) const LANGUAGE_COOKIE: &str = "__Host-sekimori-lang";

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

/// The value of one cookie; `None` if it is missing or stands there twice with different values.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = all(headers).filter(|(found, _)| *found == name).map(|(_, value)| value);
    let first = values.next()?;
    values.all(|other| other == first).then_some(first)
}

/// Every cookie of a request, in the order sent.
pub(crate) fn all(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

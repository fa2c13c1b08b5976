//! Which language a person reads, and whether it is a person who asks at all.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderName};
use policy::Method;

use crate::cookie;

/// A language our pages speak.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Language {
    /// Japanese, where nothing else is asked for.
    Japanese,
    /// English.
    English,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Japanese, Self::English];

    /// Its tag (BCP 47).
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Japanese => "ja",
            Self::English => "en",
        }
    }

    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Japanese => Self::English,
            Self::English => Self::Japanese,
        }
    }

    /// Its name in itself.
    pub(crate) fn own_name(self) -> &'static str {
        match self {
            Self::Japanese => "日本語",
            Self::English => "English",
        }
    }

    /// Reads a tag such as `en` or `en-GB`.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.tag()))
    }
}

/// The language to answer in: the person's choice by cookie, else the browser's by `Accept-Language`, else Japanese.
#[must_use]
pub fn language(headers: &HeaderMap) -> Language {
    cookie::value(headers, cookie::LANGUAGE_COOKIE)
        .and_then(Language::parse)
        .or_else(|| accepted(headers))
        .unwrap_or(Language::Japanese)
}

/// The first of our languages among those accepted, by weight (RFC 9110 section 12.5.4).
fn accepted(headers: &HeaderMap) -> Option<Language> {
    let list = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
    let mut best: Option<(Language, u16)> = None;
    for range in list.split(',').take(32) {
        let (tag, weight) = range.split_once(';').map_or((range, 1_000), |(tag, rest)| (tag, weight(rest)));
        let Some(language) = Language::parse(tag) else { continue };
        if weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language)
}

/// The thousandths of `q=0.8`; whatever is unreadable weighs nothing.
fn weight(parameters: &str) -> u16 {
    let Some(number) = parameters.trim().strip_prefix("q=") else { return 0 };
    number.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).map_or(0, |q| (q * 1_000.0) as u16)
}

const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Whether the answer is for a person to read: a navigation, by `Sec-Fetch-Mode` where the browser sends it,
/// else a request that accepts `text/html`. Scripts and API clients get a problem document.
#[must_use]
pub fn wants_page(headers: &HeaderMap, method: &Method) -> bool {
    if !matches!(method.as_str(), "GET" | "HEAD" | "POST") || headers.contains_key(X_REQUESTED_WITH) {
        return false;
    }
    match headers.get(SEC_FETCH_MODE).map(http::HeaderValue::as_bytes) {
        Some(mode) => mode == b"navigate",
        None => headers.get_all(ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(|it| it.contains("text/html"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::COOKIE;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn japanese_unless_the_browser_or_the_person_says_otherwise() {
        use Language::{English, Japanese};
        for (accepted, expected) in [
            ("", Japanese),
            ("fr", Japanese),
            ("en", English),
            ("en-GB,en;q=0.9", English),
            ("ja,en;q=0.9", Japanese),
            ("en;q=0.3, ja;q=0.8", Japanese),
            ("en;q=0", Japanese),
            ("en;q=nonsense", Japanese),
            ("*", Japanese),
            ("fr, EN-us;q=0.5", English),
        ] {
            assert_eq!(language(&headers(&[("accept-language", accepted)])), expected, "{accepted}");
        }
        assert_eq!(language(&HeaderMap::new()), Japanese);
        let chosen = headers(&[("accept-language", "en"), (COOKIE.as_str(), "__Host-sekimori-lang=ja")]);
        assert_eq!(language(&chosen), Japanese);
        let odd = headers(&[("accept-language", "en"), (COOKIE.as_str(), "__Host-sekimori-lang=<x>")]);
        assert_eq!(language(&odd), English);
    }

    #[test]
    fn pages_are_for_navigations_only() {
        let check = |method: &str, fields: &[(&'static str, &'static str)]| {
            wants_page(&headers(fields), &Method::parse(method).unwrap())
        };
        assert!(check("GET", &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]));
        assert!(check("POST", &[("sec-fetch-mode", "navigate"), ("accept", "*/*")]));
        assert!(!check("GET", &[("accept", "*/*")]), "curl and API clients");
        assert!(!check("GET", &[]));
        assert!(!check("GET", &[("sec-fetch-mode", "cors"), ("accept", "text/html")]));
        assert!(!check("GET", &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")]));
        assert!(!check("DELETE", &[("accept", "text/html")]));
    }
}

//! Whether a form was posted by a page of the same origin. `SameSite` alone does not say that: a neighbouring host
//! is the same site.

use http::HeaderMap;
use http::header::ORIGIN;

/// Whether a `POST` came from a page of `origin`: `Sec-Fetch-Site`, where sent, must say `same-origin`, and `Origin`,
/// where sent, must be `origin`; at least one must be sent, and neither twice.
pub(crate) fn is_same_origin(headers: &HeaderMap, origin: &str) -> bool {
    let (Ok(site), Ok(sender)) = (single(headers, "sec-fetch-site"), single(headers, ORIGIN.as_str())) else {
        return false;
    };
    (site.is_some() || sender.is_some())
        && site.is_none_or(|site| site == "same-origin")
        && sender.is_none_or(|sender| sender == origin)
}

/// The one value of a header field, if any; an error if it stands there twice or is unreadable.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn check(fields: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        is_same_origin(&headers, "https://portal.example")
    }

    #[test]
    fn only_our_own_page_may_post() {
        assert!(!check(&[]));
        assert!(!check(&[("origin", "null")]));
        assert!(!check(&[("origin", "https://evil.example")]));
        assert!(!check(&[("origin", "https://emr.example")]));
        assert!(!check(&[("origin", "http://portal.example")]));
        assert!(!check(&[("origin", "https://portal.example:8443")]));
        assert!(!check(&[("sec-fetch-site", "same-site")]));
        assert!(!check(&[("sec-fetch-site", "none")]));
        assert!(!check(&[("sec-fetch-site", "cross-site"), ("origin", "https://portal.example")]));
        assert!(!check(&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")]));
        assert!(!check(&[("origin", "https://portal.example"), ("origin", "https://evil.example")]));
        assert!(check(&[("origin", "https://portal.example")]));
        assert!(check(&[("sec-fetch-site", "same-origin"), ("origin", "https://portal.example")]));
    }
}

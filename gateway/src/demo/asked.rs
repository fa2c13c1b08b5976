//! A request as demo parts read it: small, read whole, its query and form taken apart.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HeaderMap};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::answer::{self, Answer};

/// The largest body that is read whole.
pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;
/// The most fields of a query or a form that are looked at; the rest would only be noise.
const FIELDS_MAX: usize = 100;

/// Names and values of a query or a form, in the order sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `a=1&b=2`.
    pub(super) fn read(text: &[u8]) -> Self {
        Self(
            url::form_urlencoded::parse(text).take(FIELDS_MAX).map(|(k, v)| (k.into_owned(), v.into_owned())).collect(),
        )
    }

    /// The field's value where it was sent exactly once.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A request, read whole.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Fields,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    /// Reads a request whole.
    ///
    /// # Errors
    /// The answer to give instead: the body is larger than [`BODY_BYTES_MAX`], or broke off.
    pub(super) async fn read(request: Request<Incoming>) -> Result<Self, Answer> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|problem| {
            if problem.is::<LengthLimitError>() {
                answer::problem(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 256 KiB")
            } else {
                answer::problem(StatusCode::BAD_REQUEST, "the body broke off")
            }
        })?;
        Ok(Self::new(&head, body.to_bytes()))
    }

    /// Puts a request together from its head and its body.
    pub(super) fn new(head: &http::request::Parts, body: Bytes) -> Self {
        Self {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: Fields::read(head.uri.query().unwrap_or_default().as_bytes()),
            headers: head.headers.clone(),
            body,
        }
    }

    /// Whether it only looks.
    pub(super) fn is_read(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// The path's segments, without the empty one before the first slash; still percent-encoded.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.trim_start_matches('/').split('/').collect()
    }

    /// The fields of a posted form; none where the body is something else.
    pub(super) fn form(&self) -> Fields {
        let is_form = self.header(CONTENT_TYPE.as_str()).starts_with("application/x-www-form-urlencoded");
        if is_form { Fields::read(&self.body) } else { Fields::default() }
    }

    /// A header's text; empty where it is absent or not text.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A cookie's value.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        pairs
            .flat_map(|line| line.split(';'))
            .find_map(|pair| pair.trim().split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
    }
}

#[cfg(test)]
impl Asked {
    /// A request with nothing but a method, a target and perhaps a body.
    pub(super) fn of(method: Method, target: &str, body: &str) -> Self {
        let (head, ()) = Request::builder().method(method).uri(target).body(()).unwrap().into_parts();
        Self::new(&head, Bytes::from(body.to_owned()))
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_sent_twice_counts_as_not_sent() {
        let fields = Fields::read(b"state=a&state=b&code=%E5%90%8D");
        assert_eq!(fields.one("state"), None);
        assert_eq!(fields.one("code"), Some("名"));
    }

    #[test]
    fn cookies_are_found_among_others() {
        let asked = Asked::of(Method::GET, "/a/b?c=d", "").with("cookie", "x=1; demo=abc").with("cookie", "y=2");
        assert_eq!((asked.cookie("demo"), asked.cookie("y"), asked.cookie("z")), (Some("abc"), Some("2"), None));
        assert_eq!(asked.segments(), ["a", "b"]);
    }

    #[test]
    fn only_a_form_is_read_as_a_form() {
        let asked = Asked::of(Method::POST, "/", "a=1");
        assert_eq!(asked.form().one("a"), None);
        assert_eq!(asked.with("content-type", "application/x-www-form-urlencoded").form().one("a"), Some("1"));
    }
}

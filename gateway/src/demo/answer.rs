//! The answers that demo parts give, each with the headers a careful app sends.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use serde_json::Value;

/// A body of any kind.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
/// A response of a demo part.
pub(super) type Answer = Response<Body>;

const CONTENT_RULES: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// An answer with nothing in it.
pub(super) fn empty(status: StatusCode) -> Answer {
    with_body(status, None, Empty::new().boxed_unsync())
}

/// A page.
pub(super) fn html(status: StatusCode, page: String) -> Answer {
    of_type(status, "text/html; charset=utf-8", page)
}

/// A JSON document of this media type.
pub(super) fn json(status: StatusCode, media_type: &'static str, document: &Value) -> Answer {
    of_type(status, media_type, document.to_string())
}

/// A text of this media type.
pub(super) fn of_type(status: StatusCode, media_type: &'static str, text: impl Into<Bytes>) -> Answer {
    with_body(status, Some(media_type), Full::new(text.into()).boxed_unsync())
}

/// "See over there": 303, so that a posted form is not posted again.
pub(super) fn see_other(location: &str) -> Answer {
    match HeaderValue::from_str(location) {
        Ok(location) => with_header(empty(StatusCode::SEE_OTHER), LOCATION, location),
        Err(_) => problem(StatusCode::BAD_REQUEST, "the address to go on to holds characters no header can"),
    }
}

/// A problem document (RFC 9457).
pub(super) fn problem(status: StatusCode, detail: &str) -> Answer {
    let title = status.canonical_reason().unwrap_or("Problem");
    let document = serde_json::json!({ "title": title, "status": status.as_u16(), "detail": detail });
    json(status, "application/problem+json", &document)
}

/// The answer with one more header.
pub(super) fn with_header(mut answer: Answer, name: HeaderName, value: HeaderValue) -> Answer {
    answer.headers_mut().append(name, value);
    answer
}

/// An answer whose body is made while it is sent.
pub(super) fn with_body(status: StatusCode, media_type: Option<&'static str>, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    if let Some(media_type) = media_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_RULES));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    answer
}

#[cfg(test)]
pub(super) async fn text_of(answer: Answer) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[cfg(test)]
pub(super) async fn json_of(answer: Answer) -> Value {
    serde_json::from_str(&text_of(answer).await).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_redirect_cannot_carry_a_second_header() {
        let answer = see_other("/charts\r\nset-cookie: a=b");
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert!(answer.headers().get(LOCATION).is_none());
    }
}

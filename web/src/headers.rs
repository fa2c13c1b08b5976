//! What every answer of ours carries: security headers, and how long it may be kept.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};

/// Nothing but our own style sheet and pictures; forms go to this host alone; no frame anywhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'";

/// The same, and our own script, which may talk to this host alone.
const WITH_SCRIPT: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const SECURITY: [(HeaderName, HeaderValue); 8] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // Not `no-referrer`: that would turn the `Origin` of our own forms into `null`.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000")),
];

/// A page. Never kept by the browser: the next person at the terminal must not find it.
pub(crate) fn page(status: StatusCode, html: String) -> Response<Bytes> {
    answer(status, "text/html; charset=utf-8", "no-store", Bytes::from(html))
}

/// A page with our own script.
pub(crate) fn page_with_script(status: StatusCode, html: String) -> Response<Bytes> {
    let mut response = page(status, html);
    allow_script(&mut response);
    response
}

/// A file of a server: kept nowhere, never shown, never run, never taken for something else than bytes.
pub(crate) fn attachment(name: &str) -> Response<Bytes> {
    let mut response = answer(StatusCode::OK, "application/octet-stream", "no-store", Bytes::new());
    set(&mut response, header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    // RFC 6266; `filename*` alone, so that no byte of the name stands in a quoted text.
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{encoded}")) {
        set(&mut response, header::CONTENT_DISPOSITION, value);
    }
    response
}

/// Lets a page run our own script.
pub(crate) fn allow_script(response: &mut Response<Bytes>) {
    set(response, header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(WITH_SCRIPT));
}

/// Empties the browser of what the person before left at any host of ours: cookies of every host below our domain, and
/// what this host's pages keep.
pub(crate) fn clear_site_data(response: &mut Response<Bytes>) {
    let name = HeaderName::from_static("clear-site-data");
    set(response, name, HeaderValue::from_static("\"cookies\", \"storage\""));
}

/// A document for programs.
pub(crate) fn document(status: StatusCode, kind: &'static str, keep: &'static str, body: Bytes) -> Response<Bytes> {
    answer(status, kind, keep, body)
}

/// Sends the browser elsewhere. A place that cannot stand in a header is our own fault and goes nowhere.
pub(crate) fn redirect(status: StatusCode, to: &str) -> Response<Bytes> {
    let mut response = answer(status, "text/plain; charset=utf-8", "no-store", Bytes::new());
    match HeaderValue::from_str(to) {
        Ok(place) => set(&mut response, header::LOCATION, place),
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

/// Sets a header field, replacing any of the same name.
pub(crate) fn set(response: &mut Response<Bytes>, name: HeaderName, value: HeaderValue) {
    response.headers_mut().insert(name, value);
}

/// Adds cookies; to an answer that empties the browser of them there is nothing to add.
pub(crate) fn add_cookies(response: &mut Response<Bytes>, cookies: impl IntoIterator<Item = HeaderValue>) {
    if response.headers().contains_key("clear-site-data") {
        return;
    }
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

fn answer(status: StatusCode, kind: &'static str, keep: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in SECURITY {
        set(&mut response, name, value);
    }
    set(&mut response, header::CONTENT_TYPE, HeaderValue::from_static(kind));
    set(&mut response, header::CACHE_CONTROL, HeaderValue::from_static(keep));
    response
}

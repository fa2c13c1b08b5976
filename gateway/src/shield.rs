//! The shield of an app that cannot be patched: what it does not need never reaches it, and what comes back is made
//! strict. Before judgment, so that a scan of such an app ends at the gateway, recorded.

use config::{Downloads, Shield};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::body::Body;
use web::Fault;

use crate::inbound::{Inbound, Switch};

/// The longest field of a request that reaches a strictly shielded app, in bytes.
const FIELD_BYTES_MAX: usize = 8 * 1024;

/// Fields of requests that pass to a strictly shielded app, sorted. What the gateway itself tells is added later.
const TOWARDS_APP: [&str; 34] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "origin",
    "pragma",
    "prefer",
    "range",
    "referer",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-requested-with",
];

/// Fields of answers that tell strangers what the app is made of.
const TELLS_TOO_MUCH: [&str; 9] = [
    "server",
    "via",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-generator",
    "x-powered-by",
    "x-runtime",
    "x-server",
    "x-version",
];
/// Beginnings of fields that open an app to pages of other origins.
const OPENS_TO_OTHERS: &str = "access-control-";

/// What browsers save rather than show.
const SAVED: [&str; 14] = [
    "application/octet-stream",
    "application/zip",
    "application/x-zip-compressed",
    "application/x-7z-compressed",
    "application/x-tar",
    "application/gzip",
    "application/x-gzip",
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/msword",
    "application/x-msdownload",
    "text/csv",
    "text/tab-separated-values",
];

/// Why a request does not reach a shielded app: what the client is told, and what the log is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shut {
    /// For the client.
    pub fault: Fault,
    /// For the log.
    pub code: &'static str,
}

/// Whether a request reaches the app.
///
/// # Errors
/// [`Shut`]: answer and record it, forward nothing.
pub fn let_in(shield: &Shield, inbound: &Inbound) -> Result<(), Shut> {
    let method = match inbound.switch {
        Switch::No => inbound.method.as_str(),
        Switch::WebSocket | Switch::WebSocketOverHttp2 => "CONNECT",
    };
    if !shield.lets_method(method) {
        return Err(Shut { fault: Fault::MethodNotServed, code: "shield-method" });
    }
    if !shield.lets_path(&inbound.path) {
        return Err(Shut { fault: Fault::NotFound, code: "shield-path" });
    }
    let headers = inbound.request.headers();
    let has_body = inbound.switch == Switch::No && !inbound.request.body().is_end_stream();
    if has_body && !shield.lets_content(the_only(headers, &header::CONTENT_TYPE)) {
        return Err(Shut { fault: Fault::ContentNotServed, code: "shield-content" });
    }
    Ok(())
}

/// The text of a field that stands once; what stands twice could be read in two ways.
fn the_only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(one), None) => one.to_str().ok(),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

/// Leaves of a client's fields what the app may see.
pub fn towards_app(shield: &Shield, headers: &mut HeaderMap) {
    if !shield.strict_headers {
        return;
    }
    let passes = |name: &HeaderName| TOWARDS_APP.binary_search(&name.as_str()).is_ok();
    let plain = |value: &HeaderValue| value.len() <= FIELD_BYTES_MAX && value.to_str().is_ok();
    remove_all(headers, |name, values| !passes(name) || !values.iter().all(|value| plain(value)));
}

/// Makes an answer of the app strict.
///
/// # Errors
/// [`Fault::DownloadForbidden`] for an answer that a browser would save where the shield forbids that.
pub fn towards_client(shield: &Shield, headers: &mut HeaderMap) -> Result<(), Fault> {
    match shield.downloads {
        Downloads::Forbid if would_be_saved(headers) => return Err(Fault::DownloadForbidden),
        Downloads::Forbid | Downloads::Allow => {}
    }
    if shield.strict_headers {
        remove_all(headers, |name, _| {
            TELLS_TOO_MUCH.contains(&name.as_str()) || name.as_str().starts_with(OPENS_TO_OTHERS)
        });
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.entry(header::X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("SAMEORIGIN"));
        headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    }
    if shield.no_store {
        headers.remove(header::EXPIRES);
        headers.remove(header::PRAGMA);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(())
}

fn would_be_saved(headers: &HeaderMap) -> bool {
    let begins = |value: &HeaderValue, start: &str| {
        value.as_bytes().get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start.as_bytes()))
    };
    let attached = |value: &HeaderValue| {
        let value = value.as_bytes().trim_ascii_start();
        value.get(.."inline".len()).is_none_or(|start| !start.eq_ignore_ascii_case(b"inline"))
    };
    headers.get_all(header::CONTENT_DISPOSITION).iter().any(attached)
        || headers.get_all(header::CONTENT_TYPE).iter().any(|value| SAVED.iter().any(|kind| begins(value, kind)))
}

/// Removes fields; `which` sees a name with all of its values.
fn remove_all(headers: &mut HeaderMap, which: impl Fn(&HeaderName, &[&HeaderValue]) -> bool) {
    let gone: Vec<HeaderName> = headers
        .keys()
        .filter(|name| which(name, &headers.get_all(*name).iter().collect::<Vec<_>>()))
        .cloned()
        .collect();
    for name in gone {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn strict() -> Shield {
        Shield { strict_headers: true, ..Shield::default() }
    }

    #[test]
    fn the_list_of_what_passes_is_sorted() {
        assert!(TOWARDS_APP.is_sorted());
    }

    #[test]
    fn only_well_known_fields_reach_a_strictly_shielded_app() {
        let long = "x".repeat(FIELD_BYTES_MAX + 1);
        let all = [
            ("accept", "text/html"),
            ("cookie", "a=1"),
            ("content-type", "text/plain"),
            ("x-original-url", "/admin"),
            ("x-http-method-override", "DELETE"),
            ("soapaction", "\"x\""),
            ("user-agent", "() { :;}; ping"),
            ("referer", long.as_str()),
            ("accept-language", "日本語"),
        ];
        let mut headers = fields(&all);
        towards_app(&strict(), &mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "content-type", "cookie", "user-agent"]);
        let mut same = fields(&all);
        towards_app(&Shield::default(), &mut same);
        assert_eq!(same.len(), all.len(), "who asks for nothing gets everything");
    }

    #[test]
    fn an_answer_tells_nothing_of_its_makers_and_opens_to_nobody() {
        let mut headers = fields(&[
            ("server", "Apache/1.3"),
            ("x-powered-by", "PHP/4"),
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("content-type", "text/html"),
            ("x-frame-options", "DENY"),
            ("cache-control", "public, max-age=3600"),
            ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
        ]);
        let shield = Shield { no_store: true, ..strict() };
        towards_client(&shield, &mut headers).unwrap();
        for gone in
            ["server", "x-powered-by", "access-control-allow-origin", "access-control-allow-credentials", "expires"]
        {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["x-frame-options"], "DENY", "what is stricter stays");
    }

    #[test]
    fn what_a_browser_would_save_is_refused_where_downloads_are() {
        let shield = Shield { downloads: Downloads::Forbid, ..Shield::default() };
        for saved in [
            ("content-disposition", "attachment; filename=\"patients.csv\""),
            ("content-disposition", "ATTACHMENT"),
            ("content-disposition", "form-data"),
            ("content-type", "text/csv; charset=shift_jis"),
            ("content-type", "Application/Octet-Stream"),
        ] {
            assert_eq!(towards_client(&shield, &mut fields(&[saved])), Err(Fault::DownloadForbidden), "{saved:?}");
            assert_eq!(towards_client(&Shield::default(), &mut fields(&[saved])), Ok(()));
        }
        for shown in [("content-disposition", " inline; filename=a.html"), ("content-type", "text/html"), ("x", "y")] {
            assert_eq!(towards_client(&shield, &mut fields(&[shown])), Ok(()), "{shown:?}");
        }
    }
}

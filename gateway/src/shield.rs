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

/// What browsers show, or use in what they show; whatever else they would save. Besides these: [`SHOWN_KINDS`], and
/// what is [`SHOWN_AS`] something of these.
const SHOWN: [&str; 13] = [
    "application/javascript",
    "application/json",
    "application/pdf",
    // What servers of the age of shielded apps call their scripts.
    "application/x-javascript",
    "application/xhtml+xml",
    "application/xml",
    "multipart/x-mixed-replace",
    "text/css",
    "text/event-stream",
    "text/html",
    "text/javascript",
    "text/plain",
    "text/xml",
];
/// Kinds of which browsers show all.
const SHOWN_KINDS: [&str; 4] = ["audio", "font", "image", "video"];
/// How a type of applications ends that is shown as what it is made of (RFC 6839).
const SHOWN_AS: [&str; 2] = ["+json", "+xml"];

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
        Switch::WebSocket | Switch::WebSocketOverHttp2 | Switch::Tunnel => "CONNECT",
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
/// [`Fault::DownloadForbidden`] for an answer that is not plainly one that browsers show, where the shield forbids that.
pub fn towards_client(shield: &Shield, headers: &mut HeaderMap, has_body: bool) -> Result<(), Fault> {
    match shield.downloads {
        Downloads::Forbid if is_attached(headers) || has_body && !is_shown(headers) => {
            return Err(Fault::DownloadForbidden);
        }
        Downloads::Forbid | Downloads::Allow => {}
    }
    fields_towards_client(shield, headers);
    Ok(())
}

/// Makes the fields of an answer strict.
pub fn fields_towards_client(shield: &Shield, headers: &mut HeaderMap) {
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
}

/// Whether an answer asks to be saved.
fn is_attached(headers: &HeaderMap) -> bool {
    let attached = |value: &HeaderValue| {
        let value = value.as_bytes().trim_ascii_start();
        value.get(.."inline".len()).is_none_or(|start| !start.eq_ignore_ascii_case(b"inline"))
    };
    headers.get_all(header::CONTENT_DISPOSITION).iter().any(attached)
}

/// Whether browsers show a body with these fields. A type that does not stand there once is unknown: of several, also of
/// several in one field, browsers take another one than we would.
fn is_shown(headers: &HeaderMap) -> bool {
    let Some(field) = the_only(headers, &header::CONTENT_TYPE).filter(|field| !field.contains(',')) else {
        return false;
    };
    let essence = field.split(';').next().unwrap_or_default().trim_matches([' ', '\t']).to_ascii_lowercase();
    let Some((kind, sort)) = essence.split_once('/') else { return false };
    SHOWN.contains(&essence.as_str())
        || SHOWN_KINDS.contains(&kind)
        || kind == "application" && SHOWN_AS.iter().any(|end| sort.ends_with(end))
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
        towards_client(&shield, &mut headers, true).unwrap();
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
    fn only_what_a_browser_shows_passes_where_downloads_are_forbidden() {
        let shield = Shield { downloads: Downloads::Forbid, ..Shield::default() };
        let asked = |pairs: &[(&'static str, &str)], has_body| towards_client(&shield, &mut fields(pairs), has_body);
        for saved in [
            "text/csv; charset=shift_jis",
            "Application/Octet-Stream",
            "application/x-msaccess",
            "application/dicom",
            "application/vnd.oasis.opendocument.spreadsheet",
            "application/zip; x=text/html",
            "application/vnd.example+zip",
            "text/html-2",
            "text/",
            "text",
            "imagery/png",
            "text/html, application/zip",
            "text/html; a=b, application/zip",
            "",
        ] {
            let field = ("content-type", saved);
            assert_eq!(asked(&[field], true), Err(Fault::DownloadForbidden), "{saved}");
            assert_eq!(asked(&[field], false), Ok(()), "{saved}: there is nothing to save");
            assert_eq!(towards_client(&Shield::default(), &mut fields(&[field]), true), Ok(()));
        }
        let twice = [("content-type", "text/html"), ("content-type", "application/zip")];
        assert_eq!(asked(&twice, true), Err(Fault::DownloadForbidden));
        assert_eq!(asked(&[], true), Err(Fault::DownloadForbidden), "what it is must be said");
        assert_eq!(asked(&[], false), Ok(()));
        for shown in [
            "text/html",
            "Text/HTML ;charset=utf-8",
            "text/event-stream",
            "image/svg+xml",
            "font/woff2",
            "application/pdf",
            "application/problem+json",
            "application/fhir+xml; fhirVersion=4.0",
            "multipart/x-mixed-replace; boundary=frame",
        ] {
            assert_eq!(asked(&[("content-type", shown)], true), Ok(()), "{shown}");
        }
        let html = ("content-type", "text/html");
        for attached in ["attachment; filename=\"patients.csv\"", "ATTACHMENT", "form-data"] {
            let both = [html, ("content-disposition", attached)];
            assert_eq!(asked(&both, true), Err(Fault::DownloadForbidden), "{attached}");
        }
        assert_eq!(asked(&[html, ("content-disposition", " inline; filename=a.html")], true), Ok(()));
    }
}

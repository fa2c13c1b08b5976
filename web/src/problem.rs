//! A refusal for a program: `application/problem+json` (RFC 9457), with our code, rule and request beside it.

use bytes::Bytes;
use http::Response;
use serde::Serialize;

use crate::glass::BREAK;
use crate::texts::Voice;
use crate::{GlassDoor, Refusal, Site, Why, headers, help_code};

/// The document; its field names are a promise to API clients.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    remedy: String,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<&'static str>,
    request: String,
    help_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_in: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    break_glass: Option<Glass<'a>>,
}

/// How the person behind a program may break the glass: by posting a form with these fields and one of these reasons.
#[derive(Serialize)]
struct Glass<'a> {
    address: String,
    fields: [&'static str; 5],
    reasons: Vec<&'a str>,
}

/// Writes the document.
pub(crate) fn write(site: &Site, refusal: &Refusal, door: Option<&GlassDoor>, voice: Voice<'_>) -> Response<Bytes> {
    let key = refusal.key();
    let reasons = refusal.reasons();
    let document = Document {
        r#type: format!("urn:sekimori:problem:{}", refusal.code()),
        title: voice.say(&format!("{key}-title")),
        status: refusal.status().as_u16(),
        detail: voice.say(&format!("{key}-what")),
        remedy: voice.say(&format!("{key}-do")),
        code: refusal.code(),
        rule: reasons.map(|reasons| reasons.rule.as_str()),
        others: reasons.map_or(Vec::new(), |reasons| reasons.others.iter().map(|other| other.code()).collect()),
        request: refusal.request.to_string(),
        help_code: help_code(refusal.request),
        sign_in: matches!(refusal.why, Why::Challenge(..)).then(|| site.sign_in_address(refusal)),
        break_glass: door.map(|_| glass(site, refusal)),
    };
    // Invariant: a struct of texts and numbers always serializes; an empty body would still carry the status.
    let body = serde_json::to_vec(&document).unwrap_or_default();
    headers::document(refusal.status(), "application/problem+json", "no-store", Bytes::from(body))
}

fn glass<'a>(site: &'a Site, refusal: &Refusal) -> Glass<'a> {
    let host = refusal.host.as_ref().unwrap_or(&site.config().portal_host);
    Glass {
        address: format!("{}{BREAK}", site.config().origin(host)),
        fields: ["reason", "words", "method", "path", "query"],
        reasons: site.config().break_glass.reasons.iter().map(|(code, _)| code.as_str()).collect(),
    }
}

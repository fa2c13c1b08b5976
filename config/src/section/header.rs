//! `identity_headers`: plain headers that tell an app who asks.

use crate::IdentityField;
use crate::walk::Table;

const FIELDS: [(&str, IdentityField); 5] = [
    ("login", IdentityField::Login),
    ("name", IdentityField::Name),
    ("user", IdentityField::User),
    ("roles", IdentityField::Roles),
    ("device", IdentityField::Device),
];

/// Headers that mean something else already: framing, routing, credentials and the gateway's own.
const OTHER_MEANING: [&str; 32] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "origin",
    "pragma",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "traceparent",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-real-ip",
    "x-request-id",
    "x-http-method-override",
];
const OTHER_MEANING_PREFIXES: [&str; 6] = ["x-forwarded-", "proxy-", "sec-", "sekimori-", "if-", "access-control-"];

pub(crate) fn read(table: &Table<'_>) -> Option<Vec<(String, IdentityField)>> {
    let mut names: Vec<String> = Vec::new();
    let mut read_one = |(written, value): (&str, crate::walk::Value<'_>)| {
        let field = value.word(&FIELDS);
        let name = written.to_ascii_lowercase();
        let shown = written.escape_debug();
        let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        // Some servers read `_` and `-` in header names alike, so only one of them is used.
        if name.is_empty() || name.len() > 64 || !letters {
            return value.wrong(format!("`{shown}` is not a header name"), "use letters, digits and `-`");
        }
        let other = OTHER_MEANING.contains(&name.as_str())
            || OTHER_MEANING_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if other {
            return value.wrong(format!("`{shown}` means something else"), "choose a name such as `x-remote-user`");
        }
        if names.contains(&name) {
            return value
                .wrong(format!("`{shown}` is already used; case makes no difference"), "name each header once");
        }
        names.push(name.clone());
        Some((name, field?))
    };
    let read: Vec<_> = table.entries().into_iter().map(&mut read_one).collect();
    read.into_iter().collect()
}

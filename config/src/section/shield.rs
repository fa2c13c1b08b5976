//! `[app.shield]`: what shields an app that cannot be patched.

use super::app::pattern;
use super::app_route::method;
use crate::shield::{ContentType, Downloads, Shield};
use crate::walk::{Table, Value};

const DOWNLOADS: [(&str, Downloads); 2] = [("allow", Downloads::Allow), ("forbid", Downloads::Forbid)];
const BODY_BYTES_MAX: u64 = 1 << 40;

/// A shield, and how large bodies may be under it.
pub(crate) struct Read {
    pub(crate) shield: Shield,
    pub(crate) body_bytes_max: Option<u64>,
}

pub(crate) fn read(table: &Table<'_>) -> Option<Read> {
    let methods = table.or("methods", Vec::new(), |value| value.some(|item| method(&item)));
    let paths = table.or("paths", Vec::new(), |value| value.some(|item| pattern(&item)));
    let content_types = table.or("content_types", Vec::new(), |value| value.some(|item| content_type(&item)));
    let body_max = table.optional("body_max", |value| value.size(1..=BODY_BYTES_MAX));
    let no_store = table.or("no_store", false, |value| value.yes_or_no());
    let strict_headers = table.or("strict_headers", false, |value| value.yes_or_no());
    let downloads = table.or("downloads", Downloads::Allow, |value| value.word(&DOWNLOADS));
    table.finish();
    let shield = Shield {
        methods: methods?,
        paths: paths?,
        content_types: content_types?,
        no_store: no_store?,
        strict_headers: strict_headers?,
        downloads: downloads?,
    };
    Some(Read { shield, body_bytes_max: body_max? })
}

fn content_type(value: &Value<'_>) -> Option<ContentType> {
    value.parse(
        |text| ContentType::parse(text).ok_or_else(|| format!("`{text}` is not a media type")),
        "write it like `application/json` or `image/*`, without parameters",
    )
}

//! Names in both languages, and the names of things.

use crate::Names;
use crate::walk::Value;

/// `"看護師"` for both languages, or `{ ja = "看護師", en = "Nurse" }`; one of the two may be left out.
pub(crate) fn read(value: &Value<'_>) -> Option<Names> {
    if value.as_text().is_some() {
        let both = value.text()?.to_owned();
        return Some(Names { ja: both.clone(), en: both });
    }
    let table = value.table()?;
    let ja = table.optional("ja", |value| value.text().map(str::to_owned));
    let en = table.optional("en", |value| value.text().map(str::to_owned));
    table.finish();
    match (ja?, en?) {
        (Some(ja), Some(en)) => Some(Names { ja, en }),
        (Some(both), None) | (None, Some(both)) => Some(Names { ja: both.clone(), en: both }),
        (None, None) => value.wrong("holds no name", "write `{ ja = \"...\", en = \"...\" }`"),
    }
}

/// What to do about a text that is not a name.
pub(crate) const NAME_REMEDY: &str = "write a short name such as `emr` or `ward-shared-1`";
/// What to do about a text that is not a host.
pub(crate) const HOST_REMEDY: &str = "write the name alone, such as `emr.hospital.example.jp`";

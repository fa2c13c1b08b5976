//! `[passkeys]`: which models of authenticators people may use, from a file that the operator puts there.

use policy::Aaguid;
use serde_json::Value as Json;

use crate::files::Files;
use crate::walk::{Table, Value};
use crate::{Authenticator, Passkeys};

const REMEDY: &str = "write a list like `[{\"aaguid\": \"cb69481e-8ff7-4039-93ec-0a2729a154a8\", \"name\": \"YubiKey 5\", \
                      \"allowed\": true}]`";
const NAME_CHARACTERS_MAX: usize = 100;

/// What `[passkeys]` says, and the text of its file, which is a part of the version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Read {
    pub(crate) passkeys: Passkeys,
    pub(crate) text: Option<String>,
}

pub(crate) fn read(table: &Table<'_>, files: &Files<'_>) -> Option<Read> {
    let read = table.optional("authenticators_file", |value| {
        let (path, text) = files.text(&value)?;
        let listed = match authenticators(&text) {
            Ok(listed) => listed,
            Err(reason) => return value.wrong(format!("`{}` {reason}", path.display()), REMEDY),
        };
        Some(Read { passkeys: Passkeys { authenticators: Some(listed) }, text: Some(text) })
    });
    table.finish();
    read.map(Option::unwrap_or_default)
}

/// The models of the file, in its order; else what is wrong with it, and where.
fn authenticators(text: &str) -> Result<Vec<Authenticator>, String> {
    let json: Json = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    let items = json.as_array().ok_or("does not hold a list")?;
    let mut listed: Vec<Authenticator> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let one = authenticator(item).map_err(|reason| format!("entry {}: {reason}", index + 1))?;
        if listed.iter().any(|known| known.model == one.model) {
            return Err(format!("entry {}: lists `{}` again", index + 1, one.model));
        }
        listed.push(one);
    }
    Ok(listed)
}

fn authenticator(item: &Json) -> Result<Authenticator, String> {
    let members = item.as_object().ok_or("is not an object")?;
    if let Some(key) = members.keys().find(|key| !["aaguid", "name", "allowed", "roots"].contains(&key.as_str())) {
        return Err(format!("`{}` is not a key we know", key.escape_debug()));
    }
    let text = |key: &str| members.get(key).and_then(Json::as_str).ok_or(format!("`{key}` is not a text"));
    let model = text("aaguid")?;
    let model = Aaguid::parse(model).ok_or(format!("`{}` is not an AAGUID", model.escape_debug()))?;
    let name = text("name")?;
    if name.trim().is_empty() || name.chars().count() > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
        return Err(format!("`name` is not 1 to {NAME_CHARACTERS_MAX} letters"));
    }
    let allowed = match members.get("allowed") {
        None => true,
        Some(allowed) => allowed.as_bool().ok_or("`allowed` is neither true nor false")?,
    };
    let roots = members.get("roots").map_or(Ok(Vec::new()), roots)?;
    Ok(Authenticator { model, name: name.to_owned(), allowed, roots })
}

/// Certificates in base64. Whether they are certificates shows when they are used.
fn roots(json: &Json) -> Result<Vec<String>, String> {
    let wrong = || "`roots` is not a list of certificates in base64".to_owned();
    let base64 =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    let read = |one: &Json| {
        let text: String = one.as_str().ok_or_else(wrong)?.split_ascii_whitespace().collect();
        if base64(&text) { Ok(text) } else { Err(wrong()) }
    };
    json.as_array().ok_or_else(wrong)?.iter().map(read).collect()
}

/// A model in a rule: by its number, or by its name in the file.
pub(crate) fn model(value: &Value<'_>, passkeys: &Passkeys) -> Option<Aaguid> {
    let text = value.text()?;
    let listed = || passkeys.authenticators.iter().flatten();
    let Some(model) = Aaguid::parse(text).or_else(|| listed().find(|one| one.name == text).map(|one| one.model)) else {
        let remedy = match crate::walk::nearest(text, listed().map(|one| one.name.as_str())) {
            Some(name) => format!("write `{name}`"),
            None => "write an AAGUID, or a name from `authenticators_file` of `[passkeys]`".to_owned(),
        };
        return value.dangling(format!("`{text}` is not a model of authenticator"), remedy);
    };
    if passkeys.allow(model) {
        return Some(model);
    }
    value.wrong(format!("`{text}` may not be used, by `authenticators_file`"), "allow it there, or remove it here")
}

//! The bodies that ORCA is asked with: xml2 or JSON, of which only a few texts matter, wherever they stand.
//! No document type, no entities but the five of XML, no nesting without end.

use serde_json::Value;

use super::super::asked::Asked;

/// Texts of one name that are looked at; more than any request may hold.
const TEXTS_MAX: usize = 1_000;

/// Why a body cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum BodyProblem {
    #[error("the body is not UTF-8")]
    Text,
    #[error("the body is not JSON")]
    Json,
    #[error("the body is not well-formed XML without document type")]
    Xml,
}

/// A body, as the texts in it by the name of what holds them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Body(Vec<(String, String)>);

impl Body {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// It is not what its content type says.
    pub(super) fn read(asked: &Asked) -> Result<Self, BodyProblem> {
        let mut body = Self::default();
        if asked.header("content-type").starts_with("application/json") {
            // serde_json ends at 128 levels.
            let document: Value = serde_json::from_slice(&asked.body).map_err(|_| BodyProblem::Json)?;
            body.add_json("", &document);
        } else {
            let text = std::str::from_utf8(&asked.body).map_err(|_| BodyProblem::Text)?;
            body.add_xml(text).ok_or(BodyProblem::Xml)?;
        }
        Ok(body)
    }

    /// The texts of this name, in order, those that are empty left out.
    pub(super) fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(one, text)| one == name && !text.is_empty()).map(|(_, text)| text.as_str())
    }

    fn add(&mut self, name: &str, text: String) {
        if self.0.len() < TEXTS_MAX {
            self.0.push((name.to_owned(), text));
        }
    }

    fn add_json(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| self.add_json(name, value)),
            Value::Array(items) => items.iter().for_each(|value| self.add_json(name, value)),
            Value::String(text) => self.add(name, text.trim().to_owned()),
            Value::Number(number) => self.add(name, number.to_string()),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Reads elements one after the other; `None` where they do not nest.
    fn add_xml(&mut self, text: &str) -> Option<()> {
        let mut rest = text.trim_start_matches('\u{feff}').trim();
        let mut open: Vec<&str> = Vec::new();
        while let Some(start) = rest.find('<') {
            let (words, tag) = rest.split_at_checked(start)?;
            let (tag, after) = tag.strip_prefix('<')?.split_once('>')?;
            if tag.starts_with('!') || open.len() > 64 {
                return None;
            }
            if let Some(name) = tag.strip_prefix('/') {
                let name = name.trim_end();
                if open.pop()? != name {
                    return None;
                }
                self.add(name, unescape(words.trim())?);
            } else if !tag.starts_with('?') && !tag.ends_with('/') {
                open.push(tag.split_ascii_whitespace().next()?);
            }
            rest = after;
        }
        (open.is_empty() && rest.is_empty() && !text.trim().is_empty()).then_some(())
    }
}

/// The five entities of XML; any other reference is refused.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';')?;
        plain.push_str(before);
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => return None,
        });
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    fn read(media_type: &str, body: &str) -> Result<Body, BodyProblem> {
        Body::read(&Asked::of(Method::POST, "/", body).with("content-type", media_type))
    }

    #[test]
    fn what_is_not_plain_xml_is_refused() {
        for bad in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "</a>",
            "<a></a>tail",
            "<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>",
            "<a>&e;</a>",
            "<a>&#65;</a>",
            "<a><![CDATA[x]]></a>",
            &"<a>".repeat(100_000),
        ] {
            assert_eq!(read("application/xml", bad), Err(BodyProblem::Xml), "{}", bad.get(..40).unwrap_or(bad));
        }
        assert_eq!(read("application/json", "<a/>"), Err(BodyProblem::Json));
    }

    #[test]
    fn texts_are_found_by_name_in_either_form() {
        let xml = "<?xml version=\"1.0\"?>\n<data><r type=\"record\"><Empty/><Patient_ID type=\"string\"> 1 </Patient_ID>\
                   <Patient_ID type=\"string\"></Patient_ID><Patient_ID>&lt;2&amp;</Patient_ID></r></data>";
        let body = read("application/xml; charset=UTF-8", xml).unwrap();
        assert_eq!(body.texts("Patient_ID").collect::<Vec<_>>(), ["1", "<2&"]);
        let json = r#"{"r":{"list":[{"Patient_ID":"1"},{"Patient_ID":2}],"x":null}}"#;
        let body = read("application/json", json).unwrap();
        assert_eq!(body.texts("Patient_ID").collect::<Vec<_>>(), ["1", "2"]);
    }
}

//! ORCA's answers as one tree with two forms: xml2, where every element says its type, and JSON.

use http::StatusCode;
use serde_json::{Map, Value};

use super::super::answer::{self, Answer};
use super::super::asked::Asked;
use super::super::page::escape;

/// A part of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Tree {
    Text(String),
    Record(Vec<(&'static str, Tree)>),
    Array(Vec<Tree>),
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// How an answer is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Xml2,
    Json,
}

impl Form {
    /// The form asked for: JSON by `format=json`, or by a JSON body.
    pub(super) fn wanted(asked: &Asked) -> Self {
        let by_body = asked.header("content-type").starts_with("application/json");
        if asked.query.one("format") == Some("json") || by_body { Self::Json } else { Self::Xml2 }
    }

    /// An answer with this tree.
    pub(super) fn answer(self, root: &'static str, tree: &Tree) -> Answer {
        match self {
            Self::Xml2 => {
                let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xmlio2>\n".to_owned();
                tree.write_xml(root, &mut text);
                text.push_str("</xmlio2>\n");
                answer::of_type(StatusCode::OK, "application/xml; charset=utf-8", text)
            }
            Self::Json => {
                let document = Value::from(Map::from_iter([(root.to_owned(), tree.json())]));
                answer::json(StatusCode::OK, "application/json; charset=utf-8", &document)
            }
        }
    }
}

impl Tree {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Record(_) => "record",
            Self::Array(_) => "array",
        }
    }

    fn write_xml(&self, name: &str, out: &mut String) {
        out.push_str(&format!("<{name} type=\"{}\">", self.type_name()));
        match self {
            Self::Text(text) => out.push_str(&escape(text)),
            Self::Record(fields) => {
                out.push('\n');
                fields.iter().for_each(|(name, tree)| tree.write_xml(name, out));
            }
            Self::Array(items) => {
                out.push('\n');
                let child = format!("{name}_child");
                items.iter().for_each(|tree| tree.write_xml(&child, out));
            }
        }
        out.push_str(&format!("</{name}>\n"));
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Record(fields) => fields.iter().map(|(name, tree)| ((*name).to_owned(), tree.json())).collect(),
            Self::Array(items) => items.iter().map(Self::json).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tree_has_two_forms() {
        let tree = Tree::Record(vec![("A", Tree::Array(vec![Tree::from("<x>")])), ("B", Tree::from("b"))]);
        let mut xml = String::new();
        tree.write_xml("r", &mut xml);
        let expected = "<r type=\"record\">\n<A type=\"array\">\n<A_child type=\"string\">&lt;x&gt;</A_child>\n</A>\n\
                        <B type=\"string\">b</B>\n</r>\n";
        assert_eq!(xml, expected);
        assert_eq!(tree.json(), serde_json::json!({"A": ["<x>"], "B": "b"}));
    }
}

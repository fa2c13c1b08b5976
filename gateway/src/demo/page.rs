//! The frame of every demo page: one style sheet, no external resource, nothing inline.

use std::fmt::Write as _;

use http::StatusCode;

use super::answer::{self, Answer};
use super::language::Language;

/// The style sheet of all demo pages.
const STYLE: &str = include_str!("demo.css");

/// Which demo part a page belongs to; each has its own colour, so that nobody mistakes one for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Idp,
    Emr,
    Orca,
}

impl Part {
    fn class(self) -> &'static str {
        match self {
            Self::Idp => "idp",
            Self::Emr => "emr",
            Self::Orca => "orca",
        }
    }

    fn name(self, language: Language) -> &'static str {
        match self {
            Self::Idp => language.say("デモ認証基盤", "Demo identity provider"),
            Self::Emr => language.say("デモ電子カルテ", "Demo EMR"),
            Self::Orca => language.say("デモ レセプト計算機", "Demo receipt computer"),
        }
    }
}

/// Text made safe to stand in HTML, in an element or in a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(letter),
        }
    }
    safe
}

/// What stands in the frame.
#[derive(Debug)]
pub(super) struct Content<'a> {
    /// The page's title; plain text.
    pub(super) title: &'a str,
    /// What stands at the right of the header, such as who is signed in; HTML.
    pub(super) aside: &'a str,
    /// The page itself; HTML.
    pub(super) main: &'a str,
    /// The path of a script of this part.
    pub(super) script: Option<&'static str>,
}

/// A whole page.
pub(super) fn page(status: StatusCode, part: Part, language: Language, content: &Content<'_>) -> Answer {
    let Content { aside, main, .. } = content;
    let (tag, class, name, title) = (language.tag(), part.class(), part.name(language), escape(content.title));
    let invented = language.say(
        "これは関守のデモです。人物・患者・記録はすべて架空のものです。",
        "This is the Sekimori demo. Every person, patient and record here is invented.",
    );
    let mut script = String::new();
    if let Some(path) = content.script {
        // Writing to a String cannot fail.
        let _ = write!(script, "<script src=\"{path}\" defer></script>");
    }
    answer::html(
        status,
        format!(
            "<!doctype html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title} - {name}</title>\n<link rel=\"stylesheet\" href=\"/assets/demo.css\">\n{script}</head>\n\
             <body class=\"{class}\">\n<header><p class=\"name\"><a href=\"/\">{name}</a></p><div>{aside}</div></header>\n\
             <main>\n<h1>{title}</h1>\n{main}\n</main>\n<footer><p>{invented}</p></footer>\n</body>\n</html>\n"
        ),
    )
}

/// The style sheet, for `/assets/demo.css`.
pub(super) fn style() -> Answer {
    answer::of_type(StatusCode::OK, "text/css; charset=utf-8", STYLE)
}

/// A page that says what went wrong and what to do.
pub(super) fn trouble(status: StatusCode, part: Part, language: Language, title: &str, text: &str) -> Answer {
    let main = format!("<p class=\"notice\">{}</p>", escape(text));
    page(status, part, language, &Content { title, aside: "", main: &main, script: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place_in_html() {
        assert_eq!(escape("<b a=\"x\" b='y'>&"), "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;");
    }

    #[tokio::test]
    async fn pages_hold_nothing_inline_and_nothing_external() {
        let content = Content { title: "<T>", aside: "", main: "<p>m</p>", script: Some("/assets/live.js") };
        let text = answer::text_of(page(StatusCode::OK, Part::Emr, Language::English, &content)).await;
        assert!(text.contains("<h1>&lt;T&gt;</h1>"));
        for inline in ["<style", " style=", "onclick", "http://", "https://"] {
            assert!(!text.contains(inline), "{inline}");
        }
        assert!(!STYLE.contains("http") && !STYLE.contains("@import"));
    }
}

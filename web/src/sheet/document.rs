//! A sheet as a file of its own: printed on paper, signed, kept.

use askama::Template;

use super::Sheet;
use crate::Language;

/// The file: one page without anything from elsewhere, so that it reads the same in ten years.
#[derive(Template)]
#[template(path = "sheet/document.html")]
struct Document<'a> {
    tag: &'static str,
    facility: &'a str,
    sheet: &'a Sheet,
}

impl Sheet {
    /// The sheet as an HTML document that needs nothing else, with room to sign.
    #[must_use]
    pub fn html(&self, language: Language, facility: &str) -> String {
        // Invariant: a template over texts always renders.
        Document { tag: language.tag(), facility, sheet: self }.render().unwrap_or_default()
    }
}

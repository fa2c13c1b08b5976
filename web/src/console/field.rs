//! Fields of forms, in few words.

use super::view::{Choice, Field, FieldKind, Go, GoLook, Submit};

impl Field {
    /// A field; `form` and `name` together are its id on the page.
    fn new(form: &str, name: &'static str, label: String, kind: FieldKind) -> Self {
        Self { name, id: format!("{form}-{name}"), label, hint: None, is_required: false, kind }
    }

    /// One line of text.
    pub(crate) fn text(form: &str, name: &'static str, label: String, value: impl Into<String>, most: usize) -> Self {
        Self::new(form, name, label, FieldKind::Text { value: value.into(), chars_max: most })
    }

    /// What to look for.
    pub(crate) fn search(label: String, value: Option<&str>) -> Self {
        Self::new("filter", "q", label, FieldKind::Search { value: value.unwrap_or_default().to_owned() })
    }

    /// A day, as `2026-11-22`.
    pub(crate) fn day(form: &str, name: &'static str, label: String, value: impl Into<String>) -> Self {
        Self::new(form, name, label, FieldKind::Date { value: value.into() })
    }

    /// A day and a time by the hospital's clock, as `2026-11-22T21:00`.
    pub(crate) fn moment(form: &str, name: &'static str, label: String, value: impl Into<String>) -> Self {
        Self::new(form, name, label, FieldKind::Moment { value: value.into() })
    }

    /// Many lines of text.
    pub(crate) fn area(form: &str, name: &'static str, label: String, value: impl Into<String>, rows: usize) -> Self {
        Self::new(form, name, label, FieldKind::Area { value: value.into(), rows })
    }

    /// A file.
    pub(crate) fn file(form: &str, name: &'static str, label: String, accept: &'static str) -> Self {
        Self::new(form, name, label, FieldKind::File { accept })
    }

    /// One of several.
    pub(crate) fn choice(form: &str, name: &'static str, label: String, choices: Vec<Choice>) -> Self {
        Self::new(form, name, label, FieldKind::Choice(choices))
    }

    /// Some of several.
    pub(crate) fn some_of(form: &str, name: &'static str, label: String, choices: Vec<Choice>) -> Self {
        Self::new(form, name, label, FieldKind::Ticks(choices))
    }

    /// What is sent along and seen by nobody.
    pub(crate) fn hidden_value(name: &'static str, value: impl Into<String>) -> Self {
        Self::new("hidden", name, String::new(), FieldKind::Hidden(value.into()))
    }

    /// It must be filled in.
    pub(crate) fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// What helps to fill it in.
    pub(crate) fn hinted(self, hint: String) -> Self {
        Self { hint: Some(hint), ..self }
    }
}

impl Choice {
    /// One of several.
    pub(crate) fn new(value: impl Into<String>, label: String, is_chosen: bool) -> Self {
        Self { value: value.into(), label, is_chosen }
    }
}

impl Submit {
    /// The one button of a form.
    pub(crate) fn main(label: String) -> Vec<Self> {
        vec![Self { label, look: GoLook::Main, sends: None }]
    }

    /// The one button of a form that takes something away.
    pub(crate) fn stop(label: String) -> Vec<Self> {
        vec![Self { label, look: GoLook::Stop, sends: None }]
    }
}

/// The links to the pages before and after.
pub(crate) fn pages(first: Option<Go>, next: Option<Go>) -> Vec<Go> {
    first.into_iter().chain(next).collect()
}

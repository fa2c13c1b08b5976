//! A page of the portal that is made of the same parts as the console's.

use askama::Template;

use crate::chart::Shape;
use crate::console::view::{Bit, ConsoleContent, FieldKind, Flash, Part};
use crate::view::Frame;

/// A page of the portal.
#[derive(Template)]
#[template(path = "portal/page.html")]
pub(super) struct PortalPage<'a> {
    pub(super) frame: Frame<'a>,
    /// What was just done, or what stood in the way.
    pub(super) flash: Option<Flash>,
    pub(super) page: ConsoleContent,
}

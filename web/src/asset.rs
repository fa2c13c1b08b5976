//! Style sheets and pictures, compiled in. Their paths carry a version, so that browsers may keep them for ever.

use bytes::Bytes;

/// A file that pages refer to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Asset {
    /// The style sheet: tokens, then everything else.
    Style,
    /// The checkpoint gate.
    Logo,
}

impl Asset {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Style, Self::Logo];

    /// Where it is served, on every host.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Style => "/.sekimori/style-1.css",
            Self::Logo => "/.sekimori/logo-1.svg",
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Style => "text/css; charset=utf-8",
            Self::Logo => "image/svg+xml",
        }
    }

    pub(crate) fn bytes(self) -> Bytes {
        match self {
            Self::Style => {
                const STYLE: &str = concat!(include_str!("../assets/tokens.css"), include_str!("../assets/base.css"));
                Bytes::from_static(STYLE.as_bytes())
            }
            Self::Logo => Bytes::from_static(include_bytes!("../assets/logo.svg")),
        }
    }
}

//! What shields an app that cannot be patched (保守切れ): only what it needs reaches it, and only what is safe comes back.

use policy::{Method, Path, PathPattern};

/// What shields an app. An empty list shuts nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shield {
    /// The methods that reach it; `CONNECT` stands for WebSocket.
    pub methods: Vec<Method>,
    /// The paths that reach it.
    pub paths: Vec<PathPattern>,
    /// What bodies towards it may hold.
    pub content_types: Vec<ContentType>,
    /// Whether its answers are marked so that no browser keeps them.
    pub no_store: bool,
    /// Whether only well-known header fields pass, in both directions.
    pub strict_headers: bool,
    /// Whether its answers may be saved as files.
    pub downloads: Downloads,
}

/// Whether answers may be saved as files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Downloads {
    /// They may.
    #[default]
    Allow,
    /// Only answers that browsers are known to show are passed on, and those without a body: whatever else it is, they
    /// would save it.
    Forbid,
}

impl Shield {
    /// Whether a method reaches the app.
    #[must_use]
    pub fn lets_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|one| one.as_str() == method)
    }

    /// Whether a path reaches the app.
    #[must_use]
    pub fn lets_path(&self, path: &Path) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|one| one.matches(path))
    }

    /// Whether a body with this `Content-Type` field reaches the app.
    #[must_use]
    pub fn lets_content(&self, field: Option<&str>) -> bool {
        self.content_types.is_empty() || field.is_some_and(|field| self.content_types.iter().any(|one| one.fits(field)))
    }
}

/// A media type such as `application/json`, or all of a kind such as `image/*`; in lower case, without parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType(String);

impl ContentType {
    /// Reads a media type. `None` where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (kind, sort) = text.split_once('/')?;
        let token = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
        };
        (token(kind) && (sort == "*" || token(sort))).then_some(Self(text))
    }

    /// The type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a `Content-Type` field is of it, whatever its parameters.
    #[must_use]
    pub fn fits(&self, field: &str) -> bool {
        let essence = field.split(';').next().unwrap_or_default().trim_matches([' ', '\t']);
        match self.0.strip_suffix('*') {
            Some(kind) => essence.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind)),
            None => essence.eq_ignore_ascii_case(&self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_fit_by_what_they_are_not_by_what_is_said_beside() {
        let form = ContentType::parse("Application/X-WWW-Form-URLEncoded").unwrap();
        assert!(form.fits("application/x-www-form-urlencoded; charset=utf-8"));
        assert!(form.fits("APPLICATION/x-www-form-urlencoded"));
        for other in [
            "application/json",
            "",
            "application/x-www-form-urlencoded-2",
            "text/html;application/x-www-form-urlencoded",
        ] {
            assert!(!form.fits(other), "{other}");
        }
        let images = ContentType::parse("image/*").unwrap();
        assert!(images.fits("image/png") && !images.fits("imagery/png") && !images.fits("image"));
        for wrong in ["", "json", "/json", "image/", "*/*", "a/b/c", "image/p ng", "画像/png"] {
            assert_eq!(ContentType::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_empty_shield_lets_everything_and_a_list_only_what_it_names() {
        let path = Path::parse("/orca/api/patientgetv2").unwrap();
        let open = Shield::default();
        assert!(open.lets_method("BREW") && open.lets_path(&path) && open.lets_content(None));
        let shut = Shield {
            methods: vec![Method::parse("GET").unwrap()],
            paths: vec![PathPattern::parse("/orca/api/*").unwrap()],
            content_types: vec![ContentType::parse("application/xml").unwrap()],
            ..Shield::default()
        };
        assert!(shut.lets_method("GET") && !shut.lets_method("get") && !shut.lets_method("POST"));
        assert!(shut.lets_path(&path) && !shut.lets_path(&Path::parse("/orca/admin").unwrap()));
        assert!(shut.lets_content(Some("application/xml")) && !shut.lets_content(None), "a body says what it is");
    }
}

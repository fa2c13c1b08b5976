//! Commented configurations to start from, as `sekimori init` writes them.

/// A configuration to start from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Template {
    /// A clinic: one listener, one app, as little as possible.
    Clinic,
    /// A hospital: several zones and apps, and every key there is, explained.
    Hospital,
}

/// The text of a template: a valid configuration but for the certificate files it names, with paths relative to the
/// folder it is written into.
#[must_use]
pub fn template(which: Template) -> &'static str {
    match which {
        Template::Clinic => include_str!("../templates/clinic.toml"),
        Template::Hospital => include_str!("../templates/hospital.toml"),
    }
}

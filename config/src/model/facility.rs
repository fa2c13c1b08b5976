//! The institution, and names in both languages.

/// The institution.
#[derive(Clone, Debug)]
pub struct Facility {
    /// Its name, on pages and reports.
    pub name: String,
    /// 医療機関コード, ten digits.
    pub code: Option<String>,
}

/// A name in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Japanese.
    pub ja: String,
    /// English.
    pub en: String,
}

//! Where people work and devices stand: a department, or a department of a facility.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name, in characters.
const CHARS_MAX: usize = 64;

/// A department as directory and ledger have it in free text, read so that two spellings of one are one: characters of
/// half width where there is one, no space around a part. A house with several facilities writes the facility first:
/// `本院/3階東病棟`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit(Arc<str>);

impl Unit {
    /// Reads a name; `None` for what is none: empty, too long, or with control characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.chars().count() > CHARS_MAX || text.chars().any(char::is_control) {
            return None;
        }
        let narrow: String = text.chars().map(half_width).collect();
        let parts: Vec<&str> = narrow.split('/').map(str::trim).filter(|part| !part.is_empty()).collect();
        (!parts.is_empty()).then(|| Self(parts.join("/").into()))
    }

    /// The name, as two of one department have it alike.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The department itself, and everything it is a part of: `本院/3階東病棟` and `本院`.
    pub fn and_above(&self) -> impl Iterator<Item = &str> {
        let ends = self.0.match_indices('/').map(|(end, _)| end).chain([self.0.len()]);
        ends.filter_map(|end| self.0.get(..end))
    }

    /// Whether another is this one, or a part of it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.and_above().any(|one| one == self.as_str())
    }
}

/// Full-width forms of ASCII and the ideographic space, as they are typed in Japanese.
fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        other => other,
    }
}

impl FromStr for Unit {
    type Err = NotAUnit;

    fn from_str(text: &str) -> Result<Self, NotAUnit> {
        Self::parse(text).ok_or_else(|| NotAUnit(text.into()))
    }
}

/// A text is no name of a department.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotAUnit(Box<str>);

impl fmt::Display for NotAUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no name of a department", self.0)
    }
}

impl std::error::Error for NotAUnit {}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(text: &str) -> Unit {
        Unit::parse(text).unwrap()
    }

    #[test]
    fn spellings_of_one_department_are_one() {
        for text in ["本院/3F", " 本院 / 3F ", "本院／３Ｆ", "本院\u{3000}/3F/", "/本院//3F"] {
            assert_eq!(unit(text).as_str(), "本院/3F", "{text}");
        }
        for text in ["", " ", "/", "\u{3000}／", "a\nb", &"x".repeat(CHARS_MAX + 1)] {
            assert_eq!(Unit::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_facility_covers_its_departments_and_nothing_that_only_begins_alike() {
        for (scope, other, covers) in [
            ("本院", "本院/3F", true),
            ("本院", "本院", true),
            ("本院/3F", "本院/3F/東", true),
            ("本院/3F", "本院", false),
            ("本院", "本院分室/3F", false),
            ("3F", "本院/3F", false),
        ] {
            assert_eq!(unit(scope).covers(&unit(other)), covers, "{scope} {other}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_was_read_stays_as_it_is_and_lies_in_all_above_it(text in any::<String>()) {
            if let Some(one) = Unit::parse(&text) {
                prop_assert_eq!(Unit::parse(one.as_str()), Some(one.clone()));
                prop_assert!(one.and_above().all(|above| unit(above).covers(&one)));
                prop_assert_eq!(one.and_above().last(), Some(one.as_str()));
            }
        }
    }
}

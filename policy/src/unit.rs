//! Where people work and devices stand: a department, or a department of a facility.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name, in characters.
const CHARS_MAX: usize = 64;

/// A department as directory and ledger have it in free text, read so that two spellings of one are one: letters and digits
/// of half width, katakana of full width with its marks, one space for several, none around a part. A house with several facilities writes the facility first:
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
        let folded = folded(text);
        let spaced = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
        let parts: Vec<String> = folded.split('/').map(spaced).filter(|part| !part.is_empty()).collect();
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

/// A text in the width in which everybody would write it, marks with their kana.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().map(usual_width) {
        let voiced = match c {
            '\u{3099}' => folded.chars().last().and_then(voiced),
            '\u{309a}' => folded.chars().last().and_then(half_voiced),
            _ => None,
        };
        if voiced.is_some() {
            folded.pop();
        }
        folded.push(voiced.unwrap_or(c));
    }
    folded
}

/// Full-width forms of ASCII, the ideographic space, and katakana of half width, as they are typed in Japanese; a mark by
/// itself becomes one that combines.
fn usual_width(c: char) -> char {
    let place = |first: char| usize::try_from(u32::from(c).wrapping_sub(u32::from(first))).ok();
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        '\u{ff61}'..='\u{ff9d}' => place('\u{ff61}').and_then(|place| KATAKANA.chars().nth(place)).unwrap_or(c),
        '\u{ff9e}' => '\u{3099}',
        '\u{ff9f}' => '\u{309a}',
        other => other,
    }
}

/// From U+FF61 to U+FF9D in full width.
const KATAKANA: &str = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン";

/// A kana with the mark `゛`, where there is one sign for both.
fn voiced(c: char) -> Option<char> {
    match c {
        'う' => Some('ゔ'),
        'ウ' => Some('ヴ'),
        _ if "かきくけこさしすせそたちつてとはひふへほカキクケコサシスセソタチツテトハヒフヘホ".contains(c) => {
            char::from_u32(u32::from(c) + 1)
        }
        _ => None,
    }
}

/// A kana with the mark `゜`.
fn half_voiced(c: char) -> Option<char> {
    "はひふへほハヒフヘホ".contains(c).then(|| char::from_u32(u32::from(c) + 2)).flatten()
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
        for text in ["リハビリ科", "ﾘﾊﾋﾞﾘ科", "リハヒ\u{3099}リ科"] {
            assert_eq!(unit(text).as_str(), "リハビリ科", "{text}");
        }
        for (text, expected) in [
            ("ﾊﾟｰﾄ ｳﾞ", "パート ヴ"),
            ("か\u{3099}ん", "がん"),
            ("3  F", "3 F"),
            ("3\u{3000} F", "3 F"),
            ("あﾞ", "あ\u{3099}"),
            ("ﾞ", "\u{3099}"),
        ] {
            assert_eq!(unit(text).as_str(), expected, "{text}");
        }
        assert_eq!((KATAKANA.chars().next(), KATAKANA.chars().last()), (Some('。'), Some('ン')));
        assert_eq!(KATAKANA.chars().count(), 0xff9d - 0xff61 + 1);
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

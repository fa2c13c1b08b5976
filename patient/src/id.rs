//! Ids as they are written down: one spelling for what people and programs spell in several.

use std::borrow::Cow;

use policy::AppFacts;

/// The longest id, in bytes; numbers of patients are far shorter, and what is longer names nobody.
const ID_BYTES_MAX: usize = 64;
/// The longest Study Instance UID (PS3.5 section 9.1).
const UID_BYTES_MAX: usize = 64;

/// An id in half-width characters, without space around it, filled up with zeros where it is all digits. `None` for what
/// is none: empty, too long, or with control characters.
#[must_use]
pub fn normalised(raw: &str, pad: usize) -> Option<Box<str>> {
    let narrow: Cow<'_, str> =
        if raw.is_ascii() { Cow::Borrowed(raw) } else { Cow::Owned(raw.chars().map(half_width).collect()) };
    let id = narrow.trim();
    if id.is_empty() || id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) {
        return None;
    }
    if pad == 0 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(id.into());
    }
    let digits = id.trim_start_matches('0');
    if digits.is_empty() {
        // Zero is nobody's number, but it is what was asked for.
        return Some("0".repeat(pad.min(ID_BYTES_MAX)).into());
    }
    Some(format!("{digits:0>pad$}").into())
}

/// To how many digits these apps fill up ids; 0 where they do not, or not all alike: then nobody can say which spelling
/// of an id is meant.
pub fn common_pad<'a>(apps: impl Iterator<Item = &'a AppFacts>) -> usize {
    let sources = apps.flat_map(|app| &app.routes).filter_map(|route| route.patients.as_ref());
    common(sources.map(|patients| patients.ids.pad))
}

fn common(mut pads: impl Iterator<Item = usize>) -> usize {
    let first = pads.next().unwrap_or(0);
    if pads.all(|pad| pad == first) { first } else { 0 }
}

/// Full-width forms of ASCII and the ideographic space, as they are typed in Japanese.
fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        other => other,
    }
}

/// A Study Instance UID, if it is one.
pub(crate) fn uid(raw: &str) -> Option<&str> {
    let uid = raw.trim_matches([' ', '\0']);
    let is_one = !uid.is_empty()
        && uid.len() <= UID_BYTES_MAX
        && uid.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    is_one.then_some(uid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_patient_has_one_spelling() {
        let id = |raw: &str| normalised(raw, 8).map(String::from);
        for raw in ["12345", "00012345", "000000012345", "１２３４５", "　00012345 ", "\t12345"] {
            let raw = raw.trim_start_matches('\t');
            assert_eq!(id(raw).as_deref(), Some("00012345"), "{raw}");
        }
        assert_eq!(id("Ａ-12").as_deref(), Some("A-12"), "no number, not filled up");
        assert_eq!(id("123456789").as_deref(), Some("123456789"), "longer than usual, and kept");
        assert_eq!(id("0").as_deref(), Some("00000000"));
        assert_eq!(normalised("00012345", 0).as_deref(), Some("00012345"), "as it is where nothing is said");
    }

    #[test]
    fn what_names_nobody_is_no_id() {
        for raw in ["", "  ", "\u{3000}", "1\n2", "a\0", &"1".repeat(65), "\u{85}x\u{85}y"] {
            assert_eq!(normalised(raw, 8), None, "{raw:?}");
        }
    }

    #[test]
    fn ids_are_filled_up_where_all_apps_do_so_alike() {
        for (pads, expected) in
            [(vec![], 0), (vec![8], 8), (vec![8, 8], 8), (vec![8, 5, 8], 0), (vec![8, 0], 0), (vec![0, 8], 0)]
        {
            assert_eq!(common(pads.iter().copied()), expected, "{pads:?}");
        }
    }

    #[test]
    fn study_uids_are_numbers_with_dots() {
        assert_eq!(uid("1.2.392.200036"), Some("1.2.392.200036"));
        assert_eq!(uid("1.2.3\0"), Some("1.2.3"), "padded as in files");
        for raw in ["", ".", "1.", "1..2", "1.a", &"1.".repeat(33), "1.2/3"] {
            assert_eq!(uid(raw), None, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn an_id_that_was_written_down_stays_as_it_is(raw in any::<String>(), pad in 0..20_usize) {
            if let Some(once) = normalised(&raw, pad) {
                prop_assert_eq!(normalised(&once, pad), Some(once.clone()));
                prop_assert!(once.len() <= ID_BYTES_MAX && !once.chars().any(char::is_control));
            }
        }
    }
}

//! Words out of texts, and words to look for. Letters and digits make words; case and width do not matter. Chinese
//! characters and kana have no spaces between words, so each pair of neighbours is one.

use std::collections::BTreeSet;

/// The most bytes of a word; what is longer is cut, here and where it is asked for.
const WORD_BYTES_MAX: usize = 40;
/// The most words that are kept of one text.
const WORDS_MAX: usize = 200;

/// A word that is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// This word.
    Whole(String),
    /// Any word that begins so.
    Beginning(String),
}

/// Gathers the words of a text.
pub(crate) fn gather(text: &str, words: &mut BTreeSet<String>) {
    runs(text, |run, _| match run {
        Run::Letters(word) => add(words, word),
        Run::Signs(signs) => {
            for (place, first) in signs.iter().enumerate() {
                add(words, signs.get(place + 1).map_or_else(|| first.to_string(), |next| format!("{first}{next}")));
            }
        }
    });
}

fn add(words: &mut BTreeSet<String>, word: String) {
    if words.len() < WORDS_MAX {
        words.insert(word);
    }
}

/// The words that a text asks for.
pub(crate) fn wanted(text: &str) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    runs(text, |run, star_follows| match run {
        Run::Letters(word) if star_follows => wanted.push(Wanted::Beginning(word)),
        Run::Letters(word) => wanted.push(Wanted::Whole(word)),
        // A sign alone stands at the beginning of a pair, or last.
        Run::Signs(signs) => match signs.as_slice() {
            [one] => wanted.push(Wanted::Beginning(one.to_string())),
            more => wanted.extend(more.windows(2).map(|pair| Wanted::Whole(pair.iter().collect()))),
        },
    });
    wanted
}

enum Run {
    Letters(String),
    Signs(Vec<char>),
}

/// Cuts a text into runs of one kind, and says of each whether a `*` follows.
fn runs(text: &str, mut each: impl FnMut(Run, bool)) {
    let mut letters = String::new();
    let mut signs = Vec::new();
    for c in text.chars().flat_map(folded).chain([' ']) {
        let is_sign = is_sign(c);
        let is_letter = c.is_alphanumeric() && !is_sign;
        if !is_letter && !letters.is_empty() {
            each(Run::Letters(std::mem::take(&mut letters)), c == '*');
        }
        if !is_sign && !signs.is_empty() {
            each(Run::Signs(std::mem::take(&mut signs)), c == '*');
        }
        if is_sign {
            signs.push(c);
        } else if is_letter && letters.len() + c.len_utf8() <= WORD_BYTES_MAX {
            letters.push(c);
        }
    }
}

/// Half width where there is one, and small letters.
fn folded(c: char) -> impl Iterator<Item = char> {
    let half = match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        other => other,
    };
    half.to_lowercase()
}

/// Chinese characters and kana.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{3005}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9d}' | '\u{20000}'..='\u{3134f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = BTreeSet::new();
        gather(text, &mut words);
        words.into_iter().collect()
    }

    #[test]
    fn letters_and_digits_make_words_whatever_their_case_and_width() {
        assert_eq!(words("/fhir/Patient/00012345"), ["00012345", "fhir", "patient"]);
        assert_eq!(words("ward3-TABLET-０７"), ["07", "tablet", "ward3"]);
        assert_eq!(words(" ./-* "), [""; 0]);
        assert_eq!(words(&"x".repeat(1_000)), ["x".repeat(WORD_BYTES_MAX)]);
    }

    #[test]
    fn japanese_names_are_found_by_any_neighbouring_signs() {
        assert_eq!(words("佐藤 花子"), ["佐藤", "子", "花子", "藤"]);
        let found = |asked: &str| {
            let words = words("佐藤花子");
            wanted(asked).iter().all(|one| match one {
                Wanted::Whole(word) => words.contains(word),
                Wanted::Beginning(word) => words.iter().any(|other| other.starts_with(word.as_str())),
            })
        };
        for part in ["佐藤", "花子", "藤花", "佐藤花子", "子", "佐", ""] {
            assert!(found(part), "{part}");
        }
        assert!(!found("佐子") && !found("鈴木"));
    }

    #[test]
    fn a_star_asks_for_a_beginning() {
        assert_eq!(
            wanted("n.sat* Ward"),
            [Wanted::Whole("n".into()), Wanted::Beginning("sat".into()), Wanted::Whole("ward".into())]
        );
    }
}

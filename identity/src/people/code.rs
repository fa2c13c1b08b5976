//! Codes that people type from paper or scan: a hundred random bits in letters and digits that are not taken for
//! one another (Crockford's base 32).

use std::fmt;

use store::TokenHash;
use zeroize::Zeroize;

use crate::secret::{hash_all, random};

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Digits of a code: a hundred bits.
const CODE_DIGITS: usize = 20;
/// Digits between two hyphens.
const GROUP_DIGITS: usize = 5;
/// The longest text that is looked at, in bytes.
const TYPED_BYTES_MAX: usize = 200;

/// The code of an invitation. Prints as `(..)` and is wiped when dropped; the store keeps only its digest.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationCode(String);

impl InvitationCode {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        let mut bits = random::<CODE_DIGITS>();
        let digits = bits.iter().filter_map(|byte| DIGITS.get(usize::from(byte % 32)).copied().map(char::from));
        let code = Self(digits.collect());
        bits.zeroize();
        code
    }

    /// Reads a code as people type it: in either case, in full-width letters as a Japanese keyboard gives them, with or
    /// without hyphens and spaces, `O` for 0, `I` and `L` for 1.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > TYPED_BYTES_MAX {
            return None;
        }
        let separates = |c: &char| !c.is_whitespace() && !"-‐‑‒–—―−ー－".contains(*c);
        let digits: Option<String> = typed.chars().filter(separates).map(digit).collect();
        digits.filter(|digits| digits.len() == CODE_DIGITS).map(Self)
    }

    /// The code as it is shown and put in links: four groups with hyphens. Hand it to nothing that is kept.
    #[must_use]
    pub fn expose(&self) -> String {
        let groups = self.0.as_bytes().chunks(GROUP_DIGITS).map(String::from_utf8_lossy);
        groups.collect::<Vec<_>>().join("-")
    }

    /// What the store knows of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        hash_all("invitation", &[&self.0])
    }
}

fn digit(typed: char) -> Option<char> {
    let narrow = match typed {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(typed as u32 - 0xfee0)?,
        other => other,
    };
    let digit = match narrow.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    digit.is_ascii().then_some(digit).filter(|digit| DIGITS.contains(&(*digit as u8)))
}

impl fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(..)")
    }
}

impl Drop for InvitationCode {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_long_different_and_never_printed() {
        let code = InvitationCode::random();
        assert_ne!(code, InvitationCode::random());
        assert_eq!(code.expose().len(), 23);
        assert_eq!(format!("{code:?}"), "(..)");
    }

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = InvitationCode::parse("01ABC-DEFGH-JKMNP-QRSTV").unwrap();
        for typed in [
            "01abcdefghjkmnpqrstv",
            " oiABC DEFGH JKMNP QRSTV ",
            "0LABC-DEFGH-JKMNP-QRSTV\n",
            "０１ＡＢＣ－ｄｅｆｇｈーJKMNP‐QRSTV",
        ] {
            assert_eq!(InvitationCode::parse(typed).as_ref(), Some(&code), "{typed:?}");
        }
        assert_eq!(InvitationCode::parse(&code.expose()).unwrap().hash(), code.hash());
        for typed in ["", "01ABC", "01ABC-DEFGH-JKMNP-QRSTVW", "U1ABC-DEFGH-JKMNP-QRSTV", "é1ABC-DEFGH-JKMNP-QRST"] {
            assert_eq!(InvitationCode::parse(typed), None, "{typed:?}");
        }
        assert_eq!(InvitationCode::parse(&"-".repeat(TYPED_BYTES_MAX + 1)), None);
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_typed_breaks_the_reader_and_a_code_reads_as_it_is_shown(typed in "[-0-9A-Za-zー０-９Ａ-ｚ .]{0,30}|.{0,60}") {
            if let Some(code) = InvitationCode::parse(&typed) {
                proptest::prop_assert_eq!(code.expose().len(), 23);
                proptest::prop_assert_eq!(InvitationCode::parse(&code.expose()), Some(code));
            }
        }
    }
}

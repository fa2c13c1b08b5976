//! The patients of the demo hospital: fifty people made from ten family names that no family has and five given
//! names. The same fifty in the EMR and in the receipt computer, every time.

/// How many there are.
pub(super) const PATIENTS: u32 = 50;
/// The number of the first.
const FIRST_NUMBER: u32 = 12_345;
/// 医療機関コード of the demo hospital, which no hospital has.
pub(super) const FACILITY_CODE: &str = "1312345670";
/// The identifier system of the demo hospital's patient numbers (JP Core: a fixed OID, then `1` and the facility code).
pub(super) const NUMBER_SYSTEM: &str = "urn:oid:1.2.392.100495.20.3.51.11312345670";

/// One invented patient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Patient {
    /// The patient number, without leading zeros.
    pub(super) number: u32,
    pub(super) family: Name,
    pub(super) given: Name,
    pub(super) sex: Sex,
    pub(super) born: Date,
    /// The ward and bed.
    pub(super) ward: u8,
    pub(super) bed: u8,
}

/// A part of a name in three scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Name {
    pub(super) kanji: &'static str,
    pub(super) kana: &'static str,
    pub(super) latin: &'static str,
}

/// Sex as FHIR and ORCA know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sex {
    Male,
    Female,
}

/// A day of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Date {
    pub(super) year: u16,
    pub(super) month: u8,
    pub(super) day: u8,
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

const fn name(kanji: &'static str, kana: &'static str, latin: &'static str) -> Name {
    Name { kanji, kana, latin }
}

/// Words on forms, not families: sample, fictitious, example, test, mock, alias, template, practice, blank, drill.
const FAMILIES: [Name; 10] = [
    name("見本", "ミホン", "Mihon"),
    name("架空", "カクウ", "Kaku"),
    name("例示", "レイジ", "Reiji"),
    name("試験", "シケン", "Shiken"),
    name("模擬", "モギ", "Mogi"),
    name("仮名", "カメイ", "Kamei"),
    name("雛形", "ヒナガタ", "Hinagata"),
    name("練習", "レンシュウ", "Renshu"),
    name("記入", "キニュウ", "Kinyu"),
    name("演習", "エンシュウ", "Enshu"),
];

const GIVEN: [(Name, Sex); 5] = [
    (name("太郎", "タロウ", "Taro"), Sex::Male),
    (name("花子", "ハナコ", "Hanako"), Sex::Female),
    (name("一郎", "イチロウ", "Ichiro"), Sex::Male),
    (name("桃子", "モモコ", "Momoko"), Sex::Female),
    (name("次郎", "ジロウ", "Jiro"), Sex::Male),
];

/// All of them, by number.
pub(super) fn all() -> impl Iterator<Item = Patient> {
    let names = GIVEN.iter().flat_map(|given| FAMILIES.iter().map(move |family| (*family, *given)));
    (0..PATIENTS).zip(names).map(|(n, (family, (given, sex)))| Patient {
        number: FIRST_NUMBER + n,
        family,
        given,
        sex,
        born: Date { year: small(1931 + n * 37 % 88), month: small(1 + n * 7 % 12), day: small(1 + n * 11 % 28) },
        ward: small(3 + n % 3),
        bed: small(1 + n / 3),
    })
}

/// A value that its arithmetic keeps small.
fn small<T: TryFrom<u32> + Default>(value: u32) -> T {
    T::try_from(value).unwrap_or_default()
}

/// Reads a patient number as people type it: `00012345` and `12345` are the same.
pub(super) fn parse_number(text: &str) -> Option<u32> {
    let is_number = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

impl Patient {
    /// The number as the EMR writes it: eight digits.
    pub(super) fn id(&self) -> String {
        format!("{:08}", self.number)
    }

    /// The name in kanji, with a space.
    pub(super) fn kanji(&self) -> String {
        format!("{} {}", self.family.kanji, self.given.kanji)
    }

    /// The name in kana, with a space.
    pub(super) fn kana(&self) -> String {
        format!("{} {}", self.family.kana, self.given.kana)
    }

    /// The name in Latin letters, given name first.
    pub(super) fn latin(&self) -> String {
        format!("{} {}", self.given.latin, self.family.latin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn fifty_different_people_of_whom_none_can_exist() {
        let all: Vec<_> = all().collect();
        assert_eq!(all.len(), 50);
        assert_eq!(all.iter().map(Patient::kanji).collect::<BTreeSet<_>>().len(), 50);
        assert_eq!((all[0].id().as_str(), all[0].kanji().as_str()), ("00012345", "見本 太郎"));
        for patient in all {
            assert!((1931..=2018).contains(&patient.born.year), "{patient:?}");
            assert!((1..=12).contains(&patient.born.month) && (1..=28).contains(&patient.born.day), "{patient:?}");
        }
    }

    #[test]
    fn a_number_has_any_number_of_leading_zeros_up_to_eight_digits() {
        assert_eq!(parse_number("00012345"), parse_number("12345"));
        for bad in ["", "1a", "-1", "123456789", "１２"] {
            assert_eq!(parse_number(bad), None, "{bad}");
        }
    }
}

//! Patients and studies in DICOM files (PS3.10): what STOW-RS sends and WADO-RS answers, alone or as parts of
//! `multipart/related`. Only the beginning of a file is read, where the patient stands before the picture.

use std::borrow::Cow;

use policy::PatientFlag;

use crate::found::Found;
use crate::json::Ending;

const PREAMBLE_BYTES: usize = 128;
const MAGIC: &[u8] = b"DICM";
const PATIENT_ID: (u16, u16) = (0x0010, 0x0020);
const STUDY: (u16, u16) = (0x0020, 0x000d);
const TRANSFER_SYNTAX: (u16, u16) = (0x0002, 0x0010);
/// Items, delimiters: what nests (PS3.5 section 7.5).
const SEQUENCES: u16 = 0xfffe;
/// A length that is told by a delimiter.
const UNDEFINED: u32 = u32::MAX;
/// The most data elements of one file that are looked at.
const ELEMENTS_MAX: usize = 4_096;
/// The most places of one body that are looked at for a file.
const FILES_MAX: usize = 1_000;
/// How often all bytes of a body are gone through for the ends of sequences, at most.
const SEARCHES_MAX: usize = 4;

/// Finds the patients of the files in a body: whole files, or the beginnings of them.
pub(crate) fn read(bytes: &[u8], found: &mut Found<'_>) -> Ending {
    let mut left = bytes;
    let (mut files, mut tries) = (0, 0);
    let mut searched = Searched { bytes: bytes.len().saturating_mul(SEARCHES_MAX), fell_short: false };
    while let Some(start) = position(left, MAGIC) {
        if tries == FILES_MAX {
            found.flag(PatientFlag::Cut);
            break;
        }
        left = left.get(start + MAGIC.len()..).unwrap_or_default();
        // In a file, 128 bytes stand before the mark; in a picture the same letters can stand anywhere.
        if start >= PREAMBLE_BYTES || tries > 0 {
            tries += 1;
            files += usize::from(file(left, found, &mut searched));
        }
    }
    if searched.fell_short {
        found.flag(PatientFlag::Cut);
    }
    if files > 0 { Ending::Whole } else { Ending::Unreadable }
}

/// How many bytes of a body may still be gone through for the ends of sequences: whoever makes a body can let every
/// search go to its end.
struct Searched {
    bytes: usize,
    fell_short: bool,
}

impl Searched {
    fn position(&mut self, text: &[u8], part: &[u8]) -> Option<usize> {
        let reach = text.get(..self.bytes.min(text.len())).unwrap_or_default();
        let place = position(reach, part);
        self.fell_short |= place.is_none() && reach.len() < text.len();
        self.bytes -= place.map_or(reach.len(), |place| place.min(reach.len()));
        place
    }
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// How values are written.
#[derive(Clone, Copy)]
struct Syntax {
    has_types: bool,
    is_big_endian: bool,
}

/// One data element.
struct Element<'b> {
    tag: (u16, u16),
    value: &'b [u8],
}

/// Reads a file from behind its mark; says whether it is one.
fn file(bytes: &[u8], found: &mut Found<'_>, searched: &mut Searched) -> bool {
    let mut left = bytes;
    let explicit = Syntax { has_types: true, is_big_endian: false };
    let mut transfer_syntax: Cow<'_, str> = Cow::Borrowed("");
    // The first group is always written with types and little end first (PS3.10 section 7.1).
    while group(left, explicit) == Some(0x0002) {
        let Some(element) = next(&mut left, explicit, searched) else { return false };
        if element.tag == TRANSFER_SYNTAX {
            transfer_syntax = text(element.value);
        }
    }
    let syntax = match &*transfer_syntax {
        "1.2.840.10008.1.2" => Syntax { has_types: false, is_big_endian: false },
        "1.2.840.10008.1.2.2" => Syntax { has_types: true, is_big_endian: true },
        // Compressed as a whole: not read.
        "1.2.840.10008.1.2.1.99" | "" => return false,
        _ => explicit,
    };
    let (mut patient, mut study) = (None, None);
    for _ in 0..ELEMENTS_MAX {
        // Groups ascend, so what is wanted does not come any more.
        if group(left, syntax).is_none_or(|group| group > STUDY.0) {
            break;
        }
        let Some(element) = next(&mut left, syntax, searched) else { break };
        if element.tag == PATIENT_ID {
            patient = Some(text(element.value));
        } else if element.tag == STUDY {
            study = Some(text(element.value));
        }
    }
    match (&patient, &study) {
        (Some(patient), Some(study)) => {
            found.patient_of(study, patient);
            found.study(study);
        }
        (Some(patient), None) => found.patient(patient),
        (None, Some(study)) => found.study(study),
        (None, None) => return false,
    }
    true
}

fn text(value: &[u8]) -> Cow<'_, str> {
    let end = value.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |last| last + 1);
    String::from_utf8_lossy(value.get(..end).unwrap_or_default())
}

fn group(bytes: &[u8], syntax: Syntax) -> Option<u16> {
    number_16(bytes, 0, syntax)
}

/// Takes the next element of a data set; sequences are passed over. `None` where it is not there whole.
fn next<'b>(left: &mut &'b [u8], syntax: Syntax, searched: &mut Searched) -> Option<Element<'b>> {
    let bytes = *left;
    let tag = (number_16(bytes, 0, syntax)?, number_16(bytes, 2, syntax)?);
    let (length, start) = if tag.0 == SEQUENCES || !syntax.has_types {
        (number_32(bytes, 4, syntax)?, 8)
    } else if has_long_length(bytes.get(4..6)?) {
        (number_32(bytes, 8, syntax)?, 12)
    } else {
        (u32::from(number_16(bytes, 6, syntax)?), 8)
    };
    if length == UNDEFINED {
        // A sequence, up to its delimiter: found by its bytes, since what is in it may be anything.
        let delimiter: [u8; 8] = if syntax.is_big_endian {
            [0xff, 0xfe, 0xe0, 0xdd, 0, 0, 0, 0]
        } else {
            [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]
        };
        let inside = bytes.get(start..)?;
        let end = searched.position(inside, &delimiter)?;
        *left = inside.get(end + delimiter.len()..)?;
        return Some(Element { tag, value: &[] });
    }
    let length = usize::try_from(length).ok()?;
    let value = bytes.get(start..start.checked_add(length)?)?;
    *left = bytes.get(start + length..)?;
    Some(Element { tag, value })
}

/// Types whose length has four bytes (PS3.5 table 7.1-1).
fn has_long_length(kind: &[u8]) -> bool {
    const LONG: [&[u8]; 13] =
        [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"];
    LONG.contains(&kind)
}

fn number_16(bytes: &[u8], at: usize, syntax: Syntax) -> Option<u16> {
    let two: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(if syntax.is_big_endian { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
}

fn number_32(bytes: &[u8], at: usize, syntax: Syntax) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(if syntax.is_big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
}

#[cfg(test)]
mod tests {
    use policy::PatientIds;
    use proptest::prelude::*;

    use super::*;

    /// A file with these elements, with types and little end first, or without types.
    fn made(patient: &str, study: &str, has_types: bool) -> Vec<u8> {
        let element = |tag: (u16, u16), kind: &[u8], value: &str, has_types: bool| {
            let mut value = value.as_bytes().to_vec();
            if value.len() % 2 == 1 {
                value.push(if kind == b"UI" { 0 } else { b' ' });
            }
            let mut out = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
            if has_types {
                out.extend_from_slice(kind);
                out.extend_from_slice(&u16::try_from(value.len()).unwrap().to_le_bytes());
            } else {
                out.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
            }
            out.extend_from_slice(&value);
            out
        };
        let syntax = if has_types { "1.2.840.10008.1.2.1" } else { "1.2.840.10008.1.2" };
        let mut file = vec![0; PREAMBLE_BYTES];
        file.extend_from_slice(MAGIC);
        file.extend(element(TRANSFER_SYNTAX, b"UI", syntax, true));
        file.extend(element((0x0008, 0x0060), b"CS", "OT", has_types));
        if has_types {
            // A sequence of undefined length with somebody else in it.
            file.extend([0x08, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff]);
            file.extend([0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff]);
            file.extend(element(PATIENT_ID, b"LO", "99", true));
            file.extend([0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
        }
        file.extend(element((0x0010, 0x0010), b"PN", "SHIKEN^KANJA", has_types));
        file.extend(element(PATIENT_ID, b"LO", patient, has_types));
        file.extend(element(STUDY, b"UI", study, has_types));
        file.extend([0xe0, 0x7f, 0x10, 0, b'O', b'W', 0, 0, 4, 0, 0, 0, 1, 2, 3, 4]);
        file
    }

    fn told(bytes: &[u8]) -> (String, String, Ending) {
        let ids = PatientIds::default();
        let mut found = Found::new(&ids);
        let ending = read(bytes, &mut found);
        let (patients, told) = found.finish();
        (patients.ids.join(" "), told.iter().map(|one| format!("{}={}", one.study, one.patient)).collect(), ending)
    }

    #[test]
    fn a_file_tells_its_patient_and_study() {
        for has_types in [true, false] {
            let file = made("00012345", "1.2.3", has_types);
            assert_eq!(told(&file), ("00012345".into(), "1.2.3=00012345".into(), Ending::Whole), "{has_types}");
        }
    }

    #[test]
    fn every_part_of_a_body_is_read() {
        let mut body = b"--edge\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
        body.extend(made("1", "1.2.1", true));
        body.extend(b"\r\n--edge\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend(made("2", "1.2.2", false));
        body.extend(b"\r\n--edge--\r\n");
        assert_eq!(told(&body), ("1 2".into(), "1.2.1=11.2.2=2".into(), Ending::Whole));
    }

    #[test]
    fn a_body_made_to_be_searched_without_end_is_marked_and_costs_little() {
        // At every mark a file begins, whose sequence has no end.
        let mut file = made("1", "1.2", true);
        let sequence = position(&file, b"SQ").unwrap();
        file.truncate(sequence + 8);
        let body = file.repeat((1 << 20) / file.len());
        let flags = |bytes: &[u8]| {
            let ids = PatientIds::default();
            let mut found = Found::new(&ids);
            read(bytes, &mut found);
            found.finish().0.flags
        };
        let begun = std::time::Instant::now();
        assert!(flags(&body).iter().any(|flag| flag == PatientFlag::Cut));
        assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(flags(&made("1", "1.2", true)).is_empty());
        let many = made("1", "1.2", false).repeat(FILES_MAX + 2);
        assert!(flags(&many).iter().any(|flag| flag == PatientFlag::Cut), "files beyond those looked at");
    }

    #[test]
    fn what_is_no_file_is_told_as_such() {
        for bytes in [&b""[..], b"DICM", b"{\"a\":1}", &[0; 500]] {
            assert_eq!(told(bytes).2, Ending::Unreadable);
        }
        let file = made("1", "1.2", true);
        assert_eq!(told(&file[..PREAMBLE_BYTES + 20]).2, Ending::Unreadable, "cut before anything is told");
    }

    proptest! {
        #[test]
        fn no_bytes_are_trouble(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0..400_usize, value in any::<u8>()) {
            told(&bytes);
            let mut file = made("1", "1.2", true);
            if let Some(byte) = file.get_mut(at) {
                *byte = value;
            }
            told(&file);
            file.truncate(at);
            told(&file);
        }
    }
}

//! What DICOM says in the clear when an association begins: the names of both sides (PS3.8 section 9.3.2).

/// An A-ASSOCIATE-RQ begins with this.
const ASSOCIATE_REQUEST: u8 = 0x01;
/// Length of a name in it, in bytes.
const NAME_BYTES: usize = 16;
/// Where the name of the called side begins; that of the calling side follows.
const CALLED_AT: usize = 10;
/// How much of the beginning is looked at, in bytes.
const LOOKED_AT_BYTES: usize = CALLED_AT + 2 * NAME_BYTES;

/// Looks at the beginning of what a client says.
#[derive(Debug, Default)]
pub struct Names {
    begun: Vec<u8>,
}

impl Names {
    /// Sees the next bytes pass.
    pub fn see(&mut self, bytes: &[u8]) {
        let room = LOOKED_AT_BYTES.saturating_sub(self.begun.len());
        self.begun.extend(bytes.iter().take(room));
    }

    /// `CALLING > CALLED`, where it was DICOM.
    pub fn found(&self) -> Option<Box<str>> {
        if self.begun.len() < LOOKED_AT_BYTES || self.begun.first() != Some(&ASSOCIATE_REQUEST) {
            return None;
        }
        let name = |at: usize| name(self.begun.get(at..at + NAME_BYTES)?);
        Some(format!("{} > {}", name(CALLED_AT + NAME_BYTES)?, name(CALLED_AT)?).into())
    }
}

/// A name as the standard allows: printable ASCII without `\\`, spaces around it without meaning (PS3.5, AE).
fn name(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim_matches(' ');
    let is_name = !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\');
    is_name.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(called: &str, calling: &str) -> Vec<u8> {
        let mut bytes = vec![1, 0, 0, 0, 0, 200, 0, 1, 0, 0];
        bytes.extend(format!("{called:<16}{calling:<16}").into_bytes());
        bytes.extend([0; 150]);
        bytes
    }

    fn found(bytes: &[u8], step: usize) -> Option<String> {
        let mut names = Names::default();
        bytes.chunks(step).for_each(|piece| names.see(piece));
        assert!(names.begun.len() <= LOOKED_AT_BYTES);
        names.found().map(String::from)
    }

    #[test]
    fn both_names_are_found_however_they_arrive() {
        for step in [1, 7, 41, 42, 43, 1000] {
            assert_eq!(found(&request("PACS", "MODALITY 1"), step).as_deref(), Some("MODALITY 1 > PACS"), "{step}");
        }
    }

    #[test]
    fn what_is_no_association_names_nobody() {
        let mut bytes = request("PACS", "CT1");
        assert_eq!(found(&bytes[..41], 100), None);
        bytes[0] = 4;
        assert_eq!(found(&bytes, 100), None);
        for (called, calling) in [("PA\nCS", "CT1"), ("PACS", ""), ("PA\\CS", "CT1"), ("PACS", "画像")] {
            assert_eq!(found(&request(called, calling), 100), None, "{called} {calling}");
        }
        assert_eq!(found(b"SSH-2.0-OpenSSH_10.0p2 and more than forty-two bytes", 100), None);
        assert_eq!(found(b"", 1), None);
    }
}

//! Finding an access in the log by what a person has of it: its id, or the code that a page told them.

/// Whether a line of the log is the judgment of an access: asked with its id, or the last eight digits of it, as
/// [`help_code`](crate::help_code) tells them. `None` where the text is neither.
#[must_use]
pub fn line_of_access(id: &str) -> Option<impl Fn(&str) -> bool + Send + Sync + use<>> {
    let digits: String = id.chars().filter(|c| !matches!(c, ' ' | '-')).collect::<String>().to_lowercase();
    let is_id = matches!(digits.len(), 8 | 32) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(move |line: &str| {
        let is_judgment = line.contains(r#""ev":"open""#) || line.contains(r#""ev":"refused""#);
        let found = line.split_once(r#""id":""#).and_then(|(_, rest)| rest.split_once('"')).map(|(id, _)| id);
        is_judgment && found.is_some_and(|id| id.replace('-', "").ends_with(&digits))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_is_found_by_its_id_or_by_the_code_that_a_page_told() {
        let id = "019ab2c4-5d6e-7f80-9a1b-2c3d4e5f6a7b";
        let line = format!(r#"{{"v":1,"seq":7,"ts":"x","ev":"open","id":"{id}","act":"read"}}"#);
        for asked in [id, "4E5F 6A7B", "4e5f-6a7b", &id.replace('-', "")] {
            assert!(line_of_access(asked).unwrap()(&line), "{asked}");
        }
        assert!(!line_of_access("00000000").unwrap()(&line));
        assert!(!line_of_access(id).unwrap()(&line.replace("open", "close")), "only where it was judged");
        for wrong in ["", "4e5f6a7", "4e5f6a7bb", "佐藤佐藤", "\"},{\"ev"] {
            assert!(line_of_access(wrong).is_none(), "{wrong}");
        }
    }
}

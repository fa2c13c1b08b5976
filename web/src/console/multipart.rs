//! Forms that carry a file (`multipart/form-data`, RFC 7578), read strictly: what a browser sends for our own forms.

/// The longest boundary (RFC 2046 section 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;
/// The most pieces of a form.
const PIECES_MAX: usize = 32;
/// The longest head of a piece.
const HEAD_BYTES_MAX: usize = 2_048;

/// A piece of a form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Piece<'a> {
    /// Of which field.
    pub(crate) name: String,
    /// What a file is called where it comes from, as the browser says; nothing where it is no file, or none was chosen.
    pub(crate) file_name: Option<String>,
    pub(crate) bytes: &'a [u8],
}

/// Every piece of a form; `None` if it cannot be read.
pub(crate) fn pieces<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<Piece<'a>>> {
    let boundary = boundary(content_type)?;
    let first = format!("--{boundary}");
    let next = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(first.as_bytes())?;
    let mut pieces = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(pieces);
        }
        if pieces.len() == PIECES_MAX {
            return None;
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let head_end = find(rest.get(..HEAD_BYTES_MAX.min(rest.len()))?, b"\r\n\r\n")?;
        let disposition = disposition(std::str::from_utf8(rest.get(..head_end)?).ok()?)?;
        let (name, file_name) = (name(disposition)?, file_name(disposition));
        rest = rest.get(head_end + 4..)?;
        let end = find(rest, next.as_bytes())?;
        pieces.push(Piece { name, file_name, bytes: rest.get(..end)? });
        rest = rest.get(end + next.len()..)?;
    }
}

fn boundary(content_type: &str) -> Option<&str> {
    let given = content_type.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    let boundary = given.strip_prefix('"').and_then(|given| given.strip_suffix('"')).unwrap_or(given);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b);
    ((1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()) && boundary.bytes().all(allowed)).then_some(boundary)
}

/// The line of a piece's head that names it.
fn disposition(head: &str) -> Option<&str> {
    head.split("\r\n")
        .find(|line| line.get(..20).is_some_and(|start| start.eq_ignore_ascii_case("content-disposition:")))
}

/// What a file is called. Browsers write `"` in it as `%22`, and line ends as `%0D` and `%0A` (HTML section 4.10.21.8).
fn file_name(disposition: &str) -> Option<String> {
    let name = disposition.split_once("; filename=\"")?.1.strip_suffix('"')?;
    (!name.is_empty()).then(|| name.replace("%22", "\"").replace("%0D", "").replace("%0A", ""))
}

/// The name of a piece. Our own names are plain, so nothing in them is ever escaped.
fn name(disposition: &str) -> Option<String> {
    let name = disposition.split(';').find_map(|part| part.trim().strip_prefix("name=\""))?.strip_suffix('"')?;
    let is_plain =
        (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    is_plain.then(|| name.to_owned())
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=----WebKitFormBoundaryx1";

    fn form(pieces: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (head, text) in pieces {
            body.extend_from_slice(b"------WebKitFormBoundaryx1\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(text);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"------WebKitFormBoundaryx1--\r\n");
        body
    }

    #[test]
    fn a_form_of_a_browser_is_read() {
        let body = form(&[
            (
                "Content-Disposition: form-data; name=\"file\"; filename=\"職員.csv\"\r\nContent-Type: text/csv",
                b"\xEF\xBB\xBFa,b\r\n--x\r\n",
            ),
            ("content-disposition: form-data; name=\"step\"", b"check"),
            ("Content-Disposition: form-data; name=\"text\"", b""),
        ]);
        let expected =
            [("file", Some("職員.csv"), "\u{feff}a,b\r\n--x\r\n"), ("step", None, "check"), ("text", None, "")];
        let expected = expected.map(|(name, file, text)| Piece {
            name: name.to_owned(),
            file_name: file.map(str::to_owned),
            bytes: text.as_bytes(),
        });
        assert_eq!(pieces(KIND, &body), Some(expected.into()));
        assert_eq!(pieces(KIND, &form(&[])), Some(Vec::new()));
        assert!(pieces("multipart/form-data; boundary=\"----WebKitFormBoundaryx1\"", &form(&[])).is_some());
    }

    #[test]
    fn what_a_file_is_called_is_what_the_browser_says() {
        for (named, expected) in [
            ("filename=\"plan.pdf\"", Some("plan.pdf")),
            ("filename=\"a; name=%22b%22.pdf\"", Some("a; name=\"b\".pdf")),
            ("filename=\"../../etc/passwd%0D%0Ax\"", Some("../../etc/passwdx")),
            ("filename=\"\"", None),
            ("filename=plan.pdf", None),
        ] {
            let head = format!("Content-Disposition: form-data; name=\"file\"; {named}");
            let body = form(&[(&head, b"x")]);
            let found = pieces(KIND, &body).unwrap().remove(0);
            assert_eq!((found.name.as_str(), found.file_name.as_deref()), ("file", expected), "{named}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_whole() {
        let good = form(&[("Content-Disposition: form-data; name=\"a\"", b"b")]);
        for length in 0..good.len() - 4 {
            assert_eq!(pieces(KIND, &good[..length]), None, "cut after {length}");
        }
        for (head, text) in [
            ("Content-Disposition: form-data", &b"b"[..]),
            ("Content-Disposition: form-data; name=\"a\\\"b\"", b"b"),
            ("Content-Disposition: form-data; name=\"\"", b"b"),
            ("X: y", b"b"),
        ] {
            assert_eq!(pieces(KIND, &form(&[(head, text)])), None, "{head}");
        }
        for kind in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=a b",
            "multipart/form-data; boundary=other",
        ] {
            assert_eq!(pieces(kind, &good), None, "{kind}");
        }
        let many: Vec<(&str, &[u8])> = vec![("Content-Disposition: form-data; name=\"a\"", b"b"); PIECES_MAX + 1];
        assert_eq!(pieces(KIND, &form(&many)), None);
    }
}

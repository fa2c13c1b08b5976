//! Forms that carry a file (`multipart/form-data`, RFC 7578), read strictly: what a browser sends for our own forms.

/// The longest boundary (RFC 2046 section 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;
/// The most pieces of a form.
const PIECES_MAX: usize = 32;
/// The longest head of a piece.
const HEAD_BYTES_MAX: usize = 2_048;

/// Name and bytes of every piece; `None` if the form cannot be read. A byte order mark, as spreadsheets write it, is
/// taken off.
pub(crate) fn pieces<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<(String, &'a [u8])>> {
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
        let name = name(std::str::from_utf8(rest.get(..head_end)?).ok()?)?;
        rest = rest.get(head_end + 4..)?;
        let end = find(rest, next.as_bytes())?;
        let bytes = rest.get(..end)?;
        pieces.push((name, bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)));
        rest = rest.get(end + next.len()..)?;
    }
}

fn boundary(content_type: &str) -> Option<&str> {
    let given = content_type.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    let boundary = given.strip_prefix('"').and_then(|given| given.strip_suffix('"')).unwrap_or(given);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b);
    ((1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()) && boundary.bytes().all(allowed)).then_some(boundary)
}

/// The name of a piece. Our own names are plain, so nothing in them is ever escaped.
fn name(head: &str) -> Option<String> {
    let line = head
        .split("\r\n")
        .find(|line| line.get(..20).is_some_and(|start| start.eq_ignore_ascii_case("content-disposition:")))?;
    let name = line.split(';').find_map(|part| part.trim().strip_prefix("name=\""))?.strip_suffix('"')?;
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
        let expected = [("file", "a,b\r\n--x\r\n"), ("step", "check"), ("text", "")];
        let expected: Vec<(String, &[u8])> = expected.map(|(name, text)| (name.to_owned(), text.as_bytes())).into();
        assert_eq!(pieces(KIND, &body), Some(expected));
        assert_eq!(pieces(KIND, &form(&[])), Some(Vec::new()));
        assert!(pieces("multipart/form-data; boundary=\"----WebKitFormBoundaryx1\"", &form(&[])).is_some());
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

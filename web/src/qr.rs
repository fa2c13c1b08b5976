//! QR codes as pictures inside a page: vectors, so that they need no script, no style and no second request.

use qrcodegen::{QrCode, QrCodeEcc};

/// The quiet zone around a code, in modules (ISO/IEC 18004).
const QUIET: i32 = 4;

/// The picture of a code that reads as `text`, always dark on light; `None` for a text that no code can hold.
pub(crate) fn svg(text: &str, label: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let side = code.size() + 2 * QUIET;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in 0..code.size() {
            if code.get_module(x, y) {
                path.push_str(&format!("M{},{}h1v1h-1z", x + QUIET, y + QUIET));
            }
        }
    }
    Some(format!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {side} {side}\" width=\"240\" height=\"240\" \
         shape-rendering=\"crispEdges\" focusable=\"false\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/>\
         <path d=\"{path}\" fill=\"#000\"/></svg>",
        escaped(label)
    ))
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            plain => out.push(plain),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_picture_with_a_name_and_the_three_marks_of_every_code() {
        let picture = svg("https://login.hosp.example/enrol#ABCD", "QR \"<code>\"").unwrap();
        assert!(picture.contains("aria-label=\"QR &quot;&lt;code&gt;&quot;\""));
        for corner in ["M4,4h1v1h-1z", "M4,10h1v1h-1z", "M10,4h1v1h-1z"] {
            assert!(picture.contains(corner), "{corner}");
        }
        assert!(!picture.contains("style=") && !picture.contains("href"));
    }

    #[test]
    fn a_text_too_long_for_any_code_has_none() {
        assert_eq!(svg(&"a".repeat(4_000), "x"), None);
    }
}

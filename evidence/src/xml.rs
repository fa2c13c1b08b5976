//! Writing XML: elements and attributes, with whatever a record holds made harmless.

/// A document that is being written.
#[derive(Debug)]
pub(crate) struct Xml {
    out: String,
    /// Whether the last element's opening tag can still take attributes.
    is_open: bool,
}

impl Xml {
    pub(crate) fn new() -> Self {
        Self { out: r#"<?xml version="1.0" encoding="UTF-8"?>"#.to_owned(), is_open: false }
    }

    /// Writes an element with attributes; `inside` writes what it holds.
    pub(crate) fn element(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &str)],
        inside: impl FnOnce(&mut Self),
    ) {
        self.close_tag();
        self.out.push('<');
        self.out.push_str(name);
        for (key, value) in attributes {
            self.out.push(' ');
            self.out.push_str(key);
            self.out.push_str("=\"");
            push_escaped(&mut self.out, value);
            self.out.push('"');
        }
        self.is_open = true;
        inside(self);
        if self.is_open {
            self.out.push_str("/>");
            self.is_open = false;
        } else {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
    }

    /// Writes an element without content.
    pub(crate) fn empty(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        self.element(name, attributes, |_| {});
    }

    /// Writes a text.
    pub(crate) fn text(&mut self, text: &str) {
        self.close_tag();
        push_escaped(&mut self.out, text);
    }

    /// The document.
    pub(crate) fn end(self) -> String {
        self.out
    }

    fn close_tag(&mut self) {
        if self.is_open {
            self.out.push('>');
            self.is_open = false;
        }
    }
}

/// Markup is escaped; what XML cannot hold, and what would move a terminal, becomes the replacement character; what
/// would turn the direction of reading is written as a number, so that it shows where the text is looked at as it is.
fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push_str(&format!("&#{};", u32::from(c))),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                out.push_str(&format!("&#{};", u32::from(c)));
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_ends_it_or_moves_a_terminal() {
        let mut xml = Xml::new();
        xml.element("a", &[("b", "\"><x y='\u{1b}[2J\u{0}\n&")], |xml| {
            xml.text("</a>\u{202e}看護師");
            xml.empty("c", &[]);
        });
        assert_eq!(
            xml.end(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a b=\"&quot;&gt;&lt;x y='\u{fffd}[2J\u{fffd}&#10;&amp;\">&lt;/a&gt;&#8238;看護師<c/></a>"
        );
    }
}

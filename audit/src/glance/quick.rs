//! Reading a line as the log writes it: one flat object without spaces, texts mostly without escapes. Whatever is
//! written in another way is left to the parser that knows all of JSON; nothing is decided here about what a line is.

use std::borrow::Cow;

use policy::Timestamp;

use super::{Glance, Text};

/// Reads a line; nothing where it is not written as the log writes, whether it is one of its lines or not.
pub(super) fn read(line: &[u8]) -> Option<Glance<'_>> {
    if line.iter().any(|byte| *byte < b' ') {
        return None;
    }
    let mut at = Place { text: std::str::from_utf8(line).ok()? };
    let mut glance = Glance::blank();
    let (mut seq, mut moment, mut kind) = (None, None, None);
    at.eat(b'{')?;
    loop {
        let key = at.plain()?;
        at.eat(b':')?;
        match key {
            "seq" => once(&mut seq, at.number()?)?,
            "ts" => once(&mut moment, instant(at.plain()?)?)?,
            "ev" => once(&mut kind, Text(Cow::Borrowed(at.plain()?)))?,
            "st" => once(&mut glance.status, u16::try_from(at.number()?).ok()?)?,
            "role" => at.list(&mut glance.roles)?,
            "pt" => at.list(&mut glance.patients)?,
            "study" => at.list(&mut glance.studies)?,
            other => match glance.text(other) {
                Some(place) => once(place, Text(Cow::Borrowed(at.plain()?)))?,
                None => at.pass_over()?,
            },
        }
        match at.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    (glance.seq, glance.at, glance.kind) = (seq?, moment?, kind?);
    at.text.is_empty().then_some(glance)
}

impl<'a> Glance<'a> {
    /// Nothing yet.
    fn blank() -> Self {
        Self {
            seq: 0,
            at: Timestamp::from_unix_micros(0),
            kind: Text(Cow::Borrowed("")),
            request: None,
            action: None,
            host: None,
            path: None,
            app: None,
            class: None,
            user: None,
            login: None,
            name: None,
            unit: None,
            roles: Vec::new(),
            session: None,
            device: None,
            place: None,
            address: None,
            rule: None,
            revision: None,
            why: None,
            grant: None,
            status: None,
            end: None,
            patients: Vec::new(),
            studies: Vec::new(),
            actor: None,
            reason: None,
        }
    }

    /// Where the text of a key is kept, where it is.
    fn text(&mut self, key: &str) -> Option<&mut Option<Text<'a>>> {
        Some(match key {
            "id" => &mut self.request,
            "act" => &mut self.action,
            "host" => &mut self.host,
            "path" => &mut self.path,
            "app" => &mut self.app,
            "cls" => &mut self.class,
            "sub" => &mut self.user,
            "login" => &mut self.login,
            "name" => &mut self.name,
            "unit" => &mut self.unit,
            "sid" => &mut self.session,
            "dev" => &mut self.device,
            "place" => &mut self.place,
            "ip" => &mut self.address,
            "rule" => &mut self.rule,
            "pol" => &mut self.revision,
            "why" => &mut self.why,
            "vs" => &mut self.grant,
            "end" => &mut self.end,
            "actor" => &mut self.actor,
            "reason" => &mut self.reason,
            _ => return None,
        })
    }
}

/// Puts a value in its place; nothing where there is one already.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.is_none().then(|| *place = Some(value))
}

/// What is left of a line.
struct Place<'a> {
    text: &'a str,
}

impl<'a> Place<'a> {
    fn next(&mut self) -> Option<u8> {
        let first = *self.text.as_bytes().first()?;
        self.text = self.text.get(1..)?;
        Some(first)
    }

    fn eat(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// A text in which nothing is written in another way.
    fn plain(&mut self) -> Option<&'a str> {
        self.eat(b'"')?;
        let end = memchr::memchr2(b'"', b'\\', self.text.as_bytes())?;
        let (text, rest) = self.text.split_at_checked(end)?;
        self.text = rest;
        self.eat(b'"')?;
        Some(text)
    }

    /// A whole number without a sign.
    fn number(&mut self) -> Option<u64> {
        let length = self.text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.text.split_at_checked(length)?;
        self.text = rest;
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        digits.parse().ok()
    }

    /// Adds the texts of a list to those of an empty one.
    fn list(&mut self, texts: &mut Vec<Text<'a>>) -> Option<()> {
        self.eat(b'[')?;
        if !texts.is_empty() {
            return None;
        }
        loop {
            texts.push(Text(Cow::Borrowed(self.plain()?)));
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Passes over a text, a number, `true`, or a list of texts.
    fn pass_over(&mut self) -> Option<()> {
        match self.text.as_bytes().first()? {
            b'"' => self.plain().map(drop),
            b'[' => {
                self.eat(b'[')?;
                if self.text.starts_with(']') {
                    return self.eat(b']');
                }
                loop {
                    self.plain()?;
                    match self.next()? {
                        b',' => {}
                        b']' => return Some(()),
                        _ => return None,
                    }
                }
            }
            b't' => {
                self.text = self.text.strip_prefix("true")?;
                Some(())
            }
            b'0'..=b'9' => {
                self.number()?;
                if let Some(rest) = self.text.strip_prefix('.') {
                    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
                    self.text = rest.get(length..).filter(|_| length > 0)?;
                }
                Some(())
            }
            _ => None,
        }
    }
}

/// A moment as the log writes it: `2026-11-22T16:23:58.000001Z`.
fn instant(text: &str) -> Option<Timestamp> {
    let b: &[u8; 27] = text.as_bytes().try_into().ok()?;
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T', _, _, b':', _, _, b':', _, _, b'.', .., b'Z'] = b else {
        return None;
    };
    let number = |from: usize, length: usize| {
        let digits = b.get(from..from + length)?;
        digits.iter().try_fold(0_i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let (hour, minute, second, micros) = (number(11, 2)?, number(14, 2)?, number(17, 2)?, number(20, 6)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let midnight = midnight(number(0, 4)?, number(5, 2)?, number(8, 2)?)?;
    Some(Timestamp::from_unix_micros(((midnight + hour * 3_600 + minute * 60 + second) * 1_000_000) + micros))
}

/// The second at which a day begins, of days that every month has; others are left to the parser that knows them all.
fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..=9_999).contains(&year) || !(1..=12).contains(&month) || !(1..=28).contains(&day) {
        return None;
    }
    // Years that begin in March: the leap day is their last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn thorough(line: &[u8]) -> Option<Glance<'_>> {
        serde_json::from_slice(line).ok()
    }

    #[test]
    fn lines_as_the_log_writes_them_are_read_here_and_as_any_parser_reads_them() {
        for rest in [
            r#","id":"01935f1c-0000-7000-8000-0000deadbeef","act":"read","sub":"u-1","login":"n.sato","name":"佐藤 花子","role":["nurse","x"],"sid":"a","dev":"d","pst":["os=17.2"],"ip":"10.1.2.3","path":"/fhir/Patient/1","rule":"r","pol":"p1"}"#,
            // Of a device that told nothing of itself.
            r#","id":"01935f1c-0000-7000-8000-0000deadbeef","dev":"d","pst":[],"ip":"10.1.2.3"}"#,
            r#","end":"served","st":200,"ms":12.034,"bi":0,"bo":1,"outage":true,"pt":["00012345"],"study":["1.2.3"]}"#,
            "}",
        ] {
            let line = format!(r#"{{"v":1,"seq":3,"ts":"2026-11-22T16:23:58.000001Z","ev":"open"{rest}"#);
            let glance = read(line.as_bytes());
            assert!(glance.is_some(), "{line}");
            assert_eq!(glance, thorough(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn what_is_written_in_another_way_is_left_to_the_thorough_parser() {
        let whole = r#"{"v":1,"seq":3,"ts":"2026-11-22T16:23:58.000001Z","ev":"open""#;
        for rest in [
            r#","name":"a\"b"}"#,
            r#","new":{"x":[1]}}"#,
            r#","app":null}"#,
            r#","app":"a","app":"b"}"#,
            r#","role":[]}"#,
            r#","st":070}"#,
            r#","st":99999}"#,
            r#","ms":1.}"#,
            r#", "app":"a"}"#,
            r#"},"#,
            "",
            "]",
        ] {
            assert_eq!(read(format!("{whole}{rest}").as_bytes()), None, "{rest}");
        }
        for moment in ["2026-11-22T16:23:58Z", "2026-11-31T16:23:58.000001Z", "2026-13-22T16:23:58.000001Z", "x"] {
            assert_eq!(read(format!(r#"{{"seq":3,"ts":"{moment}","ev":"open"}}"#).as_bytes()), None, "{moment}");
        }
        assert_eq!(read(b"{\"seq\":3,\"ts\":\"2026-11-22T16:23:58.000001Z\",\"ev\":\"o\x01\"}"), None);
        assert_eq!(read(br#"{"seq":3,"ev":"open"}"#), None);
    }

    proptest! {
        #[test]
        fn a_moment_is_read_as_the_clock_reads_it(
            (year, month, day) in (1970_i64..10_000, 1_u8..=12, 1_u8..=28),
            (hour, minute, second, micros) in (0_u8..24, 0_u8..60, 0_u8..=60, 0_u32..1_000_000),
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z");
            prop_assert_eq!(instant(&text), Timestamp::parse_rfc3339(&text), "{}", text);
        }

        #[test]
        fn whatever_is_read_here_any_parser_reads_alike(line in line(), cut in any::<prop::sample::Index>(), with in any::<u8>()) {
            let mut line = line.into_bytes();
            let quick = read(&line);
            prop_assert!(quick.is_none() || quick == thorough(&line), "{}", String::from_utf8_lossy(&line));
            // The same of a line that was damaged.
            let at = cut.index(line.len());
            line[at] = with;
            let quick = read(&line);
            prop_assert!(quick.is_none() || quick == thorough(&line), "{}", String::from_utf8_lossy(&line));
        }
    }

    fn line() -> impl Strategy<Value = String> {
        const KEYS: [&str; 13] =
            ["id", "app", "host", "x", "st", "role", "pt", "ms", "login", "end", "seq", "study", "v"];
        let values = prop_oneof![
            "\"[a-z 佐\\\\\"/]{0,6}\"",
            "[0-9]{1,6}",
            "[0-9]{1,2}\\.[0-9]{0,3}",
            Just("true".to_owned()),
            Just("null".to_owned()),
            Just("[\"a\",\"b\"]".to_owned()),
            Just("[]".to_owned()),
            Just("{\"app\":\"b\"}".to_owned()),
        ];
        prop::collection::vec((prop::sample::select(&KEYS[..]), values), 0..8).prop_map(|fields| {
            let fields: String = fields.iter().map(|(key, value)| format!(",\"{key}\":{value}")).collect();
            format!(r#"{{"v":1,"seq":3,"ts":"2026-11-22T16:23:58.000001Z","ev":"open"{fields}}}"#)
        })
    }
}

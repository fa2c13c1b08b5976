//! A notice as a mail (RFC 5322): plain text in base64, headers in ASCII. What goes into a header was parsed, or is encoded
//! (RFC 2047), so that no text can become a header of its own.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::MailAddress;
use policy::{Timestamp, UtcOffset};
use web::NoticeText;

/// How much of a text one encoded word holds, in bytes: with its frame no more than 75 characters.
const WORD_BYTES_MAX: usize = 42;
/// The length of a line of base64 (RFC 2045).
const LINE_BYTES: usize = 76;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What a mail is made from.
#[derive(Debug)]
pub struct Message<'a> {
    /// Who it is from.
    pub from: &'a MailAddress,
    /// Whom it is to.
    pub to: &'a [MailAddress],
    /// The institution.
    pub facility: &'a str,
    /// What it says.
    pub text: &'a NoticeText,
}

impl Message<'_> {
    /// Writes it, lines ending with CR LF. `number` makes its id: sent again, it is the same mail.
    pub fn write(&self, number: &str, at: Timestamp, offset: UtcOffset) -> Vec<u8> {
        let to: Vec<&str> = self.to.iter().map(MailAddress::as_str).collect();
        let mut mail = String::new();
        let mut header = |name: &str, value: &str| {
            // Writing into a `String` cannot fail.
            let _ = write!(mail, "{name}: {value}\r\n");
        };
        header("Date", &date(at, offset));
        header("From", &format!("{} <{}>", encoded(self.facility), self.from));
        header("To", &to.join(",\r\n "));
        header("Subject", &encoded(&self.text.subject));
        header("Message-ID", &format!("<{number}@{}>", self.from.domain()));
        header("Auto-Submitted", "auto-generated");
        header("MIME-Version", "1.0");
        header("Content-Type", "text/plain; charset=utf-8");
        header("Content-Transfer-Encoding", "base64");
        mail.push_str("\r\n");
        let body = STANDARD.encode(self.text.lines.join("\r\n") + "\r\n");
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at_checked(LINE_BYTES).unwrap_or((rest, ""));
            mail.push_str(line);
            mail.push_str("\r\n");
            rest = after;
        }
        mail.into_bytes()
    }
}

/// A text as encoded words, folded.
fn encoded(text: &str) -> String {
    let mut words = vec![String::new()];
    for sign in text.chars() {
        let sign = if sign.is_control() { ' ' } else { sign };
        match words.last_mut() {
            Some(word) if word.len() + sign.len_utf8() <= WORD_BYTES_MAX => word.push(sign),
            Some(_) | None => words.push(sign.to_string()),
        }
    }
    let words: Vec<String> = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join("\r\n ")
}

/// A moment as RFC 5322 section 3.3 writes it, by the hospital's clock. The day of the week may be left out.
fn date(at: Timestamp, offset: UtcOffset) -> String {
    let t = at.local(offset);
    let month = usize::from(t.month).checked_sub(1).and_then(|month| MONTHS.get(month)).copied().unwrap_or("Jan");
    let (hour, minute) = (t.minute_of_day / 60, t.minute_of_day % 60);
    let zone = match offset.to_string().as_str() {
        "Z" => "+0000".to_owned(),
        zone => zone.replace(':', ""),
    };
    format!("{} {month} {:04} {hour:02}:{minute:02}:{:02} {zone}", t.day, t.year, t.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str, lines: &[&str]) -> String {
        let text = NoticeText { subject: subject.into(), lines: lines.iter().map(|line| (*line).to_owned()).collect() };
        let to = ["a@x.example", "b@x.example"].map(|one| MailAddress::parse(one).unwrap());
        let from = MailAddress::parse("sekimori@h.example").unwrap();
        let message = Message { from: &from, to: &to, facility: "みなと病院", text: &text };
        let at = Timestamp::parse_rfc3339("2026-11-22T15:04:05Z").unwrap();
        String::from_utf8(message.write("n-desk-7", at, UtcOffset::JAPAN)).unwrap()
    }

    #[test]
    fn a_mail_is_whole_and_reads_as_it_was_written() {
        let mail = mail("端末を失効しました: tablet-1", &["端末を失効しました", "", ".", "時刻: 2026"]);
        let (head, body) = mail.split_once("\r\n\r\n").unwrap();
        for line in [
            "Date: 23 Nov 2026 00:04:05 +0900",
            "From: =?utf-8?B?44G/44Gq44Go55eF6Zmi?= <sekimori@h.example>",
            "To: a@x.example,\r\n b@x.example",
            "Message-ID: <n-desk-7@h.example>",
            "Auto-Submitted: auto-generated",
            "Content-Transfer-Encoding: base64",
        ] {
            assert!(head.contains(line), "{line}\n{head}");
        }
        let text = STANDARD.decode(body.replace("\r\n", "")).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "端末を失効しました\r\n\r\n.\r\n時刻: 2026\r\n");
    }

    #[test]
    fn no_text_becomes_a_header_and_no_line_is_too_long() {
        let mail = mail(&format!("a\r\nBcc: evil@x.example {}", "長い名前".repeat(200)), &[&"あ".repeat(5_000)]);
        assert!(!mail.contains("evil@") && mail.is_ascii());
        assert!(mail.split("\r\n").all(|line| line.len() <= 78), "{mail}");
        assert_eq!(mail.matches('\n').count(), mail.matches("\r\n").count());
        let subject = mail.split("Subject: ").nth(1).unwrap().split("\r\nMessage-ID").next().unwrap();
        let words = subject.split("\r\n ").map(|word| {
            let text = word.strip_prefix("=?utf-8?B?").unwrap().strip_suffix("?=").unwrap();
            String::from_utf8(STANDARD.decode(text).unwrap()).expect("each word is whole by itself")
        });
        let subject: String = words.collect();
        assert!(subject.starts_with("a  Bcc: evil@x.example 長い名前") && subject.ends_with("長い名前"));
    }
}

//! Handing a mail to the hospital's mail server: submission by SMTP (RFC 5321, 6409), with STARTTLS (RFC 3207), AUTH PLAIN
//! and LOGIN (RFC 4954, 4616). One mail a connection. What must be encrypted is never sent in the clear, whatever the
//! server, or who stands before it, says.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::{MailAddress, MailEncryption, MailLogin, MailServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::senders::{Sent, Trouble};
use crate::upstream::dial::{Dialer, Stream, TlsTo};

/// How long the server may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take to say goodbye.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How much of an answer is told, in characters.
const TOLD_CHARS_MAX: usize = 200;

/// What is handed over.
#[derive(Debug)]
pub struct Letter<'a> {
    /// Who it is from.
    pub from: &'a MailAddress,
    /// Whom it is to; never empty.
    pub to: &'a [MailAddress],
    /// The mail, lines ending with CR LF.
    pub bytes: &'a [u8],
}

/// Hands over one mail. The conversation is still to be ended, in which nothing is at stake any more.
///
/// # Errors
/// [`Trouble`]; the server may have it all the same.
pub async fn deliver(
    dialer: &Dialer,
    server: &MailServer,
    tls: Option<&TlsTo>,
    hello: &str,
    letter: &Letter<'_>,
) -> Result<(Sent, Talk), Trouble> {
    let from_the_first = tls.filter(|_| server.encryption == MailEncryption::Tls);
    let stream = dialer.stream(&server.host, server.port, from_the_first).await;
    let stream = stream.map_err(|problem| Trouble::Later(problem.to_string()))?;
    let mut talk = Talk::begin(stream, hello).await?;
    if server.encryption == MailEncryption::StartTls {
        let tls = tls.ok_or_else(|| Trouble::Refused("there is no TLS to begin".to_owned()))?;
        talk = talk.encrypt(tls, hello).await?;
    }
    if let Some(login) = &server.login {
        talk.log_in(login).await?;
    }
    let sent = talk.hand_over(letter).await?;
    Ok((sent, talk))
}

/// A conversation with a mail server that said hello.
pub struct Talk {
    stream: Box<dyn Stream>,
    /// What was read beyond the last answer.
    ahead: Vec<u8>,
    /// What the server can, in capitals.
    can: Vec<String>,
}

/// An answer of the server.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    code: u16,
    lines: Vec<String>,
}

impl Answer {
    /// What stands in the way where this is not the answer that was hoped for.
    fn trouble(&self, step: &str) -> Trouble {
        let told: String =
            self.lines.join(" ").chars().filter(|sign| !sign.is_control()).take(TOLD_CHARS_MAX).collect();
        let words = format!("the mail server answers {step} with {} {told}", self.code);
        if (500..600).contains(&self.code) { Trouble::Refused(words) } else { Trouble::Later(words) }
    }
}

impl Talk {
    async fn begin(stream: Box<dyn Stream>, hello: &str) -> Result<Self, Trouble> {
        let mut talk = Self { stream, ahead: Vec::new(), can: Vec::new() };
        let greeting = talk.answer().await?;
        if greeting.code != 220 {
            return Err(greeting.trouble("the connection"));
        }
        talk.hello(hello).await?;
        Ok(talk)
    }

    async fn hello(&mut self, hello: &str) -> Result<(), Trouble> {
        let answer = self.ask(&format!("EHLO {hello}"), "EHLO", 250).await?;
        self.can = answer.lines.iter().skip(1).map(|line| line.to_ascii_uppercase()).collect();
        Ok(())
    }

    fn can(&self, what: &str) -> Option<&str> {
        self.can.iter().find(|line| line.split(' ').next() == Some(what)).map(String::as_str)
    }

    /// Goes on over TLS, and forgets all that was said before: anybody may have said it.
    async fn encrypt(mut self, tls: &TlsTo, hello: &str) -> Result<Self, Trouble> {
        if self.can("STARTTLS").is_none() {
            return Err(Trouble::Refused(
                "the mail server offers no STARTTLS; nothing is sent in the clear".to_owned(),
            ));
        }
        self.ask("STARTTLS", "STARTTLS", 220).await?;
        if !self.ahead.is_empty() {
            return Err(Trouble::Refused("the mail server said something between STARTTLS and TLS".to_owned()));
        }
        let connecting = timeout(ANSWER_TIMEOUT, tls.connector.connect(tls.name.clone(), self.stream));
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(Trouble::Later(format!("the TLS handshake with the mail server failed: {error}")));
            }
            Err(_) => return Err(Trouble::Later(format!("the TLS handshake took longer than {ANSWER_TIMEOUT:?}"))),
        };
        let mut talk = Self { stream: Box::new(stream), ahead: Vec::new(), can: Vec::new() };
        talk.hello(hello).await?;
        Ok(talk)
    }

    async fn log_in(&mut self, login: &MailLogin) -> Result<(), Trouble> {
        let ways = self.can("AUTH").unwrap_or_default().to_owned();
        let offers = |way: &str| ways.split(' ').any(|one| one == way);
        let password = login.password.expose();
        if offers("PLAIN") {
            let proof = Zeroizing::new(format!("\0{}\0{password}", login.user));
            let line = Zeroizing::new(format!("AUTH PLAIN {}", STANDARD.encode(proof.as_bytes())));
            self.ask(&line, "AUTH", 235).await?;
        } else if offers("LOGIN") {
            self.ask("AUTH LOGIN", "AUTH", 334).await?;
            self.ask(&STANDARD.encode(&login.user), "AUTH", 334).await?;
            let line = Zeroizing::new(STANDARD.encode(password));
            self.ask(&line, "AUTH", 235).await?;
        } else {
            return Err(Trouble::Refused("the mail server takes no password by AUTH PLAIN or LOGIN".to_owned()));
        }
        Ok(())
    }

    async fn hand_over(&mut self, letter: &Letter<'_>) -> Result<Sent, Trouble> {
        self.ask(&format!("MAIL FROM:<{}>", letter.from), "MAIL FROM", 250).await?;
        let mut refused = Vec::new();
        for to in letter.to {
            let answer = self.tell(&format!("RCPT TO:<{to}>")).await?;
            if !(250..=251).contains(&answer.code) {
                refused.push((to, answer.trouble("RCPT TO")));
            }
        }
        if refused.len() == letter.to.len() {
            // Trying again helps as soon as it may help for one of them.
            let is_final = refused.iter().all(|(_, trouble)| matches!(trouble, Trouble::Refused(_)));
            let words = told(&refused);
            return Err(if is_final { Trouble::Refused(words) } else { Trouble::Later(words) });
        }
        self.ask("DATA", "DATA", 354).await?;
        self.write(&stuffed(letter.bytes)).await?;
        let answer = self.answer().await?;
        if answer.code != 250 {
            return Err(answer.trouble("the mail"));
        }
        let put_off = refused.iter().filter(|(_, trouble)| matches!(trouble, Trouble::Later(_)));
        let later = put_off.map(|(to, _)| MailAddress::clone(to)).collect();
        Ok(Sent { left_out: (!refused.is_empty()).then(|| told(&refused)), later })
    }

    /// Takes leave, and waits no longer for that than is polite. The mail is handed over already.
    pub async fn quit(mut self) {
        match timeout(LEAVE_TIMEOUT, self.tell("QUIT")).await {
            Ok(Ok(_)) => {}
            Ok(Err(trouble)) => tracing::debug!(problem = trouble.words(), "a mail server took no leave"),
            Err(_) => tracing::debug!("a mail server took its time to take leave"),
        }
    }

    /// Sends a line; anything but the code hoped for is trouble.
    async fn ask(&mut self, line: &str, step: &str, hoped_for: u16) -> Result<Answer, Trouble> {
        let answer = self.tell(line).await?;
        if answer.code == hoped_for { Ok(answer) } else { Err(answer.trouble(step)) }
    }

    async fn tell(&mut self, line: &str) -> Result<Answer, Trouble> {
        let whole = Zeroizing::new(format!("{line}\r\n"));
        self.write(whole.as_bytes()).await?;
        self.answer().await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(ANSWER_TIMEOUT, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(broken(&error)),
            Err(_) => Err(slow()),
        }
    }

    /// Reads one answer to its last line (RFC 5321 section 4.2.1).
    async fn answer(&mut self) -> Result<Answer, Trouble> {
        match timeout(ANSWER_TIMEOUT, self.read_answer()).await {
            Ok(answer) => answer,
            Err(_) => Err(slow()),
        }
    }

    async fn read_answer(&mut self) -> Result<Answer, Trouble> {
        let (mut lines, mut taken) = (Vec::new(), 0);
        loop {
            let line = self.line(&mut taken).await?;
            let unreadable = || Trouble::Later("the mail server says what is no answer of SMTP".to_owned());
            let (code, rest) = line.split_at_checked(3).ok_or_else(unreadable)?;
            let code: u16 = code.parse().map_err(|_| unreadable())?;
            let (mark, text) = rest.split_at_checked(1).unwrap_or((" ", ""));
            lines.push(text.to_owned());
            match mark {
                " " => return Ok(Answer { code, lines }),
                "-" => {}
                _ => return Err(unreadable()),
            }
        }
    }

    async fn line(&mut self, taken: &mut usize) -> Result<String, Trouble> {
        loop {
            if let Some(end) = self.ahead.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                *taken += line.len();
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            if *taken + self.ahead.len() > ANSWER_BYTES_MAX {
                return Err(Trouble::Later("the mail server's answer has no end".to_owned()));
            }
            match self.stream.read_buf(&mut self.ahead).await {
                Ok(0) => return Err(Trouble::Later("the mail server closed the connection".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(broken(&error)),
            }
        }
    }
}

/// The mail as it is sent after `DATA`: a dot more where a line begins with one (RFC 5321 section 4.5.2), and the end.
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(mail.len() + 5);
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            bytes.push(b'.');
        }
        bytes.extend_from_slice(line);
    }
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b".\r\n");
    bytes
}

/// Who was refused, and why.
fn told(refused: &[(&MailAddress, Trouble)]) -> String {
    let words: Vec<String> = refused.iter().map(|(to, trouble)| format!("`{to}`: {}", trouble.words())).collect();
    words.join("; ")
}

fn broken(error: &std::io::Error) -> Trouble {
    Trouble::Later(format!("the connection to the mail server broke: {error}"))
}

fn slow() -> Trouble {
    Trouble::Later(format!("the mail server took longer than {ANSWER_TIMEOUT:?} for an answer"))
}

#[cfg(test)]
mod tests;

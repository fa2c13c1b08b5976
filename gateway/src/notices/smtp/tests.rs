//! Against a scripted server: what it is told, and what is made of its answers.

use config::{MailLogin, Secret};
use tokio::io::{AsyncBufReadExt as _, BufReader, DuplexStream};

use super::*;

/// What a server hears, answering each line as the script says; `DATA` ends with a dot.
async fn serve(stream: DuplexStream, script: Vec<(&'static str, &'static str)>) -> Vec<String> {
    let mut stream = BufReader::new(stream);
    let mut heard = Vec::new();
    for (hears, answers) in script {
        if !hears.is_empty() {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return heard;
            }
            let line = line.trim_end().to_owned();
            assert!(line.starts_with(hears), "{line} instead of {hears}");
            heard.push(line);
        }
        if hears == "Subject" {
            let mut line = String::new();
            while line != ".\r\n" {
                line.clear();
                stream.read_line(&mut line).await.unwrap();
                heard.push(line.trim_end().to_owned());
            }
        }
        // Who hung up hears no more.
        let _written = stream.get_mut().write_all(answers.as_bytes()).await;
    }
    heard
}

async fn talk(
    login: Option<MailLogin>,
    to: &[&str],
    script: Vec<(&'static str, &'static str)>,
) -> (Result<Sent, Trouble>, Vec<String>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let server = tokio::spawn(serve(theirs, script));
    let to: Vec<MailAddress> = to.iter().map(|one| MailAddress::parse(one).unwrap()).collect();
    let from = MailAddress::parse("sekimori@h.example").unwrap();
    let letter = Letter { from: &from, to: &to, bytes: b"Subject: x\r\n\r\n.hidden\r\n" };
    let result = async {
        let mut talk = Talk::begin(Box::new(ours), "login.h.example").await?;
        if let Some(login) = &login {
            talk.log_in(login).await?;
        }
        let sent = talk.hand_over(&letter).await?;
        talk.quit().await;
        Ok(sent)
    };
    let result = result.await;
    (result, server.await.unwrap())
}

fn login() -> Option<MailLogin> {
    Some(MailLogin { user: "gw".to_owned(), password: Secret::new("open sesame".to_owned()) })
}

#[tokio::test]
async fn a_mail_is_handed_over_with_its_dots_doubled() {
    let script = vec![
        ("", "220 mail\r\n"),
        ("EHLO login.h.example", "250-mail\r\n250-SIZE 100\r\n250 8BITMIME\r\n"),
        ("MAIL FROM:<sekimori@h.example>", "250 ok\r\n"),
        ("RCPT TO:<a@x>", "250 ok\r\n"),
        ("RCPT TO:<b@x>", "251 forwarded\r\n"),
        ("DATA", "354 go\r\n"),
        ("Subject", "250 taken\r\n"),
        ("QUIT", "221 bye\r\n"),
    ];
    let (sent, heard) = talk(None, &["a@x", "b@x"], script).await;
    assert_eq!(sent, Ok(Sent::default()));
    assert!(heard.contains(&"..hidden".to_owned()) && heard.contains(&".".to_owned()), "{heard:?}");
}

#[tokio::test]
async fn an_address_that_is_refused_keeps_the_mail_from_nobody_else_and_is_told_of() {
    let begin = vec![("", "220 mail\r\n"), ("EHLO", "250 mail\r\n"), ("MAIL", "250 ok\r\n")];
    let mut script = begin.clone();
    script.extend([("RCPT TO:<a@x>", "550 who?\r\n"), ("RCPT TO:<b@x>", "250 ok\r\n"), ("DATA", "354 go\r\n")]);
    script.extend([("Subject", "250 taken\r\n"), ("QUIT", "")]);
    let (sent, _) = talk(None, &["a@x", "b@x"], script).await;
    let left_out = sent.unwrap().left_out.unwrap();
    assert!(left_out.contains("`a@x`") && left_out.contains("550 who?") && !left_out.contains("b@x"), "{left_out}");
    let mut script = begin.clone();
    script.extend([("RCPT TO:<a@x>", "450 later\r\n"), ("RCPT TO:<b@x>", "250 ok\r\n")]);
    script.extend([("RCPT TO:<c@x>", "550 who?\r\n"), ("DATA", "354 go\r\n"), ("Subject", "250 ok\r\n"), ("QUIT", "")]);
    let (sent, _) = talk(None, &["a@x", "b@x", "c@x"], script).await;
    let later: Vec<String> = sent.unwrap().later.iter().map(ToString::to_string).collect();
    assert_eq!(later, ["a@x"], "to be tried again");
    for (answer, is_final) in [("550 who?\r\n", true), ("450 later\r\n", false)] {
        let mut script = begin.clone();
        script.extend([("RCPT TO:<a@x>", "550 who?\r\n"), ("RCPT TO:<b@x>", answer)]);
        let (sent, _) = talk(None, &["a@x", "b@x"], script).await;
        assert_eq!(matches!(sent, Err(Trouble::Refused(_))), is_final, "{sent:?}");
    }
}

#[tokio::test]
async fn a_password_is_proved_as_the_server_takes_it() {
    let end = [
        ("MAIL", "250 ok\r\n"),
        ("RCPT", "250 ok\r\n"),
        ("DATA", "354 go\r\n"),
        ("Subject", "250 ok\r\n"),
        ("QUIT", ""),
    ];
    let plain = vec![
        ("", "220 mail\r\n"),
        ("EHLO", "250-mail\r\n250 AUTH LOGIN PLAIN\r\n"),
        ("AUTH PLAIN AGd3AG9wZW4gc2VzYW1l", "235 ok\r\n"),
    ];
    let (sent, _) = talk(login(), &["a@x"], plain.into_iter().chain(end).collect()).await;
    assert!(sent.is_ok(), "{sent:?}");
    let one_by_one = vec![
        ("", "220 mail\r\n"),
        ("EHLO", "250-mail\r\n250 AUTH LOGIN\r\n"),
        ("AUTH LOGIN", "334 VXNlcm5hbWU6\r\n"),
        ("Z3c=", "334 UGFzc3dvcmQ6\r\n"),
        ("b3BlbiBzZXNhbWU=", "235 ok\r\n"),
    ];
    let (sent, _) = talk(login(), &["a@x"], one_by_one.into_iter().chain(end).collect()).await;
    assert!(sent.is_ok(), "{sent:?}");
    let wrong = vec![("", "220 mail\r\n"), ("EHLO", "250-mail\r\n250 AUTH PLAIN\r\n"), ("AUTH PLAIN", "535 no\r\n")];
    let (sent, _) = talk(login(), &["a@x"], wrong).await;
    assert!(
        matches!(&sent, Err(Trouble::Refused(words)) if words.contains("535 no") && !words.contains("sesame")),
        "{sent:?}"
    );
    let (sent, _) = talk(login(), &["a@x"], vec![("", "220 mail\r\n"), ("EHLO", "250 mail\r\n")]).await;
    assert!(matches!(sent, Err(Trouble::Refused(_))), "{sent:?}");
}

#[tokio::test]
async fn a_server_that_is_busy_talks_nonsense_or_hangs_up_is_tried_again() {
    let long: &'static str = Box::leak(format!("220-{}", "x".repeat(20_000)).into_boxed_str());
    for script in [
        vec![("", "421 busy\r\n")],
        vec![("", "hello\r\n")],
        vec![("", "220/mail\r\n")],
        vec![("", "22")],
        vec![("", long)],
        vec![("", "220 mail\r\n"), ("EHLO", "451 later\r\n")],
        vec![("", "220 mail\r\n"), ("EHLO", "250 mail\r\n"), ("MAIL", "")],
    ] {
        let (sent, _) = talk(None, &["a@x"], script.clone()).await;
        assert!(matches!(sent, Err(Trouble::Later(_))), "{script:?}: {sent:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_where_tls_was_to_begin() {
    for (offers, then) in [("250 mail\r\n", ""), ("250-mail\r\n250 STARTTLS\r\n", "220 go\r\n250 injected\r\n")] {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let server = tokio::spawn(serve(theirs, vec![("", "220 mail\r\n"), ("EHLO", offers), ("STARTTLS", then)]));
        let talk = Talk::begin(Box::new(ours), "login.h.example").await.unwrap();
        let config = certs::upstream_config(&config::UpstreamTls::default(), config::UpstreamProtocol::Http1);
        let Ok(config) = config else { return };
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let name = rustls::pki_types::ServerName::try_from("mail.example").unwrap();
        let ended = talk.encrypt(&TlsTo { connector, name }, "login.h.example").await;
        assert!(matches!(ended, Err(Trouble::Refused(_))));
        let heard = server.await.unwrap();
        assert!(heard.iter().all(|line| !line.starts_with("MAIL")), "{heard:?}");
    }
}

#[tokio::test]
async fn a_server_that_took_the_mail_may_be_slow_to_say_goodbye() {
    let script = [("", "220 mail\r\n"), ("EHLO", "250 mail\r\n"), ("MAIL", "250 ok\r\n"), ("RCPT", "250 ok\r\n")];
    let end = [("DATA", "354 go\r\n"), ("Subject", "250 taken\r\n"), ("QUIT", ""), ("never", "")];
    let begun = tokio::time::Instant::now();
    let (sent, _) = talk(None, &["a@x"], script.into_iter().chain(end).collect()).await;
    assert_eq!(sent, Ok(Sent::default()));
    assert!(begun.elapsed() < 2 * LEAVE_TIMEOUT, "{:?}", begun.elapsed());
}

//! Who is notified of what.

use super::{Folder, short_and};
use crate::{MailEncryption, NoticeEvent, NoticeLanguage, NoticeTo, WebhookKey};

const MAIL: &str = "[mail]\nserver = \"mail.sakura.example\"\nfrom = \"sekimori@sakura.example\"\n";
const TO_MAIL: &str = "[[notice]]\nid = \"desk\"\nevents = \"all\"\nmail_to = [\"jimu@sakura.example\"]\n";
const TO_HOOK: &str = "[[notice]]\nid = \"chat\"\nevents = [\"device-revoked\"]\nwebhook = \"https://chat.sakura.example/h?t=1\"\n\
                       secret_file = \"secrets/hook\"\nlanguage = \"en\"\n";
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A folder with the secrets that the texts above name.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("secrets/hook", format!("whsec_{KEY}\n"), 0o600);
    folder.file("secrets/mail", "open sesame\n", 0o600);
    folder
}

#[test]
fn nobody_is_notified_unless_the_hospital_says_so() {
    let config = folder().parse(&short_and("")).unwrap();
    assert!(config.mail.is_none() && config.notices.is_empty());
}

#[test]
fn mail_is_encrypted_and_in_japanese_and_requests_are_signed_unless_the_hospital_says_otherwise() {
    let config = folder().parse(&short_and(&format!("{MAIL}{TO_MAIL}{TO_HOOK}"))).unwrap();
    let mail = config.mail.as_ref().unwrap();
    assert_eq!((mail.host.as_str(), mail.port), ("mail.sakura.example", 587));
    assert_eq!((mail.encryption, mail.login.is_none()), (MailEncryption::StartTls, true));
    let [desk, chat] = &config.notices[..] else { panic!("{:?}", config.notices) };
    assert_eq!((desk.language, desk.events.len()), (NoticeLanguage::Japanese, NoticeEvent::ALL.len()));
    assert!(matches!(&desk.to, NoticeTo::Mail(to) if to[0].as_str() == "jimu@sakura.example"));
    let NoticeTo::Webhook(hook) = &chat.to else { panic!("{chat:?}") };
    assert_eq!((hook.url.as_str(), hook.key.expose_base64()), ("https://chat.sakura.example/h?t=1", KEY));
    assert_eq!((chat.language, chat.events.len()), (NoticeLanguage::English, 1));
    assert!(!format!("{config:?}").contains(KEY), "{:?}", WebhookKey::clone(&hook.key));
}

#[test]
fn the_port_is_that_of_the_encryption_and_a_password_is_read_from_its_file() {
    for (encryption, port) in [("starttls", 587), ("tls", 465), ("none", 25)] {
        let config = folder().parse(&short_and(&format!("{MAIL}encryption = \"{encryption}\"\n"))).unwrap();
        assert_eq!(config.mail.unwrap().port, port, "{encryption}");
    }
    let with_login = format!("{MAIL}user = \"sekimori\"\npassword_file = \"secrets/mail\"\n");
    let login = folder().parse(&short_and(&with_login)).unwrap().mail.unwrap().login.unwrap();
    assert_eq!((login.user.as_str(), login.password.expose()), ("sekimori", "open sesame"));
    for (written, host, port) in
        [("10.0.0.9", "10.0.0.9", 587), ("mail:2525", "mail", 2525), ("[fd00::9]:25", "fd00::9", 25)]
    {
        let text = MAIL.replace("mail.sakura.example", written);
        let mail = folder().parse(&short_and(&text)).unwrap().mail.unwrap();
        assert_eq!((mail.host.as_str(), mail.port), (host, port));
    }
}

#[test]
fn each_mistake_in_a_notice_is_told_in_words_one_can_act_on() {
    let whole = format!("{MAIL}{TO_MAIL}{TO_HOOK}");
    let folder = folder();
    folder.file("secrets/short", "whsec_c2hvcnQ=", 0o600);
    for (from, to, said) in [
        (
            MAIL,
            "",
            "notice[desk].mail_to: needs a mail server, and there is none; add `[mail]` with `server` and `from`",
        ),
        (
            "jimu@sakura.example",
            "jimu",
            "notice[desk].mail_to: `jimu` is not a mail address; write one address in ASCII, such as `jimu@hospital.example.jp`",
        ),
        (
            "mail_to = [\"jimu@sakura.example\"]",
            "mail_to = []",
            "notice[desk].mail_to: is an empty list; name at least one",
        ),
        (
            "mail_to = [\"jimu@sakura.example\"]\n",
            "",
            "notice[desk]: says nobody whom to tell; add `mail_to = [\"jimu@hospital.example.jp\"]`, or `webhook`",
        ),
        (
            "secret_file = \"secrets/hook\"\n",
            "",
            "notice[chat]: has a webhook without its secret; add `secret_file`; requests to it are signed",
        ),
        (
            "secret_file = \"secrets/hook\"\n",
            "secret_file = \"secrets/hook\"\nmail_to = [\"a@b\"]\n",
            "notice[chat]: mixes mail and webhook; write a `[[notice]]` for each of them",
        ),
        (
            "secrets/hook",
            "secrets/short",
            "notice[chat].secret_file: does not hold the secret of a webhook; \
             write it with `echo \"whsec_$(openssl rand -base64 32)\" > FILE`, or take the one the receiver gives you",
        ),
        (
            "https://chat",
            "http://chat",
            "notice[chat].webhook: `http://chat.sakura.example/h?t=1` is not reached by https; \
             use https; http is for this machine only",
        ),
        (
            "https://chat.sakura.example/h",
            "https://me:secret@chat.sakura.example/h",
            "notice[chat].webhook: `https://me:secret@chat.sakura.example/h?t=1` has more than host, path and query; \
             write it like `https://chat.hospital.example.jp/hooks/sekimori`",
        ),
        (
            "\"device-revoked\"",
            "\"device-revokd\"",
            "notice[chat].events: `device-revokd` is not one of `EVENTS`; write `device-revoked`",
        ),
        (
            "id = \"chat\"",
            "id = \"desk\"",
            "notice[desk].id: `desk` is already used on line LINE; give each notice its own id",
        ),
        (
            "server = \"mail.sakura.example\"\n",
            "",
            "mail.server: is missing; add `server = \"mail.hospital.example.jp:587\"`",
        ),
        (
            "from = \"sekimori@sakura.example\"\n",
            "from = \"sekimori@sakura.example\"\nuser = \"sekimori\"\n",
            "mail: has a `user` without its password; add `password_file`",
        ),
        (
            "from = \"sekimori@sakura.example\"\n",
            "from = \"sekimori@sakura.example\"\nencryption = \"none\"\nuser = \"a\"\npassword_file = \"secrets/mail\"\n",
            "mail: would send its password without encryption; \
             write `encryption = \"starttls\"`, or leave `user` and `password_file` out",
        ),
        (
            "mail.sakura.example",
            "mail:smtp",
            "mail.server: `smtp` is not a port; write host and port, such as `mail.hospital.example.jp:587`",
        ),
    ] {
        assert!(whole.contains(from), "{from}");
        let problems = folder.said(&short_and(&whole.replacen(from, to, 1)));
        let [problem] = &problems[..] else { panic!("{problems:#?}") };
        let problem = problem.splitn(3, ':').nth(2).unwrap().trim();
        let events: Vec<&str> = NoticeEvent::ALL.iter().map(|(word, _)| *word).collect();
        let said = said.replace("EVENTS", &events.join("`, `"));
        let (before, after) = said.split_once("LINE").unwrap_or((said.as_str(), ""));
        assert!(problem.starts_with(before) && problem.ends_with(after), "{problem}\n{said}");
    }
}

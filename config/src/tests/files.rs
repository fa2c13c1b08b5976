//! The files a configuration names.

use std::fs;

use super::{Folder, SHORT, short_and, short_with};
use crate::read;

fn with_secret(name: &str) -> String {
    short_with("roles_claim = \"groups\"", &format!("roles_claim = \"groups\"\nclient_secret_file = \"{name}\""))
}

#[test]
fn a_secret_is_read_without_the_line_break_at_its_end() {
    let folder = Folder::new();
    folder.file("secrets/idp", "correct horse\r\n", 0o400);
    let config = folder.parse(&with_secret("secrets/idp")).unwrap();
    assert_eq!(config.providers[0].client_secret.as_ref().unwrap().expose(), "correct horse");
    assert!(!format!("{config:?}").contains("horse"), "a secret is never shown");
}

#[test]
fn a_secret_that_others_can_read_is_refused_and_never_shown() {
    let folder = Folder::new();
    for mode in [0o644, 0o640, 0o604, 0o610, 0o601] {
        folder.file("secrets/idp", "hunter2", mode);
        assert_eq!(
            folder.said(&with_secret("secrets/idp")),
            [format!(
                "sekimori.toml:11: provider[idp].client_secret_file: `secrets/idp` is open to other users of this machine \
                 (mode {mode:03o}); `chmod 600 secrets/idp`, and `chown` it to the user the gateway runs as"
            )]
        );
    }
}

#[test]
fn a_private_key_that_others_can_read_is_refused() {
    let folder = Folder::new();
    folder.file("tls/key.pem", "key", 0o644);
    let said = folder.said(SHORT);
    assert!(
        said.len() == 1 && said[0].contains("certificate[#1].key: `tls/key.pem` is open to other users"),
        "{said:#?}"
    );
}

#[test]
fn files_that_are_no_secrets_are_refused_as_secrets() {
    let folder = Folder::new();
    folder.file("empty", "\n", 0o600);
    folder.file("two-lines", "a\nb\n", 0o600);
    folder.file("large", vec![b'a'; 20_000], 0o600);
    folder.file("binary", [0xff, 0xfe], 0o600);
    for (name, reason) in [
        ("empty", "does not hold one line of text"),
        ("two-lines", "does not hold one line of text"),
        ("large", "is larger than 16 KiB"),
        ("binary", "is not UTF-8 (line 1)"),
        ("absent", "does not exist"),
        ("tls", "is not a file"),
    ] {
        let said = folder.said(&with_secret(name));
        assert!(said.len() == 1 && said[0].contains(&format!("`{name}` {reason}")), "{said:#?}");
    }
}

#[test]
fn cedar_files_are_read_and_told_by_their_own_lines() {
    let folder = Folder::new();
    folder.file("ok.cedar", "// nothing yet\n", 0o644);
    let config = folder.parse(&short_and("[policy]\nfiles = [\"ok.cedar\"]")).unwrap();
    assert_eq!(config.policy.cedar[0].text, "// nothing yet\n");

    folder.file("bad.cedar", "// ours\npermit (principal, action, resource) when {", 0o644);
    let said = folder.said(&short_and("[policy]\nfiles = [\"bad.cedar\"]\n[operations]\nlogg = \"info\""));
    assert!(said[0].starts_with("sekimori.toml:24: operations.logg: "), "{said:#?}");
    assert!(said[1].starts_with("bad.cedar:2: "), "{said:#?}");
}

#[test]
fn read_names_every_file_for_watching_with_whole_paths() {
    let folder = Folder::new();
    folder.file("secrets/idp", "x", 0o600);
    let path = folder.file("sekimori.toml", with_secret("secrets/idp"), 0o644);
    let config = read(&path).unwrap();
    let named: Vec<_> = config.files.iter().map(|file| file.strip_prefix(&folder).unwrap().to_str().unwrap()).collect();
    assert_eq!(named, ["sekimori.toml", "tls/chain.pem", "tls/key.pem", "secrets/idp"]);
}

#[test]
fn a_file_that_cannot_be_read_as_a_whole_is_told_without_a_line() {
    let folder = Folder::new();
    let absent = folder.0.join("absent.toml");
    let said = read(&absent).unwrap_err().to_string();
    assert!(said.starts_with(&format!("{}: does not exist; ", absent.display())), "{said}");
    let latin = folder.file("latin.toml", b"# ok\nname = \"\xe9\"\n", 0o644);
    let said = read(&latin).unwrap_err().to_string();
    assert_eq!(said, format!("{}: is not UTF-8 (line 2); save it as UTF-8", latin.display()));
}

#[test]
fn the_revision_follows_the_text_of_every_rule_and_nothing_else() {
    let (here, there) = (Folder::new(), Folder::new());
    let text = short_and("[policy]\nfiles = [\"a.cedar\"]");
    for folder in [&here, &there] {
        folder.file("a.cedar", "// a", 0o644);
    }
    let revision = |folder: &Folder, text: &str| folder.parse(text).unwrap().revision;
    let first = revision(&here, &text);
    assert_eq!(first.as_str().len(), 32);
    assert_eq!(first, revision(&there, &text), "the same texts elsewhere are the same version");
    assert_ne!(first, revision(&here, &format!("{text}\n")));
    fs::write(here.0.join("a.cedar"), "// b").unwrap();
    assert_ne!(first, revision(&here, &text));
}

fn authenticators(text: &str) -> Vec<String> {
    let folder = Folder::new();
    folder.file("keys.json", text, 0o644);
    folder.said(&short_and("keys = [\"Key\"]\n[passkeys]\nauthenticators_file = \"keys.json\""))
}

#[test]
fn authenticators_that_are_listed_may_be_named_in_rules() {
    let one = |allowed: &str| {
        format!("[{{\"aaguid\": \"cb69481e-8ff7-4039-93ec-0a2729a154a8\", \"name\": \"Key\"{allowed}}}]")
    };
    assert_eq!(authenticators(&one("")), Vec::<String>::new());
    assert_eq!(authenticators(&one(", \"allowed\": true")), Vec::<String>::new());
    let refused = authenticators(&one(", \"allowed\": false"));
    assert!(
        refused.len() == 1 && refused[0].contains("`Key` may not be used, by `authenticators_file`"),
        "{refused:?}"
    );
}

#[test]
fn a_list_of_authenticators_allows_what_it_says_and_nothing_else() {
    let folder = Folder::new();
    let other = "00000000-0000-0000-0000-000000000001";
    let text = format!(
        "[{{\"aaguid\": \"cb69481e-8ff7-4039-93ec-0a2729a154a8\", \"name\": \"Key\"}}, \
         {{\"aaguid\": \"{other}\", \"name\": \"Old\", \"allowed\": false}}]"
    );
    folder.file("keys.json", &text, 0o644);
    let sound = short_and("[passkeys]\nauthenticators_file = \"keys.json\"");
    let config = folder.parse(&sound).unwrap();
    let model = |text: &str| policy::Aaguid::parse(text).unwrap();
    assert!(config.passkeys.allow(model("cb69481e-8ff7-4039-93ec-0a2729a154a8")));
    assert!(!config.passkeys.allow(model(other)));
    assert!(!config.passkeys.allow(model("00000000-0000-0000-0000-000000000000")));
    assert_eq!(config.passkeys.name_of(model(other)), Some("Old"));
    assert!(config.files.iter().any(|file| file.ends_with("keys.json")), "it is watched");
    folder.file("keys.json", text.replace("false", "true"), 0o644);
    assert_ne!(folder.parse(&sound).unwrap().revision, config.revision, "it is a part of the version");
}

#[test]
fn a_broken_list_of_authenticators_is_refused_with_the_place() {
    let good = "{\"aaguid\": \"cb69481e-8ff7-4039-93ec-0a2729a154a8\", \"name\": \"Key\"}";
    for (text, reason) in [
        ("", "is not JSON: EOF while parsing a value at line 1 column 0"),
        ("{}", "does not hold a list"),
        ("[1]", "entry 1: is not an object"),
        (&format!("[{good}, {{}}]"), "entry 2: `aaguid` is not a text"),
        (&format!("[{good}, {good}]"), "entry 2: lists `cb69481e-8ff7-4039-93ec-0a2729a154a8` again"),
        ("[{\"aaguid\": \"cb69\", \"name\": \"Key\"}]", "entry 1: `cb69` is not an AAGUID"),
        (&format!("[{}]", good.replace("Key", " ")), "entry 1: `name` is not 1 to 100 letters"),
        (&format!("[{}]", good.replace("name", "nmae")), "entry 1: `nmae` is not a key we know"),
        (
            &format!("[{}]", good.replace('}', ", \"roots\": [\"<PEM>\"]}")),
            "entry 1: `roots` is not a list of certificates in base64",
        ),
        (&format!("[{}]", good.replace('}', ", \"allowed\": 1}")), "entry 1: `allowed` is neither true nor false"),
    ] {
        let said = authenticators(text);
        assert!(said.iter().any(|said| said.contains(&format!("`keys.json` {reason}; "))), "{text}: {said:#?}");
    }
}

#[test]
fn posture_sources_have_ids_of_their_own_and_tokens_that_are_never_shown() {
    let folder = Folder::new();
    folder.file("mdm", "0123456789abcdef0123456789abcdef\n", 0o600);
    let source = |id: &str| format!("[[posture_source]]\nid = \"{id}\"\ntoken_file = \"mdm\"\nttl = \"12h\"\n");
    let config = folder.parse(&short_and(&source("mdm"))).unwrap();
    assert_eq!(config.posture_sources[0].token.expose(), "0123456789abcdef0123456789abcdef");
    assert_eq!(config.posture_sources[0].ttl.as_secs(), 12 * 3_600);
    assert!(!format!("{config:?}").contains("0123456789abcdef"), "a token is never shown");
    let said = folder.said(&short_and(&(source("mdm") + &source("mdm"))));
    assert!(said.len() == 1 && said[0].contains("give each source its own id"), "{said:?}");
}

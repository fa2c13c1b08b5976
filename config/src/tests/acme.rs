//! Server certificates that the gateway orders by itself.

use super::golden::said_about;
use super::{Folder, SHORT, short_and};
use crate::{AcmeProof, Secret};

const ACME: &str = "[acme]\ndirectory = \"https://acme.sakura.example/directory\"\nterms_accepted = true";

fn acme_and(more: &str) -> String {
    short_and(&format!("{ACME}\n{more}"))
}

#[test]
fn certificates_are_ordered_for_every_host_unless_names_are_given() {
    let folder = Folder::new();
    assert!(folder.parse(&short_and("")).unwrap().acme.is_none());
    let acme = folder.parse(&acme_and("")).unwrap().acme.unwrap();
    let names: Vec<String> = acme.names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["emr.sakura.example", "login.sakura.example", "portal.sakura.example"]);
    assert_eq!((&acme.proof, acme.authority()), (&AcmeProof::Tls, "acme.sakura.example"));
    assert_eq!(acme.folder, folder.parse(&acme_and("")).unwrap().state_dir.join("acme"));
}

#[test]
fn files_may_be_left_out_where_certificates_are_ordered() {
    let folder = Folder::new();
    let no_files =
        acme_and("").replace("certificate = [{ certificate = \"tls/chain.pem\", key = \"tls/key.pem\" }]\n", "");
    assert!(SHORT.len() + ACME.len() > no_files.len(), "there was a line to leave out");
    assert!(folder.parse(&no_files).unwrap().certificates.is_empty());
    let neither = no_files.replace(ACME, "");
    assert!(folder.said(&neither)[0].contains("certificate: is missing"), "{:?}", folder.said(&neither));
}

#[test]
fn wildcards_and_an_account_at_the_ca_are_read() {
    let folder = Folder::new();
    let hook = folder.file("hook", "#!/bin/sh\n", 0o755);
    folder.file("key", "MDEyMzQ1Njc4OWFiY2RlZg==\n", 0o600);
    let text = acme_and(
        "names = [\"*.sakura.example\"]\nchallenge = \"dns-01\"\nhook = \"hook\"\ncontact = [\"mailto:it@sakura.example\"]\n\
         external_account = { key_id = \"sakura\", key_file = \"key\" }",
    );
    let config = folder.parse(&text).unwrap();
    let acme = config.acme.unwrap();
    assert_eq!(acme.proof, AcmeProof::Dns { hook });
    assert!(acme.covers(&config.login_host) && acme.covers(&config.apps[0].host));
    assert!(!acme.names[0].covers(&policy::Host::parse("a.b.sakura.example").unwrap()), "one label, no more");
    let account = acme.external_account.unwrap();
    assert_eq!(account.key, Secret::new("MDEyMzQ1Njc4OWFiY2RlZg".to_owned()), "without the padding");
    assert!(!format!("{account:?}").contains("MDEy"));
}

#[test]
fn each_mistake_is_told_in_words_one_can_act_on() {
    let no_terms = ACME.replace("terms_accepted = true", "terms_accepted = false");
    let plain = ACME.replace("https", "http");
    for (text, word) in [
        (short_and("[acme]\nterms_accepted = true"), "acme.directory: is missing"),
        (short_and("[acme]\ndirectory = \"https://acme.sakura.example/directory\""), "acme.terms_accepted: is missing"),
        (short_and(&no_terms), "no CA gives certificates then"),
        (short_and(&plain), "is not https"),
        (acme_and("contact = [\"it@sakura.example\"]"), "is not a mail address"),
        (acme_and("contact = [\"mailto:it@sakura.example?subject=a\"]"), "is not a mail address"),
        (acme_and("names = []"), "is an empty list"),
        (acme_and("names = [\"emr.sakura.example\", \"emr.sakura.example\"]"), "names a host twice"),
        (acme_and("names = [\"*.sakura.example\"]"), "cannot be shown by `tls-alpn-01`"),
        (acme_and("names = [\"10.0.0.1\"]"), "acme.names"),
        (acme_and("challenge = \"http-01\""), "is not one of `tls-alpn-01`, `dns-01`"),
        (acme_and("challenge = \"dns-01\""), "without a program"),
        (acme_and("hook = \"none\"\nchallenge = \"dns-01\""), "does not exist"),
        (acme_and("ca_file = \"none.pem\""), "does not exist"),
        (acme_and("external_account = { key_id = \"a\" }"), "key_file: is missing"),
        (acme_and("direktory = \"a\""), "write `directory`"),
    ] {
        let said = said_about(&text);
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn a_program_that_others_may_change_is_not_run() {
    let folder = Folder::new();
    let text = acme_and("hook = \"hook\"\nchallenge = \"dns-01\"");
    for (mode, word) in
        [(0o644, "is not a program"), (0o775, "may be changed by other users"), (0o757, "may be changed")]
    {
        folder.file("hook", "#!/bin/sh\n", mode);
        assert!(folder.said(&text)[0].contains(word), "{mode:o}: {:?}", folder.said(&text));
    }
    folder.file("hook", "#!/bin/sh\n", 0o755);
    assert!(folder.parse(&text).is_ok());
    let unused = acme_and("hook = \"hook\"");
    assert!(folder.said(&unused)[0].contains("never run"), "{:?}", folder.said(&unused));
}

#[test]
fn the_ca_must_be_able_to_connect_where_it_is_to() {
    let folder = Folder::new();
    let text = acme_and("").replace("zone = \"inside\"", "zone = \"inside\", client_certificates = \"required\"");
    assert!(folder.said(&text)[0].contains("which the CA has not"), "{:?}", folder.said(&text));
}

#[test]
fn a_key_that_is_none_is_refused_and_not_repeated() {
    let folder = Folder::new();
    folder.file("key", "kurz!", 0o600);
    let said = folder.said(&acme_and("external_account = { key_id = \"a\", key_file = \"key\" }"));
    assert!(said[0].contains("holds no key in base64url") && !said[0].contains("kurz"), "{said:?}");
}

//! Terminals of SSH apps: what the gateway signs in with, whom it believes, and which files it carries.

use super::{Folder, short_and};
use crate::{FileTransfer, SshCredential, Terminal};

/// The public key of nobody.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const TERMINAL: &str = "[[app]]\nid = \"shell\"\nkind = \"tcp\"\nhost = \"shell.sakura.example\"\nupstream = \"10.0.0.9:22\"\n\
                        protocol = \"ssh\"\n[app.terminal]\nuser = \"maintenance\"\npassword_file = \"secret\"\n\
                        host_keys = [\"KEY\"]\n";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("secret", "correct horse\n", 0o600);
    folder
}

fn text(from: &str, to: &str) -> String {
    assert!(TERMINAL.contains(from), "{from}");
    short_and(&TERMINAL.replace(from, to).replace("KEY", KEY))
}

fn read(folder: &Folder, from: &str, to: &str) -> Terminal {
    folder.parse(&text(from, to)).unwrap().apps.pop().unwrap().terminal.unwrap()
}

/// What is said of one mistake: reason and remedy.
fn said(folder: &Folder, from: &str, to: &str) -> String {
    let said = folder.said(&text(from, to));
    assert_eq!(said.len(), 1, "{said:?}");
    said[0].split_once("app[shell].terminal").unwrap_or_else(|| panic!("{said:?}")).1.to_owned()
}

#[test]
fn a_terminal_signs_in_by_password_or_key_and_carries_no_files_unless_told() {
    let folder = folder();
    let terminal = read(&folder, "KEY", "KEY");
    assert_eq!(terminal.user, "maintenance");
    assert_eq!(terminal.host_keys[0].algorithm, "ssh-ed25519");
    assert_eq!((terminal.files, terminal.folders.len()), (FileTransfer::None, 0));
    assert!(matches!(&terminal.credential, SshCredential::Password(secret) if secret.expose() == "correct horse"));
    assert!(!format!("{terminal:?}").contains("horse"), "it prints nowhere");
    let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n";
    folder.file("key", key, 0o600);
    let terminal = read(&folder, "password_file = \"secret\"", "key_file = \"key\"");
    assert!(matches!(&terminal.credential, SshCredential::Key(secret) if secret.expose() == key));
    let files = "user = \"maintenance\"\nfiles = \"both\"\nfolders = [\"/var/log/\", \"/srv/引継ぎ\"]\nfile_max = \"1MiB\"\n\
                 patient = '(?<patient>[0-9]{8})'";
    let terminal = read(&folder, "user = \"maintenance\"", files);
    assert!(terminal.files.downloads() && terminal.files.uploads());
    assert_eq!(terminal.folders, ["/var/log", "/srv/引継ぎ"]);
    assert_eq!(terminal.file_bytes_max, 1 << 20);
    assert!(terminal.patient.is_some());
}

#[test]
fn without_the_servers_key_there_is_no_terminal() {
    let folder = folder();
    let said_of = |to: &str| said(&folder, "host_keys = [\"KEY\"]", to);
    assert!(said_of("").contains("host_keys"), "{}", said_of(""));
    assert!(said_of("host_keys = []").starts_with(".host_keys: is an empty list"));
    assert!(said_of("host_keys = [\"ssh-dss AAAA\"]").contains("`ssh-dss` is no kind of key that is accepted here"));
    for odd in ["ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAAA"] {
        let said = said_of(&format!("host_keys = [\"{odd}\"]"));
        assert!(said.contains("is no key of the kind"), "{said}");
    }
}

#[test]
fn what_it_signs_in_with_is_one_secret_that_nobody_else_can_read() {
    let folder = folder();
    let password = "password_file = \"secret\"";
    assert!(said(&folder, password, "").contains("has nothing to sign in with at the server"));
    folder.file("open", "correct horse", 0o644);
    assert!(said(&folder, password, "password_file = \"open\"").contains("is open to other users"));
    folder.file("open-key", "-----BEGIN PRIVATE KEY-----", 0o640);
    assert!(said(&folder, password, "key_file = \"open-key\"").contains("is open to other users"));
    folder.file("key", "-----BEGIN PRIVATE KEY-----", 0o600);
    let both = format!("{password}\nkey_file = \"key\"");
    assert!(said(&folder, password, &both).contains("has both `key_file` and `password_file`"));
    folder.file("odd", "ssh-ed25519 AAAA", 0o600);
    assert!(said(&folder, password, "key_file = \"odd\"").contains("does not hold a private key"));
    for locked in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHI=\n-----END OPENSSH PRIVATE KEY-----\n",
    ] {
        folder.file("locked", locked, 0o600);
        assert!(said(&folder, password, "key_file = \"locked\"").contains("is locked by a passphrase"), "{locked}");
    }
}

#[test]
fn files_are_carried_from_and_to_folders_that_are_named() {
    let folder = folder();
    let user = "user = \"maintenance\"";
    let said_of = |more: &str| said(&folder, user, &format!("{user}\n{more}"));
    assert!(said_of("files = \"download\"").contains("lets files be carried from and to nowhere"));
    assert!(said_of("folders = [\"/var/log\"]").contains("has `folders`, and carries no files"));
    for odd in ["/", "var/log", "/var/../etc", "/var//log", "/var/%2e", "/a;b", "/a\\\\b"] {
        let said = said_of(&format!("files = \"both\"\nfolders = [\"{odd}\"]"));
        assert!(said.contains("is no folder"), "{said}");
    }
    assert!(said_of("files = \"all\"").contains("`all` is not one of"));
    assert!(said_of("patient = '[0-9]+'").contains("has no group that says which part is the patient"));
}

#[test]
fn only_ssh_has_a_terminal() {
    let said = said(&folder(), "protocol = \"ssh\"", "protocol = \"rdp\"");
    assert!(said.contains("is a terminal where no SSH is spoken"), "{said}");
}

//! `[app.terminal]`: a terminal in the browser for an app of `protocol = "ssh"`. The gateway signs in at the server, so that
//! who works there never has a password or key of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policy::IdPattern;

use super::app::Around;
use crate::files::Files;
use crate::walk::{Table, Value};
use crate::{FileTransfer, HostKey, Secret, SshCredential, Terminal, TerminalPatient};

const FILES: [(&str, FileTransfer); 4] = [
    ("none", FileTransfer::None),
    ("download", FileTransfer::Download),
    ("upload", FileTransfer::Upload),
    ("both", FileTransfer::Both),
];
/// What servers prove themselves by: kinds of keys that are still sound.
const HOST_KEYS: [&str; 5] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];
const HOST_KEYS_MAX: usize = 16;
const HOST_KEY_REMEDY: &str = "copy a line of `ssh-keyscan HOST` without the host, and compare it with the server's own \
                               `/etc/ssh/ssh_host_*_key.pub`";
const FOLDERS_MAX: usize = 32;
const FOLDER_REMEDY: &str = "write an absolute path without `.`, `..`, `//`, `%`, `;` or `\\`, such as `/var/log/pacs`";
const MIB: u64 = 1 << 20;

pub(crate) fn read(table: &Table<'_>, around: &Around<'_>) -> Option<Terminal> {
    let files = around.files;
    let user = table.needed("user", "`user = \"maintenance\"`", |value| user(&value));
    let key = table.optional("key_file", |value| key(&value, files));
    let password = table.optional("password_file", |value| files.secret(&value));
    let host_keys = table.needed("host_keys", "`host_keys = [\"ssh-ed25519 AAAA..\"]`", |value| {
        let keys = value.some(|item| host_key(&item))?;
        if keys.len() > HOST_KEYS_MAX {
            return value.wrong("names too many keys", format!("name at most {HOST_KEYS_MAX}"));
        }
        Some(keys)
    });
    let transfer = table.or("files", FileTransfer::None, |value| value.word(&FILES));
    let folders = table.or("folders", Vec::new(), |value| {
        let folders = value.some(|item| folder(&item))?;
        if folders.len() > FOLDERS_MAX {
            return value.wrong("names too many folders", format!("name at most {FOLDERS_MAX}"));
        }
        Some(folders)
    });
    let file_bytes_max = table.or("file_max", 256 * MIB, |value| value.size(1..=64 * 1024 * MIB));
    let patient = table.optional("patient", |value| {
        value.parse(IdPattern::parse, "write an expression with a group, such as `'(?<patient>[0-9]{8})'`")
    });
    table.finish();
    let (key, password) = (key?, password?);
    let credential = match (key, password) {
        (Some(key), None) => Some(SshCredential::Key(key)),
        (None, Some(password)) => Some(SshCredential::Password(password)),
        (Some(_), Some(_)) => table.wrong("has both `key_file` and `password_file`", "leave one of them out"),
        (None, None) => table.wrong(
            "has nothing to sign in with at the server",
            "add `key_file = \"secrets/pacs-shell-key\"` or `password_file = \"secrets/pacs-shell\"`",
        ),
    };
    let (transfer, folders) = (transfer?, folders?);
    match (transfer, folders.is_empty()) {
        (FileTransfer::Download | FileTransfer::Upload | FileTransfer::Both, true) => {
            return table.wrong("lets files be carried from and to nowhere", "add `folders = [\"/var/log/pacs\"]`");
        }
        (FileTransfer::None, false) => {
            return table.wrong(
                "has `folders`, and carries no files",
                "add `files = \"download\"`, `\"upload\"` or `\"both\"`, or leave `folders` out",
            );
        }
        (FileTransfer::None, true) | (FileTransfer::Download | FileTransfer::Upload | FileTransfer::Both, false) => {}
    }
    Some(Terminal {
        user: user?,
        credential: credential?,
        host_keys: host_keys?,
        files: transfer,
        folders,
        file_bytes_max: file_bytes_max?,
        patient: patient?.map(|pattern| TerminalPatient { pattern, pad: around.patients.pad }),
    })
}

fn user(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if text.len() > 64 || text.contains(char::is_whitespace) {
        return value.wrong(format!("`{text}` is no name to sign in by"), "write the name of an account on the server");
    }
    Some(text.to_owned())
}

/// A private key that needs no passphrase: nobody is there to type one.
fn key(value: &Value<'_>, files: &Files<'_>) -> Option<Secret> {
    let key = files.secret_lines(value)?;
    let text = key.expose();
    let is_pem = ["OPENSSH PRIVATE KEY", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"]
        .iter()
        .any(|kind| text.contains(&format!("-----BEGIN {kind}-----")));
    if text.contains("ENCRYPTED") || is_locked(text) {
        return value.wrong(
            "is locked by a passphrase",
            "take it off with `ssh-keygen -p -f FILE`; that nobody else can read the file protects it",
        );
    }
    if !is_pem {
        return value.wrong(
            "does not hold a private key",
            "make one with `ssh-keygen -t ed25519 -N '' -f FILE`, and add FILE.pub to the account's authorized_keys",
        );
    }
    Some(key)
}

/// Whether a key in the format of OpenSSH names a cipher: its text begins with a word and the cipher's name.
fn is_locked(text: &str) -> bool {
    const WORD: &[u8] = b"openssh-key-v1\0";
    let Some((_, rest)) = text.split_once("-----BEGIN OPENSSH PRIVATE KEY-----") else { return false };
    let body: String = rest.lines().take_while(|line| !line.starts_with('-')).flat_map(str::chars).collect();
    let Ok(bytes) = STANDARD.decode(body.trim()).map(zeroize::Zeroizing::new) else { return false };
    bytes.strip_prefix(WORD).is_some_and(|rest| rest.get(..8) != Some(b"\0\0\0\x04none"))
}

/// A line such as `ssh-ed25519 AAAA.. comment`.
fn host_key(value: &Value<'_>) -> Option<HostKey> {
    let text = value.text()?;
    let mut words = text.split_whitespace();
    let (algorithm, encoded) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !HOST_KEYS.contains(&algorithm) {
        return value.wrong(format!("`{algorithm}` is no kind of key that is accepted here"), HOST_KEY_REMEDY);
    }
    let blob = STANDARD.decode(encoded).unwrap_or_default();
    // The key itself says once more of which kind it is (RFC 4253 section 6.6).
    let named = u32::try_from(algorithm.len()).unwrap_or_default().to_be_bytes().into_iter().chain(algorithm.bytes());
    let begins = blob.iter().copied().take(4 + algorithm.len()).eq(named);
    if !begins || blob.len() <= 4 + algorithm.len() {
        return value.wrong(format!("is no key of the kind `{algorithm}`"), HOST_KEY_REMEDY);
    }
    Some(HostKey { algorithm: algorithm.to_owned(), blob })
}

fn folder(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let plain = text.strip_suffix('/').unwrap_or(text);
    let is_plain =
        plain.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|name| !matches!(name, "" | "." | "..")))
            && !plain.contains(['%', ';', '\\']);
    if is_plain { Some(plain.to_owned()) } else { value.wrong(format!("`{text}` is no folder"), FOLDER_REMEDY) }
}

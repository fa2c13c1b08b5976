//! What goes with a release: what the program is made of, and checksums that are signed.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use tests::Folder;

use crate::judges::root;

fn script(words: &[&str]) -> (Option<i32>, String) {
    let (path, words) = words.split_first().unwrap();
    let output = Command::new(root().join("deploy/release").join(path)).args(words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn the_bill_of_materials_names_every_crate_that_is_built_in_and_no_other() {
    let write = || Command::new(root().join("deploy/release/sbom")).output().unwrap();
    let (written, again) = (write(), write());
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    assert!(written.stdout == again.stdout, "the same lock file gives the same text");
    let said = String::from_utf8(written.stdout).unwrap();
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&told["bomFormat"], &told["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = told["components"].as_array().unwrap();
    let named: BTreeSet<String> = components
        .iter()
        .map(|one| format!("{} v{}", one["name"].as_str().unwrap(), one["version"].as_str().unwrap()))
        .collect();
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "-p",
            "gateway",
            "-p",
            "prove",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    let crate_of = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let built: BTreeSet<String> =
        tree.lines().filter(|line| !line.is_empty()).map(crate_of).filter(|one| !one.starts_with("gateway ")).collect();
    for one in ["prove v", "@xterm/xterm v"] {
        assert!(named.iter().any(|name| name.starts_with(one)), "{one} is handed out too");
    }
    let missing: Vec<_> = built.difference(&named).collect();
    assert!(built.len() > 200 && missing.is_empty(), "{missing:?}");
    let tests_alone: Vec<_> =
        named.iter().filter(|name| name.starts_with("proptest ") || name.starts_with("divan ")).collect();
    assert!(tests_alone.is_empty(), "{tests_alone:?} are not built in");
    for one in components {
        assert!(one["licenses"][0]["expression"].is_string(), "{one}");
        assert!(
            one["hashes"][0]["content"].is_string() || root().join(one["name"].as_str().unwrap()).is_dir(),
            "{one}"
        );
    }
    let references: BTreeSet<&str> =
        told["dependencies"].as_array().unwrap().iter().map(|one| one["ref"].as_str().unwrap()).collect();
    assert_eq!(references.len(), components.len() + 1, "each says what it needs, the program too");
}

#[test]
fn a_release_is_believed_when_it_is_whole_and_signed_by_one_of_the_signers() {
    let folder = Folder::new();
    let release = folder.join("release");
    folder.write("release/sekimori", "the program");
    folder.write("release/sekimori.deb", "the package");
    let sums = Command::new("sha256sum").args(["sekimori", "sekimori.deb"]).current_dir(&release).output().unwrap();
    folder.write("release/SHA256SUMS", sums.stdout);
    let key = |name: &str| {
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(name)).status();
        assert!(made.unwrap().success());
        let public = std::fs::read_to_string(folder.join(&format!("{name}.pub"))).unwrap();
        folder.write(&format!("{name}.signers"), format!("releases@sekimori {public}"))
    };
    let (ours, theirs) = (key("ours"), key("theirs"));
    let release = release.to_str().unwrap();
    let check = |signers: &std::path::Path| script(&["sign", "--check", release, signers.to_str().unwrap()]);
    assert_eq!(check(&ours).0, Some(1), "nobody signed");
    let signed = script(&["sign", release, folder.join("ours").to_str().unwrap()]);
    assert_eq!(signed.0, Some(0), "{}", signed.1);
    assert_eq!(check(&ours), (Some(0), "whole, and signed\n".to_owned()));
    assert_eq!(check(&theirs).0, Some(1), "signed by somebody else");
    folder.write("release/added", "something else");
    assert_eq!(check(&ours).0, Some(1), "a file that nobody signed for");
    std::fs::remove_file(folder.join("release/added")).unwrap();
    folder.write("release/sekimori", "another program");
    let (code, said) = check(&ours);
    assert!(code == Some(1) && said.contains("sekimori"), "{said}");
}

#[test]
fn a_release_that_brings_its_own_signers_is_not_believed() {
    let folder = Folder::new();
    let key = |name: &str| {
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(name)).status();
        assert!(made.unwrap().success());
        format!("releases@sekimori {}", std::fs::read_to_string(folder.join(&format!("{name}.pub"))).unwrap())
    };
    folder.write("signers", key("ours"));
    let sign = |by: &str, names: &[&str]| {
        let sums = Command::new("sha256sum").args(names).current_dir(folder.join("dl")).output().unwrap();
        folder.write("dl/SHA256SUMS", sums.stdout);
        let signed = script(&["sign", folder.join("dl").to_str().unwrap(), folder.join(by).to_str().unwrap()]);
        assert_eq!(signed.0, Some(0), "{}", signed.1);
    };
    // As install.md writes it: both by relative names.
    let check = |signers: &str| {
        let program = root().join("deploy/release/sign");
        let told = Command::new(program).args(["--check", "dl", signers]).current_dir(folder.path()).output().unwrap();
        (told.status.code(), String::from_utf8_lossy(&told.stderr).into_owned())
    };
    folder.write("dl/sekimori", "the program");
    sign("ours", &["sekimori"]);
    assert_eq!(check("signers"), (Some(0), String::new()));
    for extra in [".hidden", "sekimor.", "folder/inside"] {
        folder.write(&format!("dl/{extra}"), "something else");
        assert_eq!(check("signers"), (Some(1), format!("{extra} is not in SHA256SUMS\n")));
        std::fs::remove_file(folder.join("dl").join(extra)).unwrap();
    }
    folder.write("dl/signers", key("theirs"));
    sign("theirs", &["sekimori", "signers"]);
    assert_eq!(check("signers").0, Some(1), "the signers beside the release count, not those in it");
    let (code, said) = check("dl/signers");
    assert!(code == Some(1) && said.contains("in the release itself"), "{said}");
}

//! What is installed: the Debian package in a clean Debian of its own, its unit, the container image. They are built from
//! the programs of these tests: a release build would only make them smaller.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{Folder, sekimori};

use crate::judges::root;

/// Runs a script of the deployment; what it said.
fn script(path: &str, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(root().join(path)).args(words).env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

fn package(folder: &Folder, revision: &str) -> PathBuf {
    let programs = sekimori().parent().unwrap().display().to_string();
    let out = folder.path().display().to_string();
    let words = ["--out", &out, "--programs", &programs, "--revision", revision, "--fast"];
    let (code, said) = script("deploy/debian/build", &words);
    assert_eq!(code, Some(0), "{said}");
    PathBuf::from(said.trim())
}

#[test]
fn the_package_is_installed_upgraded_removed_and_purged_in_a_clean_debian_and_keeps_what_people_wrote() {
    let folder = Folder::new();
    let (old, new) = (package(&folder, "1"), package(&folder, "2"));
    let (code, said) = script("deploy/debian/try", &[old.to_str().unwrap(), new.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let held: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("held: ")).collect();
    assert_eq!(held.len(), 8, "{said}");
    for word in ["installed: user", "served as its user", "upgraded", "removed", "purged: records", "nothing is left"] {
        assert!(held.iter().any(|line| line.contains(word)), "{word}: {said}");
    }
}

#[test]
fn the_same_programs_give_the_same_package_byte_for_byte() {
    let (here, there) = (Folder::new(), Folder::new());
    let read = |path: PathBuf| std::fs::read(path).unwrap();
    assert!(read(package(&here, "1")) == read(package(&there, "1")));
}

#[test]
fn the_service_is_hardened_to_below_two() {
    let unit = root().join("deploy/sekimori.service");
    let told = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&unit)
        .output()
        .expect("systemd-analyze is there");
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success(), "an exposure of 2.0 or more: {said}");
    // Its words are known to systemd. The program is not installed here, and is named by where it lies.
    let folder = Folder::new();
    let shipped = std::fs::read_to_string(unit).unwrap();
    assert_eq!(shipped.matches("ExecStart=sekimori serve --config ").count(), 1);
    let text = shipped.replace("ExecStart=sekimori ", &format!("ExecStart={} ", sekimori().display()));
    let here = folder.write("sekimori.service", text);
    let told = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(here).output().unwrap();
    let said = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success() && !said.contains("sekimori.service:"), "{said}");
}

#[test]
fn the_image_is_one_layer_run_by_nobody_and_works_on_a_root_that_cannot_be_written() {
    let folder = Folder::new();
    let out = folder.path().to_str().unwrap();
    let (code, said) = script("deploy/container/build", &[out, sekimori().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = script("deploy/container/look", &[folder.join("image").to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("user: 65532:65532\nruns: /usr/bin/sekimori serve --config "), "{said}");
    assert!(said.contains("layer 1: ") && !said.contains("layer 2: "), "{said}");
    assert!(said.contains("drwx------ 65532:65532 /var/lib/sekimori\n"), "{said}");
    let root = unpacked(&folder);
    let told = in_image(&root, "sekimori init clinic --dir /var/lib/sekimori/new && echo it-runs");
    assert!(told.contains("it-runs"), "{told}");
    let told = in_image(&root, "sekimori init clinic --dir /etc/sekimori || echo refused");
    assert!(told.contains("refused") && told.contains("Read-only file system"), "{told}");
}

/// The image's only layer, with the owners that it has for whoever runs it.
fn unpacked(folder: &Folder) -> PathBuf {
    let image = folder.join("image");
    let read = |path: PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let blob = |digest: &Value| image.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    let manifest = read(blob(&read(image.join("index.json"))["manifests"][0]["digest"]));
    let root = folder.join("unpacked");
    std::fs::create_dir(&root).unwrap();
    let layer = blob(&manifest["layers"][0]["digest"]);
    let unpack = Command::new("tar").args(["-xpz", "--same-owner", "-C"]).arg(&root).arg("-f").arg(layer).status();
    assert!(unpack.unwrap().success());
    root
}

/// Runs the image's program as its user on its root, which is read-only but for the state, whose owner is the image's.
/// There is no shell in it: the words are those of this machine's, and only `sekimori` runs inside.
fn in_image(rootfs: &Path, words: &str) -> String {
    let inside = words.replace("sekimori init", "chroot --userspec=65532:65532 \"$ROOT\" /usr/bin/sekimori init");
    let script = format!(
        "mount --make-rprivate / && mount --bind \"$ROOT\" \"$ROOT\" && state=\"$ROOT/var/lib/sekimori\" && \
         mount --bind \"$state\" \"$state\" && mount -o remount,bind,ro \"$ROOT\" && {{ {inside}; }}"
    );
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &script]).env("ROOT", rootfs).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn an_image_that_nobody_should_run_is_refused() {
    let folder = Folder::new();
    let out = folder.path().to_str().unwrap();
    let (code, said) = script("deploy/container/build", &[out, sekimori().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let image = folder.join("image");
    let read = |path: PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let blob = |digest: &Value| image.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    let index = read(image.join("index.json"));
    let manifest = read(blob(&index["manifests"][0]["digest"]));
    let place = blob(&manifest["config"]["digest"]);
    let mut settings = read(place.clone());
    settings["config"]["User"] = "root".into();
    std::fs::write(place, settings.to_string()).unwrap();
    let (code, said) = script("deploy/container/look", &[image.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("does not run as nobody"), "{said}");
}

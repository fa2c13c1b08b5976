//! The picture of the house against the manifests: which crate may know which, who may touch other people's crates,
//! and what may not be in the program at all. An arrow that is not drawn here is an architecture change and needs a
//! decision record.

mod manifest;

use std::collections::BTreeSet;
use std::process::Command;

use manifest::{Manifest, root};

/// Every arrow between our crates.
const ARROWS: [(&str, &[&str]); 13] = [
    ("policy", &[]),
    ("config", &["policy"]),
    ("certs", &["policy", "config"]),
    ("store", &["policy", "config"]),
    ("audit", &["policy", "config"]),
    ("backup", &["policy", "audit"]),
    ("find", &["policy", "audit"]),
    ("patient", &["policy"]),
    ("evidence", &["policy", "config", "audit"]),
    ("identity", &["policy", "config", "store"]),
    ("web", &["policy", "config", "store", "audit", "find", "patient", "evidence", "identity"]),
    (
        "gateway",
        &["policy", "config", "certs", "store", "audit", "backup", "find", "patient", "evidence", "identity", "web"],
    ),
    ("prove", &["policy", "config"]),
];

/// Crates of others that only some of ours may name, and those that may. Tests may name anything.
const FENCES: [(&str, &[&str]); 23] = [
    ("hyper", &["gateway"]),
    ("hyper-util", &["gateway"]),
    ("governor", &["gateway"]),
    ("tokio-rustls", &["gateway"]),
    ("socket2", &["gateway"]),
    ("russh", &["gateway"]),
    ("instant-acme", &["gateway"]),
    ("clap", &["gateway", "prove"]),
    ("rustls", &["certs", "gateway", "audit"]),
    ("zstd", &["audit"]),
    ("vt100", &["audit"]),
    ("rtime-clock", &["audit"]),
    ("openidconnect", &["identity"]),
    ("webauthn-rs", &["identity"]),
    ("cedar-policy", &["policy", "prove"]),
    ("cedar-policy-symcc", &["prove"]),
    ("rusqlite", &["store", "audit"]),
    ("tokio-postgres", &["store"]),
    ("quick-xml", &["patient"]),
    ("flate2", &["patient"]),
    ("regex", &["policy"]),
    ("askama", &["web"]),
    ("tokio", &["store", "audit", "identity", "web", "gateway", "prove"]),
];

/// Never in the program: a second TLS stack, a second crypto provider, a second HTTP client.
const BANNED: [&str; 4] = ["ring", "openssl-sys", "native-tls", "reqwest"];

#[test]
fn no_crate_names_another_that_the_picture_does_not_give_it() {
    for (name, allowed) in ARROWS {
        let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
        let named = Manifest::read(name).dependencies();
        let strays: Vec<_> =
            named.iter().filter(|one| ours.contains(one.as_str()) && !allowed.contains(&one.as_str())).collect();
        assert!(strays.is_empty(), "{name} may know {allowed:?}, and names {strays:?} too");
    }
}

#[test]
fn the_picture_in_the_architecture_page_is_the_one_that_is_held() {
    // Policy has none, and config's one stands at the head of the picture: `policy <- config <- certs`.
    for (name, arrows) in ARROWS.iter().skip(2) {
        let drawn = picture(name);
        // All but itself and prove.
        let all = drawn == ["all but prove"] && arrows.len() + 2 == ARROWS.len();
        assert!(all || drawn == *arrows, "{name} -> {arrows:?} is held, {drawn:?} is drawn in ARCHITECTURE.md");
    }
}

/// What ARCHITECTURE.md draws after `NAME ->`: each line of the picture has arrows in columns, two spaces apart.
fn picture(name: &str) -> Vec<String> {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page is there");
    let mut found = Vec::new();
    for line in page.lines() {
        let Some((before, after)) = line.split_once("->") else { continue };
        let mut arrows = vec![(before, after)];
        if let Some((own, next)) = after.split_once("->") {
            let (targets, next_name) = own.rsplit_once("  ").unwrap_or((own, ""));
            arrows = vec![(before, targets), (next_name, next)];
        }
        let ours = arrows.into_iter().filter(|(before, _)| before.split_whitespace().last() == Some(name));
        found.extend(ours.map(|(_, targets)| targets.trim().to_owned()));
    }
    let first =
        found.first().expect("ARCHITECTURE.md draws every crate's arrows").split("  ").next().unwrap_or_default();
    first.split(", ").map(|one| one.trim().to_owned()).collect()
}

#[test]
fn every_crate_of_the_workspace_is_in_the_picture() {
    let drawn: BTreeSet<String> = ARROWS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .chain(["tests".to_owned(), "tests/bench".to_owned()])
        .collect();
    assert_eq!(Manifest::read(".").members(), drawn);
}

#[test]
fn nobody_reaches_over_a_fence() {
    for (foreign, allowed) in FENCES {
        for (name, _) in ARROWS {
            let names_it = Manifest::read(name).dependencies().contains(foreign);
            assert!(!names_it || allowed.contains(&name), "{foreign} is fenced to {allowed:?}, and {name} names it");
        }
    }
}

#[test]
fn no_crate_takes_a_version_or_a_lint_of_its_own() {
    for (name, _) in ARROWS {
        let manifest = Manifest::read(name);
        assert!(manifest.inherits_lints(), "{name}/Cargo.toml: `[lints] workspace = true` is missing");
        let own = manifest.versions_of_its_own();
        assert!(own.is_empty(), "{name}/Cargo.toml: {own:?} belong in the workspace's list");
    }
}

#[test]
fn the_program_has_one_tls_stack_one_crypto_provider_and_one_http_stack() {
    for banned in BANNED {
        let tree = tree("gateway", &["--invert", banned]);
        assert!(tree.is_empty(), "{banned} came in:\n{tree}");
    }
    assert!(tree("gateway", &["--invert", "aws-lc-rs"]).contains("gateway"), "the question itself works");
}

#[test]
fn the_pure_crates_do_no_input_or_output() {
    for name in ["policy", "config", "patient"] {
        assert!(!tree(name, &[]).contains("tokio v"), "{name} reaches tokio");
    }
    for (file, text) in manifest::sources("policy") {
        for word in ["std::fs", "std::net::Tcp", "std::process", "std::env", "SystemTime::now", "Instant::now"] {
            assert!(!text.contains(word), "{file}: policy is pure, and {word} is not");
        }
    }
}

/// What a package is built from, by `cargo tree`; empty where the crate asked for is not in it.
fn tree(package: &str, question: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--package", package])
        .args(question)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    let absent = complaint.contains("did not match any packages") || complaint.contains("nothing to print");
    assert!(output.status.success() || absent, "cargo tree: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

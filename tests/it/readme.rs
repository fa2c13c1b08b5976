//! What the README tells a newcomer to type does what it says, in both languages.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tests::{Folder, run, sekimori};

/// The demo, started as the README says, but on ports of this test's own.
pub struct Demo {
    process: Child,
    folder: Folder,
    port: u16,
}

impl Demo {
    pub fn start() -> Self {
        let folder = Folder::new();
        let port = 20_000 + u16::try_from(std::process::id() % 2_000).unwrap() * 5;
        let mut process = Command::new(sekimori())
            .args(["demo", "--port", &port.to_string()])
            .env("TMPDIR", folder.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let is_open = said.by_ref().any(|line| line.unwrap().contains("Ctrl-C"));
        assert!(is_open, "the demo says what to try");
        Self { process, folder, port }
    }

    /// The port of one of its parts: 0 is the gateway, 3 the FHIR server, 4 the receipt computer.
    pub fn port(&self, part: u16) -> u16 {
        self.port + part
    }

    /// The state directory of its gateway.
    pub fn state(&self) -> PathBuf {
        let mut inside = std::fs::read_dir(self.folder.path()).unwrap();
        inside.next().unwrap().unwrap().path().join("state")
    }

    /// Runs a line of the README in a shell, with the demo's ports and this build's program.
    pub fn type_in(&self, line: &str) -> String {
        let line = line
            .replace(":8443", &format!(":{}", self.port))
            .replace(":8480", &format!(":{}", self.port + 2))
            .replace("target/release/sekimori", &sekimori().display().to_string());
        let before = "D=\"${TMPDIR:-/tmp}/sekimori-demo-$(id -u)\"; ";
        let output = Command::new("bash")
            .args(["-c", &format!("{before}{line}")])
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{line}\n{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// One numbered thing to try.
struct Try {
    lines: Vec<String>,
    expected: String,
}

fn readme(name: &str) -> String {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// The fenced block that holds a word.
fn block(text: &str, word: &str) -> String {
    let blocks = text.split("\n```").skip(1).step_by(2);
    let found = blocks.map(|block| block.split_once('\n').unwrap_or_default().1).find(|block| block.contains(word));
    found.unwrap_or_else(|| panic!("no block holds {word}")).to_owned()
}

fn tries(text: &str) -> Vec<Try> {
    let block = block(text, "ward-tablet-1.pem");
    let mut tries: Vec<Try> = Vec::new();
    for line in block.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let expected = comment.split_once("-> ").map_or("", |(_, after)| after).to_owned();
            tries.push(Try { lines: Vec::new(), expected });
        } else if !line.is_empty()
            && let Some(last) = tries.last_mut()
        {
            last.lines.push(line.to_owned());
        }
    }
    tries
}

#[test]
fn the_demo_does_what_the_readme_says() {
    let demo = Demo::start();
    let tries = tries(&readme("README.md"));
    assert_eq!(tries.len(), 7, "the README's tries");
    for one in &tries {
        let mut said = String::new();
        for line in &one.lines {
            said = demo.type_in(line);
        }
        let mut words = one.expected.split([' ', ',']);
        if let Some(status) = words.next().filter(|word| word.parse::<u16>().is_ok()) {
            assert!(said.lines().next().unwrap().contains(status), "{}: {said}", one.expected);
        }
        for named in ["rule ", "reason "] {
            if let Some((_, word)) = one.expected.split_once(named) {
                assert!(said.contains(word), "{}: {said}", one.expected);
            }
        }
    }
    let tail = demo.type_in(&tries[6].lines[0]);
    for word in ["nurse-never-deletes", "device-required", "ward-tablet-1", "00012345"] {
        assert!(tail.contains(word), "{word}: {tail}");
    }
}

#[test]
fn both_readmes_tell_the_same_lines() {
    let lines = |name: &str| -> Vec<String> { tries(&readme(name)).into_iter().flat_map(|one| one.lines).collect() };
    assert_eq!(lines("README.md"), lines("README.ja.md"));
    let toml = |name: &str| block(&readme(name), "[[provider]]");
    assert_eq!(toml("README.md"), toml("README.ja.md"));
}

#[test]
fn the_first_real_app_of_the_readme_has_no_mistake_but_certificates_to_be_put_there() {
    let folder = Folder::new();
    let text = block(&readme("README.md"), "[[provider]]");
    assert!(text.lines().count() <= 20, "twenty lines");
    folder.write("sekimori.toml", &text);
    let told = run(folder.path(), &["check"]);
    let said = told.out + &told.err;
    let mistakes: Vec<&str> = said.lines().filter(|line| line.starts_with("sekimori.toml:")).collect();
    assert!(mistakes.iter().all(|line| line.contains("certificate")), "{said}");
    assert_eq!(mistakes.len(), 2, "chain and key: {said}");
}

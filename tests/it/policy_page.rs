//! What the page about the policy tells one to type does what it says, in both languages: every command of it is run in
//! the example's folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tests::{Folder, eventually, sekimori};

/// What the page tells one to type first, to have the program.
const BEFORE: [&str; 3] = ["cargo build", "export PATH", "cd deploy/hospital"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The commands of a page in their order, without their comments.
fn commands(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docs").join(page)).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned());
    let lines: Vec<String> = blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let plain = lines.iter().map(|line| line.split(" # ").next().unwrap().trim().to_owned());
    plain.filter(|line| !line.is_empty() && !BEFORE.iter().any(|before| line.starts_with(before))).collect()
}

/// The example in a folder of its own, on ports of this test's own.
fn example(folder: &Folder) {
    let from = root().join("deploy/hospital");
    for name in ["certificate", "holidays.txt", "policy.statements.toml", "policy.tests.toml", "vendors.cedar"] {
        std::fs::copy(from.join(name), folder.join(name)).unwrap();
    }
    let port = 30_000 + u16::try_from(std::process::id() % 5_000).unwrap() * 3;
    let text = std::fs::read_to_string(from.join("sekimori.toml")).unwrap();
    let text = text.replace("127.0.0.1:8443", &format!("127.0.0.1:{port}"));
    let text = text.replace("127.0.0.1:9443", &format!("127.0.0.1:{}", port + 1));
    // The operations listener has a port of its own by default, which another test may hold.
    folder.write("sekimori.toml", format!("{text}\n[operations]\naddress = \"127.0.0.1:{}\"\n", port + 2));
}

fn bash(folder: &Folder, line: &str) -> Command {
    let programs = sekimori().parent().unwrap().display().to_string();
    let mut command = Command::new("bash");
    command
        .args(["-c", line])
        .current_dir(folder.path())
        .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()))
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

/// The exit code that the page promises.
fn expected(line: &str) -> i32 {
    let says_no = line.starts_with("sekimori policy explain") || line.contains("prove --config proposed.toml");
    i32::from(says_no)
}

fn type_in(folder: &Folder, line: &str) -> String {
    let output = bash(folder, line).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(expected(line)), "{line}\n{said}{told}");
    said + &told
}

/// A gateway that serves the example, as the page says to start in another terminal.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

async fn serve(folder: &Folder) -> Serving {
    let log = std::fs::File::create(folder.join("gateway.log")).unwrap();
    let serving = Serving(
        Command::new(sekimori())
            .args(["serve", "--config", "sekimori.toml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    eventually("the first version", async || {
        let told = bash(folder, "sekimori policy history --format json").output().unwrap();
        String::from_utf8_lossy(&told.stdout).contains("in-force").then_some(())
    })
    .await;
    serving
}

#[test]
fn both_pages_tell_the_same_commands() {
    let without_words = |page: &str| -> Vec<String> {
        let reason = |line: String| match line.split_once("--why \"") {
            Some((before, after)) => format!("{before}{}", after.split_once('"').map_or("", |(_, rest)| rest)),
            None => line,
        };
        commands(page).into_iter().map(reason).collect()
    };
    let english = without_words("policy.md");
    assert_eq!(english, without_words("policy.ja.md"));
    assert!(english.len() >= 18, "{english:?}");
}

#[tokio::test]
async fn every_command_of_the_page_does_what_it_says() {
    let folder = Folder::new();
    example(&folder);
    let mut serving = None;
    let mut told = String::new();
    for line in commands("policy.md") {
        if line.contains("policy activate") {
            serving = Some(serve(&folder).await);
        }
        told.push_str(&type_in(&folder, &line));
        for (command, words) in [
            ("policy sample", "accesses that nobody made"),
            ("policy replay proposed.toml --dir sample", ""),
            ("policy activate", "would be answered otherwise"),
            ("policy history 2", "clerks-book"),
            ("policy back", "in force"),
        ] {
            assert!(!line.contains(command) || told.contains(words), "{line}: {told}");
        }
    }
    assert!(serving.is_some() && told.contains("Would change: ") && !told.contains("Would change: 0\n"), "{told}");
    let page = std::fs::read_to_string(folder.join("replay.html")).unwrap();
    assert!(page.contains("clerks-book"), "{page}");
}

#[test]
fn the_same_seed_makes_up_the_same_log_and_it_is_a_log_like_any_other() {
    let folder = Folder::new();
    example(&folder);
    type_in(&folder, "./certificate");
    for (name, seed) in [("one", 7), ("two", 7), ("three", 8)] {
        type_in(&folder, &format!("sekimori policy sample --output {name} --accesses 100 --seed {seed}"));
    }
    type_in(&folder, "sekimori audit verify --dir one");
    let paths = |name: &str| -> Vec<String> {
        let exported = type_in(&folder, &format!("sekimori audit export --format jsonl --dir {name}"));
        let lines = exported.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter(|line| line["ev"] == "open").map(|line| line["path"].to_string()).collect()
    };
    assert!(!paths("one").is_empty());
    assert_eq!(paths("one"), paths("two"));
    assert_ne!(paths("one"), paths("three"));
    let there = bash(&folder, "sekimori policy sample --output one").output().unwrap();
    assert_eq!(there.status.code(), Some(64), "what is there stays");
}

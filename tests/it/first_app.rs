//! The page that leads from an empty machine to a first protected app: its commands are typed as they stand, in both
//! languages, but for what only the machine's own administrator may do.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use tests::{Folder, Loopback, Upstream, eventually, sekimori};

use crate::judges::root;

fn commands(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docs/operate").join(page)).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned());
    blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Not the usual ones, which only root may bind.
const PORT: u16 = 8443;
const OPERATIONS_PORT: u16 = 9464;

/// A machine in a folder: its `/etc/sekimori` and `/var/lib/sekimori`, its own address and its own app.
struct Machine {
    folder: Folder,
    app: Upstream,
    place: Loopback,
    serving: Option<Child>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(serving) = &mut self.serving {
            serving.kill().ok();
            serving.wait().ok();
        }
    }
}

impl Machine {
    fn new() -> Self {
        let folder = Folder::new();
        for name in ["etc", "var"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        Self { folder, app: Upstream::http1(), place: Loopback::take(), serving: None }
    }

    fn here(&self, line: &str) -> String {
        let place = |name: &str| self.folder.join(name).display().to_string();
        line.replace("sudo -u sekimori ", "")
            .replace("|http://192.168.10.20:8080|'", &format!("|http://{}|'", self.app.address()))
            .replace("/etc/sekimori", &place("etc"))
            .replace("/var/lib/sekimori", &place("var"))
            .replace("127.0.0.1:9464", &self.place.port(OPERATIONS_PORT).to_string())
    }

    fn bash(&self, line: &str, at: &Path) -> Output {
        let programs = sekimori().parent().unwrap().display().to_string();
        Command::new("bash")
            .args(["-c", line])
            .current_dir(at)
            .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Types a page's commands; gives what was said after each.
    async fn follow(&mut self, page: &str) -> Vec<(String, String)> {
        let mut said = Vec::new();
        for line in commands(page) {
            if line.starts_with("sudo apt install") {
                continue;
            }
            // Who types has no right in the service's folders: only what is run as the service gets there.
            assert!(!line.starts_with("cd "), "{line}: the service's folders are closed to whoever types");
            let closed = line.contains("/etc/sekimori") || line.contains("/var/lib/sekimori");
            assert!(!closed || line.starts_with("sudo "), "{line}: only the service may");
            if line.starts_with("sudo systemctl enable --now") {
                self.start().await;
                continue;
            }
            // From a folder in which nothing may be written, as the service finds the typing person's own.
            let output = self.bash(&self.here(&line), Path::new("/proc"));
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            // `doctor` finds that nobody lets it see the apps' firewall; it says so with 1.
            let may_say_no = line.contains(" doctor ");
            assert!(output.status.success() || may_say_no && output.status.code() == Some(1), "{line}\n{text}");
            said.push((line, text));
        }
        said
    }

    async fn start(&mut self) {
        let file = self.folder.join("etc/sekimori.toml");
        let own = self.place.port(PORT).to_string();
        let text = std::fs::read_to_string(&file).unwrap().replace("0.0.0.0:443", &own);
        let text = format!("{text}\n[operations]\naddress = \"{}\"\n", self.place.port(OPERATIONS_PORT));
        std::fs::write(&file, text).unwrap();
        let log = std::fs::File::create(self.folder.join("gateway.log")).unwrap();
        let serving = Command::new(sekimori())
            .args(["serve", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.serving = Some(serving);
        let ready = self.here("curl -sf http://127.0.0.1:9464/readyz");
        eventually("the gateway is ready", async || {
            self.bash(&ready, self.folder.path()).status.success().then_some(())
        })
        .await;
    }

    /// The status of a request for the app, from this device or from none.
    fn ask_app(&self, device: &str) -> String {
        let host = "emr.sakura-clinic.example.jp";
        let line = format!(
            "curl -s -o /dev/null -w '%{{http_code}}' --cacert etc/tls/ca.pem {device} --resolve {host}:{PORT}:{} https://{host}:{PORT}/",
            self.place.ip()
        );
        String::from_utf8(self.bash(&line, self.folder.path()).stdout).unwrap()
    }
}

async fn leads_to_a_protected_app(page: &str) {
    let begin = Instant::now();
    let mut machine = Machine::new();
    let said = machine.follow(page).await;
    let after =
        |words: &str| &said.iter().find(|(line, _)| line.contains(words)).unwrap_or_else(|| panic!("{words}")).1;
    assert!(after("init clinic").contains("LOGIN_HOST/enrol"), "{}", after("init clinic"));
    assert_eq!(after("readyz"), "ready\n");
    assert!(after("user invite").contains("https://login.sakura-clinic.example.jp/"), "{}", after("user invite"));
    assert!(machine.folder.join("var/admin-pc.p12").exists() && machine.folder.join("var/exam-1.p12").exists());
    assert_eq!(machine.ask_app(""), "401", "nobody reaches it unasked");
    assert!(machine.app.seen().is_empty());
    eprintln!("{page}: its commands took {:?}", begin.elapsed());
}

#[tokio::test]
async fn the_page_leads_from_an_empty_machine_to_a_protected_app() {
    leads_to_a_protected_app("first-app.md").await;
}

#[tokio::test]
async fn the_japanese_page_leads_there_by_the_same_commands() {
    assert_eq!(commands("first-app.ja.md"), commands("first-app.md"));
    leads_to_a_protected_app("first-app.ja.md").await;
}

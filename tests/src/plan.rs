//! A hospital to be: `sekimori.toml` in the making. Begins with an ordinary one and takes what a test adds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::hospital::{PORT, host_name};

/// Roles and rules of the ordinary hospital: nurses read from known devices, doctors read and write from them, clerks
/// see the reception from anywhere, nobody deletes what is in the archive.
const ORDINARY: &str = r#"
[roles]
nurse = { ja = "看護師", en = "Nurse" }
doctor = { ja = "医師", en = "Doctor" }
clerk = { ja = "事務", en = "Clerk" }
pharmacist = { ja = "薬剤師", en = "Pharmacist" }
vendor = { ja = "保守業者", en = "Vendor" }
administrator = { ja = "管理者", en = "Administrator" }
help-desk = { ja = "ヘルプデスク", en = "Help desk" }
auditor = { ja = "監査人", en = "Auditor" }

[[rule]]
id = "nurses-read"
effect = "permit"
roles = ["nurse"]
apps = "all"
actions = ["read", "connect"]
devices = "known"

[[rule]]
id = "doctors-treat"
effect = "permit"
roles = ["doctor"]
apps = "all"
actions = ["read", "write", "connect"]
devices = "known"

[[rule]]
id = "clerks-receive"
effect = "permit"
roles = ["clerk"]
apps = "all"
actions = ["read"]
paths = ["/reception/*"]
devices = "any"

[[rule]]
id = "archive-is-kept"
effect = "forbid"
roles = ["doctor"]
apps = "all"
actions = ["delete"]
paths = ["/archive/*"]
devices = "any"
"#;

/// What the gateway will be configured to be.
#[derive(Clone, Debug)]
pub struct Plan {
    sections: BTreeMap<&'static str, Vec<String>>,
    blocks: Vec<String>,
    rules: String,
    is_balanced: bool,
}

impl Plan {
    /// The ordinary hospital, without an app.
    #[must_use]
    pub fn new() -> Self {
        let plan =
            Self { sections: BTreeMap::new(), blocks: Vec::new(), rules: ORDINARY.to_owned(), is_balanced: false };
        plan.set("facility", "name = \"試験病院\"")
            .set("gateway", "state_dir = \"state\"")
            .set("gateway", &format!("public_port = {PORT}"))
            .set("gateway", &format!("login_host = \"{}\"", host_name("login")))
            .set("gateway", &format!("portal_host = \"{}\"", host_name("portal")))
            .set("gateway", "workers = 2")
            .set("audit", "free_min = \"1MiB\"")
            .set("limits", "requests_per_second_address = 100000")
            .set("limits", "requests_per_second_account = 100000")
            .set("limits", "sign_ins_per_minute_address = 10000")
    }

    /// The ordinary hospital with the app `emr` in front of this server.
    #[must_use]
    pub fn with_emr(server: SocketAddr) -> Self {
        Self::new().app("emr", server, "")
    }

    /// Adds a line to a section, such as `limits`. A later line of the same key takes the place of the former.
    #[must_use]
    pub fn set(mut self, section: &'static str, line: &str) -> Self {
        let key = line.split('=').next().unwrap_or_default().trim().to_owned();
        let lines = self.sections.entry(section).or_default();
        lines.retain(|one| one.split('=').next().unwrap_or_default().trim() != key);
        lines.push(line.to_owned());
        self
    }

    /// Adds an app with a server behind it, reached plainly. `more` are further lines of its table.
    #[must_use]
    pub fn app(self, id: &str, server: SocketAddr, more: &str) -> Self {
        self.app_at(id, &[format!("http://{server}")], more)
    }

    /// Adds an app with these servers behind it.
    #[must_use]
    pub fn app_at(self, id: &str, servers: &[String], more: &str) -> Self {
        let host = host_name(id);
        self.block(&format!(
            "[[app]]\nid = \"{id}\"\nname = \"{id}\"\nhost = \"{host}\"\nupstreams = {servers:?}\n{more}"
        ))
    }

    /// Adds a TCP app in front of this port.
    #[must_use]
    pub fn tcp(self, id: &str, port: SocketAddr, protocol: &str) -> Self {
        let host = host_name(id);
        self.block(&format!(
            "[[app]]\nid = \"{id}\"\nname = \"{id}\"\nkind = \"tcp\"\nhost = \"{host}\"\nupstream = \"{port}\"\nprotocol = \"{protocol}\""
        ))
    }

    /// With a directory of its own: people who sign in by a key, and by no provider.
    #[must_use]
    pub fn with_directory(self) -> Self {
        self.set("directory", "local = true")
    }

    /// With a console beside the directory.
    #[must_use]
    pub fn with_console(self) -> Self {
        self.with_directory()
            .set("gateway", &format!("console_host = \"{}\"", host_name("console")))
            .set("console", "administrators = [\"administrator\"]")
            .set("console", "help_desk = [\"help-desk\"]")
            .set("console", "auditors = [\"auditor\"]")
    }

    /// With a second listener, for a balancer of this machine that tells whom it connects for.
    #[must_use]
    pub fn behind_a_balancer(self) -> Self {
        Self { is_balanced: true, ..self }
    }

    pub(crate) fn is_balanced(&self) -> bool {
        self.is_balanced
    }

    /// Adds whole tables.
    #[must_use]
    pub fn block(mut self, toml: &str) -> Self {
        self.blocks.push(toml.to_owned());
        self
    }

    /// Takes other roles and rules than the ordinary ones.
    #[must_use]
    pub fn rules(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.rules);
        self
    }

    /// The whole file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (section, lines) in &self.sections {
            writeln!(text, "[{section}]\n{}\n", lines.join("\n")).expect("a string takes text");
        }
        for block in &self.blocks {
            writeln!(text, "{block}\n").expect("a string takes text");
        }
        text + &self.rules
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

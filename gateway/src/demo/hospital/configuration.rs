//! The demo's `sekimori.toml`: a whole configuration, written to be read.

use std::fmt::Write as _;

use super::super::emr;
use super::super::idp;
use super::super::patients::{FACILITY_CODE, NUMBER_SYSTEM};
use super::super::people::PEOPLE;
use super::{
    CLIENT_ID, CLIENT_SECRET_FILE, HostName, PROVIDER_ID, Ports, SERVER_CERTIFICATE_FILE, SERVER_KEY_FILE, STATE_FOLDER,
};

/// The rules of the demo. First who may read, then who may write, then what nobody in the role may ever do.
const RULES: &str = r#"
# 規則 / Rules. 許す規則がなければ拒否。forbid は permit に優先する。
# Without a rule that permits: refused. forbid wins over permit.
[[rule]]
id = "ward-reads-emr"
roles = ["nurse", "doctor"]
apps = ["emr"]
actions = ["read", "connect"]
devices = ["tablet", "ward-shared", "fixed"]
# 認証基盤が止まっている間も、読むことだけは続けられる。
# While the identity provider is out, reading goes on, and nothing else.
in_outage = true

[[rule]]
id = "nurse-writes-notes"
roles = ["nurse"]
apps = ["emr"]
actions = ["write"]
paths = ["/charts/*/notes", "/fhir/Observation", "/fhir/Observation/*"]
devices = ["tablet", "ward-shared", "fixed"]

[[rule]]
id = "nurse-never-deletes"
effect = "forbid"
roles = ["nurse"]
apps = ["emr"]
actions = ["delete"]

[[rule]]
id = "doctor-works-in-emr"
roles = ["doctor"]
apps = ["emr"]
actions = ["read", "write", "connect"]
devices = "known"

# 取り出しは read に含まれない。15分以内に本人確認をした医師だけ。
# Taking out is not covered by read: only doctors who proved themselves within fifteen minutes.
[[rule]]
id = "doctor-takes-out"
roles = ["doctor"]
apps = ["emr"]
actions = ["export"]
classes = ["chart", "lab-results"]
devices = "known"
assurance = "aal2"
authenticated_within = "15m"

[[rule]]
id = "vendor-maintains-orca"
roles = ["vendor"]
apps = ["orca"]
actions = ["read", "write"]
assurance = "aal2"

# 監査担当と管理者にはアプリを許す規則がない。管理画面は [console] の職種の、ポータルはサインインした全員のもの。
# Auditor and administrator: no rule gives them an app. The console is theirs by [console]; the portal is everyone's
# who is signed in.
"#;

/// The configuration of the demo on these ports.
#[must_use]
pub fn config_text(ports: &Ports) -> String {
    let mut text = head(ports);
    text.push_str(&provider(ports));
    text.push_str(&roles());
    text.push_str(&apps(ports));
    text.push_str(RULES);
    text
}

fn head(ports: &Ports) -> String {
    let (login, portal, console) = (HostName::Login.as_str(), HostName::Portal.as_str(), HostName::Console.as_str());
    format!(
        r#"# 関守デモ病院。`sekimori demo` が書いたもので、次の起動で書き直される。
# The Sekimori demo hospital. Written by `sekimori demo`, and written again when it starts next.

[facility]
name = "関守デモ病院"
code = "{FACILITY_CODE}"

[gateway]
state_dir = "{STATE_FOLDER}"
utc_offset = "+09:00"
public_port = {gateway}
login_host = "{login}"
portal_host = "{portal}"
console_host = "{console}"

# 認証基盤がなくても、関守だけが知る人がパスキーでサインインできる。
# People whom the gateway itself knows sign in by passkey, without any provider.
[directory]
local = true

# 記録に残す患者番号の書き方 / how patients' numbers are written in the record
[patients]
pad = 8
system = "{NUMBER_SYSTEM}"

# 管理画面を使える職種 / who may use the console
[console]
administrators = ["administrator"]
auditors = ["auditor"]

# 認証基盤が止まったら / when the identity provider is out
[outage]
after = "30s"
grace = "1m"

[[listener]]
name = "demo"
address = "127.0.0.1:{gateway}"
zone = "inside"
client_certificates = "optional"

[[certificate]]
certificate = "{SERVER_CERTIFICATE_FILE}"
key = "{SERVER_KEY_FILE}"

[audit]
origin = "{login}/demo"
free_min = "16MiB"

[operations]
address = "127.0.0.1:{operations}"
"#,
        gateway = ports.gateway,
        operations = ports.operations,
    )
}

fn provider(ports: &Ports) -> String {
    let mut text = format!(
        r#"
[[provider]]
id = "{PROVIDER_ID}"
name = {{ ja = "デモ認証基盤", en = "Demo identity provider" }}
issuer = "{issuer}"
client_id = "{CLIENT_ID}"
client_secret_file = "{CLIENT_SECRET_FILE}"
scopes = ["profile", "groups"]
roles_claim = "groups"

[provider.roles]
"#,
        issuer = idp::issuer(ports.idp),
    );
    for person in &PEOPLE {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\"{}\" = \"{}\"", person.group, person.role);
    }
    text.push_str("\n[provider.assurance]\nmfa = \"aal2\"\n");
    text
}

fn roles() -> String {
    let mut text = "\n[roles]\n".to_owned();
    for person in &PEOPLE {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} = {{ ja = \"{}\", en = \"{}\" }}", person.role, person.work_ja, person.work_en);
    }
    text
}

fn apps(ports: &Ports) -> String {
    format!(
        r#"
[[app]]
id = "emr"
name = {{ ja = "電子カルテ", en = "EMR" }}
host = "{emr_host}"
upstreams = ["http://127.0.0.1:{emr_port}"]
health_path = "{health}"
template = "fhir-r4"
body_max = "any"

[[app.route]]
paths = ["/charts/{{patient}}/**"]
class = "chart"

[[app]]
id = "orca"
name = {{ ja = "レセプト", en = "Receipts" }}
host = "{orca_host}"
upstreams = ["http://127.0.0.1:{orca_port}"]
template = "orca"
"#,
        emr_host = HostName::Emr.as_str(),
        emr_port = ports.emr,
        health = emr::HEALTH_PATH,
        orca_host = HostName::Orca.as_str(),
        orca_port = ports.orca,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_and_every_role_is_in_it() {
        let text = config_text(&Ports { gateway: 1443, operations: 1479, idp: 1480, emr: 1481, orca: 1482 });
        for part in [
            "public_port = 1443",
            "\"127.0.0.1:1443\"",
            "\"127.0.0.1:1479\"",
            "issuer = \"http://127.0.0.1:1480\"",
            "\"http://127.0.0.1:1481\"",
            "\"http://127.0.0.1:1482\"",
            "id = \"nurse-never-deletes\"\neffect = \"forbid\"",
        ] {
            assert!(text.contains(part), "{part}");
        }
        for person in &PEOPLE {
            assert!(text.contains(&format!("\"{}\" = \"{}\"", person.group, person.role)), "{}", person.role);
        }
    }

    #[test]
    fn nothing_in_it_is_reached_from_elsewhere() {
        let text = config_text(&Ports::default());
        assert_eq!(text.matches("127.0.0.1").count(), 5);
        assert!(!text.contains("0.0.0.0") && !text.contains("[::]"));
    }
}

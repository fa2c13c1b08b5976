//! What the terminal says once the hospital is open: where to look, what to try, and what should come back.

use std::path::Path;

use super::super::idp;
use super::super::people::{DEVICES, DemoDevice, LOCAL_PERSON, PEOPLE, STRAY_TABLET, Standing, WARD_TABLET};
use super::{CA_FILE, CONFIG_FILE, DEVICES_FOLDER, HostName, PKCS12_PASSWORD, PROVIDER_ID, Ports};

/// The language the terminal speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tongue {
    /// Japanese.
    Japanese,
    /// English.
    English,
}

impl Tongue {
    /// The language of a locale such as `ja_JP.UTF-8`; English for any that is not Japanese.
    #[must_use]
    pub fn of_locale(locale: &str) -> Self {
        if locale.starts_with("ja") { Self::Japanese } else { Self::English }
    }

    fn say<'a>(self, japanese: &'a str, english: &'a str) -> &'a str {
        match self {
            Self::Japanese => japanese,
            Self::English => english,
        }
    }
}

/// One thing to try: what it shows, the line to type, what comes back.
struct Try {
    what: String,
    lines: Vec<String>,
    expect: String,
}

/// What the terminal says. `folder` is where the demo's files are, as an absolute path; `program` is how this program
/// was called; `code` is that of the invitation for the person of the local directory.
#[must_use]
pub fn banner(ports: &Ports, folder: &Path, program: &str, code: &str, tongue: Tongue) -> String {
    let mut text = addresses(ports, tongue);
    text.push_str(&people(tongue));
    text.push_str(&invitation(ports, code, tongue));
    text.push_str(&devices(folder, tongue));
    let title = tongue.say(
        "試してみる（別の端末で。最初の1行は必須）",
        "Try it (in another terminal; the first line is needed by the rest)",
    );
    text.push_str(&format!("\n{title}\n\n  D={}\n", quoted(&folder.display().to_string())));
    for (number, one) in (1..).zip(tries(ports, program, tongue)) {
        text.push_str(&format!("\n  {number}. {}\n", one.what));
        for line in &one.lines {
            text.push_str(&format!("     {line}\n"));
        }
        text.push_str(&format!("     -> {}\n", one.expect));
    }
    let stop = tongue.say("止めるには Ctrl-C。", "Ctrl-C stops it.");
    text.push_str(&format!("\n{stop}\n"));
    text
}

fn addresses(ports: &Ports, tongue: Tongue) -> String {
    let row = |name: &str, address: &str| format!("  {address:<44} {name}\n");
    let mut text = format!("{}\n\n", tongue.say("関守デモ病院が開きました。", "The Sekimori demo hospital is open."));
    text.push_str(&row(tongue.say("ポータル", "portal"), &HostName::Portal.origin(ports)));
    text.push_str(&row(
        tongue.say("管理画面（管理者、監査担当）", "console (administrator, auditor)"),
        &HostName::Console.origin(ports),
    ));
    text.push_str(&row(tongue.say("電子カルテ", "EMR"), &HostName::Emr.origin(ports)));
    text.push_str(&row(tongue.say("レセプト計算機", "receipt computer"), &HostName::Orca.origin(ports)));
    text.push_str(&row(tongue.say("デモ認証基盤", "demo identity provider"), &idp::issuer(ports.idp)));
    text.push_str(&format!(
        "\n{}\n",
        tongue.say(
            "ブラウザでは専用のプロファイルを使い、そこで ca.pem を信頼し、端末の .p12 を取り込んでください。",
            "In a browser: use a profile of its own, trust ca.pem there, and import the .p12 of a device.",
        )
    ));
    text
}

fn people(tongue: Tongue) -> String {
    let mut text = format!("\n{}\n\n", tongue.say("人（パスワードなし）", "People (no passwords)"));
    for person in &PEOPLE {
        let (name, work) = (tongue.say(person.ja, person.en), tongue.say(person.work_ja, person.work_en));
        text.push_str(&format!("  {:<15} {name} ({work})\n", person.role));
    }
    text
}

/// How the person of the local directory gets a passkey.
fn invitation(ports: &Ports, code: &str, tongue: Tongue) -> String {
    let (name, login) = (tongue.say(LOCAL_PERSON.ja, LOCAL_PERSON.en), LOCAL_PERSON.login);
    let what = tongue.say(
        "認証基盤にいない人。次のリンク（1回限り）でパスキーを登録すると、それだけでサインインできます。",
        "Nobody the provider knows. This link (once) enrols a passkey, which alone signs them in.",
    );
    format!("\n{name} ({login}): {what}\n\n  {}/enrol#{code}\n", HostName::Login.origin(ports))
}

fn devices(folder: &Path, tongue: Tongue) -> String {
    let heading = tongue.say("端末（.p12 のパスワードは", "Devices (password of the .p12 files:");
    let closing = tongue.say("）", ")");
    let mut text = format!("\n{heading} {PKCS12_PASSWORD}{closing}\n\n");
    for device in &DEVICES {
        let standing = match device.standing {
            Standing::Enrolled => tongue.say("台帳にあり", "enrolled"),
            Standing::NotEnrolled => tongue.say("台帳になし", "not enrolled"),
        };
        let (what, file) = (tongue.say(device.ja, device.en), device.pkcs12_file(folder));
        text.push_str(&format!("  {:<18} {standing}: {what}\n  {:<18} {}\n", device.id, "", file.display()));
    }
    text
}

/// Somebody at a device, as `curl` plays them; the cookies are kept in a file of this name.
struct Visitor {
    role: &'static str,
    device: Option<&'static DemoDevice>,
    cookies: &'static str,
}

const NURSE: Visitor = Visitor { role: "nurse", device: Some(&WARD_TABLET), cookies: "nurse" };
const DOCTOR: Visitor = Visitor { role: "doctor", device: None, cookies: "doctor" };
const STRAY: Visitor = Visitor { role: "doctor", device: Some(&STRAY_TABLET), cookies: "stray" };

/// The beginning of every line.
fn curl(device: Option<&DemoDevice>) -> String {
    let certificate = device.map(|device| format!(" --cert \"$D/{DEVICES_FOLDER}/{}.pem\"", device.id));
    format!("curl -sS --cacert \"$D/{CA_FILE}\"{}", certificate.unwrap_or_default())
}

impl Visitor {
    /// Signs in at the provider, then at the EMR by that provider, and follows wherever it sends a browser: there and
    /// back.
    fn sign_in(&self, ports: &Ports) -> String {
        format!(
            "{} -L -o /dev/null -o /dev/null -c \"$D/{}.cookies\" -H 'accept: text/html' {}/as/{} '{}/.sekimori/sign-in?provider={PROVIDER_ID}'",
            curl(self.device),
            self.cookies,
            idp::issuer(ports.idp),
            self.role,
            HostName::Emr.origin(ports)
        )
    }

    /// Asks for something with the session that the sign-in left.
    fn ask(&self, rest: &str) -> String {
        format!("{} -i -b \"$D/{}.cookies\" {rest}", curl(self.device), self.cookies)
    }
}

fn tries(ports: &Ports, program: &str, tongue: Tongue) -> Vec<Try> {
    let emr = HostName::Emr.origin(ports);
    let patient = format!("{emr}/fhir/Patient/00012345");
    let config = format!("--config \"$D/{CONFIG_FILE}\"");
    let one = |what: (&str, &str), lines: Vec<String>, expect: (&str, &str)| Try {
        what: tongue.say(what.0, what.1).to_owned(),
        lines,
        expect: tongue.say(expect.0, expect.1).to_owned(),
    };
    vec![
        one(
            ("だれでもない人がブラウザで開く", "nobody, with a browser"),
            vec![format!("{} -i -H 'accept: text/html' {emr}/", curl(None))],
            ("302 サインインへ", "302, to the sign-in"),
        ),
        one(
            ("だれでもない人が API を呼ぶ", "nobody, with an API client"),
            vec![format!("{} -i -H 'accept: application/fhir+json' {patient}", curl(None))],
            ("401 と problem 文書", "401 with a problem document"),
        ),
        one(
            (
                "看護師が病棟のタブレットでサインインし、患者を読む",
                "a nurse signs in on the ward's tablet, reads a patient",
            ),
            vec![NURSE.sign_in(ports), NURSE.ask(&patient)],
            ("200 と Patient", "200 with the Patient"),
        ),
        one(
            ("同じ看護師が観察記録を消そうとする", "the same nurse tries to delete an observation"),
            vec![NURSE.ask(&format!("-X DELETE {emr}/fhir/Observation/hr-00012345"))],
            ("403 規則 nurse-never-deletes", "403 by the rule nurse-never-deletes"),
        ),
        one(
            ("医師が端末証明書なしで患者を読もうとする", "a doctor without a device certificate tries to read"),
            vec![DOCTOR.sign_in(ports), DOCTOR.ask(&patient)],
            ("403 理由 device-required", "403 for the reason device-required"),
        ),
        one(
            ("医師が台帳にない端末で患者を読もうとする", "a doctor on a device that nobody enrolled tries to read"),
            vec![STRAY.sign_in(ports), STRAY.ask(&patient)],
            ("403 理由 device-required", "403 for the reason device-required"),
        ),
        one(
            (
                "ここまでの記録を見て、改ざんがないことを確かめる",
                "what was recorded of all this, and that nobody changed it",
            ),
            vec![format!("{program} audit tail --lines 60 {config}"), format!("{program} audit verify {config}")],
            ("誰が、どの端末から、何を、どの規則で", "who, from which device, what, by which rule"),
        ),
    ]
}

/// A text as a shell reads it: in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tongue: Tongue) -> String {
        banner(&Ports::default(), Path::new("/srv/it's demo"), "sekimori", "01ABC-DEFGH-JKMNP-QRSTV", tongue)
    }

    #[test]
    fn it_says_where_to_go_and_what_to_try() {
        for tongue in [Tongue::Japanese, Tongue::English] {
            let text = text(tongue);
            for part in [
                "https://portal.sekimori.localhost:8443",
                "http://127.0.0.1:8480",
                "https://console.sekimori.localhost:8443",
                "https://login.sekimori.localhost:8443/enrol#01ABC-DEFGH-JKMNP-QRSTV",
                "D='/srv/it'\\''s demo'",
                "curl -sS --cacert \"$D/ca.pem\" -i -H 'accept: text/html' https://emr.sekimori.localhost:8443/",
                "--cert \"$D/devices/ward-tablet-1.pem\" -i -b \"$D/nurse.cookies\" -X DELETE",
                "nurse-never-deletes",
                "device-required",
                "sekimori audit tail --lines 60 --config \"$D/sekimori.toml\"",
            ] {
                assert!(text.contains(part), "{part}\n{text}");
            }
            for device in &DEVICES {
                assert!(text.contains(device.id), "{}", device.id);
            }
        }
    }

    #[test]
    fn the_rule_it_names_exists() {
        assert!(super::super::config_text(&Ports::default()).contains("id = \"nurse-never-deletes\""));
    }

    #[test]
    fn the_locale_decides_the_language() {
        assert_eq!(Tongue::of_locale("ja_JP.UTF-8"), Tongue::Japanese);
        assert_eq!(Tongue::of_locale("C"), Tongue::English);
    }
}

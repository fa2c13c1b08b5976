//! The configuration of a test's hospital: providers, apps, and what the test adds.

use std::fs;

use config::Config;

use super::{Folder, LOGIN, PORTAL};

/// A provider's table in the configuration.
fn provider_table(id: &str, ja: &str, en: &str, more: &str) -> String {
    format!(
        "[[provider]]\nid = \"{id}\"\nname = {{ ja = \"{ja}\", en = \"{en}\" }}\nissuer = \"https://{id}.example\"\n\
         client_id = \"sekimori\"\nroles_claim = \"groups\"\n{more}[provider.roles]\nnurses = \"nurse\"\n\
         [provider.assurance]\nmfa = \"aal2\"\n\n"
    )
}

/// What a test adds to the configuration: to `[gateway]`, and to `[roles]` with the tables after it.
#[derive(Default)]
pub(super) struct Extra {
    pub(super) gateway: String,
    pub(super) roles: String,
    /// To the first provider.
    pub(super) provider: String,
}

pub(super) fn config(folder: &Folder, providers: usize, extra: &Extra) -> Config {
    let providers: String = [
        provider_table("city", "市立病院アカウント", "City Hospital account", &extra.provider),
        provider_table("vendor-idp", "業者アカウント", "Vendor account", ""),
    ]
    .into_iter()
    .take(providers)
    .collect();
    let app = |id: &str, ja: &str, en: &str| {
        format!(
            "[[app]]\nid = \"{id}\"\nname = {{ ja = \"{ja}\", en = \"{en}\" }}\nhost = \"{id}.hosp.example\"\n\
             upstreams = [\"http://127.0.0.1:9\"]\n\n"
        )
    };
    let chart = "[[app.route]]\npaths = [\"/patients/{patient}\", \"/patients/{patient}/**\"]\nclass = \"chart\"\n\n";
    let apps = app("emr", "電子カルテ", "Medical records")
        + chart
        + &app("pacs", "画像参照 (PACS)", "Images (PACS)")
        + &app("lab", "検査結果", "Lab results")
        + &app("receipt", "医事会計・レセプト", "Billing")
        + "[[app]]\nid = \"pacs-shell\"\nname = { ja = \"PACS 保守\", en = \"PACS shell\" }\nkind = \"tcp\"\n\
           host = \"pacs-shell.hosp.example\"\nupstream = \"127.0.0.1:9\"\nprotocol = \"ssh\"\nportal = false\n\n";
    let text = format!(
        "[facility]\nname = \"さくら総合病院\"\n\n[gateway]\nstate_dir = \"state\"\nlogin_host = \"{LOGIN}\"\n\
         portal_host = \"{PORTAL}\"\n{}\n[audit]\nfree_min = \"1MiB\"\n\n[[listener]]\naddress = \"127.0.0.1:8443\"\nzone = \"inside\"\n\n\
         [[certificate]]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\n[roles]\n\
         nurse = {{ ja = \"看護師\", en = \"Nurse\" }}\n{}\n{providers}{apps}[[rule]]\nid = \"nurses\"\neffect = \"permit\"\n\
         roles = [\"nurse\"]\napps = [\"emr\", \"pacs\"]\nactions = [\"read\"]\ndevices = \"known\"\n",
        extra.gateway, extra.roles
    );
    for file in ["cert.pem", "key.pem"] {
        fs::write(folder.0.join(file), "not read here").unwrap();
    }
    fs::write(folder.0.join("token"), "a-token-of-the-mdm-that-is-long-enough").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for file in ["key.pem", "token"] {
            fs::set_permissions(folder.0.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
    config::parse(&text, "sekimori.toml", &folder.0).unwrap_or_else(|problems| panic!("{problems}"))
}

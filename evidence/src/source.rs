//! Who hands the log over: the node, the institution, and what people call roles and apps.

use std::collections::BTreeMap;

use config::Config;
use policy::{Timestamp, UtcOffset};

/// How the systems of patient numbers in Japan begin; the institution's code ends them (JP Core, `JP_Patient`).
const PATIENT_NUMBERS: &str = "1.2.392.100495.20.3.51.1";

/// What lines do not say because it is the same for all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The node, always by the same name: the log's origin, such as `sekimori.clinic.example.jp/gw01`.
    pub node: String,
    /// The institution's name.
    pub facility: String,
    /// 医療機関コード, ten digits.
    pub facility_code: Option<String>,
    /// The domain in which login names are unique, such as `hosp.example.jp`.
    pub domain: String,
    /// The clock in which moments are written.
    pub offset: UtcOffset,
    /// What people call roles, by their ids.
    pub roles: BTreeMap<String, String>,
    /// What people call apps, by their ids.
    pub apps: BTreeMap<String, String>,
}

impl Source {
    /// As the configuration says. Names are the Japanese ones.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let login_host = config.login_host.as_str();
        Self {
            node: config.audit.origin.clone(),
            facility: config.facility.name.clone(),
            facility_code: config.facility.code.clone(),
            domain: login_host.split_once('.').map_or(login_host, |(_, domain)| domain).to_owned(),
            offset: config.offset,
            roles: config.roles.iter().map(|(id, names)| (id.as_str().to_owned(), names.ja.clone())).collect(),
            apps: config.apps.iter().map(|app| (app.id.as_str().to_owned(), app.name.ja.clone())).collect(),
        }
    }

    /// The name of the machine: the node without what tells several logs of it apart.
    pub(crate) fn machine(&self) -> &str {
        self.node.split_once('/').map_or(self.node.as_str(), |(machine, _)| machine)
    }

    /// A login name with its domain.
    pub(crate) fn account(&self, login: &str) -> String {
        if login.contains('@') { login.to_owned() } else { format!("{login}@{}", self.domain) }
    }

    pub(crate) fn role<'a>(&'a self, id: &'a str) -> &'a str {
        self.roles.get(id).map_or(id, String::as_str)
    }

    /// The object identifier of the institution's patient numbers, where it has a code.
    pub(crate) fn patient_numbers(&self) -> Option<String> {
        let code = self.facility_code.as_ref()?;
        Some(format!("{PATIENT_NUMBERS}{code}"))
    }

    pub(crate) fn moment(&self, at: Timestamp) -> String {
        at.rfc3339(self.offset)
    }
}

//! Hosts that no server certificate serves: whoever asks for one of them gets no answer. The configuration has none, but one
//! that is ordered may not be there yet, or not any more.

use std::collections::BTreeSet;

use certs::ServerCertificates;
use config::Config;
use policy::Host;

/// The hosts that no certificate serves just now, also those for which one is ordered.
pub fn of<'c>(config: &'c Config, certificates: &ServerCertificates) -> BTreeSet<&'c Host> {
    let own = [Some(&config.login_host), Some(&config.portal_host), config.console_host.as_ref()];
    let hosts = own.into_iter().flatten().chain(config.apps.iter().map(|app| &app.host));
    hosts.filter(|host| !certificates.covers(host)).collect()
}

/// The same, in words; nothing where there is none.
pub fn told(config: &Config, certificates: &ServerCertificates) -> Option<String> {
    in_words(&of(config, certificates))
}

/// These hosts in words; nothing where there is none.
pub fn in_words(bare: &BTreeSet<&Host>) -> Option<String> {
    let bare: Vec<&str> = bare.iter().map(|host| host.as_str()).collect();
    let bare = (!bare.is_empty()).then(|| bare.join("`, `"))?;
    Some(format!("no certificate serves `{bare}` yet: whoever asks for it gets no answer until one is ordered"))
}

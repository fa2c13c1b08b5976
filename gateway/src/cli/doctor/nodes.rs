//! The certificate with which this node asks the others and is asked: whether it can be used, and until when.

use certs::{DeviceCertificate, NodeTls};
use config::{Config, Nodes};
use policy::{Timestamp, UtcOffset};

use super::{CERTIFICATE_WARNING, Finding, Grade, add};

const WHAT: &str = "certificate between nodes";

/// Looks at it, where there are several nodes.
pub fn look(config: &Config, at: Timestamp, findings: &mut Vec<Finding>) {
    if let Some(nodes) = &config.nodes {
        let (grade, says) = judge(nodes, at, config.offset);
        add(findings, WHAT, grade, says);
    }
}

fn judge(nodes: &Nodes, at: Timestamp, offset: UtcOffset) -> (Grade, String) {
    let Some(channel) = &nodes.channel else {
        let says = "there is none: the console's pages show the log of one node alone";
        return (Grade::Warning, says.to_owned());
    };
    let file = channel.certificate.certificate.display().to_string();
    let read = NodeTls::load(&channel.ca_file, &channel.certificate, nodes.own.as_str()).and_then(|_| {
        let bytes = std::fs::read(&channel.certificate.certificate).unwrap_or_default();
        DeviceCertificate::read(&file, &bytes)
    });
    match read {
        Ok(read) if read.ends_at <= at => (Grade::Bad, format!("`{file}` ended at {}", read.ends_at.rfc3339(offset))),
        Ok(read) => {
            let left = read.ends_at.since(at);
            let grade = if left < CERTIFICATE_WARNING { Grade::Warning } else { Grade::Good };
            (grade, format!("ends in {} days, at {}", left.as_secs() / 86_400, read.ends_at.rfc3339(offset)))
        }
        Err(problem) => (Grade::Bad, problem.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use certs::NodeCa;
    use config::{CertificateFiles, NodeChannel, NodeName};

    use super::*;
    use crate::clock;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_certificate_between_nodes_is_looked_at_before_it_ends() {
        let folder = std::env::temp_dir().join(format!("sekimori-doctor-nodes-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (at, own) = (clock::now(), NodeName::parse("gw01").unwrap());
        let pair = CertificateFiles { certificate: folder.join("node.pem"), key: folder.join("node.key") };
        let ca = NodeCa::create("病院", at, DAY * 60).unwrap();
        ca.issue("gw01").unwrap().save(&pair).unwrap();
        std::fs::write(folder.join("ca.pem"), ca.certificate_pem()).unwrap();
        let channel = NodeChannel {
            listen: "127.0.0.1:0".parse().unwrap(),
            addresses: BTreeMap::new(),
            ca_file: folder.join("ca.pem"),
            certificate: pair.clone(),
        };
        let nodes = Nodes { own: own.clone(), names: vec![own], silent_after: DAY, channel: Some(channel) };
        let graded = |at| judge(&nodes, at, UtcOffset::JAPAN).0;
        assert_eq!(graded(at), Grade::Good);
        assert_eq!(graded(at.after(DAY * 45)), Grade::Warning);
        assert_eq!(graded(at.after(DAY * 61)), Grade::Bad);
        std::fs::write(&pair.certificate, "nonsense").unwrap();
        assert_eq!(graded(at), Grade::Bad);
        drop(std::fs::remove_dir_all(folder));
    }
}

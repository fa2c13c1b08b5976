//! `sekimori node`: the machines that serve together, as the store knows them. Works on a machine whose gateway is down.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use certs::NodeCa;
use config::{CertificateFiles, Config, NodeName, Nodes};
use policy::Timestamp;
use serde_json::json;
use web::{NodeSaid, NodeState};

use crate::cli::{ConfigArg, Format, block_on, open_store, out, table};
use crate::clock;
use crate::failure::Failure;
use crate::nodes::{last_said, said, state_at};

/// How much of a revision tells it from another, in digits.
const REVISION_SHOWN: usize = 12;

/// What can be asked of nodes.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Shows which nodes there are, when each was last heard, what it runs, and how far its log is signed and checked by
    /// others.
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Makes a CA and by it a certificate for each node, with which they ask each other (`[nodes.channel]`). The CA's key is
    /// kept nowhere: to renew them, make all of them again.
    Certificates {
        /// All nodes.
        #[arg(required = true, num_args = 2.., value_name = "NODE", value_parser = NodeName::parse)]
        nodes: Vec<NodeName>,
        /// The folder to make: `nodes-ca.pem`, and a folder a node with its `node.pem` and `node.key`.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How many days they are good for.
        #[arg(long, default_value_t = 1_095, value_parser = clap::value_parser!(u64).range(1..=3_650))]
        days: u64,
    },
}

/// One node, as the store knows it.
struct Known {
    name: NodeName,
    said: Option<NodeSaid>,
    word: &'static str,
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List { config, format } => list(config, *format),
        Command::Certificates { nodes, out, days } => certificates(nodes, out, *days),
    }
}

fn certificates(nodes: &[NodeName], folder: &Path, days: u64) -> Result<(), Failure> {
    let unusable = |problem: certs::CertProblem| Failure::unavailable(problem.to_string());
    let unwritable =
        |path: &Path, error: std::io::Error| Failure::input(format!("`{}` cannot be made: {error}", path.display()));
    // What stands there already may be in use.
    fs::create_dir(folder).map_err(|error| unwritable(folder, error))?;
    let ca = NodeCa::create("Sekimori", clock::now(), Duration::from_secs(days * 86_400)).map_err(unusable)?;
    let file = folder.join("nodes-ca.pem");
    fs::write(&file, ca.certificate_pem()).map_err(|error| unwritable(&file, error))?;
    for node in nodes {
        let own = folder.join(node.as_str());
        fs::DirBuilder::new().mode(0o700).create(&own).map_err(|error| unwritable(&own, error))?;
        let pair = CertificateFiles { certificate: own.join("node.pem"), key: own.join("node.key") };
        ca.issue(node.as_str()).and_then(|issued| issued.save(&pair)).map_err(unusable)?;
    }
    out::say(&format!(
        "made `{}`; each node gets `nodes-ca.pem`, and `node.pem` and `node.key` of its own folder, by `scp`, mode 0600; \
         then remove it here",
        folder.display()
    ));
    Ok(())
}

fn list(config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let config = config.read()?;
    let Some(nodes) = &config.nodes else {
        return Err(Failure::input("there is one machine: the configuration has no `[nodes]`".to_owned()));
    };
    let known = known(&config, nodes)?;
    match format {
        Format::Json => known.iter().for_each(|one| out::say(&as_json(one))),
        Format::Text => {
            let heads = ["NODE", "STATE", "LAST HEARD", "VERSION", "CONFIGURATION", "LINES", "VOUCHED", "LOG KEY"];
            let rows: Vec<_> = known.iter().map(|one| row(one, &config)).collect();
            out::say(&table(&heads, &rows));
        }
    }
    let revisions: Vec<&str> = serving(&known).map(|said| said.revision.as_str()).collect();
    if revisions.windows(2).any(|pair| pair.first() != pair.last()) {
        out::complain(
            "nodes that serve have different configurations; the console's page of nodes says where they differ",
        );
    }
    match known.iter().find(|one| one.word != "serving") {
        Some(one) => Err(Failure::no(format!("`{}` is {}", one.name, one.word))),
        None => Ok(()),
    }
}

fn serving(known: &[Known]) -> impl Iterator<Item = &NodeSaid> {
    known.iter().filter(|one| one.word == "serving").filter_map(|one| one.said.as_ref())
}

fn known(config: &Config, nodes: &Nodes) -> Result<Vec<Known>, Failure> {
    let store = open_store(config)?;
    let at = clock::now();
    block_on(async {
        let mut beats = Vec::new();
        for name in &nodes.names {
            let beat = last_said(&*store, name).await;
            beats.push((name.clone(), beat.map_err(|problem| Failure::unavailable(problem.to_string()))?));
        }
        // What another one vouches for, the most of it.
        let vouched = |name: &NodeName| {
            let read = beats.iter().filter_map(|(_, beat)| beat.as_ref()?.as_ref().ok());
            read.filter_map(|beat| beat.vouched.get(name.as_str()).copied()).max()
        };
        let one = |(name, beat): &(NodeName, Option<Result<_, String>>)| match beat {
            Some(Ok(beat)) => {
                let word = match state_at(beat, nodes.silent_after, at) {
                    NodeState::Serving => "serving",
                    NodeState::Stopped => "stopped",
                    NodeState::Silent | NodeState::Unknown => "silent",
                };
                Known { name: name.clone(), said: Some(said(beat, vouched(name))), word }
            }
            Some(Err(_)) => Known { name: name.clone(), said: None, word: "unreadable" },
            None => Known { name: name.clone(), said: None, word: "unknown" },
        };
        Ok(beats.iter().map(one).collect())
    })
}

fn row(one: &Known, config: &Config) -> Vec<String> {
    let of = |read: fn(&NodeSaid) -> String| one.said.as_ref().map_or_else(|| "-".to_owned(), read);
    let time = |at: Timestamp| at.rfc3339(config.offset);
    vec![
        one.name.to_string(),
        one.word.to_owned(),
        one.said.as_ref().map_or_else(|| "-".to_owned(), |said| time(said.at)),
        of(|said| said.version.clone()),
        of(|said| said.revision.chars().take(REVISION_SHOWN).collect()),
        of(|said| said.lines.to_string()),
        of(|said| said.vouched.map_or_else(|| "-".to_owned(), |lines| lines.to_string())),
        of(|said| said.key.clone()),
    ]
}

fn as_json(one: &Known) -> String {
    let said = one.said.as_ref().map(|said| {
        json!({
            "at": said.at.to_string(),
            "started_at": said.started_at.to_string(),
            "version": said.version,
            "revision": said.revision,
            "lines": said.lines,
            "vouched": said.vouched,
            "key": said.key,
        })
    });
    json!({ "node": one.name.as_str(), "state": one.word, "said": said }).to_string()
}

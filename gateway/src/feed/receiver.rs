//! A receiver as configured, with its TLS ready: built with every snapshot, so that a certificate that cannot be used is
//! told when the configuration is read.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use config::{Config, Feed, UpstreamProtocol};
use evidence::Source;
use policy::FeedId;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::feed::message::Speaker;
use crate::upstream::dial::TlsTo;

/// One receiver.
#[derive(Debug)]
pub struct Receiver {
    /// As configured.
    pub feed: Feed,
    /// How to reach it.
    pub tls: TlsTo,
    /// Who speaks to it.
    pub speaker: Speaker,
    /// What messages say of the house beside what lines say.
    pub source: Source,
    /// What its files held.
    files: Vec<u8>,
}

/// The receivers of a configuration.
#[derive(Debug, Default)]
pub struct Receivers(HashMap<FeedId, Arc<Receiver>>);

impl Receivers {
    /// Makes them ready.
    ///
    /// # Errors
    /// What cannot be used, in words for the operator.
    pub fn build(config: &Config) -> Result<Self, Vec<String>> {
        let (mut receivers, mut problems) = (HashMap::new(), Vec::new());
        for feed in &config.feeds {
            match Receiver::build(feed, config) {
                Ok(receiver) => {
                    receivers.insert(feed.id.clone(), Arc::new(receiver));
                }
                Err(problem) => problems.push(format!("feed `{}`: {problem}", feed.id)),
            }
        }
        if problems.is_empty() { Ok(Self(receivers)) } else { Err(problems) }
    }

    /// One of them.
    pub fn find(&self, id: &FeedId) -> Option<&Arc<Receiver>> {
        self.0.get(id)
    }

    /// Their ids.
    pub fn ids(&self) -> impl Iterator<Item = &FeedId> {
        self.0.keys()
    }
}

impl Receiver {
    fn build(feed: &Feed, config: &Config) -> Result<Self, String> {
        let mut client =
            certs::upstream_config(&feed.tls, UpstreamProtocol::Http1).map_err(|problem| problem.to_string())?;
        // Syslog has no name in ALPN.
        client.alpn_protocols.clear();
        let name = feed.tls.server_name.clone().unwrap_or_else(|| feed.host.clone());
        let name = ServerName::try_from(name.clone()).map_err(|_| format!("`{name}` is not a server name"))?;
        let tls = TlsTo { connector: TlsConnector::from(Arc::new(client)), name };
        let (speaker, source) = (Speaker::of(&config.audit.origin), Source::of(config));
        Ok(Self { feed: feed.clone(), tls, speaker, source, files: files(feed) })
    }

    /// Whether it is the same: the same settings and words, and the same in its files.
    pub fn is_as(&self, other: &Self) -> bool {
        self.feed == other.feed && self.files == other.files && self.source == other.source
    }
}

/// A digest of what the files of a feed hold, to notice that a certificate was renewed.
fn files(feed: &Feed) -> Vec<u8> {
    let pair = feed.tls.client_certificate.as_ref();
    let named = [feed.tls.ca_file.as_deref(), pair.map(|pair| &*pair.certificate), pair.map(|pair| &*pair.key)];
    let mut digest = Context::new(&SHA256);
    for path in named.into_iter().flatten() {
        digest.update(&read(path));
    }
    digest.finish().as_ref().to_vec()
}

/// What a file holds: nothing where it went away since it was used a moment ago.
fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

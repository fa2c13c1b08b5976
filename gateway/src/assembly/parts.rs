//! What a snapshot is built from, and how.

use std::sync::Arc;

use audit::Log;
use certs::DeviceCa;
use config::Config;
use identity::{Assertions, Devices, Grants, HandOffs, Outage, Passkeys, People, PostureDesk, RelyingParty, Sessions};
use policy::Clock;
use store::Store;

use crate::acme;
use crate::device_issuer::DeviceIssuer;
use crate::feed::Receivers;
use crate::lists::ListClient;
use crate::notices::Senders;
use crate::snapshot::{Snapshot, UpstreamIds};
use crate::telemetry::Collector;
use crate::upstream::dial::Dialer;

/// What snapshots are built from, besides configuration.
#[derive(Debug)]
pub struct Parts {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Open sessions.
    pub sessions: Arc<Sessions>,
    /// The device ledger.
    pub devices: Arc<Devices>,
    /// Which providers are out.
    pub outage: Arc<Outage>,
    /// Exceptions that are in force.
    pub grants: Arc<Grants>,
    /// The gateway's device CA.
    pub device_ca: Arc<DeviceCa>,
    /// Signs who asks.
    pub assertions: Arc<Assertions>,
    /// The clock.
    pub clock: Clock,
    /// The log.
    pub log: Log,
    /// What auditors look at of it.
    pub log_view: Arc<web::LogView>,
    /// What is open under grants.
    pub open_now: Arc<web::OpenNow>,
    /// What is wrong with the gateway itself.
    pub alarms: Arc<web::Alarms>,
    /// How the nodes stand that serve together.
    pub nodes: Arc<web::NodeBoard>,
    /// Numbers for upstreams.
    pub upstream_ids: UpstreamIds,
}

/// Builds a snapshot of a configuration.
///
/// # Errors
/// What cannot be used, in words.
pub fn snapshot(config: Arc<Config>, parts: &Parts) -> Result<Snapshot, Vec<String>> {
    let policy = Arc::clone(&config.loaded);
    let routes = crate::snapshot::Routes::build(&config, &parts.upstream_ids)?;
    let fetch =
        crate::fetch::client(&config.providers, &config.forbidden_upstreams).map_err(|problem| vec![problem])?;
    let oidc = identity::Oidc::new(&config.providers, Arc::clone(&parts.store), fetch, parts.clock.clone());
    let oidc = Arc::new(oidc.with_outage(Arc::clone(&parts.outage)));
    let people = Arc::new(People::new(Arc::clone(&parts.store), &config));
    let site = web::Site::new(web::SiteParts {
        config: Arc::clone(&config),
        policy: Arc::clone(&policy),
        sessions: Arc::clone(&parts.sessions),
        oidc: Arc::clone(&oidc),
        hand_offs: Arc::new(HandOffs::new(Arc::clone(&parts.store), Arc::clone(&parts.sessions))),
        assertions: Arc::clone(&parts.assertions),
        people: Arc::clone(&people),
        passkeys: Arc::new(passkeys(&config, parts)?),
        devices: Arc::clone(&parts.devices),
        certificates: Arc::new(DeviceIssuer::new(Arc::clone(&parts.device_ca), &config)),
        posture: Arc::new(PostureDesk::new(Arc::clone(&parts.store), config.posture_sources.clone())),
        outage: Arc::clone(&parts.outage),
        grants: Arc::clone(&parts.grants),
        store: Arc::clone(&parts.store),
        recorder: parts.log.recorder(),
        log_view: Arc::clone(&parts.log_view),
        open_now: Arc::clone(&parts.open_now),
        alarms: Arc::clone(&parts.alarms),
        nodes: Arc::clone(&parts.nodes),
    });
    let dialer = Dialer::new(config.limits.connect_timeout, &config.forbidden_upstreams);
    let lists =
        ListClient::new(&config.devices.crl_fetch, &config.forbidden_upstreams).map_err(|problem| vec![problem])?;
    acme::check(&config).map_err(|problem| vec![problem])?;
    let receivers = Receivers::build(&config)?;
    let senders = Senders::build(&config)?;
    let collector = Collector::build(&config)?;
    Ok(Snapshot { config, policy, routes, site, oidc, people, dialer, receivers, senders, lists, collector })
}

/// Passkeys as a configuration wants them; all ceremonies are on the sign-in host.
fn passkeys(config: &Config, parts: &Parts) -> Result<Passkeys, Vec<String>> {
    let party = RelyingParty {
        host: config.login_host.clone(),
        origin: config.origin(&config.login_host),
        name: config.facility.name.clone(),
    };
    let made = Passkeys::new(Arc::clone(&parts.store), &party, config.passkeys.clone());
    made.map_err(|problem| vec![problem.to_string()])
}

//! What all workers share: the snapshot in force, who and what is known, the log, the limits. Everything in it is
//! either read-only or made to be shared; nothing waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use audit::Log;
use certs::{DeviceRoots, ServerCertificates};
use identity::{Asked, Assertions, Devices, Grants, NamedWard, Sessions};
use policy::{Access, Clock, Grant};
use tokio::sync::watch;

use crate::caps::Counts;
use crate::clock::RequestIds;
use crate::denials::Denials;
use crate::limit::Limiter;
use crate::metrics::Metrics;
use crate::nodes::Nodes;
use crate::patients::{About, Desk};
use crate::places::Places;
use crate::pulse::Pulse;
use crate::shadow::Shadow;
use crate::snapshot::Snapshot;
use crate::telemetry::Traces;
use crate::tunnel::Tunnels;

/// What all workers share.
#[derive(Debug)]
pub struct Gate {
    /// The clock.
    pub clock: Clock,
    /// Numbers for requests.
    pub ids: RequestIds,
    /// The configuration in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// Open sessions.
    pub sessions: Arc<Sessions>,
    /// The device ledger.
    pub devices: Arc<Devices>,
    /// The CAs that are believed for devices.
    pub roots: Arc<DeviceRoots>,
    /// Signs who asks, for apps.
    pub assertions: Arc<Assertions>,
    /// Exceptions that are in force.
    pub grants: Arc<Grants>,
    /// The access log.
    pub log: Log,
    /// The machines that serve together.
    pub nodes: Nodes,
    /// How often one may ask.
    pub limiter: Limiter,
    /// What people and apps have open.
    pub places: Arc<Places>,
    /// What people did by rules with bounds.
    pub counts: Counts,
    /// How often people who may were denied.
    pub denials: Denials,
    /// The policy that is judged beside the one in force.
    pub shadow: Shadow,
    /// Where is found out whom accesses are about.
    pub desk: Desk,
    /// The search index over the log, where it could be opened.
    pub index: Option<find::Index>,
    /// What is open under grants, for the console.
    pub open_now: Arc<web::OpenNow>,
    /// Open tunnels to TCP apps.
    pub tunnels: Tunnels,
    /// Traces of requests.
    pub traces: Arc<Traces>,
    /// What is counted.
    pub metrics: Metrics,
    /// Server certificates.
    pub certificates: Arc<ServerCertificates>,
    /// Rings when sessions, devices or the policy changed.
    pub changed: watch::Sender<u64>,
    /// Set when the gateway stops: a balancer is told to look elsewhere.
    pub stopping: AtomicBool,
    /// Whether every worker turns.
    pub pulse: Arc<Pulse>,
    /// What is wrong with the gateway itself.
    pub alarms: Arc<web::Alarms>,
}

impl Gate {
    /// Tells every worker that a fact changed.
    pub fn ring(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The exception that is in force for an access, as far as it names patients and a ward before it is judged.
    pub fn grant_for(&self, access: &Access, about: Option<&About>, ward: impl FnOnce() -> NamedWard) -> Option<Grant> {
        let who = access.who.as_ref().filter(|who| self.grants.has_any(&who.user))?;
        let mut ward = ward();
        // What names nobody and may tell of anybody stays within no patient and no ward.
        if ward == NamedWard::Nothing && about.is_some_and(|about| about.is_about_anybody) {
            ward = NamedWard::Unclear;
        }
        self.grants.find(&Asked {
            person: &who.user,
            app: &access.app,
            method: &access.method,
            path: &access.path,
            patients: about.map_or(&[], |about| &about.patients.ids),
            ward: &ward,
            place_of: &|patient| self.desk.place_of(&access.app, patient, access.at),
            at: access.at,
        })
    }

    /// Whether the gateway stops.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

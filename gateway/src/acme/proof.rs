//! Showing the CA that names are the gateway's: in a handshake made for that, or in the DNS by a program of the
//! hospital's. Whatever was shown is withdrawn, however the order ends; what a stop left in the DNS, at the next start.

use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use config::{Acme, AcmeProof};
use instant_acme::{ChallengeType, KeyAuthorization};
use policy::Host;
use store::Store;
use tokio::sync::oneshot;

use super::kept::{Kept, Shown};
use super::shared;
use crate::child::{self, ChildProblem};
use crate::gate::Gate;

/// How long the hospital's program may take until what it wrote can be asked for.
const HOOK_TIMEOUT: Duration = Duration::from_secs(180);
/// How long is waited for the end of one that nobody waits for any more.
const END_PATIENCE: Duration = Duration::from_secs(3);
/// Where it finds the system's programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the CA wants to see of one name.
#[derive(Debug)]
pub struct Proof {
    host: Host,
    digest: [u8; 32],
    text: String,
}

impl Proof {
    /// Of a name without its wildcard; nothing where the CA names what is no host.
    pub fn new(name: &str, authorization: &KeyAuthorization) -> Option<Self> {
        let digest = authorization.digest();
        let digest = digest.as_ref().first_chunk().copied()?;
        Some(Self { host: Host::parse(name).ok()?, digest, text: authorization.dns_value() })
    }
}

/// Which way the CA is to look.
pub fn challenge(acme: &Acme) -> ChallengeType {
    match acme.proof {
        AcmeProof::Tls => ChallengeType::TlsAlpn01,
        AcmeProof::Dns { .. } => ChallengeType::Dns01,
    }
}

/// Shows what is to be shown, and withdraws it.
#[derive(Debug)]
pub struct Stage<'a> {
    gate: &'a Gate,
    store: &'a dyn Store,
    acme: &'a Acme,
    kept: &'a Kept,
    /// What is shown in handshakes; what is shown in the DNS is kept in the folder.
    shown: Vec<Proof>,
}

impl<'a> Stage<'a> {
    /// Nothing is shown yet.
    pub fn new(gate: &'a Gate, store: &'a dyn Store, acme: &'a Acme, kept: &'a Kept) -> Self {
        Self { gate, store, acme, kept, shown: Vec::new() }
    }

    /// Shows all of it; once this returns the CA may look.
    ///
    /// # Errors
    /// In words; some of it may be shown.
    pub async fn show(&mut self, proofs: Vec<Proof>) -> Result<(), String> {
        match &self.acme.proof {
            AcmeProof::Tls => {
                self.shown = proofs;
                let digests: Vec<(Host, [u8; 32])> =
                    self.shown.iter().map(|proof| (proof.host.clone(), proof.digest)).collect();
                self.gate.certificates.show_proofs(&digests).map_err(|problem| problem.to_string())?;
                shared::show(self.gate, self.store, &digests).await
            }
            AcmeProof::Dns { hook } => {
                for proof in proofs {
                    // Noted first, also for after a stop: what began may have been written.
                    let shown = Shown { host: proof.host.to_string(), text: proof.text.clone() };
                    let noted = self.kept.note_shown(shown.clone()).await;
                    noted.map_err(|error| format!("what is to be shown cannot be noted: {error}"))?;
                    run(hook, "add", &shown).await?;
                }
                Ok(())
            }
        }
    }

    /// Withdraws whatever is shown.
    pub async fn withdraw(&mut self) {
        match &self.acme.proof {
            AcmeProof::Tls if std::mem::take(&mut self.shown).is_empty() => {}
            AcmeProof::Tls => {
                if let Err(problem) = self.gate.certificates.show_proofs(&[]) {
                    tracing::warn!(%problem, "what was shown to the CA is shown on");
                }
                if let Err(problem) = shared::show(self.gate, self.store, &[]).await {
                    tracing::warn!(problem, "what was shown to the CA is shown on by the other nodes");
                }
            }
            AcmeProof::Dns { .. } => withdraw_left(self.acme, self.kept).await,
        }
    }
}

/// Removes from the DNS what stands there for the CA: of an order that ended, or that was broken off by a stop.
pub async fn withdraw_left(acme: &Acme, kept: &Kept) {
    let left = match kept.shown().await {
        Ok(left) => left,
        Err(error) => {
            return tracing::warn!(%error, "what was shown to the CA may still be in the DNS, and nobody knows what");
        }
    };
    let begun = Instant::now();
    for one in left {
        if begun.elapsed() >= HOOK_TIMEOUT {
            // Certificates are renewed behind this: a DNS that hangs does not hold them up for each of its records.
            return tracing::warn!("the DNS takes too long: the rest of what was shown to the CA is withdrawn later");
        }
        let removed = match &acme.proof {
            AcmeProof::Tls => Err("[acme] names no `hook` any more".to_owned()),
            AcmeProof::Dns { hook } => run(hook, "remove", &one).await,
        };
        let forgotten = match removed {
            Ok(()) => kept.forget_shown(one.clone()).await.map_err(|error| error.to_string()),
            Err(problem) => Err(problem),
        };
        if let Err(problem) = forgotten {
            tracing::warn!(
                problem,
                host = one.host,
                text = one.text,
                "what was shown to the CA may still be in the DNS"
            );
        }
    }
}

/// Runs the hospital's program: with nothing of the gateway's surroundings, and no longer than it may take, or than
/// anybody waits for it.
async fn run(hook: &Path, what: &str, shown: &Shown) -> Result<(), String> {
    let failed = |why: String| format!("`{} {what}` {why}", hook.display());
    let mut command = Command::new(hook);
    command
        .args([what, &format!("_acme-challenge.{}", shown.host), &shown.text])
        .env_clear()
        .env("PATH", PATH)
        .current_dir("/");
    let (tell, told) = oneshot::channel();
    let (over, is_over) = mpsc::channel::<()>();
    // A thread of its own: one of the runtime's would be waited for when the gateway stops, and without telling it so.
    let watching = move || {
        let ended = child::run(command, HOOK_TIMEOUT, || tell.is_closed());
        // Nobody waits any more.
        drop(tell.send(ended));
        drop(over);
    };
    let began = std::thread::Builder::new().name("acme-hook".to_owned()).spawn(watching);
    began.map_err(|error| failed(format!("cannot be watched: {error}")))?;
    let mut watched = Watched { told, is_over };
    match (&mut watched.told).await {
        Ok(ended) => ended.map_err(|problem| failed(problem.to_string())),
        Err(_) => Err(failed("broke off".to_owned())),
    }
}

/// A program that is being watched. Where nobody waits for it any more, it is ended before that goes on: the gateway would
/// otherwise be gone before the thread that ends it.
struct Watched {
    told: oneshot::Receiver<Result<(), ChildProblem>>,
    is_over: mpsc::Receiver<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The thread sees that within moments; what hangs in the disk is not waited for.
        self.told.close();
        let _over = self.is_over.recv_timeout(END_PATIENCE);
    }
}

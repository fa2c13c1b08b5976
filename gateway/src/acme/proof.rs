//! Showing the CA that names are the gateway's: in a handshake made for that, or in the DNS by a program of the
//! hospital's. Whatever was shown is withdrawn, however the order ends.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use config::{Acme, AcmeProof};
use instant_acme::{ChallengeType, KeyAuthorization};
use policy::Host;
use store::Store;
use tokio::sync::oneshot;

use super::shared;
use crate::gate::Gate;

/// How long the hospital's program may take until what it wrote can be asked for.
const HOOK_TIMEOUT: Duration = Duration::from_secs(180);
/// How often it is looked whether it has ended.
const HOOK_LOOK: Duration = Duration::from_millis(20);
/// How long is waited for the rest of its complaint.
const COMPLAINT_PATIENCE: Duration = Duration::from_secs(1);
/// How much of its complaint is told.
const COMPLAINT_BYTES_MAX: u64 = 1_024;
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
    /// What is shown.
    shown: Vec<Proof>,
}

impl<'a> Stage<'a> {
    /// Nothing is shown yet.
    pub fn new(gate: &'a Gate, store: &'a dyn Store, acme: &'a Acme) -> Self {
        Self { gate, store, acme, shown: Vec::new() }
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
                    // Noted first: what began may have been written.
                    self.shown.push(proof);
                    if let Some(proof) = self.shown.last() {
                        run(hook, "add", proof).await?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Withdraws whatever is shown.
    pub async fn withdraw(&mut self) {
        let shown = std::mem::take(&mut self.shown);
        match &self.acme.proof {
            AcmeProof::Tls if shown.is_empty() => {}
            AcmeProof::Tls => {
                if let Err(problem) = self.gate.certificates.show_proofs(&[]) {
                    tracing::warn!(%problem, "what was shown to the CA is shown on");
                }
                if let Err(problem) = shared::show(self.gate, self.store, &[]).await {
                    tracing::warn!(problem, "what was shown to the CA is shown on by the other nodes");
                }
            }
            AcmeProof::Dns { hook } => {
                for proof in &shown {
                    if let Err(problem) = run(hook, "remove", proof).await {
                        tracing::warn!(problem, host = %proof.host, "what was shown to the CA may still be in the DNS");
                    }
                }
            }
        }
    }
}

/// Runs the hospital's program: with nothing of the gateway's surroundings, and no longer than it may take, or than
/// anybody waits for it.
async fn run(hook: &Path, what: &str, proof: &Proof) -> Result<(), String> {
    let failed = |why: String| format!("`{} {what}` {why}", hook.display());
    let mut command = Command::new(hook);
    command
        .args([what, &format!("_acme-challenge.{}", proof.host), &proof.text])
        .env_clear()
        .env("PATH", PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let (tell, told) = oneshot::channel();
    // A thread of its own: one of the runtime's would be waited for when the gateway stops.
    let watching = move || {
        let ended = watch(command, || tell.is_closed());
        // Nobody waits any more.
        drop(tell.send(ended));
    };
    let began = std::thread::Builder::new().name("acme-hook".to_owned()).spawn(watching);
    began.map_err(|error| failed(format!("cannot be watched: {error}")))?;
    match told.await {
        Ok(ended) => ended.map_err(failed),
        Err(_) => Err(failed("broke off".to_owned())),
    }
}

/// Waits for a program's end, and ends it where it takes too long or nobody waits for it.
fn watch(mut command: Command, is_unwanted: impl Fn() -> bool) -> Result<(), String> {
    let mut child = command.spawn().map_err(|error| format!("cannot be run: {error}"))?;
    let (say, said) = mpsc::channel();
    if let Some(mut complains) = child.stderr.take() {
        // Read beside, and to its end: a program that says much would wait for ever, or be killed by what nobody reads.
        std::thread::spawn(move || {
            let mut text = Vec::new();
            // What cannot be read is not told; nobody may wait for it either.
            drop(complains.by_ref().take(COMPLAINT_BYTES_MAX).read_to_end(&mut text));
            drop(say.send(text));
            drop(std::io::copy(&mut complains, &mut std::io::sink()));
        });
    }
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < HOOK_TIMEOUT && !is_unwanted() => std::thread::sleep(HOOK_LOOK),
            Ok(None) => {
                // It may have ended by itself meanwhile.
                drop(child.kill());
                drop(child.wait());
                return Err(format!("did not end within {} s", HOOK_TIMEOUT.as_secs()));
            }
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    };
    if status.success() {
        return Ok(());
    }
    // Whatever it left running may hold on to where it complained.
    let complaint = said.recv_timeout(COMPLAINT_PATIENCE).unwrap_or_default();
    Err(format!("failed ({status}): {}", String::from_utf8_lossy(&complaint).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<(), String> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        watch(command, || false)
    }

    #[test]
    fn a_program_may_say_much_and_is_heard_where_it_fails() {
        let much = "echo begin >&2; i=0; while [ $i -lt 2000 ]; do echo 'what was done, and how, line by line' >&2; \
                    i=$((i+1)); done";
        shell(much).unwrap();
        let told = shell(&format!("{much}; exit 3")).unwrap_err();
        assert!(told.contains("exit status: 3") && told.contains("begin"), "{told}");
        assert!(told.len() < 2_000, "{}", told.len());
    }
}

//! Server certificates that the gateway orders and renews by itself (ACME, RFC 8555): when, and what becomes of them. How
//! the CA is asked is in `client` and `order`, how names are shown to be the gateway's in `proof`, what is kept in `kept`,
//! what nodes share in `shared`. Nothing here is on the way of a request: where the CA is away, the gateway serves with
//! what it has, and says so.

mod client;
mod kept;
mod order;
mod proof;
mod shared;

use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Event, Note};
use certs::{Life, ServerCertificates};
use config::{Acme, AcmeName, CertificateFiles, Config};
use instant_acme::CertificateIdentifier;
use policy::{Fingerprint, Host, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use store::Store;

pub use kept::Tries;

use client::Client;
use kept::Kept;
use order::Trouble;
use proof::Stage;
use shared::Shared;

use crate::clock;
use crate::gate::Gate;
use crate::reload::Stamps;

/// How often it is looked whether something is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// A whole order may take this long: the CA looks at each name, and the hospital's program writes into the DNS.
const ORDER_TIMEOUT: Duration = Duration::from_secs(1_800);
/// The CA is asked when it wants a certificate renewed as often as it says, but not more often than this, nor less.
const ASK_AGAIN: std::ops::RangeInclusive<Duration> = Duration::from_secs(3_600)..=Duration::from_secs(86_400);
/// Whatever the CA suggests, a certificate is renewed when so little of its life is left: one part of this.
const RENEWED_WITH: u32 = 5;
/// When the CA suggests nothing.
const RENEWED_IN_THE_LAST: u32 = 3;
/// So long a new certificate is kept whatever the CA suggests, or for this part of its life where that is shorter: a CA
/// that always suggests a moment that is over is not asked for one after the other.
const KEPT_AT_LEAST: Duration = Duration::from_secs(86_400);
const KEPT_AT_LEAST_PART: u32 = 20;
/// What another node gave and could not be taken is tried again after this.
const TAKE_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The certificates of a configuration: those in files, and behind them the one that was ordered, if it can be used. One
/// that cannot be is no reason not to begin: a better one is ordered.
pub fn in_use(config: &Config, at: Timestamp) -> Vec<CertificateFiles> {
    let mut all = config.certificates.clone();
    if let Some(acme) = &config.acme {
        let own = Kept::of(acme).certificate();
        match ServerCertificates::load(std::slice::from_ref(&own), at) {
            Ok(_) => all.push(own),
            Err(problems) if own.certificate.exists() => problems
                .iter()
                .for_each(|problem| tracing::warn!(%problem, "the certificate that was ordered cannot be used")),
            Err(_) => {}
        }
    }
    all
}

/// Whether the CA could be asked: its own CA file must be one.
///
/// # Errors
/// In words.
pub fn check(config: &Config) -> Result<(), String> {
    match &config.acme {
        Some(acme) if acme.ca_file.is_some() => Client::new(acme, &config.forbidden_upstreams).map(|_| ()),
        // A machine without CAs of its own is told when it orders; it serves meanwhile.
        Some(_) | None => Ok(()),
    }
}

/// How ordering went lately, and when it is tried again; nothing where nothing failed.
pub async fn trouble(acme: &Acme) -> Option<Tries> {
    let tries = Kept::of(acme).tries().await;
    (tries.failures > 0).then_some(tries)
}

/// Whether the CA's directory answers.
///
/// # Errors
/// In words.
pub async fn ask_directory(config: &Config, acme: &Acme) -> Result<(), String> {
    Client::new(acme, &config.forbidden_upstreams)?.ask_directory(acme).await
}

/// Orders and renews, until the gateway stops.
pub async fn follow(gate: Arc<Gate>, store: Arc<dyn Store>) {
    let mut keeper = Keeper::default();
    loop {
        let config = Arc::clone(&gate.snapshot.load().config);
        match &config.acme {
            Some(acme) => keeper.turn(&gate, &*store, &config, acme).await,
            None => {
                gate.metrics.acme_failing.set(0);
                keeper.show_nothing(&gate);
            }
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// What is kept from one look to the next.
#[derive(Default)]
struct Keeper {
    /// When the CA is asked next when it wants the certificate renewed.
    ask_at: Option<Instant>,
    /// What it suggested: of which certificate, from when to when, and the moment chosen from that.
    suggested: Option<(CertificateIdentifier<'static>, (i64, i64), Timestamp)>,
    /// What the other nodes gave that was taken already, or is not better than what there is.
    given: Option<String>,
    /// What they gave that could not be taken.
    untaken: Option<Untaken>,
    /// What is shown to the CA for another node.
    shows: Vec<(Host, [u8; 32])>,
    /// Why what the nodes share cannot be taken, as it was said last.
    deaf: Option<String>,
    /// The certificate that is kept, as it was read last.
    seen: Option<Seen>,
    /// Whether it was looked what a stop left in the DNS.
    has_tidied: bool,
}

/// A certificate that was read, and what its file looked like before; for which names.
struct Seen {
    stamps: Stamps,
    names: Vec<AcmeName>,
    held: Held,
}

/// What another node gave that could not be taken.
struct Untaken {
    given: String,
    problem: String,
    again_at: Instant,
}

/// The certificate that was ordered last.
#[derive(Clone)]
struct Held {
    life: Life,
    fingerprint: Option<Fingerprint>,
    is_for_all_names: bool,
    id: Option<CertificateIdentifier<'static>>,
}

impl Held {
    /// Reads it where nobody but whoever asked waits for the disk.
    async fn look(acme: &Acme, files: &CertificateFiles, at: Timestamp) -> Result<Self, String> {
        let (names, files) = (acme.names.clone(), files.clone());
        let looked = tokio::task::spawn_blocking(move || Self::read(&names, &files, at)).await;
        looked.map_err(|error| error.to_string())?
    }

    /// Nothing where it cannot be used.
    fn read(names: &[AcmeName], files: &CertificateFiles, at: Timestamp) -> Result<Self, String> {
        let loaded = ServerCertificates::load(std::slice::from_ref(files), at)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let life = loaded.lives().into_iter().next().ok_or("there is none")?;
        let is_for = |name: &AcmeName| match name {
            AcmeName::Host(host) => loaded.covers(host),
            // Any host below will do.
            AcmeName::Below(parent) => Host::parse(&format!("acme.{parent}")).is_ok_and(|host| loaded.covers(&host)),
        };
        let own = CertificateDer::from_pem_file(&files.certificate).ok();
        let id = own.and_then(|own| CertificateIdentifier::try_from(&own).ok().map(CertificateIdentifier::into_owned));
        let fingerprint = loaded.shown_from(&files.certificate);
        Ok(Self { life, fingerprint, is_for_all_names: names.iter().all(is_for), id })
    }

    fn is_in_force(&self, at: Timestamp) -> bool {
        (self.life.starts_at..=self.life.ends_at).contains(&at)
    }

    /// When it is renewed, as far as the CA suggests nothing else.
    fn due_at(&self, suggested: Option<Timestamp>) -> Timestamp {
        let life = self.life.ends_at.since(self.life.starts_at);
        let with_left = |part: u32| self.life.starts_at.after(life - life / part);
        match suggested {
            Some(suggested) => {
                let kept_until = self.life.starts_at.after(KEPT_AT_LEAST.min(life / KEPT_AT_LEAST_PART));
                suggested.max(kept_until).min(with_left(RENEWED_WITH))
            }
            None => with_left(RENEWED_IN_THE_LAST),
        }
    }
}

impl Keeper {
    async fn turn(&mut self, gate: &Gate, store: &dyn Store, config: &Config, acme: &Acme) {
        let (kept, at) = (Kept::of(acme), gate.clock.now());
        if !std::mem::replace(&mut self.has_tidied, true) {
            proof::withdraw_left(acme, &kept).await;
        }
        let mut is_given = true;
        if config.nodes.is_some() {
            match self.hear(gate, store, acme, &kept).await {
                Ok(given) => (is_given, self.deaf) = (given, None),
                Err(problem) if self.deaf.as_ref() == Some(&problem) => {}
                Err(problem) => {
                    tracing::warn!(problem, "what the nodes share of certificates cannot be taken");
                    self.deaf = Some(problem);
                }
            }
        }
        let held = self.held(acme, &kept, at).await;
        if let Some(held) = &held {
            show_what_is_kept(gate, &kept, held, at).await;
        }
        let held = held.filter(|held| held.is_for_all_names);
        let due = match &held {
            Some(held) => at >= held.due_at(self.suggested_for(held)),
            None => true,
        };
        let mut tries = kept.tries().await;
        if !due && tries.failures > 0 && !tries.waits(acme, at) {
            // What failed is over: another node ordered, the clock was put right, or somebody else mended it.
            tries = Tries::default();
            if let Err(error) = kept.keep_tries(&tries).await {
                tracing::error!(%error, "how ordering went cannot be kept");
            }
        }
        if config.nodes.is_some() && !gate.nodes.leads() {
            gate.metrics.acme_failing.set(i64::from(self.untaken.is_some()));
            return;
        }
        gate.metrics.acme_failing.set(i64::from(tries.failures > 0));
        if tries.waits(acme, at) {
            return;
        }
        if due {
            self.order(gate, store, config, acme, &kept, held).await;
        } else if !is_given {
            // It was ordered before there were others.
            give(gate, store, acme, &kept).await;
        } else if let Some(held) = held
            && self.ask_at.is_none_or(|ask_at| ask_at <= Instant::now())
        {
            self.ask(config, acme, &kept, &held).await;
        }
    }

    /// The certificate that is kept, if it can be used; its file is read only where it looks another than before.
    async fn held(&mut self, acme: &Acme, kept: &Kept, at: Timestamp) -> Option<Held> {
        let (seen, names, files) = (self.seen.take(), acme.names.clone(), kept.certificate());
        let look = move || {
            let stamps = Stamps::of(std::slice::from_ref(&files.certificate));
            let seen = seen.filter(|seen| seen.stamps == stamps && seen.names == names);
            seen.or_else(|| {
                let held = Held::read(&names, &files, at).ok()?;
                Some(Seen { stamps, names, held })
            })
        };
        // What broke off is looked at anew.
        self.seen = tokio::task::spawn_blocking(look).await.ok().flatten();
        self.seen.as_ref().map(|seen| &seen.held).filter(|held| held.is_in_force(at)).cloned()
    }

    fn suggested_for(&self, held: &Held) -> Option<Timestamp> {
        let (id, _, chosen) = self.suggested.as_ref()?;
        (Some(id) == held.id.as_ref()).then_some(*chosen)
    }

    /// Orders a certificate and takes it into use.
    async fn order(
        &mut self,
        gate: &Gate,
        store: &dyn Store,
        config: &Config,
        acme: &Acme,
        kept: &Kept,
        before: Option<Held>,
    ) {
        let tries = kept.tries().await;
        // A CA that does not want it said that one takes another's place refuses the order: the next is without.
        let is_first_try = tries.failures == 0;
        let suggested = before.as_ref().and_then(|held| self.suggested_for(held));
        let replaces = before.and_then(|held| held.id).filter(|_| is_first_try && suggested.is_some());
        let client = match Client::new(acme, &config.forbidden_upstreams) {
            Ok(client) => client,
            Err(reason) => return failed(gate, acme, kept, tries, &reason, None).await,
        };
        // Before anything is asked: a service that is started again and again in the midst of it asks less and less.
        if let Err(error) = kept.keep_tries(&tries.clone().begun(acme, gate.clock.now())).await {
            return failed(gate, acme, kept, tries, &Trouble::from(error).words(), None).await;
        }
        let mut stage = Stage::new(gate, store, acme, kept);
        let ordering = async {
            let account = order::account(acme, kept, &client).await?;
            order::order(&account, acme, replaces, &mut stage).await
        };
        let ordered = tokio::time::timeout(ORDER_TIMEOUT, ordering).await;
        stage.withdraw().await;
        let ordered = ordered.unwrap_or_else(|_| {
            Err(Trouble::Other(format!("the order did not end within {} minutes", ORDER_TIMEOUT.as_secs() / 60)))
        });
        if !is_wanted(gate, acme) {
            tracing::info!(ca = acme.authority(), "[acme] was changed during an order; what came of it is left");
            if let Err(error) = kept.keep_tries(&tries).await {
                tracing::error!(%error, "how ordering went cannot be kept");
            }
            return;
        }
        let taken = match ordered {
            Ok(ordered) => take(gate, acme, kept, &ordered.text()).await,
            Err(trouble) => Err(trouble),
        };
        let held = match taken {
            Ok(held) => held,
            Err(trouble) => {
                if matches!(trouble, Trouble::UnknownAccount)
                    && let Err(error) = kept.put_account_aside().await
                {
                    tracing::error!(%error, "the account that the CA does not know cannot be put aside");
                }
                return failed(gate, acme, kept, tries, &trouble.words(), client.take_wait()).await;
            }
        };
        (self.ask_at, self.suggested) = (None, None);
        gate.metrics.acme_orders.inc();
        if held.due_at(None) <= gate.clock.now() {
            // It is shown, but not renewed at once again: the CA's clock, or this one's, is wrong.
            let reason = "the certificate that came is to be renewed already; look at the clock";
            return failed(gate, acme, kept, tries, reason, None).await;
        }
        if let Err(error) = kept.keep_tries(&Tries::default()).await {
            tracing::error!(%error, "how ordering went cannot be kept");
        }
        gate.metrics.acme_failing.set(0);
        if config.nodes.is_some() {
            give(gate, store, acme, kept).await;
        }
    }

    /// Asks the CA when it wants the certificate renewed (ARI, RFC 9773). That it does not say is no failure.
    async fn ask(&mut self, config: &Config, acme: &Acme, kept: &Kept, held: &Held) {
        self.ask_at = Some(Instant::now() + *ASK_AGAIN.start());
        let Some(id) = &held.id else { return };
        let asked = async {
            let client = Client::new(acme, &config.forbidden_upstreams).map_err(Trouble::Other)?;
            Ok::<_, Trouble>(order::account(acme, kept, &client).await?.renewal_info(id).await?)
        };
        match asked.await {
            Ok((info, again)) => {
                self.ask_at = Some(Instant::now() + again.clamp(*ASK_AGAIN.start(), *ASK_AGAIN.end()));
                let window = (info.suggested_window.start.unix_timestamp(), info.suggested_window.end.unix_timestamp());
                let is_new = self.suggested.as_ref().is_none_or(|(of, before, _)| of != id || *before != window);
                if is_new && let Some(chosen) = choose(window) {
                    self.suggested = Some((id.clone(), window, chosen));
                }
            }
            Err(trouble) => tracing::debug!(why = trouble.words(), "the CA does not say when to renew"),
        }
    }

    /// Takes what the node gave that orders, and shows what it says. Tells whether anything was given.
    async fn hear(&mut self, gate: &Gate, store: &dyn Store, acme: &Acme, kept: &Kept) -> Result<bool, String> {
        // Neither keeps the other from being heard.
        let shown = self.show(gate, store, acme).await;
        let given = self.take_given(gate, store, acme, kept).await?;
        shown.map(|()| given)
    }

    async fn show(&mut self, gate: &Gate, store: &dyn Store, acme: &Acme) -> Result<(), String> {
        if gate.nodes.leads() {
            self.show_nothing(gate);
            return Ok(());
        }
        let to_show = match shared::to_show(store, &gate.assertions, acme, gate.clock.now()).await {
            Ok(to_show) => to_show,
            Err(problem) => {
                self.show_nothing(gate);
                return Err(format!("what is to be shown to the CA {problem}"));
            }
        };
        if to_show != self.shows {
            gate.certificates.show_proofs(&to_show).map_err(|problem| problem.to_string())?;
            self.shows = to_show;
        }
        Ok(())
    }

    /// Shows nothing for another node any more.
    fn show_nothing(&mut self, gate: &Gate) {
        if std::mem::take(&mut self.shows).is_empty() {
            return;
        }
        if let Err(problem) = gate.certificates.show_proofs(&[]) {
            tracing::warn!(%problem, "what was shown to the CA is shown on");
        }
    }

    async fn take_given(&mut self, gate: &Gate, store: &dyn Store, acme: &Acme, kept: &Kept) -> Result<bool, String> {
        let given = shared::given(store).await?;
        if given == self.given {
            self.untaken = None;
            return Ok(given.is_some());
        }
        let Some(given) = given else {
            (self.given, self.untaken) = (None, None);
            return Ok(false);
        };
        if let Some(untaken) = &self.untaken
            && untaken.given == given
            && Instant::now() < untaken.again_at
        {
            return Err(untaken.problem.clone());
        }
        match take_shared(gate, acme, kept, &given).await {
            Ok(()) => {
                (self.given, self.untaken) = (Some(given), None);
                Ok(true)
            }
            Err(problem) => {
                let again_at = Instant::now() + TAKE_AGAIN_AFTER;
                self.untaken = Some(Untaken { given, problem: problem.clone(), again_at });
                Err(problem)
            }
        }
    }
}

/// Takes what another node ordered, if it is newer than what there is.
async fn take_shared(gate: &Gate, acme: &Acme, kept: &Kept, given: &str) -> Result<(), String> {
    let shared = shared::open(&gate.assertions, given)?;
    let at = gate.clock.now();
    let own = Held::look(acme, &kept.certificate(), at).await.ok().filter(|held| held.is_for_all_names);
    let beside = kept.lay_beside(&shared.certificate).await.map_err(|error| error.to_string())?;
    let theirs = Held::look(acme, &beside, at).await;
    kept.drop_beside(&beside).await;
    // Not the one that ends later: a CA that calls a certificate back may give a shorter one for it.
    let age = |held: &Held| (held.life.starts_at, held.life.ends_at);
    let theirs = theirs?;
    if own.is_some_and(|own| age(&own) >= age(&theirs)) {
        return Ok(());
    }
    if shared.account.is_of(acme) {
        kept.keep_account(&shared.account).await.map_err(|error| error.to_string())?;
    }
    let taken = take(gate, acme, kept, &shared.certificate).await;
    taken.map(|_| ()).map_err(|trouble| trouble.words())
}

/// Whether an order is still what the configuration means: it may have been changed while it was under way.
fn is_wanted(gate: &Gate, acme: &Acme) -> bool {
    gate.snapshot.load().config.acme.as_ref().is_some_and(|now| kept::is_same_order(now, acme))
}

/// Shows the certificate that is kept where another is shown: what came may not have been shown at once.
async fn show_what_is_kept(gate: &Gate, kept: &Kept, held: &Held, at: Timestamp) {
    let files = kept.certificate();
    if gate.certificates.shown_from(&files.certificate) == held.fingerprint {
        return;
    }
    match show_alone(gate, files, at).await {
        Ok(()) => tracing::info!(ends_at = %held.life.ends_at, "the certificate that was ordered is shown"),
        Err(problem) => tracing::warn!(problem, "the certificate that was ordered cannot be shown"),
    }
}

/// Shows it from the next handshake on. Alone: neither a configuration nor another certificate that cannot be used just now
/// keeps it from being shown.
async fn show_alone(gate: &Gate, files: CertificateFiles, at: Timestamp) -> Result<(), String> {
    let certificates = Arc::clone(&gate.certificates);
    let shown = tokio::task::spawn_blocking(move || certificates.replace(&files, at)).await;
    shown.map_err(|error| error.to_string())?.map_err(|problem| problem.to_string())
}

/// Gives the other nodes what was ordered.
async fn give(gate: &Gate, store: &dyn Store, acme: &Acme, kept: &Kept) {
    let read = async || -> std::io::Result<Option<Shared>> {
        let (account, certificate) = (kept.account(acme).await?, kept.certificate_text().await?);
        Ok(account.zip(certificate).map(|(account, text)| Shared { account, certificate: text.to_string() }))
    };
    let given = match read().await {
        Ok(Some(shared)) => shared::give(store, &gate.assertions, &shared).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(problem) = given {
        tracing::error!(problem, "the other nodes are not given the certificate");
    }
}

/// Looks at a certificate that came, records it, and shows it from now on.
async fn take(gate: &Gate, acme: &Acme, kept: &Kept, text: &str) -> Result<Held, Trouble> {
    let at = gate.clock.now();
    let beside = kept.lay_beside(text).await?;
    let held = Held::look(acme, &beside, at).await.map_err(|problem| format!("what came cannot be used: {problem}"))?;
    if !held.is_for_all_names {
        return Err(Trouble::Other("the certificate that came is not for all names that were ordered".to_owned()));
    }
    let mut note = Note::new(Event::CertificateOrdered, at);
    note.source = Some(acme.authority().to_owned());
    note.count = Some(held.life.ends_at.since(at).as_secs() / 86_400);
    if let Err(problem) = gate.log.recorder().note(note).await {
        tracing::error!(%problem, "a certificate that was ordered could not be recorded");
    }
    kept.put_in_place(&beside).await?;
    if is_wanted(gate, acme) {
        show_alone(gate, kept.certificate(), at).await?;
    }
    tracing::info!(ca = acme.authority(), ends_at = %held.life.ends_at, "a certificate that was ordered is shown");
    Ok(held)
}

/// Notes that it failed; the alarm that says so is raised by whoever looks at the gateway.
async fn failed(gate: &Gate, acme: &Acme, kept: &Kept, before: Tries, reason: &str, asked_to_wait: Option<Duration>) {
    let tries = before.failed(acme, gate.clock.now(), reason, asked_to_wait);
    gate.metrics.acme_failing.set(1);
    gate.metrics.acme_orders_failed.inc();
    tracing::error!(
        ca = acme.authority(),
        reason = tries.reason,
        again_at = %tries.next_at(),
        "no certificate could be ordered; what there is is shown on"
    );
    if let Err(error) = kept.keep_tries(&tries).await {
        tracing::error!(%error, "how ordering went cannot be kept");
    }
}

/// A moment at random of what the CA suggests, so that not all of its customers come at once.
fn choose((start, end): (i64, i64)) -> Option<Timestamp> {
    let span = u64::try_from(end.checked_sub(start)?).ok()?;
    let into = clock::random_u64().ok()? % span.saturating_add(1).max(1);
    let second = start.saturating_add(i64::try_from(into).ok()?);
    Some(Timestamp::from_unix_micros(second.saturating_mul(1_000_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn held(days: u32) -> Held {
        let starts_at = Timestamp::from_unix_micros(1_800_000_000_000_000);
        let life = Life { file: String::new(), starts_at, ends_at: starts_at.after(DAY * days) };
        Held { life, fingerprint: None, is_for_all_names: true, id: None }
    }

    /// A folder that is removed however the test ends.
    struct Folder(std::path::PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[tokio::test]
    async fn a_kept_certificate_is_read_again_where_its_file_changed_and_counts_in_its_time() {
        let folder = Folder(std::env::temp_dir().join(format!("sekimori-acme-held-{}", std::process::id())));
        std::fs::create_dir_all(&folder.0).unwrap();
        let acme = |name: &str| Acme {
            directory: "https://acme.test/directory".to_owned(),
            ca_file: None,
            contact: Vec::new(),
            names: vec![AcmeName::parse(name).unwrap()],
            proof: config::AcmeProof::Tls,
            external_account: None,
            folder: folder.0.clone(),
        };
        let at = Timestamp::from_unix_micros(1_800_000_000_000_000);
        let (emr, kept) = (acme("emr.test"), Kept::of(&acme("emr.test")));
        let issued = certs::ServerCa::create("CA", at).unwrap().issue(&["emr.test"], at, DAY * 90).unwrap();
        let text = format!("{}{}", issued.certificate_pem, issued.key_pem.expose());
        let beside = kept.lay_beside(&text).await.unwrap();
        kept.put_in_place(&beside).await.unwrap();
        let mut keeper = Keeper::default();
        let day = |days: u32| at.after(DAY * days);
        assert!(keeper.held(&emr, &kept, day(1)).await.is_some_and(|held| held.is_for_all_names));
        assert!(keeper.held(&emr, &kept, day(91)).await.is_none(), "it has ended");
        assert!(keeper.held(&acme("pacs.test"), &kept, day(1)).await.is_some_and(|held| !held.is_for_all_names));
        assert!(keeper.held(&emr, &kept, day(1)).await.is_some_and(|held| held.is_for_all_names));
        // Nobody reads a file that looks as before; one that looks otherwise is read.
        let file = kept.certificate().certificate;
        let written = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::write(&file, "x".repeat(text.len())).unwrap();
        let set = |time| std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        set(written);
        assert!(keeper.held(&emr, &kept, day(1)).await.is_some());
        set(written + Duration::from_secs(1));
        assert!(keeper.held(&emr, &kept, day(1)).await.is_none());
        std::fs::write(&file, &text).unwrap();
        assert!(keeper.held(&emr, &kept, day(1)).await.is_some());
    }

    #[test]
    fn a_certificate_is_renewed_with_a_third_of_its_life_left() {
        let held = held(90);
        assert_eq!(held.due_at(None), held.life.starts_at.after(DAY * 60));
    }

    #[test]
    fn what_the_ca_suggests_counts_but_never_until_it_is_late() {
        let held = held(90);
        let day = |day: u32| held.life.starts_at.after(DAY * day);
        assert_eq!(held.due_at(Some(day(3))), day(3), "a CA that must take certificates back says so by this");
        assert_eq!(held.due_at(Some(day(89))), day(72));
        let long_ago = Timestamp::from_unix_micros(0);
        assert_eq!(held.due_at(Some(long_ago)), day(1), "or it would order one after the other");
    }

    #[test]
    fn a_moment_is_chosen_within_what_the_ca_suggests() {
        for _ in 0..100 {
            let chosen = choose((1_000, 1_010)).unwrap().unix_seconds();
            assert!((1_000..=1_010).contains(&chosen), "{chosen}");
        }
        assert_eq!(choose((7, 7)).unwrap().unix_seconds(), 7);
        assert_eq!(choose((8, 7)), None);
        assert_eq!(choose((i64::MIN, i64::MAX)), None, "no nonsense either");
    }
}

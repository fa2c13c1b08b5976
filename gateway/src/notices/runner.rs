//! One receiver's life: read what happened, tell what it asked for, in order; whoever is out of reach is told later, after
//! longer waits, and what cannot be told for a day is given up and shown so. Nothing here is on the way of a request.

use std::sync::Arc;
use std::time::Duration;

use config::MailAddress;
use policy::NoticeId;
use store::{Event, Store};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use web::{NoticeEnd, NoticeLate, NoticeResult, NoticeStanding, Told, WordBook};

use super::senders::{Sender, Sent, Trouble};
use super::tell;
use crate::clock;
use crate::feed::Backoff;
use crate::gate::Gate;

/// How long to wait for news.
const WAIT: Duration = Duration::from_secs(1);
/// How many events are read at once.
const EVENTS_MAX: usize = 256;
/// How many events without a notice may pass before it is kept that they did.
const UNKEPT_MAX: u64 = 1_024;
/// How long a notice is tried before it is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// The same where the receiver refuses it: long enough to mend a setting, and no longer, as others wait behind it.
const GIVE_UP_REFUSED_AFTER: Duration = Duration::from_secs(15 * 60);

/// Tells one receiver until it is taken out of the configuration.
#[derive(Debug)]
pub struct Runner {
    /// What all share.
    pub gate: Arc<Gate>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The words.
    pub book: Arc<WordBook>,
    /// Which receiver.
    pub id: NoticeId,
}

impl Runner {
    /// Runs it.
    pub async fn run(self) {
        let mut changed = self.gate.changed.subscribe();
        let Some(mut standing) = self.begin(&mut changed).await else { return };
        let mut kept = standing.dealt_with;
        self.gate.metrics.notices.show_waiting(&self.id, standing.waiting.is_some());
        while self.sender().is_some() {
            self.tell_late(&mut standing, &mut kept).await;
            let events = self.store.events_after(standing.dealt_with, EVENTS_MAX).await.unwrap_or_default();
            if events.is_empty() {
                wait(&mut changed).await;
                continue;
            }
            for event in &events {
                if !self.deal_with(event, &mut standing, &mut kept).await {
                    return;
                }
            }
            if standing.dealt_with.saturating_sub(kept) > UNKEPT_MAX {
                self.keep(&standing, &mut kept).await;
            }
        }
    }

    fn sender(&self) -> Option<Arc<Sender>> {
        self.gate.snapshot.load().senders.find(&self.id).cloned()
    }

    /// Where it stands. Who is new begins with what happens from now on, and so does whose standing cannot be read.
    async fn begin(&self, changed: &mut watch::Receiver<u64>) -> Option<NoticeStanding> {
        loop {
            self.sender()?;
            match self.standing().await {
                Ok(standing) => return Some(standing),
                Err(problem) => {
                    tracing::warn!(notice = %self.id, %problem, "it is not known how far somebody was notified");
                    wait(changed).await;
                }
            }
        }
    }

    async fn standing(&self) -> Result<NoticeStanding, store::StoreProblem> {
        if let Some(note) = self.store.note(&NoticeStanding::key(&self.id)).await? {
            match NoticeStanding::read(&note) {
                Ok(standing) => return Ok(standing),
                Err(problem) => {
                    tracing::error!(notice = %self.id, problem, "what became of notices cannot be read; beginning anew");
                }
            }
        }
        let mut last = crate::record::recorded_up_to(&*self.store).await?;
        loop {
            let events = self.store.events_after(last, EVENTS_MAX).await?;
            match events.last() {
                Some(event) => last = event.sequence,
                None => break,
            }
        }
        let (standing, mut kept) = (NoticeStanding::after(last), 0);
        self.keep(&standing, &mut kept).await;
        Ok(standing)
    }

    /// Tells of an event where it is one to be told. False where nobody is to be told any more.
    async fn deal_with(&self, event: &Event, standing: &mut NoticeStanding, kept: &mut u64) -> bool {
        let mut backoff = Backoff::new();
        let told = loop {
            match tell::told(event, &*self.store).await {
                Ok(told) => break told,
                Err(problem) => {
                    tracing::warn!(notice = %self.id, %problem, "what is to be told cannot be read yet");
                    if self.sender().is_none() {
                        return false;
                    }
                    sleep(backoff.wait(clock::random_u64().unwrap_or(0))).await;
                }
            }
        };
        let mut backoff = Backoff::new();
        loop {
            let Some(sender) = self.sender() else { return false };
            let Some(told) =
                told.as_ref().filter(|told| told.event.is_some_and(|event| sender.notice.events.contains(&event)))
            else {
                standing.dealt_with = event.sequence;
                // What waited is not asked for any more.
                if standing.waiting.take().is_some() {
                    self.gate.metrics.notices.show_waiting(&self.id, false);
                    self.keep(standing, kept).await;
                }
                return true;
            };
            let sent = self.send(&sender, told, event.sequence, None).await;
            let is_over = self.note(told, event, sent, standing);
            self.keep(standing, kept).await;
            if is_over {
                return true;
            }
            // Without dice everybody waits as long as they would at least.
            sleep(backoff.wait(clock::random_u64().unwrap_or(0))).await;
        }
    }

    /// Tries addresses again that put an earlier notice off while others took it: one notice, so that nobody else waits
    /// long for them.
    async fn tell_late(&self, standing: &mut NoticeStanding, kept: &mut u64) {
        let at = self.gate.clock.now();
        let Some(late) = standing.late.iter().find(|late| late.is_due(at)).cloned() else { return };
        let (left, problem) = match self.try_late(&late).await {
            Some(Ok(sent)) => (sent.later.iter().map(ToString::to_string).collect(), sent.left_out),
            Some(Err(Trouble::Later(words))) => (late.to, Some(words)),
            Some(Err(Trouble::Refused(words))) => (Vec::new(), Some(words)),
            // Nobody asks for it any more.
            None => (Vec::new(), None),
        };
        if !left.is_empty() {
            self.gate.metrics.notices.note_late_failure(&self.id);
        }
        standing.note_late_attempt(late.sequence, left, problem, self.gate.clock.now());
        self.keep(standing, kept).await;
    }

    /// Nothing where such a notice is not to be sent any more, or not to any of these addresses.
    async fn try_late(&self, late: &NoticeLate) -> Option<Result<Sent, Trouble>> {
        let sender = self.sender()?;
        let to = sender.addresses_among(&late.to);
        let read = async {
            let events = self.store.events_after(late.sequence.saturating_sub(1), 1).await?;
            let event = events.into_iter().find(|event| event.sequence == late.sequence);
            match &event {
                Some(event) => tell::told(event, &*self.store).await,
                None => Ok(None),
            }
        };
        let told = match read.await {
            Ok(told) => told?,
            Err(problem) => return Some(Err(Trouble::Later(problem.to_string()))),
        };
        if to.is_empty() || !told.event.is_some_and(|event| sender.notice.events.contains(&event)) {
            return None;
        }
        Some(self.send(&sender, &told, late.sequence, Some(&to)).await)
    }

    async fn send(
        &self,
        sender: &Sender,
        told: &Told,
        sequence: u64,
        only: Option<&[MailAddress]>,
    ) -> Result<Sent, Trouble> {
        let snapshot = self.gate.snapshot.load_full();
        let number = format!("notice-{}-{sequence}", self.id);
        sender.send(told, &number, only, &self.book, &snapshot.config, &snapshot.dialer).await
    }

    /// Notes what came of an attempt. True where the notice is sent, or given up.
    fn note(&self, told: &Told, event: &Event, sent: Result<Sent, Trouble>, standing: &mut NoticeStanding) -> bool {
        let (at, counts) = (self.gate.clock.now(), &self.gate.metrics.notices);
        let waited = standing.waiting.as_ref().filter(|waiting| waiting.sequence == event.sequence);
        let attempts = waited.map_or(0, |waiting| waiting.attempts).saturating_add(1);
        let result = |end, problem| NoticeResult {
            sequence: event.sequence,
            event: told.code().to_owned(),
            happened_at: event.at,
            at,
            end,
            attempts,
            problem,
        };
        let trouble = match sent {
            Ok(sent) => {
                counts.note_sent(&self.id);
                if attempts > 1 {
                    tracing::info!(notice = %self.id, "somebody can be notified again");
                }
                standing.note_end(result(NoticeEnd::Sent, sent.left_out));
                if !sent.later.is_empty() {
                    let to = sent.later.iter().map(ToString::to_string).collect();
                    standing.note_late(NoticeLate::new(event.sequence, to, at));
                }
                return true;
            }
            Err(trouble) => trouble,
        };
        counts.note_failure(&self.id);
        if attempts == 1 {
            tracing::warn!(notice = %self.id, problem = trouble.words(), "somebody cannot be notified");
        }
        standing.note_failure(event.sequence, told.code(), trouble.words(), at);
        let since = standing.waiting.as_ref().map_or(at, |waiting| waiting.since);
        if at.since(since) < patience(&trouble) {
            return false;
        }
        counts.note_given_up(&self.id);
        tracing::error!(notice = %self.id, event = told.code(), problem = trouble.words(), "a notice is given up");
        standing.note_end(result(NoticeEnd::GivenUp, Some(trouble.words().to_owned())));
        true
    }

    async fn keep(&self, standing: &NoticeStanding, kept: &mut u64) {
        match self.store.set_note(&NoticeStanding::key(&self.id), standing.write()).await {
            Ok(()) => *kept = standing.dealt_with,
            Err(problem) => {
                tracing::warn!(notice = %self.id, %problem, "what became of a notice could not be kept; it may be sent twice");
            }
        }
    }
}

/// How long a notice is tried again.
fn patience(trouble: &Trouble) -> Duration {
    match trouble {
        Trouble::Later(_) => GIVE_UP_AFTER,
        Trouble::Refused(_) => GIVE_UP_REFUSED_AFTER,
    }
}

/// Waits for news; time to look comes all the same.
async fn wait(changed: &mut watch::Receiver<u64>) {
    if let Ok(Err(_)) = timeout(WAIT, changed.changed()).await {
        // The gate is gone, and soon so are we.
        sleep(WAIT).await;
    }
}

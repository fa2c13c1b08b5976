//! One thread that serves: its runtime, its accept loops, its pools and books. Workers share nothing on the way of a
//! request but read-only snapshots.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Event, Note, Recorder};
use identity::Current;
use policy::{Access, Judge, Permit, Reason, Timestamp, Verdict};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::{MissedTickBehavior, interval};

use crate::caps::{self, Said};
use crate::connection::ConnectionBook;
use crate::exchange::{Again, Ended, OpenBook};
use crate::gate::Gate;
use crate::http1::Dates;
use crate::late::Late;
use crate::listen::Arrivals;
use crate::refuse::Searches;
use crate::rush::Rush;
use crate::shadow::ShadowJudge;
use crate::snapshot::Snapshot;
use crate::turns::Turns;
use crate::upstream::pool::Pool;

/// How often a worker looks over its connections and open exchanges.
const SWEEP_INTERVAL: Duration = Duration::from_millis(250);
/// A request that has no answer after this is entered in the book, and judged again while it waits.
const TAKES_LONG: Duration = Duration::from_millis(200);
/// At the latest after this an open exchange is judged again, whatever its rule says: whether its session stands idle
/// is no fact that rings.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// How many forms of ended sessions a worker reads at once.
const KEPT_FORMS_MAX: usize = 16;

/// One thread's share of the gateway.
#[derive(Debug)]
pub struct Worker {
    /// What all workers share.
    pub gate: Arc<Gate>,
    /// Writes records.
    pub recorder: Recorder,
    /// Waiting connections to upstreams.
    pub pool: Rc<Pool>,
    /// Exchanges that take long.
    pub open: Rc<OpenBook>,
    /// Requests whose answer has not begun.
    pub late: Late,
    /// The date on answers over HTTP/1.
    pub dates: Dates,
    /// Client connections.
    pub connections: Rc<ConnectionBook>,
    /// Bounds the forms that are read to be kept in their browsers.
    pub kept_forms: Semaphore,
    /// Bounds the refusals that are searched for what would help.
    pub searches: Searches,
    /// Connections that are not in their book yet.
    pub arrivals: Arrivals,
    /// Lets handshakes take turns.
    pub turns: Turns,
    /// Tells whether more is asked than can be done.
    pub rush: Rush,
    /// Which of the workers this is.
    number: usize,
    judge: RefCell<Judge>,
    shadow: ShadowJudge,
}

impl Worker {
    /// A worker of this gateway, by its number.
    pub fn new(gate: Arc<Gate>, number: usize) -> Self {
        let judge = RefCell::new(Judge::new(Arc::clone(&gate.snapshot.load().policy)));
        Self {
            recorder: gate.log.recorder(),
            pool: Rc::new(Pool::default()),
            open: Rc::new(OpenBook::new(Arc::clone(&gate.open_now))),
            late: Late::default(),
            dates: Dates::default(),
            connections: Rc::new(ConnectionBook::default()),
            kept_forms: Semaphore::new(KEPT_FORMS_MAX),
            searches: Searches::default(),
            arrivals: Arrivals::default(),
            turns: Turns::default(),
            rush: Rush::default(),
            number,
            judge,
            shadow: ShadowJudge::default(),
            gate,
        }
    }

    /// Judges an access by the snapshot's policy.
    pub fn judge<T>(&self, snapshot: &Snapshot, access: Access, act: T) -> Verdict<T> {
        let mut judge = self.judge.borrow_mut();
        if !Arc::ptr_eq(judge.policy(), &snapshot.policy) {
            *judge = Judge::new(Arc::clone(&snapshot.policy));
        }
        judge.judge(access, act)
    }

    /// Asks the shadow, where there is one, and notes on the verdict what it says otherwise.
    pub fn ask_shadow<T>(&self, verdict: &mut Verdict<T>) {
        self.shadow.judge_beside(&self.gate, verdict);
    }

    /// Holds an access that the policy allowed to the bounds of its rule.
    pub fn hold_to_caps<T>(&self, snapshot: &Snapshot, verdict: Verdict<T>) -> Verdict<T> {
        if snapshot.config.return_when_denials_rise.is_some() {
            self.gate.denials.note(&verdict);
        }
        let Verdict::Allow(authorized) = verdict else { return verdict };
        let permit = authorized.permit();
        let Some(caps) = permit.caps() else { return Verdict::Allow(authorized) };
        let access = permit.access();
        let classified = snapshot.policy.classifier(&access.app).classify(&access.method, &access.path);
        let said = self.gate.counts.count(caps, permit, classified.patient.as_deref());
        if let Said::Alarm { is_news } = said {
            self.gate.metrics.caps_exceeded.inc();
            if is_news {
                self.note_exceeded(permit);
            }
        }
        caps::heed(authorized, said)
    }

    /// Tells the operator of a person who goes beyond the bounds of a rule that lets them.
    fn note_exceeded(&self, permit: &Permit) {
        let access = permit.access();
        tracing::warn!(request = %access.request, app = %access.app, rule = %permit.rule(), "beyond the hourly bound of a rule");
        let mut note = Note::new(Event::CapExceeded, access.at).request(access.request).from(&access.from);
        note.app = Some(access.app.clone());
        note = note.code(permit.rule().as_str());
        if let Some(who) = &access.who {
            note = note.who(who);
        }
        let recorder = self.recorder.clone();
        spawn_local(async move {
            if let Err(problem) = recorder.note(note).await {
                tracing::error!(%problem, "an exceeded bound could not be recorded");
            }
        });
    }

    /// Whether an access that was judged some time ago may go on: its record may have taken long to write, and a fact
    /// may have changed meanwhile.
    ///
    /// # Errors
    /// Why not.
    pub fn is_still_allowed(&self, snapshot: &Snapshot, access: &Access) -> Result<(), Ended> {
        let at = self.gate.clock.now();
        if at.since(access.at) < TAKES_LONG {
            return Ok(());
        }
        match self.judge_again(snapshot, access, at)? {
            Again::Until(..) => Ok(()),
            // It has not begun: begun again in a moment it is judged by what is known then.
            Again::Soon => Err(Ended::Gone(Reason::SignInRequired)),
        }
    }

    /// Whether an access that is under way may go on, and until when.
    fn judge_again(&self, snapshot: &Snapshot, access: &Access, at: Timestamp) -> Result<Again, Ended> {
        let mut access = Access { at, ..access.clone() };
        let mut current = None;
        if let Some(who) = &mut access.who {
            // Roles may have changed, and a device's condition: what counts is what is known now.
            let session = match self.gate.sessions.current(who.session, at) {
                Current::Open(session) => session,
                Current::Changing => return Ok(Again::Soon),
                Current::Over => return Err(Ended::Gone(Reason::SignInRequired)),
            };
            *who = Arc::clone(&session.who);
            current = Some(session);
        }
        if let Some(device) = &mut access.device {
            match self.gate.devices.find(&device.certificate, at) {
                identity::DeviceState::Known(known) => *device = known,
                identity::DeviceState::Revoked(_)
                | identity::DeviceState::Expired(_)
                | identity::DeviceState::Unknown => return Err(Ended::Gone(Reason::DeviceRequired)),
            }
        }
        access.grant = match (&access.grant, &access.who) {
            (Some(grant), Some(who)) => self.gate.grants.again(grant, &who.user, at),
            (Some(_) | None, _) => None,
        };
        // Its app's routes may have been classified otherwise since.
        let access = snapshot.policy.classify(&access).into_owned();
        match self.judge(snapshot, access, ()) {
            Verdict::Allow(authorized) => {
                Ok(Again::Until(authorized.permit().until().min(at.after(LOOK_AGAIN)), current))
            }
            Verdict::Challenge(refused, _) | Verdict::Deny(refused) => Err(Ended::Judged(refused.reasons.main)),
        }
    }

    /// Looks after what is open until the worker ends: judges again what is under way when a fact changed or its time
    /// is up, ends what takes too long, lets handshakes take turns and measures how long whoever is ready waits.
    pub async fn look_after(self: Rc<Self>) {
        let (giving, watching, mut beside) = (Rc::clone(&self), Rc::clone(&self), JoinSet::new());
        beside.spawn_local(async move { giving.turns.give().await });
        beside.spawn_local(async move { watching.rush.watch(|| watching.queue_delay_max()).await });
        let mut changed = self.gate.changed.subscribe();
        let mut ticks = interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let all = tokio::select! {
                rung = changed.changed() => {
                    if rung.is_err() {
                        return;
                    }
                    true
                }
                _ = ticks.tick() => false,
                ended = beside.join_next() => return tracing::error!(?ended, "a worker measures nothing any more"),
            };
            self.look_over(all);
        }
    }

    fn look_over(&self, all: bool) {
        self.gate.pulse.beat(self.number);
        let (snapshot, at, now) = (self.gate.snapshot.load_full(), self.gate.clock.now(), Instant::now());
        let limits = &snapshot.config.limits;
        self.open.judge_again(all, at, |access| {
            let judged = self.judge_again(&snapshot, access, at);
            if judged.is_err() {
                self.gate.metrics.revoked.inc();
            }
            judged
        });
        self.open.note_use(|session, device| self.gate.sessions.note_used(session, device, at));
        self.late.sweep(now, TAKES_LONG);
        self.open.sweep(now, limits.body_idle_timeout);
        self.connections.sweep(now, limits.head_timeout, limits.keep_alive_timeout, &self.gate.metrics);
        let in_force = |id| snapshot.routes.apps().any(|route| route.servers.iter().any(|server| server.id == id));
        self.pool.sweep(in_force, now);
        if all {
            self.connections.close_revoked(self, at);
        }
    }

    /// How long whoever is ready may wait for their turn.
    pub fn queue_delay_max(&self) -> Duration {
        self.gate.snapshot.load().config.limits.queue_delay_max
    }

    /// Whether anything is open.
    pub fn is_busy(&self) -> bool {
        self.arrivals.len() + self.connections.len() + self.open.len() > 0
    }
}

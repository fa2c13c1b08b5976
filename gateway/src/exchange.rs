//! One request and its answer while they are under way, and the worker's book of those that take long: uploads,
//! downloads, event streams, tunnels. Whoever is in the book is judged again when a fact changes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use audit::{End, Outcome};
use foldhash::HashMap;
use http::StatusCode;
use identity::Session;
use policy::{Access, Device, From, Reason, Timestamp};
use tokio::sync::Notify;
use web::{OpenEntry, OpenNow};

use crate::places::Held;

/// How a connection is asked to end.
/// From the mildest to the hardest: who was asked for more is not asked for less afterwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum How {
    /// Finish what is open, take one request more where the client cannot be told otherwise, and tell it with the answer.
    Soon,
    /// Finish what is open, take nothing more.
    Gracefully,
    /// At once.
    Now,
}

/// A handle that ends one connection from outside its task.
#[derive(Debug, Default)]
pub struct Cut {
    how: Cell<Option<How>>,
    rung: Notify,
}

impl Cut {
    /// Asks the connection to end.
    pub fn end(&self, how: How) {
        self.how.set(self.how.get().max(Some(how)));
        self.rung.notify_one();
    }

    /// Lets the connection look what is asked of it otherwise.
    pub fn look(&self) {
        self.rung.notify_one();
    }

    /// Waits until the connection is asked to end.
    pub async fn asked(&self) -> How {
        loop {
            self.rung.notified().await;
            if let Some(how) = self.how.get() {
                return how;
            }
        }
    }
}

/// Why an exchange was ended before it was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The answer of the policy changed.
    Judged(Reason),
    /// The session is over or the device revoked.
    Gone(Reason),
    /// The request body stood still.
    Stalled,
    /// The gateway stops.
    Stopped,
}

/// What judging again came to, where it did not end the exchange.
#[derive(Debug)]
pub enum Again {
    /// It may go on until then; its session, as it is now.
    Until(Timestamp, Option<Arc<Session>>),
    /// What is known of its person is being read: judge at the next look.
    Soon,
}

/// One request and its answer.
#[derive(Debug)]
pub struct Exchange {
    /// When it began.
    pub started: Instant,
    /// Bytes of the request body so far.
    pub bytes_in: Cell<u64>,
    /// Bytes of the answer so far.
    pub bytes_out: Cell<u64>,
    /// Whether the request body was read to its end.
    pub request_done: Cell<bool>,
    /// Whether it has no end of its own: a tunnel or an event stream. When the gateway stops, it is told at once.
    pub endless: Cell<bool>,
    /// Whether the person did something in it since the sweeper last looked.
    pub client_acted: Cell<bool>,
    /// Whether an answer has begun: from then on a quiet request half is the protocol's own business.
    pub answered: Cell<bool>,
    /// Whether the answer is over, so that nobody wants the rest of the request body.
    pub over: Cell<bool>,
    /// Since when the request body stands still.
    request_waits_since: Cell<Option<Instant>>,
    ended: Cell<Option<(Ended, Instant)>>,
    wakers: RefCell<[Option<Waker>; 2]>,
    rung: Notify,
    cut: Rc<Cut>,
    /// Its places among what its person and its app have open; given back with it.
    held: RefCell<Option<Held>>,
}

/// Which half of an exchange waits.
#[derive(Clone, Copy, Debug)]
pub enum Half {
    /// The request body.
    Request,
    /// The answer's body.
    Response,
}

impl Exchange {
    /// An exchange that begins on the connection of `cut`.
    pub fn new(started: Instant, cut: Rc<Cut>) -> Self {
        Self {
            started,
            bytes_in: Cell::new(0),
            bytes_out: Cell::new(0),
            request_done: Cell::new(false),
            endless: Cell::new(false),
            client_acted: Cell::new(false),
            answered: Cell::new(false),
            over: Cell::new(false),
            request_waits_since: Cell::new(None),
            ended: Cell::new(None),
            wakers: RefCell::new([None, None]),
            rung: Notify::new(),
            cut,
            held: RefCell::default(),
        }
    }

    /// Holds its places until it is gone.
    pub fn hold(&self, held: Option<Held>) {
        self.held.replace(held);
    }

    /// How it ended, as its record says it: what moved until now, and how long it took.
    pub fn outcome(&self, status: StatusCode, end: End) -> Outcome {
        Outcome {
            status: Some(status.as_u16()),
            end,
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            duration: self.started.elapsed(),
            patients: None,
            said: None,
        }
    }

    /// Why it was ended, if it was.
    pub fn ended(&self) -> Option<Ended> {
        self.ended.get().map(|(why, _)| why)
    }

    /// Waits until it is ended from outside.
    pub async fn until_ended(&self) -> Ended {
        loop {
            if let Some(why) = self.ended() {
                return why;
            }
            self.rung.notified().await;
        }
    }

    /// Notes who to wake when it is ended, and since when the request body waits.
    pub fn waits(&self, half: Half, cx: &Context<'_>) {
        let mut wakers = self.wakers.borrow_mut();
        let [request, response] = &mut *wakers;
        let slot = match half {
            Half::Request => {
                if self.request_waits_since.get().is_none() {
                    self.request_waits_since.set(Some(Instant::now()));
                }
                request
            }
            Half::Response => response,
        };
        match slot {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            Some(_) | None => *slot = Some(cx.waker().clone()),
        }
    }

    /// Whether it is the client's turn to send more of its request.
    pub fn waits_for_client(&self) -> bool {
        self.request_waits_since.get().is_some()
    }

    /// Notes that the request body moved.
    pub fn request_moved(&self) {
        self.request_waits_since.set(None);
    }

    /// Notes that its answer is over; whoever waits for more of the request is woken.
    pub fn let_go(&self) {
        self.over.set(true);
        let waker = self.wakers.borrow_mut().first_mut().and_then(Option::take);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends it; whoever waits for it is woken.
    pub fn end(&self, why: Ended, now: Instant) {
        if self.ended.get().is_some() {
            return;
        }
        self.ended.set(Some((why, now)));
        self.rung.notify_waiters();
        self.rung.notify_one();
        for waker in self.wakers.borrow_mut().iter_mut().filter_map(Option::take) {
            waker.wake();
        }
    }
}

/// The worker's book of exchanges that take long.
#[derive(Debug, Default)]
pub struct OpenBook {
    next: Cell<u64>,
    entries: RefCell<HashMap<u64, Entry>>,
    /// What of it rests on a grant, for the console.
    open_now: Arc<OpenNow>,
}

#[derive(Debug)]
struct Entry {
    exchange: Rc<Exchange>,
    session: Option<Arc<Session>>,
    access: Access,
    until: Timestamp,
    /// Shows it in the console while it is open under a grant.
    shown: Option<OpenEntry>,
}

impl Entry {
    fn goes_on_without_end(&self) -> bool {
        self.exchange.endless.get() && self.exchange.ended.get().is_none()
    }
}

/// Keeps an exchange in the book until dropped.
#[derive(Debug)]
pub struct InBook {
    book: Rc<OpenBook>,
    key: u64,
}

impl InBook {
    /// Notes that it goes on from elsewhere, over a line of its own. It is judged again at the next look, by that.
    pub fn moved(&self, from: From, device: Option<Arc<Device>>) {
        if let Some(entry) = self.book.entries.borrow_mut().get_mut(&self.key) {
            (entry.access.from, entry.access.device) = (from, device);
            entry.until = entry.access.at;
            entry.shown = self.book.open_now.enter(&entry.access);
        }
    }
}

impl Drop for InBook {
    fn drop(&mut self) {
        self.book.entries.borrow_mut().remove(&self.key);
    }
}

/// How long an ended exchange may take to close by itself before its connection is cut.
const ENDED_GRACE: Duration = Duration::from_millis(500);

impl OpenBook {
    /// A book that shows what rests on a grant in this list.
    pub fn new(open_now: Arc<OpenNow>) -> Self {
        Self { open_now, ..Self::default() }
    }

    /// Enters an exchange. It is judged again at the next look: a fact may have changed since it was judged first.
    pub fn enter(self: &Rc<Self>, exchange: Rc<Exchange>, session: Option<Arc<Session>>, access: Access) -> InBook {
        let (until, shown) = (access.at, self.open_now.enter(&access));
        let key = self.next.get();
        self.next.set(key.wrapping_add(1));
        self.entries.borrow_mut().insert(key, Entry { exchange, session, access, until, shown });
        InBook { book: Rc::clone(self), key }
    }

    /// Judges exchanges again: all of them when a fact changed, else those whose time is up. `judge` answers until
    /// when it may go on, or why not.
    pub fn judge_again(&self, all: bool, at: Timestamp, mut judge: impl FnMut(&Access) -> Result<Again, Ended>) {
        let now = Instant::now();
        for entry in self.entries.borrow_mut().values_mut() {
            if !(all || entry.until <= at) || entry.exchange.ended.get().is_some() {
                continue;
            }
            match judge(&entry.access) {
                Ok(Again::Until(until, session)) => {
                    entry.until = until;
                    // Held in place of the one before: what nobody holds leaves the memory.
                    entry.session = session.or(entry.session.take());
                }
                Ok(Again::Soon) => entry.until = at,
                Err(why) => entry.exchange.end(why, now),
            }
        }
    }

    /// Notes the use of sessions whose person did something in a long exchange.
    pub fn note_use(&self, note: impl Fn(&Session, Option<&Device>)) {
        for entry in self.entries.borrow().values() {
            if entry.exchange.client_acted.take()
                && let Some(session) = &entry.session
            {
                note(session, entry.access.device.as_deref());
            }
        }
    }

    /// Ends all that is open because the gateway stops.
    pub fn stop(&self) {
        let now = Instant::now();
        self.entries.borrow().values().for_each(|entry| entry.exchange.end(Ended::Stopped, now));
    }

    /// Ends so many of those that have no end of their own, because the gateway stops.
    pub fn tell(&self, most: usize) {
        let now = Instant::now();
        let entries = self.entries.borrow();
        let endless = entries.values().filter(|entry| entry.goes_on_without_end()).take(most);
        endless.for_each(|entry| entry.exchange.end(Ended::Stopped, now));
    }

    /// How many go on that have no end of their own.
    pub fn endless(&self) -> usize {
        self.entries.borrow().values().filter(|entry| entry.goes_on_without_end()).count()
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Ends request bodies that stand still, cuts connections that do not let go of an ended exchange, and tells how much
    /// has passed of what is shown.
    pub fn sweep(&self, now: Instant, body_idle_timeout: Duration) {
        for entry in self.entries.borrow().values() {
            let exchange = &entry.exchange;
            if let Some(shown) = &entry.shown {
                shown.moved(exchange.bytes_in.get(), exchange.bytes_out.get());
            }
            let waits_long = |since| now.saturating_duration_since(since) > body_idle_timeout;
            if !exchange.answered.get() && exchange.request_waits_since.get().is_some_and(waits_long) {
                exchange.end(Ended::Stalled, now);
            }
            if exchange.ended.get().is_some_and(|(_, since)| now.saturating_duration_since(since) > ENDED_GRACE) {
                exchange.cut.end(How::Now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::{Action, AppId, Host, Method, Path, RequestId};

    fn access() -> Access {
        Access {
            request: RequestId::new(Timestamp::from_unix_micros(0), 0),
            at: Timestamp::from_unix_micros(0),
            app: AppId::parse("emr").unwrap(),
            action: Action::Read,
            class: None,
            method: Method::parse("GET").unwrap(),
            host: Host::parse("emr.example.jp").unwrap(),
            path: Path::parse("/").unwrap(),
            who: None,
            device: None,
            from: From { address: "127.0.0.1".parse().unwrap(), zone: policy::ZoneId::parse("inside").unwrap() },
            grant: None,
        }
    }

    #[tokio::test]
    async fn a_changed_answer_ends_what_is_open() {
        let book = Rc::new(OpenBook::default());
        let exchange = Rc::new(Exchange::new(Instant::now(), Rc::new(Cut::default())));
        let entered = book.enter(Rc::clone(&exchange), None, access());
        book.judge_again(false, Timestamp::from_unix_micros(1), |_| Ok(Again::Until(Timestamp::MAX, None)));
        book.judge_again(false, Timestamp::from_unix_micros(2), |_| Err(Ended::Judged(Reason::Forbidden)));
        assert_eq!(exchange.ended(), None, "its time is not up and nothing changed");
        book.judge_again(true, Timestamp::from_unix_micros(1), |_| Err(Ended::Judged(Reason::Forbidden)));
        assert_eq!(exchange.until_ended().await, Ended::Judged(Reason::Forbidden));
        drop(entered);
        assert!(book.entries.borrow().is_empty());
    }

    #[test]
    fn what_goes_on_from_elsewhere_is_judged_by_where_it_is_now() {
        let book = Rc::new(OpenBook::default());
        let exchange = Rc::new(Exchange::new(Instant::now(), Rc::new(Cut::default())));
        let entered = book.enter(Rc::clone(&exchange), None, access());
        book.judge_again(false, Timestamp::from_unix_micros(1), |_| Ok(Again::Until(Timestamp::MAX, None)));
        let internet = From { address: "192.0.2.1".parse().unwrap(), zone: policy::ZoneId::parse("internet").unwrap() };
        entered.moved(internet.clone(), None);
        let mut judged = Vec::new();
        book.judge_again(false, Timestamp::from_unix_micros(2), |access| {
            judged.push(access.from.clone());
            Err(Ended::Judged(Reason::Forbidden))
        });
        assert_eq!(judged, [internet]);
        assert_eq!(exchange.ended(), Some(Ended::Judged(Reason::Forbidden)));
    }

    #[test]
    fn whoever_waits_for_the_rest_of_a_request_is_woken_when_its_answer_is_over() {
        struct Rung(std::sync::atomic::AtomicBool);
        impl std::task::Wake for Rung {
            fn wake(self: Arc<Self>) {
                self.0.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let rung = Arc::new(Rung(false.into()));
        let exchange = Exchange::new(Instant::now(), Rc::new(Cut::default()));
        exchange.waits(Half::Request, &Context::from_waker(&Arc::clone(&rung).into()));
        exchange.let_go();
        assert!(rung.0.load(std::sync::atomic::Ordering::Relaxed));
        assert!(exchange.over.get());
    }

    #[tokio::test]
    async fn a_connection_that_does_not_let_go_is_cut() {
        let book = Rc::new(OpenBook::default());
        let cut = Rc::new(Cut::default());
        let exchange = Rc::new(Exchange::new(Instant::now(), Rc::clone(&cut)));
        let _entered = book.enter(exchange, None, access());
        book.judge_again(false, Timestamp::from_unix_micros(6), |_| Err(Ended::Gone(Reason::SignInRequired)));
        book.sweep(Instant::now() + ENDED_GRACE * 2, Duration::from_secs(60));
        assert_eq!(cut.asked().await, How::Now);
    }
}

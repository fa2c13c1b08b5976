//! One terminal while it is open: what is typed goes to the server, what that shows goes onto the tape and then to the page.
//! Back-pressure both ways: no more is read from the server than tape and page take, no more from the page than the server
//! takes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use audit::{End, Outcome, PatientsIn, Receipt, Tape, TapeHeader, TapeProblem};
use bytes::Bytes;
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use web::Language;

use super::socket::{Ear, Heard, MESSAGE_BYTES_MAX, Mouth};
use super::ssh::{ShellInput, ShellOutput, Size, SshProblem};
use super::{CHANGED, replies, sign_in, until_changed};
use crate::connection::Connection;
use crate::exchange::{Ended, Exchange, InBook};
use crate::gate::Gate;
use crate::snapshot::{AppRoute, Snapshot};
use crate::switch::{Switched, Switching};
use crate::tunnel::Place;
use crate::vitals::OpenExchange;

/// How much may be shown ahead of what the page says it took, in bytes.
const SHOWN_BYTES_MAX: usize = 128 * 1024;
/// How much of what was typed may wait for the server, in bytes.
const TYPED_BYTES_MAX: usize = 64 * 1024;
/// What each thing that was typed costs beside its bytes.
const TYPED_EACH: usize = 64;
/// How often the page is asked whether it is there.
const BEAT: Duration = Duration::from_secs(20);
/// A page that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long the switch to WebSocket may take.
const SWITCH: Duration = Duration::from_secs(10);
/// How long the last words may take.
const GOODBYE: Duration = Duration::from_millis(400);
/// Close code for an end in order (RFC 6455 section 7.4.1).
const NORMAL: u16 = 1000;

/// The first byte of a message of the page: what was typed follows.
const TYPED: u8 = 0;
/// Columns and rows follow, two bytes each.
const SIZE: u8 = 1;
/// How many bytes were taken follows, in four bytes.
const TAKEN: u8 = 2;

/// One terminal and its record.
pub struct Carried {
    /// What workers share.
    pub gate: Arc<Gate>,
    /// The configuration it was admitted by.
    pub snapshot: Arc<Snapshot>,
    /// Its exchange.
    pub exchange: Rc<Exchange>,
    /// Its record.
    pub receipt: Receipt,
    /// Its app.
    pub route: Arc<AppRoute>,
    /// How large it is at first.
    pub size: Size,
    /// The language of its page.
    pub language: Language,
    /// Its place among what is open, unless there was none.
    pub place: Option<Place>,
    /// Its place in the worker's book.
    pub in_book: InBook,
    /// The connection it came by.
    pub _connection: (Rc<Connection>, Option<OpenExchange>),
}

/// How a terminal ended.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Over {
    /// What the page is told.
    code: &'static str,
    /// How it is recorded.
    end: End,
    /// What else the record says.
    said: Option<String>,
}

impl Over {
    fn new(code: &'static str, end: End) -> Self {
        Self { code, end, said: None }
    }

    /// One whose code the record names too.
    fn said(code: &'static str, end: End) -> Self {
        Self { code, end, said: Some(code.to_owned()) }
    }

    fn ended(why: Ended) -> Self {
        match why {
            Ended::Judged(reason) | Ended::Gone(reason) => Self::new(reason.code(), End::Revoked(reason)),
            Ended::Stopped => Self::new("stopping", End::Stopped),
            Ended::Stalled => Self::new("closed", End::ClientGone),
        }
    }

    fn unrecorded(problem: &TapeProblem) -> Self {
        let code = match problem {
            TapeProblem::TooMany { .. } => "too-many",
            TapeProblem::TooLong { .. } => "recording-too-long",
            TapeProblem::Log(_) | TapeProblem::Behind => "recording-failed",
        };
        Self::said(code, End::Refused)
    }

    fn broke(_: SshProblem) -> Self {
        Self::said("target-broke", End::UpstreamFailed)
    }
}

impl Carried {
    /// Runs it from the switch to WebSocket to its last word.
    pub async fn run(self, client: Switching) {
        let over = match timeout(SWITCH, client).await {
            Ok(Ok(client)) => self.talk(client).await,
            Ok(Err(_)) | Err(_) => Over::new("left", End::ClientGone),
        };
        let Self { exchange, receipt, in_book, place, _connection, .. } = self;
        drop((in_book, place));
        let outcome = exchange.outcome(StatusCode::SWITCHING_PROTOCOLS, over.end);
        receipt.close(Outcome { said: over.said.map(Into::into), ..outcome });
    }

    async fn talk(&self, client: Switched) -> Over {
        let (mut reads, mut writes) = tokio::io::split(client);
        let page = Page::default();
        let over = self.carry(&page, &mut reads, &mut writes).await;
        page.mouth.tell(&self.snapshot.site.terminal_end(self.language, over.code));
        page.mouth.close(NORMAL, over.code);
        let last_words = async {
            page.mouth.say_all(&mut writes).await?;
            tokio::io::AsyncWriteExt::shutdown(&mut writes).await
        };
        // A page that does not listen any more needs no last words.
        let _said = timeout(GOODBYE, last_words).await;
        over
    }

    async fn carry(
        &self,
        page: &Page,
        reads: &mut (impl AsyncRead + Unpin),
        writes: &mut (impl AsyncWrite + Unpin),
    ) -> Over {
        if self.place.is_none() {
            return Over::said("too-many", End::Refused);
        }
        tokio::select! {
            over = self.with_server(page) => over,
            over = page.listen(reads, &self.exchange) => over,
            _gone = page.mouth.speak(writes) => Over::new("left", End::ClientGone),
            () = page.beat() => Over::new("left", End::ClientGone),
            why = self.exchange.until_ended() => Over::ended(why),
            () = until_changed(&self.gate, &self.snapshot, &self.route.app.id) => Over::said(CHANGED, End::Refused),
        }
    }

    /// Signs in, begins the tape, and carries between the shell and the page.
    async fn with_server(&self, page: &Page) -> Over {
        let ssh = match sign_in(&self.snapshot, &self.route).await {
            Ok(ssh) => ssh,
            Err(problem) => {
                return Over { code: problem.code, end: End::UpstreamFailed, said: Some(problem.said) };
            }
        };
        // Begun before anything is shown: what cannot be recorded does not happen.
        let tape = match self.gate.log.tapes().begin(self.receipt.permit().access(), self.header()).await {
            Ok(tape) => tape,
            Err(problem) => {
                tracing::error!(%problem, "a terminal could not be recorded");
                return Over::unrecorded(&problem);
            }
        };
        let over = match ssh.shell(self.size).await {
            Ok((output, input)) => {
                page.mouth.tell(r#"{"state":"open"}"#);
                tokio::select! {
                    over = page.show(output, &tape, &self.exchange) => over,
                    over = page.type_in(&input, &tape) => over,
                    problem = tape.failed() => {
                        tracing::error!(%problem, "a terminal is recorded no more");
                        Over::unrecorded(&problem)
                    }
                }
            }
            Err(problem) => Over { code: problem.code(), end: End::UpstreamFailed, said: Some(problem.said()) },
        };
        if tape.problem().is_some() {
            page.mouth.forget();
        }
        tape.close();
        ssh.close().await;
        over
    }

    fn header(&self) -> TapeHeader {
        let terminal = self.route.app.terminal.as_ref();
        let patients = terminal.and_then(|terminal| terminal.patient.clone()).map(|patient| {
            PatientsIn::new(Arc::new(move |command: &str| {
                let ids = patient.pattern.find(command).filter_map(|id| patient::normalised(id, patient.pad));
                ids.map(String::from).collect::<Vec<String>>()
            }))
        });
        let (columns, rows) = (self.size.columns, self.size.rows);
        TapeHeader { columns, rows, title: self.route.app.id.to_string(), patients }
    }
}

/// What comes from a page and what goes to it.
#[derive(Debug, Default)]
struct Page {
    mouth: Mouth,
    /// How much was shown that the page did not say it took, in bytes.
    ahead: Cell<usize>,
    typed: RefCell<VecDeque<Typed>>,
    typed_bytes: Cell<usize>,
    heard_at: Cell<Option<Instant>>,
    /// Rings when the page took something.
    took: Notify,
    /// Rings when something was typed.
    for_server: Notify,
    /// Rings when the server took what was typed.
    has_room: Notify,
}

/// What a page asks of the server.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Typed {
    Bytes(Bytes),
    Size(Size),
}

impl Page {
    /// Hears the page until it is gone.
    async fn listen(&self, reads: &mut (impl AsyncRead + Unpin), exchange: &Exchange) -> Over {
        let mut ear = Ear::default();
        loop {
            if self.typed_bytes.get() >= TYPED_BYTES_MAX {
                self.has_room.notified().await;
                continue;
            }
            let heard = ear.next(reads).await;
            self.heard_at.set(Some(Instant::now()));
            match heard {
                Ok(Some(Heard::Message(message))) if self.take(&message, exchange) => {}
                Ok(Some(Heard::Ping(payload))) if self.mouth.waiting_bytes() <= SHOWN_BYTES_MAX + MESSAGE_BYTES_MAX => {
                    self.mouth.pong(&payload);
                }
                Ok(Some(Heard::Pong)) => {}
                Ok(Some(Heard::Close) | None) => return Over::new("left", End::Upgraded),
                Ok(Some(Heard::Message(_) | Heard::Ping(_))) | Err(_) => return Over::said("protocol", End::Refused),
            }
        }
    }

    /// Takes a message in; `false` where it means nothing.
    fn take(&self, message: &Bytes, exchange: &Exchange) -> bool {
        let asked = match (message.first(), message.get(1..)) {
            (Some(&TYPED), Some(bytes @ [_, ..])) => {
                exchange.bytes_in.set(exchange.bytes_in.get().saturating_add(bytes.len() as u64));
                if replies::is_by_a_person(bytes) {
                    exchange.client_acted.set(true);
                }
                self.typed_bytes.set(self.typed_bytes.get() + bytes.len() + TYPED_EACH);
                Typed::Bytes(message.slice(1..))
            }
            (Some(&SIZE), Some(&[a, b, c, d])) => {
                Typed::Size(Size::bounded(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
            }
            (Some(&TAKEN), Some(&[a, b, c, d])) => {
                let count = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                let Some(left) = self.ahead.get().checked_sub(count) else { return false };
                self.ahead.set(left);
                self.took.notify_one();
                return true;
            }
            (_, _) => return false,
        };
        let mut typed = self.typed.borrow_mut();
        // Of several sizes in a row the last counts.
        if let (Some(Typed::Size(last)), Typed::Size(size)) = (typed.back_mut(), &asked) {
            *last = *size;
        } else {
            typed.push_back(asked);
        }
        self.for_server.notify_one();
        true
    }

    /// Types what the page sends, as fast as the server takes it.
    async fn type_in(&self, input: &ShellInput, tape: &Tape) -> Over {
        loop {
            let next = self.typed.borrow_mut().pop_front();
            let done = match next {
                None => {
                    self.for_server.notified().await;
                    continue;
                }
                Some(Typed::Bytes(bytes)) => {
                    tape.input_seen(&bytes);
                    let length = bytes.len() + TYPED_EACH;
                    let done = input.type_in(bytes).await;
                    self.typed_bytes.set(self.typed_bytes.get().saturating_sub(length));
                    self.has_room.notify_one();
                    done
                }
                Some(Typed::Size(size)) => {
                    tape.resize(size.columns, size.rows);
                    input.resize(size).await
                }
            };
            if let Err(problem) = done {
                return Over::broke(problem);
            }
        }
    }

    /// Shows what the server shows, once the tape has it.
    async fn show(&self, mut output: ShellOutput, tape: &Tape, exchange: &Exchange) -> Over {
        loop {
            while self.ahead.get() >= SHOWN_BYTES_MAX {
                self.took.notified().await;
            }
            tape.room().await;
            let bytes = match output.next().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Over::new("closed", End::Upgraded),
                Err(problem) => return Over::broke(problem),
            };
            tape.output(&bytes);
            // What is on no tape is not shown.
            if let Some(problem) = tape.problem() {
                return Over::unrecorded(&problem);
            }
            exchange.bytes_out.set(exchange.bytes_out.get().saturating_add(bytes.len() as u64));
            self.ahead.set(self.ahead.get() + bytes.len());
            self.mouth.show(&bytes);
        }
    }

    /// Asks the page now and then whether it is there; ends when it is not.
    async fn beat(&self) {
        let mut beats = interval_at(Instant::now() + BEAT, BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begun = Instant::now();
        loop {
            beats.tick().await;
            // What was typed may wait for a server that takes nothing: then nobody listens to the page.
            let is_heard = self.typed_bytes.get() < TYPED_BYTES_MAX;
            if is_heard && self.heard_at.get().unwrap_or(begun).elapsed() > SILENCE_MAX {
                return;
            }
            self.mouth.ping();
        }
    }
}

//! Recordings of terminals: those under a window, one to be played, and its text to take away. Who may see one needs to:
//! whoever approved the window or let somebody into it, whoever asked for it, and roles that the hospital names; while it
//! is under way, everybody who may end it as approver. Who looks is recorded before anything is shown. Deliberately not
//! here: how recordings are made and read (audit).

mod deeds;
mod frames;
mod list;
mod players;
mod proof;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audit::{Command, Event, Note, Recordings, Stand, Story};
use bytes::Bytes;
use find::{Order, Question};
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, HeaderValue};
use policy::{Reads, Reason, RequestId};
use store::{GrantRecord, GrantState};

pub(super) use deeds::deeds;
pub(super) use frames::frames;
pub(super) use list::{of_grant, of_story};
pub(crate) use players::Players;
pub(super) use proof::proof;

use super::Duty;
use super::desk::{Desk, Refused, Shown};
use super::maintenance::stop_form;
use super::view::{Bit, ConsoleContent, Facts, Go, Mark, MarkTone, Part, Player, PlayerCommand, Words};
use crate::log_view::{LogTrouble, Sight};
use crate::maintenance::grant_id;
use crate::{Fault, headers};

/// How long to wait until the index has read what was written just now.
const INDEX_TIMEOUT: Duration = Duration::from_secs(2);
/// How many commands a page lists.
const COMMANDS_MAX: usize = 2_000;
/// How long a recording may be to be downloaded here, in bytes of its text.
const DOWNLOAD_BYTES_MAX: usize = 64 << 20;

/// What the log says of one recording.
#[derive(Debug)]
struct Told {
    id: RequestId,
    began: Story,
    /// The window it was made under.
    grant: Option<GrantRecord>,
    /// How it ended, where it did.
    ended: Option<Story>,
    /// Whether the terminal is open.
    is_open: bool,
}

/// How a recording stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It is being written.
    Open,
    /// It is over; the word says how.
    Ended(&'static str),
    /// The gateway died.
    BrokenOff,
}

impl Told {
    fn state(&self) -> State {
        match &self.ended {
            Some(ended) => State::ended(ended),
            None if self.is_open => State::Open,
            None => State::BrokenOff,
        }
    }

    /// Whether what was read is what the log vouches for; nothing while it says nothing of the whole.
    fn is_proved(&self, stand: &Stand) -> Option<bool> {
        let ended = &self.ended.as_ref()?.begin;
        let is_so = ended.recording.as_deref() == Some(&*stand.chain) && ended.sha256.as_deref() == Some(&*stand.text);
        Some(is_so && ended.length == Some(stand.bytes))
    }
}

impl State {
    /// How the line of the log says that it ended.
    fn ended(line: &Story) -> Self {
        let words = ["closed", "failed", "behind", "too-long"];
        let why = line.begin.why.as_deref().unwrap_or_default();
        Self::Ended(words.into_iter().find(|word| *word == why).unwrap_or("failed"))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ended(word) => word,
            Self::BrokenOff => "broken-off",
        }
    }

    fn mark(self, desk: &Desk<'_>) -> Mark {
        let text = desk.say(&format!("recording-state-{}", self.word()));
        match self {
            Self::Open => Mark::warn(text),
            Self::Ended("closed") => Mark::good(text),
            Self::Ended(_) | Self::BrokenOff => Mark::bad(text),
        }
    }
}

/// The page of one recording.
pub(super) async fn one(desk: &Desk<'_>) -> Shown {
    let told = told(desk).await?;
    let is_live = told.state() == State::Open;
    desk.note_viewing(&told, if is_live { "watch" } else { "play" }).await?;
    desk.site.players.looked((desk.who.session, told.id));
    let (id, most) = (told.id, COMMANDS_MAX + 1);
    let so_far = if told.ended.is_none() { Some(so_far(desk, &told).await?) } else { None };
    let read = desk.off_play(move |log, _| read(&recordings(log)?, id, most)).await?;
    let mut response = desk.show(content(desk, &told, read, so_far));
    headers::allow_script(&mut response);
    Ok(response)
}

/// What the log vouches for of one that has no end, in bytes, and whether that is what lies here.
async fn so_far(desk: &Desk<'_>, told: &Told) -> Result<(u64, bool), Refused> {
    let (id, began) = (told.id, vouched(&told.began));
    desk.off_play(move |log, _| {
        let question = Question {
            request: Some(id.to_string()),
            event: Some(Event::RecordingMarked.code().to_owned()),
            order: Order::Newest,
            limit: 1,
            ..Question::default()
        };
        let marked = log.stories(&question)?.records.into_iter().find_map(|one| one.story);
        let Some(stand) = marked.as_ref().map_or(began, vouched) else { return Ok((0, false)) };
        let is_so = recordings(log)?.holds(id, &stand).unwrap_or_else(|problem| {
            tracing::error!(%id, %problem, "a recording cannot be read");
            false
        });
        Ok((stand.bytes, is_so))
    })
    .await
}

/// How far a line of the log says that a recording is.
fn vouched(story: &Story) -> Option<Stand> {
    let begin = &story.begin;
    Some(Stand { bytes: begin.length?, chain: begin.recording.clone()?, text: begin.sha256.clone()? })
}

/// What was read of a recording.
type Read = Option<(Vec<Command>, Duration, Stand)>;

/// Reads a recording through; nothing where it cannot be.
fn read(recordings: &Recordings, id: RequestId, most: usize) -> Result<Read, LogTrouble> {
    let read = recordings.open(id).and_then(|found| found.map(|found| found.commands(most)).transpose());
    match read {
        Ok(read) => Ok(read),
        Err(problem) => {
            tracing::error!(%id, %problem, "a recording cannot be read");
            Ok(None)
        }
    }
}

fn content(desk: &Desk<'_>, told: &Told, read: Read, so_far: Option<(u64, bool)>) -> ConsoleContent {
    let begin = &told.began.begin;
    let app = begin.app.as_deref().map(|app| desk.app_words(app)).unwrap_or_default();
    let mut parts = Vec::new();
    match &read {
        None => parts.push(Part::Words(words(desk.say("recording-damaged"), MarkTone::Bad))),
        Some((_, _, stand)) => {
            parts.push(Part::Words(proved(desk, told, stand, so_far)));
        }
    }
    if let Some(record) = &told.grant
        && record.state(desk.at()) == GrantState::Active
        && desk.is(Duty::Stop)
    {
        parts.push(Part::Form(stop_form(desk, record, GrantState::Active)));
    }
    let stand = read.as_ref().map(|(_, length, stand)| (*length, stand.clone()));
    if let Some((commands, length, _)) = read {
        parts.push(Part::Player(player(told, commands, length)));
    }
    parts.push(Part::Facts(facts(desk, told, stand)));
    ConsoleContent {
        title: desk.say_with("recording-title", "app", &app),
        lead: Some(desk.say("recording-lead")),
        up: told
            .grant
            .as_ref()
            .map(|record| Go::new(desk.say("recording-window"), format!("/maintenance/{}", record.id))),
        marks: vec![told.state().mark(desk)],
        actions: actions(desk, told),
        parts,
    }
}

/// Whether what is played is what was recorded.
fn proved(desk: &Desk<'_>, told: &Told, stand: &Stand, so_far: Option<(u64, bool)>) -> Words {
    let is_so = told.is_proved(stand);
    let (heading, tone) = match (is_so, so_far) {
        (Some(true), _) => (desk.say("recording-proved"), MarkTone::Good),
        (Some(false), _) | (None, None | Some((_, false))) => (desk.say("recording-not-proved"), MarkTone::Bad),
        (None, Some((bytes, true))) if told.state() == State::Open => {
            (desk.say_with("recording-open-proof", "bytes", &bytes.to_string()), MarkTone::Good)
        }
        (None, Some((_, true))) => (desk.say("recording-state-broken-off"), MarkTone::Warn),
    };
    words(heading, tone)
}

fn words(heading: String, tone: MarkTone) -> Words {
    Words { id: "proof", heading, tone, lines: Vec::new(), links: Vec::new() }
}

fn player(told: &Told, mut commands: Vec<Command>, length: Duration) -> Player {
    let is_cut = commands.len() > COMMANDS_MAX;
    commands.truncate(COMMANDS_MAX);
    Player {
        source: format!("/recordings/{}/frames", told.id),
        length_ms: millis(length),
        is_live: told.state() == State::Open,
        is_cut,
        commands: commands
            .into_iter()
            .map(|command| PlayerCommand { at_ms: millis(command.at), at: clock(command.at), text: command.text })
            .collect(),
    }
}

fn facts(desk: &Desk<'_>, told: &Told, read: Option<(Duration, Stand)>) -> Facts {
    let begin = &told.began.begin;
    let person = begin.login.as_deref().map(|login| vec![Bit::text(login)]);
    let mono = |text: String| vec![Bit::Mono(text)];
    let rows = [
        ("recording-when", Some(vec![Bit::Moment(desk.minute(begin.at))])),
        ("recording-who", person),
        ("log-host", begin.host.as_deref().map(|host| vec![Bit::text(host)])),
        ("recording-length", read.as_ref().map(|(length, _)| vec![Bit::Text(clock(*length))])),
        ("recording-hash", read.as_ref().map(|(_, stand)| mono(stand.text.clone()))),
        ("recording-chain", read.as_ref().map(|(_, stand)| mono(stand.chain.clone()))),
        ("log-field-request", Some(mono(told.id.to_string()))),
    ];
    let rows = rows.into_iter().filter_map(|(label, bits)| Some((desk.say(label), bits?))).collect();
    Facts { id: "about", heading: desk.say("recording-facts"), rows }
}

fn actions(desk: &Desk<'_>, told: &Told) -> Vec<Go> {
    let download = Go::new(desk.say("recording-download"), format!("/recordings/{}/cast", told.id));
    let lines = desk.is(Duty::Read).then(|| {
        let day = desk.day(told.began.begin.at);
        let until = desk.day(desk.at());
        Go::new(desk.say("recording-lines"), format!("/log?request={}&from={day}&to={until}", told.id))
    });
    let proof =
        told.ended.as_ref().map(|_| Go::new(desk.say("recording-proof"), format!("/recordings/{}/proof", told.id)));
    std::iter::once(download).chain(proof).chain(lines).collect()
}

/// The text of a recording, to take away.
pub(super) async fn file(desk: &Desk<'_>) -> Shown {
    let told = told(desk).await?;
    desk.note_viewing(&told, "download").await?;
    let id = told.id;
    let text = desk.off_play(move |log, _| Ok(recordings(log)?.text(id, DOWNLOAD_BYTES_MAX)?)).await?;
    let Some((text, _)) = text else {
        return Ok(desk.show_unavailable(ConsoleContent {
            title: desk.say("recording-download"),
            lead: Some(desk.say("recording-too-long")),
            up: Some(Go::new(desk.say("recording"), format!("/recordings/{id}"))),
            ..ConsoleContent::default()
        }));
    };
    let mut response = headers::document(StatusCode::OK, "application/x-asciicast", "no-store", Bytes::from(text));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{id}.cast\"")) {
        headers::set(&mut response, CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// The recording that the path names, for whoever may see it.
async fn told(desk: &Desk<'_>) -> Result<Told, Refused> {
    let id = RequestId::parse(desk.named(1)).ok_or(Fault::NotFound)?;
    let of = move |event: audit::Event| Question {
        request: Some(id.to_string()),
        event: Some(event.code().to_owned()),
        order: Order::Newest,
        limit: 1,
        ..Question::default()
    };
    let open_now = Arc::clone(&desk.site.parts.open_now);
    let found = desk
        .off_all(move |log| {
            let first =
                |event| Ok::<_, LogTrouble>(log.stories(&of(event))?.records.into_iter().find_map(|one| one.story));
            let mut began = first(Event::RecordingBegan)?;
            if began.is_none() && log.follows(INDEX_TIMEOUT) {
                began = first(Event::RecordingBegan)?;
            }
            let Some(began) = began else { return Ok(None) };
            // An index that stands still says of nothing that it ended: what is open under a window, the gateway itself
            // knows. Of what is under none, only who may see every recording sees anything.
            let is_listed = match began.begin.grant.as_deref().and_then(grant_id) {
                Some(grant) => open_now.under(&grant).iter().any(|one| one.access.request == id),
                None => {
                    let opened = Question { event: Some("open".to_owned()), ..of(Event::RecordingBegan) };
                    let access = log.stories(&opened)?.records.into_iter().find_map(|one| one.story);
                    access.is_none_or(|access| access.end.is_none())
                }
            };
            let mut ended = first(Event::RecordingEnded)?;
            if ended.is_none() && !is_listed && log.follows(INDEX_TIMEOUT) {
                ended = first(Event::RecordingEnded)?;
            }
            let is_open = ended.is_none() && is_listed;
            Ok(Some((began, ended, is_open)))
        })
        .await?;
    let (began, ended, is_open) = found.ok_or(Fault::NotFound)?;
    let grant = began.begin.grant.as_deref().and_then(grant_id);
    let grant = match grant {
        Some(grant) => desk.store().grant(&grant).await?,
        None => None,
    };
    let told = Told { id, began, grant, ended, is_open };
    if may_see(desk, &told) { Ok(told) } else { Err(Refused::Right(Reason::ActionNotAllowed)) }
}

/// Whether who asks needs to know what is in it.
fn may_see(desk: &Desk<'_>, told: &Told) -> bool {
    if desk.config().console.replays(&desk.who) {
        return true;
    }
    told.grant.as_ref().is_some_and(|record| needs_to_know(desk, record, told.state() == State::Open))
}

/// Whether who asks has to do with a window.
fn needs_to_know(desk: &Desk<'_>, record: &GrantRecord, is_open: bool) -> bool {
    let me = desk.actor();
    let asked = record.asked_by == me || record.person == desk.who.user;
    let decided = record.maintenance().is_some_and(|one| {
        let admitted = one.admitted.as_ref().map(|admission| &admission.by);
        one.approvals.iter().chain(admitted).any(|ruling| ruling.by == me)
    });
    asked || (desk.is(Duty::Approve) && (decided || is_open))
}

/// Held by who waits; says so once it is gone.
struct Waits(Arc<AtomicBool>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The recordings of the log.
fn recordings(log: &Sight) -> Result<Recordings, LogTrouble> {
    log.recordings().ok_or(LogTrouble::NoIndex)
}

/// Minutes and seconds, as the player has them.
fn clock(length: Duration) -> String {
    let seconds = length.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

impl Desk<'_> {
    /// The whole log of this node, where its recordings are, for who may see what is asked for whatever else of it they may
    /// see.
    fn whole(&self) -> Sight {
        self.whole_of_all().alone()
    }

    /// The whole logs of all nodes, likewise.
    fn whole_of_all(&self) -> Sight {
        Sight::new(self.log().clone(), Reads::Everything).heard_by(&self.heard)
    }

    /// Asks the whole log, for who may see what is asked for whatever else of it they may see.
    async fn off_all<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Sight) -> Result<T, LogTrouble> + Send + 'static,
    ) -> Result<T, Refused> {
        self.off_in(self.whole(), work).await
    }

    /// Reads or plays recordings, few at once, and beside the searches of the log. `work` is told when nobody waits for it
    /// any more.
    async fn off_play<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Sight, &dyn Fn() -> bool) -> Result<T, LogTrouble> + Send + 'static,
    ) -> Result<T, Refused> {
        let turn = Arc::clone(&self.site.plays).acquire_owned().await.map_err(|_| Fault::Stopping)?;
        let (log, waits) = (self.whole(), Waits(Arc::default()));
        let is_left = Arc::clone(&waits.0);
        let done = tokio::task::spawn_blocking(move || {
            // The place is taken as long as the work goes on, not as long as somebody waits.
            let _turn = turn;
            work(&log, &|| is_left.load(Ordering::Relaxed))
        })
        .await;
        match done {
            Ok(answer) => Ok(answer?),
            Err(problem) => {
                tracing::warn!(request = %self.request.request, %problem, "a recording could not be played");
                Err(Refused::Log(LogTrouble::Failed))
            }
        }
    }

    /// Records that somebody looks at a recording. Nobody does unrecorded.
    async fn note_viewing(&self, told: &Told, how: &'static str) -> Result<(), Refused> {
        let mut note = Note::new(Event::RecordingViewed, self.at()).who(&self.who).code(how);
        note.file = Some(format!("recordings/{}", told.id));
        note.grant = told.grant.as_ref().map(|record| record.id.clone());
        note.app = told.began.begin.app.as_deref().and_then(|app| policy::AppId::parse(app).ok());
        Ok(self.record_about(note, None).await?)
    }
}

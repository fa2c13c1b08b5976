//! What the log says of a recording.

use std::net::IpAddr;
use std::time::Duration;

use policy::{Access, Timestamp};

use crate::Event;
use crate::json::Object;
use crate::tape::chain::Chain;

/// Whose recording it is, as its facts state it.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) id: String,
    app: String,
    host: String,
    user: Option<(String, String, String)>,
    session: Option<String>,
    device: Option<(String, String)>,
    address: IpAddr,
    zone: String,
    grant: Option<String>,
}

/// How far a tape is.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) chain: Chain,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// Blocks in it.
    pub(crate) blocks: u64,
    /// SHA-256 of the text so far.
    pub(crate) text: String,
}

impl Subject {
    pub(crate) fn of(access: &Access) -> Self {
        let user = access.who.as_ref().map(|who| (who.user.to_string(), who.login.to_string(), who.unit.to_string()));
        let device = access.device.as_ref().map(|device| (device.id.to_string(), device.place.to_string()));
        Self {
            id: access.request.to_string(),
            app: access.app.to_string(),
            host: access.host.to_string(),
            user,
            session: access.who.as_ref().map(|who| who.session.to_string()),
            device,
            address: access.from.address,
            zone: access.from.zone.to_string(),
            grant: access.grant.as_ref().map(|grant| grant.id.to_string()),
        }
    }

    fn push(&self, line: &mut Object<'_>) {
        if let Some((user, login, unit)) = &self.user {
            line.text("sub", user).text("login", login);
            if !unit.is_empty() {
                line.text("unit", unit);
            }
        }
        if let Some(session) = &self.session {
            line.text("sid", session);
        }
        if let Some((device, place)) = &self.device {
            line.text("dev", device);
            if !place.is_empty() {
                line.text("place", place);
            }
        }
        line.address("ip", self.address).text("zone", &self.zone).text("app", &self.app).text("host", &self.host);
        if let Some(grant) = &self.grant {
            line.text("vs", grant);
        }
    }
}

/// A recording begins.
pub(crate) fn began(out: &mut Vec<u8>, at: Timestamp, subject: &Subject, mark: &Mark) {
    let mut line = begin(out, at, Event::RecordingBegan, subject);
    subject.push(&mut line);
    push_mark(&mut line, mark);
    line.end();
}

/// A recording is so far.
pub(crate) fn marked(out: &mut Vec<u8>, at: Timestamp, subject: &Subject, mark: &Mark) {
    let mut line = begin(out, at, Event::RecordingMarked, subject);
    push_mark(&mut line, mark);
    line.end();
}

/// A recording is over: `why` is a word of a closed vocabulary.
pub(crate) fn ended(
    out: &mut Vec<u8>,
    at: Timestamp,
    subject: &Subject,
    mark: &Mark,
    (why, length): (&'static str, Duration),
) {
    let mut line = begin(out, at, Event::RecordingEnded, subject);
    subject.push(&mut line);
    push_mark(&mut line, mark);
    line.word("why", why).millis("ms", u64::try_from(length.as_micros()).unwrap_or(u64::MAX));
    line.end();
}

/// A command stood on the screen when it was sent off.
pub(crate) fn command(
    out: &mut Vec<u8>,
    at: Timestamp,
    subject: &Subject,
    (command, patients): (&str, &[String]),
    offset: Duration,
) {
    let mut line = begin(out, at, Event::CommandEntered, subject);
    subject.push(&mut line);
    line.text("cmd", command).millis("ms", u64::try_from(offset.as_micros()).unwrap_or(u64::MAX));
    if !patients.is_empty() {
        line.texts("pt", patients.iter().map(String::as_str));
    }
    line.end();
}

fn begin<'a>(out: &'a mut Vec<u8>, at: Timestamp, event: Event, subject: &Subject) -> Object<'a> {
    let mut line = Object::continued(out);
    line.moment("ts", at).word("ev", event.code()).text("id", &subject.id);
    line
}

fn push_mark(line: &mut Object<'_>, mark: &Mark) {
    line.plain("rec", mark.chain.text()).plain("sha", &mark.text);
    line.number("len", mark.bytes).number("n", mark.blocks);
}

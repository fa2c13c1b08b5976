//! A person's own page: my keys, my sessions, my devices, what was opened as me.

use std::time::Duration;

use audit::Search;
use http::StatusCode;
use identity::{Passkey, Session};
use policy::{AppId, Assurance, SessionId, Timestamp, UserId};
use serde::Deserialize;
use store::{CredentialId, DeviceRecord, SessionRecord, SessionsOf};
use tracing::warn;

use crate::enrol::{ENROL_OWN, is_fresh};
use crate::notice::wall_clock;
use crate::query::{self, Ask};
use crate::site::{Answer, store_fault};
use crate::texts::Voice;
use crate::view::{DeviceRow, KeyRow, MeView, OpenedRow, SessionRow, show};
use crate::{Fault, PageRequest, Site, headers, language};

/// How far back is looked for what was opened.
const OPENED_SPAN: Duration = Duration::from_secs(30 * 86_400);
/// How much of the log is read for it, in bytes.
const OPENED_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// How many rows are shown.
const OPENED_ROWS_MAX: usize = 50;

/// What the page shows of a line of the log: no path, no patient.
#[derive(Deserialize)]
struct Opened {
    ts: String,
    ev: String,
    act: Option<String>,
    app: Option<String>,
    dev: Option<String>,
}

impl Site {
    /// The page.
    pub(crate) async fn me(&self, request: &PageRequest) -> Answer {
        let session = request.usable_session().ok_or(Fault::SignInExpired)?;
        let user = &session.who.user;
        let voice = self.voice(language(&request.headers));
        let keys = self.parts.passkeys.of(user).await.map_err(|problem| store_fault(&problem))?;
        let of_user = self.parts.store.sessions_of(SessionsOf::User(user.clone())).await;
        let sessions: Vec<SessionRecord> =
            of_user.map_err(|problem| store_fault(&problem))?.into_iter().map(|(session, _)| session).collect();
        let devices = self.own_devices(session, &sessions).await?;
        let credential = sessions.iter().find(|one| one.id == session.id()).and_then(|one| one.credential.clone());
        let done = query::field(request.query.as_bytes(), "done").is_some();
        let view = MeView {
            frame: self.frame_of(request),
            name: session.who.name.to_string(),
            login: session.who.login.to_string(),
            said: done.then(|| voice.say("me-done")),
            keys: keys.iter().map(|key| self.key_row(key, credential.as_ref(), voice, request.at)).collect(),
            add_key: format!("{}{ENROL_OWN}", self.login_origin()),
            sessions: sessions.iter().map(|one| self.session_row(one, session, voice, request.at)).collect(),
            devices: devices.iter().map(|one| self.device_row(one, request, voice)).collect(),
            opened: self.opened(user, request.at, voice).await,
        };
        Ok(show(StatusCode::OK, &view))
    }

    /// Gives a key another name.
    pub(crate) async fn rename_key(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let (user, key) = own_key(request)?;
        let name = query::field(&request.body, "name").ok_or(Fault::BadRequest)?;
        let renamed = self.parts.passkeys.rename(&user, &key, &name, user.as_str(), request.at).await;
        let renamed = renamed.map_err(|problem| store_fault(&problem))?;
        done(renamed)
    }

    /// Removes a key; what was opened with it ends.
    pub(crate) async fn remove_key(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let (user, key) = own_key(request)?;
        // As much as adding one asks for: whoever finds an open screen must not take a factor away.
        if !request.usable_session().is_some_and(|session| is_fresh(session, request.at)) {
            let ask = Ask { again: Some(Assurance::Aal2), ..Ask::default() };
            return self.send_to_login(&request.host, "/me", &request.headers, ask, request.at).await;
        }
        let removed = self.parts.passkeys.remove(&user, &key, user.as_str(), request.at).await;
        let removed = removed.map_err(|problem| store_fault(&problem))?;
        done(removed)
    }

    /// Ends another session of the same person.
    pub(crate) async fn end_session(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let user = request.usable_session().ok_or(Fault::SignInExpired)?.who.user.clone();
        let id =
            query::field(&request.body, "session").and_then(|id| SessionId::parse(&id)).ok_or(Fault::BadRequest)?;
        let own = self.parts.store.sessions_of(SessionsOf::User(user.clone())).await;
        let own = own.map_err(|problem| store_fault(&problem))?;
        if !own.iter().any(|(session, _)| session.id == id) {
            return Err(Fault::NotFound);
        }
        let ended = self.parts.sessions.end(id, user.as_str(), request.at).await;
        ended.map_err(|problem| store_fault(&problem))?;
        done(true)
    }

    /// The devices that are this person's by the ledger, or on which they have a session.
    async fn own_devices(&self, session: &Session, sessions: &[SessionRecord]) -> Result<Vec<DeviceRecord>, Fault> {
        let all = self.parts.store.devices().await.map_err(|problem| store_fault(&problem))?;
        let is_owner = |device: &DeviceRecord| {
            !device.owner.is_empty() && (*device.owner == *session.who.login || *device.owner == *session.who.name)
        };
        let is_used =
            |device: &DeviceRecord| sessions.iter().any(|one| one.device.as_ref().is_some_and(|id| *id == device.id));
        let is_own = |device: &DeviceRecord| device.revoked_at.is_none() && (is_owner(device) || is_used(device));
        Ok(all.into_iter().filter(is_own).collect())
    }

    fn key_row(&self, key: &Passkey, used_now: Option<&CredentialId>, voice: Voice<'_>, now: Timestamp) -> KeyRow {
        let model = key.model_name.clone().unwrap_or_else(|| voice.say("me-key-model-unknown"));
        let used = key.used_at.map_or_else(|| voice.say("me-key-never"), |at| self.clock(at, now));
        let facts = [("model", model.as_str()), ("added", &self.clock(key.added_at, now)), ("used", used.as_str())];
        KeyRow {
            id: key.id.to_string(),
            name: key.name.clone(),
            facts: voice.say_all("me-key-facts", &facts),
            is_used_now: used_now == Some(&key.id),
        }
    }

    fn session_row(&self, one: &SessionRecord, open: &Session, voice: Voice<'_>, now: Timestamp) -> SessionRow {
        let device = one.device.as_ref().map_or_else(|| voice.say("portal-device-none"), ToString::to_string);
        let facts = [
            ("opened", self.clock(one.opened_at, now)),
            ("seen", self.clock(one.seen_at, now)),
            ("ends", self.clock(one.ends_at, now)),
        ];
        let facts: Vec<(&str, &str)> = facts.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let facts = voice.say_all("me-session-facts", &facts);
        let parked = one.parked_at.map(|_| voice.say("me-session-parked"));
        SessionRow {
            id: one.id.to_string(),
            end_label: voice.say_with("me-session-end-label", "name", &device),
            device,
            facts: parked.map_or(facts.clone(), |parked| format!("{parked} / {facts}")),
            is_this: one.id == open.id(),
        }
    }

    fn device_row(&self, device: &DeviceRecord, request: &PageRequest, voice: Voice<'_>) -> DeviceRow {
        let until = device.last_certificate().map(|certificate| certificate.ends_at);
        let until = until.map_or_else(|| "-".to_owned(), |ends_at| self.day(ends_at));
        let class = voice.say(&format!("device-{}", device.class.as_str()));
        DeviceRow {
            name: device.id.to_string(),
            facts: voice.say_all("me-device-facts", &[("class", &class), ("until", &until)]),
            is_this: request.device.as_ref().is_some_and(|this| this.id == device.id),
        }
    }

    /// A day as people read it from a calendar.
    pub(crate) fn day(&self, at: Timestamp) -> String {
        let moment = wall_clock(at, self.config().offset);
        moment.get(..10).unwrap_or(&moment).to_owned()
    }

    /// What the log holds of this person's accesses, newest first. A log that cannot be read shows nothing here; the
    /// operator hears of it elsewhere.
    async fn opened(&self, user: &UserId, now: Timestamp, voice: Voice<'_>) -> Vec<OpenedRow> {
        let log = self.config().audit.clone();
        let span = i64::try_from(OPENED_SPAN.as_micros()).unwrap_or(i64::MAX);
        let since = Timestamp::from_unix_micros(now.unix_micros().saturating_sub(span));
        let search = Search { since, bytes_max: OPENED_BYTES_MAX, lines_max: OPENED_ROWS_MAX };
        let own = format!(r#","sub":"{user}""#);
        let wanted = move |line: &str| {
            let is_access = line.contains(r#""ev":"open""#) || line.contains(r#""ev":"refused""#);
            let is_ours = [r#","app":"login""#, r#","app":"portal""#].iter().any(|app| line.contains(app));
            is_access && !is_ours && line.contains(&own)
        };
        let Ok(_search) = self.searches.acquire().await else { return Vec::new() };
        let found = tokio::task::spawn_blocking(move || audit::search(&log, search, wanted)).await;
        match found {
            Ok(Ok(found)) => found.lines.iter().filter_map(|line| self.opened_row(line, voice)).collect(),
            Ok(Err(problem)) => {
                warn!(%problem, "the log could not be searched");
                Vec::new()
            }
            Err(problem) => {
                warn!(%problem, "the log could not be searched");
                Vec::new()
            }
        }
    }

    fn opened_row(&self, line: &str, voice: Voice<'_>) -> Option<OpenedRow> {
        let Opened { ts, ev, act, app, dev } = serde_json::from_str(line).ok()?;
        let app = app.map(|id| match AppId::parse(&id) {
            Ok(known) => self.app_name(&known, voice.language()),
            Err(_) => id,
        });
        let action = if act.as_deref() == Some("write") { "me-act-write" } else { "me-act-read" };
        let outcome = if ev == "refused" { "me-outcome-refused" } else { "me-outcome-allowed" };
        Some(OpenedRow {
            at: Timestamp::parse_rfc3339(&ts).map_or(ts, |at| wall_clock(at, self.config().offset)),
            app: app.unwrap_or_default(),
            action: voice.say(action),
            device: dev.unwrap_or_else(|| "-".to_owned()),
            outcome: voice.say(outcome),
        })
    }
}

/// Who asks, and which key they mean.
fn own_key(request: &PageRequest) -> Result<(UserId, CredentialId), Fault> {
    let session = request.usable_session().ok_or(Fault::SignInExpired)?;
    let key = query::field(&request.body, "key").and_then(|id| CredentialId::parse(&id)).ok_or(Fault::BadRequest)?;
    Ok((session.who.user.clone(), key))
}

/// Back to the page; what is not theirs does not exist.
fn done(is_done: bool) -> Answer {
    if is_done { Ok(headers::redirect(StatusCode::SEE_OTHER, "/me?done=1")) } else { Err(Fault::NotFound) }
}

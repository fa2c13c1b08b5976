//! Files of an app's server: looking into the folders that may be looked into, taking a file, putting one. Each is a request
//! of its own, judged and recorded as such, and each file that was carried a fact with its name, size and SHA-256. Nothing is
//! opened, and nothing that is there is replaced.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use audit::{End, Event, Note, Outcome, Recorder};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use config::Terminal;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use identity::Session;
use policy::{Access, Clock};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;
use tokio::time::timeout;
use web::{FOLDER, Fault, FileKind, GET_FILE, ListedFile, Listing, PUT_FILE, PageRequest};

use super::sftp::{About, Handle, PIECE_BYTES, Sftp, SftpProblem};
use super::ssh::{FileChannel, Ssh};
use super::{Begun, CHANGED, NoSsh, sign_in, until_changed};
use crate::body::{FileBody, Record, ResponseBody, UpstreamBody};
use crate::client_body::ClientBody;
use crate::connection::Connection;
use crate::exchange::Exchange;
use crate::gate::Gate;
use crate::inbound::Inbound;
use crate::pages::recorded;
use crate::snapshot::{AppRoute, Snapshot};
use crate::vitals::OpenExchange;

/// How many files of a folder are listed.
const LISTED_MAX: usize = 1_000;
/// How many pieces wait for the client.
const PIECES_WAIT: usize = 4;
/// How long putting away what was begun may take.
const PUT_AWAY: Duration = Duration::from_secs(5);
/// What names of files begin with that are still on their way to a server.
const ON_ITS_WAY: &str = ".sekimori-";

/// Why a file was not carried, or a folder not shown.
#[derive(Debug)]
struct Refused {
    code: &'static str,
    end: End,
    said: String,
}

impl Refused {
    fn new(code: &'static str) -> Self {
        Self { code, end: End::Refused, said: code.to_owned() }
    }
}

impl From<NoSsh> for Refused {
    fn from(problem: NoSsh) -> Self {
        Self { code: problem.code, end: End::UpstreamFailed, said: problem.said }
    }
}

impl From<SftpProblem> for Refused {
    fn from(problem: SftpProblem) -> Self {
        let end = match problem {
            SftpProblem::NoSuchFile | SftpProblem::Denied => End::Refused,
            SftpProblem::Failed | SftpProblem::Silent => End::UpstreamFailed,
        };
        Self { end, ..Self::new(problem.code()) }
    }
}

/// A request taken apart: what pages need of it, its body, and what keeps its connection.
struct Parts {
    page: PageRequest,
    body: ClientBody,
    held: (Rc<Connection>, Option<OpenExchange>),
}

impl Parts {
    fn of(inbound: Inbound, session: Option<Arc<Session>>, access: &Access) -> Self {
        let Inbound { id, at, connection, method, host, path, query, request, open, .. } = inbound;
        let (head, body) = request.into_parts();
        let page = PageRequest {
            request: id,
            at,
            method,
            host,
            path,
            query: query.unwrap_or_default(),
            headers: head.headers,
            body: Bytes::new(),
            from: access.from.clone(),
            device: access.device.clone(),
            session,
            glass: None,
        };
        Self { page, body, held: (connection, open) }
    }

    /// The path at the server, after this.
    fn place(&self, before: &str) -> Option<String> {
        decoded(self.page.path.as_str().strip_prefix(before)?)
    }
}

/// File transfer with an app's server.
struct Carrier {
    sftp: Sftp<FileChannel>,
    ssh: Ssh,
}

/// Signs in at an app's server and begins file transfer.
async fn begin(begun: &Begun<'_>, route: &AppRoute) -> Result<Carrier, Refused> {
    let ssh = sign_in(begun.snapshot, route).await?;
    let channel = ssh.files().await.map_err(|problem| NoSsh::of(&problem))?;
    let sftp = Sftp::open(channel).await?;
    Ok(Carrier { sftp, ssh })
}

impl Carrier {
    /// Where a path really leads, where that is in a folder that may be looked into, and no link on the way there:
    /// rules name folders by their paths.
    async fn resolve(&mut self, terminal: &Terminal, path: &str) -> Result<String, Refused> {
        let folders = terminal.folders.iter().filter(|folder| is_in(path, folder));
        let folder = folders.max_by_key(|folder| folder.len()).ok_or_else(|| Refused::new("not-a-folder-of-yours"))?;
        let (real_folder, real) = (self.sftp.real_path(folder).await?, self.sftp.real_path(path).await?);
        // A link may lead anywhere.
        if is_as_asked((path, &real), (folder, &real_folder)) {
            Ok(real)
        } else {
            Err(Refused::new("not-a-folder-of-yours"))
        }
    }
}

impl Begun<'_> {
    /// Shows what is in a folder, or which folders may be looked into.
    pub(super) async fn list(
        self,
        route: Arc<AppRoute>,
        inbound: Box<Inbound>,
        session: Option<Arc<Session>>,
    ) -> Response<ResponseBody> {
        let parts = Parts::of(*inbound, session.clone(), self.receipt.permit().access());
        let Some(terminal) = route.app.terminal.as_ref() else { return self.fail(Fault::NotFound, End::Refused) };
        let Some(_place) = self.place(session.as_deref()) else { return self.fail(Fault::Overloaded, End::Refused) };
        let _in_book = self.enter(session);
        let listing = tokio::select! {
            listing = self.listing(&route, terminal, parts.place(FOLDER)) => listing,
            _why = self.exchange.until_ended() => return self.ended(),
        };
        match listing {
            Ok(listing) => {
                let page = self.snapshot.site.terminal_files(&parts.page, &listing);
                self.answer(page, parts)
            }
            Err(refused) => self.refused(&parts, refused),
        }
    }

    async fn listing(&self, route: &AppRoute, terminal: &Terminal, folder: Option<String>) -> Result<Listing, Refused> {
        if !(terminal.files.downloads() || terminal.files.uploads()) {
            return Err(Refused::new("file-refused"));
        }
        let Some(folder) = folder else {
            let folder =
                |name: &String| ListedFile { name: name.clone(), kind: FileKind::Folder, bytes: None, changed: None };
            return Ok(Listing { folder: None, files: terminal.folders.iter().map(folder).collect(), is_cut: false });
        };
        let folder = folder.trim_end_matches('/').to_owned();
        let mut carrier = begin(self, route).await?;
        let real = carrier.resolve(terminal, &folder).await?;
        let (files, is_cut) = carrier.sftp.list(&real, LISTED_MAX).await?;
        carrier.ssh.close().await;
        Ok(Listing { folder: Some(folder), files, is_cut })
    }

    /// Takes a file.
    pub(super) async fn get(
        self,
        route: Arc<AppRoute>,
        inbound: Box<Inbound>,
        session: Option<Arc<Session>>,
    ) -> Response<ResponseBody> {
        let parts = Parts::of(*inbound, session.clone(), self.receipt.permit().access());
        let Some(terminal) = route.app.terminal.as_ref() else { return self.fail(Fault::NotFound, End::Refused) };
        let Some(path) = parts.place(GET_FILE).filter(|_| parts.page.method.as_str() == "GET") else {
            return self.fail(Fault::BadRequest, End::Refused);
        };
        let Some(place) = self.place(session.as_deref()) else { return self.fail(Fault::Overloaded, End::Refused) };
        let in_book = self.enter(session);
        let found = tokio::select! {
            found = self.find(&route, terminal, &path) => found,
            _why = self.exchange.until_ended() => return self.ended(),
        };
        let (carrier, file, bytes) = match found {
            Ok(found) => found,
            Err(refused) => return self.refused(&parts, refused),
        };
        let (pieces, body) = mpsc::channel(PIECES_WAIT);
        let (fact, settings) = (self.fact(&path, "download"), self.settings(&route));
        // It ends with the file, or when nobody takes the pieces, or they may not be had any more.
        drop(spawn_local(async move {
            let _place = place;
            take_out(carrier, (file, bytes), pieces, fact, settings).await;
        }));
        self.exchange.request_done.set(true);
        let record = Record {
            receipt: self.receipt.into(),
            exchange: self.exchange,
            status: StatusCode::OK,
            in_book: Some(in_book),
            enter: None,
        };
        let mut answer = self.snapshot.site.terminal_file(name_of(&path));
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes));
        let answer =
            answer.map(|_| ResponseBody::upstream(UpstreamBody::File(FileBody::new(body, bytes)), false, record));
        match parts.held.1 {
            Some(open) => answer.map(|body| body.counted(open)),
            None => answer,
        }
    }

    /// Opens a file that may be taken.
    async fn find(&self, route: &AppRoute, terminal: &Terminal, path: &str) -> Result<(Carrier, Handle, u64), Refused> {
        if !terminal.files.downloads() {
            return Err(Refused::new("file-refused"));
        }
        let mut carrier = begin(self, route).await?;
        let real = carrier.resolve(terminal, path).await?;
        let About { kind, bytes, .. } = carrier.sftp.look(&real).await?;
        match (kind, bytes) {
            (FileKind::File, Some(bytes)) if bytes <= terminal.file_bytes_max => {
                let file = carrier.sftp.open_file(&real).await?;
                Ok((carrier, file, bytes))
            }
            (FileKind::File, Some(_)) => Err(Refused::new("file-too-large")),
            (FileKind::File, None) | (FileKind::Folder | FileKind::Other, _) => Err(Refused::new("file-refused")),
        }
    }

    /// Puts a file.
    pub(super) async fn put(
        self,
        route: Arc<AppRoute>,
        inbound: Box<Inbound>,
        session: Option<Arc<Session>>,
    ) -> Response<ResponseBody> {
        let mut parts = Parts::of(*inbound, session.clone(), self.receipt.permit().access());
        if !self.snapshot.site.is_from_here(&parts.page) {
            return self.fail(Fault::ForeignForm, End::Refused);
        }
        let Some(terminal) = route.app.terminal.as_ref() else { return self.fail(Fault::NotFound, End::Refused) };
        let Some(path) = parts.place(PUT_FILE) else { return self.fail(Fault::BadRequest, End::Refused) };
        let Some(place) = self.place(session.as_deref()) else { return self.fail(Fault::Overloaded, End::Refused) };
        let body = std::mem::replace(&mut parts.body, ClientBody::None);
        let in_book = self.enter(session);
        let announced = parts.page.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let made = tokio::select! {
            made = self.make(&route, terminal, &path, announced) => made,
            _why = self.exchange.until_ended() => return self.ended(),
        };
        let (carrier, file, room) = match made {
            Ok(made) => made,
            Err(refused) => return self.refused(&parts, refused),
        };
        let putting = Putting {
            carrier,
            room,
            fact: self.fact(&path, "upload"),
            settings: self.settings(&route),
            exchange: Rc::clone(&self.exchange),
            bytes_max: terminal.file_bytes_max,
            idle: self.snapshot.config.limits.body_idle_timeout,
        };
        let (tell, told) = oneshot::channel();
        // A task of its own: a stream that is reset drops the request at once, and what was begun must be put away.
        drop(spawn_local(async move {
            let put = putting.run(file, body).await;
            drop((place, in_book));
            drop(tell.send(put));
        }));
        match told.await.unwrap_or_else(|_| Err(Refused::new("upload-ended"))) {
            Ok((bytes, sha256)) => {
                let page = self.snapshot.site.terminal_put(&parts.page, name_of(&path), (bytes, &sha256));
                self.answer(page, parts)
            }
            Err(_) if self.exchange.ended().is_some() => self.ended(),
            Err(refused) => self.refused(&parts, refused),
        }
    }

    /// Makes the file, under a name of its own as long as it is on its way.
    async fn make(
        &self,
        route: &AppRoute,
        terminal: &Terminal,
        path: &str,
        announced: Option<u64>,
    ) -> Result<(Carrier, Handle, Room), Refused> {
        let (folder, name) = path.rsplit_once('/').unwrap_or_default();
        if !terminal.files.uploads() || name.is_empty() || name.starts_with(ON_ITS_WAY) {
            return Err(Refused::new("file-refused"));
        }
        if announced.is_some_and(|bytes| bytes > terminal.file_bytes_max) {
            return Err(Refused::new("file-too-large"));
        }
        let mut carrier = begin(self, route).await?;
        let real = carrier.resolve(terminal, folder).await?;
        let room = Room {
            named: format!("{real}/{name}"),
            on_its_way: format!("{real}/{ON_ITS_WAY}{}.part", self.receipt.permit().access().request),
        };
        match carrier.sftp.look(&room.named).await {
            Err(SftpProblem::NoSuchFile) => {}
            Ok(_) => return Err(Refused::new("file-exists")),
            Err(problem) => return Err(problem.into()),
        }
        let file = carrier.sftp.make_file(&room.on_its_way).await?;
        Ok((carrier, file, room))
    }

    fn settings(&self, route: &Arc<AppRoute>) -> Settings {
        let (gate, snapshot) = (Arc::clone(&self.worker.gate), Arc::clone(self.snapshot));
        Settings { gate, snapshot, route: Arc::clone(route) }
    }

    fn fact(&self, path: &str, code: &'static str) -> Carrying {
        let access = self.receipt.permit().access();
        Carrying {
            recorder: self.worker.recorder.clone(),
            clock: self.worker.gate.clock.clone(),
            access: access.clone(),
            path: path.to_owned(),
            code,
            is_told: false,
            bytes: 0,
            digest: Context::new(&SHA256),
        }
    }

    /// Answers with a page made here.
    fn answer(self, page: Response<Bytes>, parts: Parts) -> Response<ResponseBody> {
        let is_head = parts.page.method.as_str() == "HEAD";
        let page = page.map(|bytes| ResponseBody::own(if is_head { Bytes::new() } else { bytes }));
        let answer = recorded(page, self.exchange, self.receipt);
        match parts.held.1 {
            Some(open) => answer.map(|body| body.counted(open)),
            None => answer,
        }
    }

    /// Says why not, and records it.
    fn refused(self, parts: &Parts, refused: Refused) -> Response<ResponseBody> {
        self.worker.gate.metrics.failed.inc();
        let answer = self.snapshot.site.terminal_refusal(&parts.page, refused.code);
        let outcome = self.exchange.outcome(answer.status(), refused.end);
        self.receipt.close(Outcome { said: Some(refused.said.into()), ..outcome });
        answer.map(ResponseBody::own)
    }
}

/// The names of a file that is put.
struct Room {
    named: String,
    on_its_way: String,
}

/// What a file was begun to be carried by.
struct Settings {
    gate: Arc<Gate>,
    snapshot: Arc<Snapshot>,
    route: Arc<AppRoute>,
}

impl Settings {
    /// Waits until the app's settings are others.
    async fn until_changed(&self) {
        until_changed(&self.gate, &self.snapshot, &self.route.app.id).await;
    }
}

/// A file that is being put.
struct Putting {
    carrier: Carrier,
    room: Room,
    fact: Carrying,
    settings: Settings,
    exchange: Rc<Exchange>,
    bytes_max: u64,
    idle: Duration,
}

impl Putting {
    /// Puts it: its size and SHA-256. Where that fails, nothing is left of it and that it was tried is on record.
    async fn run(mut self, file: Handle, mut body: ClientBody) -> Result<(u64, String), Refused> {
        match self.put(file, &mut body).await {
            Ok(()) => {
                self.carrier.ssh.close().await;
                Ok((self.fact.bytes, self.fact.sha256()))
            }
            Err(refused) => {
                let _in_time = timeout(PUT_AWAY, self.put_away()).await;
                let _told = self.fact.tell_failed().await;
                Err(refused)
            }
        }
    }

    async fn put(&mut self, file: Handle, body: &mut ClientBody) -> Result<(), Refused> {
        let (sftp, bounds) = (&mut self.carrier.sftp, (self.bytes_max, self.idle));
        tokio::select! {
            put = put_in(sftp, file, body, bounds, &self.exchange, &mut self.fact) => put?,
            _why = self.exchange.until_ended() => return Err(Refused::new("upload-ended")),
            () = self.settings.until_changed() => return Err(Refused::new(CHANGED)),
        }
        // On record before it is there under its name.
        self.fact.tell().await?;
        rename(&mut self.carrier.sftp, &self.room).await
    }

    async fn put_away(&self) {
        // A channel of its own: in the first one a question may be open.
        let Ok(channel) = self.carrier.ssh.files().await else { return };
        let Ok(mut sftp) = Sftp::open(channel).await else { return };
        if let Err(problem) = sftp.remove(&self.room.on_its_way).await {
            tracing::warn!(?problem, "what came of a file that was put could not be removed");
        }
    }
}

/// A file on its way: what is on record of it in the end.
struct Carrying {
    recorder: Recorder,
    clock: Clock,
    access: Access,
    path: String,
    code: &'static str,
    /// Whether it is on record as carried whole.
    is_told: bool,
    bytes: u64,
    digest: Context,
}

impl Carrying {
    fn see(&mut self, piece: &[u8]) {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        self.digest.update(piece);
    }

    fn sha256(&self) -> String {
        self.digest.clone().finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Records that it was carried.
    async fn tell(&mut self) -> Result<(), Refused> {
        self.tell_as(self.code.to_owned()).await?;
        self.is_told = true;
        Ok(())
    }

    /// Records that it broke off, and what was carried until then; or that what came whole was not kept.
    async fn tell_failed(&self) -> Result<(), Refused> {
        let how = if self.is_told { "undone" } else { "cut" };
        self.tell_as(format!("{}-{how}", self.code)).await
    }

    async fn tell_as(&self, code: String) -> Result<(), Refused> {
        let access = &self.access;
        let mut note =
            Note::new(Event::FileCarried, self.clock.now()).request(access.request).from(&access.from).code(code);
        if let Some(who) = &access.who {
            note = note.who(who);
        }
        note.app = Some(access.app.clone());
        note.host = Some(access.host.clone());
        note.grant = access.grant.as_ref().map(|grant| grant.id.clone());
        note.file = Some(self.path.clone());
        note.sha256 = Some(self.sha256());
        note.count = Some(self.bytes);
        self.recorder.note(note).await.map(drop).map_err(|problem| {
            tracing::error!(%problem, "a file that was carried could not be recorded");
            Refused::new("recording-failed")
        })
    }
}

/// Reads a file to its end and gives it on, the last piece only once it is on record.
async fn take_out(
    mut carrier: Carrier,
    (file, bytes): (Handle, u64),
    pieces: mpsc::Sender<Bytes>,
    mut fact: Carrying,
    settings: Settings,
) {
    let mut last = None;
    let mut changed = std::pin::pin!(settings.until_changed());
    let is_whole = loop {
        let left = bytes.saturating_sub(fact.bytes);
        if left == 0 {
            break true;
        }
        let read = tokio::select! {
            read = carrier.sftp.read(&file, fact.bytes) => read,
            () = pieces.closed() => break false,
            () = changed.as_mut() => break false,
        };
        let Ok(Some(mut piece)) = read else { break false };
        piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        fact.see(&piece);
        if let Some(before) = last.replace(piece) {
            let sent = tokio::select! {
                sent = pieces.send(before) => sent,
                () = changed.as_mut() => break false,
            };
            if sent.is_err() {
                break false;
            }
        }
    };
    let told = if is_whole { fact.tell().await } else { fact.tell_failed().await };
    if let (true, Ok(()), Some(last)) = (is_whole, told, last) {
        // A client that is gone is on record by the access.
        let _taken = pieces.send(last).await;
    }
    carrier.ssh.close().await;
}

/// Writes what comes into a file.
async fn put_in(
    sftp: &mut Sftp<FileChannel>,
    file: Handle,
    body: &mut ClientBody,
    (bytes_max, idle): (u64, Duration),
    exchange: &Exchange,
    fact: &mut Carrying,
) -> Result<(), Refused> {
    loop {
        let frame = timeout(idle, body.frame()).await.map_err(|_| Refused::new("upload-ended"))?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Refused { end: End::ClientGone, ..Refused::new("upload-ended") })?;
        let Some(data) = frame.data_ref() else { continue };
        exchange.bytes_in.set(exchange.bytes_in.get().saturating_add(data.len() as u64));
        exchange.client_acted.set(true);
        if exchange.bytes_in.get() > bytes_max {
            return Err(Refused::new("file-too-large"));
        }
        for piece in data.chunks(PIECE_BYTES) {
            sftp.write(&file, fact.bytes, piece).await?;
            fact.see(piece);
        }
    }
    exchange.request_done.set(true);
    sftp.close(file).await.map_err(Refused::from)
}

/// Gives a file its name, where nothing took it meanwhile.
async fn rename(sftp: &mut Sftp<FileChannel>, room: &Room) -> Result<(), Refused> {
    match sftp.rename(&room.on_its_way, &room.named).await {
        Ok(()) => Ok(()),
        Err(SftpProblem::Failed) if sftp.look(&room.named).await.is_ok() => Err(Refused::new("file-exists")),
        Err(problem) => Err(problem.into()),
    }
}

/// Whether a path is a folder, or in it.
fn is_in(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path leads to where it says, below where its folder leads.
fn is_as_asked((path, real): (&str, &str), (folder, real_folder): (&str, &str)) -> bool {
    let rest = |path: &str, folder: &str| {
        let rest = path.strip_prefix(folder.trim_end_matches('/'))?;
        Some(rest.trim_end_matches('/').to_owned()).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    rest(path, folder).is_some_and(|asked| rest(real, real_folder) == Some(asked))
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// A path without its escapes; they are sound, or it would be no path.
fn decoded(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_covers_what_is_in_it_and_nothing_beside() {
        for (path, folder, expected) in [
            ("/var/log", "/var/log", true),
            ("/var/log/a", "/var/log", true),
            ("/var/logs", "/var/log", false),
            ("/var", "/var/log", false),
            ("/srv/a", "/srv/", true),
        ] {
            assert_eq!(is_in(path, folder), expected, "{path} {folder}");
        }
    }

    #[test]
    fn a_path_leads_where_it_says_or_nowhere() {
        for (path, real, folder, real_folder, expected) in [
            ("/var/log/a", "/var/log/a", "/var/log", "/var/log", true),
            ("/var/log/", "/var/log", "/var/log", "/var/log", true),
            ("/var/log/a/b", "/data/log/a/b", "/var/log", "/data/log", true),
            ("/srv", "/srv", "/", "/", true),
            ("/var/log/a/b", "/var/log/c/b", "/var/log", "/var/log", false),
            ("/var/log/a", "/etc/a", "/var/log", "/var/log", false),
            ("/var/log/a", "/var/log", "/var/log", "/var/log", false),
            ("/var/log", "/var/logs", "/var/log", "/var/log", false),
        ] {
            assert_eq!(is_as_asked((path, real), (folder, real_folder)), expected, "{path} {real}");
        }
    }

    #[test]
    fn names_are_read_without_their_escapes() {
        assert_eq!(decoded("/srv/%E5%BC%95%E7%B6%99%E3%81%8E%20%2B.txt").as_deref(), Some("/srv/引継ぎ +.txt"));
        assert_eq!(decoded("/a%"), None);
        assert_eq!(name_of("/srv/a.txt"), "a.txt");
    }
}

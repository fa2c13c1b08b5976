//! The pages of an SSH app's terminal: the terminal itself, and the files of the folders that may be looked into. What a
//! server says of its files comes from the gateway; here it becomes a page. Names of files are shown as text and never
//! opened.

use bytes::Bytes;
use config::Terminal;
use http::{Response, StatusCode};
use policy::{Path, Timestamp};
use serde::Serialize;

use crate::notice::wall_clock;
use crate::site::{Answer, said};
use crate::view::{FileRow, FilesView, TerminalView, show, show_with_script};
use crate::{Fault, Language, Page, PageRequest, Site, TerminalPage, headers, language};

/// The path of a terminal's WebSocket.
pub const TERMINAL_STREAM: &str = "/terminal/stream";
/// What stands before the path of a folder that is looked into.
pub const FOLDER: &str = "/files/at";
/// What stands before the path of a file that is taken.
pub const GET_FILE: &str = "/files/get";
/// What stands before the path of a file that is put.
pub const PUT_FILE: &str = "/files/put";

/// What is in a folder of a server, as the server says.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The folder; none for the list of the folders that may be looked into.
    pub folder: Option<String>,
    /// What is in it.
    pub files: Vec<ListedFile>,
    /// Whether there is more than is listed.
    pub is_cut: bool,
}

/// One file or folder.
#[derive(Clone, Debug)]
pub struct ListedFile {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// How large it is.
    pub bytes: Option<u64>,
    /// When it was changed.
    pub changed: Option<Timestamp>,
}

/// What stands under a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FileKind {
    /// A folder.
    Folder,
    /// A plain file.
    File,
    /// Anything else: a link, a device.
    Other,
}

/// What the terminal's own script is told when its session ends.
#[derive(Serialize)]
struct Ended<'a> {
    state: &'static str,
    code: &'a str,
    what: String,
    #[serde(rename = "do")]
    todo: String,
}

/// What the script is told of a file that was put.
#[derive(Serialize)]
struct Put<'a> {
    name: &'a str,
    bytes: u64,
    sha256: &'a str,
    says: String,
}

impl Site {
    /// The terminal.
    pub(crate) fn terminal(&self, request: &PageRequest) -> Answer {
        let (app, terminal) = self.terminal_of(request)?;
        let view = TerminalView {
            frame: self.frame_of(request),
            app: said(&app.name, language(&request.headers)).to_owned(),
            stream: TERMINAL_STREAM,
            has_files: terminal.files.downloads() || terminal.files.uploads(),
        };
        Ok(show_with_script(StatusCode::OK, &view))
    }

    /// The files of a folder, or the folders that may be looked into.
    #[must_use]
    pub fn terminal_files(&self, request: &PageRequest, listing: &Listing) -> Response<Bytes> {
        let (app, terminal) = match self.terminal_of(request) {
            Ok(found) => found,
            Err(fault) => return self.fault(Page::Terminal(TerminalPage::Folder), request, fault),
        };
        let language = language(&request.headers);
        let row = |file: &ListedFile| self.row(terminal, listing.folder.as_deref(), file, language);
        let above = listing.folder.as_deref().map(|folder| above(terminal, folder));
        let put = listing.folder.as_deref().filter(|_| terminal.files.uploads());
        let view = FilesView {
            frame: self.frame_of(request),
            app: said(&app.name, language).to_owned(),
            folder: listing.folder.clone(),
            above,
            rows: listing.files.iter().map(row).collect(),
            is_cut: listing.is_cut,
            put: put.and_then(|folder| address(PUT_FILE, folder)),
            bytes_max: size(terminal.file_bytes_max),
            refused: None,
        };
        show_with_script(StatusCode::OK, &view)
    }

    /// Why no file could be carried, or no folder shown: a page, or for our own script a document.
    #[must_use]
    pub fn terminal_refusal(&self, request: &PageRequest, code: &str) -> Response<Bytes> {
        let language = language(&request.headers);
        let [what, todo] = self.terminal_words(language, code);
        let status = match code {
            "no-such-file" => StatusCode::NOT_FOUND,
            "not-a-folder-of-yours" | "file-refused" => StatusCode::FORBIDDEN,
            "file-exists" => StatusCode::CONFLICT,
            "file-too-large" => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_GATEWAY,
        };
        if crate::wants_page(&request.headers, &request.method) {
            let frame = self.frame_of(request);
            let app =
                self.terminal_of(request).map(|(app, _)| said(&app.name, language).to_owned()).unwrap_or_default();
            let view = FilesView::refused(frame, app, format!("{what} {todo}"));
            return show(status, &view);
        }
        let ended = Ended { state: "refused", code, what, todo };
        let body = serde_json::to_vec(&ended).unwrap_or_default();
        headers::document(status, "application/problem+json", "no-store", Bytes::from(body))
    }

    /// The head of a file that is taken.
    #[must_use]
    pub fn terminal_file(&self, name: &str) -> Response<Bytes> {
        headers::attachment(name)
    }

    /// Tells the script that a file was put.
    #[must_use]
    pub fn terminal_put(&self, request: &PageRequest, name: &str, (bytes, sha256): (u64, &str)) -> Response<Bytes> {
        let voice = self.voice(language(&request.headers));
        let says = voice.say_all("files-put-done", &[("name", name), ("sha", sha256)]);
        let body = serde_json::to_vec(&Put { name, bytes, sha256, says }).unwrap_or_default();
        headers::document(StatusCode::CREATED, "application/json", "no-store", Bytes::from(body))
    }

    /// What the terminal's page is told when its session ends, for the code of a reason, a fault or an end of its own.
    #[must_use]
    pub fn terminal_end(&self, language: Language, code: &str) -> String {
        let [what, todo] = self.terminal_words(language, code);
        serde_json::to_string(&Ended { state: "ended", code, what, todo }).unwrap_or_default()
    }

    /// What happened, and what to do.
    fn terminal_words(&self, language: Language, code: &str) -> [String; 2] {
        let voice = self.voice(language);
        for kind in ["terminal-end", "reason", "fault", "connect-end"] {
            let part = |part: &str| voice.try_say(&format!("{kind}-{code}-{part}"));
            if let (Some(what), Some(todo)) = (part("what"), part("do")) {
                return [what, todo];
            }
        }
        [code.to_owned(), String::new()]
    }

    fn row(&self, terminal: &Terminal, folder: Option<&str>, file: &ListedFile, language: Language) -> FileRow {
        let whole = match folder {
            Some(folder) => format!("{folder}/{}", file.name),
            None => file.name.clone(),
        };
        let href = match file.kind {
            FileKind::Folder => address(FOLDER, &whole),
            FileKind::File if terminal.files.downloads() => {
                address(GET_FILE, &whole).filter(|_| file.bytes.is_none_or(|bytes| bytes <= terminal.file_bytes_max))
            }
            FileKind::File | FileKind::Other => None,
        };
        let voice = self.voice(language);
        FileRow {
            name: file.name.clone(),
            href,
            is_folder: file.kind == FileKind::Folder,
            size: match (file.kind, file.bytes) {
                (FileKind::Folder, _) => voice.say("files-folder"),
                (FileKind::File, Some(bytes)) => size(bytes),
                (FileKind::File, None) | (FileKind::Other, _) => voice.say("files-other"),
            },
            changed: file
                .changed
                .map(|at| wall_clock(at, self.config().offset).chars().take(16).collect::<String>())
                .unwrap_or_default(),
        }
    }

    /// Whether a file comes from a page of this very host.
    #[must_use]
    pub fn is_from_here(&self, request: &PageRequest) -> bool {
        self.check_origin(request).is_ok()
    }

    /// The app whose host this is, and its terminal.
    fn terminal_of(&self, request: &PageRequest) -> Result<(&config::App, &Terminal), Fault> {
        let app = self.config().apps.iter().find(|app| app.host == request.host).ok_or(Fault::NotFound)?;
        Ok((app, app.terminal.as_ref().ok_or(Fault::NotFound)?))
    }
}

/// Where to go from a folder: the one above it, or the list of all.
fn above(terminal: &Terminal, folder: &str) -> String {
    let parent = folder.rsplit_once('/').map(|(parent, _)| parent).unwrap_or_default();
    let is_below =
        |root: &String| parent == root || parent.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with('/'));
    let is_allowed = terminal.folders.iter().any(is_below);
    is_allowed.then(|| address(FOLDER, parent)).flatten().unwrap_or_else(|| "/files".to_owned())
}

/// A size as people read it.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes.div_ceil(1_024)),
        _ => format!("{} MiB", bytes.div_ceil(1_048_576)),
    }
}

/// The address of a file or folder; none where its name has what no path may have.
fn address(before: &str, path: &str) -> Option<String> {
    let mut text = before.to_owned();
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    Path::parse(&text).ok().map(|path| path.as_str().to_owned())
}

#[cfg(test)]
mod tests;

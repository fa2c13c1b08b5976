//! File transfer over an SSH channel: as much of SFTP (draft-ietf-secsh-filexfer-02, version 3, which servers speak) as
//! looking into folders, taking and putting files needs. One question at a time, each with a bound on time and size.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use policy::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use web::{FileKind, ListedFile};

/// How long a server may take over one question.
const ANSWER: Duration = Duration::from_secs(30);
/// The largest answer, in bytes.
const PACKET_BYTES_MAX: usize = 256 * 1024;
/// How much is read or written at once, in bytes: what every server takes.
pub const PIECE_BYTES: usize = 32 * 1024;
/// How often a server may go on listing one folder.
const ROUNDS_MAX: usize = 1_000;
const VERSION: u32 = 3;

const INIT: u8 = 1;
const VERSION_IS: u8 = 2;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const WRITE: u8 = 6;
const LSTAT: u8 = 7;
const OPENDIR: u8 = 11;
const READDIR: u8 = 12;
const REMOVE: u8 = 13;
const REALPATH: u8 = 16;
const RENAME: u8 = 18;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRIBUTES: u8 = 105;

const OPEN_READ: u32 = 1;
/// Write, create, and only where nothing is there.
const OPEN_NEW: u32 = 0x2 | 0x8 | 0x20;

const OK: u32 = 0;
const END: u32 = 1;
const NO_SUCH_FILE: u32 = 2;
const DENIED: u32 = 3;

/// Why something with files did not come about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SftpProblem {
    /// There is none.
    NoSuchFile,
    /// The server does not let it.
    Denied,
    /// It could not do it.
    Failed,
    /// It did not answer as it should, or not in time.
    Silent,
}

impl SftpProblem {
    /// Its code in record and words.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoSuchFile => "no-such-file",
            Self::Denied => "file-refused",
            Self::Failed => "file-failed",
            Self::Silent => "target-silent",
        }
    }
}

impl From<io::Error> for SftpProblem {
    fn from(_: io::Error) -> Self {
        Self::Silent
    }
}

/// What a server says of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct About {
    /// What it is.
    pub kind: FileKind,
    /// How large it is.
    pub bytes: Option<u64>,
    /// When it was changed.
    pub changed: Option<Timestamp>,
}

/// An open file or folder at the server.
#[derive(Debug)]
pub struct Handle(Bytes);

/// File transfer with one server.
#[derive(Debug)]
pub struct Sftp<S> {
    stream: S,
    next: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sftp<S> {
    /// Begins it.
    ///
    /// # Errors
    /// [`SftpProblem::Silent`].
    pub async fn open(stream: S) -> Result<Self, SftpProblem> {
        let mut sftp = Self { stream, next: 0 };
        let mut hello = BytesMut::new();
        hello.put_u32(5);
        hello.put_u8(INIT);
        hello.put_u32(VERSION);
        let greeting = async {
            sftp.stream.write_all(&hello).await?;
            sftp.stream.flush().await?;
            sftp.packet().await
        };
        let mut answer = timeout(ANSWER, greeting).await.unwrap_or(Err(SftpProblem::Silent))?;
        if number8(&mut answer)? == VERSION_IS && number(&mut answer)? >= VERSION {
            return Ok(sftp);
        }
        Err(SftpProblem::Silent)
    }

    /// Where a path really leads, through all links.
    ///
    /// # Errors
    /// [`SftpProblem`].
    pub async fn real_path(&mut self, path: &str) -> Result<String, SftpProblem> {
        let (kind, mut answer) = self.ask(REALPATH, |out| text(out, path.as_bytes())).await?;
        if kind != NAME || number(&mut answer)? != 1 {
            return Err(problem(kind, answer));
        }
        String::from_utf8(bytes(&mut answer)?.to_vec()).map_err(|_| SftpProblem::Failed)
    }

    /// What stands at a path; links are links.
    ///
    /// # Errors
    /// [`SftpProblem`].
    pub async fn look(&mut self, path: &str) -> Result<About, SftpProblem> {
        let (kind, mut answer) = self.ask(LSTAT, |out| text(out, path.as_bytes())).await?;
        if kind == ATTRIBUTES { about(&mut answer) } else { Err(problem(kind, answer)) }
    }

    /// What is in a folder, at most so many, folders first; and whether there is more. Names that are no UTF-8 are left out.
    ///
    /// # Errors
    /// [`SftpProblem`].
    pub async fn list(&mut self, path: &str, most: usize) -> Result<(Vec<ListedFile>, bool), SftpProblem> {
        let (kind, answer) = self.ask(OPENDIR, |out| text(out, path.as_bytes())).await?;
        let folder = handle(kind, answer)?;
        let mut found = Vec::new();
        let mut is_cut = true;
        for _ in 0..ROUNDS_MAX {
            let (kind, mut answer) = self.ask(READDIR, |out| text(out, &folder.0)).await?;
            if kind != NAME {
                match status(kind, &mut answer)? {
                    END => {
                        is_cut = found.len() > most;
                        break;
                    }
                    code => return Err(problem_of(code)),
                }
            }
            for _ in 0..number(&mut answer)? {
                let name = bytes(&mut answer)?;
                let _long = bytes(&mut answer)?;
                let About { kind, bytes, changed } = about(&mut answer)?;
                match String::from_utf8(name.to_vec()) {
                    Ok(name) if name != "." && name != ".." => found.push(ListedFile { name, kind, bytes, changed }),
                    Ok(_) | Err(_) => {}
                }
            }
            if found.len() > most {
                break;
            }
        }
        self.close(folder).await?;
        found.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
        found.truncate(most);
        Ok((found, is_cut))
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    /// [`SftpProblem`].
    pub async fn open_file(&mut self, path: &str) -> Result<Handle, SftpProblem> {
        self.open_with(path, OPEN_READ).await
    }

    /// Makes a file that is not there yet.
    ///
    /// # Errors
    /// [`SftpProblem`].
    pub async fn make_file(&mut self, path: &str) -> Result<Handle, SftpProblem> {
        self.open_with(path, OPEN_NEW).await
    }

    async fn open_with(&mut self, path: &str, flags: u32) -> Result<Handle, SftpProblem> {
        let opening = |out: &mut BytesMut| {
            text(out, path.as_bytes());
            out.put_u32(flags);
            // No attributes: the server's own defaults.
            out.put_u32(0);
        };
        let (kind, answer) = self.ask(OPEN, opening).await?;
        handle(kind, answer)
    }

    /// A piece of a file; nothing at its end.
    ///
    /// # Errors
    /// [`SftpProblem`].
    pub async fn read(&mut self, file: &Handle, offset: u64) -> Result<Option<Bytes>, SftpProblem> {
        let reading = |out: &mut BytesMut| {
            text(out, &file.0);
            out.put_u64(offset);
            out.put_u32(u32::try_from(PIECE_BYTES).unwrap_or(u32::MAX));
        };
        let (kind, mut answer) = self.ask(READ, reading).await?;
        if kind == DATA {
            let piece = bytes(&mut answer)?;
            return if piece.is_empty() { Err(SftpProblem::Silent) } else { Ok(Some(piece)) };
        }
        match status(kind, &mut answer)? {
            END => Ok(None),
            code => Err(problem_of(code)),
        }
    }

    /// Writes a piece of a file, at most [`PIECE_BYTES`].
    ///
    /// # Errors
    /// [`SftpProblem`].
    pub async fn write(&mut self, file: &Handle, offset: u64, piece: &[u8]) -> Result<(), SftpProblem> {
        let writing = |out: &mut BytesMut| {
            text(out, &file.0);
            out.put_u64(offset);
            text(out, piece);
        };
        self.done(WRITE, writing).await
    }

    /// Closes a file or folder.
    ///
    /// # Errors
    /// [`SftpProblem`]: what was written may not be there.
    pub async fn close(&mut self, handle: Handle) -> Result<(), SftpProblem> {
        self.done(CLOSE, |out| text(out, &handle.0)).await
    }

    /// Gives a file another name, where nothing has it.
    ///
    /// # Errors
    /// [`SftpProblem`].
    pub async fn rename(&mut self, from: &str, to: &str) -> Result<(), SftpProblem> {
        let renaming = |out: &mut BytesMut| {
            text(out, from.as_bytes());
            text(out, to.as_bytes());
        };
        self.done(RENAME, renaming).await
    }

    /// Removes a file.
    ///
    /// # Errors
    /// [`SftpProblem`].
    pub async fn remove(&mut self, path: &str) -> Result<(), SftpProblem> {
        self.done(REMOVE, |out| text(out, path.as_bytes())).await
    }

    /// Asks what is answered by yes or no.
    async fn done(&mut self, kind: u8, write: impl FnOnce(&mut BytesMut)) -> Result<(), SftpProblem> {
        let (kind, mut answer) = self.ask(kind, write).await?;
        match status(kind, &mut answer)? {
            OK => Ok(()),
            code => Err(problem_of(code)),
        }
    }

    /// Asks, and waits for the answer: its kind, and what follows its number.
    async fn ask(&mut self, kind: u8, write: impl FnOnce(&mut BytesMut)) -> Result<(u8, Bytes), SftpProblem> {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        let mut body = BytesMut::new();
        body.put_u8(kind);
        body.put_u32(id);
        write(&mut body);
        let mut packet = BytesMut::with_capacity(body.len() + 4);
        packet.put_u32(u32::try_from(body.len()).map_err(|_| SftpProblem::Failed)?);
        packet.extend_from_slice(&body);
        let asking = async {
            self.stream.write_all(&packet).await?;
            self.stream.flush().await?;
            self.packet().await
        };
        let mut answer = timeout(ANSWER, asking).await.unwrap_or(Err(SftpProblem::Silent))?;
        let kind = number8(&mut answer)?;
        if number(&mut answer)? == id { Ok((kind, answer)) } else { Err(SftpProblem::Silent) }
    }

    async fn packet(&mut self) -> Result<Bytes, SftpProblem> {
        let length = usize::try_from(self.stream.read_u32().await?).unwrap_or(usize::MAX);
        if length > PACKET_BYTES_MAX {
            return Err(SftpProblem::Silent);
        }
        let mut packet = vec![0; length];
        self.stream.read_exact(&mut packet).await?;
        Ok(Bytes::from(packet))
    }
}

fn text(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

fn number8(from: &mut Bytes) -> Result<u8, SftpProblem> {
    from.try_get_u8().map_err(|_| SftpProblem::Silent)
}

fn number(from: &mut Bytes) -> Result<u32, SftpProblem> {
    from.try_get_u32().map_err(|_| SftpProblem::Silent)
}

fn number64(from: &mut Bytes) -> Result<u64, SftpProblem> {
    from.try_get_u64().map_err(|_| SftpProblem::Silent)
}

fn bytes(from: &mut Bytes) -> Result<Bytes, SftpProblem> {
    let length = usize::try_from(number(from)?).unwrap_or(usize::MAX);
    if length > from.len() { Err(SftpProblem::Silent) } else { Ok(from.split_to(length)) }
}

fn handle(kind: u8, mut answer: Bytes) -> Result<Handle, SftpProblem> {
    if kind == HANDLE { bytes(&mut answer).map(Handle) } else { Err(problem(kind, answer)) }
}

/// The code of a status.
fn status(kind: u8, answer: &mut Bytes) -> Result<u32, SftpProblem> {
    if kind == STATUS { number(answer) } else { Err(SftpProblem::Silent) }
}

/// What an answer that is not the one asked for means.
fn problem(kind: u8, mut answer: Bytes) -> SftpProblem {
    status(kind, &mut answer).map_or(SftpProblem::Silent, problem_of)
}

fn problem_of(code: u32) -> SftpProblem {
    match code {
        NO_SUCH_FILE => SftpProblem::NoSuchFile,
        DENIED => SftpProblem::Denied,
        _ => SftpProblem::Failed,
    }
}

/// Reads attributes (section 5 of the draft).
fn about(from: &mut Bytes) -> Result<About, SftpProblem> {
    const SIZE: u32 = 0x1;
    const OWNER: u32 = 0x2;
    const MODE: u32 = 0x4;
    const TIMES: u32 = 0x8;
    const MORE: u32 = 0x8000_0000;
    const KIND: u32 = 0o170_000;
    let flags = number(from)?;
    let has = |flag: u32| flags & flag != 0;
    let bytes_in_it = if has(SIZE) { Some(number64(from)?) } else { None };
    if has(OWNER) {
        number64(from)?;
    }
    let kind = match if has(MODE) { number(from)? & KIND } else { 0 } {
        0o100_000 => FileKind::File,
        0o040_000 => FileKind::Folder,
        _ => FileKind::Other,
    };
    let mut changed = None;
    if has(TIMES) {
        let _read_at = number(from)?;
        changed = Some(Timestamp::from_unix_micros(i64::from(number(from)?) * 1_000_000));
    }
    if has(MORE) {
        for _ in 0..number(from)? {
            bytes(from)?;
            bytes(from)?;
        }
    }
    Ok(About { kind, bytes: bytes_in_it, changed })
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    /// A server that gives these answers, whatever is asked; `None` in place of the number repeats the question's.
    async fn serve(mut stream: DuplexStream, answers: Vec<Vec<u8>>) {
        for answer in answers {
            let length = stream.read_u32().await.unwrap();
            let mut question = vec![0; usize::try_from(length).unwrap()];
            stream.read_exact(&mut question).await.unwrap();
            let mut packet = BytesMut::new();
            packet.put_u32(u32::try_from(answer.len()).unwrap());
            packet.extend_from_slice(&answer);
            stream.write_all(&packet).await.unwrap();
        }
    }

    fn version(version: u32) -> Vec<u8> {
        [&[VERSION_IS][..], &version.to_be_bytes()].concat()
    }

    async fn opened(answers: Vec<Vec<u8>>) -> Sftp<DuplexStream> {
        let (near, far) = duplex(64 * 1024);
        tokio::spawn(serve(far, [vec![version(3)], answers].concat()));
        Sftp::open(near).await.unwrap()
    }

    fn status_answer(id: u32, code: u32) -> Vec<u8> {
        [&[STATUS][..], &id.to_be_bytes(), &code.to_be_bytes(), &[0; 8]].concat()
    }

    #[tokio::test]
    async fn a_server_that_speaks_something_else_is_silent() {
        for greeting in [version(2), vec![STATUS, 0, 0, 0, 3], vec![VERSION_IS], Vec::new()] {
            let (near, far) = duplex(1024);
            tokio::spawn(serve(far, vec![greeting]));
            assert_eq!(Sftp::open(near).await.unwrap_err(), SftpProblem::Silent);
        }
        let (near, mut far) = duplex(1024);
        tokio::spawn(async move { far.write_all(&[0xff; 64]).await });
        assert_eq!(Sftp::open(near).await.unwrap_err(), SftpProblem::Silent, "a packet that is too large");
    }

    #[tokio::test]
    async fn statuses_are_told_apart_and_numbers_must_agree() {
        for (code, problem) in
            [(NO_SUCH_FILE, SftpProblem::NoSuchFile), (DENIED, SftpProblem::Denied), (4, SftpProblem::Failed)]
        {
            let mut sftp = opened(vec![status_answer(0, code)]).await;
            assert_eq!(sftp.remove("/a").await, Err(problem));
        }
        let mut sftp = opened(vec![status_answer(0, OK), status_answer(7, OK)]).await;
        assert_eq!(sftp.remove("/a").await, Ok(()));
        assert_eq!(sftp.remove("/a").await, Err(SftpProblem::Silent), "the answer to another question");
    }

    #[tokio::test]
    async fn answers_that_lie_about_their_length_are_no_answers() {
        let long = [&[NAME][..], &0_u32.to_be_bytes(), &1_u32.to_be_bytes(), &u32::MAX.to_be_bytes()].concat();
        assert_eq!(opened(vec![long]).await.real_path("/a").await, Err(SftpProblem::Silent));
        let many = [&[NAME][..], &1_u32.to_be_bytes(), &u32::MAX.to_be_bytes()].concat();
        let folder = [&[HANDLE][..], &0_u32.to_be_bytes(), &1_u32.to_be_bytes(), b"h"].concat();
        assert!(matches!(opened(vec![folder, many]).await.list("/a", 10).await, Err(SftpProblem::Silent)));
        let empty = [&[DATA][..], &0_u32.to_be_bytes(), &0_u32.to_be_bytes()].concat();
        let handle = Handle(Bytes::from_static(b"h"));
        assert_eq!(opened(vec![empty]).await.read(&handle, 0).await, Err(SftpProblem::Silent), "nothing, for ever");
    }
}

//! A request's body on its way up, beside the answer: a server may answer before it has read all.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use tokio::task::{JoinHandle, spawn_local};

use super::head::Length;
use super::transport::Transport;
use crate::body::{BodyProblem, RequestBody};
use crate::http1::framing::{push_last, push_size};

/// How long a server that stopped reading a request may take to answer it.
const LAST_WORD: Duration = Duration::from_secs(5);

/// The rest of a request; dropped, it ends.
#[derive(Debug)]
pub struct Upload {
    shared: Rc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    done: Cell<bool>,
    problem: RefCell<Option<BodyProblem>>,
    reader: RefCell<Option<Waker>>,
}

impl Shared {
    fn fail(&self, problem: BodyProblem) {
        self.problem.replace(Some(problem));
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upload {
    /// Begins to send a body.
    pub fn start(io: Rc<RefCell<Transport>>, body: RequestBody, length: Length) -> Self {
        let shared = Rc::new(Shared::default());
        let task = spawn_local({
            let shared = Rc::clone(&shared);
            async move {
                match send(&io, body, length).await {
                    Ok(()) => shared.done.set(true),
                    Err(Stopped::Body(problem)) => shared.fail(problem),
                    Err(Stopped::Server(error)) => {
                        // It takes no more: perhaps its answer, which is on its way, says why.
                        tokio::time::sleep(LAST_WORD).await;
                        shared.fail(BodyProblem::BrokenAnswer(error));
                    }
                }
            }
        });
        Self { shared, task }
    }

    /// Whether all of it was sent.
    pub fn is_done(&self) -> bool {
        self.shared.done.get()
    }

    /// Why the body broke off, if it did; else the reader is woken when it does.
    pub fn problem(&self, cx: &Context<'_>) -> Option<BodyProblem> {
        if let Some(problem) = self.shared.problem.take() {
            return Some(problem);
        }
        let mut reader = self.shared.reader.borrow_mut();
        match &*reader {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            Some(_) | None => *reader = Some(cx.waker().clone()),
        }
        None
    }
}

/// Why not all was sent.
enum Stopped {
    Body(BodyProblem),
    Server(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Server(error)
    }
}

async fn send(io: &RefCell<Transport>, mut body: RequestBody, length: Length) -> Result<(), Stopped> {
    let mut left = match length {
        Length::Bytes(bytes) => Some(bytes),
        Length::Chunked => None,
    };
    let mut trailers = None;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(Stopped::Body)?;
        match frame.into_data() {
            Ok(data) => send_data(io, data, &mut left).await?,
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    match left {
        Some(0) => {}
        // The body is shorter than announced: nobody may take it for whole.
        Some(_) => return Err(Stopped::Body(BodyProblem::TooShort)),
        None => {
            let mut last = Vec::new();
            push_last(&mut last, trailers.as_ref());
            write_all(io, &[&last]).await?;
        }
    }
    poll_fn(|cx| io.borrow_mut().poll_flush(cx)).await.map_err(Stopped::from)
}

async fn send_data(io: &RefCell<Transport>, data: Bytes, left: &mut Option<u64>) -> Result<(), Stopped> {
    match left {
        Some(left) => {
            *left = left.checked_sub(data.len() as u64).ok_or(Stopped::Body(BodyProblem::TooLong))?;
            write_all(io, &[&data]).await?;
        }
        None if data.is_empty() => {}
        None => {
            let mut size = Vec::with_capacity(8);
            push_size(&mut size, data.len());
            write_all(io, &[&size, &data, b"\r\n"]).await?;
        }
    }
    poll_fn(|cx| io.borrow_mut().poll_flush(cx)).await.map_err(Stopped::from)
}

/// Writes several pieces as one. Lends the stream out between writes, because the answer is read meanwhile.
async fn write_all(io: &RefCell<Transport>, pieces: &[&[u8]]) -> Result<(), Stopped> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = slices.as_mut_slice();
    poll_fn(|cx| {
        while !rest.is_empty() {
            let sent = ready!(io.borrow_mut().poll_write_vectored(cx, rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero)));
            }
            IoSlice::advance_slices(&mut rest, sent);
        }
        Poll::Ready(Ok(()))
    })
    .await
    .map_err(Stopped::from)
}

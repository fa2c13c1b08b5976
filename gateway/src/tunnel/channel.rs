//! One tunnel as either end sees it: on one side a plain connection, on the other a line that may be cut and followed by
//! another. Both ends, `sekimori connect` and the gateway, run this very code.
//!
//! Frames are always read as they come, so that what is confirmed never waits behind what nobody takes: the window
//! alone holds back whoever sends.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::frame::{Frame, Frames, Garbled};
use super::window::{Inbox, Outbox, Piece};

/// How often each side shows that it is there.
const BEAT: Duration = Duration::from_secs(5);
/// A line that says nothing for so long is cut.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long the other side may take to close a line that is done.
const GOODBYE: Duration = Duration::from_millis(400);
/// How much is written to the line at once, in bytes.
const BATCH_BYTES: usize = 64 * 1024;
/// How much is read from the plain side at once, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// How one line ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineEnd {
    /// Both directions came to their end.
    Done,
    /// It broke off; another may go on.
    Cut,
    /// The other side ended the tunnel, for the reason of this code.
    Goodbye(String),
    /// This side said goodbye.
    Left,
    /// The other side does not keep to the rules.
    Garbled,
}

/// One tunnel.
#[derive(Debug, Default)]
pub struct Channel {
    outbox: RefCell<Outbox>,
    inbox: RefCell<Inbox>,
    leaving: Cell<Option<Leaving>>,
    /// Rings when there is something for the line.
    for_line: Notify,
    /// Rings when there is something for the plain side.
    for_plain: Notify,
    /// Rings when there is room for more of the plain side.
    has_room: Notify,
}

/// How this side leaves.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    code: &'static str,
    /// Whether what the plain side said is sent first.
    with_rest: bool,
}

impl Channel {
    /// Up to where the other side's bytes came.
    pub fn accepted(&self) -> u64 {
        self.inbox.borrow().accepted()
    }

    /// How many of this side's bytes the other has handed on.
    pub fn taken_bytes(&self) -> u64 {
        self.outbox.borrow().taken_bytes()
    }

    /// How many of this side's bytes went over a line, whether or not they arrived.
    pub fn gone_bytes(&self) -> u64 {
        self.outbox.borrow().gone_bytes()
    }

    /// Another line goes on, from where the other side says that it came.
    ///
    /// # Errors
    /// [`Garbled`] where that cannot be.
    pub fn go_on_from(&self, accepted: u64) -> Result<(), Garbled> {
        self.inbox.borrow_mut().forget_told();
        self.outbox.borrow_mut().rewind(accepted)
    }

    /// Says goodbye as soon as the line takes it.
    pub fn leave(&self, code: &'static str) {
        self.leaving.set(Some(Leaving { code, with_rest: false }));
        self.for_line.notify_one();
    }

    /// The same, once the line has taken all that the plain side said: whichever line that is.
    pub fn leave_with_rest(&self, code: &'static str) {
        self.leaving.set(Some(Leaving { code, with_rest: true }));
        self.for_line.notify_one();
    }

    /// Waits until the plain side has all that came. Only where no line is there any more, and it is carried.
    pub async fn handed_on(&self) {
        while !self.inbox.borrow().is_handed_on() {
            self.for_line.notified().await;
        }
    }

    /// Whether both directions came to their end.
    pub fn is_done(&self) -> bool {
        self.outbox.borrow().is_done() && self.inbox.borrow().is_done()
    }

    /// Carries between the plain side and the windows for as long as the tunnel is; ends only when the plain side
    /// breaks off. `sees` sees the bytes that are handed on to it, `gave` hears how many came from it.
    pub async fn carry(
        &self,
        plain: impl AsyncRead + AsyncWrite,
        sees: impl FnMut(&[u8]),
        mut gave: impl FnMut(usize),
    ) -> io::Error {
        let (mut reads, mut writes) = tokio::io::split(plain);
        let both = async { tokio::try_join!(self.hand_on(&mut writes, sees), self.fetch(&mut reads, &mut gave)) };
        match both.await {
            // Both directions are over: what is left is the line's business.
            Ok(((), ())) => match std::future::pending::<Infallible>().await {},
            Err(error) => {
                // Whoever takes no more may have said why before.
                let _in_time = timeout(GOODBYE, self.fetch(&mut reads, &mut gave)).await;
                error
            }
        }
    }

    async fn hand_on(&self, to: &mut (impl AsyncWrite + Unpin), mut sees: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let piece = self.inbox.borrow_mut().next();
            let length = match piece {
                None => {
                    self.for_plain.notified().await;
                    continue;
                }
                Some(Piece::Bytes(bytes)) => {
                    sees(&bytes);
                    to.write_all(&bytes).await?;
                    bytes.len()
                }
                Some(Piece::End) => {
                    // A side that is gone already needs no end.
                    let _closed = to.shutdown().await;
                    self.inbox.borrow_mut().note(1);
                    self.for_line.notify_one();
                    return Ok(());
                }
            };
            self.inbox.borrow_mut().note(length);
            self.for_line.notify_one();
        }
    }

    async fn fetch(&self, from: &mut (impl AsyncRead + Unpin), mut gave: impl FnMut(usize)) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let room = self.outbox.borrow().room().min(CHUNK_BYTES);
            if room == 0 {
                self.has_room.notified().await;
                continue;
            }
            let length = from.read(chunk.get_mut(..room).unwrap_or_default()).await?;
            let mut outbox = self.outbox.borrow_mut();
            match chunk.get(..length) {
                Some(bytes @ [_, ..]) => outbox.push(bytes),
                Some([]) | None => outbox.end(),
            }
            self.for_line.notify_one();
            if length == 0 {
                return Ok(());
            }
            gave(length);
        }
    }

    /// Runs over one line until that ends.
    pub async fn over(&self, line: impl AsyncRead + AsyncWrite) -> LineEnd {
        let (mut reads, mut writes) = tokio::io::split(line);
        let end = tokio::select! {
            end = self.listen(&mut reads) => end,
            end = self.speak(&mut writes) => end.unwrap_or(LineEnd::Cut),
        };
        match end {
            LineEnd::Done | LineEnd::Left => {
                // What was said last is heard before the line is let go of.
                let mut rest = [0; 64];
                let quiet = async { while let Ok(1..) = reads.read(&mut rest).await {} };
                let _in_time = timeout(GOODBYE, quiet).await;
                end
            }
            LineEnd::Cut if self.is_done() => LineEnd::Done,
            LineEnd::Cut | LineEnd::Goodbye(_) | LineEnd::Garbled => end,
        }
    }

    async fn listen(&self, line: &mut (impl AsyncRead + Unpin)) -> LineEnd {
        let mut frames = Frames::default();
        loop {
            match self.take_in(&mut frames) {
                Ok(Some(code)) => return LineEnd::Goodbye(code),
                Ok(None) => {}
                Err(Garbled) => return LineEnd::Garbled,
            }
            match timeout(SILENCE_MAX, line.read_buf(frames.room())).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) | Err(_) => return LineEnd::Cut,
            }
        }
    }

    /// Takes in what arrived; the code of a goodbye ends it.
    fn take_in(&self, frames: &mut Frames) -> Result<Option<String>, Garbled> {
        while let Some(frame) = frames.next()? {
            match frame {
                Frame::Data(bytes) => {
                    self.inbox.borrow_mut().push(&bytes)?;
                    self.for_plain.notify_one();
                }
                Frame::End => {
                    self.inbox.borrow_mut().end()?;
                    self.for_plain.notify_one();
                }
                Frame::Taken(upto) => {
                    self.outbox.borrow_mut().take(upto)?;
                    self.has_room.notify_one();
                    self.for_line.notify_one();
                }
                Frame::Beat => {}
                Frame::Goodbye(code) => return Ok(Some(code)),
            }
        }
        Ok(None)
    }

    async fn speak(&self, line: &mut (impl AsyncWrite + Unpin)) -> io::Result<LineEnd> {
        let mut beats = interval_at(Instant::now() + BEAT, BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let leaving = self.leaving.get();
            if leaving.is_none_or(|leaving| leaving.with_rest) {
                self.gather(&mut batch);
            }
            if let Some(Leaving { code, .. }) = leaving.filter(|_| batch.is_empty()) {
                Frame::Goodbye(code.to_owned()).write(&mut batch);
                line.write_all(&batch).await?;
                line.shutdown().await?;
                return Ok(LineEnd::Left);
            }
            if batch.is_empty() {
                if self.outbox.borrow().is_done() && self.inbox.borrow().is_told() {
                    line.shutdown().await?;
                    return Ok(LineEnd::Done);
                }
                tokio::select! {
                    () = self.for_line.notified() => continue,
                    _ = beats.tick() => Frame::Beat.write(&mut batch),
                }
            }
            line.write_all(&batch).await?;
            line.flush().await?;
        }
    }

    fn gather(&self, batch: &mut Vec<u8>) {
        if let Some(news) = self.inbox.borrow_mut().news() {
            news.write(batch);
        }
        let mut outbox = self.outbox.borrow_mut();
        while batch.len() < BATCH_BYTES
            && let Some(frame) = outbox.next()
        {
            frame.write(batch);
        }
    }
}

#[cfg(test)]
mod tests;

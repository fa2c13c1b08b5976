//! The bytes of one direction of a tunnel, counted from its beginning: what was sent and not yet taken is kept, so that
//! another line can go on where one was cut; and never more is on its way than both sides have room for.
//!
//! The end of a direction counts as one byte more, so that its arrival is confirmed like any other.

use std::collections::VecDeque;

use bytes::Bytes;

use super::frame::{FRAME_BYTES_MAX, Frame, Garbled};

/// How much may be on its way in one direction, in bytes; each side holds no more.
pub const WINDOW_BYTES: usize = 512 * 1024;
/// The other side is told what was handed on at the latest after so many bytes.
const TELL_BYTES: u64 = WINDOW_BYTES as u64 / 4;
/// How much room is kept where nothing is held, in bytes: a burst is no reason to hold more for ever.
const KEPT_BYTES: usize = 4 * FRAME_BYTES_MAX;

/// What goes out, until the other side has handed it on.
#[derive(Debug, Default)]
pub struct Outbox {
    /// From `taken` on.
    held: VecDeque<u8>,
    total: u64,
    is_ended: bool,
    /// Up to where it was sent over this line.
    sent: u64,
    /// Up to where it was sent over any line.
    gone: u64,
    taken: u64,
}

impl Outbox {
    /// How many more bytes it takes.
    pub fn room(&self) -> usize {
        WINDOW_BYTES.saturating_sub(self.held.len())
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend(bytes);
        self.total += bytes.len() as u64;
    }

    /// There will be no more.
    pub fn end(&mut self) {
        self.is_ended = true;
    }

    /// How many bytes were taken.
    pub fn taken_bytes(&self) -> u64 {
        self.taken.min(self.total)
    }

    /// How many bytes were sent, whether or not they arrived.
    pub fn gone_bytes(&self) -> u64 {
        self.gone
    }

    /// Whether everything was taken, and the end with it.
    pub fn is_done(&self) -> bool {
        self.is_ended && self.taken > self.total
    }

    fn last(&self) -> u64 {
        self.total + u64::from(self.is_ended)
    }

    /// The other side has handed on everything up to here.
    ///
    /// # Errors
    /// [`Garbled`] where that was never sent.
    pub fn take(&mut self, upto: u64) -> Result<(), Garbled> {
        if upto > self.sent {
            return Err(Garbled);
        }
        let before = self.taken_bytes();
        self.taken = self.taken.max(upto);
        let fresh = usize::try_from(self.taken_bytes() - before).unwrap_or(usize::MAX);
        self.held.drain(..fresh.min(self.held.len()));
        let_shrink(&mut self.held);
        Ok(())
    }

    /// Another line goes on from here.
    ///
    /// # Errors
    /// [`Garbled`] where that was never sent, or is not held any more.
    pub fn rewind(&mut self, to: u64) -> Result<(), Garbled> {
        if to < self.taken || to > self.last() {
            return Err(Garbled);
        }
        self.sent = to;
        Ok(())
    }

    /// The next frame to be sent over this line.
    pub fn next(&mut self) -> Option<Frame> {
        if self.sent < self.total {
            let from = usize::try_from(self.sent.saturating_sub(self.taken)).ok()?;
            let upto = self.held.len().min(from + FRAME_BYTES_MAX);
            let bytes = Bytes::from(copied(&self.held, from, upto));
            self.sent += bytes.len() as u64;
            self.gone = self.gone.max(self.sent);
            return Some(Frame::Data(bytes));
        }
        if self.is_ended && self.sent == self.total {
            self.sent += 1;
            return Some(Frame::End);
        }
        None
    }
}

/// What came in, until it is handed on.
#[derive(Debug, Default)]
pub struct Inbox {
    held: VecDeque<u8>,
    accepted: u64,
    is_ended: bool,
    handed_on: u64,
    told: u64,
}

/// What is to be handed on.
#[derive(PartialEq, Eq, Debug)]
pub enum Piece {
    /// The next bytes.
    Bytes(Vec<u8>),
    /// The end.
    End,
}

impl Inbox {
    /// Takes what came.
    ///
    /// # Errors
    /// [`Garbled`] where there is no room, or was an end before.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Garbled> {
        if self.is_ended || self.held.len() + bytes.len() > WINDOW_BYTES {
            return Err(Garbled);
        }
        self.held.extend(bytes);
        self.accepted += bytes.len() as u64;
        Ok(())
    }

    /// There will be no more.
    ///
    /// # Errors
    /// [`Garbled`] where there was an end before.
    pub fn end(&mut self) -> Result<(), Garbled> {
        if self.is_ended {
            return Err(Garbled);
        }
        self.is_ended = true;
        self.accepted += 1;
        Ok(())
    }

    /// Up to where it came: another line goes on from here.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Takes what is to be handed on next; [`Inbox::note`] it once that is done.
    pub fn next(&mut self) -> Option<Piece> {
        if self.held.is_empty() {
            return (self.is_ended && self.handed_on + 1 == self.accepted).then_some(Piece::End);
        }
        let length = self.held.len().min(FRAME_BYTES_MAX);
        let bytes = copied(&self.held, 0, length);
        self.held.drain(..length);
        let_shrink(&mut self.held);
        Some(Piece::Bytes(bytes))
    }

    /// Notes that so many bytes were handed on; one for the end.
    pub fn note(&mut self, bytes: usize) {
        self.handed_on += bytes as u64;
    }

    /// What the other side is to be told: how much was handed on, where that is news.
    pub fn news(&mut self) -> Option<Frame> {
        let fresh = self.handed_on - self.told;
        // As long as more waits to be handed on, it is not told piece by piece.
        if fresh == 0 || (fresh < TELL_BYTES && !self.held.is_empty()) {
            return None;
        }
        self.told = self.handed_on;
        Some(Frame::Taken(self.handed_on))
    }

    /// Another line is told anew.
    pub fn forget_told(&mut self) {
        self.told = 0;
    }

    /// Whether everything was handed on, and the end with it.
    pub fn is_done(&self) -> bool {
        self.is_ended && self.handed_on == self.accepted
    }

    /// Whether everything that came was handed on.
    pub fn is_handed_on(&self) -> bool {
        self.handed_on == self.accepted
    }

    /// Whether everything was handed on, the end with it, and the other side knows.
    pub fn is_told(&self) -> bool {
        self.is_done() && self.told == self.accepted
    }
}

/// Gives back what a burst took, once nothing is held.
fn let_shrink(held: &mut VecDeque<u8>) {
    if held.is_empty() {
        held.shrink_to(KEPT_BYTES);
    }
}

/// A copy of a part.
fn copied(held: &VecDeque<u8>, from: usize, upto: usize) -> Vec<u8> {
    let (front, back) = held.as_slices();
    let mut bytes = Vec::with_capacity(upto.saturating_sub(from));
    let part = |slice: &'_ [u8], before: usize| {
        let (from, upto) = (from.saturating_sub(before), upto.saturating_sub(before));
        slice.get(from.min(slice.len())..upto.min(slice.len())).unwrap_or_default().to_vec()
    };
    bytes.extend(part(front, 0));
    bytes.extend(part(back, front.len()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn send(out: &mut Outbox, to: &mut Inbox, most: usize) {
        for _ in 0..most {
            match out.next() {
                Some(Frame::Data(bytes)) => to.push(&bytes).unwrap(),
                Some(Frame::End) => to.end().unwrap(),
                Some(frame) => panic!("{frame:?}"),
                None => return,
            }
        }
    }

    fn hand_on(inbox: &mut Inbox, got: &mut Vec<u8>, most: usize) {
        for _ in 0..most {
            match inbox.next() {
                Some(Piece::Bytes(bytes)) => {
                    inbox.note(bytes.len());
                    got.extend(bytes);
                }
                Some(Piece::End) => inbox.note(1),
                None => return,
            }
        }
    }

    fn tell(inbox: &mut Inbox, out: &mut Outbox) {
        if let Some(Frame::Taken(upto)) = inbox.news() {
            out.take(upto).unwrap();
        }
    }

    proptest! {
        #[test]
        fn every_byte_arrives_once_and_in_order_however_often_the_line_is_cut(
            pieces in proptest::collection::vec(1..40_000_usize, 0..40),
            steps in proptest::collection::vec((0..5_u8, 1..6_usize), 0..200),
        ) {
            let (mut out, mut inbox, mut got, mut sent) =
                (Outbox::default(), Inbox::default(), Vec::new(), Vec::new());
            let mut pieces = pieces.into_iter();
            for (step, most) in steps.into_iter().chain((0..400).map(|n| ([0, 1, 2, 3][n % 4], 40))) {
                match step {
                    0 => match pieces.next() {
                        Some(length) => {
                            let piece: Vec<u8> = (0..length.min(out.room())).map(|n| (n + sent.len()) as u8).collect();
                            out.push(&piece);
                            sent.extend(piece);
                        }
                        None => out.end(),
                    },
                    1 => send(&mut out, &mut inbox, most),
                    2 => hand_on(&mut inbox, &mut got, most),
                    3 => tell(&mut inbox, &mut out),
                    _ => {
                        // Cut: what was on its way is lost, and the next line is told up to where it came.
                        while out.next().is_some() {}
                        out.rewind(inbox.accepted()).unwrap();
                        inbox.forget_told();
                    }
                }
                prop_assert!(out.held.len() <= WINDOW_BYTES && inbox.held.len() <= WINDOW_BYTES);
            }
            prop_assert!(got == sent);
            prop_assert!(out.is_done() && inbox.is_told());
            prop_assert_eq!(out.gone_bytes(), sent.len() as u64);
        }
    }

    #[test]
    fn room_that_a_burst_took_is_given_back() {
        let (mut out, mut inbox) = (Outbox::default(), Inbox::default());
        out.push(&vec![0; WINDOW_BYTES]);
        send(&mut out, &mut inbox, usize::MAX);
        hand_on(&mut inbox, &mut Vec::new(), usize::MAX);
        tell(&mut inbox, &mut out);
        assert_eq!((out.held.len(), inbox.held.len()), (0, 0));
        assert!(out.held.capacity() <= 2 * KEPT_BYTES && inbox.held.capacity() <= 2 * KEPT_BYTES);
    }

    #[test]
    fn who_sends_more_than_there_is_room_for_or_behind_the_end_is_refused() {
        let mut inbox = Inbox::default();
        inbox.push(&vec![0; WINDOW_BYTES]).unwrap();
        assert_eq!(inbox.push(&[0]), Err(Garbled));
        inbox.end().unwrap();
        assert_eq!((inbox.end(), inbox.push(&[])), (Err(Garbled), Err(Garbled)));
    }

    #[test]
    fn who_takes_what_was_never_sent_or_goes_on_from_nowhere_is_refused() {
        let mut out = Outbox::default();
        out.push(b"0123456789");
        assert_eq!(out.take(1), Err(Garbled), "nothing was sent yet");
        assert!(out.next().is_some());
        assert_eq!(out.take(11), Err(Garbled));
        out.take(4).unwrap();
        assert_eq!((out.rewind(3), out.rewind(11)), (Err(Garbled), Err(Garbled)));
        out.rewind(4).unwrap();
        assert_eq!(out.next(), Some(Frame::Data(Bytes::from_static(b"456789"))));
        assert_eq!(out.next(), None);
        assert!(!out.is_done());
    }
}

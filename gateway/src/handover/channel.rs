//! What the two processes tell each other: single words over a pair of connected sockets, the listening sockets with them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use rustix::{cmsg_space, net};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Sockets that go with one word; the kernel's own bound is 253.
pub(super) const TOGETHER_MAX: usize = 64;

/// One word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// To the next process: some listening sockets.
    Sockets,
    /// To it: that was all of them.
    AllSockets,
    /// From it: everything is read and opened but what only one may have.
    Ready,
    /// To it: that is free now.
    Go,
    /// To it: it is not needed.
    Stay,
    /// From it: it accepts.
    Serving,
}

impl Word {
    const ALL: [Self; 6] = [Self::Sockets, Self::AllSockets, Self::Ready, Self::Go, Self::Stay, Self::Serving];

    fn byte(self) -> u8 {
        match self {
            Self::Sockets => b's',
            Self::AllSockets => b'a',
            Self::Ready => b'r',
            Self::Go => b'g',
            Self::Stay => b'n',
            Self::Serving => b'o',
        }
    }

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.byte() == byte)
    }
}

/// A pair: this end, for a runtime, and the other, for a process that waits.
pub(super) fn pair() -> io::Result<(UnixStream, OwnedFd)> {
    let (own, other) = std::os::unix::net::UnixStream::pair()?;
    own.set_nonblocking(true)?;
    Ok((UnixStream::from_std(own)?, other.into()))
}

/// Says a word, with these sockets.
pub(super) fn say(to: impl AsFd, word: Word, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(TOGETHER_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(to, &[IoSlice::new(&[word.byte()])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Hears a word and the sockets with it; nothing once the other end is gone.
pub(super) fn hear(from: impl AsFd) -> io::Result<Option<(Word, Vec<OwnedFd>)>> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(TOGETHER_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(several) = message {
            sockets.extend(several);
        }
    }
    let [byte] = byte;
    let word = Word::of(byte).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some((word, sockets)))
}

/// The same without holding up the thread.
pub(super) async fn heard(from: &UnixStream) -> io::Result<Option<Word>> {
    let heard = from.async_io(Interest::READABLE, || hear(from)).await?;
    Ok(heard.map(|(word, _)| word))
}

/// Bounds how long hearing from this end may take.
pub(super) fn hear_within(end: impl AsFd, within: std::time::Duration) -> io::Result<()> {
    Ok(net::sockopt::set_socket_timeout(end, net::sockopt::Timeout::Recv, Some(within))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[tokio::test]
    async fn words_and_sockets_arrive_in_order_and_the_end_is_heard() {
        let (own, other) = pair().unwrap();
        let sockets: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let borrowed: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
        say(&own, Word::Sockets, &borrowed).unwrap();
        say(&own, Word::AllSockets, &[]).unwrap();
        let (word, arrived) = hear(&other).unwrap().unwrap();
        assert_eq!((word, arrived.len()), (Word::Sockets, 3));
        let arrived: Vec<TcpListener> = arrived.into_iter().map(TcpListener::from).collect();
        for (sent, arrived) in sockets.iter().zip(&arrived) {
            assert_eq!(sent.local_addr().unwrap(), arrived.local_addr().unwrap());
        }
        assert_eq!(hear(&other).unwrap().unwrap().0, Word::AllSockets);
        say(&other, Word::Ready, &[]).unwrap();
        assert_eq!(heard(&own).await.unwrap(), Some(Word::Ready));
        drop(other);
        assert_eq!(heard(&own).await.unwrap(), None);
    }

    #[test]
    fn every_word_has_a_letter_of_its_own() {
        for word in Word::ALL {
            assert_eq!(Word::of(word.byte()), Some(word));
        }
        assert_eq!(Word::of(b'?'), None);
    }
}

//! One connection to a receiver: bytes go one way. What comes back is only watched for its end, which may be the one
//! sign that a certificate was refused, or that what was sent is lost.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use crate::ahead::Ahead;
use crate::feed::receiver::Receiver;
use crate::upstream::dial::Dialer;
use crate::upstream::http1::Transport;

/// What may lie in our system without being sent, so that a slow receiver is noticed soon.
const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// What is written at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// How long the receiver may take to close in order.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

type Tls = TlsStream<Ahead<TcpStream>>;

/// An open connection.
pub struct Connection {
    writer: WriteHalf<Tls>,
    end: Pin<Box<dyn Future<Output = String> + Send>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection(..)")
    }
}

impl Connection {
    /// Connects, with mutual authentication.
    ///
    /// # Errors
    /// In words; the receiver is to be tried again later.
    pub async fn open(dialer: &Dialer, receiver: &Receiver) -> Result<Self, String> {
        let feed = &receiver.feed;
        let transport = dialer.transport(&feed.host, feed.port, Some(&receiver.tls)).await;
        let stream = match transport.map_err(|problem| problem.to_string())? {
            Transport::Tls(stream) => *stream,
            Transport::Plain(_) => return Err("the connection is not encrypted".to_owned()),
        };
        bound(stream.get_ref().0.get_ref(), feed.settle).map_err(|error| error.to_string())?;
        let (reader, writer) = split(stream);
        Ok(Self { writer, end: Box::pin(end(reader)) })
    }

    /// Sends all of it, and says how long the receiver made us wait at most.
    ///
    /// # Errors
    /// In words, where the receiver is gone or takes nothing for `stall`; how much of it arrived is not known.
    pub async fn send(&mut self, bytes: &[u8], stall: Duration) -> Result<Duration, String> {
        let mut waited = Duration::ZERO;
        for chunk in bytes.chunks(CHUNK_BYTES) {
            let begun = Instant::now();
            let writer = &mut self.writer;
            let writing = async {
                writer.write_all(chunk).await?;
                writer.flush().await
            };
            let written = tokio::select! {
                biased;
                ended = &mut self.end => return Err(ended),
                written = timeout(stall, writing) => written,
            };
            match written {
                Ok(Ok(())) => waited = waited.max(begun.elapsed()),
                Ok(Err(error)) => return Err(broken(&error)),
                Err(_) => return Err(format!("the receiver took nothing for {stall:?}")),
            }
        }
        Ok(waited)
    }

    /// Waits for the receiver to end the connection, and says how it did. Not to be asked again after that.
    pub async fn ended(&mut self) -> String {
        (&mut self.end).await
    }

    /// Says that nothing more comes, and lets the receiver read what is under way: to close with its answer unread would
    /// take that back.
    pub async fn close(mut self) {
        let in_order = async {
            self.writer.shutdown().await.map_err(|error| broken(&error))?;
            Ok::<_, String>(self.end.await)
        };
        if let Ok(Err(problem)) = timeout(CLOSE_TIMEOUT, in_order).await {
            tracing::debug!(problem, "a feed's connection could not be closed in order");
        }
    }
}

/// What the receiver's system has not confirmed within this ends the connection, before it counts as arrived.
fn bound(stream: &TcpStream, settle: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_tcp_user_timeout(Some(settle - settle / 4))
}

async fn end(mut reader: ReadHalf<Tls>) -> String {
    let mut ignored = [0; 1024];
    loop {
        match reader.read(&mut ignored).await {
            Ok(0) => return "the receiver closed the connection".to_owned(),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return "the receiver broke the connection off".to_owned();
            }
            Err(error) => return broken(&error),
        }
    }
}

fn broken(error: &io::Error) -> String {
    format!("the connection broke: {error}")
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;
    use tokio_rustls::server;

    use super::*;
    use crate::feed::testing::House;

    /// A connection to a receiver that does this.
    async fn connect(serve: impl AsyncFnOnce(server::TlsStream<TcpStream>) + 'static) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let house = House::with_feed(listener.local_addr().unwrap().port(), "format = \"json\"");
        let acceptor = house.server();
        tokio::task::spawn_local(async move {
            let (socket, _) = listener.accept().await.unwrap();
            serve(acceptor.accept(socket).await.unwrap()).await;
        });
        let dialer = Dialer::new(Duration::from_secs(5), &[]);
        Connection::open(&dialer, &house.receiver).await.unwrap()
    }

    #[tokio::test]
    async fn a_receiver_that_takes_nothing_is_given_up() {
        let local = LocalSet::new();
        let problem = local.run_until(async {
            let mut connection = connect(async |stream| {
                let _kept = stream;
                std::future::pending::<()>().await;
            })
            .await;
            connection.send(&vec![b'x'; 64 << 20], Duration::from_secs(1)).await.unwrap_err()
        });
        let problem = timeout(Duration::from_secs(30), problem).await.unwrap();
        assert!(problem.contains("took nothing for") || problem.contains("broke"), "{problem}");
    }

    #[tokio::test]
    async fn a_receiver_that_closes_is_noticed_while_nothing_is_sent() {
        let local = LocalSet::new();
        let ended = local.run_until(async {
            let mut connection = connect(async |mut stream| {
                stream.write_all(b"what nobody asked for").await.unwrap();
                stream.shutdown().await.unwrap();
            })
            .await;
            connection.ended().await
        });
        let ended = timeout(Duration::from_secs(30), ended).await.unwrap();
        assert_eq!(ended, "the receiver closed the connection");
    }
}

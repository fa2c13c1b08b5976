//! An upstream that answers hand-written bytes and keeps the very bytes it was sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::upstream::{ANYWHERE, on_its_own_thread};

/// A TCP server that answers the same bytes to every request head.
#[derive(Debug)]
pub struct RawUpstream {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl RawUpstream {
    /// Answers `bytes` to each head, then closes.
    #[must_use]
    pub fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = Arc::new(bytes.into());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        let address = on_its_own_thread(ANYWHERE, move |listener: TcpListener| async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(answer(stream, Arc::clone(&bytes), Arc::clone(&kept)));
            }
        });
        Self { address, heads }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads it was sent, byte for byte.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("nobody failed here").clone()
    }
}

async fn answer(mut stream: TcpStream, bytes: Arc<Vec<u8>>, heads: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    heads.lock().expect("nobody failed here").push(String::from_utf8_lossy(&head).into_owned());
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

//! SSH towards a server, over a connection that the gateway dialed: the one module that knows russh. Everything it can cost
//! is bounded: how long the way in takes, how much waits in either direction, how long a server may say nothing.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use config::{HostKey, SshCredential, Terminal};
use russh::client::{self, AuthResult, KeyboardInteractiveAuthResponse};
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh::{ChannelMsg, ChannelReadHalf, ChannelStream, ChannelWriteHalf, Disconnect, Preferred, SshId};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes, duplex};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::timeout;

/// How long a server may take until it has let the gateway in.
const WAY_IN: Duration = Duration::from_secs(20);
/// How long it may take to open a shell or file transfer.
const CHANNEL: Duration = Duration::from_secs(10);
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_millis(200);
/// A server that says nothing for so long is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often it may fail to answer that.
const KEEP_ALIVES_MAX: usize = 3;
/// How much a server may send ahead, in bytes.
const WINDOW_BYTES: u32 = 128 * 1024;
/// The largest packet, in bytes (RFC 4253 section 6.1).
const PACKET_BYTES_MAX: u32 = 32 * 1024;
/// How many packets wait for whoever reads a channel.
const PACKETS_WAIT: usize = 4;
/// How much waits between socket and SSH in each direction, in bytes.
const PIPE_BYTES: usize = 32 * 1024;
/// How often a server may ask one thing after another before it lets somebody in.
const PROMPTS_MAX: usize = 4;
/// What the terminal at the other end is, as its programs know it.
const TERM: &str = "xterm-256color";

/// Why SSH to a server did not come about, or broke off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SshProblem {
    /// It did not speak SSH as it should, or not in time.
    Silent,
    /// It proved itself by another key than those that are expected: this one.
    HostKey(String),
    /// It did not let the gateway in.
    Credentials,
    /// It opened no shell.
    Shell,
    /// It offers no file transfer.
    NoFiles,
    /// The connection broke off.
    Broke,
}

impl SshProblem {
    /// Its code in record and words.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Silent => "target-silent",
            Self::HostKey(_) => "host-key-unknown",
            Self::Credentials => "credentials-refused",
            Self::Shell => "shell-refused",
            Self::NoFiles => "no-files",
            Self::Broke => "target-broke",
        }
    }

    /// What the record says of it.
    pub fn said(&self) -> String {
        match self {
            Self::HostKey(shown) => format!("{} {shown}", self.code()),
            Self::Silent | Self::Credentials | Self::Shell | Self::NoFiles | Self::Broke => self.code().to_owned(),
        }
    }
}

/// How many columns and rows a terminal has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

impl Size {
    /// As many as asked for, within what terminals have.
    pub fn bounded(columns: u16, rows: u16) -> Self {
        Self { columns: columns.clamp(20, 500), rows: rows.clamp(5, 200) }
    }
}

/// An SSH connection on which the gateway is signed in. Ends when dropped.
pub struct Ssh {
    handle: client::Handle<Doorkeeper>,
    _pipe: Pipe,
}

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ssh(..)")
    }
}

impl Ssh {
    /// Signs in at a server, once it proved itself by one of the keys that are expected.
    ///
    /// # Errors
    /// [`SshProblem`]; nothing secret was sent to a server with another key.
    pub async fn open(stream: TcpStream, terminal: &Terminal) -> Result<Self, SshProblem> {
        let shown = Arc::new(Mutex::new(None));
        let doorkeeper = Doorkeeper { expected: terminal.host_keys.clone(), shown: Arc::clone(&shown) };
        let way_in = async {
            let (pipe, end) = Pipe::over(stream);
            let mut handle = client::connect_stream(settings(terminal), end, doorkeeper).await.map_err(|error| {
                tracing::debug!(%error, "no SSH");
                SshProblem::Silent
            })?;
            let let_in = sign_in(&mut handle, terminal).await.map_err(|error| {
                tracing::debug!(%error, "no sign-in by SSH");
                SshProblem::Broke
            })?;
            if let_in { Ok(Self { handle, _pipe: pipe }) } else { Err(SshProblem::Credentials) }
        };
        let opened = timeout(WAY_IN, way_in).await.unwrap_or(Err(SshProblem::Silent));
        opened.map_err(|problem| {
            let another = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
            another.map_or(problem, SshProblem::HostKey)
        })
    }

    /// Opens a shell in a terminal of this size.
    ///
    /// # Errors
    /// [`SshProblem::Shell`], or that the connection broke off.
    pub async fn shell(&self, size: Size) -> Result<(ShellOutput, ShellInput), SshProblem> {
        let opening = async {
            let channel = self.handle.channel_open_session().await.map_err(|_| SshProblem::Shell)?;
            let (mut reads, writes) = channel.split();
            let (columns, rows) = (u32::from(size.columns), u32::from(size.rows));
            writes.request_pty(true, TERM, columns, rows, 0, 0, &[]).await.map_err(|_| SshProblem::Broke)?;
            agreed(&mut reads).await?;
            writes.request_shell(true).await.map_err(|_| SshProblem::Broke)?;
            agreed(&mut reads).await?;
            Ok((ShellOutput { reads, ends: false }, ShellInput(writes)))
        };
        timeout(CHANNEL, opening).await.unwrap_or(Err(SshProblem::Shell))
    }

    /// Opens file transfer (SFTP).
    ///
    /// # Errors
    /// [`SshProblem::NoFiles`], or that the connection broke off.
    pub async fn files(&self) -> Result<FileChannel, SshProblem> {
        let opening = async {
            let mut channel = self.handle.channel_open_session().await.map_err(|_| SshProblem::NoFiles)?;
            channel.request_subsystem(true, "sftp").await.map_err(|_| SshProblem::Broke)?;
            loop {
                match channel.wait().await {
                    Some(ChannelMsg::Success) => return Ok(FileChannel(channel.into_stream())),
                    Some(ChannelMsg::Failure | ChannelMsg::Close) | None => return Err(SshProblem::NoFiles),
                    Some(_) => {}
                }
            }
        };
        timeout(CHANNEL, opening).await.unwrap_or(Err(SshProblem::NoFiles))
    }

    /// Says goodbye.
    pub async fn close(self) {
        // A server that does not listen any more needs no goodbye.
        let _said = timeout(GOODBYE, self.handle.disconnect(Disconnect::ByApplication, "", "")).await;
    }
}

/// Waits until a request on a channel was agreed to.
async fn agreed(reads: &mut ChannelReadHalf) -> Result<(), SshProblem> {
    loop {
        match reads.wait().await {
            Some(ChannelMsg::Success) => return Ok(()),
            Some(ChannelMsg::Failure | ChannelMsg::Close) | None => return Err(SshProblem::Shell),
            // Windows that move, and whatever else says nothing of the request.
            Some(_) => {}
        }
    }
}

/// What a shell shows.
pub struct ShellOutput {
    reads: ChannelReadHalf,
    /// Whether the server said that it ends.
    ends: bool,
}

impl ShellOutput {
    /// The next of it; nothing where it ended in order.
    ///
    /// # Errors
    /// [`SshProblem::Broke`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, SshProblem> {
        loop {
            let Some(message) = self.reads.wait().await else {
                return if self.ends { Ok(None) } else { Err(SshProblem::Broke) };
            };
            if matches!(message, ChannelMsg::Close) {
                return Ok(None);
            }
            self.ends |=
                matches!(message, ChannelMsg::Eof | ChannelMsg::ExitStatus { .. } | ChannelMsg::ExitSignal { .. });
            // Errors of programs go to the same screen; all else is no output.
            if let ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } = message
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
    }
}

impl fmt::Debug for ShellOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShellOutput(..)")
    }
}

/// What is typed into a shell.
pub struct ShellInput(ChannelWriteHalf<client::Msg>);

impl ShellInput {
    /// Types this; waits while the server takes nothing.
    ///
    /// # Errors
    /// [`SshProblem::Broke`].
    pub async fn type_in(&self, bytes: Bytes) -> Result<(), SshProblem> {
        self.0.data_bytes(bytes).await.map_err(|_| SshProblem::Broke)
    }

    /// Tells it another size.
    ///
    /// # Errors
    /// [`SshProblem::Broke`].
    pub async fn resize(&self, size: Size) -> Result<(), SshProblem> {
        let (columns, rows) = (u32::from(size.columns), u32::from(size.rows));
        self.0.window_change(columns, rows, 0, 0).await.map_err(|_| SshProblem::Broke)
    }
}

impl fmt::Debug for ShellInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShellInput(..)")
    }
}

/// A channel over which files are carried.
pub struct FileChannel(ChannelStream<client::Msg>);

impl AsyncRead for FileChannel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for FileChannel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl fmt::Debug for FileChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileChannel(..)")
    }
}

/// Keeps to the keys that are expected of a server.
struct Doorkeeper {
    expected: Vec<HostKey>,
    /// Another that it showed.
    shown: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Doorkeeper {
    type Error = russh::Error;

    async fn check_server_key(&mut self, server: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = server else { return Ok(false) };
        let blob = key.to_bytes()?;
        let is_expected = self.expected.iter().any(|expected| expected.blob == blob);
        if !is_expected {
            let text = format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
            *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        }
        Ok(is_expected)
    }
}

fn settings(terminal: &Terminal) -> Arc<client::Config> {
    let is_expected = |algorithm: &&Algorithm| {
        let kind = if matches!(algorithm, Algorithm::Rsa { .. }) { "ssh-rsa" } else { algorithm.as_str() };
        terminal.host_keys.iter().any(|key| key.algorithm == kind)
    };
    // Asked for are keys of the kinds that are expected alone, none of them signing with SHA-1: a server that has several
    // kinds shows one of those.
    let is_sound = |algorithm: &&Algorithm| !matches!(algorithm, Algorithm::Rsa { hash: None });
    let key = Preferred::DEFAULT.key.iter().filter(is_sound).filter(is_expected).cloned().collect::<Vec<_>>();
    Arc::new(client::Config {
        client_id: SshId::Standard("SSH-2.0-Sekimori".into()),
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES_MAX,
        channel_buffer_size: PACKETS_WAIT,
        preferred: Preferred { key: key.into(), ..Preferred::DEFAULT },
        keepalive_interval: Some(KEEP_ALIVE),
        keepalive_max: KEEP_ALIVES_MAX,
        ..client::Config::default()
    })
}

/// Signs in; `false` where the server does not let it in.
async fn sign_in(handle: &mut client::Handle<Doorkeeper>, terminal: &Terminal) -> Result<bool, russh::Error> {
    match &terminal.credential {
        SshCredential::Key(secret) => {
            let key = decode_secret_key(secret.expose(), None).map_err(|_| russh::Error::CouldNotReadKey)?;
            let hash = if key.algorithm().is_rsa() { handle.best_supported_rsa_hash().await?.flatten() } else { None };
            let hash = hash.or(key.algorithm().is_rsa().then_some(HashAlg::Sha512));
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
            Ok(handle.authenticate_publickey(&terminal.user, key).await?.success())
        }
        SshCredential::Password(secret) => match handle.authenticate_password(&terminal.user, secret.expose()).await? {
            AuthResult::Success => Ok(true),
            AuthResult::Failure { .. } => answer_prompts(handle, terminal, secret.expose()).await,
        },
    }
}

/// Many servers ask for the password by a prompt only. It is given once, and to a prompt that shows nothing.
async fn answer_prompts(
    handle: &mut client::Handle<Doorkeeper>,
    terminal: &Terminal,
    password: &str,
) -> Result<bool, russh::Error> {
    let mut asked = handle.authenticate_keyboard_interactive_start(&terminal.user, None::<String>).await?;
    let mut password = Some(password.to_owned());
    for _ in 0..PROMPTS_MAX {
        let prompts = match asked {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        let mut answers = Vec::new();
        for prompt in prompts.iter().take(PROMPTS_MAX) {
            match password.take_if(|_| !prompt.echo) {
                Some(password) => answers.push(password),
                None => return Ok(false),
            }
        }
        asked = handle.authenticate_keyboard_interactive_respond(answers).await?;
    }
    Ok(false)
}

/// What carries between a socket and SSH, so that dropping it ends both: SSH runs in a task of its own that nobody can
/// end from outside.
struct Pipe(AbortHandle);

impl Pipe {
    fn over(mut stream: TcpStream) -> (Self, impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let (near, mut far) = duplex(PIPE_BYTES);
        let carrying = spawn_local(async move {
            // How it ends, SSH learns at its end.
            let _ended = copy_bidirectional_with_sizes(&mut stream, &mut far, PIPE_BYTES, PIPE_BYTES).await;
        });
        (Self(carrying.abort_handle()), near)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.0.abort();
    }
}

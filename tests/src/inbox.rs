//! Who is notified: a mail server and a server for webhooks, in this process on threads of their own. The mail server is a
//! fake: as much of RFC 5321, 3207 and 4954 as a submission needs, written for these tests; Debian has none that runs
//! without being set up as the machine's own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::upstream::{ANYWHERE, on_its_own_thread};
use crate::{Authority, Folder, Payload, chain_and_key, full, make_private};

/// The name both servers have in their certificates.
const NAME: &str = "inbox.test";
/// What the mail server wants to be told by AUTH PLAIN.
const PROOF: &str = "\0sekimori\0open sesame";
/// The key that requests to the webhook are signed with.
const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A mail server and a webhook, and what they took.
#[derive(Debug)]
pub struct Inbox {
    folder: Folder,
    mail: SocketAddr,
    hook: SocketAddr,
    kept: Arc<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    mails: Mutex<Vec<Mail>>,
    calls: Mutex<Vec<Call>>,
    /// What the mail server answers a mail with, and the webhook a call; 0 for yes.
    mail_answer: AtomicU16,
    hook_answer: AtomicU16,
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Whom it was to.
    pub to: Vec<String>,
    /// Its headers, unfolded.
    pub head: String,
    /// Its subject, as people read it.
    pub subject: String,
    /// Its text, as people read it.
    pub text: String,
}

/// A request that the webhook was sent, taken or not.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Call {
    /// Whether it is signed with the key both know, over its id, time and body.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        let field = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let signed = [field("webhook-id"), ".", field("webhook-timestamp"), "."].concat();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, KEY);
        let given = field("webhook-signature").strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        let bytes = [signed.as_bytes(), &self.body].concat();
        given.is_some_and(|given| aws_lc_rs::hmac::verify(&key, &bytes, &given).is_ok())
    }

    /// Its body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a call is JSON")
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::open()
    }
}

impl Inbox {
    /// Opens both.
    #[must_use]
    pub fn open() -> Self {
        let folder = Folder::new();
        let authority = Authority::new();
        authority.save(&folder.join("ca.pem"));
        let (chain, key) = chain_and_key(&authority.issue(folder.path(), "inbox", &[NAME, "localhost"]));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .expect("the certificate is fine");
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let kept = Arc::new(Kept::default());
        let (for_mail, of_mail) = (Arc::clone(&kept), acceptor.clone());
        let mail = on_its_own_thread(ANYWHERE, move |listener| take_mail(listener, of_mail, for_mail));
        let for_hook = Arc::clone(&kept);
        let hook = on_its_own_thread(ANYWHERE, move |listener| take_calls(listener, acceptor, for_hook));
        for (name, secret) in [("mail", "open sesame".to_owned()), ("hook", format!("whsec_{}", STANDARD.encode(KEY)))]
        {
            folder.write(name, secret);
            make_private(&folder.join(name));
        }
        Self { folder, mail, hook, kept }
    }

    /// `[mail]` for this mail server: STARTTLS and a password.
    #[must_use]
    pub fn mail_table(&self) -> String {
        format!(
            "[mail]\nserver = \"{}\"\nserver_name = \"{NAME}\"\nca_file = \"{}\"\nfrom = \"sekimori@hospital.test\"\n\
             user = \"sekimori\"\npassword_file = \"{}\"\n",
            self.mail,
            self.folder.join("ca.pem").display(),
            self.folder.join("mail").display(),
        )
    }

    /// The lines of a `[[notice]]` that name the webhook.
    #[must_use]
    pub fn hook_lines(&self) -> String {
        format!(
            "webhook = \"https://localhost:{}/hooks/sekimori?token=of-ours\"\nca_file = \"{}\"\nsecret_file = \"{}\"\n",
            self.hook.port(),
            self.folder.join("ca.pem").display(),
            self.folder.join("hook").display(),
        )
    }

    /// The mails that were taken.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.kept.mails.lock().expect("nobody failed here").clone()
    }

    /// The requests that the webhook was sent, those it refused too.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.kept.calls.lock().expect("nobody failed here").clone()
    }

    /// Lets the mail server answer each mail with this code; 0 for as it should be.
    pub fn answer_mails(&self, code: u16) {
        self.kept.mail_answer.store(code, Ordering::Relaxed);
    }

    /// Lets the webhook answer each call with this status; 0 for as it should be.
    pub fn answer_calls(&self, status: u16) {
        self.kept.hook_answer.store(status, Ordering::Relaxed);
    }
}

async fn take_mail(listener: TcpListener, tls: TlsAcceptor, kept: Arc<Kept>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, kept) = (tls.clone(), Arc::clone(&kept));
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 inbox.test ESMTP\r\n").await.ok();
            if talk(&mut stream, &kept, false).await == Some(Next::Tls)
                && let Ok(stream) = tls.accept(stream.into_inner()).await
            {
                talk(&mut BufReader::new(stream), &kept, true).await;
            }
        });
    }
}

#[derive(PartialEq, Eq)]
enum Next {
    Tls,
    End,
}

/// One conversation; a password and a mail are taken over TLS alone.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, kept: &Kept, is_tls: bool) -> Option<Next> {
    let (mut to, mut is_in) = (Vec::new(), false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return Some(Next::End);
        }
        let line = line.trim_end();
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" if is_tls => "250-inbox.test\r\n250 AUTH PLAIN LOGIN".to_owned(),
            "EHLO" => "250-inbox.test\r\n250 STARTTLS".to_owned(),
            "STARTTLS" if !is_tls => {
                stream.write_all(b"220 go ahead\r\n").await.ok()?;
                return Some(Next::Tls);
            }
            "AUTH" if is_tls => {
                is_in = line.strip_prefix("AUTH PLAIN ") == Some(STANDARD.encode(PROOF).as_str());
                if is_in { "235 welcome" } else { "535 no" }.to_owned()
            }
            "MAIL" | "RCPT" | "DATA" if !is_in => "530 log in first".to_owned(),
            "MAIL" => "250 ok".to_owned(),
            "RCPT" => {
                to.push(line.split(['<', '>']).nth(1)?.to_owned());
                "250 ok".to_owned()
            }
            "DATA" => {
                stream.write_all(b"354 go ahead\r\n").await.ok()?;
                let bytes = whole_mail(stream).await?;
                match kept.mail_answer.load(Ordering::Relaxed) {
                    0 => {
                        kept.mails.lock().expect("nobody failed here").push(read(&bytes, std::mem::take(&mut to)));
                        "250 taken".to_owned()
                    }
                    code => format!("{code} not now"),
                }
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await.ok()?;
                return Some(Next::End);
            }
            _ => "500 what?".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

/// All up to the line with one dot, dots that were doubled made single.
async fn whole_mail<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut mail = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == ".\r\n" {
            return Some(mail);
        }
        mail.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

fn read(mail: &str, to: Vec<String>) -> Mail {
    let (head, body) = mail.split_once("\r\n\r\n").expect("a mail has a head and a body");
    let head = head.replace("\r\n ", " ");
    let subject = head.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a mail has a subject");
    let text = |base64: &str| {
        let bytes = STANDARD.decode(base64).expect("what we send is base64");
        String::from_utf8(bytes).expect("what we send is UTF-8")
    };
    let word =
        |word: &str| text(word.strip_prefix("=?utf-8?B?").and_then(|word| word.strip_suffix("?=")).expect("encoded"));
    let subject = subject.split(' ').map(word).collect();
    Mail { to, subject, text: text(&body.replace("\r\n", "")), head }
}

async fn take_calls(listener: TcpListener, tls: TlsAcceptor, kept: Arc<Kept>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let kept = Arc::clone(&kept);
        let service = service_fn(move |request: http::Request<Incoming>| {
            let kept = Arc::clone(&kept);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
                kept.calls.lock().expect("nobody failed here").push(Call { headers: parts.headers, body });
                let mut response: Response<Payload> = Response::new(full("thanks"));
                if let Ok(status) = http::StatusCode::from_u16(kept.hook_answer.load(Ordering::Relaxed)) {
                    *response.status_mut() = status;
                }
                Ok::<_, Infallible>(response)
            }
        });
        let tls = tls.clone();
        tokio::spawn(async move {
            if let Ok(stream) = tls.accept(stream).await {
                // How a connection ends is the gateway's business.
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            }
        });
    }
}

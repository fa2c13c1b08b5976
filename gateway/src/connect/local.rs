//! One connection to the local port and its tunnel.

use std::rc::Rc;
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use web::ConnectWords;
use zeroize::Zeroizing;

use super::permission::Permission;
use super::road::{Opened, Road, Trouble};
use crate::cli::say;
use crate::tunnel::GO_ON_WITHIN;
use crate::tunnel::channel::{Channel, LineEnd};

/// How long to wait before the first try of another line, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(3));
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_millis(400);
/// How long the local program may take what the other side said that is gone.
const REST: Duration = Duration::from_secs(10);
/// What the other side is told when this one ends.
const CLOSED: &str = "closed";

/// One connection to the local port.
pub struct Local {
    /// What it is called in what is said.
    pub number: u64,
    /// The way to the gateway.
    pub road: Rc<Road>,
    /// What the person lets in.
    pub permission: Rc<Permission>,
    /// The words.
    pub words: Rc<ConnectWords>,
    /// Whether the program is to end.
    pub ended: watch::Receiver<bool>,
}

/// The tunnel of a local connection.
struct Tunnel {
    id: String,
    secret: Zeroizing<String>,
}

/// How a tunnel ended.
enum End {
    /// In order.
    Closed,
    /// For the reason of this code.
    Because(String),
}

impl Local {
    /// Carries it to its end.
    pub async fn carry(self, stream: TcpStream) {
        // An interactive protocol waits for every key; without it, it is only slower.
        let _faster = stream.set_nodelay(true);
        let number = self.number.to_string();
        let (line, tunnel) = match self.open().await {
            Ok(opened) => opened,
            Err(why) => return say(&self.words.say("refused", &[("number", &number), ("why", &why)])),
        };
        say(&self.words.say("opened", &[("number", &number)]));
        let channel = Channel::default();
        let end = self.run(&channel, stream, line, &tunnel).await;
        match end {
            End::Closed => {
                let (up, down) = (channel.taken_bytes().to_string(), channel.accepted().to_string());
                say(&self.words.say("closed", &[("number", &number), ("up", &up), ("down", &down)]));
            }
            End::Because(code) => {
                let why = self.words.why(&code);
                say(&self.words.say("ended", &[("number", &number), ("why", &why)]));
            }
        }
    }

    /// Opens a tunnel; where its person must sign in first, asks them once.
    async fn open(&self) -> Result<(TokioIo<Upgraded>, Tunnel), String> {
        let number = self.permission.number();
        let opened = match self.road.open().await {
            Err(Trouble::SignIn) => {
                self.permission.ask(Some(number)).await.map_err(|trouble| self.why(trouble))?;
                self.road.open().await
            }
            // The connection that was there may have gone to sleep: once more, over another.
            Err(Trouble::Unreachable(_)) => self.road.open().await,
            opened => opened,
        };
        let Opened { line, tunnel, received: _ } = opened.map_err(|trouble| self.why(trouble))?;
        let (id, secret) = tunnel.ok_or_else(|| self.words.why("protocol"))?;
        Ok((line, Tunnel { id, secret }))
    }

    fn why(&self, trouble: Trouble) -> String {
        match trouble {
            Trouble::Unreachable(why) => self.words.say("unreachable", &[("why", &why)]),
            Trouble::SignIn => self.words.why("sign-in-required"),
            Trouble::Refused(code) => self.words.why(&code),
        }
    }

    async fn run(&self, channel: &Channel, stream: TcpStream, line: TokioIo<Upgraded>, tunnel: &Tunnel) -> End {
        let mut carried = std::pin::pin!(channel.carry(stream, |_| {}, |_| {}));
        let (mut line, mut ended) = (line, self.ended.clone());
        loop {
            let end = {
                let mut over = std::pin::pin!(channel.over(line));
                tokio::select! {
                    end = over.as_mut() => end,
                    _broke = carried.as_mut() => {
                        // What the program said before is sent first.
                        channel.leave_with_rest(CLOSED);
                        return leave(over).await;
                    }
                    _told = ended.changed() => {
                        channel.leave(CLOSED);
                        return leave(over).await;
                    }
                }
            };
            if let LineEnd::Goodbye(_) = end {
                tokio::select! {
                    () = channel.handed_on() => {}
                    _broke = carried.as_mut() => {}
                    _told = ended.changed() => {}
                    () = sleep(REST) => {}
                }
            }
            match end {
                LineEnd::Done | LineEnd::Left => return End::Closed,
                LineEnd::Goodbye(code) if code == CLOSED => return End::Closed,
                LineEnd::Goodbye(code) => return End::Because(code),
                LineEnd::Garbled => return End::Because("protocol".to_owned()),
                LineEnd::Cut => {}
            }
            let number = self.number.to_string();
            say(&self.words.say("cut", &[("number", &number)]));
            self.road.forget();
            line = tokio::select! {
                went_on = self.go_on(channel, tunnel) => match went_on {
                    Ok(line) => line,
                    Err(code) => return End::Because(code),
                },
                _told = ended.changed() => return End::Closed,
            };
            say(&self.words.say("resumed", &[("number", &number)]));
        }
    }

    /// Another line for the tunnel, as soon as there is one.
    async fn go_on(&self, channel: &Channel, tunnel: &Tunnel) -> Result<TokioIo<Upgraded>, String> {
        let until = Instant::now() + GO_ON_WITHIN;
        let (mut wait, wait_max) = RETRY;
        while Instant::now() < until {
            sleep(wait).await;
            wait = (wait * 2).min(wait_max);
            match self.road.go_on(&tunnel.id, &tunnel.secret, channel.accepted()).await {
                Ok(Opened { line, received: Some(received), tunnel: _ }) => {
                    channel.go_on_from(received).map_err(|_| "protocol".to_owned())?;
                    return Ok(line);
                }
                Ok(Opened { received: None, .. }) => return Err("protocol".to_owned()),
                Err(Trouble::Unreachable(_)) => {}
                Err(Trouble::SignIn) => return Err("sign-in-required".to_owned()),
                Err(Trouble::Refused(code)) if code == "not-found" => break,
                Err(Trouble::Refused(code)) => return Err(code),
            }
        }
        Err("window-over".to_owned())
    }
}

/// Says goodbye over the line, in time. However that goes, the tunnel is over on this side.
async fn leave(over: std::pin::Pin<&mut impl Future<Output = LineEnd>>) -> End {
    // What does not take it is gone anyway.
    let _in_time = timeout(GOODBYE, over).await;
    End::Closed
}

//! Receivers of notices as configured, with their TLS ready: built with every snapshot, so that a CA that cannot be used is
//! told when the configuration is read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use config::{Config, MailAddress, MailEncryption, MailServer, Notice, NoticeTo, UpstreamProtocol, UpstreamTls};
use policy::NoticeId;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use web::{Told, WordBook};

use super::mail::Message;
use super::{smtp, webhook};
use crate::upstream::dial::{Dialer, TlsTo};

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// The receivers of a configuration.
#[derive(Debug, Default)]
pub struct Senders(HashMap<NoticeId, Arc<Sender>>);

/// One receiver.
#[derive(Debug)]
pub struct Sender {
    /// As configured.
    pub notice: Notice,
    way: Way,
}

/// How it is reached.
enum Way {
    Mail { server: MailServer, tls: Option<TlsTo> },
    Webhook { connector: TlsConnector },
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Mail { .. } => "Mail",
            Self::Webhook { .. } => "Webhook",
        })
    }
}

/// A notice that was taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Addresses that the mail server refused while it took others, and why.
    pub left_out: Option<String>,
    /// Those among them that it may take another time.
    pub later: Vec<MailAddress>,
}

/// Why a notice was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It may be another time.
    Later(String),
    /// The receiver refused it, and will refuse it again.
    Refused(String),
}

impl Trouble {
    /// What went wrong, in words for the operator.
    pub fn words(&self) -> &str {
        match self {
            Self::Later(words) | Self::Refused(words) => words,
        }
    }
}

impl Senders {
    /// Makes them ready.
    ///
    /// # Errors
    /// What cannot be used, in words for the operator.
    pub fn build(config: &Config) -> Result<Self, Vec<String>> {
        let (mut senders, mut problems) = (HashMap::new(), Vec::new());
        for notice in &config.notices {
            match Sender::build(notice, config) {
                Ok(sender) => {
                    senders.insert(notice.id.clone(), Arc::new(sender));
                }
                Err(problem) => problems.push(format!("notice `{}`: {problem}", notice.id)),
            }
        }
        if problems.is_empty() { Ok(Self(senders)) } else { Err(problems) }
    }

    /// One of them.
    pub fn find(&self, id: &NoticeId) -> Option<&Arc<Sender>> {
        self.0.get(id)
    }

    /// Their ids.
    pub fn ids(&self) -> impl Iterator<Item = &NoticeId> {
        self.0.keys()
    }
}

impl Sender {
    /// Its addresses among some, where it is reached by mail.
    pub fn addresses_among(&self, some: &[String]) -> Vec<MailAddress> {
        match &self.notice.to {
            NoticeTo::Mail(to) => to.iter().filter(|to| some.iter().any(|one| one == to.as_str())).cloned().collect(),
            NoticeTo::Webhook(_) => Vec::new(),
        }
    }

    fn build(notice: &Notice, config: &Config) -> Result<Self, String> {
        let way = match &notice.to {
            NoticeTo::Mail(_) => {
                let server = config.mail.clone().ok_or("there is no mail server")?;
                Way::Mail { tls: mail_tls(&server)?, server }
            }
            NoticeTo::Webhook(webhook) => {
                let tls = UpstreamTls { ca_file: webhook.ca_file.clone(), ..UpstreamTls::default() };
                Way::Webhook { connector: connector(&tls)? }
            }
        };
        Ok(Self { notice: notice.clone(), way })
    }

    /// Sends one notice, once. `number` is the same each time it is sent again, and so is the mail, also where it is
    /// handed over for some of its addresses `only`.
    ///
    /// # Errors
    /// [`Trouble`]; the receiver may have it all the same.
    pub async fn send(
        &self,
        told: &Told,
        number: &str,
        only: Option<&[MailAddress]>,
        book: &WordBook,
        config: &Config,
        dialer: &Dialer,
    ) -> Result<Sent, Trouble> {
        let text = book.notice(told, self.notice.language, config);
        let sending = async {
            match (&self.notice.to, &self.way) {
                (NoticeTo::Mail(to), Way::Mail { server, tls }) => {
                    let message = Message { from: &server.from, to, facility: &config.facility.name, text: &text };
                    let bytes = message.write(number, told.at, config.offset);
                    let letter = smtp::Letter { from: &server.from, to: only.unwrap_or(to), bytes: &bytes };
                    let hello = config.login_host.as_str();
                    let (sent, talk) = smtp::deliver(dialer, server, tls.as_ref(), hello, &letter).await?;
                    Ok((sent, Some(talk)))
                }
                (NoticeTo::Webhook(to), Way::Webhook { connector }) => {
                    let call = webhook::Call { told, number, text: &text, config };
                    webhook::deliver(dialer, connector, to, &call).await.map(|()| (Sent::default(), None))
                }
                (NoticeTo::Mail(_), Way::Webhook { .. }) | (NoticeTo::Webhook(_), Way::Mail { .. }) => {
                    Err(Trouble::Refused("its settings do not fit together".to_owned()))
                }
            }
        };
        match timeout(ATTEMPT_TIMEOUT, sending).await {
            Ok(Ok((sent, talk))) => {
                // What was taken stays taken, however long the goodbye takes.
                if let Some(talk) = talk {
                    talk.quit().await;
                }
                Ok(sent)
            }
            Ok(Err(trouble)) => Err(trouble),
            Err(_) => Err(Trouble::Later(format!("it took longer than {ATTEMPT_TIMEOUT:?}"))),
        }
    }
}

fn mail_tls(server: &MailServer) -> Result<Option<TlsTo>, String> {
    match server.encryption {
        MailEncryption::None => return Ok(None),
        MailEncryption::StartTls | MailEncryption::Tls => {}
    }
    let tls = UpstreamTls { ca_file: server.ca_file.clone(), ..UpstreamTls::default() };
    let name = server.server_name.clone().unwrap_or_else(|| server.host.clone());
    let name = ServerName::try_from(name.clone()).map_err(|_| format!("`{name}` is not a server name"))?;
    Ok(Some(TlsTo { connector: connector(&tls)?, name }))
}

fn connector(tls: &UpstreamTls) -> Result<TlsConnector, String> {
    let mut client = certs::upstream_config(tls, UpstreamProtocol::Http1).map_err(|problem| problem.to_string())?;
    // One protocol each, which needs no name.
    client.alpn_protocols.clear();
    Ok(TlsConnector::from(Arc::new(client)))
}

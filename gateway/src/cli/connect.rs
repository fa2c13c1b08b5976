//! `sekimori connect APP`: a port of this machine that leads to a TCP app behind the gateway.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use config::{CertificateFiles, UpstreamProtocol, UpstreamTls};
use policy::AppId;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use url::Url;
use web::Language;

use super::block_on;
use crate::connect::{Plan, run as connect};
use crate::failure::Failure;
use crate::upstream::dial::TlsTo;

/// Which app, by which gateway, as which device.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The app, by the id it has at the hospital.
    app: String,
    /// The address of the app's page at the gateway, such as https://pacs-shell.hospital.example.jp.
    #[arg(long, value_name = "URL")]
    gateway: String,
    /// The certificate of this device, as PEM.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// Its key, as PEM.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The port of this machine to open; 0 for any that is free.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The CA of the gateway's certificate, where this system does not know it.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where the gateway is reached, if not where its name leads.
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: Option<SocketAddr>,
    /// The language of what is said; that of the system where absent.
    #[arg(long)]
    language: Option<Spoken>,
}

/// A language.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Spoken {
    /// Japanese.
    Ja,
    /// English.
    En,
}

/// Connects until it is ended.
pub fn run(args: &Args) -> Result<(), Failure> {
    let plan = plan(args)?;
    block_on(connect(plan))
}

fn plan(args: &Args) -> Result<Plan, Failure> {
    let app = AppId::parse(&args.app).map_err(|problem| Failure::input(problem.to_string()))?;
    let (origin, host, port) = origin(&args.gateway)?;
    let tls = UpstreamTls {
        ca_file: args.ca.clone(),
        client_certificate: Some(CertificateFiles { certificate: args.certificate.clone(), key: args.key.clone() }),
        server_name: None,
    };
    let tls =
        certs::upstream_config(&tls, UpstreamProtocol::Http2).map_err(|problem| Failure::input(problem.to_string()))?;
    let name = ServerName::try_from(host.clone()).map_err(|_| not_an_address(&args.gateway))?;
    Ok(Plan {
        app,
        origin,
        host: (host, port),
        address: args.address,
        listen: args.listen,
        tls: TlsTo { connector: TlsConnector::from(Arc::new(tls)), name },
        language: args.language.map_or_else(of_the_system, Spoken::language),
    })
}

/// Scheme, host and port as browsers write them, and the last two apart.
fn origin(gateway: &str) -> Result<(String, String, u16), Failure> {
    let wrong = || not_an_address(gateway);
    let url = Url::parse(gateway).map_err(|_| wrong())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let host = url.domain().filter(|_| url.scheme() == "https" && is_bare).ok_or_else(wrong)?;
    let port = url.port_or_known_default().ok_or_else(wrong)?;
    Ok((url.origin().ascii_serialization(), host.to_owned(), port))
}

fn not_an_address(gateway: &str) -> Failure {
    Failure::input(format!(
        "`{gateway}` is not the address of an app at a gateway; write it like https://pacs-shell.hospital.example.jp"
    ))
}

impl Spoken {
    fn language(self) -> Language {
        match self {
            Self::Ja => Language::Japanese,
            Self::En => Language::English,
        }
    }
}

fn of_the_system() -> Language {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().filter_map(|key| std::env::var(key).ok());
    match set.into_iter().find(|tag| !tag.is_empty()) {
        Some(tag) if tag.starts_with("ja") => Language::Japanese,
        Some(_) | None => Language::English,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_of_an_app_is_one() {
        let (origin, host, port) = self::origin("https://pacs-shell.hospital.example.jp").unwrap();
        assert_eq!(
            (origin.as_str(), host.as_str(), port),
            ("https://pacs-shell.hospital.example.jp", "pacs-shell.hospital.example.jp", 443)
        );
        assert_eq!(self::origin("https://a.example:8443/").unwrap().0, "https://a.example:8443");
        for wrong in [
            "",
            "a.example",
            "http://a.example",
            "https://10.0.0.1",
            "https://a.example/x",
            "https://u@a.example",
            "https://a.example/?q",
        ] {
            assert!(self::origin(wrong).is_err(), "{wrong}");
        }
    }
}

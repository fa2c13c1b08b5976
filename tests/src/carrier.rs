//! A device's own TLS in front of a browser: the browser speaks to it, and it shows the gateway the device's
//! certificate. It reads nothing and changes nothing of what passes.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::upstream::{ANYWHERE, on_its_own_thread};
use crate::{Caller, Device, Hospital, chain_and_key};

/// Starts one; gives where the browser finds it.
pub fn carry(hospital: &Hospital, device: &Device) -> SocketAddr {
    let files = config::CertificateFiles {
        certificate: hospital.folder().join("wild.pem"),
        key: hospital.folder().join("wild.key"),
    };
    let (chain, key) = chain_and_key(&files);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS can be set up")
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut tls = tls.expect("the certificate can be used");
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let (acceptor, caller) = (TlsAcceptor::from(Arc::new(tls)), hospital.caller(device));
    on_its_own_thread(ANYWHERE, move |listener: TcpListener| async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            tokio::spawn(pass(acceptor.clone(), caller.clone(), stream));
        }
    })
}

async fn pass(acceptor: TlsAcceptor, caller: Caller, stream: TcpStream) -> std::io::Result<()> {
    let mut near = acceptor.accept(stream).await?;
    let host = near.get_ref().1.server_name().unwrap_or("localhost").to_owned();
    let mut far = caller.connect(&host, &[b"http/1.1"]).await?;
    copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}

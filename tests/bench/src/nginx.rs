//! nginx: the upstream behind every proxy, and the proxy to be measured against.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;

use tests::Folder;

use crate::gateway::Gateway;
use crate::gauge::LOAD_CPU;
use crate::peer::{Peer, free_address, start, stop};

/// Everything both kinds of nginx have in common.
fn head(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nuser root;\nmaster_process on;\nworker_processes 1;\nworker_rlimit_nofile 40000;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 16384;  }}\n"
    )
}

/// The server behind every proxy: small files, and one large.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    child: Child,
    _folder: Folder,
}

impl Upstream {
    /// Starts it on the load's processor.
    pub fn start(megabytes: u64) -> Self {
        let (folder, address) = (Folder::new(), free_address());
        let root = folder.join("files");
        fs::create_dir_all(&root).unwrap();
        for (name, bytes) in [("200", 200), ("1k", 1024), ("16k", 16 * 1024)] {
            fs::write(root.join(name), vec![b'x'; bytes]).unwrap();
        }
        File::create(root.join("large")).unwrap().set_len(megabytes * 1024 * 1024).unwrap();
        let configuration = format!(
            "{}http {{ access_log off; sendfile on; keepalive_requests 1000000000; open_file_cache max=10;\n\
             server {{ listen {address}; root {root}; location = /allow {{ return 204; }} }} }}\n",
            head(folder.path()),
            root = root.display()
        );
        let file = folder.write("nginx.conf", configuration);
        let child = start(&folder, LOAD_CPU, address, "nginx", &[&"-p", &folder.path(), &"-c", &file]);
        Self { address, child, _folder: folder }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// What nginx does beside proxying.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nothing. It asks for the device's certificate and does not check who issued it.
    Bare,
    /// Writes an access log.
    AccessLog,
    /// Asks a trivial server whether the request may pass.
    AuthRequest,
    /// Takes only devices whose certificate the hospital's CA issued.
    VerifyClient,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Bare => "nginx bare",
            Self::AccessLog => "nginx + access log",
            Self::AuthRequest => "nginx + auth_request",
            Self::VerifyClient => "nginx + ssl_verify_client",
        }
    }
}

/// nginx as a TLS proxy, with the gateway's own certificate, in front of the same servers.
pub fn proxy(kind: Kind, gateway: &Gateway) -> Peer {
    let (folder, address) = (Folder::new(), free_address());
    let (log, ask, location) = match kind {
        Kind::Bare | Kind::VerifyClient => ("access_log off;".to_owned(), "", ""),
        Kind::AccessLog => (format!("access_log {}/access.log;", folder.path().display()), "", ""),
        Kind::AuthRequest => (
            "access_log off;".to_owned(),
            "auth_request /allow;",
            "location = /allow { internal; proxy_pass http://app/allow; proxy_pass_request_body off; \
             proxy_set_header Content-Length \"\"; proxy_http_version 1.1; proxy_set_header Connection \"\"; }",
        ),
    };
    let verify = match kind {
        Kind::Bare | Kind::AccessLog | Kind::AuthRequest => "ssl_verify_client optional_no_ca;".to_owned(),
        Kind::VerifyClient => {
            format!("ssl_verify_client on; ssl_client_certificate {};", gateway.device_authority().display())
        }
    };
    let (certificate, key) = gateway.certificate();
    let configuration = format!(
        "{}http {{ {log} keepalive_requests 1000000000; proxy_max_temp_file_size 0; keepalive_timeout 3600s;\n\
         client_max_body_size 0; proxy_request_buffering off; proxy_read_timeout 3600s;\n\
         upstream app {{ server {}; keepalive 256; keepalive_requests 1000000000; }}\n\
         upstream sockets {{ server {}; }}\n\
         server {{ listen {address} ssl http2 backlog=1024; ssl_certificate {}; ssl_certificate_key {};\n\
         ssl_protocols TLSv1.3; {verify} http2_max_concurrent_streams 256;\n\
         location /socket {{ proxy_pass http://sockets; proxy_http_version 1.1; proxy_set_header Host $host;\n\
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }}\n\
         location /sink {{ proxy_pass http://sockets; proxy_http_version 1.1; proxy_set_header Host $host; }}\n\
         location / {{ {ask} proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
         proxy_set_header Host $host; }} {location} }} }}\n",
        head(folder.path()),
        gateway.upstream(),
        gateway.sockets(),
        certificate.display(),
        key.display(),
    );
    let (prefix, file) = (folder.path().to_owned(), folder.write("nginx.conf", configuration));
    Peer::start(kind.name(), address, folder, "nginx", &[&"-p", &prefix, &"-c", &file])
}

//! nginx: the upstream behind every proxy, and the proxy to be measured against.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::Folder;

use crate::gateway::Gateway;
use crate::gauge::{LOAD_CPU, PROXY_CPU};
use crate::load::Aim;

/// Everything both kinds of nginx have in common.
fn head(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nuser root;\nmaster_process on;\nworker_processes 1;\nworker_rlimit_nofile 40000;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 16384;  }}\n"
    )
}

fn start(folder: &Folder, configuration: &str, cpu: usize, address: SocketAddr) -> Child {
    let file = folder.write("nginx.conf", configuration);
    let child = Command::new("taskset")
        .args(["-c", &cpu.to_string(), "nginx", "-p"])
        .arg(folder.path())
        .arg("-c")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx is installed (Debian: nginx-light)");
    let begin = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begin.elapsed() < Duration::from_secs(10), "nginx does not accept; see {}", folder.path().display());
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

fn stop(child: &mut Child) {
    // By its id: its worker ends with it.
    let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    let _ = child.wait();
}

fn free_port() -> u16 {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The server behind every proxy: small files, and one large.
pub struct Upstream {
    address: SocketAddr,
    child: Child,
    _folder: Folder,
}

impl Upstream {
    /// Starts it on the load's processor.
    pub fn start(megabytes: u64) -> Self {
        let folder = Folder::new();
        let address: SocketAddr = (Ipv4Addr::LOCALHOST, free_port()).into();
        let root = folder.join("files");
        fs::create_dir_all(root.join("taken")).unwrap();
        for (name, bytes) in [("200", 200), ("1k", 1024), ("16k", 16 * 1024)] {
            fs::write(root.join(name), vec![b'x'; bytes]).unwrap();
        }
        File::create(root.join("large")).unwrap().set_len(megabytes * 1024 * 1024).unwrap();
        let configuration = format!(
            "{}http {{ access_log off; sendfile on; keepalive_requests 1000000000; open_file_cache max=10;\n\
             client_max_body_size 0; server {{ listen {address}; root {root}; location = /allow {{ return 204; }}\n\
             location /taken/ {{ dav_methods PUT; client_body_temp_path {root}/taking; }} }} }}\n",
            head(folder.path()),
            root = root.display()
        );
        let child = start(&folder, &configuration, LOAD_CPU, address);
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
    /// Nothing.
    Bare,
    /// Writes an access log.
    AccessLog,
    /// Asks a trivial server whether the request may pass.
    AuthRequest,
}

/// nginx as a TLS proxy.
pub struct Proxy {
    kind: Kind,
    address: SocketAddr,
    child: Child,
    _folder: Folder,
}

impl Proxy {
    /// Starts it on the proxies' processor, with the gateway's own certificate.
    pub fn start(kind: Kind, upstream: SocketAddr, gateway: &Gateway) -> Self {
        let folder = Folder::new();
        let address: SocketAddr = (Ipv4Addr::LOCALHOST, free_port()).into();
        let (log, ask, location) = match kind {
            Kind::Bare => ("access_log off;".to_owned(), "", ""),
            Kind::AccessLog => (format!("access_log {}/access.log;", folder.path().display()), "", ""),
            Kind::AuthRequest => (
                "access_log off;".to_owned(),
                "auth_request /allow;",
                "location = /allow { internal; proxy_pass http://app/allow; proxy_pass_request_body off; \
                 proxy_set_header Content-Length \"\"; proxy_http_version 1.1; proxy_set_header Connection \"\"; }",
            ),
        };
        let (certificate, key) = gateway.certificate();
        let configuration = format!(
            "{}http {{ {log} keepalive_requests 1000000000; proxy_max_temp_file_size 0;\n\
             client_max_body_size 0; proxy_request_buffering off;\n\
             upstream app {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}\n\
             server {{ listen {address} ssl http2; ssl_certificate {}; ssl_certificate_key {};\n\
             ssl_protocols TLSv1.3; ssl_verify_client optional_no_ca; http2_max_concurrent_streams 256;\n\
             location / {{ {ask} proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
             proxy_set_header Host $host; }} {location} }} }}\n",
            head(folder.path()),
            certificate.display(),
            key.display(),
        );
        let child = start(&folder, &configuration, PROXY_CPU, address);
        Self { kind, address, child, _folder: folder }
    }

    /// Its name in the table.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Bare => "nginx bare",
            Kind::AccessLog => "nginx + access log",
            Kind::AuthRequest => "nginx + auth_request",
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its process and its worker.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = crate::gauge::children(self.pid());
        pids.push(self.pid());
        pids
    }

    /// The load that the gateway gets, aimed at this proxy.
    pub fn aim(&self, gateway: &Gateway) -> Aim {
        Aim { address: self.address, ..gateway.aim() }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

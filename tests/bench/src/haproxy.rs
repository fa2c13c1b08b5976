//! HAProxy as a TLS proxy, one thread, with keep-alive to the same server.

use tests::Folder;

use crate::gateway::Gateway;
use crate::peer::{Peer, free_address};

/// The program.
pub const PROGRAM: &str = "haproxy";

/// Starts it.
pub fn proxy(gateway: &Gateway) -> Peer {
    let (folder, address) = (Folder::new(), free_address());
    let (certificate, key) = gateway.certificate();
    let both = [certificate, key].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    let pem = folder.write("both.pem", both);
    let configuration = format!(
        "global\n  nbthread 1\n  maxconn 4000\n  ssl-default-bind-options ssl-min-ver TLSv1.3 prefer-client-ciphers\n\
         \x20 tune.h2.max-concurrent-streams 256\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 3600s\n  timeout server 3600s\n\
         \x20 timeout http-keep-alive 3600s\n  timeout tunnel 3600s\n  http-reuse always\n\
         frontend door\n  bind {address} ssl crt {} alpn h2,http/1.1\n\
         \x20 use_backend sockets if {{ path_beg /socket }}\n  default_backend app\n\
         backend app\n  server app {} pool-max-conn -1\nbackend sockets\n  server sockets {}\n",
        pem.display(),
        gateway.upstream(),
        gateway.sockets(),
    );
    let file = folder.write("haproxy.cfg", configuration);
    Peer::start("HAProxy", address, folder, PROGRAM, &[&"-db", &"-f", &file])
}

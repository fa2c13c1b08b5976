//! Apache with mod_auth_openidc: a session kept in its shared memory, looked up on every request. Somebody signs in at it
//! first: the token that a provider would have their browser post (OpenID Connect's implicit flow) is made here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tests::Folder;
use tokio::task::spawn_local;

use crate::gateway::Gateway;
use crate::load::{Aim, connect};
use crate::peer::{Peer, Shows, free_address};
use crate::token;

/// The program.
pub const PROGRAM: &str = "apache2";
const MODULES: &str = "/usr/lib/apache2/modules";
const SECRET: &str = "a-secret-that-only-the-two-of-them-know";
const ISSUER: &str = "https://idp.hospital.test";
const SESSION: &str = "mod_auth_openidc_session";

/// Starts it and signs in; nothing where the module is not here.
pub async fn proxy(gateway: &Gateway) -> Option<Peer> {
    if !Path::new(MODULES).join("mod_auth_openidc.so").is_file() {
        return None;
    }
    let (folder, address) = (Folder::new(), free_address());
    let file = folder.write("apache.conf", configuration(gateway, &folder, address));
    let mut peer = Peer::start("Apache + mod_auth_openidc", address, folder, PROGRAM, &[&"-DFOREGROUND", &"-f", &file]);
    peer.speaks_http2 = false;
    peer.shows = Shows::Cookie(sign_in(&peer, gateway).await);
    Some(peer)
}

fn configuration(gateway: &Gateway, folder: &Folder, address: SocketAddr) -> String {
    let modules = [
        "mpm_event",
        "authn_core",
        "authz_core",
        "authz_user",
        "socache_shmcb",
        "ssl",
        "proxy",
        "proxy_http",
        "auth_openidc",
    ];
    let modules = modules.map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n")).concat();
    let (certificate, key) = gateway.certificate();
    format!(
        "ServerName emr.hospital.test\nServerRoot {folder}\nPidFile {folder}/apache.pid\nErrorLog {folder}/error.log\n\
         LogLevel error\nListen {address}\nListenBacklog 1024\n{modules}User www-data\nGroup www-data\n\
         KeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 3600\nTimeout 3600\n\
         ServerLimit 1\nStartServers 1\nThreadLimit 256\nThreadsPerChild 128\nMaxRequestWorkers 128\n\
         MinSpareThreads 1\nMaxSpareThreads 128\nMaxConnectionsPerChild 0\n\
         SSLSessionCache none\nSSLProtocol TLSv1.3\nSSLEngine on\nSSLCertificateFile {}\nSSLCertificateKeyFile {}\n\
         OIDCProviderIssuer {ISSUER}\nOIDCProviderAuthorizationEndpoint {ISSUER}/authorize\n\
         OIDCResponseType id_token\nOIDCResponseMode form_post\n\
         OIDCIDTokenSignedResponseAlg HS256\nOIDCClientID {client}\nOIDCClientSecret {SECRET}\n\
         OIDCRedirectURI https://emr.hospital.test/callback\nOIDCCryptoPassphrase {SECRET}\n\
         OIDCSessionType server-cache\nOIDCCacheType shm\nOIDCSessionInactivityTimeout 86400\n\
         ProxyPass / http://{upstream}/ keepalive=On\n\
         <Location />\nAuthType openid-connect\nRequire valid-user\n</Location>\n",
        certificate.display(),
        key.display(),
        folder = folder.path().display(),
        client = token::CLIENT,
        upstream = gateway.upstream(),
    )
}

/// The cookie of a session there.
async fn sign_in(peer: &Peer, gateway: &Gateway) -> String {
    let aim = peer.aim(gateway).of_nobody();
    let sent = ask(&aim, Request::get("/200"), "").await;
    let asked = url::Url::parse(sent.headers()["location"].to_str().unwrap()).unwrap();
    let asked: BTreeMap<_, _> = asked.query_pairs().into_owned().collect();
    let begun = cookies(&sent).into_iter().find(|cookie| cookie.contains("state")).expect("a cookie for the way back");
    let token = token::by_secret(&token::claims(ISSUER, &asked["nonce"]), SECRET);
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let form = form.append_pair("state", &asked["state"]).append_pair("id_token", &token).finish();
    let back = Request::post("/callback").header("content-type", "application/x-www-form-urlencoded");
    let back = ask(&Aim { fields: vec![("cookie", begun)], ..aim }, back, &form).await;
    let session = cookies(&back).into_iter().find(|cookie| cookie.starts_with(SESSION));
    session.expect("mod_auth_openidc lets in whoever has a token")
}

async fn ask(aim: &Aim, request: http::request::Builder, body: &str) -> Response<Incoming> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connect(aim, b"http/1.1").await)).await.unwrap();
    drop(spawn_local(connection));
    let request = aim.dress(request).header("host", &aim.host).header("accept", "*/*");
    sender.send_request(request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()).await.unwrap()
}

fn cookies(answer: &Response<Incoming>) -> Vec<String> {
    let values = answer.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    values.filter_map(|value| value.split(';').next()).map(str::to_owned).collect()
}

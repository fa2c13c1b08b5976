//! What tests stand on: a site with a real store, real sessions, a real log and a small real provider, and a browser
//! that keeps cookies as browsers do.

mod authority;
mod browser;
mod configuration;
mod hospital;
mod provider;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, Response, StatusCode};
use policy::{
    AppId, Challenge, Device, DeviceClass, DeviceId, Fingerprint, From, Host, Path, Reason, Reasons, RequestId, RuleId,
    Timestamp, ZoneId,
};
use store::{CertificateRecord, DeviceRecord};
use url::Url;

use crate::Challenged;

pub(crate) use browser::Browser;
pub(crate) use hospital::Hospital;

pub(crate) const LOGIN: &str = "login.hosp.example";
pub(crate) const PORTAL: &str = "portal.hosp.example";
pub(crate) const CONSOLE: &str = "console.hosp.example";
pub(crate) const EMR: &str = "emr.hosp.example";
pub(crate) const SHELL: &str = "pacs-shell.hosp.example";
pub(crate) const PACS: &str = "pacs.hosp.example";
/// 2026-11-22 10:05 in Japan.
const START: i64 = 1_795_309_500_000_000;

/// A folder that goes away with its test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

fn folder() -> Folder {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("sekimori-web-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    fs::create_dir_all(&path).unwrap();
    Folder(path)
}

fn ward_terminal_record() -> DeviceRecord {
    let at = Timestamp::from_unix_micros(START);
    DeviceRecord {
        asset: "A-1".into(),
        owner: "3F".into(),
        place: "3F".into(),
        certificates: vec![CertificateRecord::own(
            Fingerprint::new([7; 32]),
            at,
            at.after(std::time::Duration::from_secs(365 * 86_400)),
        )],
        ..DeviceRecord::new(DeviceId::parse("ward3-pc1").unwrap(), DeviceClass::WardShared, at)
    }
}

pub(crate) fn ward_terminal() -> Arc<Device> {
    let DeviceRecord { id, class, certificates, .. } = ward_terminal_record();
    let certificate = certificates[0].fingerprint;
    Arc::new(Device { id, class, place: "".into(), certificate, posture: Arc::from([]) })
}

/// The policy of a test's hospital.
pub(crate) fn policy() -> policy::Policy {
    let folder = folder();
    policy::Policy::load(&configuration::config(&folder, 1, &configuration::Extra::default()).policy).unwrap()
}

pub(crate) fn request_id() -> RequestId {
    RequestId::new(Timestamp::from_unix_micros(START), 0x3f9a_21bc_77de_9c1f_03ab)
}

pub(crate) fn reasons(main: Reason) -> Reasons {
    Reasons { main, rule: RuleId::parse("nurses-read-charts").unwrap(), others: vec![Reason::OutsideHours] }
}

pub(crate) fn challenged(
    challenge: Challenge,
    host: &str,
    path: Path,
    query: String,
    headers: HeaderMap,
    at: Timestamp,
) -> Challenged {
    let main = match challenge {
        Challenge::SignIn => Reason::SignInRequired,
        Challenge::StepUp(_) => Reason::StepUpRequired,
    };
    Challenged {
        challenge,
        reasons: reasons(main),
        request: request_id(),
        at,
        host: Host::parse(host).unwrap(),
        app: AppId::parse("emr").unwrap(),
        path,
        query,
        headers,
    }
}

pub(crate) fn from() -> From {
    From { address: IpAddr::V4(Ipv4Addr::new(10, 3, 0, 7)), zone: ZoneId::parse("inside").unwrap() }
}

pub(crate) fn location(response: &Response<Bytes>) -> Option<String> {
    let is_redirect = matches!(response.status(), StatusCode::FOUND | StatusCode::SEE_OTHER);
    response.headers().get(LOCATION).filter(|_| is_redirect).map(|place| place.to_str().unwrap().to_owned())
}

pub(crate) fn text(response: &Response<Bytes>) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}

/// Host, path and query of an address.
pub(crate) fn parts(url: &str) -> (String, Path, String) {
    let url = Url::parse(url).unwrap();
    let host = url.host_str().unwrap().to_owned();
    (host, Path::parse(url.path()).unwrap(), url.query().unwrap_or_default().to_owned())
}

//! A request for one of our own pages, after routing and admission.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use policy::{Device, Host, Method, Path, RequestId, Timestamp, Who, ZoneId};

/// A request for one of our own pages.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// The request's id.
    pub request: RequestId,
    /// When it came.
    pub at: Timestamp,
    /// The method as sent.
    pub method: Method,
    /// The host it was addressed to.
    pub host: Host,
    /// Its path.
    pub path: Path,
    /// Its query, without `?`; empty for none.
    pub query: String,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body, at most 256 KiB, read after admission; empty for none.
    pub body: Bytes,
    /// The peer's address.
    pub address: IpAddr,
    /// The zone of the listener it came in by.
    pub zone: ZoneId,
    /// The device whose certificate the connection proved.
    pub device: Option<Arc<Device>>,
    /// Who is signed in on this host; nobody before sign-in.
    pub who: Option<Arc<Who>>,
}

//! A request for one of our own pages, after routing and admission.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use identity::Session;
use policy::{Device, From, Host, Method, Path, RequestId, Timestamp};

use crate::GlassDoor;

/// A request for one of our own pages.
#[derive(Clone)]
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
    /// Its body, at most what its page takes, read after admission; empty for none.
    pub body: Bytes,
    /// Where it came from.
    pub from: From,
    /// The device whose certificate the connection proved.
    pub device: Option<Arc<Device>>,
    /// The session whose token for this host came along; nobody before sign-in.
    pub session: Option<Arc<Session>>,
    /// For [`Page::BreakGlass`](crate::Page::BreakGlass): what the form names, where the policy would let this person
    /// reach it by breaking the glass, or as it is.
    pub glass: Option<GlassDoor>,
}

impl PageRequest {
    /// The session, unless it was opened on another device: that one opens nothing here.
    pub(crate) fn usable_session(&self) -> Option<&Arc<Session>> {
        let device = self.device.as_ref().map(|device| &device.id);
        self.session.as_ref().filter(|session| session.who.bound_to.as_ref() == device)
    }
}

/// Header fields, query and body hold secrets and names of patients, so a debug print shows only which request.
impl fmt::Debug for PageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageRequest").field("request", &self.request).field("host", &self.host).finish_non_exhaustive()
    }
}

//! What a person who must sign in first is answered.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use policy::{Challenge, Host, Method, Path, RequestId, Timestamp, Who};

use crate::{Language, Site};

/// A person's request that the policy answered with a challenge.
#[derive(Clone, Debug)]
pub struct Challenged {
    /// What the policy asks for.
    pub challenge: Challenge,
    /// The request's id.
    pub request: RequestId,
    /// When it came.
    pub at: Timestamp,
    /// The host it was addressed to.
    pub host: Host,
    /// The method as sent.
    pub method: Method,
    /// Its path.
    pub path: Path,
    /// Its query, without `?`; empty for none.
    pub query: String,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Who asked, for a step-up.
    pub who: Option<Arc<Who>>,
}

impl Site {
    /// For a navigation (`GET`, `HEAD`): starts a hand-off and sends the browser to the login host (302), with the
    /// cookie that binds the hand-off to this browser. A store that cannot be reached gives the 503 page.
    pub async fn sign_in_redirect(&self, challenged: Challenged) -> Response<Bytes> {
        let _ = challenged;
        todo!()
    }

    /// For a posted form: a page that keeps what was typed while the person signs in again in another tab.
    /// `body` is what could be read within 256 KiB; `None` if it was larger.
    #[must_use]
    pub fn session_over_form(&self, challenged: &Challenged, body: Option<&Bytes>, language: Language) -> Response<Bytes> {
        let _ = (challenged, body, language);
        todo!()
    }
}

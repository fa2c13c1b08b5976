//! The site: every page's answer.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use config::{App, Config};
use http::Response;

use crate::{AnswerForm, Page, PageRequest, Refusal};

/// What the site is made from; one site belongs to one loaded configuration and one worker.
#[derive(Debug)]
pub struct SiteParts {
    /// The configuration that is in force.
    pub config: Arc<Config>,
}

/// Our own pages. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Site {
    parts: Arc<SiteParts>,
}

impl Site {
    /// Makes the site.
    #[must_use]
    pub fn new(parts: SiteParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Answers a request for one of our own pages. `may_open` is asked at once, and only for [`Page::Portal`]:
    /// whether the policy would let this person read the app's portal path from this device now.
    pub fn answer(
        &self,
        page: Page,
        request: PageRequest,
        may_open: impl FnMut(&App) -> bool,
    ) -> impl Future<Output = Response<Bytes>> {
        let _ = (may_open, &self.parts.config);
        async move {
            let _ = (page, request);
            todo!()
        }
    }

    /// Writes a refusal, for a person or for a program.
    #[must_use]
    pub fn refusal(&self, refusal: &Refusal, form: AnswerForm) -> Response<Bytes> {
        let _ = (refusal, form);
        todo!()
    }
}

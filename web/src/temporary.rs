//! Signing in with a temporary code from a supervisor, for whose key is lost or broken.

use audit::{Event, Note};
use http::StatusCode;
use identity::{Opening, PeopleProblem};

use crate::query::{self, Ask};
use crate::site::{Answer, store_fault};
use crate::view::{TemporaryView, show_with_script};
use crate::{Fault, PageRequest, Site};

impl Site {
    /// Where the code is typed.
    pub(crate) fn temporary(&self, request: &PageRequest) -> http::Response<bytes::Bytes> {
        let ask = Ask::read(&request.query);
        let view = TemporaryView {
            frame: self.frame_of(request),
            hand_off: ask.hand_off.clone(),
            back: ask.address("/sign-in"),
        };
        show_with_script(StatusCode::OK, &view)
    }

    /// Signs in whoever holds a code in force. Every other code gets the same answer.
    pub(crate) async fn temporary_sign_in(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let code = query::field(&request.body, "code").unwrap_or_default();
        let hand_off = query::field(&request.body, "h").filter(|id| (1..=64).contains(&id.len()));
        let given = match self.parts.people.sign_in_temporarily(&code, request.at).await {
            Ok(given) => given,
            Err(PeopleProblem::Store(problem)) => return Err(store_fault(&problem)),
            Err(_) => {
                let note = Note::new(Event::SignInFailed, request.at).code("temporary-code-void");
                return Err(self.record(request, note).await.err().unwrap_or(Fault::CodeVoid));
            }
        };
        let note = Note::new(Event::TemporaryCodeUsed, request.at);
        let note = note.user(&given.person().id).invitation(given.invitation().to_string());
        self.record(request, note).await?;
        let opening = Opening::temporary(&given, request.device.clone(), request.host.clone(), request.at);
        let entered = self.enter(request, opening, hand_off.as_deref(), None).await?;
        Ok(entered.into_form_answer(self, request))
    }
}

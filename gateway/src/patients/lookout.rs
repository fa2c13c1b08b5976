//! Looks at one exchange while it passes, and closes its record with whom it was about.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use audit::{Outcome, Receipt};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use policy::{Permit, Side};

use super::About;
use super::desk::{Desk, Seen};
use super::held::Held;
use crate::exchange::Exchange;

/// Looks at one exchange.
#[derive(Debug)]
pub struct Lookout {
    about: Arc<About>,
    desk: Desk,
    request: RefCell<Option<Held>>,
    answer: RefCell<Option<Held>>,
    /// Fields of the answer's head that name patients.
    fields: RefCell<Vec<(HeaderName, HeaderValue)>>,
}

impl Lookout {
    /// Looks out for whom an exchange is about; `fields` are those of its request.
    pub fn new(about: Arc<About>, desk: &Desk, fields: &HeaderMap) -> Rc<Self> {
        let request = held(&about, desk, Side::Request, fields);
        Rc::new(Self {
            about,
            desk: desk.clone(),
            request: RefCell::new(request),
            answer: RefCell::default(),
            fields: RefCell::default(),
        })
    }

    /// Asks for an answer that can be looked at: whole, anew, and packed in no other way than is read here.
    pub fn ask_plainly(&self, method: &str, fields: &mut HeaderMap) {
        let looks_at_body = self.about.looks_at(Side::Answer);
        if method == "GET" && (looks_at_body || self.about.sources.headers().next().is_some()) {
            // What is unchanged would be shown again, and nobody would know whose it is.
            [IF_NONE_MATCH, IF_MODIFIED_SINCE].iter().for_each(|name| drop(fields.remove(name)));
        }
        if !looks_at_body {
            return;
        }
        let takes_gzip = fields
            .get_all(ACCEPT_ENCODING)
            .iter()
            .any(|value| value.to_str().is_ok_and(|text| text.split(',').any(|one| one.trim() == "gzip")));
        if takes_gzip {
            fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        } else if fields.contains_key(ACCEPT_ENCODING) {
            fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if method == "GET" {
            [RANGE, IF_RANGE].iter().for_each(|name| drop(fields.remove(name)));
        }
    }

    /// Sees the head of the answer pass, and takes out of it what the client does not get to see.
    pub fn see_head(&self, fields: &mut HeaderMap) {
        *self.answer.borrow_mut() = held(&self.about, &self.desk, Side::Answer, fields);
        self.see_fields(fields);
    }

    /// Sees fields of the answer pass, in its head or behind its body, and takes out what the client does not get to see.
    pub fn see_fields(&self, fields: &mut HeaderMap) {
        for header in self.about.sources.headers() {
            let Ok(name) = HeaderName::from_bytes(header.field.name.as_bytes()) else { continue };
            let values = fields.get_all(&name).iter().map(|value| (name.clone(), value.clone()));
            self.fields.borrow_mut().extend(values);
            if header.strip {
                fields.remove(&name);
            }
        }
    }

    /// Sees bytes of a body pass.
    pub fn see(&self, side: Side, data: &[u8]) {
        let held = match side {
            Side::Request => &self.request,
            Side::Answer => &self.answer,
        };
        if let Some(held) = held.borrow_mut().as_mut() {
            held.see(data);
        }
    }

    fn close(&self, receipt: Receipt, outcome: Outcome, exchange: &Exchange) {
        let came_whole = matches!(outcome.end, audit::End::Served);
        self.desk.close(Seen {
            about: Arc::clone(&self.about),
            request: self.request.borrow_mut().take(),
            request_came_whole: exchange.request_done.get(),
            answer: self.answer.borrow_mut().take(),
            answer_came_whole: came_whole,
            fields: self.fields.borrow_mut().split_off(0),
            receipt,
            outcome,
        });
    }
}

/// Room for what is looked at of a body; `None` where nothing is.
fn held(about: &About, desk: &Desk, side: Side, fields: &HeaderMap) -> Option<Held> {
    let text = |name: HeaderName| fields.get(name).map(HeaderValue::to_str).and_then(Result::ok);
    let most = patient::bound(&about.sources, side, text(CONTENT_TYPE))?;
    Some(Held::new(desk.budget(), side, most, text(CONTENT_TYPE), text(CONTENT_ENCODING)))
}

/// The receipt of an access, with the lookout that says whom it was about when it is closed.
#[derive(Debug)]
pub struct Watched {
    receipt: Receipt,
    lookout: Option<Rc<Lookout>>,
}

impl Watched {
    /// A receipt whose exchange is looked at, where anything of it is.
    pub fn new(receipt: Receipt, lookout: Option<Rc<Lookout>>) -> Self {
        Self { receipt, lookout }
    }

    /// What was allowed.
    pub fn permit(&self) -> &Permit {
        self.receipt.permit()
    }

    /// Who looks at the exchange.
    pub fn lookout(&self) -> Option<&Rc<Lookout>> {
        self.lookout.as_ref()
    }

    /// Closes the record.
    pub fn close(self, outcome: Outcome, exchange: &Exchange) {
        match self.lookout {
            Some(lookout) => lookout.close(self.receipt, outcome, exchange),
            None => self.receipt.close(outcome),
        }
    }
}

impl From<Receipt> for Watched {
    fn from(receipt: Receipt) -> Self {
        Self { receipt, lookout: None }
    }
}

#[cfg(test)]
mod tests {
    use policy::{AnswerHeader, Clock, Field, PatientSource, PatientSources, Timestamp};

    use super::*;
    use crate::metrics::PatientCounts;

    fn lookout(sources: Vec<PatientSource>) -> Rc<Lookout> {
        let clock = Clock::new(|| Timestamp::from_unix_micros(0));
        let desk = Desk::open(clock, PatientCounts::default()).unwrap();
        let sources = PatientSources { sources, ..PatientSources::default() };
        Lookout::new(About::by(sources), &desk, &HeaderMap::new())
    }

    fn header(strip: bool) -> PatientSource {
        PatientSource::Header(AnswerHeader { field: Field { name: "x-patient-id".into(), pattern: None }, strip })
    }

    fn fields(of: &[(&'static str, &'static str)]) -> HeaderMap {
        of.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn an_answer_whose_head_names_the_patient_is_asked_for_anew() {
        let conditions = [("if-none-match", "\"1\""), ("if-modified-since", "x"), ("range", "bytes=0-1")];
        let asked = |sources| {
            let mut asked = fields(&conditions);
            lookout(sources).ask_plainly("GET", &mut asked);
            conditions
                .iter()
                .map(|(name, _)| *name)
                .filter(|name| asked.contains_key(*name))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(asked(vec![header(false)]), "range");
        assert_eq!(asked(vec![PatientSource::Study]), "if-none-match if-modified-since range");
    }

    #[test]
    fn what_the_client_does_not_get_to_see_goes_wherever_it_stands() {
        for (strip, left) in [(true, 1), (false, 2)] {
            let lookout = lookout(vec![header(strip)]);
            let mut head = fields(&[("x-patient-id", "7"), ("etag", "1")]);
            let mut trailers = head.clone();
            lookout.see_head(&mut head);
            lookout.see_fields(&mut trailers);
            assert_eq!((head.len(), trailers.len()), (left, left));
            assert_eq!(lookout.fields.borrow().len(), 2, "and names the patient all the same");
        }
    }
}

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
        let request = about.looks_at(Side::Request).map(|most| held(desk, Side::Request, most, fields));
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
        if self.about.looks_at(Side::Answer).is_none() {
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
            // What is unchanged would be shown again, and nobody would know whose it is.
            [IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE, IF_RANGE].iter().for_each(|name| drop(fields.remove(name)));
        }
    }

    /// Sees the head of the answer pass, and takes out of it what the client does not get to see.
    pub fn see_head(&self, fields: &mut HeaderMap) {
        let desk = &self.desk;
        *self.answer.borrow_mut() =
            self.about.looks_at(Side::Answer).map(|most| held(desk, Side::Answer, most, fields));
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

fn held(desk: &Desk, side: Side, most: usize, fields: &HeaderMap) -> Held {
    let text = |name: HeaderName| fields.get(name).map(HeaderValue::to_str).and_then(Result::ok);
    Held::new(desk.budget(), side, most, text(CONTENT_TYPE), text(CONTENT_ENCODING))
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

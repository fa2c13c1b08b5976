//! A demo receipt computer: four endpoints of the ORCA API (www.orca.med.or.jp/receipt/tec/api)
//! over the same fifty patients, in xml2 and JSON. As the real one, it speaks plain HTTP and knows nothing of who
//! asks: that is the gateway's part.

mod home;
mod patient;
mod request;
mod system;
mod tree;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use policy::{Clock, UtcOffset};
use tokio::net::TcpListener;

use super::answer::{self, Answer};
use super::asked::Asked;
use super::door;
use super::page;
use tree::{Form, Tree};

/// The receipt computer.
#[derive(Clone)]
pub struct Orca(Arc<Clock>);

impl fmt::Debug for Orca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Orca(..)")
    }
}

impl Orca {
    /// Makes a receipt computer; the clock dates its answers.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(clock))
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let is_post = asked.method == Method::POST;
        match asked.path.as_str() {
            "/" if asked.is_read() => home::page(asked),
            "/assets/demo.css" if asked.is_read() => page::style(),
            "/api01rv2/patientgetv2" if asked.is_read() => {
                self.reply(asked, "patientinfores", patient::by_number(asked.query.one("id")))
            }
            "/api01rv2/patientlst2v2" if is_post => self.reply_to(asked, "patientlst2res", patient::by_numbers),
            "/api01rv2/patientlst3v2" if is_post => self.reply_to(asked, "patientlst2res", patient::by_name),
            "/api01rv2/system01lstv2" if is_post => match system::Master::of(asked) {
                Some(master) => self.reply(asked, master.root(), Ok(master.fields())),
                None => self.reply(asked, "system01_manageres", Err(Refusal::NO_CLASS)),
            },
            "/api01rv2/patientgetv2"
            | "/api01rv2/patientlst2v2"
            | "/api01rv2/patientlst3v2"
            | "/api01rv2/system01lstv2" => answer::problem(StatusCode::METHOD_NOT_ALLOWED, "the other method, please"),
            _ => answer::problem(StatusCode::NOT_FOUND, "the demo receipt computer has no such endpoint"),
        }
    }

    /// Answers a request whose parameters are in its body.
    fn reply_to(&self, asked: &Asked, root: &'static str, find: fn(&request::Body) -> Outcome) -> Answer {
        match request::Body::read(asked) {
            Ok(body) => self.reply(asked, root, find(&body)),
            Err(problem) => answer::problem(StatusCode::BAD_REQUEST, &problem.to_string()),
        }
    }

    /// Wraps what was found, or why nothing was, in the head that every ORCA answer has.
    fn reply(&self, asked: &Asked, root: &'static str, outcome: Outcome) -> Answer {
        let now = self.0.now().rfc3339(UtcOffset::JAPAN);
        let part = |range: std::ops::Range<usize>| now.get(range).unwrap_or_default().to_owned();
        let (code, message) = match &outcome {
            Ok(_) => ("00", "処理終了"),
            Err(refusal) => (refusal.code, refusal.message),
        };
        let mut fields = vec![
            ("Information_Date", Tree::Text(part(0..10))),
            ("Information_Time", Tree::Text(part(11..19))),
            ("Api_Result", Tree::from(code)),
            ("Api_Result_Message", Tree::from(message)),
            ("Reskey", Tree::from("Sekimori demo")),
        ];
        fields.extend(outcome.unwrap_or_default());
        Form::wanted(asked).answer(root, &Tree::Record(fields))
    }
}

/// The fields of an answer, or why there are none.
type Outcome = Result<Vec<(&'static str, Tree)>, Refusal>;

/// Why ORCA found nothing: with HTTP 200, as ORCA says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Refusal {
    code: &'static str,
    message: &'static str,
}

impl Refusal {
    const NO_PATIENT: Self = Self { code: "10", message: "患者番号に該当する患者が存在しません。" };
    const NO_TARGET: Self = Self { code: "11", message: "対象がありません。" };
    const TOO_MANY: Self = Self { code: "20", message: "患者番号の件数が100件を超えています。" };
    const NO_CLASS: Self = Self { code: "91", message: "処理区分がありません。" };
}

/// Serves the receipt computer until `stop` is ready.
///
/// # Errors
/// The listener is not on loopback.
pub async fn serve(listener: TcpListener, orca: Orca, stop: impl Future<Output = ()>) -> io::Result<()> {
    let handler = move |request: Request<Incoming>, _| {
        let orca = orca.clone();
        async move {
            match Asked::read(request).await {
                Ok(asked) => orca.answer(&asked),
                Err(refusal) => refusal,
            }
        }
    };
    door::serve(listener, handler, stop).await
}

#[cfg(test)]
mod tests;

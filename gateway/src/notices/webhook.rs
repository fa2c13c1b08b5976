//! A notice as a signed request (Standard Webhooks): `webhook-signature` is HMAC-SHA256 over id, time and body, so that a
//! receiver knows who sent it, that it is whole, and, by id and time, that it is not an old one again.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::{Config, Webhook, WebhookKey};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode};
use policy::Timestamp;
use serde_json::json;
use tokio_rustls::TlsConnector;
use web::{NoticeText, Told};

use super::senders::Trouble;
use crate::fetch::exchange;
use crate::upstream::dial::Dialer;

/// How much of an answer is read, in bytes; nothing of it is used.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What a request is made from.
#[derive(Debug)]
pub struct Call<'a> {
    /// What is told.
    pub told: &'a Told,
    /// Its number: sent again, it is the same request.
    pub number: &'a str,
    /// The same in words.
    pub text: &'a NoticeText,
    /// The configuration.
    pub config: &'a Config,
}

/// Sends it.
///
/// # Errors
/// [`Trouble`]; the receiver may have it all the same.
pub async fn deliver(dialer: &Dialer, connector: &TlsConnector, to: &Webhook, call: &Call<'_>) -> Result<(), Trouble> {
    let request = call.request(to, crate::clock::now())?;
    let answer = exchange(Ok(connector.clone()), dialer, request, ANSWER_BYTES_MAX).await;
    match answer.map(|answer| answer.status()) {
        Ok(status) => judge(status),
        // It took the request: what it says beyond its status is of no use here.
        Err(identity::FetchProblem::TooLarge) => Ok(()),
        Err(problem) => Err(Trouble::Later(problem.to_string())),
    }
}

fn judge(status: StatusCode) -> Result<(), Trouble> {
    let words = format!("it answers {status}");
    let may_change =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    match status {
        status if status.is_success() => Ok(()),
        status if status.is_client_error() && !may_change => Err(Trouble::Refused(words)),
        _ => Err(Trouble::Later(words)),
    }
}

impl Call<'_> {
    fn request(&self, to: &Webhook, now: Timestamp) -> Result<Request<Vec<u8>>, Trouble> {
        let body = self.body();
        let seconds = now.unix_seconds();
        let signature = sign(&to.key, self.number, seconds, &body).ok_or_else(|| {
            // Invariant: the configuration has read the key.
            Trouble::Refused("its secret cannot be used".to_owned())
        })?;
        let request = Request::post(to.url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "sekimori")
            .header("webhook-id", self.number)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature);
        request.body(body).map_err(|error| Trouble::Refused(error.to_string()))
    }

    fn body(&self) -> Vec<u8> {
        let body = json!({
            "type": self.told.code(),
            "timestamp": self.told.at.to_string(),
            "data": self.told.data(self.config),
            "title": self.text.subject,
            "text": self.text.lines.join("\n"),
        });
        body.to_string().into_bytes()
    }
}

/// `v1,` and the signature in base64; nothing where the key cannot be read.
fn sign(key: &WebhookKey, number: &str, seconds: i64, body: &[u8]) -> Option<String> {
    let key = zeroize::Zeroizing::new(STANDARD.decode(key.expose_base64()).ok()?);
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
    context.update(format!("{number}.{seconds}.").as_bytes());
    context.update(body);
    Some(format!("v1,{}", STANDARD.encode(context.sign())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_that_will_not_change_is_one() {
        for status in [200, 201, 202, 204] {
            assert_eq!(judge(StatusCode::from_u16(status).unwrap()), Ok(()));
        }
        for (status, refused) in [
            (301, false),
            (400, true),
            (401, true),
            (404, true),
            (410, true),
            (408, false),
            (425, false),
            (429, false),
            (500, false),
            (503, false),
        ] {
            let trouble = judge(StatusCode::from_u16(status).unwrap()).unwrap_err();
            assert_eq!(matches!(trouble, Trouble::Refused(_)), refused, "{status}");
        }
    }
}

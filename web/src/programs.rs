//! What programs call on the sign-in host: providers that sign people out (OpenID Connect Back-Channel Logout 1.0),
//! devices that enrol by EST (RFC 7030), and systems that report the condition of devices.
//!
//! None of them is a browser: they prove who they are by a signature, a code, a certificate or a token of their own,
//! and no cookie of a person counts here.

use audit::{Event, Note};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Response, StatusCode};
use identity::{EnrolProblem, PostureProblem};
use policy::{DeviceId, ProviderId};
use serde_json::json;
use tracing::{error, warn};

use crate::site::{Answer, store_fault};
use crate::{CertificateProblem, Fault, PageRequest, SignedRequest, Site, headers, query};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// The content type of certificates in EST.
const CERTIFICATES: &str = "application/pkcs7-mime; smime-type=certs-only";
/// The content type of a request in EST.
const REQUEST: &str = "application/pkcs10";
/// The longest credentials of HTTP Basic that are looked at, in bytes.
const BASIC_BYTES_MAX: usize = 512;

impl Site {
    /// A provider says that somebody signed out there.
    pub(crate) async fn log_out_by_provider(&self, request: &PageRequest) -> Answer {
        let provider = request.path.as_str().rsplit('/').next().and_then(|id| ProviderId::parse(id).ok());
        let provider = provider.ok_or(Fault::NotFound)?;
        if !is_kind(&request.headers, "application/x-www-form-urlencoded") {
            return Err(Fault::NotJson);
        }
        let token = query::field(&request.body, "logout_token").unwrap_or_default();
        match self.parts.oidc.log_out(&provider, &token, &self.parts.sessions).await {
            Ok(done) => {
                let mut note = Note::new(Event::LogoutAccepted, request.at);
                note.provider = Some(provider);
                note.count = Some(done.ended.len() as u64);
                // The sessions are over whether or not that can be recorded; the store's events tell of each again.
                if self.record(request, note).await.is_err() {
                    warn!(request = %request.request, "a provider's sign-out is not recorded");
                }
                Ok(headers::document(StatusCode::OK, TEXT, "no-store", Bytes::new()))
            }
            Err(problem) => {
                warn!(request = %request.request, %provider, %problem, "a provider's sign-out was refused");
                let mut note = Note::new(Event::LogoutRefused, request.at).code(problem.code());
                note.provider = Some(provider);
                self.record(request, note).await?;
                let body = json!({ "error": problem.error(), "error_description": problem.code() });
                Ok(headers::document(StatusCode::BAD_REQUEST, JSON, "no-store", Bytes::from(body.to_string())))
            }
        }
    }

    /// The device CA, as EST tells it.
    pub(crate) fn est_ca_certificates(&self) -> Response<Bytes> {
        certificates(self.parts.certificates.ca_certificates())
    }

    /// A device that holds a code gets its certificate: HTTP Basic, the device's name and the code.
    pub(crate) async fn est_enrol(&self, request: &PageRequest) -> Answer {
        let Some((name, code)) = basic(&request.headers) else { return Ok(authenticate()) };
        let devices = &self.parts.devices;
        let device = match devices.invited(&code, request.at).await {
            Ok(device) if device.id.as_str() == name => device,
            Ok(_) => return self.est_refused(request, &EnrolProblem::Refused).await,
            Err(problem) => return self.est_refused(request, &problem).await,
        };
        let signed = match self.est_sign(request, &device.id, device.class).await? {
            Ok(signed) => signed,
            Err(answer) => return Ok(answer),
        };
        match devices.enrol(&code, &device.id, signed.certificate, request.at).await {
            Ok(()) => Ok(certificates(signed.body)),
            Err(problem) => self.est_refused(request, &problem).await,
        }
    }

    /// A device that shows a certificate in force gets another one, near its end.
    pub(crate) async fn est_renew(&self, request: &PageRequest) -> Answer {
        let Some(device) = request.device.clone() else {
            return self.est_refused(request, &EnrolProblem::NotInForce).await;
        };
        let renew_before = self.config().devices.renew_before;
        if !self.parts.devices.renewal_due(&device, renew_before, request.at) {
            return self.est_refused(request, &EnrolProblem::TooEarly).await;
        }
        let signed = match self.est_sign(request, &device.id, device.class).await? {
            Ok(signed) => signed,
            Err(answer) => return Ok(answer),
        };
        match self.parts.devices.renew(&device, signed.certificate, renew_before, request.at).await {
            Ok(()) => Ok(certificates(signed.body)),
            Err(problem) => self.est_refused(request, &problem).await,
        }
    }

    async fn est_sign(
        &self,
        request: &PageRequest,
        device: &DeviceId,
        class: policy::DeviceClass,
    ) -> Result<Result<SignedRequest, Response<Bytes>>, Fault> {
        if !is_kind(&request.headers, REQUEST) {
            let said = format!("the content type must be `{REQUEST}`\n");
            return Ok(Err(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, said)));
        }
        match self.parts.certificates.sign(device, class, &request.body, request.at) {
            Ok(signed) => Ok(Ok(signed)),
            Err(CertificateProblem::Request { code, text }) => {
                let mut note = Note::new(Event::CeremonyRefused, request.at).code(code);
                note.device = Some(device.clone());
                self.record(request, note).await?;
                Ok(Err(plain(StatusCode::BAD_REQUEST, format!("{text}\n"))))
            }
            Err(CertificateProblem::Ca(problem)) => {
                error!(%device, problem, "no certificate could be made for a device");
                Err(Fault::Internal)
            }
        }
    }

    /// Records why a device got no certificate. Every code that opens nothing gets the same answer.
    async fn est_refused(&self, request: &PageRequest, problem: &EnrolProblem) -> Answer {
        if let EnrolProblem::Store(problem) = problem {
            return Err(store_fault(problem));
        }
        let note = Note::new(Event::CeremonyRefused, request.at).code(problem.code());
        self.record(request, note).await?;
        Ok(match problem {
            EnrolProblem::TooEarly => plain(StatusCode::FORBIDDEN, format!("{problem}\n")),
            EnrolProblem::NotInForce if request.device.is_none() && basic(&request.headers).is_none() => {
                plain(StatusCode::FORBIDDEN, "a certificate in force must be shown\n".to_owned())
            }
            EnrolProblem::Refused | EnrolProblem::NotInForce | EnrolProblem::Store(_) => authenticate(),
        })
    }

    /// A system reports the condition of devices.
    pub(crate) async fn posture(&self, request: &PageRequest) -> Answer {
        let bearer = bearer(&request.headers).unwrap_or_default();
        let kind = request.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        match self.parts.posture.receive(bearer, kind, &request.body, request.at).await {
            Ok(received) => {
                let mut note = Note::new(Event::PostureReceived, request.at);
                note.source = Some(received.source.to_string());
                note.count = Some(received.rows as u64);
                self.record(request, note).await?;
                let unknown: Vec<&str> = received.unknown.iter().map(DeviceId::as_str).collect();
                let body = json!({ "rows": received.rows, "unknown_devices": unknown });
                Ok(headers::document(StatusCode::OK, JSON, "no-store", Bytes::from(body.to_string())))
            }
            Err(PostureProblem::Store(problem)) => Err(store_fault(&problem)),
            Err(problem) => {
                let note = Note::new(Event::PostureRefused, request.at).code(problem.code());
                self.record(request, note).await?;
                Ok(posture_refused(&problem))
            }
        }
    }
}

fn posture_refused(problem: &PostureProblem) -> Response<Bytes> {
    let status = match problem {
        PostureProblem::Unauthorized => StatusCode::UNAUTHORIZED,
        PostureProblem::Format => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        PostureProblem::TooMuch => StatusCode::PAYLOAD_TOO_LARGE,
        PostureProblem::Rows(_) | PostureProblem::Store(_) => StatusCode::BAD_REQUEST,
    };
    let places = match problem {
        PostureProblem::Rows(places) => places.iter().map(ToString::to_string).collect(),
        PostureProblem::Unauthorized | PostureProblem::Format | PostureProblem::TooMuch | PostureProblem::Store(_) => {
            Vec::new()
        }
    };
    let body = json!({
        "type": format!("urn:sekimori:problem:{}", problem.code()),
        "title": problem.to_string(),
        "status": status.as_u16(),
        "code": problem.code(),
        "problems": places,
    });
    let mut response = headers::document(status, "application/problem+json", "no-store", Bytes::from(body.to_string()));
    if status == StatusCode::UNAUTHORIZED {
        headers::set(&mut response, WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"posture\""));
    }
    response
}

fn certificates(body: String) -> Response<Bytes> {
    let mut response = headers::document(StatusCode::OK, CERTIFICATES, "no-store", Bytes::from(body));
    let encoding = HeaderName::from_static("content-transfer-encoding");
    headers::set(&mut response, encoding, HeaderValue::from_static("base64"));
    response
}

/// RFC 7030 section 4.2.3: errors are plain text.
fn plain(status: StatusCode, said: String) -> Response<Bytes> {
    headers::document(status, TEXT, "no-store", Bytes::from(said))
}

fn authenticate() -> Response<Bytes> {
    let said = "the name of the device and a code that is in force are needed\n".to_owned();
    let mut response = plain(StatusCode::UNAUTHORIZED, said);
    headers::set(&mut response, WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"est\", charset=\"UTF-8\""));
    response
}

/// Name and code of HTTP Basic (RFC 7617).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = credentials(headers, "basic").filter(|encoded| encoded.len() <= BASIC_BYTES_MAX)?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (name, code) = decoded.split_once(':')?;
    Some((name.to_owned(), code.to_owned()))
}

/// The token of RFC 6750.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials(headers, "bearer")
}

/// What follows a scheme in the one `Authorization` there is.
fn credentials<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let (found, rest) = field.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then_some(rest.trim())
}

/// Whether the body is of a kind, whatever its parameters.
fn is_kind(headers: &HeaderMap, kind: &str) -> bool {
    let found = headers.get(CONTENT_TYPE).and_then(|found| found.to_str().ok()).unwrap_or_default();
    found.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[&'static str]) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(AUTHORIZATION, HeaderValue::from_static(field));
        }
        basic(&headers)
    }

    #[test]
    fn basic_credentials_are_read_once_and_whole() {
        let both = Some(("ward3-pc1".to_owned(), "01ABC:x".to_owned()));
        assert_eq!(check(&["Basic d2FyZDMtcGMxOjAxQUJDOng="]), both);
        assert_eq!(check(&["basic  d2FyZDMtcGMxOjAxQUJDOng="]), both);
        assert_eq!(check(&[]), None);
        assert_eq!(check(&["Bearer d2FyZDMtcGMxOjAxQUJDOng="]), None);
        assert_eq!(check(&["Basic d2FyZDMtcGMx"]), None, "no colon");
        assert_eq!(check(&["Basic !!"]), None);
        assert_eq!(check(&["Basic"]), None);
        assert_eq!(check(&["Basic d2FyZDMtcGMxOjAxQUJDOng=", "Basic d2FyZDMtcGMxOjAxQUJDOng="]), None, "twice");
    }
}

//! Enrolment of devices by people: a one-time code on the device itself becomes a certificate to be installed, and a
//! device that has one renews it here.

use std::time::Duration;

use audit::{Event, Note};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, HeaderValue, USER_AGENT};
use http::{HeaderMap, Response, StatusCode};
use identity::EnrolProblem;
use policy::{Assurance, DeviceClass, DeviceId, Timestamp};
use tracing::error;

use crate::cookie::{self, Ceremony};
use crate::enrol::is_fresh;
use crate::query::Ask;
use crate::site::{Answer, store_fault};
use crate::view::{DeviceReadyView, DeviceView, KnownDevice, show, show_with_script};
use crate::{DeviceFile, DeviceForm, Fault, PageRequest, Site, headers, language, query};

/// How long the file can be fetched.
const FILE_SPAN: Duration = Duration::from_secs(600);

const KIND: &str = "device-file";

impl Site {
    /// Where a code becomes a certificate, or what is known of this device.
    pub(crate) fn device(&self, request: &PageRequest) -> Answer {
        let voice = self.voice(language(&request.headers));
        let devices = &self.parts.devices;
        let known = match &request.device {
            None => None,
            Some(device) => {
                let until =
                    devices.certificate_ends_at(&device.certificate).map_or_else(String::new, |at| self.day(at));
                let what = voice.say_all("device-known", &[("name", device.id.as_str()), ("until", &until)]);
                let may_renew = devices.renewal_due(device, self.config().devices.renew_before, request.at);
                let later = (!may_renew).then(|| voice.say("device-renew-later"));
                let what = [Some(what), later].into_iter().flatten().collect::<Vec<_>>().join(" ");
                Some(KnownDevice { what, may_renew })
            }
        };
        let likely = likely_form(&request.headers);
        let form =
            |form: DeviceForm| (form.as_str(), voice.say(&format!("device-form-{}", form.as_str())), form == likely);
        let forms = DeviceForm::ALL.map(form).into();
        Ok(show_with_script(StatusCode::OK, &DeviceView { frame: self.frame_of(request), known, forms }))
    }

    /// Makes the certificate that a code is for.
    pub(crate) async fn enrol_device(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let form = form_of(request)?;
        let code = query::field(&request.body, "code").unwrap_or_default();
        let devices = &self.parts.devices;
        let device = match devices.invited(&code, request.at).await {
            Ok(device) => device,
            Err(problem) => return Err(self.device_fault(request, problem).await),
        };
        let file = self.make(&device.id, device.class, form, request.at)?;
        match devices.enrol(&code, &device.id, file.certificate.clone(), request.at).await {
            Ok(()) => self.ready(request, &device.id, form, file).await,
            Err(problem) => Err(self.device_fault(request, problem).await),
        }
    }

    /// Makes another certificate for a device that shows one in force, near its end.
    pub(crate) async fn renew_device(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let form = form_of(request)?;
        let device = request.device.clone().ok_or(Fault::NotFound)?;
        let renew_before = self.config().devices.renew_before;
        let devices = &self.parts.devices;
        if !devices.renewal_due(&device, renew_before, request.at) {
            return Err(Fault::BadRequest);
        }
        // A new key is handed out here, so a person answers for it: nobody carries a device's identity off from a
        // terminal that stands alone. Programs renew by EST, with the key they have.
        if !request.usable_session().is_some_and(|session| is_fresh(session, request.at)) {
            let again = request.usable_session().map(|_| Assurance::Aal2);
            let ask = Ask { again, ..Ask::default() };
            return self.send_to_login(&request.host, "/device", &request.headers, ask, request.at).await;
        }
        let file = self.make(&device.id, device.class, form, request.at)?;
        match devices.renew(&device, file.certificate.clone(), renew_before, request.at).await {
            Ok(()) => self.ready(request, &device.id, form, file).await,
            Err(problem) => Err(self.device_fault(request, problem).await),
        }
    }

    /// The file, for the browser that got its password.
    pub(crate) async fn device_file(&self, request: &PageRequest) -> Answer {
        let id = query::field(request.query.as_bytes(), "f").unwrap_or_default();
        let secret = cookie::tied(&request.headers, Ceremony::DeviceFile, &id).ok_or(Fault::SignInExpired)?;
        // Left where it is: a download that broke off can be repeated while the page with the password is open.
        let kept = self.shelf.look(KIND, &id, secret, request.at).await.map_err(|problem| store_fault(&problem))?;
        let kept = kept.ok_or(Fault::SignInExpired)?;
        let mut parts = kept.splitn(3, ' ');
        let (form, name, file) = (parts.next(), parts.next(), parts.next());
        let form = form.and_then(DeviceForm::parse).ok_or(Fault::Internal)?;
        let file = file.and_then(|file| STANDARD.decode(file).ok()).ok_or(Fault::Internal)?;
        let mut response = headers::document(StatusCode::OK, form.content_type(), "no-store", Bytes::from(file));
        let name = file_name(name.unwrap_or_default(), form);
        if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
            headers::set(&mut response, CONTENT_DISPOSITION, disposition);
        }
        Ok(response)
    }

    /// Records why a device got no certificate. A code that opens nothing always gets the same answer.
    async fn device_fault(&self, request: &PageRequest, problem: EnrolProblem) -> Fault {
        let fault = match &problem {
            EnrolProblem::Refused | EnrolProblem::NotInForce => Fault::CodeVoid,
            EnrolProblem::TooEarly => Fault::BadRequest,
            EnrolProblem::Store(problem) => return store_fault(problem),
        };
        let note = Note::new(Event::CeremonyRefused, request.at).code(problem.code());
        self.record(request, note).await.err().unwrap_or(fault)
    }

    fn make(
        &self,
        device: &DeviceId,
        class: DeviceClass,
        form: DeviceForm,
        at: Timestamp,
    ) -> Result<DeviceFile, Fault> {
        self.parts.certificates.make(device, class, form, at).map_err(|problem| {
            error!(%device, %problem, "no certificate could be made for a device");
            Fault::Internal
        })
    }

    /// Puts the file where this browser can fetch it, and shows the password.
    async fn ready(&self, request: &PageRequest, device: &DeviceId, form: DeviceForm, file: DeviceFile) -> Answer {
        let voice = self.voice(language(&request.headers));
        let content = format!("{} {device} {}", form.as_str(), STANDARD.encode(&file.bytes));
        let put =
            self.shelf.put(KIND, content, FILE_SPAN, request.at).await.map_err(|problem| store_fault(&problem))?;
        let view = DeviceReadyView {
            frame: self.frame(language(&request.headers), None),
            what: voice.say_with("device-ready-what", "name", device.as_str()),
            password: file.password,
            file: format!("/device/file?f={}", put.id),
            file_name: file_name(device.as_str(), form),
            install: voice.say(&format!("device-install-{}", form.as_str())),
        };
        let mut response: Response<Bytes> = show(StatusCode::OK, &view);
        let secret = put.browser_secret.expose();
        let cookies = cookie::tie(&request.headers, Ceremony::DeviceFile, &put.id, secret, request.at);
        headers::add_cookies(&mut response, cookies);
        Ok(response)
    }
}

fn form_of(request: &PageRequest) -> Result<DeviceForm, Fault> {
    query::field(&request.body, "form").and_then(|form| DeviceForm::parse(&form)).ok_or(Fault::BadRequest)
}

fn file_name(device: &str, form: DeviceForm) -> String {
    format!("{device}.{}", form.extension())
}

/// A guess that only chooses what stands first; nothing is decided by it.
fn likely_form(headers: &HeaderMap) -> DeviceForm {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    if agent.contains("iPhone") || agent.contains("iPad") { DeviceForm::Mobileconfig } else { DeviceForm::Pkcs12 }
}

//! A browser that keeps cookies as browsers do, and what the gateway does before it asks the site.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response};
use policy::{Challenge, Device, Host, Method};
use url::Url;

use super::{Hospital, challenged, from, location, parts, request_id};
use crate::{PageRequest, route, session_token};

/// A browser: cookies by host, and the device whose certificate it shows.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) device: Option<Arc<Device>>,
    pub(crate) language: &'static str,
}

impl Browser {
    pub(crate) fn at(device: Option<Arc<Device>>) -> Self {
        Self { cookies: BTreeMap::new(), device, language: "ja" }
    }

    pub(crate) fn session_cookie(&self, host: &str) -> Option<&String> {
        self.cookies.get(host)?.get("__Host-sekimori")
    }

    /// The header fields of a navigation.
    pub(crate) fn headers(&self, host: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("text/html"));
        headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
        headers.insert("accept-language", HeaderValue::from_static(if self.language == "en" { "en" } else { "ja" }));
        let jar = self.cookies.get(host).into_iter().flatten();
        let line: Vec<String> = jar.map(|(name, value)| format!("{name}={value}")).collect();
        if !line.is_empty() {
            headers.insert(COOKIE, HeaderValue::from_str(&line.join("; ")).unwrap());
        }
        headers
    }

    /// One request without following; keeps the cookies of the answer.
    pub(crate) async fn get(&mut self, hospital: &Hospital, url: &str) -> Response<Bytes> {
        let (host, _, _) = parts(url);
        let headers = self.headers(&host);
        self.send(hospital, "GET", url, headers, Bytes::new()).await
    }

    /// Posts a form as a page of the same host would.
    pub(crate) async fn post(&mut self, hospital: &Hospital, url: &str, form: &str) -> Response<Bytes> {
        let (host, _, _) = parts(url);
        let mut headers = self.headers(&host);
        headers.insert("origin", HeaderValue::from_str(&format!("https://{host}")).unwrap());
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.send(hospital, "POST", url, headers, Bytes::copy_from_slice(form.as_bytes())).await
    }

    /// What the gateway does: find the session, route, answer; an app answers `app` to whoever has a session.
    pub(crate) async fn send(
        &mut self,
        hospital: &Hospital,
        method: &str,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response<Bytes> {
        let (host, path, query) = parts(url);
        let at = hospital.now();
        let (method, host_name) = (Method::parse(method).unwrap(), Host::parse(&host).unwrap());
        let session = match session_token(&headers) {
            Some(token) => hospital.sessions.find(token, &host_name, self.device.as_deref(), at).await.unwrap(),
            None => None,
        };
        let page = route(Hospital::kind(&host), &method, &path);
        let needs_session = page.and_then(crate::Page::built_in).is_none_or(|part| part == crate::BuiltIn::Portal);
        let response = if needs_session && session.is_none() {
            let challenged = challenged(Challenge::SignIn, &host, path, query, headers, at);
            if method.as_str() == "POST" {
                hospital.site.session_over_form(&challenged, Some(&body))
            } else {
                hospital.site.sign_in_redirect(&challenged).await
            }
        } else if let Some(page) = page {
            let request = PageRequest {
                request: request_id(),
                at,
                method,
                host: host_name,
                path,
                query,
                headers,
                body,
                from: from(),
                device: self.device.clone(),
                session,
                glass: None,
            };
            hospital.site.answer(page, request, |app| app.id.as_str() != "receipt").await
        } else {
            Response::new(Bytes::from("app"))
        };
        self.keep_cookies(&host, &response);
        response
    }

    fn keep_cookies(&mut self, host: &str, response: &Response<Bytes>) {
        let jar = self.cookies.entry(host.to_owned()).or_default();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (pair, attributes) = text.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        // Browsers empty themselves after they kept what the answer sets.
        if response.headers().get("clear-site-data").is_some_and(|what| what.to_str().unwrap().contains("\"cookies\""))
        {
            self.cookies.clear();
        }
    }

    /// Posts JSON as our script does.
    pub(crate) async fn post_json(
        &mut self,
        hospital: &Hospital,
        url: &str,
        body: &serde_json::Value,
    ) -> Response<Bytes> {
        let (host, _, _) = parts(url);
        let mut headers = self.headers(&host);
        headers.insert("accept", HeaderValue::from_static("application/json"));
        headers.insert("sec-fetch-mode", HeaderValue::from_static("cors"));
        headers.insert("origin", HeaderValue::from_str(&format!("https://{host}")).unwrap());
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        self.send(hospital, "POST", url, headers, Bytes::from(body.to_string())).await
    }

    /// Opens an address and follows every redirect, through the provider too. The last address and answer.
    pub(crate) async fn open(&mut self, hospital: &Hospital, url: &str) -> (String, Response<Bytes>) {
        let first = self.get(hospital, url).await;
        self.follow(hospital, url, first).await
    }

    pub(crate) async fn follow(
        &mut self,
        hospital: &Hospital,
        url: &str,
        mut response: Response<Bytes>,
    ) -> (String, Response<Bytes>) {
        let mut here = Url::parse(url).unwrap();
        for _ in 0..20 {
            let Some(place) = location(&response) else { return (here.to_string(), response) };
            here = here.join(&place).unwrap();
            if let Some(back) = hospital.provider.visit(&here) {
                here = Url::parse(&back).unwrap();
            }
            response = self.get(hospital, here.as_str()).await;
        }
        panic!("too many redirects, the last to {here}");
    }
}

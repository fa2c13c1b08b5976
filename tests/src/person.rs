//! A person with a browser made of plain HTTP: keeps cookies, follows redirects, fills in the provider's form.

use std::net::SocketAddr;

use serde_json::{Value, json};
use url::Url;

use crate::{Answer, Ask, Authenticator, Caller, Jar, Manner};

/// The login host, as a browser names it.
const LOGIN: &str = "https://login.hospital.test:8443";
/// More redirects than any sign-in has.
const STEPS_MAX: usize = 20;

/// How many proofs of themselves a person shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Factors {
    One,
    Two,
}

/// A person at a device.
#[derive(Clone, Debug)]
pub struct Person {
    caller: Caller,
    login: String,
    factors: Factors,
    key: Option<Authenticator>,
    jar: Jar,
    trail: Vec<Url>,
}

impl Person {
    /// Someone who will sign in as `login`.
    #[must_use]
    pub fn new(caller: &Caller, login: &str) -> Self {
        Self {
            caller: caller.clone(),
            login: login.to_owned(),
            factors: Factors::One,
            key: None,
            jar: Jar::new(),
            trail: Vec::new(),
        }
    }

    /// From now on shows a second factor when signing in.
    #[must_use]
    pub fn with_second_factor(mut self) -> Self {
        self.factors = Factors::Two;
        self
    }

    /// Someone whose key is their whole sign-in.
    #[must_use]
    pub fn by_key(caller: &Caller, key: &Authenticator) -> Self {
        Self::new(caller, "").with_key(key)
    }

    /// From now on has this key at hand: after the provider, for a step-up and to come back to a session.
    #[must_use]
    pub fn with_key(mut self, key: &Authenticator) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// Forgets all cookies, as another browser would.
    #[must_use]
    pub fn afresh(mut self) -> Self {
        self.jar = Jar::new();
        self
    }

    /// Posts JSON to the login host as a script of its pages does.
    pub async fn tell(&mut self, path: &str, body: &Value) -> Answer {
        let url = Url::parse(&format!("{LOGIN}{path}")).expect("an address");
        let ask = Ask::post(host(&url), path, body.to_string())
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("origin", LOGIN)
            .header("sec-fetch-site", "same-origin");
        self.send(&url, ask).await
    }

    /// Enrols a passkey by a code; gives the gateway's last word.
    pub async fn enrol(&mut self, code: &str, key: &Authenticator, manner: &Manner) -> Answer {
        let begun = self.tell("/enrol/begin", &json!({ "code": code })).await;
        if begun.status != 200 {
            return begun;
        }
        self.finish_enrolment(&begun.json(), key, manner, json!({ "name": "試験の鍵" })).await
    }

    /// The second half of an enrolment that has begun.
    pub async fn finish_enrolment(
        &mut self,
        begun: &Value,
        key: &Authenticator,
        manner: &Manner,
        mut more: Value,
    ) -> Answer {
        more["ceremony"] = begun["ceremony"].clone();
        more["credential"] = key.create(&begun["options"], manner);
        let answer = self.tell("/enrol/finish", &more).await;
        self.land(answer).await
    }

    /// Begins to prove who one is; gives what the gateway asks.
    pub async fn ask_for_proof(&mut self, facts: &Value) -> Value {
        self.tell("/passkey/begin", facts).await.expect(200).json()
    }

    /// Proves with the key who one is; `facts` are what the page knows of it, such as `for`.
    pub async fn prove(&mut self, key: &Authenticator, manner: &Manner, facts: &Value) -> Answer {
        let begun = self.tell("/passkey/begin", facts).await;
        if begun.status != 200 || begun.json().get("to").is_some() {
            return begun;
        }
        let begun = begun.json();
        let mut proof = facts.clone();
        proof["ceremony"] = begun["ceremony"].clone();
        proof["credential"] = key.get(&begun["options"], manner);
        let answer = self.tell("/passkey/finish", &proof).await;
        self.land(answer).await
    }

    /// Goes on after the browser was emptied, where it was.
    async fn land(&mut self, answer: Answer) -> Answer {
        if answer.status != 200 {
            return answer;
        }
        match answer.json().get("land").cloned() {
            Some(landing) => self.tell("/land", &landing).await,
            None => answer,
        }
    }

    /// Does what our page wants a key for, where it wants one.
    async fn touch(&mut self, page: &Answer) -> Option<Answer> {
        let key = self.key.clone()?;
        if page.status != 200 || !page.header("content-type").starts_with("text/html") {
            return None;
        }
        let text = page.text();
        let task = attribute(&text, "data-passkey")?;
        if task == "sign-in" && !self.login.is_empty() {
            return None;
        }
        let mut facts = json!({});
        for name in ["h", "again", "pending"] {
            if let Some(value) = attribute(&text, &format!("data-{name}")) {
                facts[name] = value.into();
            }
        }
        if task == "enrol" {
            let begun = self.tell("/enrol/begin", &facts).await.expect(200).json();
            return Some(self.finish_enrolment(&begun, &key, &Manner::default(), facts).await);
        }
        facts["for"] = task.into();
        Some(self.prove(&key, &Manner::default(), &facts).await)
    }

    /// What the browser remembers.
    #[must_use]
    pub fn jar(&self) -> &Jar {
        &self.jar
    }

    /// Every address visited so far.
    #[must_use]
    pub fn trail(&self) -> &[Url] {
        &self.trail
    }

    /// Opens an address and goes wherever it leads, signing in on the way; gives the page at the end.
    pub async fn open(&mut self, url: &str) -> Answer {
        let start = Url::parse(url).expect("an address");
        self.follow(start, |_| false).await.1
    }

    /// The same, up to the first address that `stops` says of, which is not opened.
    pub async fn open_until(&mut self, url: &str, stops: impl Fn(&Url) -> bool) -> Url {
        let start = Url::parse(url).expect("an address");
        self.follow(start, stops).await.0
    }

    /// Opens an address and goes nowhere from there.
    pub async fn step(&mut self, url: &Url) -> Answer {
        self.send(url, Ask::get(host(url), &target(url)).as_browser()).await
    }

    /// The same as a program, which is told of refusals in its own form.
    pub async fn step_as_program(&mut self, url: &Url) -> Answer {
        self.send(url, Ask::get(host(url), &target(url)).header("accept", "application/json")).await
    }

    /// Posts a form's fields as a page of `origin` does.
    pub async fn post(&mut self, url: &Url, origin: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let ask = Ask::post(host(url), &target(url), body)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", origin)
            .header("accept", "text/html")
            .header("sec-fetch-mode", "navigate");
        self.send(url, ask).await
    }

    async fn follow(&mut self, start: Url, stops: impl Fn(&Url) -> bool) -> (Url, Answer) {
        let mut url = start;
        for _ in 0..STEPS_MAX {
            let answer = self.step(&url).await;
            let answer = self.fill_in(&url, answer).await;
            let touched = self.touch(&answer).await;
            let next = if let Some(touched) = touched {
                if touched.status != 200 {
                    return (url, touched);
                }
                touched.json()["to"].as_str().map(str::to_owned)
            } else if (300..400).contains(&answer.status) {
                Some(answer.header("location").to_owned())
            } else {
                link(&answer, "/begin")
            };
            let Some(next) = next else { return (url, answer) };
            url = url.join(&next).expect("a redirect leads somewhere");
            if stops(&url) {
                return (url, answer);
            }
        }
        panic!("the redirects do not end: {:#?}", self.trail)
    }

    /// Fills in the provider's form where it is one.
    async fn fill_in(&mut self, url: &Url, answer: Answer) -> Answer {
        if answer.status != 200 || !url.path().starts_with("/interaction/") {
            return answer;
        }
        let form = url.join(&format!("{}/login", url.path())).expect("an address");
        let origin = url.origin().ascii_serialization();
        let login = self.login.clone();
        if login.is_empty() {
            return self.post(&form, &origin, &[("cancel", "yes")]).await;
        }
        let both = [("login", login.as_str()), ("remember", "on"), ("second-factor", "on")];
        let fields = if self.factors == Factors::Two { &both[..] } else { &both[..2] };
        self.post(&form, &origin, fields).await
    }

    async fn send(&mut self, url: &Url, ask: Ask) -> Answer {
        self.trail.push(url.clone());
        let port = url.port_or_known_default().expect("an address has a port");
        let is_ours = host(url).ends_with(".test");
        let caller =
            if is_ours { self.caller.clone() } else { self.caller.at(SocketAddr::from(([127, 0, 0, 1], port))) };
        let ask = ask.header("host", &format!("{}:{port}", host(url)));
        let cookies = self.jar.field(host(url));
        let ask = if cookies.is_empty() { ask } else { ask.header("cookie", &cookies) };
        let answer = caller.ask(ask).await;
        self.jar.take(host(url), &answer);
        answer
    }
}

/// The value of an attribute that a page of ours has at most once.
fn attribute(page: &str, name: &str) -> Option<String> {
    let value = page.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
    Some(value.replace("&amp;", "&").replace("&#38;", "&"))
}

fn host(url: &Url) -> &str {
    url.host_str().expect("an address has a host")
}

fn target(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// The first link of a page that leads to a path beginning so.
fn link(answer: &Answer, start: &str) -> Option<String> {
    if !answer.header("content-type").starts_with("text/html") {
        return None;
    }
    let page = answer.text();
    let mut links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.find(|link| link.contains(start)).map(|link| link.replace("&amp;", "&").replace("&#38;", "&"))
}

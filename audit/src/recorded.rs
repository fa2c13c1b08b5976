//! Accesses out of the log, as they were asked: for trying another policy on them, and for explaining one of them.
//!
//! A line states every fact that a policy reads, but for two things that lines of older versions left out (see
//! [`policy::Known`]). Deliberately not here: what the app's routes say of a path, which is asked of the policy anew.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use policy::{
    Aaguid, Access, Action, Assurance, Decision, Device, DeviceClass, Fingerprint, From, Grant, Host, InfoClass,
    Judged, Known, Method, Methods, Path, PostureFact, ProviderId, Reason, RequestId, Revision, RoleId, RuleId,
    SessionId, SignInMethod, Timestamp, UserId, Who,
};
use serde::Deserialize;

/// An access that was judged, and what was answered.
#[derive(Clone, Debug)]
pub struct RecordedAccess {
    /// The question, as far as the line states it.
    pub access: Access,
    /// Which of the facts that older lines leave out are stated.
    pub known: Known,
    /// What was answered.
    pub judged: Judged,
    /// The version of configuration and policy that answered.
    pub revision: Revision,
}

/// What a line of the log holds.
#[derive(Clone, Debug)]
pub enum Recorded {
    /// A judgment.
    Access(Box<RecordedAccess>),
    /// A judgment that cannot be read: of another version, or damaged.
    Unreadable,
    /// Anything else.
    Other,
}

/// The end of a session of which only is known that it was open.
const OPEN: Timestamp = Timestamp::MAX;

/// A line of the log with a judgment. Texts that can hold escapes are not borrowed.
#[derive(Deserialize)]
struct Line<'a> {
    ts: &'a str,
    ev: &'a str,
    id: &'a str,
    act: &'a str,
    sub: Option<&'a str>,
    #[serde(borrow, default)]
    login: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    iss: Cow<'a, str>,
    #[serde(borrow, default)]
    role: Vec<&'a str>,
    acr: Option<&'a str>,
    #[serde(borrow, default)]
    amr: Vec<&'a str>,
    model: Option<&'a str>,
    #[serde(default)]
    outage: bool,
    sid: Option<&'a str>,
    auth: Option<&'a str>,
    conf: Option<&'a str>,
    dev: Option<&'a str>,
    dcls: Option<&'a str>,
    pst: Option<Vec<String>>,
    ip: &'a str,
    zone: &'a str,
    app: &'a str,
    cls: Option<&'a str>,
    host: &'a str,
    m: &'a str,
    path: &'a str,
    vs: Option<&'a str>,
    why: Option<&'a str>,
    rule: &'a str,
    pol: &'a str,
}

/// Reads a line of the log, without its newline.
#[must_use]
pub fn recorded(line: &[u8]) -> Recorded {
    let Ok(text) = std::str::from_utf8(line) else { return Recorded::Unreadable };
    // The fields before it hold nothing from outside, so the first match is it.
    let kind = text.split_once(r#""ev":""#).map(|(_, rest)| rest);
    let judged = kind.is_some_and(|rest| rest.starts_with(r#"open","#) || rest.starts_with(r#"refused","#));
    if !judged {
        return Recorded::Other;
    }
    let read = serde_json::from_str::<Line<'_>>(text).ok().and_then(|line| line.read());
    read.map_or(Recorded::Unreadable, |access| Recorded::Access(Box::new(access)))
}

impl Line<'_> {
    fn read(&self) -> Option<RecordedAccess> {
        let reason = match self.why {
            Some(code) => Some(Reason::ALL.into_iter().find(|reason| reason.code() == code)?),
            None => None,
        };
        let decision = match (self.ev, reason) {
            ("open", _) => Decision::Allow,
            (_, Some(reason)) => Decision::of_refusal(reason),
            (_, None) => return None,
        };
        let at = Timestamp::parse_rfc3339(self.ts)?;
        let device = self.device()?;
        let access = Access {
            request: RequestId::parse(self.id)?,
            at,
            app: self.app.parse().ok()?,
            action: Action::parse(self.act)?,
            class: if_stated(self.cls, InfoClass::parse)?,
            method: Method::parse(self.m)?,
            host: Host::parse(self.host).ok()?,
            path: Path::parse(self.path).ok()?,
            who: self.who(at, device.as_ref(), reason)?.map(Arc::new),
            device: device.map(Arc::new),
            from: From { address: self.ip.parse::<IpAddr>().ok()?, zone: self.zone.parse().ok()? },
            grant: if_stated(self.vs, policy::GrantId::parse)?
                .map(|id| Grant { reaches: reason != Some(Reason::GrantReach), ..Grant::named(id) }),
        };
        let judged = Judged { decision, rule: RuleId::parse(self.rule).ok()?, reason };
        let known = Known { authentication: self.auth.is_some(), posture: self.pst.is_some() };
        Some(RecordedAccess { access, known, judged, revision: Revision::parse(self.pol).ok()? })
    }

    /// Who asked: `Some(None)` for nobody.
    fn who(&self, at: Timestamp, device: Option<&Device>, reason: Option<Reason>) -> Option<Option<Who>> {
        let Some(user) = self.sub else { return Some(None) };
        let authenticated_at = match self.auth {
            Some(text) => Timestamp::parse_rfc3339(text)?,
            None => at,
        };
        let roles_confirmed_at = match self.conf {
            Some(text) => Timestamp::parse_rfc3339(text)?,
            None => authenticated_at,
        };
        let methods: Option<Vec<_>> = self.amr.iter().map(|word| SignInMethod::parse(word)).collect();
        let roles: Option<Vec<_>> = self.role.iter().map(|role| RoleId::parse(role).ok()).collect();
        let was_on_its_device = reason != Some(Reason::OtherDevice);
        let bound_to = device.map(|device| device.id.clone());
        Some(Some(Who {
            user: UserId::parse(user).ok()?,
            login: Arc::from(self.login.as_ref()),
            name: Arc::from(self.name.as_ref()),
            // Where people work and devices stand no policy reads.
            unit: Arc::from(""),
            // Which of the providers it was, lines do not say; policies do not read it.
            provider: ProviderId::parse("recorded").ok()?,
            issuer: Arc::from(self.iss.as_ref()),
            subject: Arc::from(""),
            roles: roles?.into(),
            session: SessionId::parse(self.sid?)?,
            assurance: Assurance::parse(self.acr?)?,
            methods: Methods::of(methods?),
            key_model: match self.model {
                Some(text) => Some(Aaguid::parse(text)?),
                None => None,
            },
            in_outage: self.outage,
            roles_confirmed_at,
            authenticated_at,
            bound_to: if was_on_its_device { bound_to } else { Some(policy::DeviceId::parse("another").ok()?) },
            // Who was asked to sign in had no open session any more.
            ends_at: if reason == Some(Reason::SignInRequired) { at } else { OPEN },
        }))
    }

    /// The device: `Some(None)` for none.
    fn device(&self) -> Option<Option<Device>> {
        let Some(id) = self.dev else { return Some(None) };
        let posture: Option<Vec<_>> = self.pst.iter().flatten().map(|fact| believed(fact)).collect();
        Some(Some(Device {
            id: id.parse().ok()?,
            class: DeviceClass::parse(self.dcls?)?,
            place: "".into(),
            certificate: Fingerprint::new([0; 32]),
            posture: posture?.into(),
        }))
    }
}

/// A condition that was believed at the moment of the line: it is asked about that moment alone.
fn believed(text: &str) -> Option<PostureFact> {
    let (name, value) = text.split_once('=')?;
    Some(PostureFact { name: name.parse().ok()?, value: Arc::from(value), fresh_until: OPEN })
}

/// A name that may be left out: `Some(None)` where it is, `None` where it cannot be read.
fn if_stated<T, E>(text: Option<&str>, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<Option<T>> {
    match text {
        Some(text) => parse(text).ok().map(Some),
        None => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use policy::Refused;

    use super::*;
    use crate::json::Object;
    use crate::line;
    use crate::testing::Ward;

    fn read(body: impl FnOnce(&mut Vec<u8>)) -> Recorded {
        let mut whole = Vec::new();
        body(&mut whole);
        let mut out = Vec::new();
        line::push_line(&mut out, 7, &whole);
        recorded(out.trim_ascii_end())
    }

    fn access() -> Access {
        let mut access = Ward::new().access("POST", "n.sato");
        access.class = Some("chart".parse().unwrap());
        access.grant = Some(Grant::named("g-1".parse().unwrap()));
        let fact = |name: &str, value: &str| PostureFact {
            name: name.parse().unwrap(),
            value: value.into(),
            fresh_until: OPEN,
        };
        let device = Device {
            id: "ward-3".parse().unwrap(),
            class: DeviceClass::Tablet,
            place: "".into(),
            certificate: Fingerprint::new([0; 32]),
            posture: [fact("edr", "running"), fact("os", "Windows 11 \"24H2\" 日本語")].into(),
        };
        let who = Arc::make_mut(access.who.as_mut().unwrap());
        who.name = "佐藤 \"花子\"\u{202e}".into();
        who.methods = Methods::of([SignInMethod::Provider, SignInMethod::Passkey]);
        who.key_model = Some(Aaguid::new([7; 16]));
        who.in_outage = true;
        who.bound_to = Some(device.id.clone());
        who.roles_confirmed_at = who.authenticated_at.after(std::time::Duration::from_micros(1_234_567));
        // What lines do not say, and no policy reads.
        who.provider = "recorded".parse().unwrap();
        who.subject = "".into();
        who.ends_at = OPEN;
        access.device = Some(Arc::new(device));
        access
    }

    fn refused(access: Access, main: Reason) -> Recorded {
        let reasons = policy::Reasons { main, rule: "r".parse().unwrap(), others: vec![Reason::ZoneNotAllowed] };
        let refused = Refused { access, reasons, revision: "p1".parse().unwrap(), shadow: None, act: () };
        read(|out| line::refused(out, &refused, 403, None))
    }

    #[test]
    fn every_fact_that_a_policy_reads_comes_back_as_it_was() {
        let asked = access();
        let Recorded::Access(back) = refused(asked.clone(), Reason::OutsideHours) else { panic!("not read") };
        assert_eq!(back.access, asked);
        assert_eq!(back.known, Known::ALL);
        assert_eq!((back.judged.decision, back.judged.reason), (Decision::Deny, Some(Reason::OutsideHours)));
        assert_eq!((back.judged.rule.as_str(), back.revision.as_str()), ("r", "p1"));
        let nobody = Access { who: None, device: None, class: None, grant: None, ..asked };
        let Recorded::Access(back) = refused(nobody.clone(), Reason::SignInRequired) else { panic!("not read") };
        assert_eq!((back.access, back.judged.decision), (nobody, Decision::SignIn));
    }

    #[test]
    fn a_session_on_another_device_or_over_stays_so() {
        let Recorded::Access(back) = refused(access(), Reason::OtherDevice) else { panic!("not read") };
        assert!(!back.access.session_is_on_its_device());
        let Recorded::Access(back) = refused(access(), Reason::SignInRequired) else { panic!("not read") };
        assert_eq!(back.access.who.unwrap().ends_at, back.access.at);
    }

    #[test]
    fn lines_of_older_versions_say_what_they_do_not_state() {
        let mut whole = Vec::new();
        let reasons = policy::Reasons { main: Reason::Forbidden, rule: "r".parse().unwrap(), others: vec![] };
        let refused = Refused { access: access(), reasons, revision: "p1".parse().unwrap(), shadow: None, act: () };
        line::refused(&mut whole, &refused, 403, None);
        let text = String::from_utf8(whole).unwrap();
        let without = |key: &str| {
            let (before, rest) = text.split_once(&format!("\"{key}\":")).unwrap();
            let end = if rest.starts_with('[') { "]," } else { "\"," };
            format!("{{\"v\":1,\"seq\":1,{before}{}", rest.split_once(end).unwrap().1)
        };
        let known = |line: String| match recorded(line.as_bytes()) {
            Recorded::Access(back) => (back.known.authentication, back.known.posture),
            Recorded::Unreadable | Recorded::Other => panic!("{line}"),
        };
        assert_eq!(known(without("auth")), (false, true));
        assert_eq!(known(without("pst")), (true, false));
    }

    #[test]
    fn what_is_no_judgment_or_damaged_is_told_apart() {
        let other = |body: &str| matches!(read(|out| out.extend_from_slice(body.as_bytes())), Recorded::Other);
        assert!(other(r#""ts":"2026-11-22T00:00:00.000000Z","ev":"close","id":"x","end":"served"}"#));
        assert!(other(r#""ts":"2026-11-22T00:00:00.000000Z","ev":"started"}"#));
        let mut broken = Vec::new();
        let mut line = Object::continued(&mut broken);
        line.word("ts", "2026-11-22T00:00:00.000000Z").word("ev", "open").word("id", "?");
        line.end();
        assert!(matches!(read(|out| out.extend_from_slice(&broken)), Recorded::Unreadable));
    }
}

//! The lines of the log: one JSON object per event. An access has two, `open` and `close`, joined by its id.
//!
//! A line is `{"v":1,"seq":N,` and a body. The body is encoded by whoever records; the number is given when the line
//! is written, because only then is its place in the log known. Queries are not recorded: they hold patients' names.
//! The ids of patients that stand in them are.

use std::sync::Arc;

use config::Facility;
use policy::{
    Aaguid, Access, Judged, Methods, PatientFlag, Patients, Permit, Reason, Refused, RequestId, SignInMethod,
    Timestamp, Who,
};

use crate::json::{Object, push_number};
use crate::people::People;
use crate::{ClockReading, Note, Outcome, upkeep};

/// The longest line, in bytes: what an entry of a C2SP entry bundle can hold.
pub(crate) const LINE_BYTES_MAX: usize = u16::MAX as usize;
/// Room that the number and the newline need beside the body.
pub(crate) const FRAME_BYTES_MAX: usize = 40;
pub(crate) const BEGINNING: &str = "{\"v\":1,\"seq\":";

/// Writes a whole line: number, body, newline.
pub(crate) fn push_line(out: &mut Vec<u8>, number: u64, body: &[u8]) {
    out.extend_from_slice(BEGINNING.as_bytes());
    push_number(out, number);
    out.push(b',');
    out.extend_from_slice(body);
    out.push(b'\n');
}

/// The body that opens an access.
pub(crate) fn opening(out: &mut Vec<u8>, people: &mut People, permit: &Permit, patients: Option<&Patients>) {
    let mut line = Object::continued(out);
    let access = permit.access();
    line.moment("ts", access.at).word("ev", "open");
    push_access(&mut line, access, |line, who| people.push(line, who));
    line.text("rule", permit.rule().as_str()).text("pol", permit.revision().as_str());
    push_shadow(&mut line, permit.shadow());
    push_patients(&mut line, patients);
    line.end();
}

/// The body that closes an access; `requests` is how many were folded into it, where any were.
pub(crate) fn closing(out: &mut Vec<u8>, at: Timestamp, id: RequestId, outcome: &Outcome, requests: Option<u64>) {
    let mut line = Object::continued(out);
    line.moment("ts", at).word("ev", "close").ascii("id", &id.digits()).word("end", outcome.end.code());
    if let crate::End::Revoked(reason) = outcome.end {
        line.word("why", reason.code());
    }
    if let Some(status) = outcome.status {
        line.number("st", status.into());
    }
    line.millis("ms", u64::try_from(outcome.duration.as_micros()).unwrap_or(u64::MAX));
    line.number("bi", outcome.bytes_in).number("bo", outcome.bytes_out);
    if let Some(requests) = requests {
        line.number("n", requests);
    }
    if let Some(said) = &outcome.said {
        line.text("said", said);
    }
    push_patients(&mut line, outcome.patients.as_deref());
    line.end();
}

/// The body that closes an access of which nobody knows how it ended.
pub(crate) fn unknown(out: &mut Vec<u8>, at: Timestamp, id: &str) {
    let mut line = Object::continued(out);
    line.moment("ts", at).word("ev", "close").text("id", id).word("end", "unknown");
    line.end();
}

/// The body of an access that was refused: open and close in one.
pub(crate) fn refused<T>(out: &mut Vec<u8>, refused: &Refused<T>, status: u16, patients: Option<&Patients>) {
    let mut line = Object::continued(out);
    line.moment("ts", refused.access.at).word("ev", "refused");
    push_access(&mut line, &refused.access, |line, who| push_who(line, who));
    line.word("why", refused.reasons.main.code());
    if !refused.reasons.others.is_empty() {
        line.texts("also", refused.reasons.others.iter().map(|reason| reason.code()));
    }
    line.text("rule", refused.reasons.rule.as_str()).text("pol", refused.revision.as_str());
    push_shadow(&mut line, refused.shadow.as_deref());
    line.number("st", status.into());
    push_patients(&mut line, patients);
    line.end();
}

/// Whom an access is about.
fn push_patients(line: &mut Object<'_>, patients: Option<&Patients>) {
    let Some(Patients { ids, studies, in_all, flags }) = patients else { return };
    for (key, texts) in [("pt", ids), ("study", studies)] {
        if !texts.is_empty() {
            line.texts(key, texts.iter().map(|text| &**text));
        }
    }
    if let Some(in_all) = in_all {
        line.number("ptn", *in_all);
    }
    if !flags.is_empty() {
        line.texts("ptf", flags.iter().map(PatientFlag::as_str));
    }
}

/// What a shadow policy says instead: `allow RULE`, or `deny REASON RULE`.
fn push_shadow(line: &mut Object<'_>, shadow: Option<&Judged>) {
    let Some(Judged { decision, rule, reason }) = shadow else { return };
    let words = [Some(decision.as_str()), reason.map(Reason::code), Some(rule.as_str())];
    line.plain("sh", words.into_iter().flatten().collect::<Vec<_>>().join(" "));
}

/// Who asks, as every line of an access states it.
pub(crate) fn push_who(line: &mut Object<'_>, who: &Who) {
    line.text("sub", who.user.as_str()).text("login", &who.login).text("name", &who.name);
    if !who.unit.is_empty() {
        line.text("unit", &who.unit);
    }
    line.text("iss", &who.issuer).texts("role", who.roles.iter().map(|role| role.as_str()));
    line.word("acr", who.assurance.as_str());
    push_proof(line, who.methods, who.key_model.as_ref(), who.in_outage);
    line.ascii("sid", &who.session.digits());
    line.moment("auth", who.authenticated_at);
    if who.roles_confirmed_at != who.authenticated_at {
        line.moment("conf", who.roles_confirmed_at);
    }
}

fn push_access(line: &mut Object<'_>, access: &Access, push_who: impl FnOnce(&mut Object<'_>, &Arc<Who>)) {
    line.ascii("id", &access.request.digits()).word("act", access.action.as_str());
    if let Some(who) = &access.who {
        push_who(line, who);
    }
    if let Some(device) = &access.device {
        line.text("dev", device.id.as_str()).word("dcls", device.class.as_str());
        if !device.place.is_empty() {
            line.text("place", &device.place);
        }
        let believed = device.believed_posture(access.at);
        line.pairs("pst", believed.map(|fact| (fact.name.as_str(), &*fact.value)));
    }
    line.address("ip", access.from.address).text("zone", access.from.zone.as_str());
    line.text("app", access.app.as_str()).text("host", access.host.as_str());
    line.text("m", access.method.as_str()).text("path", access.path.as_str());
    if let Some(class) = &access.class {
        line.text("cls", class.as_str());
    }
    if let Some(grant) = &access.grant {
        line.text("vs", grant.id.as_str());
    }
}

/// By what somebody proved who they are, and whether their provider was out.
fn push_proof(line: &mut Object<'_>, methods: Methods, model: Option<&Aaguid>, in_outage: bool) {
    if !methods.is_empty() {
        line.texts("amr", methods.iter().map(SignInMethod::as_str));
    }
    if let Some(model) = model {
        line.plain("model", model);
    }
    if in_outage {
        line.yes("outage");
    }
}

/// The body of a fact beside accesses.
pub(crate) fn note(out: &mut Vec<u8>, note: &Note) {
    let mut line = Object::continued(out);
    line.moment("ts", note.at).word("ev", note.event.code());
    if let Some(id) = note.request {
        line.plain("id", id);
    }
    let texts = [
        ("sub", note.user.as_ref().map(policy::UserId::as_str)),
        ("login", note.login.as_deref()),
        ("unit", note.unit.as_deref()),
        ("actor", note.actor.as_deref()),
        ("prov", note.provider.as_ref().map(policy::ProviderId::as_str)),
        ("dev", note.device.as_ref().map(policy::DeviceId::as_str)),
        ("zone", note.zone.as_ref().map(policy::ZoneId::as_str)),
        ("host", note.host.as_ref().map(policy::Host::as_str)),
        ("app", note.app.as_ref().map(policy::AppId::as_str)),
        ("pol", note.revision.as_ref().map(policy::Revision::as_str)),
        ("why", note.code.as_deref()),
        ("key", note.key.as_deref()),
        ("inv", note.invitation.as_deref()),
        ("vs", note.grant.as_ref().map(policy::GrantId::as_str)),
        ("src", note.source.as_deref()),
        ("proofing", note.proofing.as_deref()),
        ("reason", note.reason.as_deref()),
        ("file", note.file.as_deref()),
        ("sha", note.sha256.as_deref()),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            line.text(key, value);
        }
    }
    if let Some(session) = note.session {
        line.ascii("sid", &session.digits());
    }
    if let Some(certificate) = note.certificate {
        line.plain("cert", certificate);
    }
    if let Some(address) = note.address {
        line.address("ip", address);
    }
    if let Some(status) = note.status {
        line.number("st", status.into());
    }
    if let Some(count) = note.count {
        line.number("n", count);
    }
    if !note.patients.is_empty() {
        // Not `pt`: whoever asks who saw a patient is not told of those who asked before.
        line.texts("pta", note.patients.iter().map(String::as_str));
    }
    if let Some(ward) = &note.ward {
        line.text("ward", ward);
    }
    for (key, roles) in [("role", &note.roles), ("was", &note.roles_before)] {
        if let Some(roles) = roles {
            line.texts(key, roles.iter().map(policy::RoleId::as_str));
        }
    }
    if let Some(until) = note.until {
        line.moment("until", until);
    }
    push_proof(&mut line, note.methods, note.key_model.as_ref(), note.in_outage);
    if let Some(number) = note.store_event {
        line.number("sn", number);
    }
    if let Some(checkpoint) = &note.checkpoint {
        line.text("cp", checkpoint);
    }
    line.end();
}

/// The body that begins a segment: whose log this is, and the segment from which accesses are still open.
pub(crate) fn segment(
    out: &mut Vec<u8>,
    at: Timestamp,
    (origin, facility): (&str, &Facility),
    open_since: u64,
    clock: &ClockReading,
) {
    let mut line = Object::continued(out);
    line.moment("ts", at).word("ev", "segment").number("since", open_since);
    line.text("origin", origin).text("facility", &facility.name);
    if let Some(code) = &facility.code {
        line.text("code", code);
    }
    upkeep::push_clock(&mut line, clock);
    line.end();
}

/// The body that says what was put in order after a crash.
pub(crate) fn recovered(out: &mut Vec<u8>, at: Timestamp, found: &crate::Recovery) {
    let mut line = Object::continued(out);
    line.moment("ts", at).word("ev", crate::Event::Recovered.code());
    line.number("unknown", found.unknown).number("torn", found.torn_bytes).number("merged", found.merged);
    line.end();
}

/// The number of a line, given without its newline, where it is whole from beginning to end. A crash leaves lines that
/// stop early, and a power cut may leave zero bytes inside.
pub(crate) fn whole_number(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let number = text.strip_prefix(BEGINNING)?.split_once(',')?.0;
    let parsed: u64 = number.parse().ok()?;
    let is_whole = text.ends_with('}') && line.iter().all(|byte| *byte >= b' ');
    let is_plain =
        number.bytes().all(|digit| digit.is_ascii_digit()) && (number.len() == 1 || !number.starts_with('0'));
    (is_whole && is_plain).then_some(parsed)
}

/// What recovery must know of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gist<'a> {
    /// An access began.
    Open(&'a str),
    /// An access ended.
    Close(&'a str),
    /// A segment began; accesses may be open since the segment that begins with this line.
    Segment(u64),
    /// Anything else.
    Other,
}

/// Reads the gist of a line of ours: the fields before it hold nothing from outside, so the first match is it.
pub(crate) fn gist(line: &str) -> Gist<'_> {
    let Some((_, rest)) = line.split_once(r#""ev":""#) else { return Gist::Other };
    let id = |before: &str| Some(rest.strip_prefix(before)?.split_once('"')?.0);
    if let Some(id) = id(r#"open","id":""#) {
        return Gist::Open(id);
    }
    if let Some(id) = id(r#"close","id":""#) {
        return Gist::Close(id);
    }
    let since = rest.strip_prefix(r#"segment","since":"#).and_then(|rest| rest.split_once(','));
    since.and_then(|(number, _)| number.parse().ok()).map_or(Gist::Other, Gist::Segment)
}

/// The mark that merging from the emergency spool put on a line: the spool's name and the line's place in it.
pub(crate) fn spool_mark(line: &str) -> Option<(&str, u64)> {
    let (before, rest) = line.split_once(r#""spool":""#)?;
    let (name, number) = rest.split_once('"')?.0.split_once('/')?;
    // Anything later in the line could be a stranger's text.
    (!before.contains(r#""ts":"#)).then_some((name, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use policy::Decision;

    use super::*;

    fn whole(number: u64, fill: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut body = Vec::new();
        fill(&mut body);
        let mut out = Vec::new();
        push_line(&mut out, number, &body);
        String::from_utf8(out).unwrap().trim_end_matches('\n').to_owned()
    }

    #[test]
    fn a_note_is_one_line_with_what_is_known() {
        let at = Timestamp::from_unix_micros(1_743_466_530_123_456);
        let mut fact = Note::new(crate::Event::SignInFailed, at).code("wrong \"nonce\"\n");
        fact.login = Some("n.sato".into());
        fact.address = Some("2001:db8::1".parse().unwrap());
        assert_eq!(
            whole(12, |out| note(out, &fact)),
            r#"{"v":1,"seq":12,"ts":"2025-04-01T00:15:30.123456Z","ev":"sign-in-failed","login":"n.sato","why":"wrong \"nonce\"\u000a","ip":"2001:db8::1"}"#
        );
    }

    #[test]
    fn an_access_says_by_what_its_person_signed_in_and_that_their_provider_was_out() {
        let mut access = crate::testing::Ward::new().access("GET", "n.sato");
        let mut plain = Vec::new();
        push_access(&mut Object::continued(&mut plain), &access, |line, who| push_who(line, who));
        let model = Aaguid::new([0xab; 16]);
        if let Some(who) = &mut access.who {
            let who = std::sync::Arc::make_mut(who);
            who.methods = Methods::of([SignInMethod::Provider, SignInMethod::Passkey]);
            who.key_model = Some(model);
            who.in_outage = true;
        }
        let mut told = Vec::new();
        push_access(&mut Object::continued(&mut told), &access, |line, who| push_who(line, who));
        let (plain, told) = (String::from_utf8(plain).unwrap(), String::from_utf8(told).unwrap());
        assert!(!plain.contains("amr") && !plain.contains("outage"), "{plain}");
        let said = format!(r#""acr":"aal2","amr":["provider","passkey"],"model":"{model}","outage":true,"sid""#);
        assert!(told.contains(&said), "{told}");
    }

    #[test]
    fn an_access_says_since_when_its_person_is_proven_and_what_is_believed_of_its_device() {
        let mut access = crate::testing::Ward::new().access("GET", "n.sato");
        let fact = |name: &str, fresh_until| policy::PostureFact {
            name: name.parse().unwrap(),
            value: "a\"b".into(),
            fresh_until,
        };
        access.device = Some(Arc::new(policy::Device {
            id: "ward-3".parse().unwrap(),
            class: policy::DeviceClass::WardShared,
            place: "".into(),
            certificate: policy::Fingerprint::new([0; 32]),
            posture: [fact("edr", Timestamp::MAX), fact("os", Timestamp::from_unix_micros(0))].into(),
        }));
        if let Some(who) = &mut access.who {
            Arc::make_mut(who).roles_confirmed_at = Timestamp::from_unix_micros(1_743_466_530_123_456);
        }
        let mut told = Vec::new();
        push_access(&mut Object::continued(&mut told), &access, |line, who| push_who(line, who));
        let told = String::from_utf8(told).unwrap();
        assert!(told.contains(r#""dcls":"ward-shared","pst":["edr=a\"b"],"ip""#), "stale is not believed: {told}");
        assert!(told.contains(r#""conf":"2025-04-01T00:15:30.123456Z""#) && told.contains(r#""auth":""#), "{told}");
    }

    #[test]
    fn what_a_shadow_says_stands_in_few_words() {
        let of = |decision, reason| Judged { decision, rule: "vendors".parse().unwrap(), reason };
        let said = |judged: &Judged| {
            whole(0, |out| {
                let mut line = Object::continued(out);
                push_shadow(&mut line, Some(judged));
                line.end();
            })
        };
        assert!(said(&of(Decision::Allow, None)).contains(r#""sh":"allow vendors""#));
        let denied = of(Decision::Deny, Some(Reason::RoleNotAllowed));
        assert!(said(&denied).contains(r#""sh":"deny role-not-allowed vendors""#));
    }

    #[test]
    fn a_note_of_an_invitation_says_by_whom_for_whom_and_until_when() {
        let at = Timestamp::from_unix_micros(1_743_466_530_123_456);
        let mut fact = Note::new(crate::Event::InvitationMade, at)
            .user(&policy::UserId::parse("u-0123456789abcdef0123456789abcdef").unwrap())
            .actor("cli:root")
            .invitation("i-1")
            .proofing("職員証")
            .reason("入職");
        fact.until = Some(at);
        fact.count = Some(2);
        fact.in_outage = true;
        assert_eq!(
            whole(1, |out| note(out, &fact)),
            r#"{"v":1,"seq":1,"ts":"2025-04-01T00:15:30.123456Z","ev":"invitation-made","sub":"u-0123456789abcdef0123456789abcdef","actor":"cli:root","inv":"i-1","proofing":"職員証","reason":"入職","n":2,"until":"2025-04-01T00:15:30.123456Z","outage":true}"#
        );
    }

    #[test]
    fn a_change_of_roles_says_which_there_are_and_which_there_were() {
        let at = Timestamp::from_unix_micros(1_743_466_530_123_456);
        let mut fact = Note::new(crate::Event::PersonChanged, at);
        fact.roles = Some(Vec::new());
        fact.roles_before = Some(vec![policy::RoleId::parse("nurse").unwrap()]);
        assert!(whole(1, |out| note(out, &fact)).ends_with(r#""ev":"person-changed","role":[],"was":["nurse"]}"#));
    }

    #[test]
    fn the_gist_reads_back() {
        let at = Timestamp::from_unix_micros(0);
        let id = RequestId::new(at, 7);
        let outcome = Outcome {
            status: Some(200),
            end: crate::End::Revoked(policy::Reason::OutsideHours),
            bytes_in: 1,
            bytes_out: 2,
            duration: std::time::Duration::from_micros(1_500),
            patients: None,
            said: None,
        };
        let line = whole(3, |out| closing(out, at, id, &outcome, None));
        assert_eq!(gist(&line), Gist::Close(&id.to_string()));
        assert!(line.contains(r#""end":"revoked","why":"outside-hours","st":200,"ms":1.500,"bi":1,"bo":2"#), "{line}");
        assert_eq!(whole_number(line.as_bytes()), Some(3));
        assert_eq!(whole_number(&line.as_bytes()[..line.len() - 1]), None, "torn");
        let facility = Facility { name: "病院".into(), code: None };
        let clock = crate::kernel_clock();
        assert_eq!(gist(&whole(0, |out| segment(out, at, ("o", &facility), 77, &clock))), Gist::Segment(77));
        assert_eq!(gist(&whole(0, |out| unknown(out, at, "abc"))), Gist::Close("abc"));
        assert_eq!(gist(&whole(0, |out| note(out, &Note::new(crate::Event::Started, at)))), Gist::Other);
    }

    #[test]
    fn patients_stand_at_the_end_and_only_what_there_is_to_tell() {
        let said = |patients: &Patients| {
            whole(0, |out| {
                let mut line = Object::continued(out);
                line.word("ev", "open");
                push_patients(&mut line, Some(patients));
                line.end();
            })
        };
        assert_eq!(said(&Patients::default()), r#"{"v":1,"seq":0,"ev":"open"}"#);
        let mut patients = Patients { ids: vec!["00012345".into(), "a\"b".into()], ..Patients::default() };
        assert!(said(&patients).ends_with(r#","pt":["00012345","a\"b"]}"#));
        patients.studies = vec!["1.2.3".into()];
        patients.in_all = Some(1_000_000);
        patients.flags = patients.flags.with(PatientFlag::Cut).with(PatientFlag::Bulk);
        assert!(said(&patients).ends_with(r#","study":["1.2.3"],"ptn":1000000,"ptf":["bulk","cut"]}"#));
    }

    #[test]
    fn the_longest_list_of_patients_fits_a_line() {
        let ids = (0..policy::PATIENTS_LISTED_MAX).map(|n| format!("{}{n:04}", "\u{202e}".repeat(20)).into()).collect();
        let studies = (0..policy::PATIENTS_LISTED_MAX).map(|n| format!("{}{n:04}", "1".repeat(60)).into()).collect();
        let line = whole(0, |out| {
            let mut line = Object::continued(out);
            push_patients(&mut line, Some(&Patients { ids, studies, ..Patients::default() }));
            line.end();
        });
        assert!(line.len() < LINE_BYTES_MAX / 2, "{}", line.len());
    }

    #[test]
    fn spool_marks_are_read_where_we_write_them_alone() {
        assert_eq!(spool_mark(r#"{"v":1,"seq":5,"spool":"a1/7","ts":"x"}"#), Some(("a1", 7)));
        assert_eq!(spool_mark(r#"{"v":1,"seq":5,"ts":"x","spool":"a1/7"}"#), None);
    }
}

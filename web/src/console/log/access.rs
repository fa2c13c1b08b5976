//! One record in full: every field in plain words, the line as it was written, and the ways on from it.

use audit::{Entry, EntryKind, Story};
use policy::{DeviceClass, Timestamp};

use super::super::Duty;
use super::super::desk::{Desk, Shown};
use super::super::view::{Bit, ConsoleContent, Facts, Go, Mark, MarkTone, Part, Raw, Words};
use super::Asked;
use super::story::Names;
use crate::Fault;
use crate::chart::grouped;
use crate::log_view::{Damage, Written};

/// Label and value of a fact; no value, no fact.
type Row = (&'static str, Option<Vec<Bit>>);

/// The page.
pub(in super::super) async fn access(desk: &Desk<'_>) -> Shown {
    let named = desk.named(2);
    // One spelling of a number, one page.
    let seq: u64 = named.parse().ok().filter(|seq: &u64| seq.to_string() == named).ok_or(Fault::NotFound)?;
    let node = desk.asked("node");
    let found = desk.off(move |log| log.record_at(node.as_deref(), seq)).await?;
    let Written { record, lines } = found.ok_or(Fault::NotFound)?;
    desk.note_look_at("record", record.story.as_ref()).await?;
    let names = desk.names_in(std::slice::from_ref(&record)).await?;
    let text = lines.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned());
    let raw = Raw {
        id: "raw",
        heading: desk.say("log-raw"),
        lead: desk.say("log-raw-what"),
        text: text.collect::<Vec<_>>().join("\n"),
    };
    let damaged = record.damage.as_ref().map(|damage| Part::Words(damaged(desk, damage)));
    let node = record.node.as_deref();
    // What else of it there is, is on the machine of its log.
    let own = desk.config().nodes.as_ref().map(|nodes| nodes.own.as_str());
    let is_here = node.is_none() || node == own;
    let Some(story) = record.story else {
        return Ok(desk.show(ConsoleContent {
            title: desk.say_with("log-damaged", "number", &record.seq.to_string()),
            up: Some(Go::new(desk.say("console-records"), "/log")),
            parts: damaged.into_iter().chain((!raw.text.is_empty()).then_some(Part::Raw(raw))).collect(),
            ..ConsoleContent::default()
        }));
    };
    let marks = desk
        .outcome_bits(&story)
        .into_iter()
        .filter_map(|bit| if let Bit::Mark(mark) = bit { Some(mark) } else { None });
    Ok(desk.show(ConsoleContent {
        title: desk.done_in_words(&story.begin),
        lead: Some(desk.second(&story.begin)),
        up: Some(Go::new(desk.say("console-records"), "/log")),
        marks: marks.collect(),
        actions: ways_on(desk, &story)
            .into_iter()
            .chain(ways_here(desk, &story).into_iter().filter(|_| is_here))
            .collect(),
        parts: damaged
            .into_iter()
            .chain([
                Part::Facts(facts(desk, "what", what(desk, &story, node))),
                Part::Facts(facts(desk, "who", who(desk, &story.begin, &names))),
                Part::Facts(facts(desk, "from", from(desk, &story.begin))),
                Part::Facts(facts(desk, "why", why(desk, &story.begin))),
                Part::Facts(facts(desk, "end", end(desk, &story))),
                Part::Raw(raw),
            ])
            .filter(|part| !matches!(part, Part::Facts(facts) if facts.rows.is_empty()))
            .collect(),
    }))
}

/// What is said of a record that is damaged, in whole or in part.
fn damaged(desk: &Desk<'_>, damage: &Damage) -> Words {
    let what = desk.say("log-damaged-what");
    Words {
        id: "damaged",
        heading: desk.say_with("log-damaged", "number", &damage.seq.to_string()),
        tone: MarkTone::Bad,
        lines: std::iter::once(what).chain(damage.file.clone()).collect(),
        links: Vec::new(),
    }
}

fn facts(desk: &Desk<'_>, id: &'static str, rows: Vec<Row>) -> Facts {
    let rows =
        rows.into_iter().filter_map(|(label, bits)| Some((desk.say(label), bits.filter(|bits| !bits.is_empty())?)));
    Facts { id, heading: desk.say(&format!("log-about-{id}")), rows: rows.collect() }
}

fn text(value: Option<&str>) -> Option<Vec<Bit>> {
    value.map(|value| vec![Bit::text(value)])
}

fn mono(value: Option<&str>) -> Option<Vec<Bit>> {
    value.map(|value| vec![Bit::Mono(value.to_owned())])
}

/// What was done, to what, of which patients.
fn what(desk: &Desk<'_>, story: &Story, node: Option<&str>) -> Vec<Row> {
    let begin = &story.begin;
    let patients: Vec<Bit> = story.patients().map(|patient| desk.patient_link(patient)).collect();
    let more = story.patients_count().saturating_sub(patients.len() as u64);
    let more = (more > 0).then(|| Bit::Soft(desk.say_with("log-more-patients", "count", &grouped(more))));
    let flags = [&begin.patient_flags, story.end.as_ref().map_or(&begin.patient_flags, |end| &end.patient_flags)];
    let mut flags: Vec<&String> = flags.into_iter().flatten().collect();
    flags.sort_unstable();
    flags.dedup();
    let flags: Vec<Bit> = flags.into_iter().map(|flag| Bit::Mark(Mark::warn(desk.known("log-flag", flag)))).collect();
    let studies: Vec<Bit> = story.studies().map(|study| Bit::Mono(study.to_owned())).collect();
    let request = [begin.method.as_deref(), begin.path.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    vec![
        ("console-kind", Some(vec![Bit::Text(desk.kind_words(begin.kind.code()))])),
        ("console-app", begin.app.as_deref().map(|app| vec![Bit::Text(desk.app_words(app)), Bit::soft(app)])),
        ("log-action", begin.action.as_deref().map(|action| vec![Bit::Text(desk.action_words(action))])),
        ("log-field-class", begin.class.as_deref().map(|class| vec![Bit::Text(desk.class_words(class))])),
        ("log-request-line", (!request.is_empty()).then(|| vec![Bit::Mono(request)])),
        ("log-host", text(begin.host.as_deref())),
        ("log-patients", Some(patients.into_iter().chain(more).chain(flags).collect())),
        ("log-field-study", Some(studies)),
        ("console-reason", text(begin.reason.as_deref())),
        ("console-proofing", text(begin.proofing.as_deref())),
        ("console-until", begin.until.map(|until| vec![Bit::Moment(desk.minute(until))])),
        ("console-source", text(begin.source.as_deref())),
        ("recording-command", mono(begin.command.as_deref())),
        ("log-file", mono(begin.file.as_deref())),
        ("log-sha", mono(begin.sha256.as_deref())),
        ("console-count", begin.count.map(|count| vec![Bit::Text(grouped(count))])),
        ("log-field-request", mono(begin.request.as_deref())),
        ("log-seq", Some(vec![Bit::Mono(begin.seq.to_string())])),
        ("log-of-node", text(node)),
    ]
}

/// Who did it, and how surely that is known.
fn who(desk: &Desk<'_>, entry: &Entry, names: &Names) -> Vec<Row> {
    let person = if entry.user.is_some() || entry.actor.is_some() || entry.login.is_some() {
        Some(desk.who_bits(entry, names))
    } else {
        None
    };
    let about = match (&entry.actor, &entry.user) {
        (Some(_), Some(user)) => {
            Some(vec![desk.person_link(user, names.get(user).map_or(user.as_str(), String::as_str))])
        }
        (Some(_) | None, _) => None,
    };
    let roles = |roles: &[String]| {
        (!roles.is_empty())
            .then(|| vec![Bit::Text(roles.iter().map(|role| desk.role_words(role)).collect::<Vec<_>>().join(", "))])
    };
    let methods =
        entry.methods.iter().map(|method| desk.known("console-method", method)).collect::<Vec<_>>().join(", ");
    let since = |at: Option<Timestamp>| at.map(|at| vec![Bit::Moment(desk.minute(at))]);
    vec![
        ("console-person", person),
        ("log-about-whom", about),
        ("console-unit", text(entry.unit.as_deref())),
        ("console-roles", roles(&entry.roles)),
        ("console-roles-then", roles(&entry.roles_before)),
        (
            "log-assurance",
            entry.assurance.as_deref().map(|level| vec![Bit::Text(desk.known("policy-assurance", level))]),
        ),
        ("console-methods", (!methods.is_empty()).then(|| vec![Bit::Text(methods)])),
        ("log-proven-since", since(entry.authenticated_at)),
        ("console-roles-confirmed", since(entry.roles_confirmed_at)),
        ("console-provider", text(entry.issuer.as_deref().or(entry.provider.as_deref()))),
        ("log-in-outage", entry.in_outage.then(|| vec![Bit::Mark(Mark::warn(desk.say("console-mark-outage")))])),
        ("console-session", mono(entry.session.as_deref())),
        ("console-key", mono(entry.key.as_deref())),
        ("console-invitation", mono(entry.invitation.as_deref())),
    ]
}

/// Where it came from.
fn from(desk: &Desk<'_>, entry: &Entry) -> Vec<Row> {
    let class = entry.device_class.as_deref().map(|word| {
        let known = DeviceClass::ALL.into_iter().find(|class| class.as_str() == word);
        vec![Bit::Text(known.map_or_else(|| word.to_owned(), |class| desk.say(&format!("device-{}", class.as_str()))))]
    });
    let posture: Vec<Bit> = entry.posture.iter().map(|fact| Bit::Mono(fact.clone())).collect();
    let device = entry
        .device
        .as_deref()
        .map(|device| vec![Bit::link(device, Asked::default().with("device", device).address(desk, "/log/timeline"))]);
    vec![
        ("console-device", device),
        ("console-class", class),
        ("console-place", text(entry.place.as_deref())),
        ("console-posture", Some(posture)),
        ("console-certificate", mono(entry.certificate.as_deref())),
        ("log-address", entry.address.map(|address| vec![Bit::Mono(address.to_string())])),
        ("log-zone", text(entry.zone.as_deref())),
    ]
}

/// Why it was allowed, or was not.
fn why(desk: &Desk<'_>, entry: &Entry) -> Vec<Row> {
    let rule = entry.rule.as_deref().map(|rule| {
        let day = desk.day(entry.at);
        let same = Asked::default().within(&day, &day).with("rule", rule);
        vec![Bit::Mono(rule.to_owned()), Bit::link(desk.say("log-same-rule"), same.address(desk, "/log"))]
    });
    let why = entry.why.as_deref().map(|why| {
        let code = Bit::Soft(why.to_owned());
        vec![Bit::Text(desk.reason_words(why)), code]
    });
    let also: Vec<Bit> = entry.also.iter().map(|why| Bit::Text(desk.reason_words(why))).collect();
    vec![
        ("log-field-rule", rule),
        ("console-reason", why),
        ("log-also", Some(also)),
        ("log-field-grant", mono(entry.grant.as_deref())),
        ("log-field-revision", mono(entry.revision.as_deref())),
        ("log-shadow", text(entry.shadow.as_deref())),
    ]
}

/// How it ended.
fn end(desk: &Desk<'_>, story: &Story) -> Vec<Row> {
    let Some(end) = &story.end else {
        let status = story.status().map(|status| vec![Bit::Text(status.to_string())]);
        return vec![("log-status", status)];
    };
    let took = end
        .duration
        .map(|took| vec![Bit::Text(format!("{} ms", grouped(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))))]);
    let bytes = |bytes: Option<u64>| bytes.map(|bytes| vec![Bit::Text(format!("{} B", grouped(bytes)))]);
    vec![
        ("log-ended", Some(vec![Bit::Text(desk.second(end))])),
        ("log-how-ended", end.end.as_deref().map(|how| vec![Bit::Text(desk.known("log-end", how))])),
        ("console-reason", end.why.as_deref().map(|why| vec![Bit::Text(desk.reason_words(why))])),
        ("log-status", end.status.map(|status| vec![Bit::Text(status.to_string())])),
        ("log-took", took),
        ("log-bytes-in", bytes(end.bytes_in)),
        ("log-bytes-out", bytes(end.bytes_out)),
        ("log-said", end.said.as_deref().map(|said| vec![Bit::Text(said.to_owned())])),
        ("log-requests", end.count.map(|count| vec![Bit::Text(grouped(count))])),
    ]
}

/// What else one may want to see from here.
fn ways_on(desk: &Desk<'_>, story: &Story) -> Vec<Go> {
    let begin = &story.begin;
    let day = desk.day(begin.at);
    let that_day = || Asked::default().within(&day, &day);
    let mut ways = Vec::new();
    if let Some(user) = &begin.user {
        ways.push(Go::new(desk.say("log-way-person"), that_day().with("who", user).address(desk, "/log/timeline")));
    }
    if let Some(device) = &begin.device {
        ways.push(Go::new(
            desk.say("log-way-device"),
            that_day().with("device", device).address(desk, "/log/timeline"),
        ));
    }
    if let Some(session) = &begin.session {
        ways.push(Go::new(desk.say("log-way-session"), that_day().with("session", session).address(desk, "/log")));
    }
    ways
}

/// What else of it is kept on the machine whose log it is of.
fn ways_here(desk: &Desk<'_>, story: &Story) -> Vec<Go> {
    let begin = &story.begin;
    let mut ways: Vec<Go> = super::super::recording::of_story(desk, story).into_iter().collect();
    let is_judged = matches!(begin.kind, EntryKind::Open | EntryKind::Refused);
    if let Some(request) = begin.request.as_deref().filter(|_| is_judged && desk.is(Duty::Inspect)) {
        let query = url::form_urlencoded::byte_serialize(request.as_bytes()).collect::<String>();
        ways.push(Go::new(desk.say("log-way-explain"), format!("/explain?request={query}")));
    }
    ways
}

impl Desk<'_> {
    /// A word of a closed vocabulary as people read it; the word itself where we have none for it.
    pub(super) fn known(&self, family: &str, word: &str) -> String {
        self.voice.try_say(&format!("{family}-{word}")).unwrap_or_else(|| word.to_owned())
    }
}

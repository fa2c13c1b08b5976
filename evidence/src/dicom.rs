//! DICOM audit messages (PS3.15 A.5), in the form that is valid by the standard's schema (A.5.1.1) and by the stricter
//! one that receivers in the field use: every object has a name or a query, and a description with one
//! `ParticipantObjectContainsStudy`; elements and attributes that only one of the two knows are left out.
//!
//! A story about several patients becomes one message for each. The query of a search is not in the log; its path is.

use audit::{Entry, Story};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::Source;
use crate::meaning::{Code, Kind, Meaning, RESTRICTED_FUNCTION};
use crate::xml::Xml;

/// The system of our own names, in codes and identifiers.
pub(crate) const ROLE_SYSTEM: &str = "urn:sekimori:role";
const INTERACTIONS: &str = "http://hl7.org/fhir/restful-interaction";
const DCM: &str = "DCM";
const RFC_3881: &str = "RFC-3881";
const DESTINATION: Code = Code { code: "110152", words: "Destination Role ID" };
const SOURCE: Code = Code { code: "110153", words: "Source Role ID" };
const APPLICATION: Code = Code { code: "110150", words: "Application" };

/// The messages of a story; none where it is nothing to tell of.
#[must_use]
pub fn messages(story: &Story, source: &Source) -> Vec<String> {
    let Some(meaning) = Meaning::of(story) else { return Vec::new() };
    let write = |patient| Message { story, source, meaning, patient }.write();
    meaning.each(story).into_iter().map(write).collect()
}

/// One message: about one patient, or none.
struct Message<'a> {
    story: &'a Story,
    source: &'a Source,
    meaning: Meaning,
    patient: Option<&'a str>,
}

impl Message<'_> {
    fn write(&self) -> String {
        let mut xml = Xml::new();
        xml.element("AuditMessage", &[], |xml| {
            self.event(xml);
            self.participants(xml);
            self.audit_source(xml);
            self.objects(xml);
        });
        xml.end()
    }

    fn begin(&self) -> &Entry {
        &self.story.begin
    }

    fn event(&self, xml: &mut Xml) {
        let moment = self.source.moment(self.begin().at);
        let attributes = [
            ("EventActionCode", self.meaning.done.letter()),
            ("EventDateTime", &moment),
            ("EventOutcomeIndicator", self.meaning.grade.number()),
        ];
        xml.element("EventIdentification", &attributes, |xml| {
            dcm(xml, "EventID", self.meaning.event);
            match self.meaning.kind {
                Kind::Access(interaction) => {
                    coded(xml, "EventTypeCode", interaction.code(), INTERACTIONS, interaction.code())
                }
                Kind::Refusal => dcm(xml, "EventTypeCode", RESTRICTED_FUNCTION),
                Kind::Authentication(what) | Kind::Alert(what) | Kind::Activity(what) => {
                    dcm(xml, "EventTypeCode", what)
                }
                Kind::LogUse => {}
            }
            let words = self.outcome_words();
            if !words.is_empty() {
                xml.element("EventOutcomeDescription", &[], |xml| xml.text(&words));
            }
        });
    }

    /// The reasons, or how it ended, where that is more than a success.
    fn outcome_words(&self) -> String {
        outcome_words(self.story)
    }

    fn participants(&self, xml: &mut Xml) {
        match self.meaning.kind {
            Kind::Access(interaction) => {
                let from_app = interaction.code() == "read";
                let (of_device, of_app) = if from_app { (DESTINATION, SOURCE) } else { (SOURCE, DESTINATION) };
                self.person(xml, true, None);
                self.device(xml, Some(of_device));
                self.app(xml, of_app);
            }
            Kind::Refusal => {
                self.node(xml, true, None);
                self.person(xml, false, None);
                self.device(xml, None);
            }
            Kind::Authentication(_) => {
                let by_itself = self.begin().actor.as_deref().is_some_and(|actor| actor.starts_with("gateway"));
                self.person(xml, !by_itself, self.address());
                self.node(xml, by_itself, None);
            }
            Kind::Alert(_) => {
                self.node(xml, true, None);
                self.actor(xml, false);
                self.person(xml, false, self.address());
            }
            Kind::Activity(_) => self.node(xml, false, Some(APPLICATION)),
            Kind::LogUse => {
                self.node(xml, false, None);
                self.actor(xml, true);
                self.person(xml, true, self.address());
            }
        }
    }

    fn address(&self) -> Option<String> {
        self.begin().address.map(|address| address.to_string())
    }

    /// The person, where the line names one.
    fn person(&self, xml: &mut Xml, is_requestor: bool, address: Option<String>) {
        let begin = self.begin();
        let account = begin.login.as_ref().map(|login| self.source.account(login));
        let user = match (account.as_ref(), begin.user.as_ref(), self.meaning.kind) {
            (Some(account), _, _) => account,
            (None, Some(user), _) => user,
            // Somebody must have asked, or tried to sign in.
            (None, None, Kind::Access(_) | Kind::Authentication(_)) => "anonymous",
            (None, None, Kind::Refusal | Kind::Alert(_) | Kind::Activity(_) | Kind::LogUse) => return,
        };
        let other = match (&begin.issuer, &begin.user) {
            (Some(issuer), Some(sub)) => Some(format!("{issuer}|{sub}")),
            (None, Some(sub)) if begin.login.is_some() => Some(sub.clone()),
            (_, _) => None,
        };
        let point = address.as_deref().map(|address| ("2", address));
        participant(xml, user, (other.as_deref(), begin.name.as_deref()), is_requestor, point, |xml| {
            for role in &begin.roles {
                coded(xml, "RoleIDCode", role, ROLE_SYSTEM, self.source.role(role));
            }
        });
    }

    /// Who did it, where that is someone else than the person it is about.
    fn actor(&self, xml: &mut Xml, is_requestor: bool) {
        if let Some(actor) = &self.begin().actor {
            participant(xml, actor, (None, None), is_requestor, None, |_| {});
        }
    }

    /// The device and where it is. An address alone is a device of which no more is known.
    fn device(&self, xml: &mut Xml, role: Option<Code>) {
        let address = self.address();
        let Some(id) = self.begin().device.as_deref().or(address.as_deref()) else { return };
        let point = address.as_deref().map(|address| ("2", address));
        let certificate = self.begin().certificate.as_ref().map(|digest| format!("sha256:{digest}"));
        participant(xml, id, (certificate.as_deref(), None), false, point, |xml| {
            if let Some(role) = role {
                dcm(xml, "RoleIDCode", role);
            }
        });
    }

    fn app(&self, xml: &mut Xml, role: Code) {
        let begin = self.begin();
        let host = begin.host.as_deref().unwrap_or("-");
        let app = begin.app.as_deref().unwrap_or("-");
        let (user, other) = (format!("https://{host}"), format!("app:{app}"));
        let name = self.source.apps.get(app).map(String::as_str);
        participant(xml, &user, (Some(&other), name), false, Some(("1", host)), |xml| dcm(xml, "RoleIDCode", role));
    }

    fn node(&self, xml: &mut Xml, is_requestor: bool, role: Option<Code>) {
        let point = Some(("1", self.source.machine()));
        participant(xml, &self.source.node, (None, None), is_requestor, point, |xml| {
            if let Some(role) = role {
                dcm(xml, "RoleIDCode", role);
            }
        });
    }

    fn audit_source(&self, xml: &mut Xml) {
        let mut attributes = Vec::new();
        if let Some(code) = &self.source.facility_code {
            attributes.push(("AuditEnterpriseSiteID", code.as_str()));
        }
        attributes.push(("AuditSourceID", self.source.node.as_str()));
        let kind = if matches!(self.meaning.kind, Kind::Access(_)) { "3" } else { "6" };
        xml.element("AuditSourceIdentification", &attributes, |xml| {
            xml.empty("AuditSourceTypeCode", &[("csd-code", kind)]);
        });
    }

    fn objects(&self, xml: &mut Xml) {
        match self.meaning.kind {
            Kind::Access(interaction) => {
                if let Some(patient) = self.patient {
                    self.patient(xml, patient);
                }
                for study in self.story.studies() {
                    let object = Object::new(study, "3", dcm_id("110180", "Study Instance UID"));
                    object.write(xml, "-", &[], &[study]);
                }
                if interaction.code() == "search-type" {
                    self.search(xml);
                } else {
                    let object = Object { life_cycle: Some("6"), ..self.address_object("3") };
                    object.write(xml, &self.what(), &self.details(), &[]);
                }
            }
            Kind::Refusal => {
                let mut details = vec![("Alert Description", outcome_words(self.story))];
                details.extend(self.details());
                self.address_object("13").write(xml, &self.what(), &details, &[]);
            }
            Kind::Authentication(_) | Kind::Activity(_) => {}
            Kind::Alert(_) => self.alert_object(xml),
            Kind::LogUse => {
                let object = Object::new(&format!("urn:sekimori:log:{}", self.source.node), "13", rfc_id("12", "URI"));
                object.write(xml, "Security Audit Log", &self.details(), &[]);
            }
        }
    }

    fn patient(&self, xml: &mut Xml, patient: &str) {
        let id = match self.source.patient_numbers() {
            Some(system) => format!("{patient}^^^&{system}&ISO"),
            None => patient.to_owned(),
        };
        let object =
            Object { kind: "1", life_cycle: Some("6"), ..Object::new(&id, "1", rfc_id("2", "Patient Number")) };
        object.write(xml, "-", &[], &[]);
    }

    /// What was searched, as far as the log has it: the path.
    fn search(&self, xml: &mut Xml) {
        let path = self.begin().path.as_deref().unwrap_or("/");
        let object = Object::new(path, "24", rfc_id("10", "Search Criteria"));
        object.write_query(xml, path, &self.details());
    }

    /// The address that was asked for.
    fn address_object(&self, role: &'static str) -> Object {
        Object::new(&url(self.begin()), role, rfc_id("12", "URI"))
    }

    /// Method and path.
    fn what(&self) -> String {
        let begin = self.begin();
        let words = [begin.method.as_deref(), begin.path.as_deref()];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// What an alert is about: a device, a grant, a host or a person, else the node itself.
    fn alert_object(&self, xml: &mut Xml) {
        let begin = self.begin();
        let account = begin.login.as_ref().map(|login| self.source.account(login));
        let person = account.or_else(|| begin.user.clone());
        let (id, kind) = match (&begin.device, &begin.grant, &begin.host, person) {
            (Some(device), _, _, _) => (device.clone(), dcm_id("110182", "Node ID")),
            (None, Some(grant), _, _) => (format!("urn:sekimori:grant:{grant}"), rfc_id("12", "URI")),
            (None, None, Some(host), _) => (host.clone(), dcm_id("110182", "Node ID")),
            (None, None, None, Some(person)) => (format!("urn:sekimori:person:{person}"), rfc_id("12", "URI")),
            (None, None, None, None) => (self.source.node.clone(), dcm_id("110182", "Node ID")),
        };
        let mut details = vec![("Alert Description", alert_words(begin))];
        details.extend(self.details());
        Object::new(&id, "13", kind).write(xml, begin.kind.code(), &details, &[]);
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        details(self.story, self.source)
    }
}

/// The reasons that were given for a fact; what happened where there are none.
fn alert_words(begin: &Entry) -> String {
    let words = [begin.why.as_deref(), begin.reason.as_deref(), begin.proofing.as_deref()];
    let words = words.into_iter().flatten().collect::<Vec<_>>().join(": ");
    if words.is_empty() { begin.kind.code().to_owned() } else { words }
}

/// The reasons of a refusal, or how an access ended where that is more than a success.
pub(crate) fn outcome_words(story: &Story) -> String {
    let begin = &story.begin;
    if let Some(why) = &begin.why {
        return std::iter::once(why).chain(&begin.also).cloned().collect::<Vec<_>>().join(", ");
    }
    let end = story.end.as_ref();
    let ended = end.and_then(|end| end.end.clone()).filter(|word| word != "served");
    let why = end.and_then(|end| end.why.clone());
    ended.into_iter().chain(why).collect::<Vec<_>>().join(": ")
}

/// Everything else that lines say, by name.
pub(crate) fn details(story: &Story, source: &Source) -> Vec<(&'static str, String)> {
    let (begin, end) = (&story.begin, story.end.as_ref());
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    let all = [
        ("http.status", story.status().map(|status| status.to_string())),
        ("http.method", begin.method.clone()),
        ("request.id", begin.request.clone()),
        ("policy.rule", begin.rule.clone()),
        ("policy.revision", begin.revision.clone()),
        ("session.id", begin.session.clone()),
        ("assurance", begin.assurance.clone()),
        ("zone", begin.zone.clone()),
        ("information.class", begin.class.clone()),
        ("grant", begin.grant.clone()),
        ("end", end.and_then(|end| end.end.clone())),
        ("bytes.in", number(end.and_then(|end| end.bytes_in))),
        ("bytes.out", number(end.and_then(|end| end.bytes_out))),
        ("said", end.and_then(|end| end.said.clone())),
        ("count", number(end.and_then(|end| end.count).or(begin.count))),
        ("patients", number(Some(story.patients_count()).filter(|count| *count > 1))),
        ("expires", begin.until.map(|until| source.moment(until))),
        ("invitation", begin.invitation.clone()),
        ("key", begin.key.clone()),
        ("log.line", Some(begin.seq.to_string())),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The address that was asked for, without its query.
pub(crate) fn url(begin: &Entry) -> String {
    format!("https://{}{}", begin.host.as_deref().unwrap_or("-"), begin.path.as_deref().unwrap_or("/"))
}

/// A participating object.
struct Object {
    id: String,
    kind: &'static str,
    role: &'static str,
    life_cycle: Option<&'static str>,
    id_type: (&'static str, &'static str, &'static str),
}

fn dcm_id(code: &'static str, words: &'static str) -> (&'static str, &'static str, &'static str) {
    (code, DCM, words)
}

fn rfc_id(code: &'static str, words: &'static str) -> (&'static str, &'static str, &'static str) {
    (code, RFC_3881, words)
}

impl Object {
    /// A system object.
    fn new(id: &str, role: &'static str, id_type: (&'static str, &'static str, &'static str)) -> Self {
        Self { id: id.to_owned(), kind: "2", role, life_cycle: None, id_type }
    }

    fn write(&self, xml: &mut Xml, name: &str, details: &[(&'static str, String)], studies: &[&str]) {
        let name = if name.is_empty() { "-" } else { name };
        self.write_with(xml, |xml| xml.element("ParticipantObjectName", &[], |xml| xml.text(name)), details, studies);
    }

    fn write_query(&self, xml: &mut Xml, query: &str, details: &[(&'static str, String)]) {
        let encoded = BASE64.encode(query);
        let query = |xml: &mut Xml| xml.element("ParticipantObjectQuery", &[], |xml| xml.text(&encoded));
        self.write_with(xml, query, details, &[]);
    }

    fn write_with(
        &self,
        xml: &mut Xml,
        name: impl FnOnce(&mut Xml),
        details: &[(&'static str, String)],
        studies: &[&str],
    ) {
        let mut attributes = vec![
            ("ParticipantObjectID", self.id.as_str()),
            ("ParticipantObjectTypeCode", self.kind),
            ("ParticipantObjectTypeCodeRole", self.role),
        ];
        attributes.extend(self.life_cycle.map(|cycle| ("ParticipantObjectDataLifeCycle", cycle)));
        xml.element("ParticipantObjectIdentification", &attributes, |xml| {
            let (code, system, words) = self.id_type;
            coded(xml, "ParticipantObjectIDTypeCode", code, system, words);
            name(xml);
            for (kind, value) in details {
                let encoded = BASE64.encode(value);
                xml.empty("ParticipantObjectDetail", &[("type", kind), ("value", &encoded)]);
            }
            xml.element("ParticipantObjectDescription", &[], |xml| {
                xml.element("ParticipantObjectContainsStudy", &[], |xml| {
                    for study in studies {
                        xml.empty("StudyIDs", &[("UID", study)]);
                    }
                });
            });
        });
    }
}

fn dcm(xml: &mut Xml, element: &'static str, code: Code) {
    coded(xml, element, code.code, DCM, code.words);
}

fn coded(xml: &mut Xml, element: &'static str, code: &str, system: &str, words: &str) {
    xml.empty(element, &[("csd-code", code), ("codeSystemName", system), ("originalText", words)]);
}

/// A participant: its name, another name of it and what people call it; whether it asked; where it was.
fn participant(
    xml: &mut Xml,
    user: &str,
    (other, name): (Option<&str>, Option<&str>),
    is_requestor: bool,
    point: Option<(&'static str, &str)>,
    inside: impl FnOnce(&mut Xml),
) {
    let mut attributes = vec![("UserID", user)];
    attributes.extend(other.map(|other| ("AlternativeUserID", other)));
    attributes.extend(name.map(|name| ("UserName", name)));
    attributes.push(("UserIsRequestor", if is_requestor { "true" } else { "false" }));
    if let Some((kind, place)) = point {
        attributes.extend([("NetworkAccessPointTypeCode", kind), ("NetworkAccessPointID", place)]);
    }
    xml.element("ActiveParticipant", &attributes, inside);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{house, story};

    #[test]
    fn each_patient_gets_a_message_and_what_is_no_event_none() {
        let open = r#""ev":"open","act":"search","m":"GET","host":"a","path":"/x","app":"emr","pt":["1"]"#;
        let several = story(open, Some(r#""end":"served","st":200,"pt":["2","3"]"#));
        let messages = messages(&several, &house());
        assert_eq!(messages.len(), 3);
        for (message, patient) in messages.iter().zip(["1", "2", "3"]) {
            assert!(message.contains(&format!("ParticipantObjectID=\"{patient}^^^&amp;1.2.392")), "{message}");
            assert_eq!(message.matches("csd-code=\"2\" codeSystemName=\"RFC-3881\"").count(), 1, "{message}");
        }
        assert!(super::messages(&story(r#""ev":"segment""#, None), &house()).is_empty());
    }

    #[test]
    fn nothing_in_a_line_gets_out_of_its_attribute() {
        let line =
            r#""ev":"open","act":"read","m":"GET","host":"a","path":"/\"><x>","login":"\"/><y a=\"","pt":["<&>"]"#;
        for message in messages(&story(line, None), &house()) {
            assert!(!message.contains("<x>") && !message.contains("<y") && !message.contains("<&"), "{message}");
        }
    }

    #[test]
    fn who_signs_in_without_a_name_is_nobody_known() {
        let message = messages(&story(r#""ev":"sign-in-failed","ip":"192.0.2.1","why":"x""#, None), &house());
        assert!(message[0].contains(r#"UserID="anonymous" UserIsRequestor="true""#), "{message:?}");
    }
}

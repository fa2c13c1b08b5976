//! FHIR R4 AuditEvents, by IHE BALP where that has a profile: for accesses that succeeded. Refusals and facts have the
//! layout of the core resource and claim no profile.
//!
//! A story about several patients becomes one event for each, as BALP asks. What the log does not say is not said: no
//! purpose of use but of broken glass and a vendor's grant, no query but its path, no person's id at their provider but
//! ours.

use audit::{Entry, Story};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use policy::GrantKind;
use serde_json::{Map, Value, json};

use crate::Source;
use crate::dicom::{ROLE_SYSTEM, details, outcome_words, url};
use crate::meaning::{Code, EXPORT, Grade, Interaction, Kind, Meaning, RESTRICTED_FUNCTION};

const PROFILES: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";
const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const EVENT_TYPES: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const INTERACTIONS: &str = "http://hl7.org/fhir/restful-interaction";
const PARTICIPATIONS: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const REASONS: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const ENTITY_TYPES: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLES: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const SOURCE_TYPES: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
const SECURITY_ROLES: &str = "http://terminology.hl7.org/CodeSystem/extra-security-role-type";
const CUSTODIANS: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
const AUTHORIZATION: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType";
const ENTITIES: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
const DESTINATION: (&str, &str) = (DCM, "110152");
const SOURCE: (&str, &str) = (DCM, "110153");
const APPLICATION: (&str, &str) = (DCM, "110150");

/// The events of a story; none where it is nothing to tell of.
#[must_use]
pub fn events(story: &Story, source: &Source) -> Vec<Value> {
    let Some(meaning) = Meaning::of(story) else { return Vec::new() };
    let write = |patient| Event { story, source, meaning, patient }.write();
    meaning.each(story).into_iter().map(write).collect()
}

/// One event: about one patient, or none.
struct Event<'a> {
    story: &'a Story,
    source: &'a Source,
    meaning: Meaning,
    patient: Option<&'a str>,
}

impl Event<'_> {
    fn write(&self) -> Value {
        let mut event = Map::new();
        let mut put = |key: &str, value: Value| drop(event.insert(key.to_owned(), value));
        put("resourceType", "AuditEvent".into());
        if let Some(profile) = self.profile() {
            put("meta", json!({ "profile": [format!("{PROFILES}{profile}")] }));
        }
        let (kind, subtypes) = self.types();
        put("type", kind);
        if !subtypes.is_empty() {
            put("subtype", subtypes.into());
        }
        put("action", self.meaning.done.letter().into());
        put("recorded", self.source.moment(self.begin().at).into());
        put("outcome", self.meaning.grade.number().into());
        let words = outcome_words(self.story);
        if !words.is_empty() {
            put("outcomeDesc", words.into());
        }
        put("agent", self.agents().into());
        put("source", self.audit_source());
        let entities = self.entities();
        if !entities.is_empty() {
            put("entity", entities.into());
        }
        event.into()
    }

    fn begin(&self) -> &Entry {
        &self.story.begin
    }

    /// The profile that the event keeps. BALP's are for success.
    fn profile(&self) -> Option<String> {
        let Kind::Access(interaction) = self.meaning.kind else { return None };
        let name = match interaction {
            Interaction::Create => "Create",
            Interaction::Read => "Read",
            Interaction::Update | Interaction::Patch => "Update",
            Interaction::Delete => "Delete",
            Interaction::Search => "Query",
            Interaction::Operation => return None,
        };
        let about = if self.patient.is_some() { "Patient" } else { "" };
        let keeps = self.meaning.grade == Grade::Success && self.meaning.event != EXPORT;
        keeps.then(|| format!("{about}{name}"))
    }

    fn types(&self) -> (Value, Vec<Value>) {
        let dcm = |code: Code| json!({ "system": DCM, "code": code.code, "display": code.words });
        match self.meaning.kind {
            Kind::Access(interaction) => {
                let rest = json!({ "system": EVENT_TYPES, "code": "rest", "display": "Restful Operation" });
                let kind = if self.meaning.event == EXPORT { dcm(EXPORT) } else { rest };
                (kind, vec![json!({ "system": INTERACTIONS, "code": interaction.code() })])
            }
            Kind::Refusal => {
                let role = json!({ "system": AUTHORIZATION, "code": "AuthZ-Role" });
                (dcm(self.meaning.event), vec![role, dcm(RESTRICTED_FUNCTION)])
            }
            Kind::Authentication(what) | Kind::Alert(what) | Kind::Activity(what) => {
                (dcm(self.meaning.event), vec![dcm(what)])
            }
            Kind::LogUse => (dcm(self.meaning.event), Vec::new()),
        }
    }

    fn agents(&self) -> Vec<Value> {
        match self.meaning.kind {
            Kind::Access(interaction) => {
                let (user, client, server) = match interaction {
                    Interaction::Read => ("IRCP", DESTINATION, SOURCE),
                    Interaction::Search => ("IRCP", SOURCE, DESTINATION),
                    Interaction::Create | Interaction::Update | Interaction::Patch | Interaction::Operation => {
                        ("AUT", SOURCE, DESTINATION)
                    }
                    Interaction::Delete => ("AUT", APPLICATION, (CUSTODIANS, "custodian")),
                };
                let person = self.person(user);
                let client = self.client(client, person.is_none());
                person.into_iter().chain([client, self.server(server)]).collect()
            }
            Kind::Refusal => {
                let person = self.person("IRCP");
                let client = self.client(APPLICATION, person.is_none());
                std::iter::once(client).chain(person).chain([self.node(false)]).collect()
            }
            Kind::Authentication(_) | Kind::Alert(_) | Kind::Activity(_) | Kind::LogUse => {
                let acting = self.actor();
                let person = self.person(if acting.is_some() { "SBJ" } else { "IRCP" });
                let asked = acting.or_else(|| person.clone());
                let other = person.filter(|person| asked.as_ref() != Some(person)).map(as_bystander);
                let node = self.node(asked.is_none());
                asked.into_iter().chain(other).chain([node]).collect()
            }
        }
    }

    /// The person, where the line names one.
    fn person(&self, participation: &str) -> Option<Value> {
        let begin = self.begin();
        let id = begin.user.as_ref().or(begin.login.as_ref())?;
        let mut identifier = json!({ "system": "urn:sekimori:person", "value": id });
        if let Some(issuer) = &begin.issuer {
            insert(&mut identifier, "assigner", json!({ "display": issuer }));
        }
        let mut who = json!({ "identifier": identifier });
        if let Some(name) = begin.name.as_ref().or(begin.login.as_ref()) {
            insert(&mut who, "display", name.as_str().into());
        }
        let mut agent = json!({ "type": coded(PARTICIPATIONS, participation), "who": who, "requestor": true });
        let roles: Vec<Value> = begin.roles.iter().map(|role| self.role(role)).collect();
        if !roles.is_empty() {
            insert(&mut agent, "role", roles.into());
        }
        if let Some(login) = &begin.login {
            insert(&mut agent, "name", login.as_str().into());
        }
        let policies = [("rule", &begin.rule), ("revision", &begin.revision)];
        let policies: Vec<Value> = policies
            .into_iter()
            .filter_map(|(kind, id)| Some(format!("urn:sekimori:{kind}:{}", id.as_ref()?).into()))
            .collect();
        if !policies.is_empty() {
            insert(&mut agent, "policy", policies.into());
        }
        if let Some(grant) = &begin.grant {
            let is_glass = grant.starts_with(GrantKind::Glass.prefix());
            let purpose = if is_glass { "BTG" } else { "HSYSADMIN" };
            insert(&mut agent, "purposeOfUse", json!([coded(REASONS, purpose)]));
        }
        Some(agent)
    }

    fn role(&self, role: &str) -> Value {
        json!({ "coding": [{ "system": ROLE_SYSTEM, "code": role }], "text": self.source.role(role) })
    }

    /// Who did it, where that is someone else than the person it is about.
    fn actor(&self) -> Option<Value> {
        let actor = self.begin().actor.as_ref()?;
        let who = json!({ "identifier": { "system": "urn:sekimori:actor", "value": actor } });
        Some(json!({ "type": coded(PARTICIPATIONS, "AUT"), "who": who, "requestor": true }))
    }

    /// The device and where it is. An address alone is a device of which no more is known.
    fn client(&self, (system, code): (&str, &str), is_requestor: bool) -> Value {
        let begin = self.begin();
        let address = begin.address.map(|address| address.to_string());
        let identifier = match (&begin.device, &address) {
            (Some(device), _) => json!({ "system": "urn:sekimori:device", "value": device }),
            (None, Some(address)) => json!({ "system": "urn:sekimori:address", "value": address }),
            (None, None) => json!({ "system": "urn:sekimori:device", "value": "unknown" }),
        };
        let mut agent =
            json!({ "type": coded(system, code), "who": { "identifier": identifier }, "requestor": is_requestor });
        if let Some(address) = address {
            insert(&mut agent, "network", json!({ "address": address, "type": "2" }));
        }
        agent
    }

    fn server(&self, (system, code): (&str, &str)) -> Value {
        let begin = self.begin();
        let app = begin.app.as_deref().unwrap_or("unknown");
        let mut who = json!({ "identifier": { "system": "urn:sekimori:app", "value": app } });
        if let Some(name) = self.source.apps.get(app) {
            insert(&mut who, "display", name.as_str().into());
        }
        let address = format!("https://{}", begin.host.as_deref().unwrap_or("unknown"));
        json!({ "type": coded(system, code), "who": who, "requestor": false, "network": { "address": address, "type": "5" } })
    }

    fn node(&self, is_requestor: bool) -> Value {
        json!({ "type": coded(SECURITY_ROLES, "authserver"), "who": { "identifier": self.node_id() }, "requestor": is_requestor })
    }

    fn node_id(&self) -> Value {
        json!({ "system": "urn:sekimori:node", "value": self.source.node })
    }

    fn audit_source(&self) -> Value {
        let is_access = matches!(self.meaning.kind, Kind::Access(_));
        let (code, words) = if is_access { ("3", "Web Server") } else { ("6", "Security Server") };
        let mut source = json!({
            "observer": { "identifier": self.node_id(), "display": self.source.facility },
            "type": [{ "system": SOURCE_TYPES, "code": code, "display": words }],
        });
        if let Some(site) = &self.source.facility_code {
            insert(&mut source, "site", site.as_str().into());
        }
        source
    }

    fn entities(&self) -> Vec<Value> {
        let begin = self.begin();
        match self.meaning.kind {
            Kind::Access(Interaction::Search) => {
                let query = json!({
                    "type": entity_type("2"), "role": object_role("24"),
                    "query": BASE64.encode(begin.path.as_deref().unwrap_or("/")),
                });
                [query].into_iter().chain(self.patient_entity()).chain(self.request_entity()).collect()
            }
            Kind::Access(_) => {
                let what = json!({ "reference": url(begin) });
                let data = self.object("4", what, self.story.studies().map(|study| ("study.uid", study.to_owned())));
                [data].into_iter().chain(self.patient_entity()).chain(self.request_entity()).collect()
            }
            Kind::Refusal => {
                let what = json!({ "identifier": { "system": "urn:ietf:rfc:3986", "value": url(begin) } });
                [self.object("4", what, std::iter::empty())].into_iter().chain(self.request_entity()).collect()
            }
            Kind::Authentication(_) | Kind::Activity(_) => Vec::new(),
            Kind::Alert(_) => {
                let identifier = match (&begin.device, begin.user.as_ref().or(begin.login.as_ref())) {
                    (Some(device), _) => json!({ "system": "urn:sekimori:device", "value": device }),
                    (None, Some(person)) => json!({ "system": "urn:sekimori:person", "value": person }),
                    (None, None) => self.node_id(),
                };
                let words = [("event", Some(begin.kind.code().to_owned())), ("reason", begin.reason.clone())];
                let words = words.into_iter().filter_map(|(name, value)| Some((name, value?)));
                vec![self.object("13", json!({ "identifier": identifier }), words)]
            }
            Kind::LogUse => {
                let log =
                    json!({ "system": "urn:ietf:rfc:3986", "value": format!("urn:sekimori:log:{}", self.source.node) });
                let what = json!({ "identifier": log, "display": "Security Audit Log" });
                vec![self.object("13", what, begin.reason.clone().map(|words| ("question", words)).into_iter())]
            }
        }
    }

    /// A system object with everything that the lines say beside.
    fn object(&self, role: &str, what: Value, more: impl Iterator<Item = (&'static str, String)>) -> Value {
        let detail = |(kind, value): (&'static str, String)| json!({ "type": kind, "valueString": value });
        let details: Vec<Value> = details(self.story, self.source)
            .into_iter()
            .chain(more)
            .filter(|(_, value)| !value.trim().is_empty())
            .map(detail)
            .collect();
        json!({ "what": what, "type": entity_type("2"), "role": object_role(role), "detail": details })
    }

    fn patient_entity(&self) -> Option<Value> {
        let mut identifier = json!({ "value": self.patient? });
        if let Some(system) = self.source.patient_numbers() {
            insert(&mut identifier, "system", format!("urn:oid:{system}").into());
        }
        let what = json!({ "type": "Patient", "identifier": identifier });
        Some(json!({ "what": what, "type": entity_type("1"), "role": object_role("1") }))
    }

    fn request_entity(&self) -> Option<Value> {
        let request = self.begin().request.as_ref()?;
        let kind = json!({ "system": ENTITIES, "code": "XrequestId" });
        Some(json!({ "what": { "identifier": { "value": request } }, "type": kind }))
    }
}

fn as_bystander(mut agent: Value) -> Value {
    insert(&mut agent, "requestor", false.into());
    agent
}

fn coded(system: &str, code: &str) -> Value {
    json!({ "coding": [{ "system": system, "code": code }] })
}

fn entity_type(code: &str) -> Value {
    let words = if code == "1" { "Person" } else { "System Object" };
    json!({ "system": ENTITY_TYPES, "code": code, "display": words })
}

fn object_role(code: &str) -> Value {
    json!({ "system": OBJECT_ROLES, "code": code })
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{house, story};

    fn one(begin: &str, end: Option<&str>) -> Value {
        let mut events = events(&story(begin, end), &house());
        assert_eq!(events.len(), 1);
        events.remove(0)
    }

    #[test]
    fn each_patient_gets_an_event_of_their_own() {
        let begin =
            r#""ev":"open","act":"read","m":"GET","host":"a","path":"/x","app":"emr","sub":"u-1","pt":["1","2"]"#;
        let events = events(&story(begin, Some(r#""end":"served","st":200"#)), &house());
        assert_eq!(events.len(), 2);
        for (event, patient) in events.iter().zip(["1", "2"]) {
            assert_eq!(event["entity"][1]["what"]["identifier"]["value"], patient);
            assert_eq!(event["meta"]["profile"][0], format!("{PROFILES}PatientRead"));
        }
    }

    #[test]
    fn only_success_claims_a_profile() {
        let open = r#""ev":"open","act":"read","m":"GET","host":"a","path":"/x","app":"emr""#;
        assert!(one(open, Some(r#""end":"served","st":200"#))["meta"].is_object());
        assert!(one(open, Some(r#""end":"served","st":500"#))["meta"].is_null());
        assert!(one(&open.replace("open", "refused"), None)["meta"].is_null());
    }

    #[test]
    fn somebody_always_asked() {
        for event in audit::Event::ALL {
            for more in ["", r#","actor":"cli:a""#, r#","sub":"u-1","login":"a""#, r#","actor":"cli:a","sub":"u-1""#] {
                let event = one(&format!(r#""ev":"{}"{more}"#, event.code()), None);
                let asked = event["agent"].as_array().unwrap().iter().filter(|agent| agent["requestor"] == true);
                assert_eq!(asked.count(), 1, "{event}");
            }
        }
    }

    #[test]
    fn searches_state_what_was_searched_and_nothing_else() {
        let event =
            one(r#""ev":"open","act":"search","m":"GET","host":"a","path":"/dicom-web/studies","id":"r""#, None);
        let query = &event["entity"][0];
        assert_eq!(query["query"], BASE64.encode("/dicom-web/studies"));
        assert!(query["what"].is_null() && query["detail"].is_null());
        assert_eq!(event["agent"][0]["type"]["coding"][0]["code"], "110153");
    }
}

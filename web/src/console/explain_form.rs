//! The form in which an access is described, and the access it describes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use policy::{
    Access, AppId, Assurance, DeviceClass, DeviceId, Method, Methods, Path, PostureDemand, Question, RoleId,
    SignInMethod, Timestamp, ZoneId,
};
use store::{PeopleFilter, Person};

use super::desk::{Desk, Refused};
use super::posted::Posted;
use super::view::{Choice, Field, Form, Submit};
use crate::notice::read_wall_clock;
use crate::{Fault, PolicyWords};

/// The methods that a form offers; every other is asked for at the command line.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "CONNECT"];
/// The longest path, in characters.
const PATH_CHARS_MAX: usize = 2_000;
/// The longest name, and the longest list of what is reported.
const TEXT_CHARS_MAX: usize = 100;
/// How many people of one name are looked at.
const PEOPLE_MAX: usize = 200;

/// What somebody described, as they typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    person: String,
    roles: Vec<RoleId>,
    device: String,
    class: String,
    posture: String,
    app: String,
    method: String,
    path: String,
    zone: String,
    at: String,
    assurance: String,
    by: String,
    minutes: String,
    grant: bool,
    in_outage: bool,
}

impl Default for Asked {
    fn default() -> Self {
        let none = String::new;
        Self {
            person: none(),
            roles: Vec::new(),
            device: none(),
            class: none(),
            posture: none(),
            app: none(),
            method: "GET".to_owned(),
            path: "/".to_owned(),
            zone: none(),
            at: none(),
            assurance: Assurance::Aal2.as_str().to_owned(),
            by: SignInMethod::Provider.as_str().to_owned(),
            minutes: "0".to_owned(),
            grant: false,
            in_outage: false,
        }
    }
}

/// What stands against an answer, by the key of its words.
type Problem = &'static str;

impl Asked {
    /// Reads what was posted.
    pub(super) fn read(form: &Posted) -> Result<Self, Refused> {
        let line = |name| form.line(name, TEXT_CHARS_MAX);
        let roles = form.all("role").map(|role| RoleId::parse(role).map_err(|_| Fault::BadRequest));
        Ok(Self {
            person: line("person")?,
            roles: roles.collect::<Result<_, _>>()?,
            device: line("device")?,
            class: line("class")?,
            posture: line("posture")?,
            app: line("app")?,
            method: line("method")?,
            path: form.line("path", PATH_CHARS_MAX)?,
            zone: line("zone")?,
            at: line("at")?,
            assurance: line("assurance")?,
            by: line("by")?,
            minutes: line("minutes")?,
            grant: form.all("also").any(|also| also == "grant"),
            in_outage: form.all("also").any(|also| also == "outage"),
        })
    }

    /// The access it describes.
    pub(super) async fn access(&self, desk: &Desk<'_>) -> Result<Result<Access, Problem>, Refused> {
        let mut question = match self.question(desk) {
            Ok(question) => question,
            Err(problem) => return Ok(Err(problem)),
        };
        let person = match self.person(desk).await? {
            Ok(person) => person,
            Err(problem) => return Ok(Err(problem)),
        };
        if let Some(person) = &person {
            question.roles.extend(person.roles.iter().cloned());
            question.user = Some(person.id.clone());
        }
        question.signed_in = person.is_some() || !question.roles.is_empty();
        match self.device(desk, &mut question.posture).await? {
            Ok(device) => question.device = device,
            Err(problem) => return Ok(Err(problem)),
        }
        let mut access = question.access(&desk.site.parts.policy);
        if let Some(who) = &mut access.who {
            Arc::make_mut(who).name = person.map(|person| person.name).unwrap_or_default().into();
        }
        Ok(Ok(access))
    }

    /// What can be said without the store.
    fn question(&self, desk: &Desk<'_>) -> Result<Question, Problem> {
        let app = AppId::parse(&self.app).ok().filter(|app| desk.config().apps.iter().any(|one| one.id == *app));
        let method = Method::parse(&self.method).ok_or("policy-ask-problem-method")?;
        let path = Path::parse(&self.path).map_err(|_| "policy-ask-problem-path")?;
        let zone = zones(desk).into_iter().find(|zone| zone.as_str() == self.zone);
        let (app, zone) = (app.ok_or("policy-ask-problem-app")?, zone.ok_or("policy-ask-problem-zone")?);
        let mut question = Question::new(app, method, path, zone, self.moment(desk)?);
        question.roles.clone_from(&self.roles);
        question.posture = self
            .posture
            .split([',', '、'])
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .map(|one| PostureDemand::parse(one).map_err(|_| "policy-ask-problem-posture"))
            .collect::<Result<_, _>>()?;
        question.assurance = Assurance::parse(&self.assurance).ok_or("policy-ask-problem-assurance")?;
        let by = SignInMethod::parse(&self.by).ok_or("policy-ask-problem-method")?;
        question.methods = Methods::of([by]);
        let minutes: u32 = self.minutes.parse().map_err(|_| "policy-ask-problem-minutes")?;
        question.auth_age = Duration::from_secs(u64::from(minutes) * 60);
        question.in_outage = self.in_outage;
        question.grant = if self.grant { "asked-for".parse().ok() } else { None };
        question.address = desk.request.from.address;
        Ok(question)
    }

    /// The moment on the hospital's clock; now where none is given.
    fn moment(&self, desk: &Desk<'_>) -> Result<Timestamp, Problem> {
        if self.at.is_empty() {
            return Ok(desk.at());
        }
        read_wall_clock(&self.at, desk.config().offset).ok_or("policy-ask-problem-at")
    }

    /// The person with this login, where one is named.
    async fn person(&self, desk: &Desk<'_>) -> Result<Result<Option<Person>, Problem>, Refused> {
        if self.person.is_empty() {
            return Ok(Ok(None));
        }
        let filter = PeopleFilter { text: Some(self.person.clone()), ..PeopleFilter::default() };
        let found = desk.store().people(filter, None, PEOPLE_MAX).await?;
        let mut named = found.into_iter().filter(|person| person.login == self.person);
        Ok(match (named.next(), named.next()) {
            (Some(person), None) => Ok(Some(person)),
            (Some(_), Some(_)) => Err("policy-ask-problem-several"),
            (None, _) => Err("policy-ask-problem-person"),
        })
    }

    /// The device of the ledger with what is freshly reported of it, or one of a class, or none that is known.
    async fn device(
        &self,
        desk: &Desk<'_>,
        posture: &mut Vec<PostureDemand>,
    ) -> Result<Result<Option<(Option<DeviceId>, DeviceClass)>, Problem>, Refused> {
        if self.device.is_empty() {
            let class = DeviceClass::parse(&self.class);
            let is_wrong = class.is_none() && !self.class.is_empty();
            return Ok(if is_wrong { Err("policy-ask-problem-device") } else { Ok(class.map(|class| (None, class))) });
        }
        let Ok(id) = DeviceId::parse(&self.device) else { return Ok(Err("policy-ask-problem-device")) };
        let Some(device) = desk.store().device(&id).await? else { return Ok(Err("policy-ask-problem-device")) };
        let reported = desk.store().posture().await?;
        let fresh = reported.into_iter().filter(|row| row.device == id && row.expires_at > desk.at());
        posture.extend(fresh.filter_map(|row| PostureDemand::parse(&format!("{}={}", row.name, row.value)).ok()));
        Ok(Ok(Some((Some(id), device.class))))
    }
}

/// The zones there are.
fn zones(desk: &Desk<'_>) -> BTreeSet<ZoneId> {
    desk.config().listeners.iter().map(|listener| listener.zone.clone()).collect()
}

/// The form, filled in.
pub(super) fn form(desk: &Desk<'_>, asked: &Asked) -> Form {
    let words = PolicyWords::new(desk.voice, desk.config());
    let text = |name, value: &str, most| Field::text("ask", name, desk.say(&format!("policy-ask-{name}")), value, most);
    let hinted = |field: Field, name: &str| field.hinted(desk.say(&format!("policy-ask-{name}-hint")));
    let choice = |name, choices| Field::choice("ask", name, desk.say(&format!("policy-ask-{name}")), choices);
    let role = |role: &RoleId| Choice::new(role.as_str(), desk.role_name(role), asked.roles.contains(role));
    let class =
        |class: DeviceClass| Choice::new(class.as_str(), words.device_class(class), class.as_str() == asked.class);
    let no_device = Choice::new("", desk.say("policy-ask-class-none"), asked.class.is_empty());
    let apps = desk.config().apps.iter();
    let app = apps.map(|app| Choice::new(app.id.as_str(), words.app(&app.id), app.id.as_str() == asked.app));
    let method = METHODS.map(|method| Choice::new(method, method.to_owned(), method == asked.method));
    let zone = zones(desk).into_iter().map(|zone| {
        let is_chosen = zone.as_str() == asked.zone;
        Choice::new(zone.as_str(), zone.to_string(), is_chosen)
    });
    let assurance =
        |level: Assurance| Choice::new(level.as_str(), words.assurance(level), level.as_str() == asked.assurance);
    let by = |by: SignInMethod| {
        Choice::new(by.as_str(), desk.say(&format!("console-method-{}", by.as_str())), by.as_str() == asked.by)
    };
    let also = |value: &'static str, is_chosen| Choice::new(value, desk.say(&format!("policy-ask-{value}")), is_chosen);
    Form {
        id: "ask",
        heading: desk.say("policy-ask-described"),
        lead: Some(desk.say("policy-ask-described-lead")),
        action: "/explain".to_owned(),
        with_file: false,
        fields: vec![
            hinted(text("person", &asked.person, TEXT_CHARS_MAX), "person"),
            Field::some_of("ask", "role", desk.say("console-roles"), desk.config().roles.keys().map(role).collect()),
            hinted(text("device", &asked.device, TEXT_CHARS_MAX), "device"),
            choice("class", [no_device].into_iter().chain(DeviceClass::ALL.map(class)).collect()),
            hinted(text("posture", &asked.posture, TEXT_CHARS_MAX), "posture"),
            choice("app", app.collect()),
            choice("method", method.into()),
            text("path", &asked.path, PATH_CHARS_MAX).required(),
            choice("zone", zone.collect()),
            hinted(text("at", &asked.at, 25), "at"),
            choice("assurance", Assurance::ALL.map(assurance).into()),
            choice("by", SignInMethod::ALL.map(by).into()),
            text("minutes", &asked.minutes, 6),
            Field::some_of(
                "ask",
                "also",
                desk.say("policy-ask-also"),
                vec![also("grant", asked.grant), also("outage", asked.in_outage)],
            ),
        ],
        buttons: Submit::main(desk.say("policy-ask-button")),
        back: None,
        folded: false,
    }
}

//! The words of Cedar policies here: namespace `Sekimori`, one schema for table and files, checked strictly.
//!
//! Apps are enumerated, so a misspelt app is found when the policy is loaded; built-in apps are left out, so no
//! policy can reach them.

use std::collections::BTreeSet;

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema};

use crate::facts::{Fact, Facts, Reads};
use crate::grant::Held;
use crate::{Action, AppFacts, AppId, GrantId, GrantKind, InfoClass, SignInMethod, Who, posture};

/// The schema for these apps.
pub(crate) fn schema(apps: &[AppFacts]) -> Schema {
    let (schema, _warnings) = Schema::from_cedarschema_str(&text(apps)).expect("the text below is a schema");
    schema
}

/// The schema for these apps, as Cedar writes it.
pub(crate) fn text(apps: &[AppFacts]) -> String {
    let configured = apps.iter().filter(|app| !app.built_in).map(|app| format!("\"{}\"", app.id));
    let configured: Vec<_> = configured.collect::<BTreeSet<_>>().into_iter().collect();
    let apps = if configured.is_empty() { String::new() } else { format!(" enum [{}]", configured.join(", ")) };
    let asked = "appliesTo { principal: [User, Visitor], resource: [App], context: Facts }";
    format!(
        r#"namespace Sekimori {{
            entity Role;
            entity User in [Role];
            entity Visitor enum ["anonymous"];
            entity App{apps};
            type Facts = {{
                zone: String, method: String, path: String, class: String, host: String, address: ipaddr,
                minute: Long, weekday: String, weekday_before: String,
                assurance: Long, auth_age_seconds: Long, signed_in: Bool, same_device: Bool,
                methods: Set<String>, key_model: String, in_outage: Bool, roles_age_seconds: Long,
                grant: String, break_glass: String,
                device: {{ known: Bool, id: String, class: String, posture: Set<String> }},
            }};
            action "read" {asked};
            action "search" in ["read"] {asked};
            action "write" {asked};
            action "delete" in ["write"] {asked};
            action "export" {asked};
            action "connect" {asked};
        }}"#
    )
}

/// The entities that every question shares, made once.
#[derive(Debug)]
pub(crate) struct Words {
    user: EntityTypeName,
    role: EntityTypeName,
    visitor: EntityUid,
    read: EntityUid,
    search: EntityUid,
    write: EntityUid,
    delete: EntityUid,
    export: EntityUid,
    connect: EntityUid,
    actions: Entities,
}

impl Words {
    pub(crate) fn of(schema: &Schema) -> Self {
        let action = |action: Action| uid(&kind("Action"), action.as_str());
        Self {
            user: kind("User"),
            role: kind("Role"),
            visitor: uid(&kind("Visitor"), "anonymous"),
            read: action(Action::Read),
            search: action(Action::Search),
            write: action(Action::Write),
            delete: action(Action::Delete),
            export: action(Action::Export),
            connect: action(Action::Connect),
            actions: schema.action_entities().expect("the actions of our schema have no cycle"),
        }
    }

    pub(crate) fn action(&self, action: Action) -> &EntityUid {
        match action {
            Action::Read => &self.read,
            Action::Search => &self.search,
            Action::Write => &self.write,
            Action::Delete => &self.delete,
            Action::Export => &self.export,
            Action::Connect => &self.connect,
        }
    }

    /// A person with their roles, or nobody.
    pub(crate) fn principal(&self, who: Option<&Who>) -> Principal {
        let Some(who) = who else {
            return Principal { uid: self.visitor.clone(), entities: self.actions.clone() };
        };
        let uid_of_person = uid(&self.user, who.user.as_str());
        let roles = who.roles.iter().map(|role| uid(&self.role, role.as_str())).collect();
        let person = Entity::new_no_attrs(uid_of_person.clone(), roles);
        let entities = self.actions.clone().add_entities([person], None);
        Principal { uid: uid_of_person, entities: entities.expect("roles have no parents, so there is no cycle") }
    }
}

/// Who asks, as Cedar sees them.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(crate) uid: EntityUid,
    pub(crate) entities: Entities,
}

/// An app.
pub(crate) fn app(app: &AppId) -> EntityUid {
    uid(&kind("App"), app.as_str())
}

/// A type of our namespace.
pub(crate) fn kind(name: &str) -> EntityTypeName {
    format!("Sekimori::{name}").parse().expect("names of our schema are names of Cedar")
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// The attribute of `context` that holds the device.
pub(crate) const DEVICE: &str = "device";

/// The `context` of a question, with the facts that are read and no others: each costs about a microsecond.
/// `None` if Cedar does not take it, which denies.
pub(crate) fn context(facts: &Facts<'_>, reads: Reads) -> Option<Context> {
    let read = Fact::ALL.into_iter().filter(|fact| reads.has(*fact));
    let plain = read.filter_map(|fact| Some((fact.key().to_owned(), value(fact, facts)?)));
    let device = reads.device().then(|| (DEVICE.to_owned(), device(facts, reads)));
    Context::from_pairs(plain.chain(device)).ok()
}

fn value(fact: Fact, facts: &Facts<'_>) -> Option<RestrictedExpression> {
    let access = facts.access;
    let text = |text: &str| Some(RestrictedExpression::new_string(text.to_owned()));
    let held = |kind| text(Held::of(access, kind).in_force().map_or("", GrantId::as_str));
    let number = |number: i64| Some(RestrictedExpression::new_long(number));
    let truth = |truth: bool| Some(RestrictedExpression::new_bool(truth));
    match fact {
        Fact::Zone => text(access.from.zone.as_str()),
        Fact::Method => text(access.method.as_str()),
        Fact::Path => text(access.path.as_str()),
        Fact::Host => text(access.host.as_str()),
        Fact::Minute => number(i64::from(facts.today.local.minute_of_day)),
        Fact::Weekday => text(facts.today.day.as_str()),
        Fact::WeekdayBefore => text(facts.today.day_before.as_str()),
        Fact::Assurance => number(facts.assurance.map_or(0, crate::Assurance::level)),
        Fact::AuthAge => number(facts.auth_age_seconds),
        Fact::SignedIn => truth(facts.who.is_some()),
        Fact::SameDevice => truth(facts.same_device()),
        Fact::Address => Some(RestrictedExpression::new_ip(access.from.address.to_canonical().to_string())),
        Fact::Methods => Some(texts(facts.methods.iter().map(SignInMethod::as_str))),
        Fact::KeyModel => Some(facts.key_model.map_or_else(
            || RestrictedExpression::new_string(String::new()),
            |model| RestrictedExpression::new_string(model.to_string()),
        )),
        Fact::InOutage => truth(facts.in_outage),
        Fact::RolesAge => number(facts.roles_age_seconds),
        Fact::InfoClass => text(access.class.as_ref().map_or("", InfoClass::as_str)),
        Fact::Grant => held(GrantKind::Maintenance),
        Fact::BreakGlass => held(GrantKind::Glass),
        Fact::Known | Fact::DeviceId | Fact::Class | Fact::Posture | Fact::Principal => None,
    }
}

/// The device, with those of its parts that are read.
fn device(facts: &Facts<'_>, reads: Reads) -> RestrictedExpression {
    let device = facts.access.device.as_ref();
    let text = |text: Option<&str>| RestrictedExpression::new_string(text.unwrap_or_default().to_owned());
    let mut parts = Vec::with_capacity(Fact::OF_DEVICE.len());
    if reads.has(Fact::Known) {
        parts.push(("known".to_owned(), RestrictedExpression::new_bool(device.is_some())));
    }
    if reads.has(Fact::DeviceId) {
        parts.push(("id".to_owned(), text(device.map(|device| device.id.as_str()))));
    }
    if reads.has(Fact::Class) {
        parts.push(("class".to_owned(), text(device.map(|device| device.class.as_str()))));
    }
    if reads.has(Fact::Posture) {
        let reported = device.map_or(&[][..], |device| &device.posture);
        parts.push(("posture".to_owned(), texts(posture::believed(reported, facts.access.at))));
    }
    RestrictedExpression::new_record(parts).expect("the four keys differ")
}

fn texts(texts: impl Iterator<Item = impl Into<String>>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.map(|text| RestrictedExpression::new_string(text.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_whole_context_fits_the_schema() {
        let (access, apps) = (fixtures::nurse_reads_emr(), fixtures::apps());
        let schema = schema(&apps);
        let words = Words::of(&schema);
        let facts = Facts::of(&access, &fixtures::JAPAN);
        let context = context(&facts, Reads::all()).unwrap();
        for action in Action::ALL {
            let principal = words.principal(access.who.as_deref());
            let request = cedar_policy::Request::new(
                principal.uid,
                words.action(action).clone(),
                app(&access.app),
                context.clone(),
                Some(&schema),
            );
            assert!(request.is_ok(), "{action:?}: {request:?}");
            let nobody = words.principal(None);
            Entities::from_entities(principal.entities, Some(&schema)).unwrap();
            Entities::from_entities(nobody.entities, Some(&schema)).unwrap();
        }
    }

    #[test]
    fn no_apps_and_an_app_twice_still_have_a_schema() {
        schema(&[]);
        schema(&[fixtures::apps(), fixtures::apps()].concat());
    }
}

//! What the solver found, as facts: one person, device, place and moment, taken out of Cedar's words.
//!
//! The solver chooses every fact, also those that decide nothing; where a choice is nothing that can be, something
//! ordinary stands in. The judge decides whether the request then still breaks the statement.

use std::net::IpAddr;

use cedar_policy::{EvalResult, Record};
use cedar_policy_symcc::Env;
use policy::{
    Aaguid, Assurance, DeviceClass, DeviceId, GrantId, GrantKind, Method, Methods, Path, PostureDemand, RoleId,
    SignInMethod, UserId, ZoneId,
};

/// The facts of one question as the solver chose them; `None` for what cannot be.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) person: Option<Person>,
    pub(crate) device: Option<Device>,
    pub(crate) zone: Option<ZoneId>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) grant: Option<GrantId>,
    pub(crate) minute: u16,
    pub(crate) weekday: String,
    pub(crate) method: Option<Method>,
    pub(crate) path: Option<Path>,
    /// The path as the solver wrote it, whether or not it is one.
    written_path: Option<String>,
    pub(crate) class: String,
}

#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) user: Option<UserId>,
    pub(crate) roles: Vec<RoleId>,
    pub(crate) assurance: Assurance,
    pub(crate) methods: Methods,
    pub(crate) key_model: Option<Aaguid>,
    pub(crate) in_outage: bool,
    pub(crate) auth_age_seconds: u32,
    pub(crate) roles_age_seconds: u32,
}

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) id: Option<DeviceId>,
    pub(crate) class: DeviceClass,
    pub(crate) posture: Vec<PostureDemand>,
}

impl Sample {
    /// Reads an answer of the solver.
    pub(crate) fn of(env: &Env) -> Self {
        let context = Context(env);
        let device = context.get("device").and_then(|value| {
            let EvalResult::Record(record) = value else { return None };
            Some(record)
        });
        Self {
            person: person(env, &context),
            device: device.as_ref().and_then(Device::of),
            zone: context.text("zone").and_then(|zone| zone.parse().ok()),
            address: context.address(),
            grant: [("grant", GrantKind::Maintenance), ("break_glass", GrantKind::Glass)]
                .into_iter()
                .find_map(|(key, kind)| exception(&context.text(key)?, kind)),
            minute: context.number("minute").and_then(|minute| u16::try_from(minute).ok()).unwrap_or(600),
            weekday: context.text("weekday").unwrap_or_default(),
            method: context.text("method").and_then(|method| Method::parse(&method)),
            path: context.text("path").and_then(|path| Path::parse(&path).ok()),
            written_path: context.text("path"),
            class: context.text("class").unwrap_or_default(),
        }
    }
}

impl Sample {
    /// The sample as a condition: the class and path it is about.
    pub(crate) fn case(&self) -> String {
        let class = format!("context.class == {}", quoted(&self.class));
        let path = self.written_path.as_ref().map(|path| format!(" && context.path == {}", quoted(path)));
        class + &path.unwrap_or_default()
    }
}

/// The exception that a solver gave a name, which need not be one; none where it is empty.
fn exception(name: &str, kind: GrantKind) -> Option<GrantId> {
    let as_it_is = name.parse().ok().filter(|id| GrantKind::of(id) == kind);
    as_it_is.or_else(|| format!("{}asked-for", kind.prefix()).parse().ok()).filter(|_| !name.is_empty())
}

/// A text in Cedar's quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_default())
}

fn person(env: &Env, context: &Context<'_>) -> Option<Person> {
    let principal = env.request.principal()?;
    if principal.type_name().basename() != "User" {
        return None;
    }
    let ancestors = env.entities.ancestors(principal).into_iter().flatten();
    let age = |key| context.number(key).and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0);
    let level = context.number("assurance");
    Some(Person {
        user: principal.id().unescaped().parse().ok(),
        roles: ancestors.filter_map(|role| role.id().unescaped().parse().ok()).collect(),
        assurance: Assurance::ALL.into_iter().find(|one| Some(one.level()) == level).unwrap_or(Assurance::Aal1),
        methods: Methods::of(context.texts("methods").iter().filter_map(|word| SignInMethod::parse(word))),
        key_model: context.text("key_model").and_then(|model| Aaguid::parse(&model)),
        in_outage: context.get("in_outage") == Some(EvalResult::Bool(true)),
        auth_age_seconds: age("auth_age_seconds"),
        roles_age_seconds: age("roles_age_seconds"),
    })
}

impl Device {
    fn of(record: &Record) -> Option<Self> {
        let text = |key: &str| record.get(key).and_then(text_of);
        if record.get("known") != Some(&EvalResult::Bool(true)) {
            return None;
        }
        Some(Self {
            id: text("id").and_then(|id| id.parse().ok()),
            class: text("class").and_then(|class| DeviceClass::parse(&class)).unwrap_or(DeviceClass::Fixed),
            posture: record
                .get("posture")
                .map(texts_of)
                .unwrap_or_default()
                .iter()
                .filter_map(|one| PostureDemand::parse(one).ok())
                .collect(),
        })
    }
}

/// The context of an answer.
struct Context<'a>(&'a Env);

impl Context<'_> {
    fn get(&self, key: &str) -> Option<EvalResult> {
        self.0.request.context()?.get(key)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.get(key).as_ref().and_then(text_of)
    }

    fn texts(&self, key: &str) -> Vec<String> {
        self.get(key).as_ref().map(texts_of).unwrap_or_default()
    }

    fn number(&self, key: &str) -> Option<i64> {
        let EvalResult::Long(number) = self.get(key)? else { return None };
        Some(number)
    }

    /// Cedar writes an address as `ip("10.0.0.1/32")`; of a network, its first address.
    fn address(&self) -> Option<IpAddr> {
        let EvalResult::ExtensionValue(written) = self.get("address")? else { return None };
        let inner = written.split('"').nth(1).unwrap_or(&written);
        inner.split('/').next()?.parse().ok()
    }
}

fn text_of(value: &EvalResult) -> Option<String> {
    let EvalResult::String(text) = value else { return None };
    Some(text.clone())
}

fn texts_of(value: &EvalResult) -> Vec<String> {
    let EvalResult::Set(set) = value else { return Vec::new() };
    set.iter().filter_map(text_of).collect()
}

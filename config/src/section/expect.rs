//! `[policy] tests`: files of expectations, kept beside the policy. What a question leaves out is the least there is:
//! nobody signed in, no known device, one factor, just now. A moment left out is a Monday that is no holiday, at ten.

use std::time::Duration;

use policy::{
    Action, AppId, Assurance, Date, Decision, DeviceClass, DeviceId, Expectation, GrantId, Holidays, Host, InfoClass,
    Method, Methods, Path, PostureDemand, Question, Reason, RoleId, RuleId, SignInMethod, Timestamp, UserId, UtcOffset,
    ZoneId,
};
use toml::de::DeTable;

use super::names::{self, HOST_REMEDY, NAME_REMEDY};
use super::passkeys;
use crate::declared::Declared;
use crate::walk::{Report, Table, Value};
use crate::{Passkeys, PolicyTest, Problem};

/// The first Monday that is tried where no moment is given.
const SOME_MONDAY: &str = "2026-01-05";
const WEEKS_TRIED: u32 = 520;
const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

/// What else expectations depend on.
pub(crate) struct Around<'a> {
    pub(crate) declared: &'a Declared,
    pub(crate) passkeys: &'a Passkeys,
    pub(crate) offset: UtcOffset,
    pub(crate) holidays: &'a Holidays,
    /// Where requests come from that do not say.
    pub(crate) zone: Option<&'a ZoneId>,
}

/// Reads one file of expectations, and every problem of it.
pub(crate) fn read(file_name: &str, text: &str, around: &Around<'_>) -> (Vec<PolicyTest>, Vec<Problem>) {
    let mut report = Report::new(file_name, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    errors.iter().for_each(|error| report.broken(error));
    let root = Table::new(&report, String::new(), 0, document.get_ref());
    let tests = root.tables("expect").iter().filter_map(|table| read_one(table, file_name, around)).collect();
    root.finish();
    (tests, report.finish())
}

fn read_one(table: &Table<'_>, file_name: &str, around: &Around<'_>) -> Option<PolicyTest> {
    let name = table.needed("name", "`name = { ja = \"..\", en = \"..\" }`", |value| names::read(&value));
    let given = table.needed("given", "`given = { roles = [\"nurse\"], app = \"emr\", path = \"/\" }`", |value| {
        question(&value.table()?, around)
    });
    let words = Decision::ALL.map(|decision| (decision.as_str(), decision));
    let then = table.needed("then", "`then = \"allow\"` or `\"deny\"`", |value| value.word(&words));
    let rule = table.optional("rule", |value| value.parse(RuleId::parse, NAME_REMEDY));
    let codes = Reason::ALL.map(|reason| (reason.code(), reason));
    let reason = table.optional("reason", |value| {
        let reason = value.word(&codes)?;
        match then {
            Some(Decision::Allow) => value.wrong("is allowed, which has no reason", "leave it out"),
            Some(Decision::SignIn | Decision::StepUp | Decision::Deny) | None => Some(reason),
        }
    });
    let (line, _) = table.place();
    table.finish();
    let expectation = Expectation { given: given?, then: then?, rule: rule?, reason: reason? };
    Some(PolicyTest { name: name?, file: file_name.to_owned(), line, expectation })
}

fn question(table: &Table<'_>, around: &Around<'_>) -> Option<Question> {
    let app = table.needed("app", "`app = \"emr\"`", |value| {
        let app = value.parse(AppId::parse, NAME_REMEDY)?;
        around.declared.app(&value, app.as_str())?;
        Some(app)
    });
    let method = table.or("method", Method::parse("GET")?, |value| {
        let read = |text: &str| Method::parse(text).ok_or_else(|| format!("`{text}` is not a method"));
        value.parse(read, "write it like `GET`")
    });
    let path =
        table.or("path", Path::parse("/").ok()?, |value| value.parse(Path::parse, "write it like `/fhir/Patient`"));
    let zone = zone(table, around);
    let at = table.or("at", some_monday(around)?, |value| moment(&value, around.offset));
    let roles = table.optional("roles", |value| value.each(|item| role(&item, around)));
    let user = table.optional("user", |value| value.parse(UserId::parse, NAME_REMEDY));
    let signed_in = table.optional("signed_in", |value| value.yes_or_no());
    let on_its_device = table.or("on_its_device", true, |value| value.yes_or_no());
    let host = table.optional("host", |value| value.parse(Host::parse, HOST_REMEDY));
    let action = table.optional("action", |value| value.word(&Action::ALL.map(|action| (action.as_str(), action))));
    let class = table.optional("class", |value| {
        let class = value.parse(InfoClass::parse, NAME_REMEDY)?;
        around.declared.class(&value, class.as_str())?;
        Some(class)
    });
    let device = table.or("device", None, |value| device(&value));
    let posture = table
        .list("posture", |value| value.parse(PostureDemand::parse, "write it like `disk_encrypted` or `edr=running`"));
    let address = table.optional("address", |value| {
        let read = |text: &str| text.parse().map_err(|_| format!("`{text}` is not an address"));
        value.parse(read, "write it like `10.1.2.3`")
    });
    let levels = Assurance::ALL.map(|level| (level.as_str(), level));
    let assurance = table.or("assurance", Assurance::Aal1, |value| value.word(&levels));
    let auth_age = table.or("auth_age", Duration::ZERO, |value| value.time(SECOND..=30 * DAY));
    let roles_age = table.optional("roles_age", |value| value.time(SECOND..=30 * DAY));
    let words = SignInMethod::ALL.map(|method| (method.as_str(), method));
    let methods = table.list("methods", |value| value.word(&words)).map(Methods::of);
    let key_model = table.optional("key", |value| passkeys::model(&value, around.passkeys));
    let in_outage = table.or("in_outage", false, |value| value.yes_or_no());
    let grant = table.optional("grant", |value| value.parse(GrantId::parse, NAME_REMEDY));
    table.finish();
    let (roles, user, auth_age) = (roles?, user?, auth_age?);
    let signed_in = signed_in?.unwrap_or(roles.is_some() || user.is_some());
    let plain = Question::new(app?, method?, path?, zone?, at?);
    Some(Question {
        signed_in,
        roles: roles.unwrap_or_default(),
        user,
        on_its_device: on_its_device?,
        host: host?,
        action: action?,
        class: class?,
        device: device?,
        posture: posture?,
        address: address?.unwrap_or(plain.address),
        assurance: assurance?,
        auth_age,
        roles_age: roles_age?.unwrap_or(auth_age),
        methods: methods?,
        key_model: key_model?,
        in_outage: in_outage?,
        grant: grant?,
        ..plain
    })
}

fn role(value: &Value<'_>, around: &Around<'_>) -> Option<RoleId> {
    let role = value.parse(RoleId::parse, NAME_REMEDY)?;
    around.declared.role(value, role.as_str())?;
    Some(role)
}

fn zone(table: &Table<'_>, around: &Around<'_>) -> Option<ZoneId> {
    let given = table.optional("zone", |value| {
        let zone = value.parse(ZoneId::parse, NAME_REMEDY)?;
        around.declared.zone(&value, zone.as_str())?;
        Some(zone)
    })?;
    // Without a listener there is no zone, and the problem is told there.
    given.or_else(|| around.zone.cloned())
}

/// A class of the ledger, `none`, or a certain device.
fn device(value: &Value<'_>) -> Option<Option<(Option<DeviceId>, DeviceClass)>> {
    let classes = DeviceClass::ALL.map(|class| (class.as_str(), class));
    if value.as_text() == Some("none") {
        return Some(None);
    }
    if value.as_text().is_some() {
        return value.word(&classes).map(|class| Some((None, class)));
    }
    let table = value.table()?;
    let id = table.needed("id", "`id = \"ward3-tablet-07\"`", |value| value.parse(DeviceId::parse, NAME_REMEDY));
    let class = table.needed("class", "`class = \"tablet\"`", |value| value.word(&classes));
    table.finish();
    Some(Some((Some(id?), class?)))
}

/// `2026-11-23T10:00` on the hospital's clock, or a whole RFC 3339 moment.
fn moment(value: &Value<'_>, offset: UtcOffset) -> Option<Timestamp> {
    let read = |text: &str| {
        let whole = || Timestamp::parse_rfc3339(text);
        let local = |seconds: &str| Timestamp::parse_rfc3339(&format!("{text}{seconds}{offset}"));
        whole().or_else(|| local(":00")).or_else(|| local("")).ok_or_else(|| format!("`{text}` is not a moment"))
    };
    value.parse(read, "write it like `2026-11-23T10:00`, on the hospital's clock")
}

fn some_monday(around: &Around<'_>) -> Option<Timestamp> {
    let first = Timestamp::parse_date(SOME_MONDAY, around.offset)?;
    let mut mondays = (0..WEEKS_TRIED).map(|week| first.after(DAY * 7 * week));
    let monday = mondays.find(|day| !around.holidays.has(Date::of(*day, around.offset)));
    Some(monday.unwrap_or(first).after(SECOND * 36_000))
}

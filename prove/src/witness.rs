//! From what the solver found to a request that one could send, judged by the usual judge.
//!
//! The solver names a corner where a statement breaks. Here it becomes a request: a method and path that the app's
//! routes really read so, a day of the calendar, a person and a device. Only what one judge allows and the other
//! refuses is a witness, and then whatever does not matter is made ordinary.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use policy::{
    Access, Action, Assurance, Date, Device, DeviceClass, InfoClass, Judge, Method, Methods, Path, Question, RoleId,
    RuleId, SignInMethod, Timestamp, Verdict, Who,
};

use crate::corner::Corner;
use crate::finding::Witness;
use crate::prove::Around;
use crate::sample::Sample;

/// Requests without a body that change something, and those that do not.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
/// As many days are tried as hold every weekday and the one before.
const DAYS: u64 = 8;
const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);
/// Eleven in the morning.
const ORDINARY_MINUTE: u16 = 11 * 60;
/// The longest list of requests that is tried.
const REQUESTS_MAX: usize = 64;
/// Of a documentation network (RFC 5737).
const ORDINARY_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

/// Two judges, and what one allows and the other does not.
pub(crate) struct Difference {
    allowing: Judge,
    refusing: Judge,
}

impl Difference {
    pub(crate) fn new(allowing: Judge, refusing: Judge) -> Self {
        Self { allowing, refusing }
    }

    /// The rule by which only the first judge allows an access.
    fn rule(&mut self, access: &Access) -> Option<RuleId> {
        let Verdict::Allow(allowed) = self.allowing.judge(access.clone(), ()) else { return None };
        let rule = allowed.permit().rule().clone();
        // The other judge takes it for what its own routes say.
        let other = self.refusing.policy().classify(access).into_owned();
        let both = matches!(self.refusing.judge(other, ()), Verdict::Allow(_));
        (!both).then_some(rule)
    }

    /// A request like the sample that only the first judge allows.
    pub(crate) fn find(&mut self, around: &Around<'_>, corner: &Corner, sample: &Sample) -> Option<Witness> {
        let days = days(around, sample);
        let requests = requests(around, corner, sample);
        let accesses = requests.iter().flat_map(|request| days.iter().map(move |day| (request, *day)));
        let mut all = accesses.filter_map(|(request, at)| access(around, corner, sample, request, at));
        let found = all.find(|access| self.rule(access).is_some())?;
        let plain = self.made_ordinary(around, found);
        let rule = self.rule(&plain)?;
        Some(Witness { access: plain, rule })
    }

    /// The same request with everything ordinary that does not matter.
    fn made_ordinary(&mut self, around: &Around<'_>, mut access: Access) -> Access {
        for change in changes(around, &access) {
            let changed = change(access.clone());
            if self.rule(&changed).is_some() {
                access = changed;
            }
        }
        access
    }
}

type Change = Box<dyn Fn(Access) -> Access>;

/// What may be made ordinary, one after the other.
fn changes(around: &Around<'_>, access: &Access) -> Vec<Change> {
    let who = |change: fn(&mut Who)| -> Change {
        Box::new(move |mut access: Access| {
            access.who = access.who.map(|who| {
                let mut who = (*who).clone();
                change(&mut who);
                Arc::new(who)
            });
            access
        })
    };
    let mut changes: Vec<Change> = Vec::new();
    let roles = access.who.as_ref().map(|who| Arc::clone(&who.roles)).unwrap_or_default();
    for role in roles.iter() {
        let role = role.clone();
        changes.push(Box::new(move |access| without_role(access, &role)));
    }
    changes.push(Box::new(|mut access| {
        access.grant = None;
        access
    }));
    changes.push(who(|who| who.in_outage = false));
    changes.push(who(|who| who.assurance = Assurance::Aal2));
    changes.push(who(|who| who.assurance = Assurance::Aal1));
    // The last that changes nothing stays.
    for class in [DeviceClass::Tablet, DeviceClass::WardShared, DeviceClass::Fixed] {
        changes.push(Box::new(move |mut access| {
            access.device = access.device.map(|device| Arc::new(Device { class, ..(*device).clone() }));
            access
        }));
    }
    changes.push(who(|who| who.key_model = None));
    changes.push(who(|who| who.methods = Methods::of([SignInMethod::Provider])));
    changes.push(Box::new(|access| proven(access, 5 * MINUTE)));
    changes.push(Box::new(|mut access| {
        access.device = access.device.map(|device| Arc::new(Device { posture: Arc::from([]), ..(*device).clone() }));
        access
    }));
    changes.push(Box::new(|mut access| {
        access.from.address = ORDINARY_ADDRESS;
        access
    }));
    if let Some(listener) = around.config.listeners.first() {
        let zone = listener.zone.clone();
        changes.push(Box::new(move |mut access| {
            access.from.zone = zone.clone();
            access
        }));
    }
    let ordinary = MINUTE * u32::from(ORDINARY_MINUTE);
    let (today, offset) = (around.today(), around.offset());
    changes.push(Box::new(move |access| at_another_time(access, today.after(ordinary))));
    changes.push(Box::new(move |access| {
        let day = Timestamp::parse_date(&Date::of(access.at, offset).to_string(), offset).unwrap_or(access.at);
        at_another_time(access, day.after(ordinary))
    }));
    changes
}

fn without_role(mut access: Access, role: &RoleId) -> Access {
    access.who = access.who.map(|who| {
        let roles = who.roles.iter().filter(|one| *one != role).cloned().collect();
        Arc::new(Who { roles, ..(*who).clone() })
    });
    access
}

fn proven(mut access: Access, ago: Duration) -> Access {
    let at = before(access.at, ago);
    access.who = access.who.map(|who| Arc::new(Who { authenticated_at: at, roles_confirmed_at: at, ..(*who).clone() }));
    access
}

/// The same access at another time, everything about the person as long ago as it was.
fn at_another_time(mut access: Access, at: Timestamp) -> Access {
    let by = at.unix_micros().saturating_sub(access.at.unix_micros());
    let moved = |moment: Timestamp| Timestamp::from_unix_micros(moment.unix_micros().saturating_add(by));
    access.at = at;
    access.who = access.who.map(|who| {
        Arc::new(Who {
            authenticated_at: moved(who.authenticated_at),
            roles_confirmed_at: moved(who.roles_confirmed_at),
            ends_at: moved(who.ends_at),
            ..(*who).clone()
        })
    });
    access
}

fn before(at: Timestamp, ago: Duration) -> Timestamp {
    Timestamp::from_unix_micros(at.unix_micros().saturating_sub(i64::try_from(ago.as_micros()).unwrap_or(i64::MAX)))
}

/// The moments to try: the sample's minute of the coming days and of every holiday and the day after, those of its
/// weekday first.
fn days(around: &Around<'_>, sample: &Sample) -> Vec<Timestamp> {
    let offset = around.source.offset;
    let today = around.today();
    let coming = (0..DAYS).map(|day| today.after(DAY * u32::try_from(day).unwrap_or(0)));
    let holidays = around.holidays().flat_map(|day| [day, day.after(DAY)]);
    let mut days: Vec<_> = coming.chain(holidays).map(|day| day.after(MINUTE * u32::from(sample.minute))).collect();
    days.sort_by_key(|day| day.local(offset).weekday.as_str() != sample.weekday);
    days
}

/// A method and a path.
type Request = (Method, Path);

/// The requests to try: those of the app's rules and routes that are read as the corner says, those of the sample's
/// class first; then the sample's own path.
fn requests(around: &Around<'_>, corner: &Corner, sample: &Sample) -> Vec<Request> {
    let Some(app) = around.config.apps.iter().find(|app| app.id == corner.app) else { return Vec::new() };
    let of_rules = around.source.rules.iter().flat_map(|rule| &rule.paths).map(|path| path.as_str().replace('*', "1"));
    let of_routes = around.routes(&corner.app).iter().map(|route| route.pattern.example());
    let plain = [app.prefix.as_str().to_owned(), format!("{}/1", app.prefix.as_str().trim_end_matches('/'))];
    let written = of_routes.chain(of_rules).chain(plain);
    let ordinary: Vec<_> = written.filter_map(|path| Path::parse(&path).ok()).collect();
    let mut requests = readings(around, corner, sample, ordinary);
    requests.truncate(REQUESTS_MAX);
    requests.extend(readings(around, corner, sample, sample.path.iter().cloned().collect()));
    requests
}

/// Every way to ask for these paths that is read as the corner says, those of the sample's class first.
fn readings(around: &Around<'_>, corner: &Corner, sample: &Sample, mut paths: Vec<Path>) -> Vec<Request> {
    let app = around.config.apps.iter().find(|app| app.id == corner.app);
    paths.retain(|path| app.is_some_and(|app| path.is_below(&app.prefix)));
    let methods: Vec<_> =
        METHODS.iter().filter_map(|one| Method::parse(one)).chain(sample.method.iter().cloned()).collect();
    let requests = paths.iter().flat_map(|path| methods.iter().map(move |method| (method.clone(), path.clone())));
    let mut read: Vec<_> = requests
        .map(|(method, path)| (around.reads(&corner.app, &method, &path), (method, path)))
        .filter(|((action, _), _)| corner.action == Action::Connect || *action == corner.action)
        .collect();
    read.sort_by_key(|((_, class), _)| class.as_ref().map_or("", InfoClass::as_str) != sample.class);
    read.into_iter().map(|(_, request)| request).collect()
}

/// The access of a sample by one request at one moment; roles that nobody can have are left out.
fn access(
    around: &Around<'_>,
    corner: &Corner,
    sample: &Sample,
    (method, path): &Request,
    at: Timestamp,
) -> Option<Access> {
    let app = around.config.apps.iter().find(|app| app.id == corner.app)?;
    let zone = sample.zone.clone().or_else(|| around.config.listeners.first().map(|listener| listener.zone.clone()))?;
    let mut question = Question::new(app.id.clone(), method.clone(), path.clone(), zone, at);
    question.host = Some(app.host.clone());
    question.action = Some(corner.action);
    question.address = sample.address.unwrap_or(ORDINARY_ADDRESS);
    question.grant.clone_from(&sample.grant);
    if let Some(device) = &sample.device {
        question.device = Some((device.id.clone(), device.class));
        question.posture.clone_from(&device.posture);
    }
    if let Some(person) = sample.person.as_ref().filter(|_| corner.signed_in) {
        question.signed_in = true;
        question.user.clone_from(&person.user);
        question.roles = person.roles.iter().filter(|role| around.config.roles.contains_key(role)).cloned().collect();
        question.roles.sort();
        question.roles.dedup();
        question.assurance = person.assurance;
        question.methods = person.methods;
        question.key_model = person.key_model;
        question.in_outage = person.in_outage;
        question.auth_age = Duration::from_secs(u64::from(person.auth_age_seconds));
        question.roles_age = Duration::from_secs(u64::from(person.roles_age_seconds));
    }
    Some(question.access(&around.policy))
}

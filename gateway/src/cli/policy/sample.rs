//! `sekimori policy sample`: a log of accesses that nobody made, judged by the policy of a configuration, so that a
//! proposal can be replayed before anything was recorded. It is a log like any other but for its name, and the same for
//! the same seed, policy and day.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use audit::{End, Log, Outcome, Recorder};
use config::{App, Audit, Config, OnLogFailure};
use policy::{
    Assurance, Clock, DeviceClass, DeviceId, Judge, Method, Methods, Path as UrlPath, Question, RequestId, RoleId,
    SignInMethod, Timestamp, UserId, Verdict, ZoneId,
};
use web::Language;

use super::Lang;
use super::change::say;
use crate::cli::{ConfigArg, block_on, span};
use crate::clock;
use crate::failure::Failure;

/// The most accesses that are made up at once.
const ACCESSES_MAX: u32 = 1_000_000;
/// How many people of each role there are.
const PEOPLE_OF_A_ROLE: u64 = 3;
/// How many patients there are.
const PATIENTS: u64 = 500;
/// Of a documentation network (RFC 5737).
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

/// What to make up.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The directory of the log; a new one.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// How many accesses.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(ACCESSES_MAX)))]
    accesses: u32,
    /// Over how long a time, up to now.
    #[arg(long, value_name = "SPAN", value_parser = span::parse, default_value = "14d")]
    span: Duration,
    /// Another number makes up others.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    lang: Lang,
}

/// Makes the log.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.read()?;
    if args.output.exists() {
        return Err(Failure::input(format!("`{}` is there already; name a new directory", args.output.display())));
    }
    let nothing = || Failure::input("the configuration has no app and no role");
    let made_up = MadeUp::of(&config).ok_or_else(nothing)?;
    let now = clock::now();
    let log = open(&config, &args.output, now)?;
    let recorder = log.recorder();
    let mut dice = Dice(args.seed);
    let mut judge = Judge::new(Arc::clone(&config.loaded));
    let allowed = block_on(async {
        let mut allowed = 0_u32;
        for at in moments(now, args.span, args.accesses, &mut dice) {
            let access = made_up.access(&config, at, &mut dice).ok_or_else(nothing)?;
            allowed += u32::from(record(judge.judge(access, ()), &recorder, &mut dice).await?);
        }
        Ok(allowed)
    });
    log.stop();
    told(args, allowed?);
    Ok(())
}

fn told(args: &Args, allowed: u32) {
    let (all, place) = (args.accesses, args.output.display());
    let language: Language = args.lang.language();
    say(
        language,
        &format!("{place}: 作りもののアクセス {all}件 (許可 {allowed}件)。実際の記録ではない"),
        &format!("{place}: {all} accesses that nobody made, {allowed} of them allowed; nothing of it happened"),
    );
}

/// A log of its own, under a name that says what it is.
fn open(config: &Config, directory: &Path, now: Timestamp) -> Result<Log, Failure> {
    let unavailable = |problem: &dyn std::fmt::Display| Failure::unavailable(problem.to_string());
    let directory = std::path::absolute(directory).map_err(|error| unavailable(&error))?;
    let keys = directory.join("keys");
    std::fs::create_dir_all(&keys).map_err(|error| unavailable(&error))?;
    let audit = Audit {
        directory,
        origin: format!("{}/sample", config.audit.origin),
        emergency_spool: None,
        free_bytes_min: 0,
        ..config.audit.clone()
    };
    let (log, _recovery) =
        Log::open(&audit, &config.facility, &keys, Clock::new(move || now)).map_err(|problem| unavailable(&problem))?;
    Ok(log)
}

/// So many moments within a span, in order.
fn moments(now: Timestamp, span: Duration, count: u32, dice: &mut Dice) -> Vec<Timestamp> {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
    let back = |ago: u64| now.unix_micros().saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX));
    let mut moments: Vec<_> = (0..count).map(|_| Timestamp::from_unix_micros(back(dice.below(micros)))).collect();
    moments.sort();
    moments
}

/// Records what was judged, as a gateway does; whether it was allowed.
async fn record(verdict: Verdict<()>, recorder: &Recorder, dice: &mut Dice) -> Result<bool, Failure> {
    let not_recorded = || Failure::unavailable("the log cannot be written");
    let refused = match verdict {
        Verdict::Allow(authorized) => {
            let admitted = recorder.admit(authorized, OnLogFailure::Refuse).await.map_err(|_| not_recorded())?;
            let ((), receipt) = admitted.open();
            receipt.close(Outcome {
                status: Some(200),
                end: End::Served,
                bytes_in: 0,
                bytes_out: dice.below(100_000),
                duration: Duration::from_millis(dice.below(300)),
                patients: None,
                said: None,
            });
            return Ok(true);
        }
        Verdict::Challenge(refused, _) => (refused, 401),
        Verdict::Deny(refused) => (refused, 403),
    };
    let (refused, status) = refused;
    recorder.refuse(&refused, status).await.map_err(|_| not_recorded())?;
    Ok(false)
}

/// What accesses are made up of.
struct MadeUp {
    apps: Vec<(App, Vec<(Method, UrlPath)>)>,
    roles: Vec<RoleId>,
    zones: Vec<ZoneId>,
}

impl MadeUp {
    /// The apps, roles and zones of a configuration; nothing where one is missing.
    fn of(config: &Config) -> Option<Self> {
        let apps: Vec<_> = config.apps.iter().map(|app| (app.clone(), requests(app))).collect();
        let roles: Vec<_> = config.roles.keys().cloned().collect();
        // The first is that of the house; others are rarer.
        let zones: Vec<_> = config.listeners.iter().map(|listener| listener.zone.clone()).collect();
        (!apps.is_empty() && !roles.is_empty() && !zones.is_empty()).then_some(Self { apps, roles, zones })
    }

    fn access(&self, config: &Config, at: Timestamp, dice: &mut Dice) -> Option<policy::Access> {
        let zone = if dice.one_in(12) { dice.of(&self.zones) } else { self.zones.first() };
        let (app, requests) = dice.of(&self.apps)?;
        let (method, path) = dice.of(requests).cloned()?;
        let path =
            UrlPath::parse(&path.as_str().replace("/1", &format!("/{:05}", 1 + dice.below(PATIENTS)))).unwrap_or(path);
        let mut question = Question::new(app.id.clone(), method, path, zone.cloned()?, at);
        question.address = ADDRESS;
        let role = dice.of(&self.roles).cloned();
        let number = 1 + dice.below(PEOPLE_OF_A_ROLE);
        question.signed_in = !dice.one_in(40);
        question.user = role.as_ref().and_then(|role| UserId::parse(&format!("u-sample-{role}-{number}")).ok());
        question.roles.extend(role.clone());
        question.assurance = if dice.one_in(5) { Assurance::Aal1 } else { Assurance::Aal2 };
        question.methods = Methods::of([SignInMethod::Provider]);
        question.auth_age = Duration::from_secs(dice.below(8 * 3_600));
        question.roles_age = question.auth_age;
        let classes = [DeviceClass::Fixed, DeviceClass::Fixed, DeviceClass::WardShared, DeviceClass::Tablet];
        question.device = (!dice.one_in(6)).then(|| {
            let class = dice.of(&classes).copied().unwrap_or(DeviceClass::Fixed);
            (DeviceId::parse(&format!("{}-{}", class.as_str(), 1 + dice.below(20))).ok(), class)
        });
        let mut access = question.access(&config.loaded);
        access.request = RequestId::new(at, u128::from(dice.next()) << 64 | u128::from(dice.next()));
        if let (Some(who), Some(role)) = (&mut access.who, role) {
            let who = Arc::make_mut(who);
            let name = config.roles.get(&role).map_or(role.as_str(), |names| &names.ja);
            (who.name, who.login) = (format!("{name} {number}").into(), format!("{role}-{number}").into());
        }
        Some(access)
    }
}

/// The requests of an app: those of its routes, which read more often than they write.
fn requests(app: &App) -> Vec<(Method, UrlPath)> {
    let get = || Method::parse("GET").into_iter();
    let of_routes = app.routes.iter().flat_map(|route| {
        let path = UrlPath::parse(&route.pattern.example()).ok().filter(|path| path.is_below(&app.prefix));
        let usual = get().chain(get()).chain(Method::parse("POST"));
        let methods: Vec<_> = if route.methods.is_empty() { usual.collect() } else { route.methods.clone() };
        path.into_iter().flat_map(move |path| methods.clone().into_iter().map(move |method| (method, path.clone())))
    });
    let home = get().map(|method| (method, app.prefix.clone()));
    of_routes.chain(home).collect()
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound, which is not 0.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let place = self.below(u64::try_from(all.len()).unwrap_or(1));
        usize::try_from(place).ok().and_then(|place| all.get(place))
    }
}

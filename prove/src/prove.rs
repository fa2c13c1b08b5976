//! Statements one after the other, corner by corner.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use cedar_policy::Schema;
use config::{Claim, Config, Names, Statement};
use policy::{
    Action, AppId, CedarFile, ClassRoute, Date, InfoClass, Judge, Method, Path, Policy, PolicySource, RoleId,
    Timestamp, UtcOffset, ZoneId,
};

use crate::cells::{Cell, Reading, cells, read_alike};
use crate::corner::{Corner, World};
use crate::finding::{Finding, Outcome, Undecided};
use crate::sample::Sample;
use crate::solver::{Problem, Solver};
use crate::taken_for::taken_for;
use crate::witness::Difference;

/// How many cases of the solver are tried for a corner when no request could be made of them.
const CASES_MAX: usize = 12;
/// The name a statement has in Cedar while it is tried.
const TRIED: &str = "statement";

/// What statements are proved of.
#[derive(Debug)]
pub struct Around<'a> {
    pub(crate) config: &'a Config,
    pub(crate) source: &'a PolicySource,
    pub(crate) policy: Arc<Policy>,
    last: Option<(&'a PolicySource, Arc<Policy>)>,
    schema: Schema,
    world: World,
    now: Timestamp,
}

/// Why a policy cannot be asked about.
#[derive(Debug)]
pub struct NotLoaded(String);

impl fmt::Display for NotLoaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotLoaded {}

impl<'a> Around<'a> {
    /// The policy of a configuration, beside the last version where there is one.
    ///
    /// # Errors
    /// [`NotLoaded`]: a policy that was read by config loads, so this is a fault of ours.
    pub fn new(config: &'a Config, last: Option<&'a PolicySource>, now: Timestamp) -> Result<Self, NotLoaded> {
        let source = &config.policy;
        let load = |source: &PolicySource| {
            let told = |problems: Vec<policy::PolicyProblem>| {
                NotLoaded(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            };
            Policy::load(source).map(Arc::new).map_err(told)
        };
        let loaded = load(source)?;
        let last = last.map(|last| load(last).map(|policy| (last, policy))).transpose()?;
        // Apps that were there before are known too, as rules of the last version may name them.
        let before = last.iter().flat_map(|(source, _)| &source.apps);
        let apps: Vec<_> = source.apps.iter().chain(before).cloned().collect();
        let (schema, _warnings) =
            Schema::from_cedarschema_str(&policy::cedar_schema(&apps)).map_err(|error| NotLoaded(error.to_string()))?;
        let zones: BTreeSet<ZoneId> = config.listeners.iter().map(|listener| listener.zone.clone()).collect();
        let routes = source.apps.iter().flat_map(|app| &app.routes);
        let classes: BTreeSet<InfoClass> = routes.map(|route| route.class.clone()).collect();
        let world = World { zones: zones.into_iter().collect(), classes: classes.into_iter().collect() };
        Ok(Self { config, source, policy: loaded, last, schema, world, now })
    }

    fn apps(&self) -> impl Iterator<Item = &AppId> {
        self.source.apps.iter().filter(|app| !app.built_in).map(|app| &app.id)
    }

    fn judge(&self) -> Judge {
        Judge::new(Arc::clone(&self.policy))
    }

    pub(crate) fn routes(&self, app: &AppId) -> &[ClassRoute] {
        routes(self.source, app)
    }

    /// What the routes of an app make of a request.
    pub(crate) fn reads(&self, app: &AppId, method: &Method, path: &Path) -> (Action, Option<InfoClass>) {
        let classified = self.policy.classifier(app).classify(method, path);
        (classified.action, classified.class)
    }

    /// Whether some request has the path of a sample and is read as the sample's class.
    fn can_be(&self, corner: &Corner, sample: &Sample) -> bool {
        let app = self.config.apps.iter().find(|app| app.id == corner.app);
        let Some(path) = sample.path.as_ref().filter(|path| app.is_some_and(|app| path.is_below(&app.prefix))) else {
            return false;
        };
        // One of each kind that classification tells apart, and those that routes name.
        let kinds = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT"].into_iter().filter_map(Method::parse);
        let named = self.routes(&corner.app).iter().flat_map(|route| &route.methods).cloned();
        kinds.chain(named).any(|method| {
            let (action, class) = self.reads(&corner.app, &method, path);
            let class_fits = class.as_ref().map_or("", InfoClass::as_str) == sample.class;
            class_fits && (corner.action == Action::Connect || action == corner.action)
        })
    }

    /// The beginning of this day.
    pub(crate) fn today(&self) -> Timestamp {
        Timestamp::parse_date(&Date::of(self.now, self.offset()).to_string(), self.offset()).unwrap_or(self.now)
    }

    /// The beginning of every holiday.
    pub(crate) fn holidays(&self) -> impl Iterator<Item = Timestamp> {
        self.source.holidays.iter().filter_map(|day| Timestamp::parse_date(&day.to_string(), self.source.offset))
    }

    pub(crate) fn offset(&self) -> UtcOffset {
        self.source.offset
    }

    /// How people read an information class.
    pub(crate) fn class_name(&self, class: &InfoClass) -> Option<&Names> {
        self.config.classes.get(class)
    }

    /// How people read a role.
    pub(crate) fn role_name(&self, role: &RoleId) -> Option<&Names> {
        self.config.roles.get(role)
    }
}

/// Proves statements of the configuration, telling of each as soon as it is known.
///
/// # Errors
/// [`Problem::Start`] when the solver cannot be started again.
pub async fn prove(
    around: &Around<'_>,
    solver: &mut Solver,
    mut tell: impl FnMut(&Statement, &Finding),
) -> Result<Vec<Finding>, Problem> {
    let mut findings = Vec::new();
    for statement in &around.config.statements {
        let started = Instant::now();
        let mut search = Search { around, solver: &mut *solver, questions: 0 };
        let outcome = match &statement.claim {
            Claim::Never(condition) => search.never(condition).await,
            Claim::NoWiderThanLast => search.no_wider().await,
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(Problem::Unanswered(reason)) => Outcome::Undecided(Undecided::Unanswered(reason)),
            Err(start @ Problem::Start(..)) => return Err(start),
        };
        let finding = Finding { outcome, questions: search.questions, took: started.elapsed() };
        tell(statement, &finding);
        findings.push(finding);
    }
    Ok(findings)
}

/// The search for a request that breaks one statement.
struct Search<'a, 's> {
    around: &'a Around<'a>,
    solver: &'s mut Solver,
    questions: usize,
}

/// What allows nothing.
const NOTHING: &str = "forbid (principal, action, resource);";

/// Which requests of a corner are meant.
enum Among {
    /// All of them.
    All,
    /// Those to information of these classes, by the routes of now; none is written as nothing.
    Classes(BTreeSet<String>),
}

impl Among {
    /// As a rule that forbids all others.
    fn in_cedar(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Classes(classes) => {
                let classes: Vec<_> = classes.iter().map(|class| format!("\"{class}\"")).collect();
                let among = format!("[{}].contains(context.class)", classes.join(", "));
                format!("forbid (principal, action, resource) unless {{ {among} }};\n")
            }
        }
    }
}

/// What is asked in a corner where routes changed: requests that are the same to both versions at once, and those of each
/// pair of readings with what the last version says of them. `None` where that cannot be put into Cedar.
fn steps(corner: &Corner, last: &Policy, cells: &BTreeSet<Cell>) -> Option<Vec<(Among, String)>> {
    let name = |class: &Option<InfoClass>| class.as_ref().map(ToString::to_string).unwrap_or_default();
    let is_stream = corner.action == Action::Connect;
    let (mut alike, mut otherwise) = (BTreeSet::new(), BTreeSet::new());
    for Cell { now, last } in cells.iter().filter(|cell| is_stream || cell.now.action == corner.action) {
        // A stream stays one, whatever its method does elsewhere.
        let action = if is_stream { Action::Connect } else { last.action };
        let before = Reading { action, class: last.class.clone() };
        if before.action == corner.action && before.class == now.class {
            alike.insert(name(&now.class));
        } else {
            otherwise.insert((name(&now.class), before));
        }
    }
    let mut steps = Vec::new();
    if !alike.is_empty() {
        steps.push((Among::Classes(alike), corner.rules(last).unwrap_or_else(|| NOTHING.to_owned())));
    }
    for (class, before) in otherwise {
        let there = Corner { action: before.action, ..corner.clone() };
        let rules = match there.rules(last) {
            Some(rules) => taken_for(&rules, &before)?,
            None => NOTHING.to_owned(),
        };
        let rules = if rules.is_empty() { NOTHING.to_owned() } else { rules };
        steps.push((Among::Classes(BTreeSet::from([class])), rules));
    }
    Some(steps)
}

/// What is looked for among all that the policy allows in a corner.
enum Wanted {
    /// What this allows, too.
    Allowed(String),
    /// What this does not allow.
    NotAllowed(String),
}

impl Search<'_, '_> {
    /// That nothing is allowed that meets a condition.
    async fn never(&mut self, condition: &str) -> Result<Outcome, Problem> {
        let around = self.around;
        let guarded = Policy::load(&guarded(around.source, condition)).map_err(|problems| {
            Problem::Unanswered(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        let mut difference = Difference::new(around.judge(), Judge::new(Arc::new(guarded)));
        for corner in Corner::all(around.apps()) {
            let wanted = Wanted::Allowed(format!("permit (principal, action, resource) when {{ {condition} }};"));
            if let Some(outcome) = self.look_in(&corner, &Among::All, &wanted, &mut difference).await? {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Proved)
    }

    /// That everything that is allowed was allowed by the last version.
    async fn no_wider(&mut self) -> Result<Outcome, Problem> {
        let around = self.around;
        let Some((source, last)) = &around.last else { return Ok(Outcome::Undecided(Undecided::NothingToCompare)) };
        let mut difference = Difference::new(around.judge(), Judge::new(Arc::clone(last)));
        for corner in Corner::all(around.apps()) {
            let find = |source: &'_ PolicySource| source.apps.iter().find(|app| app.id == corner.app).cloned();
            let steps = match (find(around.source), find(source)) {
                (Some(now), Some(before)) if !read_alike(&now, &before) => {
                    // The same requests are others to each version: each is asked about what it takes them for.
                    let Some(steps) = steps(&corner, last, &cells(&now, &before)) else {
                        return Ok(Outcome::Undecided(Undecided::RoutesChanged(corner.app)));
                    };
                    steps
                }
                (_, before) => {
                    let rules = before.and_then(|_| corner.rules(last));
                    vec![(Among::All, rules.unwrap_or_else(|| NOTHING.to_owned()))]
                }
            };
            for (among, before) in steps {
                let wanted = Wanted::NotAllowed(before);
                if let Some(outcome) = self.look_in(&corner, &among, &wanted, &mut difference).await? {
                    return Ok(outcome);
                }
            }
        }
        Ok(Outcome::Proved)
    }

    /// Looks for something wanted in a corner; `None` if there is nothing such.
    async fn look_in(
        &mut self,
        corner: &Corner,
        among: &Among,
        wanted: &Wanted,
        difference: &mut Difference,
    ) -> Result<Option<Outcome>, Problem> {
        let around = self.around;
        let Some(rules) = corner.rules(&around.policy) else { return Ok(None) };
        let (Wanted::Allowed(other) | Wanted::NotAllowed(other)) = wanted;
        let always = corner.always(&around.policy, &around.world, &rules, other);
        let mut allowed = rules + "\n" + &always + &among.in_cedar();
        let other = corner.compile(&around.schema, other)?;
        let mut in_doubt = None;
        for _ in 0..CASES_MAX {
            let compiled = corner.compile(&around.schema, &allowed)?;
            self.questions += 1;
            let env = match wanted {
                Wanted::Allowed(_) => self.solver.both(&compiled, &other).await?,
                Wanted::NotAllowed(_) => self.solver.first_alone(&compiled, &other).await?,
            };
            let Some(env) = env else { return Ok(in_doubt.map(Outcome::Undecided)) };
            let sample = Sample::of(&env);
            if let Some(witness) = difference.find(around, corner, &sample) {
                return Ok(Some(Outcome::Broken(Box::new(witness))));
            }
            // The same is not looked for again; only what no request can be leaves no doubt.
            let case = sample.case();
            allowed = format!("{allowed}\nforbid (principal, action, resource) when {{ {case} }};");
            if around.can_be(corner, &sample) {
                let place = format!("{} {}: {case}", corner.app, corner.action.as_str());
                in_doubt = Some(Undecided::NoRequest(place));
            }
        }
        let place = format!("{} {}", corner.app, corner.action.as_str());
        Ok(Some(Outcome::Undecided(in_doubt.unwrap_or(Undecided::NoRequest(place)))))
    }
}

/// The policy with one more rule, which forbids what meets a condition.
fn guarded(source: &PolicySource, condition: &str) -> PolicySource {
    let text = format!("@id(\"{TRIED}\") forbid (principal, action, resource) when {{ {condition} }};");
    let mut guarded = source.clone();
    guarded.cedar.push(CedarFile { name: TRIED.to_owned(), text });
    guarded
}

fn routes<'a>(source: &'a PolicySource, app: &AppId) -> &'a [ClassRoute] {
    source.apps.iter().find(|one| one.id == *app).map_or(&[], |app| &app.routes)
}

//! What was opened from a device lately, and whom it was about: what a hospital must know of a device that is lost, for
//! the console and for the command line.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use audit::{Entry, EntryKind, FoundLines, LogProblem, Search, Story};
use policy::{AppId, DeviceId, Method, Path, Policy, Timestamp};

/// What was opened from a device.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Opened {
    /// The lines of the accesses, those that were refused among them, newest first.
    pub found: FoundLines,
    /// The accesses that were allowed, newest first, with their closing lines where these name patients.
    pub stories: Vec<Story>,
}

/// A patient whose information was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PatientSeen {
    /// The id, as the apps have it.
    pub id: String,
    /// How many accesses were about them.
    pub times: u64,
    /// When the last of them began.
    pub last_at: Timestamp,
    /// Who made them, by sign-in name.
    pub logins: BTreeSet<String>,
    /// In which apps.
    pub apps: BTreeSet<String>,
}

/// The patients whose information was opened, and what is not known of that.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PatientsSeen {
    /// The last one seen first.
    pub patients: Vec<PatientSeen>,
    /// Accesses that were about more patients than the log lists.
    pub with_more: u64,
    /// Accesses of which no patient is known.
    pub without: u64,
}

/// Looks in the log for what was opened from a device. Sign-in pages and portal show nobody's information and are left
/// out. Blocks.
///
/// # Errors
/// [`LogProblem`] where the log cannot be read.
pub fn opened_from(log: &config::Audit, device: &DeviceId, search: Search) -> Result<Opened, LogProblem> {
    // A path of somebody's own choice could hold the mark.
    let is_its = |entry: &Entry| entry.device.as_deref() == Some(device.as_str());
    opened(log, format!(r#""dev":"{device}""#), is_its, search)
}

/// Looks for accesses whose lines hold a mark and are meant.
fn opened(
    log: &config::Audit,
    mark: String,
    is_its: impl Fn(&Entry) -> bool,
    search: Search,
) -> Result<Opened, LogProblem> {
    let mut found = audit::search(log, search, |line| is_access(line) && line.contains(&mark) && !is_own_page(line))?;
    let mut stories: Vec<Story> = found
        .lines
        .iter()
        .filter_map(|line| Entry::read(line.as_bytes()))
        .filter(|entry| entry.kind == EntryKind::Open && is_its(entry))
        .map(Story::of)
        .collect();
    if stories.is_empty() {
        return Ok(Opened { found, stories });
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    for (place, story) in stories.iter().enumerate() {
        places.extend(story.begin.request.clone().map(|request| (request, place)));
    }
    let ends = Search { lines_max: stories.len(), ..search };
    let ends = audit::search(log, ends, |line| {
        names_patients_at_its_end(line) && request_of(line).is_some_and(|request| places.contains_key(request))
    })?;
    // Of an end that was not reached nobody knows whom it names.
    found.is_whole &= ends.is_whole;
    for end in ends.lines.iter().filter_map(|line| Entry::read(line.as_bytes())) {
        let place = end.request.as_ref().and_then(|request| places.get(request));
        if let Some(story) = place.and_then(|place| stories.get_mut(*place)) {
            story.end = Some(end);
        }
    }
    Ok(Opened { found, stories })
}

/// Whom accesses were about: as their lines say, else as their paths do by the routes of the policy in force.
#[must_use]
pub fn patients_seen(stories: &[Story], policy: &Policy) -> PatientsSeen {
    let mut seen: BTreeMap<String, PatientSeen> = BTreeMap::new();
    let (mut with_more, mut without) = (0, 0);
    for story in stories {
        let ids = patients_of(story, policy);
        without += u64::from(ids.is_empty());
        with_more += u64::from(story.patients_count() > ids.len() as u64);
        for id in ids {
            let new = || PatientSeen {
                id: id.clone(),
                times: 0,
                last_at: story.begin.at,
                logins: BTreeSet::new(),
                apps: BTreeSet::new(),
            };
            let one = seen.entry(id.clone()).or_insert_with(new);
            one.times += 1;
            one.last_at = one.last_at.max(story.begin.at);
            one.logins.extend(story.begin.login.clone());
            one.apps.extend(story.begin.app.clone());
        }
    }
    let mut patients: Vec<PatientSeen> = seen.into_values().collect();
    patients.sort_by_key(|patient| std::cmp::Reverse(patient.last_at));
    PatientsSeen { patients, with_more, without }
}

/// Whom an access was about: as its lines say, else as its path does.
pub(crate) fn patients_of(story: &Story, policy: &Policy) -> BTreeSet<String> {
    let mut ids: BTreeSet<String> = story.patients().map(str::to_owned).collect();
    if ids.is_empty() {
        ids.extend(by_path(&story.begin, policy));
    }
    ids
}

/// The patient in the path of an access.
fn by_path(access: &Entry, policy: &Policy) -> Option<String> {
    let app = AppId::parse(access.app.as_deref()?).ok()?;
    let method = Method::parse(access.method.as_deref()?)?;
    let path = Path::parse(access.path.as_deref()?).ok()?;
    policy.classifier(&app).classify(&method, &path).patient.map(|patient| patient.into_owned())
}

/// Whether a line tells of an access, made or refused.
pub(crate) fn is_access(line: &str) -> bool {
    line.contains(r#""ev":"open""#) || line.contains(r#""ev":"refused""#)
}

/// Whether a line tells of sign-in or portal, where no patient is.
fn is_own_page(line: &str) -> bool {
    line.contains(r#""app":"login""#) || line.contains(r#""app":"portal""#)
}

fn names_patients_at_its_end(line: &str) -> bool {
    line.contains(r#""ev":"close""#) && (line.contains(r#""pt":["#) || line.contains(r#""ptn":"#))
}

/// The request of a closing line, in which no text of others' choice stands before it.
fn request_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(r#""id":""#)?;
    rest.split_once('"').map(|(request, _)| request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(more: &str, end: Option<&str>) -> Story {
        let line = |seq: u64, ev: &str, more: &str| {
            let text = format!(
                "{{\"v\":1,\"seq\":{seq},\"ts\":\"2026-11-22T01:00:0{seq}.000000Z\",\"ev\":\"{ev}\",\"id\":\"r1\",{more}}}"
            );
            Entry::read(text.as_bytes()).unwrap()
        };
        let mut story = Story::of(line(1, "open", more));
        story.end = end.map(|end| line(2, "close", end));
        story
    }

    async fn policy() -> std::sync::Arc<Policy> {
        crate::testing::Hospital::open().await.site.parts.policy.clone()
    }

    #[tokio::test]
    async fn patients_are_gathered_from_both_lines_and_else_from_the_path() {
        let by = "\"app\":\"emr\",\"m\":\"GET\",\"login\":\"n.sato\"";
        let stories = [
            story(&format!("{by},\"path\":\"/a\",\"pt\":[\"1\",\"2\"]"), Some("\"pt\":[\"3\"],\"ptn\":7")),
            story(&format!("{by},\"path\":\"/patients/4711/chart\""), None),
            story(&format!("{by},\"path\":\"/menu\""), None),
            story(&format!("{by},\"path\":\"/b\",\"pt\":[\"1\"]"), None),
        ];
        let seen = patients_seen(&stories, &*policy().await);
        let times: Vec<(&str, u64)> = seen.patients.iter().map(|one| (one.id.as_str(), one.times)).collect();
        assert_eq!(times, [("1", 2), ("2", 1), ("3", 1), ("4711", 1)]);
        assert_eq!((seen.with_more, seen.without), (1, 1));
        assert!(seen.patients.iter().all(|one| one.logins.contains("n.sato") && one.apps.contains("emr")));
    }

    #[tokio::test]
    async fn a_line_that_is_not_as_ours_names_nobody_and_breaks_nothing() {
        let odd = ["\"app\":\"E M R\",\"m\":\"GET\",\"path\":\"/x\"", "\"app\":\"emr\",\"m\":\"\",\"path\":\"..\""];
        let stories: Vec<Story> = odd.iter().map(|more| story(more, None)).collect();
        assert_eq!(patients_seen(&stories, &*policy().await), PatientsSeen { without: 2, ..PatientsSeen::default() });
        assert_eq!(request_of("{\"ev\":\"close\"}"), None);
    }
}

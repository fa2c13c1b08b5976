//! `device lost`: out of force first, then what was seen from it, and of whom.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use audit::Story;
use policy::{Timestamp, UtcOffset};
use serde_json::json;
use web::PatientSeen;

use super::{device_id, unavailable, unknown};
use crate::cli::{ConfigArg, Format, actor, block_on, open_store, out, table};
use crate::clock;
use crate::failure::Failure;

/// The most accesses that are looked at.
const LINES_MAX: usize = 100_000;

/// What was opened from a device, by whom.
struct Seen {
    login: String,
    app: String,
    host: String,
    path: String,
    times: u64,
    last: Timestamp,
}

/// `device lost`.
pub fn run(id: &str, within: Duration, config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let id = device_id(id)?;
    let config = config.read()?;
    let store = open_store(&config)?;
    let at = clock::now();
    let revoked = block_on(async {
        let revoked = store.revoke_device(&id, at, actor()).await.map_err(unavailable)?;
        let is_known = revoked || store.device(&id).await.map_err(unavailable)?.is_some();
        if is_known { Ok(revoked) } else { Err(unknown(&id)) }
    })?;
    // Told before the log is read: that takes a while, and this is what matters.
    if format == Format::Text {
        out::say(&if revoked {
            format!("device {id} revoked; its sessions and streams are ended")
        } else {
            format!("device {id} was revoked already")
        });
    }
    let since = Timestamp::from_unix_micros(
        at.unix_micros().saturating_sub(i64::try_from(within.as_micros()).unwrap_or(i64::MAX)),
    );
    let search = audit::Search { since, bytes_max: u64::MAX, lines_max: LINES_MAX };
    let opened =
        web::opened_from(&config.audit, &id, search).map_err(|problem| Failure::unavailable(problem.to_string()))?;
    let patients = web::patients_seen(&opened.stories, &config.loaded);
    let (seen, is_whole) = (seen_from(&opened.stories), opened.found.is_whole);
    match format {
        Format::Json => {
            out::say(
                &json!({
                    "device": id.as_str(), "revoked": revoked, "whole": is_whole,
                    "with_more_patients": patients.with_more, "without_patient": patients.without,
                })
                .to_string(),
            );
            for one in &patients.patients {
                out::say(
                    &json!({
                        "patient": one.id, "logins": one.logins, "apps": one.apps, "times": one.times,
                        "last": one.last_at.to_string(),
                    })
                    .to_string(),
                );
            }
            for one in &seen {
                out::say(
                    &json!({
                        "login": one.login, "app": one.app, "host": one.host, "path": one.path, "times": one.times,
                        "last": one.last.to_string(),
                    })
                    .to_string(),
                );
            }
        }
        Format::Text => {
            let rows: Vec<_> = patients.patients.iter().map(|one| patient_row(one, config.offset)).collect();
            out::say(&table(&["PATIENT", "LAST", "LOGINS", "APPS", "TIMES"], &rows));
            if patients.with_more > 0 {
                out::say(&format!("{} accesses were about more patients than the log lists", patients.with_more));
            }
            if patients.without > 0 {
                out::say(&format!("of {} accesses no patient is known", patients.without));
            }
            out::say("");
            let rows: Vec<_> = seen.iter().map(row).collect();
            out::say(&table(&["LAST", "LOGIN", "APP", "PATH", "TIMES"], &rows));
            if !is_whole {
                out::say("there is more than was looked at; see `sekimori audit export`");
            }
        }
    }
    Ok(())
}

fn row(seen: &Seen) -> Vec<String> {
    vec![seen.last.to_string(), seen.login.clone(), seen.app.clone(), seen.path.clone(), seen.times.to_string()]
}

fn patient_row(patient: &PatientSeen, offset: UtcOffset) -> Vec<String> {
    let list = |words: &BTreeSet<String>| words.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let last = patient.last_at.rfc3339(offset);
    vec![patient.id.clone(), last, list(&patient.logins), list(&patient.apps), patient.times.to_string()]
}

/// What was opened, by whom and how often, the latest first.
fn seen_from(stories: &[Story]) -> Vec<Seen> {
    let mut seen: BTreeMap<(String, String, String, String), Seen> = BTreeMap::new();
    for access in stories.iter().map(|story| &story.begin) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (login, app, host, path) = (text(&access.login), text(&access.app), text(&access.host), text(&access.path));
        let one = seen.entry((login.clone(), app.clone(), host.clone(), path.clone())).or_insert_with(|| Seen {
            login,
            app,
            host,
            path,
            times: 0,
            // The newest line comes first.
            last: access.at,
        });
        one.times += 1;
    }
    let mut seen: Vec<Seen> = seen.into_values().collect();
    seen.sort_by_key(|one| std::cmp::Reverse(one.last));
    seen
}

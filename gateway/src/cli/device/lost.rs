//! `device lost`: out of force first, then what was seen from it.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::{DeviceId, Timestamp};
use serde_json::{Value, json};
use store::Store as _;
use web::BuiltIn;

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
    last: String,
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
    let (seen, is_whole) = seen_from(&config, &id, since)?;
    match format {
        Format::Json => {
            out::say(&json!({ "device": id.as_str(), "revoked": revoked, "whole": is_whole }).to_string());
            for one in &seen {
                out::say(
                    &json!({
                        "login": one.login, "app": one.app, "host": one.host, "path": one.path, "times": one.times,
                        "last": one.last,
                    })
                    .to_string(),
                );
            }
        }
        Format::Text => {
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
    vec![seen.last.clone(), seen.login.clone(), seen.app.clone(), seen.path.clone(), seen.times.to_string()]
}

/// What was opened from a device since a moment, the latest first, and whether that is all of it.
fn seen_from(config: &config::Config, id: &DeviceId, since: Timestamp) -> Result<(Vec<Seen>, bool), Failure> {
    let mark = format!(r#""dev":"{id}""#);
    let search = audit::Search { since, bytes_max: u64::MAX, lines_max: LINES_MAX };
    let found =
        audit::search(&config.audit.directory, search, |line| line.contains(r#""ev":"open""#) && line.contains(&mark))
            .map_err(|problem| Failure::unavailable(problem.to_string()))?;
    let mut seen: BTreeMap<(String, String, String, String), Seen> = BTreeMap::new();
    for line in &found.lines {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        // A path of somebody's own choice could hold the mark. The sign-in pages show nobody's data.
        if text("dev") != id.as_str() || text("ev") != "open" || text("app") == BuiltIn::Login.app_id() {
            continue;
        }
        let (login, app, host, path) = (text("login"), text("app"), text("host"), text("path"));
        let one = seen.entry((login.clone(), app.clone(), host.clone(), path.clone())).or_insert_with(|| Seen {
            login,
            app,
            host,
            path,
            times: 0,
            // The newest line comes first.
            last: text("ts"),
        });
        one.times += 1;
    }
    let mut seen: Vec<Seen> = seen.into_values().collect();
    seen.sort_by(|one, other| other.last.cmp(&one.last));
    Ok((seen, found.is_whole))
}

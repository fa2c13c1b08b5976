//! Receivers of the log: whether they can be reached, and how far each feed is behind.

use std::time::Duration;

use audit::Reader;
use config::Config;
use policy::Timestamp;
use tokio::time::timeout;

use super::{Finding, Grade, add};
use crate::feed::{Connection, Receivers, Standing};
use crate::upstream::dial::Dialer;

/// How long a receiver has to refuse our certificate: with TLS 1.3 it does so after the handshake.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(500);

/// Looks at every feed.
pub async fn look(config: &Config, at: Timestamp, findings: &mut Vec<Finding>) {
    let receivers = match Receivers::build(config) {
        Ok(receivers) => receivers,
        Err(problems) => {
            problems.into_iter().for_each(|problem| add(findings, "feed", Grade::Bad, problem));
            return;
        }
    };
    let dialer = Dialer::new(config.limits.connect_timeout, &config.forbidden_upstreams);
    for feed in &config.feeds {
        let Some(receiver) = receivers.find(&feed.id) else { continue };
        let what = format!("feed {} to {}:{}", feed.id, feed.host, feed.port);
        let connected = match Connection::open(&dialer, receiver).await {
            Ok(mut connection) => match timeout(REFUSAL_TIMEOUT, connection.ended()).await {
                Ok(problem) => Err(problem),
                Err(_still_open) => {
                    connection.close().await;
                    Ok(())
                }
            },
            Err(problem) => Err(problem),
        };
        match connected {
            Ok(()) => add(findings, &what, Grade::Good, "answers, and takes our certificate"),
            Err(problem) => add(findings, &what, Grade::Bad, problem),
        }
        look_at_standing(config, feed, at, &what, findings);
    }
}

fn look_at_standing(config: &Config, feed: &config::Feed, at: Timestamp, what: &str, findings: &mut Vec<Finding>) {
    let standing = match Standing::read(&Standing::file(&config.state_dir, &feed.id)) {
        Ok(Some(standing)) => standing,
        Ok(None) => {
            add(findings, what, Grade::Good, "has not begun");
            return;
        }
        Err(problem) => {
            add(findings, what, Grade::Bad, problem);
            return;
        }
    };
    let reader: Reader = (&config.audit).into();
    let waiting = reader.size().unwrap_or(0).saturating_sub(standing.settled.next);
    if let Some((since, problem)) = &standing.problem {
        let span = at.since(*since);
        let grade = if span > feed.alarm_after { Grade::Bad } else { Grade::Warning };
        let says = format!("{waiting} lines wait; not told since {}: {problem}", since.rfc3339(config.offset));
        add(findings, what, grade, says);
    } else {
        add(findings, what, Grade::Good, format!("{waiting} lines wait"));
    }
    if standing.left_out > 0 {
        let says = format!("{} messages were left out; see `message_max`", standing.left_out);
        add(findings, what, Grade::Warning, says);
    }
}

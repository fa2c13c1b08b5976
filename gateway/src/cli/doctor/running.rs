//! How the gateway that runs says it is: each of its alarms is a line.

use config::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use web::Alarm;

use super::{Finding, Grade, add};
use crate::upstream::dial::Dialer;

/// The most that is read of its metrics.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Asks it, by its own listener for metrics.
pub(super) async fn look(config: &Config, findings: &mut Vec<Finding>) {
    let Some(address) = config.operations.address else {
        add(
            findings,
            "running gateway",
            Grade::Warning,
            "`[operations] address` is off, so its alarms cannot be asked for",
        );
        return;
    };
    let dialer = Dialer::new(config.limits.connect_timeout, &[]);
    let asking = async {
        let mut stream = dialer.tcp(&address.ip().to_string(), address.port()).await.ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: operations\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        (&mut stream).take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await.ok()?;
        Some(answer)
    };
    match timeout(config.limits.connect_timeout * 2, asking).await.ok().flatten() {
        Some(metrics) => say(&metrics, findings),
        None => add(
            findings,
            "running gateway",
            Grade::Warning,
            format!("none answers at {address}; so nothing is known of its alarms"),
        ),
    }
}

fn say(metrics: &str, findings: &mut Vec<Finding>) {
    for alarm in Alarm::ALL {
        let name = format!("sekimori_alarm{{alarm=\"{}\"}} ", alarm.code());
        let (grade, says) = match metrics.lines().find_map(|line| line.strip_prefix(&name)) {
            Some("0") => (Grade::Good, "it is well"),
            Some(_) => (Grade::Bad, "it is raised; docs/operate/faults.md says what to do"),
            None => (Grade::Warning, "the gateway that runs does not know it; is it of another version?"),
        };
        add(findings, format!("running gateway: {}", alarm.code()), grade, says);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alarm_is_a_line_and_a_raised_one_is_bad() {
        let mut findings = Vec::new();
        let raised = "sekimori_alarm{alarm=\"panicked\"} 1\nsekimori_alarm{alarm=\"store-away\"} 0\n";
        say(raised, &mut findings);
        let grade = |code: &str| findings.iter().find(|one| one.what.ends_with(code)).map(|one| one.grade);
        assert_eq!(findings.len(), Alarm::ALL.len());
        assert_eq!(grade("panicked"), Some(Grade::Bad));
        assert_eq!(grade("store-away"), Some(Grade::Good));
        assert_eq!(grade("memory-short"), Some(Grade::Warning));
    }
}

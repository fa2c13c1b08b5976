//! A shadow: a proposed policy that is judged beside the one in force. Where its answers differ they are counted and
//! recorded; nothing of it is enforced, and nothing that is wrong with it stops anything.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use policy::{Judge, Policy, Verdict};

use crate::gate::Gate;
use crate::reload::Stamps;

/// How often the shadow's files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The shadow of this gateway, if there is one; shared by all workers.
#[derive(Debug, Default)]
pub struct Shadow(ArcSwapOption<Policy>);

/// One worker's way to ask the shadow.
#[derive(Debug, Default)]
pub struct ShadowJudge(RefCell<Option<Judge>>);

impl ShadowJudge {
    /// Asks the shadow about an access that was judged, and notes on the verdict what it says, where that differs.
    /// What caps come to is not asked: a shadow counts nothing.
    pub fn judge_beside<T>(&self, gate: &Gate, verdict: &mut Verdict<T>) {
        let shadow = gate.shadow.0.load();
        let Some(policy) = shadow.as_ref() else { return };
        let mut kept = self.0.borrow_mut();
        let is_current = kept.as_ref().is_some_and(|judge| Arc::ptr_eq(judge.policy(), policy));
        if !is_current {
            *kept = None;
        }
        let judge = kept.get_or_insert_with(|| Judge::new(Arc::clone(policy)));
        let access = verdict.access();
        let judged = judge.ask(&policy.classify(access));
        let (from, to) = (verdict.decision(), judged.decision);
        if from != to {
            gate.metrics.note_shadow_difference(&access.app, from, to);
            verdict.note_shadow(judged);
        }
    }
}

/// Reads the policy of a proposed configuration: all of it must be good, its policy alone is used.
///
/// # Errors
/// Every problem, in words.
pub fn read(file: &Path) -> Result<(Arc<Policy>, Vec<PathBuf>), String> {
    let config = config::read(file).map_err(|problems| problems.to_string())?;
    Ok((config.loaded, config.files))
}

/// Follows the file that the configuration in force names as its shadow, until the gateway stops.
pub async fn follow(gate: Arc<Gate>) {
    let mut following = Following::default();
    loop {
        following.look(&gate);
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// What the shadow was last read from.
#[derive(Debug, Default)]
struct Following {
    file: Option<PathBuf>,
    /// What its files looked like before they were read; `None` while it could not be read.
    seen: Option<Stamps>,
    /// What was wrong with it, told once.
    told: Option<String>,
}

impl Following {
    fn look(&mut self, gate: &Gate) {
        let file = gate.snapshot.load().config.shadow.clone();
        if file != self.file {
            *self = Self { file, ..Self::default() };
            gate.shadow.0.store(None);
            gate.metrics.shadow_alarm.set(0);
        }
        let Some(file) = &self.file else { return };
        if self.seen.as_ref().is_some_and(Stamps::are_current) {
            return;
        }
        let mut seen = Stamps::of(std::slice::from_ref(file));
        match read(file) {
            Ok((policy, files)) => {
                seen.learn(&files);
                tracing::info!(revision = %policy.revision(), "shadow policy judged beside the one in force");
                gate.shadow.0.store(Some(policy));
                gate.metrics.shadow_alarm.set(0);
                (self.seen, self.told) = (Some(seen), None);
            }
            Err(problems) => {
                // The last good one goes on being asked: it is only a shadow, and the alarm says that it is old.
                gate.metrics.shadow_alarm.set(1);
                if self.told.as_ref() != Some(&problems) {
                    tracing::error!(%problems, "shadow policy cannot be read");
                }
                (self.seen, self.told) = (None, Some(problems));
            }
        }
    }
}

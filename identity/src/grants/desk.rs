//! What people do about exceptions: ask, approve, refuse, end, report, break and review. What the configuration asks is
//! looked at here, what may change meanwhile in the store's one transaction.

use aws_lc_rs::digest::{SHA256, digest};
use policy::{AppId, Device, DeviceClass, GrantId, GrantKind, Reasons, Timestamp, Unit, UserId, Who};
use store::{
    GlassVerdict, GrantConfirmation, GrantReach, GrantRefusal, GrantReport, NewGlass, NewMaintenance, PlanFile, Ruler,
    StoreProblem,
};

use super::{Grants, has_one_of};
use crate::secret::random;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum GrantProblem {
    /// The hospital does not let it be.
    #[error("{0}")]
    Refused(GrantRefusal),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreProblem),
}

impl From<GrantRefusal> for GrantProblem {
    fn from(refusal: GrantRefusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A window as somebody asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedWindow {
    /// Whose it is to be.
    pub person: UserId,
    /// For which app.
    pub app: AppId,
    /// Its first moment.
    pub begin: Timestamp,
    /// The first moment at which it is over.
    pub end: Timestamp,
    /// What for.
    pub purpose: String,
    /// The number of the ticket; may be empty.
    pub ticket: String,
    /// The work plan.
    pub plan: String,
    /// A file that comes with it: its name, what it is said to be, its bytes.
    pub file: Option<(String, String, Vec<u8>)>,
    /// Which methods and paths it is for; all where empty.
    pub reach: GrantReach,
    /// Whether they ask to be let in at once.
    pub is_urgent: bool,
}

/// Glass as somebody breaks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenGlass {
    /// In which app.
    pub app: AppId,
    /// Why: a code of the configuration.
    pub reason: String,
    /// Why, in their words.
    pub words: String,
    /// The patient it is for, where that is known.
    pub patient: Option<String>,
    /// The ward it is for, where no one patient is and that is known.
    pub ward: Option<Unit>,
}

fn done(answer: Result<(), GrantRefusal>) -> Result<(), GrantProblem> {
    Ok(answer?)
}

impl Grants {
    /// Asks for a vendor's window: the person for themselves, or somebody of the hospital for them.
    ///
    /// # Errors
    /// [`GrantProblem`]; nothing is asked for.
    pub async fn ask(&self, asked: AskedWindow, actor: &str, at: Timestamp) -> Result<GrantId, GrantProblem> {
        let rules = self.rules.load_full();
        if rules.maintenance.vendor_roles.is_empty() {
            return Err(GrantRefusal::NotOffered.into());
        }
        rules.known_app(&asked.app)?;
        let id = new_id(GrantKind::Maintenance)?;
        let new = NewMaintenance {
            id: id.clone(),
            person: asked.person,
            app: asked.app,
            begin: asked.begin,
            end: asked.end,
            asked_at: at,
            asked_by: actor.to_owned(),
            purpose: asked.purpose,
            ticket: asked.ticket,
            plan: asked.plan,
            file: asked.file.map(with_digest),
            reach: asked.reach,
            is_urgent: asked.is_urgent,
        };
        done(self.store.ask_grant(new, rules.terms_of_windows()).await?)?;
        Ok(id)
    }

    /// Approves a window, or makes up for an admission.
    ///
    /// # Errors
    /// [`GrantProblem`].
    pub async fn approve(&self, id: &GrantId, actor: &str, words: &str, at: Timestamp) -> Result<(), GrantProblem> {
        let rules = self.rules.load_full();
        rules.at_this_hour(at)?;
        done(self.store.approve_grant(id, rules.approver(actor), words.to_owned(), at).await?)
    }

    /// Lets somebody in before it is approved, at any hour.
    ///
    /// # Errors
    /// [`GrantProblem`].
    pub async fn admit(&self, id: &GrantId, actor: &str, words: &str, at: Timestamp) -> Result<(), GrantProblem> {
        let rules = self.rules.load_full();
        let due_at = at.after(rules.maintenance.approve_within);
        done(self.store.admit_grant(id, rules.on_duty(actor), words.to_owned(), due_at, at).await?)
    }

    /// Refuses a window, at any hour.
    ///
    /// # Errors
    /// [`GrantProblem`].
    pub async fn refuse(&self, id: &GrantId, actor: &str, words: &str, at: Timestamp) -> Result<(), GrantProblem> {
        let by = self.anybody_of_the_hospital(actor);
        done(self.store.refuse_grant(id, by, words.to_owned(), at).await?)
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// [`GrantProblem`].
    pub async fn withdraw(&self, id: &GrantId, actor: &str, words: &str, at: Timestamp) -> Result<(), GrantProblem> {
        done(self.store.withdraw_grant(id, actor.to_owned(), words.to_owned(), at).await?)
    }

    /// Ends an exception before its time: its person, whoever asked, whoever may approve or review, or has one of
    /// these other roles.
    ///
    /// # Errors
    /// [`GrantProblem`].
    pub async fn end(
        &self,
        id: &GrantId,
        actor: &str,
        why: &str,
        others: &[policy::RoleId],
        at: Timestamp,
    ) -> Result<(), GrantProblem> {
        let mut by = self.anybody_of_the_hospital(actor);
        by.roles.extend(self.rules.load().glass.reviewers.iter().chain(others).cloned());
        done(self.store.end_grant(id, by, why.to_owned(), at).await?)?;
        self.note_ended(id).await;
        Ok(())
    }

    /// Hands in the report of a window that is over.
    ///
    /// # Errors
    /// [`GrantProblem`].
    pub async fn report(
        &self,
        id: &GrantId,
        actor: &str,
        draft: String,
        text: String,
        at: Timestamp,
    ) -> Result<(), GrantProblem> {
        done(self.store.report_grant(id, GrantReport { draft, text, at, by: actor.to_owned() }).await?)
    }

    /// Confirms the report of a window.
    ///
    /// # Errors
    /// [`GrantProblem`].
    pub async fn confirm(
        &self,
        id: &GrantId,
        actor: &str,
        confirmation: GrantConfirmation,
        at: Timestamp,
    ) -> Result<(), GrantProblem> {
        let rules = self.rules.load_full();
        done(self.store.confirm_grant(id, rules.approver(actor), confirmation, at).await?)
    }

    /// Whether the glass is offered to somebody who was refused for these reasons: the rule that came nearest lacks
    /// nothing else, somebody reviews it, and they come from no vendor.
    #[must_use]
    pub fn may_break(&self, who: &Who, device: Option<&Device>, reasons: &Reasons) -> bool {
        reasons.may_break_glass() && self.lets_break(who, device).is_ok()
    }

    fn lets_break(&self, who: &Who, device: Option<&Device>) -> Result<(), GrantRefusal> {
        let rules = self.rules.load();
        if rules.glass.reviewers.is_empty() {
            return Err(GrantRefusal::NotOffered);
        }
        let vendors: Vec<_> = rules.vendors().cloned().collect();
        if has_one_of(&who.roles, &vendors) || device.is_some_and(|device| device.class == DeviceClass::Vendor) {
            return Err(GrantRefusal::Vendor);
        }
        Ok(())
    }

    /// Breaks the glass. It is in force once that stands in the log; see [`Grants::wait_for`].
    ///
    /// # Errors
    /// [`GrantProblem`].
    pub async fn break_glass(
        &self,
        who: &Who,
        device: Option<&Device>,
        broken: BrokenGlass,
        at: Timestamp,
    ) -> Result<GrantId, GrantProblem> {
        self.lets_break(who, device)?;
        let rules = self.rules.load_full();
        rules.known_app(&broken.app)?;
        if rules.glass.reason(&broken.reason).is_none() {
            return Err(GrantRefusal::NoSuchReason.into());
        }
        let id = new_id(GrantKind::Glass)?;
        let new = NewGlass {
            id: id.clone(),
            person: who.user.clone(),
            app: broken.app,
            at,
            end: at.after(rules.glass.length),
            reason: broken.reason,
            words: broken.words,
            patient: broken.patient,
            ward: broken.ward,
            review_due_at: at.after(rules.glass.review_within),
        };
        done(self.store.break_glass(new, rules.terms_of_glass()).await?)?;
        Ok(id)
    }

    /// Judges how the glass was broken.
    ///
    /// # Errors
    /// [`GrantProblem`].
    pub async fn review(
        &self,
        id: &GrantId,
        actor: &str,
        verdict: GlassVerdict,
        words: &str,
        at: Timestamp,
    ) -> Result<(), GrantProblem> {
        let rules = self.rules.load_full();
        done(self.store.review_glass(id, rules.reviewer(actor), verdict, words.to_owned(), at).await?)
    }

    /// Whoever approves, or is on duty.
    fn anybody_of_the_hospital(&self, actor: &str) -> Ruler {
        let rules = self.rules.load();
        let mut by = rules.approver(actor);
        by.roles.extend(rules.maintenance.emergency_approvers.iter().cloned());
        by
    }
}

fn with_digest((name, media_type, bytes): (String, String, Vec<u8>)) -> (PlanFile, Vec<u8>) {
    let mut sha256 = [0; 32];
    sha256.iter_mut().zip(digest(&SHA256, &bytes).as_ref()).for_each(|(to, from)| *to = *from);
    (PlanFile { name, media_type, bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX), sha256 }, bytes)
}

/// A name that nobody can guess and that is short enough to be told on the telephone.
fn new_id(kind: GrantKind) -> Result<GrantId, GrantProblem> {
    let digits: String = random::<5>().iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{}{digits}", kind.prefix());
    GrantId::parse(&name).map_err(|problem| GrantProblem::Store(StoreProblem::Corrupt(problem.to_string())))
}

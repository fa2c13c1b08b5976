//! The second pair of eyes: an administrator approves what another person proposed. The policy asks for a fresh proof of
//! who they are; that they are not who proposed it is seen here. What is approved comes into force once somebody who may
//! write the configuration puts it in its place: the gateway writes no configuration.

use store::{Approval, PeopleFilter, RevisionState, account_logged_in};

use super::desk::{Desk, Refused, Shown};
use super::versions::{content, named};
use super::view::{Form, Go, MarkTone, Part, Submit, Words};

/// How many people of one name are looked at.
const PEOPLE_MAX: usize = 200;

/// Whether who asks may approve what somebody proposed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Eyes {
    /// They are another person.
    Second,
    /// They proposed it themselves.
    Same,
    /// Who proposed it is nobody that is known here, or not certain, so nobody can say that it is another person.
    Unknown,
}

/// Asks whether to approve a version.
pub(super) async fn ask(desk: &Desk<'_>) -> Shown {
    let (kept, state) = named(desk).await?;
    let problem = problem(desk, &kept.proposal.proposed_by, state).await?;
    let mut content = content(desk, &kept, state).await?;
    let decision = match problem {
        Some(key) => Part::Words(Words {
            id: "approve",
            heading: desk.say("policy-version-not-approvable"),
            tone: MarkTone::Warn,
            lines: vec![desk.say(key)],
            links: Vec::new(),
        }),
        None => Part::Form(Form {
            id: "approve",
            heading: desk.say("policy-version-approve"),
            lead: Some(desk.say("policy-version-approve-lead")),
            action: format!("/versions/{}/approve", kept.number),
            with_file: false,
            fields: Vec::new(),
            buttons: Submit::main(desk.say("policy-version-approve-button")),
            back: Some(Go::new(desk.say("console-cancel"), format!("/versions/{}", kept.number))),
            folded: false,
        }),
    };
    content.parts.push(decision);
    Ok(desk.show(content))
}

/// Approves it.
pub(super) async fn approve(desk: &Desk<'_>) -> Shown {
    let (kept, state) = named(desk).await?;
    let mut problem = problem(desk, &kept.proposal.proposed_by, state).await?;
    if problem.is_none() {
        problem = match desk.store().approve_revision(kept.number, desk.at(), desk.actor()).await? {
            Approval::Given => {
                return Ok(desk.go(&format!("/versions/{}", kept.number), "version-approved"));
            }
            Approval::SamePerson => Some("policy-version-problem-same"),
            Approval::NotWaiting => Some("policy-version-problem-not-waiting"),
        };
    }
    let words = problem.map(|key| desk.say(key)).unwrap_or_default();
    Ok(desk.show_problem(words, content(desk, &kept, state).await?))
}

/// What stands against an approval by who asks.
async fn problem(desk: &Desk<'_>, proposed_by: &str, state: RevisionState) -> Result<Option<&'static str>, Refused> {
    match state {
        RevisionState::Waits => {}
        RevisionState::WaitsBehind => return Ok(Some("policy-version-problem-behind")),
        RevisionState::InForce | RevisionState::WasInForce | RevisionState::ToCome | RevisionState::Overtaken => {
            return Ok(Some("policy-version-problem-not-waiting"));
        }
    }
    Ok(match eyes(desk, proposed_by).await? {
        Eyes::Second => None,
        Eyes::Same => Some("policy-version-problem-same"),
        Eyes::Unknown => Some("policy-version-problem-unknown"),
    })
}

/// Who proposed a version did so at the machine. Only where the system there kept under which account they logged in, and
/// that is the login of somebody known here, is it certain that who asks is another: the name that they gave says nothing.
async fn eyes(desk: &Desk<'_>, proposed_by: &str) -> Result<Eyes, Refused> {
    let Some(account) = account_logged_in(proposed_by) else {
        return Ok(Eyes::Unknown);
    };
    if is_login(&desk.who.login, &account) {
        return Ok(Eyes::Same);
    }
    let filter = PeopleFilter { text: Some(account.clone()), ..PeopleFilter::default() };
    let found = desk.store().people(filter, None, PEOPLE_MAX).await?;
    let mut proposers = found.iter().filter(|person| is_login(&person.login, &account)).peekable();
    if proposers.peek().is_none() {
        return Ok(Eyes::Unknown);
    }
    Ok(if proposers.any(|person| desk.is_self(&person.id)) { Eyes::Same } else { Eyes::Second })
}

/// Whether a login is that of an account at the machine: the same, whatever the case, or its part before `@`.
fn is_login(login: &str, account: &str) -> bool {
    let (login, account) = (login.to_lowercase(), account.to_lowercase());
    login == account || login.split_once('@').is_some_and(|(name, _)| name == account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_login_whatever_the_case_and_without_its_domain() {
        for (login, account) in [("k.mori", "k.mori"), ("K.Mori", "k.mori"), ("k.mori@hosp.example", "K.mori")] {
            assert!(is_login(login, account), "{login} {account}");
        }
        for (login, account) in [("k.mori", "mori"), ("k.mori", ""), ("k.mori@hosp.example", "hosp.example")] {
            assert!(!is_login(login, account), "{login} {account}");
        }
    }
}

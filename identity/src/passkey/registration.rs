//! Enrolment: a person gets a passkey, by invitation, from a session of their own, or at their first sign-in.

use std::sync::Arc;
use std::time::Duration;

use policy::{Assurance, SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{
    Credential, CredentialId, Invitation, Invited, Lapsed, Person, Redemption, Secret, StoreProblem, TokenHash,
    WhichCredential,
};
use webauthn_rs::prelude::{Credential as Kept, Passkey as Checked, PasskeyRegistration, Uuid};

use super::ceremony::{keep, take, unreadable};
use super::problem::refusal_of;
use super::{Answer, Begun, Passkey, PasskeyProblem, PasskeyRefusal, Passkeys, Proven, answer, short_name};
use crate::people::{InvitationCode, People};
use crate::secret::{from_hex, hex};
use crate::{Session, SignedIn};

const KIND: &str = "passkey-enrolment";
/// How recently a person must have proved who they are to add a passkey by themselves.
const PROOF_AGE_MAX: Duration = Duration::from_secs(15 * 60);

/// What gives a person the right to a passkey.
#[derive(Debug)]
pub enum Enrolment {
    /// An invitation. It stays good until a passkey is enrolled.
    Invitation {
        /// Its code, as typed or from the link.
        code: String,
        /// Who somebody is whom no invitation names: for the first administrator, and for nobody else.
        newcomer: Option<Newcomer>,
    },
    /// A session of their own, in which they proved by two factors who they are, a moment ago.
    Own(Arc<Session>),
    /// The word of their provider, a moment ago, where the operator trusts it for that and as long as they have no
    /// passkey at all and never had one.
    FirstSignIn(Box<SignedIn>),
}

/// Who somebody is, by their own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// The name to sign in with.
    pub login: String,
    /// The name as people read it.
    pub name: String,
}

/// A passkey that was enrolled. Its person was verified by the authenticator: that proves who they are, too.
#[derive(Debug)]
pub struct Enrolled {
    /// The passkey.
    pub passkey: Passkey,
    /// The person, proven.
    pub proven: Proven,
}

/// What is kept until the answer.
#[derive(Serialize, Deserialize)]
struct Waiting {
    state: PasskeyRegistration,
    right: Right,
}

/// What gives the right, as it is kept meanwhile. It is looked at again when the passkey is there.
#[derive(Serialize, Deserialize)]
enum Right {
    Invited { code: String, user: String },
    First { code: String, subject: String, login: String, name: String },
    Own { user: String, session: String },
    FirstSignIn { user: String, provider: String, provider_session: Option<String>, vouched_at: i64 },
}

impl Passkeys {
    /// Asks a browser for a new passkey.
    ///
    /// # Errors
    /// [`PasskeyProblem`]: the invitation is void, the session proves too little, the newcomer's names cannot be used.
    pub async fn begin_registration(
        &self,
        people: &People,
        enrolment: Enrolment,
        at: Timestamp,
    ) -> Result<Begun, PasskeyProblem> {
        let (right, person) = self.right_of(people, enrolment, at).await?;
        let there = self.store.credentials_of(&person.id).await?;
        let user = handle(&person.id).ok_or_else(|| StoreProblem::Corrupt(format!("the user id `{}`", person.id)))?;
        let ids = there.iter().map(|credential| credential.id.0.clone()).collect();
        let asked = self.webauthn.start_passkey_registration(user, &person.login, &person.name, Some(ids));
        let (question, state) = asked.map_err(|problem| refusal_of(&problem))?;
        let mut options = serde_json::to_value(&question.public_key).map_err(|problem| unreadable(&problem))?;
        self.sharpen(&mut options);
        let options = json!({ "publicKey": options }).to_string();
        Ok(keep(self.store.as_ref(), KIND, &Waiting { state, right }, options, at).await?)
    }

    /// Judges the answer and keeps the passkey under the name its owner gives it. Works once, whatever it says.
    ///
    /// # Errors
    /// [`PasskeyProblem::Refused`]: record the reason and show none. The invitation is still good then.
    pub async fn finish_registration(
        &self,
        people: &People,
        answer: Answer<'_>,
        name: &str,
        at: Timestamp,
    ) -> Result<Enrolled, PasskeyProblem> {
        let Waiting { state, right } = take(self.store.as_ref(), KIND, answer, at).await?;
        let given = answer::creation(answer.credential)?;
        let checked = self.webauthn.finish_passkey_registration(&given, &state);
        let kept = Kept::from(checked.map_err(|problem| refusal_of(&problem))?);
        let model = answer::model(&given.response.attestation_object)?;
        if !self.rules.allow(model) {
            return Err(PasskeyRefusal::Model.into());
        }
        self.roots.check(&kept, model)?;
        let credential = Credential {
            id: CredentialId(kept.cred_id.clone()),
            user: right.user(people)?,
            name: short_name(name),
            model,
            counter: kept.counter,
            device_bound: !kept.backup_eligible,
            passkey: Secret(serde_json::to_string(&Checked::from(kept)).map_err(|problem| unreadable(&problem))?),
            added_at: at,
            used_at: None,
            added_by: String::new(),
            proofing: String::new(),
        };
        self.enrol(people, right, credential, at).await
    }

    /// Looks at what gives the right, and tells whose passkey it will be.
    async fn right_of(
        &self,
        people: &People,
        enrolment: Enrolment,
        at: Timestamp,
    ) -> Result<(Right, Person), PasskeyProblem> {
        match enrolment {
            Enrolment::Invitation { code, newcomer } => self.right_by_invitation(people, &code, newcomer, at).await,
            Enrolment::Own(session) => {
                let is_fresh = at.since(session.who.authenticated_at) <= PROOF_AGE_MAX;
                if session.who.assurance < Assurance::Aal2 || !is_fresh || session.is_ended() {
                    return Err(PasskeyProblem::ProveFirst);
                }
                let person = self.person(&session.who.user).await?;
                let session = session.id().to_string();
                Ok((Right::Own { user: person.id.as_str().to_owned(), session }, person))
            }
            Enrolment::FirstSignIn(signed_in) => {
                let SignedIn { person, provider_session, .. } = *signed_in;
                if self.store.had_credential(&person.id).await? {
                    return Err(PasskeyRefusal::Known.into());
                }
                let vouched_at = person.confirmed_at.unix_micros();
                self.store.remember_person(person.clone()).await?;
                let person = self.person(&person.id).await?;
                let (user, provider) = (person.id.as_str().to_owned(), person.provider.as_str().to_owned());
                Ok((Right::FirstSignIn { user, provider, provider_session, vouched_at }, person))
            }
        }
    }

    async fn right_by_invitation(
        &self,
        people: &People,
        code: &str,
        newcomer: Option<Newcomer>,
        at: Timestamp,
    ) -> Result<(Right, Person), PasskeyProblem> {
        let code = InvitationCode::parse(code).ok_or(PasskeyRefusal::Invitation)?.hash();
        let invitation = self.store.invitation(code, at).await?.ok_or(PasskeyRefusal::Invitation)?;
        let code = hex(&code.0);
        match (invitation.invited, newcomer) {
            (Invited::Passkey(user), None) => {
                let person = self.person(&user).await?;
                Ok((Right::Invited { code, user: user.as_str().to_owned() }, person))
            }
            (Invited::FirstAdministrator, Some(newcomer)) => {
                let person = people.first(newcomer, None, at).ok_or(PasskeyProblem::Newcomer)?;
                let Person { subject, login, name, .. } = person.clone();
                Ok((Right::First { code, subject, login, name }, person))
            }
            (Invited::FirstAdministrator, None) => Err(PasskeyProblem::Newcomer),
            (Invited::Passkey(_) | Invited::Device(_) | Invited::Temporary(_), _) => {
                Err(PasskeyRefusal::Invitation.into())
            }
        }
    }

    /// A person in force.
    async fn person(&self, user: &UserId) -> Result<Person, PasskeyProblem> {
        let person = self.store.person(user).await?.filter(|person| person.disabled.is_none());
        person.ok_or_else(|| PasskeyRefusal::Disabled.into())
    }

    /// Makes the right's last check and the keeping of the passkey one step.
    async fn enrol(
        &self,
        people: &People,
        right: Right,
        mut credential: Credential,
        at: Timestamp,
    ) -> Result<Enrolled, PasskeyProblem> {
        let actor = credential.user.as_str().to_owned();
        let shown = credential.clone();
        let added_by = match right {
            Right::Invited { code, user: _ } => {
                self.redeem(&code, at, actor, |invitation| Redemption::Passkey(vouched(credential, invitation))).await?
            }
            Right::First { code, subject, login, name } => {
                let newcomer = Newcomer { login, name };
                let person = people.first(newcomer, Some(subject), at).ok_or(PasskeyProblem::Newcomer)?;
                let redemption =
                    |invitation: &Invitation| Redemption::FirstAdministrator(person, vouched(credential, invitation));
                self.redeem(&code, at, actor, redemption).await?
            }
            Right::Own { user: _, session } => {
                let session = SessionId::parse(&session).ok_or(PasskeyRefusal::SessionOver)?;
                let proven_since = before(at, PROOF_AGE_MAX);
                credential.added_by.clone_from(&actor);
                credential.proofing = "own passkey or two factors at the provider".to_owned();
                self.add(credential, WhichCredential::Own { session, proven_since }, &actor).await?;
                actor
            }
            Right::FirstSignIn { user: _, provider, provider_session, vouched_at } => {
                let vouched_at = Timestamp::from_unix_micros(vouched_at);
                credential.added_by.clone_from(&actor);
                credential.proofing = format!("first sign-in at the provider `{provider}`");
                self.add(credential, WhichCredential::First { vouched_at, provider_session }, &actor).await?;
                actor
            }
        };
        let person = self.person(&shown.user).await?;
        let proven = Proven::new(person, shown.id.clone(), shown.model, shown.device_bound, at);
        Ok(Enrolled { passkey: self.shown(Credential { added_by, ..shown }), proven })
    }

    /// Uses the invitation up for a passkey. Tells who made it.
    async fn redeem(
        &self,
        code: &str,
        at: Timestamp,
        actor: String,
        redemption: impl FnOnce(&Invitation) -> Redemption,
    ) -> Result<String, PasskeyProblem> {
        let code = from_hex(code).map(TokenHash).ok_or(PasskeyRefusal::Invitation)?;
        let invitation = self.store.invitation(code, at).await?.ok_or(PasskeyRefusal::Invitation)?;
        let made_by = invitation.made_by.clone();
        let redeemed = self.store.redeem_invitation(code, redemption(&invitation), at, actor).await;
        redeemed.map_err(refused)?.ok_or(PasskeyRefusal::Invitation)?;
        Ok(made_by)
    }

    async fn add(&self, credential: Credential, which: WhichCredential, actor: &str) -> Result<(), PasskeyProblem> {
        self.store.add_credential(credential, which, actor.to_owned()).await.map_err(refused)
    }

    /// Asks for what the library does not: a passkey that is found without a name, and, where the operator listed
    /// models, the model.
    fn sharpen(&self, options: &mut Value) {
        let Some(options) = options.as_object_mut() else { return };
        if let Some(selection) = options.get_mut("authenticatorSelection").and_then(Value::as_object_mut) {
            selection.insert("residentKey".to_owned(), "required".into());
            selection.insert("requireResidentKey".to_owned(), true.into());
        }
        if self.rules.authenticators.is_some() {
            options.insert("attestation".to_owned(), "direct".into());
        }
    }
}

impl Right {
    /// Whose passkey it will be.
    fn user(&self, people: &People) -> Result<UserId, PasskeyProblem> {
        match self {
            Self::Invited { user, .. } | Self::Own { user, .. } | Self::FirstSignIn { user, .. } => {
                UserId::parse(user).map_err(|problem| StoreProblem::Corrupt(problem.to_string()).into())
            }
            Self::First { subject, .. } => Ok(people.local_id(subject)),
        }
    }
}

/// The passkey with what the invitation says of its owner's proofing.
fn vouched(credential: Credential, invitation: &Invitation) -> Credential {
    Credential { added_by: invitation.made_by.clone(), proofing: invitation.proofing.clone(), ..credential }
}

fn before(at: Timestamp, span: Duration) -> Timestamp {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_unix_micros(at.unix_micros().saturating_sub(micros))
}

fn refused(problem: StoreProblem) -> PasskeyProblem {
    match problem {
        StoreProblem::Exists(_) => PasskeyRefusal::Known.into(),
        StoreProblem::Full => PasskeyRefusal::TooMany.into(),
        StoreProblem::NotInForce(Lapsed::Session | Lapsed::SignIn | Lapsed::Code) => PasskeyRefusal::SessionOver.into(),
        StoreProblem::NotInForce(
            Lapsed::Person | Lapsed::Credential | Lapsed::Device | Lapsed::Roles | Lapsed::Line,
        ) => PasskeyRefusal::Disabled.into(),
        StoreProblem::Unavailable(_) | StoreProblem::Corrupt(_) => problem.into(),
    }
}

/// What authenticators call a person: the sixteen bytes of their id, which say nothing of them (WebAuthn Level 3
/// section 14.6.1).
pub(super) fn handle(user: &UserId) -> Option<Uuid> {
    let digits = user.as_str().strip_prefix("u-")?;
    let plain = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if plain { Uuid::try_parse(digits).ok() } else { None }
}

//! The use of a passkey: the question to the authenticator, and the judgment of its answer.

use policy::{Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Credential, CredentialFound, CredentialId, CredentialUse, CredentialUsed, Secret, StoreProblem};
use webauthn_rs::prelude::{
    AuthenticationResult, Credential as Kept, DiscoverableAuthentication, Passkey, PublicKeyCredential,
};

use super::ceremony::{keep, take, unreadable};
use super::problem::refusal_of;
use super::registration::handle;
use super::{Answer, Begun, PasskeyProblem, PasskeyRefusal, Passkeys, Proven, RefusedPasskey, answer, decoy};

const KIND: &str = "passkey-sign-in";

/// Whose passkey is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Anyone's that the authenticator holds: nobody types a name, and nothing is said of who exists.
    Anyone,
    /// This person's: for a step-up, and to come back to a parked session.
    Person(UserId),
}

/// What is kept until the answer.
#[derive(Serialize, Deserialize)]
pub(super) struct Asked {
    user: Option<String>,
    pub(super) state: DiscoverableAuthentication,
}

impl Passkeys {
    /// Asks for a passkey.
    ///
    /// # Errors
    /// [`PasskeyProblem::NoPasskey`] if a person was named who has none, [`PasskeyProblem::Store`].
    pub async fn begin_authentication(&self, whom: Whom, at: Timestamp) -> Result<Begun, PasskeyProblem> {
        let (asked, options) = self.ask(whom).await?;
        Ok(keep(self.store.as_ref(), KIND, &asked, options, at).await?)
    }

    /// Judges the answer. Works once, whatever it says.
    ///
    /// # Errors
    /// [`PasskeyProblem::Refused`]: record the reason and show none. [`PasskeyProblem::Store`]: nobody is signed in.
    pub async fn finish_authentication(&self, answer: Answer<'_>, at: Timestamp) -> Result<Proven, PasskeyProblem> {
        let asked = take(self.store.as_ref(), KIND, answer, at).await?;
        self.judge(asked, answer.credential, at).await
    }

    pub(super) async fn ask(&self, whom: Whom) -> Result<(Asked, String), PasskeyProblem> {
        let (question, state) = self.webauthn.start_discoverable_authentication().map_err(|one| refusal_of(&one))?;
        let mut options = serde_json::to_value(&question.public_key).map_err(|problem| unreadable(&problem))?;
        let user = match whom {
            Whom::Anyone => None,
            Whom::Person(user) => {
                let wanted = self.descriptors(&user).await?;
                if let Some(options) = options.as_object_mut() {
                    options.insert("allowCredentials".to_owned(), wanted);
                }
                Some(user.as_str().to_owned())
            }
        };
        Ok((Asked { user, state }, json!({ "publicKey": options }).to_string()))
    }

    /// The person's passkeys, as browsers want them listed.
    async fn descriptors(&self, user: &UserId) -> Result<Value, PasskeyProblem> {
        let kept = self.store.credentials_of(user).await?;
        let allowed = kept.iter().filter(|one| self.rules.allow(one.model));
        let described: Vec<_> = allowed.map(descriptor).collect::<Result<_, _>>()?;
        if described.is_empty() { Err(PasskeyProblem::NoPasskey) } else { Ok(described.into()) }
    }

    /// Judges what an authenticator said. The signature is checked whatever else is wrong, against a decoy where the
    /// passkey is unknown, before anything about its owner counts.
    pub(super) async fn judge(&self, asked: Asked, given: &str, at: Timestamp) -> Result<Proven, PasskeyProblem> {
        let given = answer::assertion(given)?;
        let id = CredentialId(given.raw_id.clone());
        let found = self.store.credential(&id).await?;
        let checked = self.check(&given, asked.state, found.as_ref())?;
        let Some(CredentialFound { credential, person }) = found else {
            return Err(PasskeyRefusal::Unknown.into());
        };
        let refuse = |reason| {
            let claimed = RefusedPasskey { reason, user: Some(person.id.clone()), credential: Some(id.clone()) };
            Err(PasskeyProblem::Refused(Box::new(claimed)))
        };
        let (result, mut kept) = match checked {
            Ok(checked) => checked,
            Err(reason) => return refuse(reason),
        };
        if !is_owner(&person.id, asked.user.as_deref(), given.response.user_handle.as_deref()) {
            return refuse(PasskeyRefusal::Foreign);
        }
        if person.disabled.is_some() {
            return refuse(PasskeyRefusal::Disabled);
        }
        if !self.rules.allow(credential.model) {
            return refuse(PasskeyRefusal::Model);
        }
        kept.counter = result.counter();
        kept.backup_state = result.backup_state();
        let passkey = serde_json::to_string(&Passkey::from(kept)).map_err(|problem| unreadable(&problem))?;
        let used = CredentialUse { counter: result.counter(), passkey: Secret(passkey), at };
        match self.store.credential_used(&id, used).await? {
            CredentialUsed::Noted => {}
            CredentialUsed::CounterBehind => return refuse(PasskeyRefusal::Counter),
            CredentialUsed::Gone => return refuse(PasskeyRefusal::Unknown),
        }
        Ok(Proven::new(person, id, credential.model, !result.backup_eligible(), at))
    }

    /// Has the library check the answer against the passkey as it is kept now, or against the decoy.
    pub(super) fn check(
        &self,
        given: &PublicKeyCredential,
        state: DiscoverableAuthentication,
        found: Option<&CredentialFound>,
    ) -> Result<Result<(AuthenticationResult, Kept), PasskeyRefusal>, StoreProblem> {
        let kept = match found {
            Some(found) => Some(read_kept(&found.credential)?),
            None => self.decoy.for_answer(given),
        };
        let Some(kept) = kept else { return Ok(Err(PasskeyRefusal::Unknown)) };
        let checked = self.webauthn.finish_discoverable_authentication_v2(given, state, &kept);
        Ok(checked.map(|result| (result, kept)).map_err(|problem| refusal_of(&problem)))
    }
}

/// Whether a passkey's owner is who was asked for and who the authenticator says. An authenticator that was asked for
/// anyone must say (WebAuthn Level 3 section 7.2, step 6).
fn is_owner(owner: &UserId, asked: Option<&str>, said: Option<&[u8]>) -> bool {
    let owners_handle = handle(owner);
    let says_owner = match said {
        Some(said) => owners_handle.is_some_and(|handle| handle.as_bytes() == said),
        None => asked.is_some(),
    };
    says_owner && asked.is_none_or(|asked| asked == owner.as_str())
}

/// A passkey as it is kept; the counter that the store compares counts.
fn read_kept(credential: &Credential) -> Result<Kept, StoreProblem> {
    let mut kept = decoy::passkey(&credential.passkey.0).map_err(|problem| unreadable(&problem))?;
    kept.counter = credential.counter;
    Ok(kept)
}

fn descriptor(credential: &Credential) -> Result<Value, StoreProblem> {
    let kept = read_kept(credential)?;
    let id = crate::secret::base64url(&credential.id.0);
    let mut descriptor = json!({ "type": "public-key", "id": id });
    if let (Some(transports), Some(members)) = (kept.transports, descriptor.as_object_mut()) {
        let transports = serde_json::to_value(transports).map_err(|problem| unreadable(&problem))?;
        members.insert("transports".to_owned(), transports);
    }
    Ok(descriptor)
}

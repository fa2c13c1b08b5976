pub(crate) mod authenticator;
mod enrolment;
mod refused;

use std::collections::BTreeSet;
use std::time::Duration;

use policy::{Assurance, ConsoleRoles, Host, RoleId, UserId};
use serde_json::Value;
use store::Person;

use super::*;
use crate::testing::{Hands, START, minutes};
use crate::{InvitationCode, NewPerson, People};
use authenticator::{Authenticator, Handle, MODEL, Manner, bytes, digits};

pub(crate) const ORIGIN: &str = "https://login.example.jp:8443";

/// A clinic with its directory and one authenticator.
pub(crate) struct Clinic {
    pub(crate) store: Arc<store::Sqlite>,
    pub(crate) hands: Hands,
    pub(crate) people: People,
    pub(crate) passkeys: Passkeys,
    pub(crate) authenticator: Authenticator,
}

pub(crate) fn role(text: &str) -> RoleId {
    RoleId::parse(text).unwrap()
}

impl Clinic {
    pub(crate) fn open() -> Self {
        Self::with(config::Passkeys::default())
    }

    pub(crate) fn with(rules: config::Passkeys) -> Self {
        let store = Arc::new(store::Sqlite::in_memory().unwrap());
        let console = ConsoleRoles { administrators: vec![role("administrator")], ..ConsoleRoles::default() };
        let roles = BTreeSet::from([role("administrator"), role("doctor"), role("nurse")]);
        let people = People::of(store.clone(), ORIGIN.to_owned(), true, roles, console);
        let passkeys = Passkeys::new(store.clone(), &party(), rules).unwrap();
        Self { store, hands: Hands::new(), people, passkeys, authenticator: Authenticator::new() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.hands.now()
    }

    /// Adds somebody to the directory.
    pub(crate) async fn add(&self, login: &str) -> Person {
        let person = NewPerson {
            login: login.to_owned(),
            name: format!("{login} 様"),
            roles: vec![role("nurse")],
            unit: "3階東病棟".to_owned(),
        };
        self.people.add(person, "cli:test", self.now()).await.unwrap()
    }

    pub(crate) async fn invite(&self, user: &UserId) -> InvitationCode {
        let day = Duration::from_secs(86_400);
        self.people.invite(user, day, "職員証、対面", "cli:test", self.now()).await.unwrap().code
    }

    pub(crate) async fn begin_enrolment(&self, code: &InvitationCode) -> Result<Begun, PasskeyProblem> {
        let enrolment = Enrolment::Invitation { code: code.expose(), newcomer: None };
        self.passkeys.begin_registration(&self.people, enrolment, self.now()).await
    }

    /// Adds somebody and enrols a passkey for them, the last of the authenticator.
    pub(crate) async fn enrol(&mut self, login: &str) -> Person {
        let person = self.add(login).await;
        let code = self.invite(&person.id).await;
        self.enrol_by(&code, &Manner::honest(ORIGIN)).await.unwrap();
        person
    }

    pub(crate) async fn enrol_by(
        &mut self,
        code: &InvitationCode,
        manner: &Manner,
    ) -> Result<Enrolled, PasskeyProblem> {
        let begun = self.begin_enrolment(code).await?;
        let credential = self.authenticator.create(&begun.options, manner);
        self.finish_enrolment(&begun, &credential).await
    }

    pub(crate) async fn finish_enrolment(&self, begun: &Begun, credential: &str) -> Result<Enrolled, PasskeyProblem> {
        self.passkeys.finish_registration(&self.people, said(begun, credential), "青いキー", self.now()).await
    }

    /// Signs in with a key of the authenticator.
    pub(crate) async fn sign_in(&mut self, whom: Whom, key: usize, manner: &Manner) -> Result<Proven, PasskeyProblem> {
        let begun = self.passkeys.begin_authentication(whom, self.now()).await?;
        let credential = self.authenticator.get(&begun.options, key, manner);
        self.passkeys.finish_authentication(said(&begun, &credential), self.now()).await
    }
}

pub(crate) fn party() -> RelyingParty {
    let host = Host::parse("login.example.jp").unwrap();
    RelyingParty { host, origin: ORIGIN.to_owned(), name: "さくら診療所".to_owned() }
}

pub(crate) fn said<'a>(begun: &'a Begun, credential: &'a str) -> Answer<'a> {
    Answer { ceremony: &begun.ceremony, browser_secret: begun.browser_secret.expose(), credential }
}

pub(crate) fn reason<T: fmt::Debug>(answered: Result<T, PasskeyProblem>) -> PasskeyRefusal {
    let problem = answered.unwrap_err();
    let PasskeyProblem::Refused(refused) = problem else { panic!("{problem:?}") };
    refused.reason
}

fn options(begun: &Begun) -> Value {
    serde_json::from_str::<Value>(&begun.options).unwrap()["publicKey"].take()
}

#[tokio::test]
async fn somebody_of_the_directory_signs_in_with_nothing_but_a_passkey() {
    let mut clinic = Clinic::open();
    let person = clinic.enrol("n.sato").await;
    clinic.hands.turn(minutes(60));
    let begun = clinic.passkeys.begin_authentication(Whom::Anyone, clinic.now()).await.unwrap();
    let asked = options(&begun);
    assert_eq!(
        (asked["userVerification"].as_str(), asked["rpId"].as_str()),
        (Some("required"), Some("login.example.jp"))
    );
    assert_eq!(asked["allowCredentials"], Value::Array(Vec::new()), "nothing is said of who exists");
    let credential = clinic.authenticator.get(&begun.options, 0, &Manner::honest(ORIGIN));
    let proven = clinic.passkeys.finish_authentication(said(&begun, &credential), clinic.now()).await.unwrap();
    assert_eq!((&proven.person().id, proven.at()), (&person.id, clinic.now()));
    assert_eq!((proven.model().as_bytes(), proven.device_bound()), (&MODEL, true));
    assert_eq!(proven.assurance(), Assurance::Aal3);
    let kept = clinic.passkeys.of(&person.id).await.unwrap();
    assert_eq!(kept[0].used_at, Some(clinic.now()));
}

#[tokio::test]
async fn a_step_up_asks_for_the_persons_own_passkeys() {
    let mut clinic = Clinic::open();
    let (sato, suzuki) = (clinic.enrol("sato").await, clinic.enrol("suzuki").await);
    let begun = clinic.passkeys.begin_authentication(Whom::Person(suzuki.id.clone()), clinic.now()).await.unwrap();
    let asked = options(&begun);
    let [allowed] = asked["allowCredentials"].as_array().unwrap().as_slice() else { panic!("{asked}") };
    assert_eq!(bytes(&allowed["id"]), clinic.authenticator.keys[1].id);
    assert_eq!(allowed["type"], "public-key");
    let silent = Manner { handle: Handle::None, ..Manner::honest(ORIGIN) };
    let proven = clinic.sign_in(Whom::Person(suzuki.id.clone()), 1, &silent).await.unwrap();
    assert_eq!(proven.person().id, suzuki.id, "an authenticator that was told need not say whose key it is");
    let nobody = clinic.add("keyless").await;
    let none = clinic.passkeys.begin_authentication(Whom::Person(nobody.id.clone()), clinic.now()).await;
    assert!(matches!(none, Err(PasskeyProblem::NoPasskey)));
    assert!(clinic.passkeys.has_any(&sato.id).await.unwrap() && !clinic.passkeys.has_any(&nobody.id).await.unwrap());
}

#[tokio::test]
async fn a_key_that_is_synced_shows_less_than_one_that_cannot_be_copied() {
    let mut clinic = Clinic::open();
    clinic.authenticator.counts = false;
    let person = clinic.add("sato").await;
    let code = clinic.invite(&person.id).await;
    let synced = Manner { is_synced: true, ..Manner::honest(ORIGIN) };
    let enrolled = clinic.enrol_by(&code, &synced).await.unwrap();
    assert!(!enrolled.passkey.device_bound);
    assert_eq!(enrolled.proven.assurance(), Assurance::Aal2);
    for _ in 0..2 {
        let proven = clinic.sign_in(Whom::Anyone, 0, &synced).await.unwrap();
        assert_eq!(proven.assurance(), Assurance::Aal2, "and a counter that stays at nothing is no clone");
    }
}

#[tokio::test]
async fn a_passkey_is_renamed_and_removed_by_its_owner_alone() {
    let mut clinic = Clinic::open();
    let (sato, suzuki) = (clinic.enrol("sato").await, clinic.enrol("suzuki").await);
    let [key] = <[Passkey; 1]>::try_from(clinic.passkeys.of(&sato.id).await.unwrap()).unwrap();
    assert_eq!((key.name.as_str(), key.added_by.as_str()), ("青いキー", "cli:test"));
    let rename = async |user: &UserId, name: &str| {
        clinic.passkeys.rename(user, &key.id, name, user.as_str(), START).await.unwrap()
    };
    assert!(!rename(&suzuki.id, "mine").await);
    assert!(rename(&sato.id, " \u{7}赤いキー ").await);
    let told = clinic.store.events_after(0, 100).await.unwrap().pop().unwrap();
    let renamed = store::Change::CredentialRenamed { user: sato.id.clone(), credential: key.id.clone() };
    assert_eq!((told.change, told.actor.as_str()), (renamed, sato.id.as_str()));
    assert_eq!(clinic.passkeys.of(&sato.id).await.unwrap()[0].name, "赤いキー");
    assert!(!clinic.passkeys.remove(&suzuki.id, &key.id, "x", START).await.unwrap());
    assert!(clinic.passkeys.remove(&sato.id, &key.id, sato.id.as_str(), START).await.unwrap());
    assert!(clinic.passkeys.of(&sato.id).await.unwrap().is_empty());
    assert_eq!(short_name(" \n"), "passkey");
}

#[test]
fn passkeys_need_an_origin_that_fits_the_host() {
    let store = Arc::new(store::Sqlite::in_memory().unwrap());
    for origin in ["https://portal.example.jp", "https://example.jp", "https://10.0.0.1", "login.example.jp", ""] {
        let party = RelyingParty { origin: origin.to_owned(), ..party() };
        assert!(Passkeys::new(store.clone(), &party, config::Passkeys::default()).is_err(), "{origin:?}");
    }
}

#[tokio::test]
async fn provider_people_need_their_provider_unless_the_operator_or_an_outage_says_otherwise() {
    let mut clinic = Clinic::open();
    let local = clinic.enrol("sato").await;
    let (on, off) = (
        config::Directory { local: true, disable_unused_after: None },
        config::Directory { local: false, disable_unused_after: None },
    );
    let at = clinic.now();
    let alone = Alone { in_outage: false, roles_confirmed_at: at };
    assert_eq!(may_sign_in_by_passkey(&local, &on, &[], None, at), Ok(alone));
    assert_eq!(may_sign_in_by_passkey(&local, &off, &[], None, at), Err(ProviderFirst));
    let theirs = crate::testing::nurse();
    let outage = crate::InOutage { roles_confirmed_at: START };
    assert_eq!(may_sign_in_by_passkey(&theirs, &on, &[], Some(outage), at), Err(ProviderFirst), "no such provider");
    let mut disabled = local.clone();
    disabled.disabled = Some(store::Disabled { at, why: "left".to_owned(), actor: "cli:test".to_owned() });
    assert_eq!(may_sign_in_by_passkey(&disabled, &on, &[], None, at), Err(ProviderFirst));
}

#[tokio::test]
async fn handles_say_nothing_of_the_person() {
    let mut clinic = Clinic::open();
    let person = clinic.add("sato").await;
    let code = clinic.invite(&person.id).await;
    let begun = clinic.begin_enrolment(&code).await.unwrap();
    let asked = options(&begun);
    assert_eq!(format!("u-{}", digits(&bytes(&asked["user"]["id"]))), person.id.as_str());
    let selection = &asked["authenticatorSelection"];
    assert_eq!(
        (selection["residentKey"].as_str(), selection["requireResidentKey"].as_bool()),
        (Some("required"), Some(true))
    );
    assert_eq!(selection["userVerification"], "required");
    assert_eq!(asked["attestation"], "none");
    assert_eq!(asked["rp"]["id"], "login.example.jp");
    clinic.authenticator.counts = false;
    assert!(!format!("{begun:?} {:?}", said(&begun, "secret")).contains("secret\""));
}

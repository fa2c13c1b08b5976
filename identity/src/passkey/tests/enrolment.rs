//! Who gets a passkey, and who does not.

use authenticator::Maker;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine;
use config::Authenticator as Listed;
use policy::{Aaguid, Methods, SignInMethod};
use store::{Change, Store};

use super::*;
use crate::passkey::PasskeyRefusal as Refusal;
use crate::testing::{Ward, nurse, opening_of, terminal};
use crate::{Newcomer, Opening, PeopleProblem};

fn honest() -> Manner {
    Manner::honest(ORIGIN)
}

#[tokio::test]
async fn an_invitation_brings_one_passkey_and_says_who_vouched() {
    let mut clinic = Clinic::open();
    let person = clinic.add("sato").await;
    let code = clinic.invite(&person.id).await;
    let enrolled = clinic.enrol_by(&code, &honest()).await.unwrap();
    assert_eq!(enrolled.proven.person().id, person.id);
    let kept = clinic.store.credentials_of(&person.id).await.unwrap().remove(0);
    assert_eq!((kept.added_by.as_str(), kept.proofing.as_str()), ("cli:test", "職員証、対面"));
    assert_eq!(kept.model, Aaguid::new(MODEL));
    assert_eq!(reason(clinic.enrol_by(&code, &honest()).await), Refusal::Invitation, "used");
    let told = clinic.store.events_after(0, 100).await.unwrap();
    assert!(
        told.iter().any(|event| matches!(&event.change, Change::CredentialAdded { user, .. } if *user == person.id))
    );
}

#[tokio::test]
async fn two_browsers_with_one_invitation_get_one_passkey() {
    let mut clinic = Clinic::open();
    let person = clinic.add("sato").await;
    let code = clinic.invite(&person.id).await;
    let (one, other) = (clinic.begin_enrolment(&code).await.unwrap(), clinic.begin_enrolment(&code).await.unwrap());
    let (first, second) =
        (clinic.authenticator.create(&one.options, &honest()), clinic.authenticator.create(&other.options, &honest()));
    clinic.finish_enrolment(&one, &first).await.unwrap();
    assert_eq!(reason(clinic.finish_enrolment(&other, &second).await), Refusal::Invitation);
    assert_eq!(clinic.passkeys.of(&person.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_failed_enrolment_leaves_the_invitation_good() {
    let mut clinic = Clinic::open();
    let person = clinic.add("sato").await;
    let code = clinic.invite(&person.id).await;
    let unverified = Manner { is_verified: false, ..honest() };
    assert_eq!(reason(clinic.enrol_by(&code, &unverified).await), Refusal::NotVerified);
    let elsewhere = Manner::honest("https://evil.example");
    assert_eq!(reason(clinic.enrol_by(&code, &elsewhere).await), Refusal::Origin);
    let party = Manner { rp_id: Some("evil.example".to_owned()), ..honest() };
    assert_eq!(reason(clinic.enrol_by(&code, &party).await), Refusal::Party);
    let framed = Manner { cross_origin: true, ..honest() };
    assert_eq!(reason(clinic.enrol_by(&code, &framed).await), Refusal::CrossOrigin);
    clinic.enrol_by(&code, &honest()).await.unwrap();
}

#[tokio::test]
async fn void_invitations_all_look_the_same() {
    let mut clinic = Clinic::open();
    let person = clinic.add("sato").await;
    let earlier = clinic.invite(&person.id).await;
    let current = clinic.invite(&person.id).await;
    let unknown = InvitationCode::random();
    let hour = Duration::from_secs(3600);
    let temporary = clinic.people.temporary(&person.id, hour, "鍵を忘れた", "cli:test", START).await.unwrap().code;
    for (code, case) in [(&earlier, "invited again"), (&unknown, "never made"), (&temporary, "for something else")] {
        assert_eq!(reason(clinic.enrol_by(code, &honest()).await), Refusal::Invitation, "{case}");
    }
    let begun = clinic.begin_enrolment(&current).await.unwrap();
    let credential = clinic.authenticator.create(&begun.options, &honest());
    clinic.people.disable(&person.id, "退職", "cli:test", START).await.unwrap();
    assert_eq!(reason(clinic.finish_enrolment(&begun, &credential).await), Refusal::Invitation, "disabled meanwhile");
    let other = clinic.add("suzuki").await;
    let code = clinic.invite(&other.id).await;
    clinic.hands.turn(Duration::from_secs(86_400));
    assert_eq!(reason(clinic.enrol_by(&code, &honest()).await), Refusal::Invitation, "out of time");
}

#[tokio::test]
async fn the_first_administrator_comes_in_by_code_once() {
    let mut clinic = Clinic::open();
    let first = clinic.people.first_administrator("cli:root", START).await.unwrap();
    let newcomer = |login: &str| Newcomer { login: login.to_owned(), name: "院長".to_owned() };
    let begin = async |clinic: &Clinic, newcomer| {
        let enrolment = Enrolment::Invitation { code: first.code.expose(), newcomer };
        clinic.passkeys.begin_registration(&clinic.people, enrolment, START).await
    };
    assert!(matches!(begin(&clinic, None).await, Err(PasskeyProblem::Newcomer)), "somebody must say who they are");
    assert!(matches!(begin(&clinic, Some(newcomer("no spaces"))).await, Err(PasskeyProblem::Newcomer)));
    let begun = begin(&clinic, Some(newcomer("incho"))).await.unwrap();
    let credential = clinic.authenticator.create(&begun.options, &honest());
    let enrolled = clinic.finish_enrolment(&begun, &credential).await.unwrap();
    let person = enrolled.proven.person();
    assert_eq!((person.login.as_str(), person.roles.as_slice()), ("incho", [role("administrator")].as_slice()));
    assert_eq!(clinic.sign_in(Whom::Anyone, 0, &honest()).await.unwrap().person().id, person.id);
    let again = clinic.people.first_administrator("cli:root", START).await;
    assert!(matches!(again, Err(PeopleProblem::HasAdministrator)));
    let nurse = clinic.add("sato").await;
    let code = clinic.invite(&nurse.id).await;
    let enrolment = Enrolment::Invitation { code: code.expose(), newcomer: Some(newcomer("mallory")) };
    let named = clinic.passkeys.begin_registration(&clinic.people, enrolment, START).await;
    assert_eq!(reason(named), Refusal::Invitation, "an invitation that names somebody is for them");
}

#[tokio::test]
async fn only_who_proved_it_well_and_just_now_adds_a_key_by_themselves() {
    let mut clinic = Clinic::open();
    let devices = Arc::new(crate::Devices::load(clinic.store.clone()).await.unwrap());
    let sessions = crate::Sessions::new(clinic.store.clone(), devices, crate::testing::spans());
    let begin = async |clinic: &Clinic, session, at| {
        clinic.passkeys.begin_registration(&clinic.people, Enrolment::Own(session), at).await
    };
    let (session, _) = sessions.open(opening_of(nurse(), None), START).await.unwrap();
    let begun = begin(&clinic, session.clone(), START.after(minutes(15))).await.unwrap();
    let credential = clinic.authenticator.create(&begun.options, &honest());
    let enrolled = clinic.finish_enrolment(&begun, &credential).await.unwrap();
    assert_eq!(enrolled.passkey.added_by, nurse().id.as_str());
    let late = begin(&clinic, session.clone(), START.after(minutes(16))).await;
    assert!(matches!(late, Err(PasskeyProblem::ProveFirst)), "too long ago");
    let known =
        clinic.passkeys.begin_registration(&clinic.people, Enrolment::Own(session.clone()), START).await.unwrap();
    assert_eq!(options(&known)["excludeCredentials"].as_array().unwrap().len(), 1);
    let weak = Opening { assurance: Assurance::Aal1, ..opening_of(nurse(), None) };
    let (weak, _) = sessions.open(weak, START).await.unwrap();
    assert!(matches!(begin(&clinic, weak, START).await, Err(PasskeyProblem::ProveFirst)), "one factor");
    sessions.end(session.id(), "x", START).await.unwrap();
    assert!(matches!(begin(&clinic, session, START).await, Err(PasskeyProblem::ProveFirst)), "over");
}

#[tokio::test]
async fn the_first_sign_in_brings_a_key_only_to_who_has_none() {
    let mut clinic = Clinic::open();
    let begin = async |clinic: &Clinic| {
        let enrolment = Enrolment::FirstSignIn(Box::new(signed_in(nurse())));
        clinic.passkeys.begin_registration(&clinic.people, enrolment, START).await
    };
    let (one, other) = (begin(&clinic).await.unwrap(), begin(&clinic).await.unwrap());
    let (first, second) =
        (clinic.authenticator.create(&one.options, &honest()), clinic.authenticator.create(&other.options, &honest()));
    clinic.finish_enrolment(&one, &first).await.unwrap();
    assert_eq!(reason(clinic.finish_enrolment(&other, &second).await), Refusal::Known, "the race has one winner");
    assert_eq!(reason(begin(&clinic).await), Refusal::Known);
    let key = clinic.passkeys.of(&nurse().id).await.unwrap().remove(0);
    assert!(clinic.passkeys.remove(&nurse().id, &key.id, "u-boss", START).await.unwrap());
    assert!(
        !clinic.passkeys.has_any(&nurse().id).await.unwrap() && clinic.passkeys.had_any(&nurse().id).await.unwrap()
    );
    assert_eq!(reason(begin(&clinic).await), Refusal::Known, "who lost their only key needs an invitation");
}

/// What a provider said just now.
fn signed_in(person: Person) -> crate::SignedIn {
    crate::SignedIn {
        person,
        assurance: Assurance::Aal2,
        methods: Methods::of([SignInMethod::Provider]),
        authenticated_at: START,
        id_token: store::Secret("id-token".to_owned()),
        provider_session: Some("idp-session".to_owned()),
        refresh_token: None,
        return_to: String::new(),
    }
}

#[tokio::test]
async fn a_first_key_is_void_when_the_provider_signs_the_person_out_before_it_is_there() {
    let mut clinic = Clinic::open();
    let enrolment = Enrolment::FirstSignIn(Box::new(signed_in(nurse())));
    let begun = clinic.passkeys.begin_registration(&clinic.people, enrolment, START).await.unwrap();
    let credential = clinic.authenticator.create(&begun.options, &honest());
    let (provider, sid) = (nurse().provider, "idp-session".to_owned());
    let of = store::SessionsOf::ProviderSession { provider, sid, subject: None };
    clinic.store.end_sessions(of, START.after(minutes(1)), "gateway:provider".to_owned()).await.unwrap();
    clinic.hands.turn(minutes(2));
    assert_eq!(reason(clinic.finish_enrolment(&begun, &credential).await), Refusal::SessionOver);
    assert!(!clinic.passkeys.had_any(&nurse().id).await.unwrap());
}

#[tokio::test]
async fn a_key_of_ones_own_is_enrolled_only_while_the_session_lasts_and_is_fresh() {
    let ward = Ward::open().await;
    let mut clinic = Clinic::open();
    clinic.store.remember_person(nurse()).await.unwrap();
    let devices = Arc::new(crate::Devices::load(clinic.store.clone()).await.unwrap());
    let sessions = crate::Sessions::new(clinic.store.clone(), devices, crate::testing::spans());
    let begin = async |clinic: &Clinic, session| {
        let enrolment = Enrolment::Own(session);
        clinic.passkeys.begin_registration(&clinic.people, enrolment, clinic.now()).await.unwrap()
    };
    let (session, _) = sessions.open(opening_of(nurse(), None), START).await.unwrap();
    let begun = begin(&clinic, session.clone()).await;
    let credential = clinic.authenticator.create(&begun.options, &honest());
    sessions.end(session.id(), "u-boss", START).await.unwrap();
    assert_eq!(reason(clinic.finish_enrolment(&begun, &credential).await), Refusal::SessionOver, "ended meanwhile");
    let (elsewhere, _) = ward.sessions.open(opening_of(nurse(), Some(terminal())), START).await.unwrap();
    let begun = begin(&clinic, elsewhere).await;
    let credential = clinic.authenticator.create(&begun.options, &honest());
    assert_eq!(reason(clinic.finish_enrolment(&begun, &credential).await), Refusal::SessionOver, "no such session");
    let (session, _) = sessions.open(opening_of(nurse(), None), START).await.unwrap();
    clinic.hands.turn(minutes(14));
    let begun = begin(&clinic, session).await;
    let credential = clinic.authenticator.create(&begun.options, &honest());
    clinic.hands.turn(minutes(2));
    assert_eq!(reason(clinic.finish_enrolment(&begun, &credential).await), Refusal::SessionOver, "stale at the end");
    assert!(clinic.passkeys.of(&nurse().id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_key_that_somebody_has_is_nobody_elses() {
    let mut clinic = Clinic::open();
    clinic.enrol("sato").await;
    let suzuki = clinic.add("suzuki").await;
    let code = clinic.invite(&suzuki.id).await;
    let begun = clinic.begin_enrolment(&code).await.unwrap();
    let credential = clinic.authenticator.create_again(&begun.options, 0, &honest());
    assert_eq!(reason(clinic.finish_enrolment(&begun, &credential).await), Refusal::Known);
    clinic.enrol_by(&code, &honest()).await.expect("the invitation is still good");
}

#[tokio::test]
async fn only_listed_models_are_enrolled_and_used() {
    let listed = |allowed| config::Passkeys {
        authenticators: Some(vec![Listed {
            model: Aaguid::new(MODEL),
            name: "院内キー".to_owned(),
            allowed,
            roots: Vec::new(),
        }]),
    };
    let mut clinic = Clinic::with(listed(true));
    let person = clinic.add("sato").await;
    let code = clinic.invite(&person.id).await;
    let begun = clinic.begin_enrolment(&code).await.unwrap();
    assert_eq!(options(&begun)["attestation"], "direct", "browsers hide the model otherwise");
    clinic.authenticator.model = [7; 16];
    assert_eq!(reason(clinic.enrol_by(&code, &honest()).await), Refusal::Model);
    clinic.authenticator.keys.clear();
    clinic.authenticator.model = MODEL;
    let enrolled = clinic.enrol_by(&code, &honest()).await.unwrap();
    assert_eq!(enrolled.passkey.model_name.as_deref(), Some("院内キー"));
    clinic.passkeys = Passkeys::new(clinic.store.clone(), &party(), listed(false)).unwrap();
    assert_eq!(reason(clinic.sign_in(Whom::Anyone, 0, &honest()).await), Refusal::Model, "forbidden since");
    let named = clinic.passkeys.begin_authentication(Whom::Person(person.id.clone()), START).await;
    assert!(matches!(named, Err(PasskeyProblem::NoPasskey)));
    assert!(!clinic.passkeys.of(&person.id).await.unwrap()[0].is_allowed);
}

#[tokio::test]
async fn where_the_makers_certificate_is_listed_the_maker_must_vouch_for_the_key() {
    let (root, maker) = maker();
    let (_, somebody) = self::maker();
    let listed = Listed {
        model: Aaguid::new(MODEL),
        name: "院内キー".to_owned(),
        allowed: true,
        roots: vec![base64::engine::general_purpose::STANDARD.encode(&root)],
    };
    let mut clinic = Clinic::with(config::Passkeys { authenticators: Some(vec![listed.clone()]) });
    let person = clinic.add("sato").await;
    let code = clinic.invite(&person.id).await;
    assert_eq!(reason(clinic.enrol_by(&code, &honest()).await), Refusal::Attestation, "anybody can say that");
    clinic.authenticator.maker = Some(somebody);
    assert_eq!(reason(clinic.enrol_by(&code, &honest()).await), Refusal::Attestation, "another maker");
    clinic.authenticator.maker = Some(maker);
    let enrolled = clinic.enrol_by(&code, &honest()).await.unwrap();
    assert_eq!(enrolled.passkey.model, Aaguid::new(MODEL));
    let key = clinic.authenticator.keys.len() - 1;
    clinic.sign_in(Whom::Anyone, key, &honest()).await.unwrap();
    let broken = Listed { roots: vec!["AAAA".to_owned()], ..listed };
    let rules = config::Passkeys { authenticators: Some(vec![broken]) };
    assert!(Passkeys::new(clinic.store.clone(), &party(), rules).is_err());
}

/// A maker's root, and what it puts into its authenticators (WebAuthn Level 3 section 8.2.1).
fn maker() -> (Vec<u8>, Maker) {
    let name = |common: &str| {
        let mut name = rcgen::DistinguishedName::new();
        name.push(rcgen::DnType::CountryName, "JP");
        name.push(rcgen::DnType::OrganizationName, "鍵製作所");
        name.push(rcgen::DnType::OrganizationalUnitName, "Authenticator Attestation");
        name.push(rcgen::DnType::CommonName, common);
        name
    };
    let root_key = rcgen::KeyPair::generate().unwrap();
    let mut root = rcgen::CertificateParams::default();
    root.distinguished_name = name("root");
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    root.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = rcgen::Issuer::new(root, root_key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let mut leaf = rcgen::CertificateParams::default();
    leaf.distinguished_name = name("batch 1");
    leaf.is_ca = rcgen::IsCa::ExplicitNoCa;
    let certificate = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &leaf_key.serialize_der()).unwrap();
    (root_certificate.der().to_vec(), Maker { certificate: certificate.der().to_vec(), pair })
}

#[tokio::test]
async fn a_passkey_opens_a_session_that_ends_with_it() {
    let mut clinic = Clinic::open();
    let person = clinic.enrol("sato").await;
    let proven = clinic.sign_in(Whom::Anyone, 0, &honest()).await.unwrap();
    let devices = Arc::new(crate::Devices::load(clinic.store.clone()).await.unwrap());
    let sessions = crate::Sessions::new(clinic.store.clone(), devices, crate::testing::spans());
    let alone = Alone { in_outage: false, roles_confirmed_at: START };
    let opening = Opening::by_passkey(&proven, alone, None, party().host);
    let (session, _) = sessions.open(opening, START).await.unwrap();
    assert_eq!(session.who.methods, Methods::of([SignInMethod::Passkey]));
    assert_eq!((session.who.assurance, session.who.key_model), (Assurance::Aal3, Some(Aaguid::new(MODEL))));
    assert!(Opening::step_up(&session, &proven, None, party().host).is_some());
    assert!(opening_of(nurse(), None).with_passkey(&proven).is_none(), "another person's key is no second factor");
    clinic.passkeys.remove(&person.id, proven.credential(), "cli:test", START).await.unwrap();
    assert!(clinic.store.sessions().await.unwrap().is_empty());
    let late = Opening::by_passkey(&proven, alone, None, party().host);
    assert!(sessions.open(late, START).await.is_err(), "a key that was removed opens nothing");
}

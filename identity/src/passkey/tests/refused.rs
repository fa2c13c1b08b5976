//! What must not sign anybody in. Each with the reason that the record shows; the browser is told nothing of it.

use super::*;
use crate::passkey::PasskeyRefusal as Refusal;

type Wrong = fn(&mut Manner);

#[tokio::test]
async fn an_answer_that_is_wrong_anywhere_is_refused() {
    let cases: [(&str, Refusal, Wrong); 10] = [
        ("another origin", Refusal::Origin, |manner| manner.origin = "https://login.example.com:8443".to_owned()),
        ("a neighbouring host", Refusal::Origin, |manner| {
            manner.origin = "https://emr.login.example.jp:8443".to_owned()
        }),
        ("another port", Refusal::Origin, |manner| manner.origin = "https://login.example.jp".to_owned()),
        ("another party", Refusal::Party, |manner| manner.rp_id = Some("example.jp".to_owned())),
        ("another challenge", Refusal::Challenge, |manner| manner.challenge = Some("AAAA".to_owned())),
        ("a creation", Refusal::Kind, |manner| manner.kind = Some("webauthn.create")),
        ("nobody there", Refusal::NotPresent, |manner| manner.is_present = false),
        ("no PIN, no finger", Refusal::NotVerified, |manner| manner.is_verified = false),
        ("another signature", Refusal::Signature, |manner| manner.spoils_signature = true),
        ("in a frame", Refusal::CrossOrigin, |manner| manner.cross_origin = true),
    ];
    let mut clinic = Clinic::open();
    let person = clinic.enrol("sato").await;
    for (case, expected, wrong) in cases {
        let mut manner = Manner::honest(ORIGIN);
        wrong(&mut manner);
        for whom in [Whom::Anyone, Whom::Person(person.id.clone())] {
            assert_eq!(reason(clinic.sign_in(whom, 0, &manner).await), expected, "{case}");
        }
    }
    let framed = Manner { top_origin: Some("https://evil.example"), ..Manner::honest(ORIGIN) };
    assert_eq!(reason(clinic.sign_in(Whom::Anyone, 0, &framed).await), Refusal::CrossOrigin);
    clinic.sign_in(Whom::Anyone, 0, &Manner::honest(ORIGIN)).await.expect("nobody is locked out by failures");
}

#[tokio::test]
async fn every_answer_uses_its_question_up() {
    let mut clinic = Clinic::open();
    clinic.enrol("sato").await;
    let begun = clinic.passkeys.begin_authentication(Whom::Anyone, START).await.unwrap();
    let right = clinic.authenticator.get(&begun.options, 0, &Manner::honest(ORIGIN));
    clinic.passkeys.finish_authentication(said(&begun, &right), START).await.unwrap();
    let again = clinic.passkeys.finish_authentication(said(&begun, &right), START).await;
    assert_eq!(reason(again), Refusal::Void, "replayed");
    let begun = clinic.passkeys.begin_authentication(Whom::Anyone, START).await.unwrap();
    let spoilt = Manner { spoils_signature: true, ..Manner::honest(ORIGIN) };
    let wrong = clinic.authenticator.get(&begun.options, 0, &spoilt);
    let right = clinic.authenticator.get(&begun.options, 0, &Manner::honest(ORIGIN));
    assert_eq!(reason(clinic.passkeys.finish_authentication(said(&begun, &wrong), START).await), Refusal::Signature);
    assert_eq!(reason(clinic.passkeys.finish_authentication(said(&begun, &right), START).await), Refusal::Void);
}

#[tokio::test]
async fn an_answer_fits_its_own_question_in_its_own_browser_in_time() {
    let mut clinic = Clinic::open();
    clinic.enrol("sato").await;
    let one = clinic.passkeys.begin_authentication(Whom::Anyone, START).await.unwrap();
    let other = clinic.passkeys.begin_authentication(Whom::Anyone, START).await.unwrap();
    let credential = clinic.authenticator.get(&one.options, 0, &Manner::honest(ORIGIN));
    for (ceremony, browser_secret) in [
        (one.ceremony.as_str(), other.browser_secret.expose()),
        (other.ceremony.as_str(), one.browser_secret.expose()),
        ("", one.browser_secret.expose()),
        (one.ceremony.as_str(), ""),
    ] {
        let answer = Answer { ceremony, browser_secret, credential: &credential };
        assert_eq!(reason(clinic.passkeys.finish_authentication(answer, START).await), Refusal::Void);
    }
    let swapped = clinic.passkeys.finish_authentication(said(&other, &credential), START).await;
    assert_eq!(reason(swapped), Refusal::Challenge);
    let late = START.after(CEREMONY_SPAN);
    let void = clinic.passkeys.finish_authentication(said(&one, &credential), late).await;
    assert_eq!(reason(void), Refusal::Void, "out of time");
}

#[tokio::test]
async fn an_enrolment_is_no_sign_in_and_the_other_way_round() {
    let mut clinic = Clinic::open();
    let person = clinic.enrol("sato").await;
    let code = clinic.invite(&person.id).await;
    let enrolling = clinic.begin_enrolment(&code).await.unwrap();
    let signing_in = clinic.passkeys.begin_authentication(Whom::Anyone, START).await.unwrap();
    let credential = clinic.authenticator.get(&signing_in.options, 0, &Manner::honest(ORIGIN));
    let answered = clinic.passkeys.finish_authentication(said(&enrolling, &credential), START).await;
    assert_eq!(reason(answered), Refusal::Void);
    assert_eq!(reason(clinic.finish_enrolment(&signing_in, &credential).await), Refusal::Void);
}

#[tokio::test]
async fn a_cloned_authenticator_is_found_out_and_named() {
    let mut clinic = Clinic::open();
    let person = clinic.enrol("sato").await;
    for _ in 0..3 {
        clinic.sign_in(Whom::Anyone, 0, &Manner::honest(ORIGIN)).await.unwrap();
    }
    clinic.authenticator.keys[0].counter = 1;
    for _ in 0..2 {
        let refused = clinic.sign_in(Whom::Anyone, 0, &Manner::honest(ORIGIN)).await.unwrap_err();
        let PasskeyProblem::Refused(refused) = refused else { panic!("{refused:?}") };
        assert_eq!((refused.reason, refused.user.as_ref()), (Refusal::Counter, Some(&person.id)));
    }
    clinic.sign_in(Whom::Anyone, 0, &Manner::honest(ORIGIN)).await.expect("the one that goes on is good");
    clinic.authenticator.counts = false;
    clinic.authenticator.keys[0].counter = 0;
    assert_eq!(reason(clinic.sign_in(Whom::Anyone, 0, &Manner::honest(ORIGIN)).await), Refusal::Counter);
}

#[tokio::test]
async fn of_two_answers_with_the_same_counter_one_counts() {
    let mut clinic = Clinic::open();
    clinic.enrol("sato").await;
    let mut begun = Vec::new();
    for _ in 0..8 {
        let one = clinic.passkeys.begin_authentication(Whom::Anyone, START).await.unwrap();
        clinic.authenticator.keys[0].counter = 6;
        let credential = clinic.authenticator.get(&one.options, 0, &Manner::honest(ORIGIN));
        begun.push((one, credential));
    }
    let passkeys = Arc::new(clinic.passkeys);
    let mut answers = tokio::task::JoinSet::new();
    for (begun, credential) in begun {
        let passkeys = passkeys.clone();
        answers.spawn(async move { passkeys.finish_authentication(said(&begun, &credential), START).await.is_ok() });
    }
    assert_eq!(answers.join_all().await.into_iter().filter(|good| *good).count(), 1);
}

#[tokio::test]
async fn a_passkey_signs_in_its_owner_and_nobody_else() {
    let mut clinic = Clinic::open();
    let (sato, suzuki) = (clinic.enrol("sato").await, clinic.enrol("suzuki").await);
    let honest = Manner::honest(ORIGIN);
    let foreign = clinic.sign_in(Whom::Person(sato.id.clone()), 1, &honest).await;
    assert_eq!(reason(foreign), Refusal::Foreign, "a step-up with another person's key");
    let handle = bytes(&text_handle(&sato));
    for handle in [Handle::Other(handle), Handle::Other(Vec::new()), Handle::None] {
        let manner = Manner { handle, ..honest.clone() };
        assert_eq!(reason(clinic.sign_in(Whom::Anyone, 1, &manner).await), Refusal::Foreign);
    }
    assert_eq!(clinic.sign_in(Whom::Anyone, 1, &honest).await.unwrap().person().id, suzuki.id);
}

fn text_handle(person: &Person) -> Value {
    let handle = crate::passkey::registration::handle(&person.id).unwrap();
    crate::secret::base64url(handle.as_bytes()).into()
}

#[tokio::test]
async fn removed_keys_disabled_people_and_strangers_all_look_the_same() {
    let mut clinic = Clinic::open();
    let (sato, suzuki) = (clinic.enrol("sato").await, clinic.enrol("suzuki").await);
    let honest = Manner::honest(ORIGIN);
    let key = clinic.passkeys.of(&sato.id).await.unwrap().remove(0);
    clinic.passkeys.remove(&sato.id, &key.id, "cli:test", START).await.unwrap();
    clinic.people.disable(&suzuki.id, "退職", "cli:test", START).await.unwrap();
    let mut stranger = Clinic::open();
    stranger.enrol("stranger").await;
    clinic.authenticator.keys.append(&mut stranger.authenticator.keys);
    let mut refused = Vec::new();
    for key in 0..3 {
        refused.push(reason(clinic.sign_in(Whom::Anyone, key, &honest).await));
    }
    assert_eq!(refused, [Refusal::Unknown, Refusal::Disabled, Refusal::Unknown]);
    clinic.people.enable(&suzuki.id, "cli:test", START).await.unwrap();
    clinic.sign_in(Whom::Anyone, 1, &honest).await.expect("they are back");
}

#[tokio::test]
async fn an_unknown_key_takes_the_work_of_a_known_one() {
    let mut clinic = Clinic::open();
    clinic.enrol("sato").await;
    for is_synced in [false, true] {
        let manner = Manner { is_synced, ..Manner::honest(ORIGIN) };
        let (asked, options) = clinic.passkeys.ask(Whom::Anyone).await.unwrap();
        let given = clinic.authenticator.get(&options, 0, &manner);
        let given = crate::passkey::answer::assertion(&given).unwrap();
        let checked = clinic.passkeys.check(&given, asked.state, None).unwrap();
        assert_eq!(checked.unwrap_err(), Refusal::Signature, "the signature was checked against the decoy, to the end");
    }
}

#[tokio::test]
async fn a_key_that_says_it_can_be_copied_now_is_refused() {
    let mut clinic = Clinic::open();
    clinic.enrol("sato").await;
    let synced = Manner { is_synced: true, ..Manner::honest(ORIGIN) };
    assert_eq!(reason(clinic.sign_in(Whom::Anyone, 0, &synced).await), Refusal::BackupChanged);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_without_harm() {
    let mut clinic = Clinic::open();
    let person = clinic.enrol("sato").await;
    let code = clinic.invite(&person.id).await;
    type Spoil = Box<dyn Fn(&str) -> String>;
    let mut spoils: Vec<Spoil> = vec![
        Box::new(|_| String::new()),
        Box::new(|_| "null".to_owned()),
        Box::new(|_| "[]".to_owned()),
        Box::new(|_| "{}".to_owned()),
        Box::new(|_| "[".repeat(60_000)),
        Box::new(|good| format!("{good}{}", " ".repeat(70_000))),
        Box::new(|good| good.replace("public-key", "password")),
        Box::new(|good| good.replace("\"signature\":\"", "\"signature\":\"!!")),
        Box::new(|good| good.replace("clientDataJSON", "clientData")),
    ];
    for member in ["authenticatorData", "clientDataJSON", "signature"] {
        for text in ["", "AAAA", "_____w"] {
            spoils.push(Box::new(move |good| {
                let mut value: Value = serde_json::from_str(good).unwrap();
                value["response"][member] = text.into();
                value.to_string()
            }));
        }
    }
    for (number, spoil) in spoils.iter().enumerate() {
        let begun = clinic.passkeys.begin_authentication(Whom::Anyone, START).await.unwrap();
        let bad = spoil(&clinic.authenticator.get(&begun.options, 0, &Manner::honest(ORIGIN)));
        let refused = reason(clinic.passkeys.finish_authentication(said(&begun, &bad), START).await);
        assert!(matches!(refused, Refusal::Malformed | Refusal::Signature), "{number}: {refused:?}");
        let begun = clinic.begin_enrolment(&code).await.unwrap();
        let creation = clinic.authenticator.create_again(&begun.options, 0, &Manner::honest(ORIGIN));
        let mut object: Value = serde_json::from_str(&creation).unwrap();
        let cut = object["response"]["attestationObject"].as_str().unwrap()[..4 * number].to_owned();
        object["response"]["attestationObject"] = cut.into();
        for bad in [bad, object.to_string()] {
            let begun = clinic.begin_enrolment(&code).await.unwrap();
            assert_eq!(reason(clinic.finish_enrolment(&begun, &bad).await), Refusal::Malformed, "{number}");
        }
    }
}

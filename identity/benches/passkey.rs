//! What a sign-in by passkey costs the gateway: the question, and the judgment of the answer with its signature and
//! the store's part of it.

use std::sync::Arc;

use identity::{Answer, Begun, Passkeys, RelyingParty, Whom};
use policy::{Aaguid, Host, ProviderId, Timestamp};
use serde_json::json;
use store::{Credential, CredentialId, Person, Secret, Sqlite, Store, WhichCredential};

use authenticator::{Authenticator, Manner};

#[expect(dead_code, clippy::indexing_slicing, reason = "it is the tests' own, and they use the rest")]
#[path = "../src/passkey/tests/authenticator.rs"]
mod authenticator;

const NOW: Timestamp = Timestamp::from_unix_micros(1_795_215_600_000_000);
const ORIGIN: &str = "https://login.example.jp";

fn main() {
    divan::main();
}

struct World {
    runtime: tokio::runtime::Runtime,
    passkeys: Passkeys,
    authenticator: Authenticator,
}

fn world() -> World {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let store = Arc::new(Sqlite::in_memory().expect("a store"));
    let party = RelyingParty {
        host: Host::parse("login.example.jp").expect("a host"),
        origin: ORIGIN.to_owned(),
        name: "さくら診療所".to_owned(),
    };
    let passkeys = Passkeys::new(store.clone(), &party, config::Passkeys::default()).expect("a party");
    let mut authenticator = Authenticator::new();
    runtime.block_on(enrol(store.as_ref(), &mut authenticator));
    World { runtime, passkeys, authenticator }
}

/// Puts a key into the store as an enrolment would.
async fn enrol(store: &dyn Store, authenticator: &mut Authenticator) {
    let (issuer, subject) = ("https://idp.example.jp".to_owned(), "1".to_owned());
    let person = Person {
        id: identity::user_id(&issuer, &subject),
        issuer,
        subject,
        provider: ProviderId::parse("ad").expect("a name"),
        login: "n.sato".to_owned(),
        name: "佐藤 花子".to_owned(),
        roles: Vec::new(),
        unit: String::new(),
        added_at: NOW,
        seen_at: NOW,
        confirmed_at: NOW,
        disabled: None,
    };
    let handle: Vec<u8> = from_digits(person.id.as_str().trim_start_matches("u-"));
    authenticator.add(handle);
    let key = authenticator.keys.first().expect("a key");
    let (x, y) = authenticator::point(&key.pair);
    let (x, y) = (authenticator::text64(&x), authenticator::text64(&y));
    let passkey = json!({ "cred": {
        "cred_id": authenticator::text64(&key.id),
        "cred": { "type_": "ES256", "key": { "EC_EC2": { "curve": "SECP256R1", "x": x, "y": y } } },
        "counter": 0, "transports": null, "user_verified": true, "backup_eligible": false, "backup_state": false,
        "registration_policy": "required", "extensions": {},
        "attestation": { "data": "None", "metadata": "None" }, "attestation_format": "none",
    }});
    let credential = Credential {
        id: CredentialId(key.id.clone()),
        user: person.id.clone(),
        name: "key".to_owned(),
        model: Aaguid::new([0; 16]),
        passkey: Secret(passkey.to_string()),
        counter: 0,
        device_bound: true,
        added_at: NOW,
        used_at: None,
        added_by: "bench".to_owned(),
        proofing: String::new(),
    };
    store.remember_person(person).await.expect("kept");
    store.add_credential(credential, WhichCredential::Any, "bench".to_owned()).await.expect("kept");
}

fn from_digits(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits");
    text.as_bytes().chunks(2).map(byte).collect()
}

impl World {
    fn begin(&self) -> Begun {
        self.runtime.block_on(self.passkeys.begin_authentication(Whom::Anyone, NOW)).expect("a question")
    }
}

#[divan::bench]
fn question(bencher: divan::Bencher<'_, '_>) {
    let world = world();
    bencher.bench_local(|| world.begin());
}

#[divan::bench(sample_count = 200)]
fn answer(bencher: divan::Bencher<'_, '_>) {
    let world = std::cell::RefCell::new(world());
    let prepare = || {
        let mut world = world.borrow_mut();
        let begun = world.begin();
        let credential = world.authenticator.get(&begun.options, 0, &Manner::honest(ORIGIN));
        (begun, credential)
    };
    bencher.with_inputs(prepare).bench_local_values(|(begun, credential)| {
        let world = world.borrow();
        let answer = Answer {
            ceremony: &begun.ceremony,
            browser_secret: begun.browser_secret.expose(),
            credential: &credential,
        };
        world.runtime.block_on(world.passkeys.finish_authentication(answer, NOW)).expect("signed in")
    });
}

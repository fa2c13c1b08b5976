//! A security key made of software, and the browser's part before it. It does what it is told, right or wrong.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What browser and authenticator do, as far as it can be wrong. Told nothing, they are honest.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// The origin the browser saw, where it is not the gateway's.
    pub origin: Option<String>,
    /// The relying party the key signs for, where it is not the one that asked.
    pub rp_id: Option<String>,
    /// The challenge that is answered, where it is not the one that was asked.
    pub challenge: Option<String>,
    /// What the browser says was done.
    pub kind: Option<&'static str>,
    /// The page was in a frame of another site.
    pub is_framed: bool,
    /// Nobody touched the key.
    pub is_untouched: bool,
    /// Nobody proved to the key who they are.
    pub is_unverified: bool,
    /// The signature is over something else.
    pub spoils_signature: bool,
    /// Whose key it says it is.
    pub handle: Option<Vec<u8>>,
    /// The counter it shows.
    pub counter: Option<u32>,
}

struct Key {
    id: Vec<u8>,
    handle: Vec<u8>,
    pair: EcdsaKeyPair,
    counter: u32,
}

/// One authenticator; clones are the same one. It uses the key that was made last.
#[derive(Clone)]
pub struct Authenticator {
    keys: Arc<Mutex<Vec<Key>>>,
    origin: String,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator(..)")
    }
}

impl Authenticator {
    /// An empty one, before a browser that shows pages of this origin.
    #[must_use]
    pub fn new(origin: &str) -> Self {
        Self { keys: Arc::default(), origin: origin.to_owned() }
    }

    /// The name of the key that was made last, as our pages write it.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.last(&mut self.keys()).id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// `navigator.credentials.create`: `options` as the gateway gives them.
    #[must_use]
    pub fn create(&self, options: &Value, manner: &Manner) -> Value {
        let options = &options["publicKey"];
        let mut id = vec![0; 32];
        fill(&mut id).expect("the system has random bytes");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key can be made");
        let party = options["rp"]["id"].as_str().expect("a relying party");
        let mut data = head(party, manner, 0b0100_0000, 0);
        data.extend([0; 16]);
        data.extend([0, 32]);
        data.extend(&id);
        data.extend(public_key(&pair));
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).expect("a short statement"));
        object.extend(&data);
        let client = self.client_data(options, manner, "webauthn.create");
        let said = answer(&id, &json!({ "clientDataJSON": text64(&client), "attestationObject": text64(&object) }));
        let handle = URL_SAFE_NO_PAD.decode(options["user"]["id"].as_str().expect("a handle")).expect("base64url");
        self.keys().push(Key { id, handle, pair, counter: 0 });
        said
    }

    /// `navigator.credentials.get`: `options` as the gateway gives them.
    #[must_use]
    pub fn get(&self, options: &Value, manner: &Manner) -> Value {
        let options = &options["publicKey"];
        let mut keys = self.keys();
        let key = self.last(&mut keys);
        key.counter += 1;
        let client = self.client_data(options, manner, "webauthn.get");
        let party = options["rpId"].as_str().expect("a relying party");
        let data = head(party, manner, 0, manner.counter.unwrap_or(key.counter));
        let mut signed = data.clone();
        signed.extend(digest(&SHA256, &client).as_ref());
        if manner.spoils_signature {
            signed.push(0);
        }
        let signature = key.pair.sign(&SystemRandom::new(), &signed).expect("a key signs");
        let handle = manner.handle.as_ref().unwrap_or(&key.handle);
        let said = json!({
            "clientDataJSON": text64(&client),
            "authenticatorData": text64(&data),
            "signature": text64(signature.as_ref()),
            "userHandle": text64(handle),
        });
        answer(&key.id, &said)
    }

    fn keys(&self) -> MutexGuard<'_, Vec<Key>> {
        self.keys.lock().expect("nobody failed here")
    }

    #[expect(clippy::unused_self, reason = "one of a family of methods")]
    fn last<'a>(&self, keys: &'a mut MutexGuard<'_, Vec<Key>>) -> &'a mut Key {
        keys.last_mut().expect("the authenticator has a key")
    }

    fn client_data(&self, options: &Value, manner: &Manner, kind: &str) -> Vec<u8> {
        let asked = options["challenge"].as_str().expect("a challenge");
        let data = json!({
            "type": manner.kind.unwrap_or(kind),
            "challenge": manner.challenge.as_deref().unwrap_or(asked),
            "origin": manner.origin.as_deref().unwrap_or(&self.origin),
            "crossOrigin": manner.is_framed,
        });
        data.to_string().into_bytes()
    }
}

fn head(party: &str, manner: &Manner, more: u8, counter: u32) -> Vec<u8> {
    let party = manner.rp_id.as_deref().unwrap_or(party);
    let mut data = digest(&SHA256, party.as_bytes()).as_ref().to_vec();
    data.push(u8::from(!manner.is_untouched) | u8::from(!manner.is_unverified) << 2 | more);
    data.extend(counter.to_be_bytes());
    data
}

/// The public key as COSE writes an ES256 key (RFC 9053).
fn public_key(pair: &EcdsaKeyPair) -> Vec<u8> {
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".as_slice(), x, b"\x22\x58\x20", y].concat()
}

fn answer(id: &[u8], response: &Value) -> Value {
    let id = text64(id);
    json!({ "id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {} })
}

fn text64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

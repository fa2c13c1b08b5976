//! A security key in software, and the script of our pages before it, for tests.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use crate::testing::{Browser, Hospital, LOGIN};

/// A key that holds one passkey.
pub(crate) struct SoftKey {
    id: Vec<u8>,
    handle: Vec<u8>,
    pair: EcdsaKeyPair,
    counter: u32,
    /// Whether it checks who touches it.
    pub(crate) verifies: bool,
}

impl SoftKey {
    pub(crate) fn new() -> Self {
        let mut id = vec![0; 32];
        fill(&mut id).unwrap();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        Self { id, handle: Vec::new(), pair, counter: 0, verifies: true }
    }

    /// `navigator.credentials.create`.
    pub(crate) fn create(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        self.handle = bytes(&options["user"]["id"]);
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        // { 1: 2, 3: -7, -1: 1, -2: x, -3: y }
        let mut public = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        public.extend(x);
        public.extend([0x22, 0x58, 0x20]);
        public.extend(y);
        let mut data = self.head(options["rp"]["id"].as_str().unwrap(), 0b0100_0000);
        data.extend([0xa5; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(public);
        // { "fmt": "none", "attStmt": {}, "authData": data }
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(data);
        let client = client_data(options, "webauthn.create");
        self.answer(
            &json!({ "clientDataJSON": text64(&client), "attestationObject": text64(&object), "transports": [] }),
        )
    }

    /// `navigator.credentials.get`.
    pub(crate) fn get(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        self.counter += 1;
        let data = self.head(options["rpId"].as_str().unwrap(), 0);
        let client = client_data(options, "webauthn.get");
        let mut signed = data.clone();
        signed.extend(digest(&SHA256, &client).as_ref());
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        self.answer(&json!({
            "clientDataJSON": text64(&client),
            "authenticatorData": text64(&data),
            "signature": text64(signature.as_ref()),
            "userHandle": text64(&self.handle),
        }))
    }

    fn head(&self, rp_id: &str, more: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, rp_id.as_bytes()).as_ref().to_vec();
        data.push(1 | u8::from(self.verifies) << 2 | more);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn answer(&self, response: &Value) -> Value {
        let id = text64(&self.id);
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {} })
    }
}

/// What our script does on a page: begins, asks the key, finishes, and lands where it is told to.
impl Browser {
    pub(crate) async fn login_json(&mut self, hospital: &Hospital, path: &str, body: &Value) -> Response<Bytes> {
        self.post_json(hospital, &format!("https://{LOGIN}{path}"), body).await
    }

    /// Signs in, steps up or switches by key. The last answer.
    pub(crate) async fn touch(&mut self, hospital: &Hospital, key: &mut SoftKey, facts: &Value) -> Response<Bytes> {
        let begun = said(&self.login_json(hospital, "/passkey/begin", facts).await);
        let mut finish = facts.clone();
        finish["ceremony"] = begun["ceremony"].clone();
        finish["credential"] = key.get(&begun["options"]);
        let answer = self.login_json(hospital, "/passkey/finish", &finish).await;
        match said(&answer).get("land") {
            None => answer,
            Some(land) => self.login_json(hospital, "/land", land).await,
        }
    }

    /// Enrols the key. The last answer.
    pub(crate) async fn enrol(&mut self, hospital: &Hospital, key: &mut SoftKey, facts: &Value) -> Response<Bytes> {
        let begun = self.login_json(hospital, "/enrol/begin", facts).await;
        let told = said(&begun);
        if told.get("options").is_none() {
            return begun;
        }
        let mut finish =
            json!({ "ceremony": told["ceremony"], "credential": key.create(&told["options"]), "name": "青いキー" });
        if let Some(pending) = facts.get("pending") {
            finish["pending"] = pending.clone();
        }
        let answer = self.login_json(hospital, "/enrol/finish", &finish).await;
        match said(&answer).get("land") {
            None => answer,
            Some(land) => self.login_json(hospital, "/land", land).await,
        }
    }
}

/// The body of an answer.
pub(crate) fn said(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap_or(Value::Null)
}

fn client_data(options: &Value, kind: &str) -> Vec<u8> {
    let origin = format!("https://{LOGIN}");
    json!({ "type": kind, "challenge": options["challenge"], "origin": origin, "crossOrigin": false })
        .to_string()
        .into_bytes()
}

fn text64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

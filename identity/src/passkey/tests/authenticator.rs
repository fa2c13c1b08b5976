//! An authenticator and the browser before it, made of an array of keys. It does what it is told, right or wrong.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_cbor_2::Value as Cbor;
use serde_json::{Value, json};

/// A maker's number of a model.
pub const MODEL: [u8; 16] = [0xa5; 16];

/// What the browser and the authenticator do, as far as it can be wrong.
#[derive(Clone)]
pub struct Manner {
    pub origin: String,
    pub rp_id: Option<String>,
    pub challenge: Option<String>,
    pub kind: Option<&'static str>,
    pub cross_origin: bool,
    pub top_origin: Option<&'static str>,
    pub is_present: bool,
    pub is_verified: bool,
    pub is_synced: bool,
    /// What it says whose passkey it is: the truth unless told otherwise.
    pub handle: Handle,
    pub spoils_signature: bool,
}

#[derive(Clone)]
pub enum Handle {
    Own,
    None,
    Other(Vec<u8>),
}

impl Manner {
    pub fn honest(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            rp_id: None,
            challenge: None,
            kind: None,
            cross_origin: false,
            top_origin: None,
            is_present: true,
            is_verified: true,
            is_synced: false,
            handle: Handle::Own,
            spoils_signature: false,
        }
    }
}

/// A passkey with its private key.
pub struct Key {
    pub id: Vec<u8>,
    handle: Vec<u8>,
    pub pair: EcdsaKeyPair,
    pub counter: u32,
}

/// What a maker puts into its authenticators to vouch for them.
pub struct Maker {
    /// The certificate of `pair`, in DER.
    pub certificate: Vec<u8>,
    pub pair: EcdsaKeyPair,
}

/// An authenticator with at most one passkey a person.
pub struct Authenticator {
    /// Vouches for it, where it is asked for.
    pub maker: Option<Maker>,
    pub model: [u8; 16],
    pub keys: Vec<Key>,
    /// Whether it counts uses; platform authenticators do not.
    pub counts: bool,
}

impl Authenticator {
    pub fn new() -> Self {
        Self { maker: None, model: MODEL, keys: Vec::new(), counts: true }
    }

    /// Makes a key without being asked.
    pub fn add(&mut self, handle: Vec<u8>) {
        let mut id = vec![0; 32];
        fill(&mut id).expect("as it must be");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("as it must be");
        self.keys.push(Key { id, handle, pair, counter: 0 });
    }

    /// `navigator.credentials.create`.
    pub fn create(&mut self, options: &str, manner: &Manner) -> String {
        let options = parse(options);
        let handle = bytes(&options["user"]["id"]);
        self.keys.retain(|key| key.handle != handle);
        self.add(handle);
        self.creation_of(&options, self.keys.len() - 1, manner)
    }

    /// What it says when it creates a passkey that it has already.
    pub fn create_again(&self, options: &str, key: usize, manner: &Manner) -> String {
        self.creation_of(&parse(options), key, manner)
    }

    fn creation_of(&self, options: &Value, key: usize, manner: &Manner) -> String {
        let key = self.keys.get(key).expect("a key");
        let client_data = client_data(options, manner, "webauthn.create");
        let mut data = head(options["rp"]["id"].as_str().expect("as it must be"), manner, 0b0100_0000, 0);
        data.extend(self.model);
        data.extend(u16::try_from(key.id.len()).expect("as it must be").to_be_bytes());
        data.extend(&key.id);
        data.extend(serde_cbor_2::to_vec(&public_key(&key.pair)).expect("as it must be"));
        let text = |text: &str| Cbor::Text(text.to_owned());
        let maker = self.maker.as_ref().filter(|_| options["attestation"] == "direct");
        let (format, statement) = match maker {
            None => ("none", Cbor::Map([].into())),
            Some(maker) => {
                let signed = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
                let signature = maker.pair.sign(&SystemRandom::new(), &signed).expect("as it must be");
                let chain = Cbor::Array(vec![Cbor::Bytes(maker.certificate.clone())]);
                let signature = Cbor::Bytes(signature.as_ref().to_vec());
                let members = [(text("alg"), Cbor::Integer(-7)), (text("sig"), signature), (text("x5c"), chain)];
                ("packed", Cbor::Map(members.into()))
            }
        };
        let members =
            [(text("fmt"), text(format)), (text("attStmt"), statement), (text("authData"), Cbor::Bytes(data))];
        let object = serde_cbor_2::to_vec(&Cbor::Map(members.into())).expect("as it must be");
        answer(
            &key.id,
            json!({ "clientDataJSON": text64(&client_data), "attestationObject": text64(&object), "transports": ["usb", "smart-card"] }),
        )
    }

    /// `navigator.credentials.get`, with the key at this place.
    pub fn get(&mut self, options: &str, key: usize, manner: &Manner) -> String {
        let options = parse(options);
        let counts = self.counts;
        let key = self.keys.get_mut(key).expect("a key");
        key.counter += u32::from(counts);
        let client_data = client_data(&options, manner, "webauthn.get");
        let data = head(options["rpId"].as_str().expect("as it must be"), manner, 0, key.counter);
        let mut signed = data.clone();
        signed.extend(digest(&SHA256, &client_data).as_ref());
        if manner.spoils_signature {
            signed.push(0);
        }
        let signature = key.pair.sign(&SystemRandom::new(), &signed).expect("as it must be");
        let mut response = json!({
            "clientDataJSON": text64(&client_data),
            "authenticatorData": text64(&data),
            "signature": text64(signature.as_ref()),
        });
        match &manner.handle {
            Handle::Own => response["userHandle"] = text64(&key.handle).into(),
            Handle::None => {}
            Handle::Other(other) => response["userHandle"] = text64(other).into(),
        }
        answer(&key.id, response)
    }
}

fn parse(options: &str) -> Value {
    let mut options: Value = serde_json::from_str(options).expect("as it must be");
    options["publicKey"].take()
}

fn client_data(options: &Value, manner: &Manner, kind: &str) -> Vec<u8> {
    let challenge =
        manner.challenge.clone().unwrap_or_else(|| options["challenge"].as_str().expect("as it must be").to_owned());
    let mut data = json!({
        "type": manner.kind.unwrap_or(kind),
        "challenge": challenge,
        "origin": manner.origin,
        "crossOrigin": manner.cross_origin,
    });
    if let Some(top) = manner.top_origin {
        data["topOrigin"] = top.into();
    }
    data.to_string().into_bytes()
}

fn head(rp_id: &str, manner: &Manner, more: u8, counter: u32) -> Vec<u8> {
    let rp_id = manner.rp_id.as_deref().unwrap_or(rp_id);
    let flags = u8::from(manner.is_present) | u8::from(manner.is_verified) << 2 | u8::from(manner.is_synced) << 3;
    let mut data = digest(&SHA256, rp_id.as_bytes()).as_ref().to_vec();
    data.push(flags | more);
    data.extend(counter.to_be_bytes());
    data
}

fn public_key(pair: &EcdsaKeyPair) -> Cbor {
    let (x, y) = point(pair);
    let number = |number: i128| Cbor::Integer(number);
    Cbor::Map(
        [
            (number(1), number(2)),
            (number(3), number(-7)),
            (number(-1), number(1)),
            (number(-2), Cbor::Bytes(x)),
            (number(-3), Cbor::Bytes(y)),
        ]
        .into(),
    )
}

/// The point of a public key.
pub fn point(pair: &EcdsaKeyPair) -> (Vec<u8>, Vec<u8>) {
    let (x, y) = pair.public_key().as_ref().split_at(1).1.split_at(32);
    (x.to_vec(), y.to_vec())
}

fn answer(id: &[u8], response: Value) -> String {
    let id = text64(id);
    json!({ "id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {}, "authenticatorAttachment": "cross-platform" }).to_string()
}

/// Bytes in base64url.
pub fn text64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn bytes(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().expect("as it must be")).expect("as it must be")
}

/// Bytes as hexadecimal digits.
pub fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("as it must be");
        text
    })
}

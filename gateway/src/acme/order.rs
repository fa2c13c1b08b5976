//! One order, from the account to the chain (RFC 8555 section 7). Whatever the CA answers is taken for what a stranger
//! says: bounded, and of no effect until the whole certificate was looked at.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certs::ServerRequest;
use config::{Acme, AcmeName, Secret};
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, Error, ExternalAccountKey, Identifier, NewAccount, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use zeroize::Zeroizing;

use super::client::Client;
use super::kept::{Kept, KeptAccount};
use super::proof::{Proof, Stage, challenge};

/// How often the CA is asked whether it has looked.
const LOOK: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(250)).backoff(1.5).timeout(Duration::from_secs(240));
/// What a CA says of an account that it does not know.
const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// Why there is no certificate.
#[derive(Debug)]
pub enum Trouble {
    /// The CA does not know the account any more.
    UnknownAccount,
    /// Anything else, in words.
    Other(String),
}

impl Trouble {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::UnknownAccount => "the CA does not know the account any more; a new one is made".to_owned(),
            Self::Other(words) => words.clone(),
        }
    }
}

impl From<String> for Trouble {
    fn from(words: String) -> Self {
        Self::Other(words)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        if let Error::Api(problem) = &error
            && problem.r#type.as_deref() == Some(UNKNOWN_ACCOUNT)
        {
            return Self::UnknownAccount;
        }
        Self::Other(format!("the CA: {error}"))
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Other(format!("the folder of [acme] in the state directory: {error}"))
    }
}

/// What was ordered.
#[derive(Debug)]
pub struct Ordered {
    /// The chain, as PEM.
    chain: String,
    key: Secret,
}

impl Ordered {
    /// Chain and key, as one file has them.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}\n{}", self.chain.trim_end(), self.key.expose()))
    }
}

/// The account: the kept one, or a new one that is kept before anything is asked of it.
///
/// # Errors
/// [`Trouble`].
pub async fn account(acme: &Acme, kept: &Kept, client: &Client) -> Result<Account, Trouble> {
    let builder = Account::builder_with_http(Box::new(client.clone()));
    let contact: Vec<&str> = acme.contact.iter().map(String::as_str).collect();
    if let Some(found) = kept.account(acme).await? {
        let knows_whom_to_write_to = found.contact == acme.contact;
        let account = builder.from_credentials(found.credentials).await?;
        if !knows_whom_to_write_to {
            account.update_contacts(&contact).await?;
            if let Some(found) = kept.account(acme).await? {
                kept.keep_account(&found.told(acme)).await?;
            }
        }
        return Ok(account);
    }
    let external = match &acme.external_account {
        Some(external) => {
            let key = URL_SAFE_NO_PAD.decode(external.key.expose()).map(Zeroizing::new);
            let key = key.map_err(|_| "the key of [acme.external_account] is not base64url".to_owned())?;
            Some(ExternalAccountKey::new(external.key_id.clone(), &key))
        }
        None => None,
    };
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&new, acme.directory.clone(), external.as_ref()).await?;
    kept.keep_account(&KeptAccount::new(acme, credentials)).await?;
    tracing::info!(ca = acme.authority(), "an account was made at the CA");
    Ok(account)
}

/// Orders a certificate.
///
/// # Errors
/// [`Trouble`]; what was shown to the CA is still to be withdrawn, then as otherwise.
pub async fn order(
    account: &Account,
    acme: &Acme,
    replaces: Option<CertificateIdentifier<'static>>,
    stage: &mut Stage<'_>,
) -> Result<Ordered, Trouble> {
    let identifiers: Vec<Identifier> = acme.names.iter().map(|name| Identifier::Dns(name.to_string())).collect();
    let new = NewOrder::new(&identifiers);
    let new = match replaces {
        Some(before) => new.replaces(before),
        None => new,
    };
    let mut order = account.new_order(&new).await?;
    let proofs = proofs(&mut order, acme).await?;
    stage.show(proofs).await?;
    ask_to_look(&mut order, acme).await?;
    let looked = order.poll_ready(&LOOK).await;
    if !matches!(looked, Ok(OrderStatus::Ready)) {
        let why = why_not(&mut order).await;
        let looked = looked.map_or_else(|error| error.to_string(), |status| format!("the order is {status:?}"));
        return Err(Trouble::Other(format!("the CA did not find the names to be the gateway's: {looked}; {why}")));
    }
    let ServerRequest { request, key_pem } =
        certs::server_request(&acme.names).map_err(|problem| problem.to_string())?;
    order.finalize_csr(&request).await?;
    Ok(Ordered { chain: order.poll_certificate(&LOOK).await?, key: key_pem })
}

/// What the CA wants to see of each name that it does not believe already. A CA that asks of other names is not heeded.
async fn proofs(order: &mut Order, acme: &Acme) -> Result<Vec<Proof>, Trouble> {
    let mut proofs = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let Identifier::Dns(name) = authorization.identifier().identifier.clone() else {
            return Err(Trouble::Other("the CA asks of what is no host, and was not ordered".to_owned()));
        };
        let is_ours = |ours: &AcmeName| match ours {
            AcmeName::Host(host) | AcmeName::Below(host) => host.as_str() == name,
        };
        if !acme.names.iter().any(is_ours) {
            let name = name.escape_debug();
            return Err(Trouble::Other(format!("the CA asks of `{name}`, which was not ordered")));
        }
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Invalid
            | AuthorizationStatus::Revoked
            | AuthorizationStatus::Expired
            | AuthorizationStatus::Deactivated => {
                let status = authorization.status;
                return Err(Trouble::Other(format!("the CA says that `{name}` is {status:?}")));
            }
        }
        let Some(challenge) = authorization.challenge(challenge(acme)) else {
            return Err(Trouble::Other(format!(
                "the CA offers no such challenge for `{name}`; choose another `challenge`"
            )));
        };
        let proof = Proof::new(&name, &challenge.key_authorization());
        proofs.extend(Some(proof.ok_or_else(|| format!("`{name}` is not a host"))?));
    }
    Ok(proofs)
}

/// Tells the CA that it may look.
async fn ask_to_look(order: &mut Order, acme: &Acme) -> Result<(), Trouble> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        if let Some(mut challenge) = authorization.challenge(challenge(acme)) {
            challenge.set_ready().await?;
        }
    }
    Ok(())
}

/// What the CA found instead, as far as it says.
async fn why_not(order: &mut Order) -> String {
    let mut why = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let Ok(mut authorization) = authorization else { break };
        if authorization.refresh().await.is_err() {
            break;
        }
        let name = authorization.identifier().to_string();
        let problems = authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        why.extend(problems.map(|problem| format!("{name}: {problem}")));
    }
    if why.is_empty() { "it does not say why".to_owned() } else { why.join("; ") }
}

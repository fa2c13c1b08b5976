//! One provider: its metadata and keys, read when needed, kept for a while, never asked too often.

use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreErrorResponseType,
    CoreGenderClaim, CoreGrantType, CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType, CoreRevocableToken,
    CoreRevocationErrorResponse, CoreSubjectIdentifierType, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalProviderMetadata, AuthType, Client, ClientId, ClientSecret, DiscoveryError, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenFields, IssuerUrl, ProviderMetadata, RequestTokenError,
    StandardErrorResponse, StandardTokenResponse,
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use url::Url;

use super::claims::Claims;
use super::problem::{Rejection, SignInProblem};
use super::transport;
use crate::{Fetch, FetchProblem};

/// Metadata and keys are read again after this.
const METADATA_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// They go on being used for so long while the provider does not answer.
const METADATA_LIFETIME_WITHOUT_ANSWER: Duration = Duration::from_secs(24 * 3600);
/// After a failure the provider is left alone for so long, so that a slow one does not make everyone wait in turn.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// Keys are read again because of an unknown one at most this often.
pub(super) const KEYS_INTERVAL: Duration = Duration::from_secs(30);

/// How often it is asked only to see whether it answers.
const PROBE_INTERVAL: Duration = Duration::from_secs(20);

/// What a provider says of itself.
pub(super) type Metadata = ProviderMetadata<
    Extras,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// The answer of its token endpoint.
pub(super) type TokenAnswer = StandardTokenResponse<
    IdTokenFields<
        Claims,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;

/// Why its token endpoint gave none.
pub(super) type TokenProblem = RequestTokenError<FetchProblem, StandardErrorResponse<CoreErrorResponseType>>;

type OidcClient = Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    TokenAnswer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Metadata beyond OpenID Connect Discovery.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Extras {
    /// RFC 9207.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    /// OpenID Connect RP-Initiated Logout 1.0.
    end_session_endpoint: Option<Url>,
}

impl AdditionalProviderMetadata for Extras {}

pub(super) struct Provider {
    pub(super) config: config::Provider,
    pub(super) fetch: Fetch,
    /// Held while the provider is asked, so that many tabs ask once.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    metadata: Option<(Arc<Metadata>, Timestamp)>,
    keys: Option<Arc<CoreJsonWebKeySet>>,
    keys_asked_at: Option<Timestamp>,
    failed: Option<(String, Timestamp)>,
    probed_at: Option<Timestamp>,
}

impl Provider {
    pub(super) fn new(config: config::Provider, fetch: Fetch) -> Self {
        Self { config, fetch, known: Mutex::default() }
    }

    pub(super) fn unavailable(&self, reason: String) -> SignInProblem {
        SignInProblem::Unavailable { provider: self.config.id.clone(), reason }
    }

    pub(super) fn rejected(&self, rejection: Rejection) -> SignInProblem {
        SignInProblem::Rejected { provider: self.config.id.clone(), rejection }
    }

    /// What the provider says of itself; asked again when that is old, used while it does not answer.
    pub(super) async fn metadata(&self, now: Timestamp) -> Result<Arc<Metadata>, SignInProblem> {
        let mut known = self.known.lock().await;
        let kept = |lifetime| {
            let metadata = known.metadata.as_ref().filter(|(_, read_at)| now.since(*read_at) < lifetime);
            metadata.map(|(metadata, _)| metadata.clone())
        };
        if let Some(metadata) = kept(METADATA_LIFETIME) {
            return Ok(metadata);
        }
        let last_resort = kept(METADATA_LIFETIME_WITHOUT_ANSWER);
        let recent = known.failed.as_ref().filter(|(_, failed_at)| now.since(*failed_at) < FAILURE_PAUSE);
        let answer = match recent {
            Some((reason, _)) => Err(self.unavailable(reason.clone())),
            None => self.discover().await,
        };
        match (answer, last_resort) {
            (Ok(metadata), _) => {
                known.keys_asked_at = Some(now);
                Ok(known.learn(metadata, now))
            }
            (Err(problem), last_resort) => {
                if let (SignInProblem::Unavailable { reason, .. }, None) = (&problem, recent) {
                    tracing::warn!(provider = %self.config.id, reason, "the provider is not available");
                    known.failed = Some((reason.clone(), now));
                }
                last_resort.ok_or(problem)
            }
        }
    }

    /// Asks the provider for its metadata and keys, whatever is known already. `None` if it was asked a moment ago.
    pub(super) async fn probe(&self, now: Timestamp) -> Option<Result<(), SignInProblem>> {
        let mut known = self.known.lock().await;
        if known.probed_at.is_some_and(|probed_at| now.since(probed_at) < PROBE_INTERVAL) {
            return None;
        }
        known.probed_at = Some(now);
        // Sign-ins go on meanwhile with what is known.
        drop(known);
        let answer = self.discover().await;
        let mut known = self.known.lock().await;
        Some(match answer {
            Ok(metadata) => {
                known.learn(metadata, now);
                Ok(())
            }
            Err(problem) => {
                if let SignInProblem::Unavailable { reason, .. } = &problem {
                    known.failed = Some((reason.clone(), now));
                }
                Err(problem)
            }
        })
    }

    /// The keys that its tokens are signed with.
    pub(super) async fn keys(&self) -> Arc<CoreJsonWebKeySet> {
        self.known.lock().await.keys.clone().unwrap_or_default()
    }

    /// The keys, read again because a token names an unknown one. `None` if they were read a moment ago.
    pub(super) async fn newer_keys(&self, now: Timestamp) -> Option<Arc<CoreJsonWebKeySet>> {
        let mut known = self.known.lock().await;
        if known.keys_asked_at.is_some_and(|asked_at| now.since(asked_at) < KEYS_INTERVAL) {
            return None;
        }
        let address = known.metadata.as_ref().map(|(metadata, _)| metadata.jwks_uri().clone())?;
        known.keys_asked_at = Some(now);
        let client = transport::client(self.fetch.clone(), self.config.id.clone());
        match CoreJsonWebKeySet::fetch_async(&address, &client).await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                known.keys = Some(keys.clone());
                Some(keys)
            }
            Err(problem) => {
                let reason = transport::reason(&problem);
                tracing::warn!(provider = %self.config.id, reason, "the provider's keys could not be read");
                None
            }
        }
    }

    /// Whether an answer of the authorization endpoint comes from this provider (RFC 9207).
    pub(super) fn is_its_answer(&self, metadata: &Metadata, issuer: Option<&str>) -> bool {
        match issuer {
            Some(issuer) => issuer == self.config.issuer,
            None => !metadata.additional_metadata().authorization_response_iss_parameter_supported,
        }
    }

    /// The library's client for this provider. The client secret goes into the header unless only the body will do.
    pub(super) fn client(&self, metadata: &Metadata) -> OidcClient {
        let secret = self.config.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
        let client_id = ClientId::new(self.config.client_id.clone());
        let methods = metadata.token_endpoint_auth_methods_supported();
        let by_body = methods.is_some_and(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let auth_type = if by_body { AuthType::RequestBody } else { AuthType::BasicAuth };
        Client::from_provider_metadata(metadata.clone(), client_id, secret).set_auth_type(auth_type)
    }

    async fn discover(&self) -> Result<Metadata, SignInProblem> {
        let issuer = IssuerUrl::new(self.config.issuer.clone())
            .map_err(|problem| self.unavailable(format!("`{}`: {problem}", self.config.issuer)))?;
        let client = transport::client(self.fetch.clone(), self.config.id.clone());
        match Metadata::discover_async(issuer.clone(), &client).await {
            Ok(metadata) if endpoints(&metadata).all(|endpoint| transport::is_safe(endpoint, issuer.url())) => {
                Ok(metadata)
            }
            Ok(_) => Err(self.unavailable("it names an address that is not https".to_owned())),
            Err(DiscoveryError::Validation(_)) => Err(self.rejected(Rejection::Issuer)),
            Err(problem) => Err(self.unavailable(transport::reason(&problem))),
        }
    }
}

impl Known {
    fn learn(&mut self, metadata: Metadata, now: Timestamp) -> Arc<Metadata> {
        let metadata = Arc::new(metadata);
        self.keys = Some(Arc::new(metadata.jwks().clone()));
        self.metadata = Some((metadata.clone(), now));
        self.failed = None;
        metadata
    }
}

/// Where the provider signs people out.
pub(super) fn end_session_endpoint(metadata: &Metadata) -> Option<Url> {
    metadata.additional_metadata().end_session_endpoint.clone()
}

/// Every address that a browser or we are going to be sent to.
fn endpoints(metadata: &Metadata) -> impl Iterator<Item = &Url> {
    let token = metadata.token_endpoint().map(|endpoint| endpoint.url());
    let user_info = metadata.userinfo_endpoint().map(|endpoint| endpoint.url());
    let end_session = metadata.additional_metadata().end_session_endpoint.as_ref();
    [metadata.authorization_endpoint().url(), metadata.jwks_uri().url()]
        .into_iter()
        .chain(token)
        .chain(user_info)
        .chain(end_session)
}

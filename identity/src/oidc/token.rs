//! From the provider's answer to a known person: the code is redeemed, the ID token checked, claims read.

use openidconnect::core::{
    CoreGenderClaim, CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthorizationCode, ClaimsVerificationError, ClientId, IdToken, IdTokenClaims,
    IdTokenVerifier, IssuerUrl, Nonce, NonceVerifier, OAuth2TokenResponse, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, SignatureVerificationError, SubjectIdentifier, TokenResponse, UserInfoClaims, UserInfoError,
};
use policy::{Assurance, RoleId, Timestamp};
use std::borrow::Cow;
use std::time::{Duration, SystemTime};
use store::{Person, Secret};

use super::claims::{self, Claims};
use super::problem::{Rejection, SignInProblem};
use super::provider::{Metadata, Provider, TokenAnswer, TokenProblem};
use super::{CLOCK_SKEW, SUBJECT_BYTES_MAX, seconds_before, transport, user_id};
use crate::FetchProblem;

/// What ID tokens may be signed with. No shared secrets, no SHA-1, nothing unsigned, whatever the provider offers.
pub(super) const ALLOWED_ALGORITHMS: [CoreJwsSigningAlgorithm; 4] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];

type OurIdToken = IdToken<Claims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type OurClaims = IdTokenClaims<Claims, CoreGenderClaim>;
type OurUserInfo = UserInfoClaims<Claims, CoreGenderClaim>;

/// What the ID token is compared with.
pub(super) struct Expected {
    /// None where no browser took part.
    pub(super) nonce: Option<Nonce>,
    pub(super) step_up: Option<Assurance>,
    pub(super) began_at: Timestamp,
    pub(super) now: Timestamp,
}

/// Who signed in.
pub(super) struct Known {
    pub(super) person: Person,
    pub(super) assurance: Assurance,
    pub(super) authenticated_at: Timestamp,
    pub(super) id_token: Secret,
    pub(super) provider_session: Option<String>,
    pub(super) refresh_token: Option<Secret>,
}

/// What a provider says of somebody who is signed in, when it is asked again.
pub(crate) struct Confirmed {
    /// What to ask with the next time, where it is another one.
    pub(crate) refresh_token: Option<Secret>,
    /// The roles; none where it said nothing of roles at all.
    pub(crate) roles: Result<Option<Vec<RoleId>>, SignInProblem>,
}

impl Provider {
    /// Redeems a code and checks everything that comes back.
    pub(super) async fn redeem(
        &self,
        metadata: &Metadata,
        code: String,
        verifier: String,
        redirect_uri: String,
        expected: Expected,
    ) -> Result<Known, SignInProblem> {
        let answer = self.exchange(metadata, code, verifier, redirect_uri).await?;
        let id_token = answer.id_token().ok_or_else(|| self.rejected(Rejection::Malformed))?;
        let claims = self.verified(id_token, answer.access_token(), &expected).await?;
        let sure = claims::assurance(&self.config, named(&claims));
        let authenticated_at = self.authenticated_at(&claims, &expected)?;
        if expected.step_up.is_some_and(|level| sure < level) {
            return Err(self.rejected(Rejection::Assurance));
        }
        let user_info = if self.is_enough(&claims) {
            None
        } else {
            self.user_info(metadata, answer.access_token(), claims.subject()).await?
        };
        Ok(Known {
            person: self.person(&claims, user_info.as_ref(), expected.now)?,
            assurance: sure,
            authenticated_at,
            id_token: Secret(id_token.to_string()),
            provider_session: claims.additional_claims().text("sid").map(str::to_owned),
            refresh_token: refresh_token(&answer).filter(|_| self.config.check_interval.is_some()),
        })
    }

    /// Asks with a refresh token whether the person is still the provider's, and in which roles.
    pub(super) async fn ask_again(
        &self,
        token: &Secret,
        subject: &str,
        now: Timestamp,
    ) -> Result<Confirmed, SignInProblem> {
        let metadata = self.metadata(now).await?;
        let client = self.client(&metadata);
        let token = RefreshToken::new(token.0.clone());
        let request = client.exchange_refresh_token(&token).map_err(|_| self.names_no_token_endpoint())?;
        let http = transport::client(self.fetch.clone(), self.config.id.clone());
        let answer = request.request_async(&http).await.map_err(|problem| self.token_problem(problem))?;
        Ok(Confirmed {
            refresh_token: refresh_token(&answer),
            roles: self.roles_now(&metadata, &answer, subject, now).await,
        })
    }

    async fn roles_now(
        &self,
        metadata: &Metadata,
        answer: &TokenAnswer,
        subject: &str,
        now: Timestamp,
    ) -> Result<Option<Vec<RoleId>>, SignInProblem> {
        let expected = Expected { nonce: None, step_up: None, began_at: now, now };
        let claims = match answer.id_token() {
            Some(id_token) => Some(self.verified(id_token, answer.access_token(), &expected).await?),
            None => None,
        };
        if claims.as_ref().is_some_and(|claims| claims.subject().as_str() != subject) {
            return Err(self.rejected(Rejection::Subject));
        }
        if let Some(roles) = claims.as_ref().and_then(|claims| claims.additional_claims().roles(&self.config)) {
            return Ok(Some(roles));
        }
        let subject = SubjectIdentifier::new(subject.to_owned());
        let user_info = self.user_info(metadata, answer.access_token(), &subject).await?;
        let roles = user_info.and_then(|info| info.additional_claims().roles(&self.config));
        // As at the sign-in, an ID token without roles is that of a person without roles: many providers leave the
        // claim out where it would be empty.
        Ok(roles.or_else(|| claims.map(|_| Vec::new())))
    }

    async fn exchange(
        &self,
        metadata: &Metadata,
        code: String,
        verifier: String,
        redirect_uri: String,
    ) -> Result<TokenAnswer, SignInProblem> {
        let redirect_uri = RedirectUrl::new(redirect_uri).map_err(|_| self.rejected(Rejection::RedirectUri))?;
        let client = self.client(metadata);
        let request = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| self.names_no_token_endpoint())?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier))
            .set_redirect_uri(Cow::Owned(redirect_uri));
        let http = transport::client(self.fetch.clone(), self.config.id.clone());
        request.request_async(&http).await.map_err(|problem| self.token_problem(problem))
    }

    fn token_problem(&self, problem: TokenProblem) -> SignInProblem {
        match problem {
            RequestTokenError::ServerResponse(answer) => SignInProblem::Refused {
                provider: self.config.id.clone(),
                error: claims::shown(answer.error().as_ref()).unwrap_or_default(),
            },
            RequestTokenError::Request(problem) => self.unavailable(problem.to_string()),
            RequestTokenError::Parse(_, answer) if has_id_token(&answer) => self.rejected(Rejection::Malformed),
            RequestTokenError::Parse(..) => self.unavailable("an unreadable answer of its token endpoint".to_owned()),
            RequestTokenError::Other(_) => self.unavailable("an unexpected answer of its token endpoint".to_owned()),
        }
    }

    fn names_no_token_endpoint(&self) -> SignInProblem {
        self.unavailable("it names no token endpoint".to_owned())
    }

    /// Checks an ID token (OpenID Connect Core section 3.1.3.7), with newer keys if it names an unknown one.
    async fn verified(
        &self,
        id_token: &OurIdToken,
        access_token: &AccessToken,
        expected: &Expected,
    ) -> Result<OurClaims, SignInProblem> {
        let keys = self.keys().await;
        let checked = match self.check(id_token, access_token, expected, &keys) {
            Err(Fault::UnknownKey) => match self.newer_keys(expected.now).await {
                Some(keys) => self.check(id_token, access_token, expected, &keys),
                None => Err(Fault::UnknownKey),
            },
            checked => checked,
        };
        checked.map_err(|fault| match fault {
            Fault::Other(rejection) => self.rejected(rejection),
            Fault::UnknownKey => self.rejected(Rejection::Signature),
        })
    }

    fn check(
        &self,
        id_token: &OurIdToken,
        access_token: &AccessToken,
        expected: &Expected,
        keys: &CoreJsonWebKeySet,
    ) -> Result<OurClaims, Fault> {
        let issuer = IssuerUrl::new(self.config.issuer.clone()).map_err(|_| Fault::Other(Rejection::Issuer))?;
        let now = expected.now;
        let earliest = Timestamp::from_unix_micros(seconds_before(expected.began_at, CLOCK_SKEW));
        // As a public client, so that no token signed with the client's secret is ever accepted.
        let verifier =
            IdTokenVerifier::new_public_client(ClientId::new(self.config.client_id.clone()), issuer, keys.clone())
                .set_allowed_algs(ALLOWED_ALGORITHMS)
                .set_other_audience_verifier_fn(|_| false)
                .set_time_fn(move || system_time(seconds_before(now, CLOCK_SKEW)).into())
                .set_issue_time_verifier_fn(move |issued_at| {
                    let issued_at = Timestamp::from_unix_micros(issued_at.timestamp_micros());
                    let fits = issued_at >= earliest && issued_at <= now.after(CLOCK_SKEW);
                    if fits { Ok(()) } else { Err("issued at another time".to_owned()) }
                });
        let nonce = |given: Option<&Nonce>| match &expected.nonce {
            Some(nonce) => nonce.verify(given),
            None => Ok(()),
        };
        let claims = id_token.claims(&verifier, nonce).map_err(fault)?;
        let authorized = claims.authorized_party().is_none_or(|party| **party == self.config.client_id);
        if !authorized {
            return Err(Fault::Other(Rejection::Audience));
        }
        if !is_begun(claims, now) {
            return Err(Fault::Other(Rejection::Time));
        }
        check_access_token(id_token, claims, access_token, &verifier)?;
        Ok(claims.clone())
    }

    /// When the person proved who they are. For a step-up the provider must say so, and it must be since we asked.
    fn authenticated_at(&self, claims: &OurClaims, expected: &Expected) -> Result<Timestamp, SignInProblem> {
        let stated = claims.auth_time().map(|at| Timestamp::from_unix_micros(at.timestamp_micros()));
        if stated.is_some_and(|at| at > expected.now.after(CLOCK_SKEW)) {
            return Err(self.rejected(Rejection::AuthenticationTime));
        }
        let earliest = Timestamp::from_unix_micros(seconds_before(expected.began_at, CLOCK_SKEW));
        if expected.step_up.is_some() && stated.is_none_or(|at| at < earliest) {
            return Err(self.rejected(Rejection::AuthenticationTime));
        }
        Ok(stated.map_or(Timestamp::from_unix_micros(0), |at| at.min(expected.now)))
    }

    /// Whether the ID token says who it is and in which roles; many providers say so at the user info endpoint only.
    fn is_enough(&self, claims: &OurClaims) -> bool {
        claims.additional_claims().roles(&self.config).is_some()
            && claims.preferred_username().is_some()
            && claims.name().is_some()
    }

    /// User info of the very same subject, where the provider has an endpoint for it.
    async fn user_info(
        &self,
        metadata: &Metadata,
        access_token: &AccessToken,
        subject: &SubjectIdentifier,
    ) -> Result<Option<OurUserInfo>, SignInProblem> {
        let client = self.client(metadata);
        let Ok(request) = client.user_info(access_token.clone(), Some(subject.clone())) else {
            return Ok(None);
        };
        let http = transport::client(self.fetch.clone(), self.config.id.clone());
        request.request_async(&http).await.map(Some).map_err(|problem| match problem {
            UserInfoError::ClaimsVerification(ClaimsVerificationError::InvalidSubject(_)) => {
                self.rejected(Rejection::Subject)
            }
            UserInfoError::ClaimsVerification(_) => self.rejected(Rejection::Signature),
            UserInfoError::Request(problem) => self.unavailable(FetchProblem::to_string(&problem)),
            UserInfoError::Response(status, _, _) => {
                self.unavailable(format!("its user info endpoint answered with status {status}"))
            }
            UserInfoError::Parse(_) | UserInfoError::Other(_) | _ => {
                self.unavailable("an unreadable answer of its user info endpoint".to_owned())
            }
        })
    }

    fn person(
        &self,
        claims: &OurClaims,
        user_info: Option<&OurUserInfo>,
        now: Timestamp,
    ) -> Result<Person, SignInProblem> {
        let subject = claims.subject().as_str();
        if !(1..=SUBJECT_BYTES_MAX).contains(&subject.len()) {
            return Err(self.rejected(Rejection::Malformed));
        }
        let login = claims.preferred_username().or_else(|| user_info.and_then(|info| info.preferred_username()));
        let login = login.and_then(|login| claims::shown(login)).or_else(|| claims::shown(subject));
        let login = login.ok_or_else(|| self.rejected(Rejection::Malformed))?;
        let name = claims.name().or_else(|| user_info.and_then(|info| info.name()));
        let name = name.and_then(|name| name.get(None).or_else(|| name.iter().next().map(|(_, name)| name)));
        let roles = claims.additional_claims().roles(&self.config);
        let roles = roles.or_else(|| user_info.and_then(|info| info.additional_claims().roles(&self.config)));
        Ok(Person {
            id: user_id(&self.config.issuer, subject),
            issuer: self.config.issuer.clone(),
            subject: subject.to_owned(),
            provider: self.config.id.clone(),
            name: name.and_then(|name| claims::shown(name)).unwrap_or_else(|| login.clone()),
            login,
            roles: roles.unwrap_or_default(),
            unit: String::new(),
            added_at: now,
            seen_at: now,
            confirmed_at: now,
            disabled: None,
        })
    }
}

fn refresh_token(answer: &TokenAnswer) -> Option<Secret> {
    answer.refresh_token().map(|token| Secret(token.secret().clone()))
}

/// Whether an answer that could not be read was meant to hold a token, rather than being an error page.
fn has_id_token(answer: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(answer).is_ok_and(|answer| answer.get("id_token").is_some())
}

/// What is wrong with an ID token.
enum Fault {
    /// Signed with a key we do not know, perhaps a newer one.
    UnknownKey,
    Other(Rejection),
}

fn fault(problem: ClaimsVerificationError) -> Fault {
    Fault::Other(match problem {
        ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey
            | SignatureVerificationError::CryptoError(_)
            | SignatureVerificationError::AmbiguousKeyId(_),
        ) => return Fault::UnknownKey,
        ClaimsVerificationError::SignatureVerification(_) => Rejection::Signature,
        ClaimsVerificationError::Expired(_) => Rejection::Time,
        ClaimsVerificationError::InvalidAudience(_) => Rejection::Audience,
        ClaimsVerificationError::InvalidIssuer(_) => Rejection::Issuer,
        ClaimsVerificationError::InvalidNonce(_) => Rejection::Nonce,
        ClaimsVerificationError::InvalidAuthTime(_) => Rejection::AuthenticationTime,
        ClaimsVerificationError::InvalidSubject(_) => Rejection::Subject,
        ClaimsVerificationError::InvalidAuthContext(_)
        | ClaimsVerificationError::Other(_)
        | ClaimsVerificationError::Unsupported(_)
        | _ => Rejection::Malformed,
    })
}

/// `nbf`: absent, or a number that is not to come.
fn is_begun(claims: &OurClaims, now: Timestamp) -> bool {
    let latest = now.after(CLOCK_SKEW).unix_seconds();
    match claims.additional_claims().0.get("nbf") {
        None => true,
        Some(value) => {
            let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.ceil() as i64));
            seconds.is_some_and(|seconds| seconds <= latest)
        }
    }
}

/// `at_hash`: if it is there, the access token that came along must be its own.
fn check_access_token(
    id_token: &OurIdToken,
    claims: &OurClaims,
    access_token: &AccessToken,
    verifier: &IdTokenVerifier<'_, CoreJsonWebKey>,
) -> Result<(), Fault> {
    let Some(stated) = claims.access_token_hash() else { return Ok(()) };
    let algorithm = id_token.signing_alg().map_err(|_| Fault::Other(Rejection::Signature))?;
    let key = id_token.signing_key(verifier).map_err(|_| Fault::Other(Rejection::Signature))?;
    match AccessTokenHash::from_token(access_token, algorithm, key) {
        Ok(actual) if actual == *stated => Ok(()),
        Ok(_) | Err(_) => Err(Fault::Other(Rejection::AccessToken)),
    }
}

/// Everything in the token that may stand for an assurance.
fn named(claims: &OurClaims) -> impl Iterator<Item = &str> + Clone {
    let context = claims.auth_context_ref().map(|context| context.as_str());
    let methods = claims.auth_method_refs().into_iter().flatten().map(|method| method.as_str());
    context.into_iter().chain(methods)
}

/// The moment as the library's clock counts it, from the epoch on.
fn system_time(micros: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

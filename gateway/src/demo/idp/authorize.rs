//! The authorization endpoint (OpenID Connect Core 3.1.2, RFC 7636, RFC 9207). A wrong client or return address is
//! told to the person and goes nowhere; everything else is told to the client.

use http::StatusCode;
use url::Url;

use super::super::answer::{self, Answer};
use super::super::asked::{Asked, Fields};
use super::super::language::Language;
use super::super::page::{self, Content, Part, escape};
use super::super::people::{PEOPLE, Person, person};
use super::codes::Grant;
use super::key::random_text;
use super::{Inner, session};

/// An authorization request that fits the client.
struct Wanted<'a> {
    redirect_uri: &'a str,
    code_challenge: &'a str,
}

/// What the client is told instead of a code.
struct Refusal {
    error: &'static str,
    description: &'static str,
}

const fn refusal(error: &'static str, description: &'static str) -> Refusal {
    Refusal { error, description }
}

impl Inner {
    /// Answers an authorization request: a page to pick a person, or a code for the one who is already picked.
    pub(super) fn authorize(&self, asked: &Asked, fields: &Fields) -> Answer {
        let language = Language::of(&asked.headers);
        let Some(redirect_uri) = self.return_address(fields) else {
            return unknown_client_page(language);
        };
        let wanted = match parse(fields, redirect_uri) {
            Ok(wanted) => wanted,
            Err(refusal) => return self.send_back_refused(redirect_uri, fields, &refusal),
        };
        match (self.who(asked, fields), fields.one("prompt")) {
            (Some((person, auth_time)), _) => self.send_back(&wanted, fields, person, auth_time),
            (None, Some("none")) => {
                let nobody = refusal("login_required", "nobody is signed in at the demo provider");
                self.send_back_refused(redirect_uri, fields, &nobody)
            }
            (None, _) => picker(fields, language),
        }
    }

    /// The return address, where client and address are known.
    fn return_address<'a>(&self, fields: &'a Fields) -> Option<&'a str> {
        let known = |uri: &&str| self.options.redirect_uris.iter().any(|one| one == uri);
        fields.one("client_id").filter(|id| *id == self.options.client_id)?;
        fields.one("redirect_uri").filter(known)
    }

    /// Who signs in, and when they proved who they are: the one named, else the one remembered.
    fn who(&self, asked: &Asked, fields: &Fields) -> Option<(&'static Person, i64)> {
        let now = self.options.clock.now().unix_seconds();
        let silent = fields.one("prompt") == Some("none");
        if let Some(person) = fields.one("login_hint").and_then(person).filter(|_| !silent) {
            return Some((person, now));
        }
        let asks_again = matches!(fields.one("prompt"), Some("login" | "select_account"));
        let age_max = fields.one("max_age").and_then(|text| text.parse::<i64>().ok()).unwrap_or(i64::MAX);
        session::remembered(asked).filter(|(_, since)| !asks_again && now.saturating_sub(*since) <= age_max)
    }

    fn send_back(&self, wanted: &Wanted<'_>, fields: &Fields, person: &'static Person, auth_time: i64) -> Answer {
        let code = random_text().and_then(|session| {
            let grant = Grant {
                person,
                redirect_uri: wanted.redirect_uri.to_owned(),
                nonce: fields.one("nonce").map(str::to_owned),
                code_challenge: wanted.code_challenge.to_owned(),
                auth_time,
                session,
            };
            self.codes.give(grant, self.options.clock.now())
        });
        match code {
            Some(code) => self.redirect(wanted.redirect_uri, fields, &[("code", &code)]),
            None => {
                let full = refusal("temporarily_unavailable", "too many sign-ins are under way; try again in a minute");
                self.send_back_refused(wanted.redirect_uri, fields, &full)
            }
        }
    }

    fn send_back_refused(&self, redirect_uri: &str, fields: &Fields, refusal: &Refusal) -> Answer {
        let pairs = [("error", refusal.error), ("error_description", refusal.description)];
        self.redirect(redirect_uri, fields, &pairs)
    }

    fn redirect(&self, redirect_uri: &str, fields: &Fields, pairs: &[(&str, &str)]) -> Answer {
        let Ok(mut uri) = Url::parse(redirect_uri) else {
            return answer::problem(StatusCode::BAD_REQUEST, "the registered return address is not a URL");
        };
        {
            let mut query = uri.query_pairs_mut();
            query.extend_pairs(pairs);
            if let Some(state) = fields.one("state") {
                query.append_pair("state", state);
            }
            query.append_pair("iss", &self.options.issuer);
        }
        answer::see_other(uri.as_str())
    }
}

fn parse<'a>(fields: &'a Fields, redirect_uri: &'a str) -> Result<Wanted<'a>, Refusal> {
    if fields.one("response_type") != Some("code") {
        return Err(refusal("unsupported_response_type", "only response_type=code"));
    }
    if !fields.one("scope").unwrap_or_default().split(' ').any(|scope| scope == "openid") {
        return Err(refusal("invalid_scope", "the scope lacks openid"));
    }
    if fields.one("code_challenge_method") != Some("S256") {
        return Err(refusal("invalid_request", "PKCE with code_challenge_method=S256 is required"));
    }
    // The base64url text of a SHA-256 digest is 43 characters long.
    let Some(code_challenge) = fields.one("code_challenge").filter(|text| text.len() == 43) else {
        return Err(refusal("invalid_request", "code_challenge is not the base64url text of a SHA-256 digest"));
    };
    Ok(Wanted { redirect_uri, code_challenge })
}

fn unknown_client_page(language: Language) -> Answer {
    let title = language.say("続けられません", "This cannot go on");
    let text = language.say(
        "client_id または redirect_uri が登録されたものと違います。関守のデモを起動し直してください。",
        "client_id or redirect_uri is not the one registered here. Restart the Sekimori demo.",
    );
    page::trouble(StatusCode::BAD_REQUEST, Part::Idp, language, title, text)
}

/// The page to pick a person on: one link each, the request again with a `login_hint`.
fn picker(fields: &Fields, language: Language) -> Answer {
    let card = |person: &Person| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(fields.iter().filter(|(name, _)| !matches!(*name, "login_hint" | "prompt")));
        let query = query.append_pair("login_hint", person.role).finish();
        format!(
            "<li><a class=\"card\" href=\"/authorize?{}\"><strong>{}</strong>{} <span class=\"soft\">{}</span></a></li>",
            escape(&query),
            language.say(person.work_ja, person.work_en),
            escape(language.say(person.ja, person.en)),
            person.login,
        )
    };
    let intro = language.say(
        "デモ病院の誰としてサインインするかを選んでください。パスワードは要りません。",
        "Pick who of the demo hospital to sign in as. There is no password.",
    );
    let cards: String = PEOPLE.iter().map(card).collect();
    let main = format!("<p>{intro}</p><ul class=\"cards\">{cards}</ul>");
    let title = language.say("サインイン", "Sign in");
    page::page(StatusCode::OK, Part::Idp, language, &Content { title, aside: "", main: &main, script: None })
}

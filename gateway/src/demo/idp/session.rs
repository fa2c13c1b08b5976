//! The provider's own session, for those who want one: a cookie that says who was picked and when. It is not signed,
//! because everyone on this machine may be anyone here anyway.

use http::StatusCode;
use http::header::{HeaderValue, SET_COOKIE};

use super::super::answer::{self, Answer};
use super::super::asked::{Asked, Fields};
use super::super::language::Language;
use super::super::page::{self, Content, Part, escape};
use super::super::people::{PEOPLE, Person, person};
use super::Inner;

const COOKIE: &str = "sekimori-demo-idp";
const FORGET: &str = "sekimori-demo-idp=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax";

/// Who is signed in at the provider, and since when (seconds since the epoch).
pub(super) fn remembered(asked: &Asked) -> Option<(&'static Person, i64)> {
    let (role, since) = asked.cookie(COOKIE)?.split_once('.')?;
    Some((person(role)?, since.parse().ok()?))
}

impl Inner {
    /// Signs somebody in at the provider, so that the next authorization needs no page.
    pub(super) fn remember(&self, asked: &Asked, role: &str) -> Answer {
        let Some(person) = person(role) else {
            return answer::problem(StatusCode::NOT_FOUND, "no demo person has this role; try `nurse`");
        };
        let language = Language::of(&asked.headers);
        let now = self.options.clock.now().unix_seconds();
        let title = language.say("サインイン中", "Signed in");
        let text = format!("{} / {} ({})", person.ja, person.en, person.role);
        let answer = page::trouble(StatusCode::OK, Part::Idp, language, title, &text);
        set_cookie(answer, &format!("{COOKIE}={}.{now}; Path=/; HttpOnly; SameSite=Lax", person.role))
    }

    /// Signs out at the provider and sends the person back where the client may send them.
    pub(super) fn end_session(&self, asked: &Asked, fields: &Fields) -> Answer {
        let known = |uri: &&str| self.options.post_logout_redirect_uris.iter().any(|one| one == uri);
        let back = fields.one("post_logout_redirect_uri").filter(known).and_then(|uri| url::Url::parse(uri).ok());
        let answer = match back {
            Some(mut uri) => {
                if let Some(state) = fields.one("state") {
                    uri.query_pairs_mut().append_pair("state", state);
                }
                answer::see_other(uri.as_str())
            }
            None => signed_out_page(Language::of(&asked.headers)),
        };
        set_cookie(answer, FORGET)
    }
}

fn set_cookie(answer: Answer, cookie: &str) -> Answer {
    match HeaderValue::from_str(cookie) {
        Ok(value) => answer::with_header(answer, SET_COOKIE, value),
        Err(_) => answer,
    }
}

fn signed_out_page(language: Language) -> Answer {
    let title = language.say("サインアウトしました", "Signed out");
    let text = language.say("この画面は閉じてかまいません。", "You can close this page.");
    page::trouble(StatusCode::OK, Part::Idp, language, title, text)
}

/// The page at `/`: who can be picked, and how `curl` picks them.
pub(super) fn people_page(asked: &Asked) -> Answer {
    let language = Language::of(&asked.headers);
    let row = |person: &Person| {
        format!(
            "<tr><td>{} / {}</td><td>{}</td><td><code>{}</code></td><td><code>login_hint={}</code></td></tr>",
            escape(person.ja),
            escape(person.en),
            language.say(person.work_ja, person.work_en),
            person.login,
            person.role
        )
    };
    let rows: String = PEOPLE.iter().map(row).collect();
    let (name, work, login, hint) = (
        language.say("氏名", "Name"),
        language.say("職種", "Work"),
        language.say("ログイン名", "Sign-in name"),
        language.say("画面なしのサインイン", "Signing in without a page"),
    );
    let main = format!(
        "<div class=\"wide\"><table><thead><tr><th>{name}</th><th>{work}</th><th>{login}</th><th>{hint}</th></tr></thead>\
         <tbody>{rows}</tbody></table></div>"
    );
    let title = language.say("デモ病院の人々", "The people of the demo hospital");
    page::page(StatusCode::OK, Part::Idp, language, &Content { title, aside: "", main: &main, script: None })
}

//! One-time codes: invitations, the first administrator, temporary codes. A code is shown once and kept nowhere.

use std::time::Duration;

use config::Config;
use identity::MadeInvitation;
use policy::UtcOffset;
use serde_json::json;

use super::{Directory, Who, failure};
use crate::cli::{ConfigArg, Format, actor, block_on, out};
use crate::clock;
use crate::failure::Failure;

/// `user invite`.
pub fn invite(who: &Who, proofing: &str, valid: Duration, config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let (person, made) = block_on(async {
        let person = directory.find(who).await?;
        let (people, at) = (&directory.people, clock::now());
        let made = people.invite(&person.id, valid, proofing, &actor(), at).await.map_err(failure)?;
        Ok((person, made))
    })?;
    let link = link(&directory.config, &made);
    match format {
        Format::Json => out::say(&as_json(&made, Some(&person.login), Some(&link))),
        Format::Text => out::say(&format!(
            "invitation for {login}, good until {until}; shown only now:\n  {link}\n  code {code}\n\
             {login} への招待です（{until} まで、今だけ表示）。本人が上のリンクを開くか、{page} でコードを入力します。",
            login = person.login,
            until = made.expires_at.rfc3339(directory.config.offset),
            code = made.code.expose(),
            page = enrol_page(&directory.config),
        )),
    }
    Ok(())
}

/// `user first-admin`.
pub fn first_administrator(config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let made = block_on(async { directory.people.first_administrator(&actor(), clock::now()).await.map_err(failure) })?;
    let link = link(&directory.config, &made);
    match format {
        Format::Json => out::say(&as_json(&made, None, Some(&link))),
        Format::Text => out::say(&first_administrator_text(&made, Some(&link), directory.config.offset)),
    }
    Ok(())
}

/// What is said of the first administrator's code; also by `init`, which knows no address yet.
pub fn first_administrator_text(made: &MadeInvitation, link: Option<&str>, offset: UtcOffset) -> String {
    let where_to = link.map_or_else(|| "https://LOGIN_HOST/enrol".to_owned(), str::to_owned);
    format!(
        "the first administrator opens {where_to} with a passkey (security key, phone, tablet) at hand\n  \
         code {code}, once, until {until}; shown only now\n\
         最初の管理者は、上のページを開いてコード（1回限り、今だけ表示）を入力し、自分の鍵（パスキー）を登録します。",
        code = made.code.expose(),
        until = made.expires_at.rfc3339(offset),
    )
}

/// `user temporary`.
pub fn temporary(who: &Who, reason: &str, valid: Duration, config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let (person, made) = block_on(async {
        let person = directory.find(who).await?;
        let (people, at) = (&directory.people, clock::now());
        let made = people.temporary(&person.id, valid, reason, &actor(), at).await.map_err(failure)?;
        Ok((person, made))
    })?;
    match format {
        Format::Json => out::say(&as_json(&made, Some(&person.login), None)),
        Format::Text => out::say(&format!(
            "temporary code of {login}, good until {until}; shown only now: {code}\n\
             {login} の一時コードです（{until} まで、今だけ表示）。サインイン画面の「鍵がないとき」から入力します。",
            login = person.login,
            until = made.expires_at.rfc3339(directory.config.offset),
            code = made.code.expose(),
        )),
    }
    Ok(())
}

fn enrol_page(config: &Config) -> String {
    format!("{}/enrol", config.origin(&config.login_host))
}

/// The address with the code behind `#`, which browsers do not send.
pub fn link(config: &Config, made: &MadeInvitation) -> String {
    format!("{}#{}", enrol_page(config), made.code.expose())
}

fn as_json(made: &MadeInvitation, login: Option<&str>, link: Option<&str>) -> String {
    json!({
        "invitation": made.id.to_string(),
        "login": login,
        "code": made.code.expose(),
        "link": link,
        "expires_at": made.expires_at.to_string(),
    })
    .to_string()
}

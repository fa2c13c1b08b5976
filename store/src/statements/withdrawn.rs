//! Sign-ins that were ended while they were under way: nobody has a session yet that could end, so that the moment is
//! remembered and compared when the session would begin.

use std::time::Duration;

use policy::Timestamp;
use serde_json::json;

use crate::sql::{Connection, params};
use crate::{Lapsed, Person, SessionsOf, StoreProblem};

/// How long it is remembered: longer than any sign-in is under way. The moment itself is what is remembered until,
/// less this.
const REMEMBERED_SPAN: Duration = Duration::from_secs(3_600);

/// Remembers that whatever is under way of these at that moment is void. Nothing where what a session rests on is
/// looked at when it begins anyway: devices, keys. Without a bound, and outside of that of logout tokens: there are no more
/// than people, and than logout tokens of an hour, each of which a provider signed.
pub(crate) fn note(c: &Connection, of: &SessionsOf, at: Timestamp) -> Result<(), StoreProblem> {
    let Some(name) = name(of) else { return Ok(()) };
    c.prepare_cached(
        "insert into remembered (kind, key, expires_at) values ('withdrawn', ?1, ?2)
         on conflict (kind, key) do update set expires_at =
             case when remembered.expires_at > ?2 then remembered.expires_at else ?2 end",
    )?
    .execute(params![name.as_bytes(), at.after(REMEMBERED_SPAN).unix_micros()])?;
    Ok(())
}

/// That nobody ended what a person was vouched for at that moment.
pub(crate) fn stands(
    c: &Connection,
    person: &Person,
    provider_session: Option<&str>,
    vouched_at: Timestamp,
) -> Result<(), StoreProblem> {
    let (provider, subject) = (person.provider.clone(), person.subject.clone());
    let session = |subject| {
        let sid = provider_session.unwrap_or_default().to_owned();
        SessionsOf::ProviderSession { provider: provider.clone(), sid, subject }
    };
    let mut names = vec![
        SessionsOf::User(person.id.clone()),
        SessionsOf::Subject { provider: provider.clone(), subject: subject.clone() },
    ];
    match provider_session {
        Some(_) => names.extend([session(None), session(Some(subject))]),
        None => names.push(SessionsOf::SubjectUnnamed { provider: provider.clone(), subject }),
    }
    let mut ended =
        c.prepare_cached("select 1 from remembered where kind = 'withdrawn' and key = ?1 and expires_at > ?2")?;
    for name in names.iter().filter_map(name) {
        if ended.exists(params![name.as_bytes(), vouched_at.after(REMEMBERED_SPAN).unix_micros()])? {
            return Err(StoreProblem::NotInForce(Lapsed::SignIn));
        }
    }
    Ok(())
}

fn name(of: &SessionsOf) -> Option<String> {
    let parts = match of {
        SessionsOf::User(user) => json!(["person", user.as_str()]),
        SessionsOf::Subject { provider, subject } => json!(["subject", provider.as_str(), subject]),
        SessionsOf::SubjectUnnamed { provider, subject } => json!(["subject-unnamed", provider.as_str(), subject]),
        SessionsOf::ProviderSession { provider, sid, subject } => json!(["session", provider.as_str(), sid, subject]),
        SessionsOf::UserOn(..)
        | SessionsOf::UserOnNoDevice { .. }
        | SessionsOf::Device(_)
        | SessionsOf::Credential(_)
        | SessionsOf::Outage(_) => return None,
    };
    Some(parts.to_string())
}

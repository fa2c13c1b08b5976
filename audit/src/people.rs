//! What lines say of people who ask again and again, encoded once.

use std::sync::Arc;

use policy::Who;

use crate::json::Object;
use crate::line::push_who;

/// How many people are remembered; a newcomer takes the place of whoever has the same.
const PLACES: usize = 256;

/// The parts of lines that state who asks, by person. Bounded; a session that ended is let go of when its place is
/// needed.
#[derive(Debug)]
pub(crate) struct People {
    places: Vec<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    /// Held, so that nobody else can come to lie at the same address.
    who: Arc<Who>,
    text: Box<[u8]>,
}

impl Default for People {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| None).collect() }
    }
}

impl People {
    /// Adds to a line who asks.
    pub(crate) fn push(&mut self, line: &mut Object<'_>, who: &Arc<Who>) {
        let number = (Arc::as_ptr(who).addr() >> 6) % PLACES;
        let Some(place) = self.places.get_mut(number) else { return push_who(line, who) };
        match place {
            Some(known) if Arc::ptr_eq(&known.who, who) => line.encoded(&known.text),
            Some(_) | None => {
                let mut text = Vec::with_capacity(256);
                push_who(&mut Object::continued(&mut text), who);
                line.encoded(&text);
                *place = Some(Known { who: Arc::clone(who), text: text.into() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use policy::{Assurance, Methods, ProviderId, RoleId, SessionId, SignInMethod, Timestamp, UserId};

    use super::*;

    fn person(number: usize) -> Arc<Who> {
        Arc::new(Who {
            user: UserId::parse(&format!("u-{number}")).unwrap(),
            login: Arc::from(format!("n.{number}")),
            name: Arc::from("佐藤 花子"),
            unit: "".into(),
            provider: ProviderId::parse("hospital").unwrap(),
            issuer: Arc::from("https://idp.example.jp"),
            subject: Arc::from("s"),
            roles: [RoleId::parse("nurse").unwrap()].into(),
            session: SessionId::new(number as u64),
            assurance: Assurance::Aal2,
            authenticated_at: Timestamp::from_unix_micros(0),
            bound_to: None,
            ends_at: Timestamp::MAX,
            methods: Methods::of([SignInMethod::Passkey]),
            key_model: None,
            in_outage: false,
            roles_confirmed_at: Timestamp::from_unix_micros(0),
        })
    }

    fn said(push: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = Vec::new();
        push(&mut Object::continued(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn everyone_is_stated_as_themselves_however_many_there_are_and_however_often_they_ask() {
        let mut people = People::default();
        let all: Vec<_> = (0..3 * PLACES).map(person).collect();
        for who in all.iter().chain(&all).chain(all.iter().rev()) {
            assert_eq!(said(|line| people.push(line, who)), said(|line| push_who(line, who)));
        }
        for number in 0..3 * PLACES {
            // Freed at once, so that many come to lie at the same address.
            let who = person(number);
            assert_eq!(said(|line| people.push(line, &who)), said(|line| push_who(line, &who)));
        }
    }
}

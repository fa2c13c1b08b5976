//! `[[posture_source]]`: systems that may report the condition of devices.

use std::time::Duration;

use policy::PostureSourceId;

use super::names::NAME_REMEDY;
use crate::PostureSource;
use crate::files::Files;
use crate::walk::{Seen, Table};

/// A token is as hard to guess as 128 bits, written in hexadecimal digits.
const TOKEN_CHARACTERS_MIN: usize = 32;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn read(root: &Table<'_>, files: &Files<'_>) -> Option<Vec<PostureSource>> {
    let mut seen = Seen::default();
    let tables = root.tables("posture_source");
    tables.into_iter().map(|table| read_one(&table, files, &mut seen)).collect::<Vec<_>>().into_iter().collect()
}

fn read_one(table: &Table<'_>, files: &Files<'_>, seen: &mut Seen) -> Option<PostureSource> {
    let id = table.needed("id", "`id = \"mdm\"`", |value| {
        let id = value.parse(PostureSourceId::parse, NAME_REMEDY)?;
        seen.claim(&value, id.as_str(), "give each source its own id")?;
        Some(id)
    });
    let token = table.needed("token_file", "`token_file = \"secrets/mdm\"`", |value| {
        let token = files.secret(&value)?;
        let plain = token.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if plain && token.expose().len() >= TOKEN_CHARACTERS_MIN {
            return Some(token);
        }
        value.wrong(
            format!("holds no token of at least {TOKEN_CHARACTERS_MIN} letters and digits"),
            "make one with `openssl rand -hex 32`",
        )
    });
    let ttl = table.or("ttl", DAY, |value| value.time(MINUTE..=90 * DAY));
    table.finish();
    Some(PostureSource { id: id?, token: token?, ttl: ttl? })
}

//! The first page: what needs attention, each with the way there.

use policy::Timestamp;
use store::PeopleFilter;

use super::Duty;
use super::desk::{Desk, Shown};
use super::devices::State;
use super::people::unused_since;
use super::view::{ConsoleContent, MarkTone, Part, Tile, Words};

/// Where counting people stops.
const COUNT_MAX: usize = 1_000;

/// The page.
pub(super) async fn home(desk: &Desk<'_>) -> Shown {
    let mut tiles = Vec::new();
    if desk.is(Duty::Oversee) && !desk.config().maintenance.vendor_roles.is_empty() {
        tiles.extend(super::maintenance::attention(desk).await?);
    }
    if desk.is(Duty::Witness) {
        tiles.extend(glass(desk).await?);
    }
    if desk.is(Duty::Look) {
        tiles.extend(ledgers(desk).await?);
    }
    if desk.is(Duty::Read) && !desk.is(Duty::Inspect) {
        tiles.extend(reviews(desk).await?);
    }
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-home-title"),
        lead: Some(desk.say("console-home-lead")),
        parts: alarms(desk).into_iter().chain([Part::Tiles(tiles)]).collect(),
        ..ConsoleContent::default()
    }))
}

/// What is wrong with the gateway itself, where something is.
fn alarms(desk: &Desk<'_>) -> Option<Part> {
    let raised = desk.site.parts.alarms.raised();
    let lines: Vec<String> = raised.map(|alarm| desk.say(&format!("alarm-{}", alarm.code()))).collect();
    (!lines.is_empty()).then(|| {
        let (heading, tone) = (desk.say("alarm-heading"), MarkTone::Bad);
        Part::Words(Words { id: "alarms", heading, tone, lines, links: Vec::new() })
    })
}

/// Broken glass that waits for its review, where some does.
async fn glass(desk: &Desk<'_>) -> Result<Option<Tile>, super::desk::Refused> {
    let (waiting, is_late) = super::glass::waiting(desk).await?;
    Ok((waiting > 0).then(|| Tile {
        label: desk.say("console-tile-glass"),
        number: waiting.to_string(),
        tone: if is_late { MarkTone::Bad } else { MarkTone::Warn },
        href: "/glass".to_owned(),
        note: desk.say("console-tile-glass-note"),
    }))
}

/// What of people, devices and records needs attention.
async fn ledgers(desk: &Desk<'_>) -> Result<Vec<Tile>, super::desk::Refused> {
    let (at, store) = (desk.at(), desk.store());
    let ledger = store.devices().await?;
    let devices = |state: State| ledger.iter().filter(|device| state.has(desk, device)).count();
    let unused =
        PeopleFilter { disabled: Some(false), unused_since: Some(unused_since(desk)), ..PeopleFilter::default() };
    let unused = store.people(unused, None, COUNT_MAX).await?.len();
    let active = PeopleFilter { disabled: Some(false), ..PeopleFilter::default() };
    let active = store.people(active, None, COUNT_MAX).await?.len();
    let open = store.sessions().await?.iter().filter(|(session, _)| session.ends_at > at).count();
    let invitations = store.invitations().await?.iter().filter(|one| one.is_in_force(at)).count();
    let tile = |word: &str, count: usize, tone: MarkTone, href: &str| Tile {
        label: desk.say(&format!("console-tile-{word}")),
        number: if count >= COUNT_MAX { format!("{count}+") } else { count.to_string() },
        tone: if count == 0 { MarkTone::Plain } else { tone },
        href: href.to_owned(),
        note: desk.say(&format!("console-tile-{word}-note")),
    };
    let mut tiles = Vec::new();
    if desk.is(Duty::Inspect) {
        let out = desk.site.parts.outage.current().len();
        let stale = stale(desk, at).await?;
        tiles.push(tile("outage", out, MarkTone::Bad, "/outage"));
        tiles.push(tile("stale", stale, MarkTone::Warn, "/posture?state=stale"));
        let notices = super::notices::failing(desk).await?;
        if notices > 0 {
            tiles.push(tile("notices", notices, MarkTone::Bad, "/notices"));
        }
        tiles.extend(super::nodes::attention(desk));
        tiles.extend(reviews(desk).await?);
    }
    tiles.extend([
        tile("expired", devices(State::Expired), MarkTone::Bad, "/devices?state=expired"),
        tile("expiring", devices(State::Expiring), MarkTone::Warn, "/devices?state=expiring"),
        tile("unseen", devices(State::Unseen), MarkTone::Warn, "/devices?state=unseen"),
        tile("stock", devices(State::StockDue), MarkTone::Warn, "/devices?state=stock-due"),
        tile("unused", unused, MarkTone::Warn, "/people?state=unused"),
        tile("invitations", invitations, MarkTone::Plain, "/invitations"),
        tile("people", active, MarkTone::Plain, "/people"),
        tile("devices", devices(State::Active), MarkTone::Plain, "/devices"),
        tile("sessions", open, MarkTone::Plain, "/sessions"),
    ]);
    Ok(tiles)
}

/// What the reviews of the log wait for, where they do.
async fn reviews(desk: &Desk<'_>) -> Result<Vec<Tile>, super::desk::Refused> {
    let (open, is_late, is_missing) = super::log::attention(desk).await?;
    let tile = |word: &str, number: String, tone: MarkTone, href: &str| Tile {
        label: desk.say(&format!("log-tile-{word}")),
        number,
        tone,
        href: href.to_owned(),
        note: desk.say(&format!("log-tile-{word}-note")),
    };
    let open_tone = if is_late { MarkTone::Bad } else { MarkTone::Warn };
    let open = (open > 0).then(|| tile("reviews", open.to_string(), open_tone, "/log/reviews"));
    let missing = is_missing.then(|| tile("review-due", "1".to_owned(), MarkTone::Warn, "/log/reviews/new"));
    Ok(open.into_iter().chain(missing).collect())
}

/// How many devices have posture that is out of time.
async fn stale(desk: &Desk<'_>, at: Timestamp) -> Result<usize, super::desk::Refused> {
    let rows = desk.store().posture().await?;
    let devices: std::collections::BTreeSet<_> =
        rows.iter().filter(|row| row.expires_at <= at).map(|row| &row.device).collect();
    Ok(devices.len())
}

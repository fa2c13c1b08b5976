//! People: list, search, export.

use std::time::Duration;

use policy::{RoleId, Timestamp, UserId};
use store::{PeopleFilter, Person};
use url::form_urlencoded::Serializer;

use super::desk::{Desk, LOCAL, Shown};
use super::field::pages;
use super::posted::ago;
use super::view::{Bit, Choice, ConsoleContent, Field, Filter, Go, Mark, Part, Table};
use super::{Duty, csv_file};

/// How many rows a page of a list shows.
pub(super) const ROWS_MAX: usize = 50;
/// When an account counts as unused where the configuration does not say.
const UNUSED_SPAN: Duration = Duration::from_secs(90 * 24 * 3_600);

/// Which people are asked for.
struct Asked {
    text: Option<String>,
    role: Option<RoleId>,
    state: State,
    after: Option<UserId>,
}

/// In which state they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In force: leavers pile up, and are rarely looked for.
    Active,
    Unused,
    Disabled,
    All,
}

impl State {
    const ALL: [Self; 4] = [Self::Active, Self::Unused, Self::Disabled, Self::All];

    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Unused => "unused",
            Self::Disabled => "disabled",
            Self::All => "all",
        }
    }
}

impl Asked {
    fn read(desk: &Desk<'_>) -> Self {
        let state = desk.asked("state");
        Self {
            text: desk.asked("q"),
            role: desk.asked("role").and_then(|role| RoleId::parse(&role).ok()),
            state: State::ALL.into_iter().find(|one| state.as_deref() == Some(one.as_str())).unwrap_or(State::Active),
            after: desk.asked("after").and_then(|id| UserId::parse(&id).ok()),
        }
    }

    fn filter(&self, desk: &Desk<'_>) -> PeopleFilter {
        let (disabled, unused_since) = match self.state {
            State::Active => (Some(false), None),
            State::Unused => (Some(false), Some(unused_since(desk))),
            State::Disabled => (Some(true), None),
            State::All => (None, None),
        };
        PeopleFilter { text: self.text.clone(), role: self.role.clone(), provider: None, disabled, unused_since }
    }

    fn is_filtered(&self) -> bool {
        self.text.is_some() || self.role.is_some() || self.state != State::Active
    }

    /// The same list, from another place on.
    fn address(&self, after: Option<&UserId>) -> String {
        let mut query = Serializer::new(String::new());
        let fields = [
            ("q", self.text.as_deref()),
            ("role", self.role.as_ref().map(RoleId::as_str)),
            ("state", Some(self.state.as_str())),
            ("after", after.map(UserId::as_str)),
        ];
        query.extend_pairs(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
        format!("/people?{}", query.finish())
    }
}

/// Since when who has not signed in counts as unused.
pub(super) fn unused_since(desk: &Desk<'_>) -> Timestamp {
    ago(desk.at(), desk.config().directory.disable_unused_after.unwrap_or(UNUSED_SPAN))
}

/// The list.
pub(super) async fn people(desk: &Desk<'_>) -> Shown {
    let asked = Asked::read(desk);
    let mut people = desk.store().people(asked.filter(desk), asked.after.clone(), ROWS_MAX + 1).await?;
    let has_more = people.len() > ROWS_MAX;
    people.truncate(ROWS_MAX);
    let last = people.last().filter(|_| has_more).map(|person| &person.id);
    let heads = ["console-person", "console-unit", "console-roles", "console-provider", "console-last-sign-in"];
    let table = Table {
        id: "people",
        heading: desk.say("console-people-table"),
        heads: heads.map(|head| desk.say(head)).into(),
        rows: people.iter().map(|person| row(desk, person)).collect(),
        empty: desk.say(if asked.is_filtered() { "console-none-fit" } else { "console-people-none" }),
        note: None,
        pages: pages(
            asked.after.is_some().then(|| Go::new(desk.say("console-first-page"), asked.address(None))),
            last.map(|last| Go::new(desk.say("console-next-page"), asked.address(Some(last)))),
        ),
    };
    let mut actions = Vec::new();
    if desk.is(Duty::Administer) {
        if desk.config().directory.local {
            actions.push(Go::main(desk.say("console-new-person"), "/new-person"));
        }
        actions.push(Go::new(desk.say("console-import"), "/import-people"));
    }
    if desk.is(Duty::Inspect) {
        actions.push(Go::new(desk.say("console-export"), "/people.csv"));
    }
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-people"),
        lead: Some(desk.say("console-people-lead")),
        actions,
        parts: vec![Part::Filter(filter(desk, &asked)), Part::Table(table)],
        ..ConsoleContent::default()
    }))
}

fn filter(desk: &Desk<'_>, asked: &Asked) -> Filter {
    let any = Choice::new("", desk.say("console-any"), asked.role.is_none());
    let role = |role: &RoleId| Choice::new(role.as_str(), desk.role_name(role), asked.role.as_ref() == Some(role));
    let state = |state: State| {
        let label = desk.say(&format!("console-people-state-{}", state.as_str()));
        Choice::new(state.as_str(), label, state == asked.state)
    };
    Filter {
        label: desk.say("console-people-search"),
        action: "/people".to_owned(),
        fields: vec![
            Field::search(desk.say("console-people-text"), asked.text.as_deref()),
            Field::choice(
                "filter",
                "role",
                desk.say("console-role"),
                [any].into_iter().chain(desk.config().roles.keys().map(role)).collect(),
            ),
            Field::choice("filter", "state", desk.say("console-state"), State::ALL.map(state).into()),
        ],
        button: desk.say("console-search"),
        clear: asked.is_filtered().then(|| Go::new(desk.say("console-clear"), "/people")),
    }
}

fn row(desk: &Desk<'_>, person: &Person) -> Vec<Vec<Bit>> {
    let name = Bit::link(&person.name, format!("/people/{}", person.id));
    vec![
        [name, Bit::soft(&person.login)].into_iter().chain(marks(desk, person).into_iter().map(Bit::Mark)).collect(),
        vec![Bit::text(&person.unit)],
        vec![Bit::Text(desk.role_names(&person.roles))],
        vec![Bit::Text(desk.provider_name(&person.provider))],
        vec![Bit::Text(last_sign_in(desk, person))],
    ]
}

/// The states of a person that somebody should notice.
pub(super) fn marks(desk: &Desk<'_>, person: &Person) -> Vec<Mark> {
    let is_disabled = person.disabled.is_some();
    let is_unused = !is_disabled && person.seen_at < unused_since(desk);
    let marks = [
        is_disabled.then(|| Mark::bad(desk.say("console-mark-disabled"))),
        is_unused.then(|| Mark::warn(desk.say("console-mark-unused"))),
        desk.has_part(&person.roles).then(|| Mark::plain(desk.say("console-mark-console"))),
    ];
    marks.into_iter().flatten().collect()
}

/// When a person last signed in.
pub(super) fn last_sign_in(desk: &Desk<'_>, person: &Person) -> String {
    if person.seen_at <= person.added_at && person.provider.as_str() == LOCAL {
        return desk.say("console-never-yet");
    }
    desk.minute(person.seen_at)
}

/// Everybody as CSV.
pub(super) async fn export(desk: &Desk<'_>) -> Shown {
    let text = desk.site.parts.people.write_csv().await?;
    desk.note_reading("people-export", None).await?;
    Ok(csv_file(desk, "people", text))
}

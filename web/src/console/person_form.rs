//! Adding a person to the local directory, changing one, disabling a leaver, and letting them in again.

use identity::{NewPerson, PeopleProblem};
use policy::RoleId;
use store::{Person, PersonChange};

use super::desk::{Desk, Refused, Shown};
use super::person::{content, is_local};
use super::posted::Posted;
use super::view::{Bit, Choice, ConsoleContent, Facts, Field, Form, Go, Part, Submit};
use crate::Fault;

/// The longest login name, name, unit and reason, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 100;

/// What somebody typed into the form of a person.
#[derive(Default)]
pub(super) struct Typed {
    login: String,
    name: String,
    unit: String,
    roles: Vec<RoleId>,
}

impl Typed {
    fn of(person: &Person) -> Self {
        let Person { login, name, unit, roles, .. } = person;
        Self { login: login.clone(), name: name.clone(), unit: unit.clone(), roles: roles.clone() }
    }

    fn read(form: &Posted) -> Result<Self, Refused> {
        let mut roles = Vec::new();
        for role in form.all("role") {
            roles.push(RoleId::parse(role).map_err(|_| Fault::BadRequest)?);
        }
        roles.sort();
        roles.dedup();
        let line = |name| form.line(name, TEXT_CHARS_MAX);
        Ok(Self { login: line("login")?, name: line("name")?, unit: line("unit")?, roles })
    }
}

/// The form for a new person.
pub(super) fn ask_new(desk: &Desk<'_>) -> Shown {
    Ok(desk.show(new_page(desk, Typed::default())))
}

fn new_page(desk: &Desk<'_>, typed: Typed) -> ConsoleContent {
    let form = Form {
        id: "new",
        heading: desk.say("console-new-person-form"),
        lead: Some(desk.say("console-new-person-lead")),
        action: "/new-person".to_owned(),
        with_file: false,
        fields: fields(desk, "new", typed),
        buttons: Submit::main(desk.say("console-add")),
        back: Some(Go::new(desk.say("console-cancel"), "/people")),
        folded: false,
    };
    ConsoleContent {
        title: desk.say("console-new-person"),
        up: Some(Go::new(desk.say("console-people"), "/people")),
        parts: vec![Part::Form(form)],
        ..ConsoleContent::default()
    }
}

/// Adds a person.
pub(super) async fn add(desk: &Desk<'_>) -> Shown {
    let typed = Typed::read(&Posted::read(desk.request)?)?;
    let Typed { login, name, unit, roles } = &typed;
    let person = NewPerson { login: login.clone(), name: name.clone(), roles: roles.clone(), unit: unit.clone() };
    match desk.site.parts.people.add(person, &desk.actor(), desk.at()).await {
        Ok(person) => Ok(desk.go(&format!("/people/{}", person.id), "person-added")),
        Err(problem) => Ok(desk.show_problem(desk.people_problem(problem)?, new_page(desk, typed))),
    }
}

/// The form that changes a person; of a provider's people only the unit is ours.
pub(super) fn change_form(desk: &Desk<'_>, person: &Person, typed: Option<Typed>) -> Form {
    let typed = typed.unwrap_or_else(|| Typed::of(person));
    let is_local = is_local(person);
    let fields = if is_local {
        fields(desk, "change", typed)
    } else {
        vec![Field::text("change", "unit", desk.say("console-unit"), typed.unit, TEXT_CHARS_MAX)]
    };
    Form {
        id: "change",
        heading: desk.say("console-person-change"),
        lead: (!is_local).then(|| desk.say("console-person-change-provider")),
        action: format!("/people/{}/change", person.id),
        with_file: false,
        fields,
        buttons: Submit::main(desk.say("console-save")),
        back: None,
        folded: true,
    }
}

fn fields(desk: &Desk<'_>, form: &str, typed: Typed) -> Vec<Field> {
    let Typed { login, name, unit, roles } = typed;
    let role = |role: &RoleId| Choice::new(role.as_str(), desk.role_name(role), roles.contains(role));
    let choices = desk.config().roles.keys().map(role).collect();
    vec![
        Field::text(form, "name", desk.say("console-name-of-person"), name, TEXT_CHARS_MAX).required(),
        Field::text(form, "login", desk.say("console-login"), login, TEXT_CHARS_MAX)
            .required()
            .hinted(desk.say("console-login-hint")),
        Field::text(form, "unit", desk.say("console-unit"), unit, TEXT_CHARS_MAX),
        Field::some_of(form, "role", desk.say("console-roles"), choices).hinted(desk.say("console-roles-hint")),
    ]
}

/// Changes a person.
pub(super) async fn change(desk: &Desk<'_>) -> Shown {
    let person = desk.person().await?;
    let form = Posted::read(desk.request)?;
    let change = if is_local(&person) {
        let Typed { login, name, unit, roles } = Typed::read(&form)?;
        if desk.is_self(&person.id) && roles != person.roles {
            return Ok(desk.show_problem(desk.say("console-problem-own-roles"), content(desk, &person).await?));
        }
        PersonChange {
            login: (login != person.login).then_some(login),
            name: (name != person.name).then_some(name),
            unit: (unit != person.unit).then_some(unit),
            roles: (roles != person.roles).then_some(roles),
        }
    } else {
        let unit = form.line("unit", TEXT_CHARS_MAX)?;
        PersonChange { unit: (unit != person.unit).then_some(unit), ..PersonChange::default() }
    };
    let place = format!("/people/{}", person.id);
    if change == PersonChange::default() {
        return Ok(desk.go(&place, "nothing-changed"));
    }
    match desk.site.parts.people.change(&person.id, change, &desk.actor(), desk.at()).await {
        Ok(()) => Ok(desk.go(&place, "person-changed")),
        Err(problem) => Ok(desk.show_problem(desk.people_problem(problem)?, content(desk, &person).await?)),
    }
}

/// Asks whether to disable a person.
pub(super) async fn ask_disable(desk: &Desk<'_>) -> Shown {
    let person = desk.person().await?;
    desk.demand_touch(&person)?;
    Ok(desk.show(disable_page(desk, &person)))
}

fn disable_page(desk: &Desk<'_>, person: &Person) -> ConsoleContent {
    let rows = vec![
        (desk.say("console-name-of-person"), vec![Bit::text(&person.name)]),
        (desk.say("console-login"), vec![Bit::text(&person.login)]),
        (desk.say("console-unit"), vec![Bit::text(&person.unit)]),
        (desk.say("console-roles"), vec![Bit::Text(desk.role_names(&person.roles))]),
    ];
    let place = format!("/people/{}", person.id);
    let form = Form {
        id: "disable",
        heading: desk.say("console-disable-form"),
        lead: Some(desk.say("console-disable-what")),
        action: format!("{place}/disable"),
        with_file: false,
        fields: vec![
            Field::text("disable", "why", desk.say("console-reason"), "", TEXT_CHARS_MAX)
                .required()
                .hinted(desk.say("console-disable-hint")),
        ],
        buttons: Submit::stop(desk.say("console-disable-button")),
        back: Some(Go::new(desk.say("console-cancel"), place.clone())),
        folded: false,
    };
    ConsoleContent {
        title: desk.say("console-disable-title"),
        up: Some(Go::new(person.name.clone(), place)),
        parts: vec![
            Part::Facts(Facts { id: "facts", heading: desk.say("console-person-facts"), rows }),
            Part::Form(form),
        ],
        ..ConsoleContent::default()
    }
}

/// Disables a person. Nobody disables themselves: the last administrator would be gone.
pub(super) async fn disable(desk: &Desk<'_>) -> Shown {
    let person = desk.person().await?;
    desk.demand_touch(&person)?;
    let why = Posted::read(desk.request)?.line("why", TEXT_CHARS_MAX)?;
    if desk.is_self(&person.id) {
        return Ok(desk.show_problem(desk.say("console-problem-own-disable"), disable_page(desk, &person)));
    }
    let place = format!("/people/{}", person.id);
    if person.disabled.is_some() {
        return Ok(desk.go(&place, "nothing-changed"));
    }
    match desk.site.parts.people.disable(&person.id, &why, &desk.actor(), desk.at()).await {
        Ok(_ended) => Ok(desk.go(&place, "person-disabled")),
        Err(problem) => Ok(desk.show_problem(desk.people_problem(problem)?, disable_page(desk, &person))),
    }
}

/// Lets a disabled person in again.
pub(super) async fn enable(desk: &Desk<'_>) -> Shown {
    let person = desk.person().await?;
    let place = format!("/people/{}", person.id);
    match desk.site.parts.people.enable(&person.id, &desk.actor(), desk.at()).await {
        Ok(()) => Ok(desk.go(&place, "person-enabled")),
        Err(PeopleProblem::Unknown) => Ok(desk.go(&place, "nothing-changed")),
        Err(problem) => Ok(desk.show_problem(desk.people_problem(problem)?, content(desk, &person).await?)),
    }
}

/// The button that lets a disabled person in again.
pub(super) fn enable_form(desk: &Desk<'_>, person: &Person) -> Form {
    Form {
        id: "enable",
        heading: desk.say("console-enable"),
        lead: Some(desk.say("console-enable-what")),
        action: format!("/people/{}/enable", person.id),
        with_file: false,
        fields: Vec::new(),
        buttons: Submit::main(desk.say("console-enable-button")),
        back: None,
        folded: false,
    }
}

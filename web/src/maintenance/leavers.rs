//! A vendor's own administrator shuts out whoever no longer comes for the vendor, as far as the hospital noted from which
//! vendor they come. Letting them in again is the hospital's business.

use bytes::Bytes;
use http::Response;
use identity::PeopleProblem;
use policy::UserId;
use store::Person;

use super::visitor::Visitor;
use crate::console::posted::Posted;
use crate::console::view::{Bit, ConsoleContent, Facts, Field, Form, MarkTone, Part, Submit, Table, Words};
use crate::site::{Answer, store_fault};
use crate::{Fault, PageRequest, Site};

/// The longest reason, in characters.
const WHY_CHARS_MAX: usize = 100;
/// Where the list is.
const PLACE: &str = "/vendor-people";

impl Site {
    /// The people of their vendor.
    pub(crate) async fn vendors_people(&self, request: &PageRequest) -> Answer {
        let visitor = &leader(self, request)?;
        let part = match colleagues(visitor).await? {
            Some(people) => Part::Table(table(visitor, &people)),
            None => Part::Words(Words {
                id: "no-vendor",
                heading: visitor.say("maintenance-people-table"),
                tone: MarkTone::Warn,
                lines: vec![visitor.say("maintenance-people-no-vendor")],
                links: Vec::new(),
            }),
        };
        Ok(visitor.show(ConsoleContent {
            title: visitor.say("maintenance-people-title"),
            lead: Some(visitor.say("maintenance-people-lead")),
            up: Some(visitor.teller().go("maintenance-own-title", "/maintenance")),
            parts: vec![part],
            ..ConsoleContent::default()
        }))
    }

    /// Asks whether to disable one of them.
    pub(crate) async fn ask_leaver(&self, request: &PageRequest) -> Answer {
        let visitor = &leader(self, request)?;
        let person = named(visitor).await?;
        Ok(visitor.show(leave_page(visitor, &person)))
    }

    /// Disables one of them.
    pub(crate) async fn disable_leaver(&self, request: &PageRequest) -> Answer {
        let visitor = &leader(self, request)?;
        let person = named(visitor).await?;
        let why = Posted::read(request)?.line("why", WHY_CHARS_MAX)?;
        let actor = visitor.who.user.as_str();
        match self.parts.people.disable(&person.id, &why, actor, visitor.at()).await {
            Ok(_ended) => Ok(visitor.go(PLACE, "person-disabled")),
            Err(PeopleProblem::Store(problem)) => Err(store_fault(&problem)),
            Err(PeopleProblem::ReasonMissing) => Ok(no_reason(visitor, &person)),
            Err(_) => Err(Fault::NotFound),
        }
    }
}

/// Whoever leads the people of a vendor; for nobody else is there anything here.
fn leader<'a>(site: &'a Site, request: &'a PageRequest) -> Result<Visitor<'a>, Fault> {
    let visitor = Visitor::of(site, request)?;
    if site.leads_vendors(&visitor.who) { Ok(visitor) } else { Err(Fault::NotFound) }
}

/// Everybody who comes for the same vendor, without who asks; nothing where the directory does not say for which.
async fn colleagues(visitor: &Visitor<'_>) -> Result<Option<Vec<Person>>, Fault> {
    let own = &visitor.who.user;
    let Some(vendor) = visitor.vendor_of(own).await? else { return Ok(None) };
    let vendors = visitor.store().vendors().await.map_err(|problem| store_fault(&problem))?;
    let mut colleagues = Vec::new();
    for (id, _) in vendors.into_iter().filter(|(id, theirs)| *theirs == vendor && id != own) {
        let person = visitor.store().person(&id).await.map_err(|problem| store_fault(&problem))?;
        // Whoever has a part in the hospital's own work is the hospital's to shut out.
        colleagues.extend(person.filter(|person| visitor.site.has_vendors_roles_only(&person.roles)));
    }
    Ok(Some(colleagues))
}

/// The colleague that the path names; somebody of another vendor, or of the hospital, does not exist.
async fn named(visitor: &Visitor<'_>) -> Result<Person, Fault> {
    let id = UserId::parse(visitor.named(1)).map_err(|_| Fault::NotFound)?;
    let colleagues = colleagues(visitor).await?.unwrap_or_default();
    let found = colleagues.into_iter().find(|one| one.id == id && one.disabled.is_none());
    found.ok_or(Fault::NotFound)
}

fn table(visitor: &Visitor<'_>, people: &[Person]) -> Table {
    let teller = visitor.teller();
    let row = |person: &Person| {
        let action = match &person.disabled {
            Some(_) => Bit::Text(visitor.say("maintenance-people-disabled")),
            None => Bit::link(visitor.say("maintenance-people-leave"), format!("{PLACE}/{}/disable", person.id)),
        };
        vec![
            vec![Bit::text(&person.name), Bit::soft(&person.login)],
            vec![Bit::Moment(teller.minute(person.seen_at))],
            vec![action],
        ]
    };
    let heads = ["maintenance-people-name", "maintenance-people-seen", "console-action"];
    Table {
        id: "people",
        heading: visitor.say("maintenance-people-table"),
        heads: heads.map(|head| visitor.say(head)).into(),
        rows: people.iter().map(row).collect(),
        empty: visitor.say("maintenance-people-none"),
        note: None,
        pages: Vec::new(),
    }
}

fn no_reason(visitor: &Visitor<'_>, person: &Person) -> Response<Bytes> {
    visitor.show_problem(visitor.say("console-problem-reason"), leave_page(visitor, person))
}

fn leave_page(visitor: &Visitor<'_>, person: &Person) -> ConsoleContent {
    let rows = vec![(visitor.say("maintenance-people-name"), vec![Bit::text(&person.name), Bit::soft(&person.login)])];
    let form = Form {
        id: "leave",
        heading: visitor.say("maintenance-people-leave"),
        lead: Some(visitor.say("maintenance-people-leave-what")),
        action: format!("{PLACE}/{}/disable", person.id),
        with_file: false,
        fields: vec![
            Field::text("leave", "why", visitor.say("maintenance-people-leave-why"), "", WHY_CHARS_MAX)
                .required()
                .hinted(visitor.say("maintenance-people-leave-hint")),
        ],
        buttons: Submit::stop(visitor.say("maintenance-people-leave")),
        back: Some(visitor.teller().go("console-cancel", PLACE)),
        folded: false,
    };
    ConsoleContent {
        title: visitor.say("maintenance-people-leave-title"),
        up: Some(visitor.teller().go("maintenance-people-title", PLACE)),
        parts: vec![
            Part::Facts(Facts { id: "facts", heading: visitor.say("maintenance-people-name"), rows }),
            Part::Form(form),
        ],
        ..ConsoleContent::default()
    }
}

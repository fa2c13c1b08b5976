//! From which vendor a person comes: noted by the hospital, so that the vendor's own administrator may shut out who left.

use store::Person;

use super::super::desk::{Desk, Refused, Shown};
use super::super::posted::Posted;
use super::super::view::{Field, Form, Submit};
use super::vendors;

/// The longest name of a vendor, in characters.
const VENDOR_CHARS_MAX: usize = 100;

/// The form on the page of a person who comes for a vendor; for everybody else there is none.
pub(in super::super) async fn vendor_form(desk: &Desk<'_>, person: &Person) -> Result<Option<Form>, Refused> {
    let vendor = vendors(desk).await?.remove(&person.id);
    if vendor.is_none() && !desk.site.has_vendors_role(&person.roles) {
        return Ok(None);
    }
    Ok(Some(Form {
        id: "vendor",
        heading: desk.say("maintenance-vendor-of"),
        lead: Some(desk.say("maintenance-vendor-of-what")),
        action: format!("/people/{}/vendor", person.id),
        with_file: false,
        fields: vec![
            Field::text(
                "vendor",
                "vendor",
                desk.say("maintenance-vendor"),
                vendor.unwrap_or_default(),
                VENDOR_CHARS_MAX,
            )
            .hinted(desk.say("maintenance-vendor-of-hint")),
        ],
        buttons: Submit::main(desk.say("console-save")),
        back: None,
        folded: true,
    }))
}

/// Notes it.
pub(in super::super) async fn set_vendor(desk: &Desk<'_>) -> Shown {
    let person = desk.person().await?;
    let vendor = Posted::read(desk.request)?.line("vendor", VENDOR_CHARS_MAX)?;
    let vendor = (!vendor.is_empty()).then_some(vendor);
    let place = format!("/people/{}", person.id);
    if vendors(desk).await?.remove(&person.id) == vendor {
        return Ok(desk.go(&place, "nothing-changed"));
    }
    desk.store().set_vendor(&person.id, vendor, desk.at(), desk.actor()).await?;
    Ok(desk.go(&place, "person-changed"))
}

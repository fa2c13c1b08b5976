//! `system01lstv2`: the departments, doctors, other staff and the facility itself. No patient is in it.

use super::super::asked::Asked;
use super::super::patients::FACILITY_CODE;
use super::super::people;
use super::request::Body;
use super::tree::Tree;

/// Which list is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Master {
    Departments,
    Doctors,
    Staff,
    Facility,
}

impl Master {
    /// The list asked for: by `Request_Number` in the body, as ORCA recommends, or by `class`.
    pub(super) fn of(asked: &Asked) -> Option<Self> {
        let body = if asked.body.is_empty() { Body::default() } else { Body::read(asked).ok()? };
        let number = body.texts("Request_Number").next().or_else(|| asked.query.one("class"))?;
        match number {
            "01" => Some(Self::Departments),
            "02" => Some(Self::Doctors),
            "03" => Some(Self::Staff),
            "04" => Some(Self::Facility),
            _ => None,
        }
    }

    /// The name of the answer's root.
    pub(super) fn root(self) -> &'static str {
        match self {
            Self::Departments => "departmentres",
            Self::Doctors | Self::Staff => "physicianres",
            Self::Facility => "system1001res",
        }
    }

    /// What the list holds.
    pub(super) fn fields(self) -> Vec<(&'static str, Tree)> {
        match self {
            Self::Departments => {
                let all = [("01", "内科"), ("10", "外科"), ("26", "眼科")];
                vec![("Department_Information", Tree::Array(all.map(named).to_vec()))]
            }
            Self::Doctors => staff("10001", "doctor"),
            Self::Staff => staff("20001", "nurse"),
            Self::Facility => vec![(
                "Medical_Information",
                Tree::Record(vec![
                    ("Prefectures_Number", Tree::from(FACILITY_CODE.get(..2).unwrap_or_default())),
                    ("Institution_Code", Tree::from(FACILITY_CODE.get(3..).unwrap_or_default())),
                    ("Institution_WholeName", Tree::from("関守デモ病院")),
                ]),
            )],
        }
    }
}

fn named((code, name): (&str, &str)) -> Tree {
    Tree::Record(vec![("Code", Tree::from(code)), ("WholeName", Tree::from(name))])
}

fn staff(code: &str, role: &str) -> Vec<(&'static str, Tree)> {
    let people = people::person(role).map(|person| named((code, person.ja))).into_iter().collect();
    vec![("Physician_Information", Tree::Array(people))]
}

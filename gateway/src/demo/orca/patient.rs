//! Patients as ORCA writes them, found by number, by a list of numbers, or by the beginning of a name.

use super::super::patients::{self, Patient, Sex};
use super::request::Body;
use super::tree::Tree;
use super::{Outcome, Refusal};

/// The most numbers in one request.
const NUMBERS_MAX: usize = 100;

/// `patientgetv2`: one patient by number.
pub(super) fn by_number(number: Option<&str>) -> Outcome {
    match number.and_then(find) {
        Some(patient) => Ok(vec![("Patient_Information", Tree::Record(fields(&patient)))]),
        None => Err(Refusal::NO_PATIENT),
    }
}

/// `patientlst2v2`: several patients by number, in the order asked. A number that nobody has is answered too,
/// with a sentence for a name.
pub(super) fn by_numbers(body: &Body) -> Outcome {
    let numbers: Vec<&str> = body.texts("Patient_ID").collect();
    if numbers.is_empty() {
        return Err(Refusal::NO_TARGET);
    }
    if numbers.len() > NUMBERS_MAX {
        return Err(Refusal::TOO_MANY);
    }
    let found: Vec<_> = numbers.iter().map(|number| (*number, find(number))).collect();
    let missing = found.iter().filter(|(_, patient)| patient.is_none()).count();
    let records = found.into_iter().map(|(number, patient)| match patient {
        Some(patient) => Tree::Record(fields(&patient)),
        None => {
            Tree::Record(vec![("Patient_ID", Tree::from(number)), ("WholeName", Tree::from("患者番号がありません"))])
        }
    });
    Ok(vec![
        ("Target_Patient_Count", Tree::Text(format!("{:04}", numbers.len()))),
        ("No_Target_Patient_Count", Tree::Text(format!("{missing:03}"))),
        ("Patient_Information", Tree::Array(records.collect())),
    ])
}

/// `patientlst3v2`: every patient whose name, in kanji or in kana, begins like this.
pub(super) fn by_name(body: &Body) -> Outcome {
    let Some(beginning) = body.texts("WholeName").next().map(without_spaces) else {
        return Err(Refusal::NO_TARGET);
    };
    let fits = |name: String| without_spaces(&name).starts_with(&beginning);
    let records: Vec<Tree> = patients::all()
        .filter(|patient| fits(patient.kanji()) || fits(patient.kana()))
        .map(|patient| Tree::Record(fields(&patient)))
        .collect();
    if records.is_empty() {
        return Err(Refusal::NO_TARGET);
    }
    Ok(vec![
        ("Target_Patient_Count", Tree::Text(format!("{:04}", records.len()))),
        ("Patient_Information", Tree::Array(records)),
    ])
}

fn find(number: &str) -> Option<Patient> {
    let number = patients::parse_number(number)?;
    patients::all().find(|patient| patient.number == number)
}

fn without_spaces(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_whitespace()).collect()
}

/// ORCA joins family and given name with an ideographic space.
fn joined(name: String) -> Tree {
    Tree::Text(name.replace(' ', "\u{3000}"))
}

fn fields(patient: &Patient) -> Vec<(&'static str, Tree)> {
    let sex = match patient.sex {
        Sex::Male => "1",
        Sex::Female => "2",
    };
    let insurance = Tree::Record(vec![
        ("InsuranceProvider_Class", Tree::from("060")),
        ("InsuranceProvider_WholeName", Tree::from("国保")),
        ("InsuranceProvider_Number", Tree::from("138057")),
        ("HealthInsuredPerson_Symbol", Tree::from("見本")),
        ("HealthInsuredPerson_Number", Tree::Text(format!("{:07}", patient.number))),
        ("RelationToInsuredPerson", Tree::from("1")),
    ]);
    vec![
        ("Patient_ID", Tree::Text(format!("{:05}", patient.number))),
        ("WholeName", joined(patient.kanji())),
        ("WholeName_inKana", joined(patient.kana())),
        ("BirthDate", Tree::Text(patient.born.to_string())),
        ("Sex", Tree::from(sex)),
        ("HealthInsurance_Information", Tree::Array(vec![insurance])),
    ]
}

//! The policy in words, in both languages.

use std::time::Duration;

use policy::{
    Aaguid, Access, Action, Alteration, Assurance, Condition, Day, DeviceClass, Hours, Method, Methods, Path,
    PathPattern, PostureDemand, Question, SignInMethod, Timestamp, Weekday, what_if,
};

use super::PolicyWords;
use crate::Language;
use crate::testing::Hospital;

fn weekdays() -> Vec<Day> {
    Day::ALL.into_iter().take(5).collect()
}

fn hours(days: Vec<Day>, from_minute: u16, to_minute: u16) -> Hours {
    Hours { days, from_minute, to_minute }
}

fn conditions() -> Vec<Condition> {
    vec![
        Condition::SignedIn,
        Condition::Roles(vec!["nurse".parse().unwrap(), "unheard".parse().unwrap()]),
        Condition::Actions(Action::ALL.to_vec()),
        Condition::Classes(vec!["chart".parse().unwrap(), "unheard".parse().unwrap()]),
        Condition::Paths(vec![PathPattern::parse("/a/*").unwrap()]),
        Condition::KnownDevice,
        Condition::DeviceClasses(DeviceClass::ALL.to_vec()),
        Condition::Posture(PostureDemand::parse("edr=running").unwrap()),
        Condition::Zones(vec!["inside".parse().unwrap()]),
        Condition::Hours(hours(Day::ALL.to_vec(), 480, 1_080)),
        Condition::Hours(hours(vec![Day::Holiday, Day::Week(Weekday::Sunday)], 1_320, 360)),
        Condition::Grant,
        Condition::BreakGlass,
        Condition::NoOutage,
        Condition::Methods(Methods::of(SignInMethod::ALL)),
        Condition::Keys(vec![Aaguid::new([7; 16])]),
        Condition::Assurance(Assurance::Aal1),
        Condition::Assurance(Assurance::Aal2),
        Condition::Assurance(Assurance::Aal3),
        Condition::AuthenticatedWithin(Duration::from_secs(61)),
        Condition::InCedar,
    ]
}

fn alterations() -> Vec<Alteration> {
    let at = Timestamp::from_unix_micros(0);
    let demand = PostureDemand::parse("edr=running").unwrap();
    vec![
        Alteration::SignIn,
        Alteration::SignInHere,
        Alteration::Role("nurse".parse().unwrap()),
        Alteration::WithoutRole("nurse".parse().unwrap()),
        Alteration::KnownDevice,
        Alteration::Device(DeviceClass::Tablet),
        Alteration::WithoutDevice,
        Alteration::Posture(demand),
        Alteration::PostureStale,
        Alteration::Zone("inside".parse().unwrap()),
        Alteration::At(at),
        Alteration::Later(at),
        Alteration::ProviderBack,
        Alteration::ProviderOut,
        Alteration::Method(SignInMethod::Passkey),
        Alteration::Key(Aaguid::new([7; 16])),
        Alteration::Assurance(Assurance::Aal3),
        Alteration::ProveAgain,
        Alteration::Grant,
        Alteration::BreakGlass,
        Alteration::WithoutGrant,
        Alteration::SignOut,
    ]
}

fn words(hospital: &Hospital, language: Language) -> PolicyWords<'_> {
    PolicyWords::new(hospital.site.voice(language), hospital.site.config())
}

#[tokio::test]
async fn every_condition_and_change_has_words_in_both_languages() {
    let hospital = Hospital::with_console().await;
    for language in Language::ALL {
        let words = words(&hospital, language);
        let conditions = conditions().into_iter().map(|one| words.condition(&one));
        let changes = alterations().into_iter().map(|one| words.change(&one));
        for text in conditions.chain(changes) {
            assert!(!text.contains('⟨') && !text.contains('$') && text.len() > 3, "{text}");
        }
    }
}

#[tokio::test]
async fn hours_read_as_people_say_them() {
    let hospital = Hospital::with_console().await;
    let (japanese, english) = (words(&hospital, Language::Japanese), words(&hospital, Language::English));
    let office = hours(weekdays(), 8 * 60 + 30, 17 * 60);
    assert_eq!(english.hours(&office), "Monday to Friday but holidays 08:30–17:00");
    assert_eq!(japanese.hours(&office), "平日 (祝日などの休日を除く) 08:30～17:00");
    let night = hours(vec![Day::Week(Weekday::Saturday), Day::Holiday], 22 * 60, 6 * 60);
    assert_eq!(english.hours(&night), "Sat, holidays 22:00–06:00 of the next day");
    assert_eq!(japanese.hours(&night), "土、休日 22:00～翌06:00");
    assert_eq!(english.hours(&hours(Day::ALL.to_vec(), 0, 1_440)), "every day");
}

#[tokio::test]
async fn a_sheet_says_who_may_do_what_and_has_room_to_sign() {
    let hospital = Hospital::with_console().await;
    let (matrix, at) = (hospital.site.matrix(), hospital.now());
    let sheet = words(&hospital, Language::Japanese).sheet(matrix, at);
    let text = sheet.text();
    for expected in ["電子カルテ", "看護師", "条件 1", "-", "登録された端末から", "nurses", "さくら総合病院"]
    {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(!text.contains('⟨'), "{text}");
    let html = sheet.html(Language::Japanese, "さくら総合病院");
    for expected in ["<html lang=\"ja\">", "印", "氏名", "href=\"#rule-1\"", "id=\"rule-1\""] {
        assert!(html.contains(expected), "{expected}");
    }
    assert!(!html.contains("<script") && !html.contains("http"), "nothing from elsewhere");
    let english = words(&hospital, Language::English).sheet(matrix, at).text();
    assert!(english.contains("if 1") && english.contains("from a registered device"), "{english}");
}

#[tokio::test]
async fn a_spreadsheet_has_a_line_for_each_cell() {
    let hospital = Hospital::with_console().await;
    let csv = words(&hospital, Language::English).csv(hospital.site.matrix());
    assert!(csv.starts_with("\u{feff}App,Information,Action,Who,Answer,Rules,On condition that,except\r\n"), "{csv}");
    let line = "Medical records,(no class),read,Nurse,on condition,nurses,from a registered device,\r\n";
    assert!(csv.contains(line), "{csv}");
    assert!(csv.contains("Medical records,(no class),write,Nurse,not allowed,,,\r\n"), "{csv}");
}

#[tokio::test]
async fn an_explanation_says_what_is_missing_and_what_would_help() {
    let hospital = Hospital::with_console().await;
    let policy = &hospital.site.parts.policy;
    let access: Access = Question {
        roles: vec!["nurse".parse().unwrap()],
        signed_in: true,
        ..Question::new(
            "emr".parse().unwrap(),
            Method::parse("GET").unwrap(),
            Path::parse("/chart").unwrap(),
            "inside".parse().unwrap(),
            hospital.now(),
        )
    }
    .access(policy);
    let explanation = what_if(policy, &access);
    let lines = words(&hospital, Language::English).explained(&explanation).lines().join("\n");
    assert!(lines.starts_with("Not allowed (nurses)\n  This device cannot be used\n"), "{lines}");
    assert!(lines.contains("nurses, allows (decided): missing: from a registered device"), "{lines}");
    assert!(lines.ends_with("It would be allowed, if they were to\n  - use a registered device"), "{lines}");
    let japanese = words(&hospital, Language::Japanese);
    let (lines, asked) = (japanese.explained(&explanation).lines().join("\n"), japanese.asked(&access).join("\n"));
    assert!(lines.contains("登録された端末を使う") && asked.contains("看護師"), "{lines}\n{asked}");
    assert!(!lines.contains('⟨') && !asked.contains('⟨'));
}

use super::*;
use crate::testing::{START, Ward, host, opening, terminal};

fn shell() -> Host {
    host("pacs-shell.example.jp")
}

fn other_device() -> DeviceId {
    DeviceId::parse("another").unwrap()
}

#[tokio::test]
async fn a_program_takes_a_token_once_its_person_let_it_in() {
    let ward = Ward::open().await;
    let desk = Programs::new(ward.store.clone(), ward.sessions.clone());
    let (session, _) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
    let device = terminal().id.clone();
    let begun = desk.begin(&shell(), &device, START).await.unwrap();
    let host = shell();
    let take = || desk.take_token(&host, &device, begun.secret.expose(), START);
    assert!(matches!(take().await, Err(ProgramProblem::Void)), "nobody let it in yet");
    desk.allow(&shell(), &begun.code, &session, START).await.unwrap();
    let token = take().await.unwrap();
    let found = ward.sessions.find(token.expose(), &shell(), Some(&terminal()), START).await.unwrap();
    assert_eq!(found.unwrap().id(), session.id());
    assert!(matches!(take().await, Err(ProgramProblem::Void)), "once");
    assert!(matches!(desk.allow(&shell(), &begun.code, &session, START).await, Err(ProgramProblem::Void)), "once");
}

#[tokio::test]
async fn another_device_host_code_or_secret_gets_nothing_and_disturbs_nothing() {
    let ward = Ward::open().await;
    let desk = Programs::new(ward.store.clone(), ward.sessions.clone());
    let (session, _) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
    let device = terminal().id.clone();
    // A stranger's program, whose code is sent to the person: their browser shows another certificate.
    let foreign = desk.begin(&shell(), &other_device(), START).await.unwrap();
    assert!(matches!(desk.allow(&shell(), &foreign.code, &session, START).await, Err(ProgramProblem::Void)));
    let begun = desk.begin(&shell(), &device, START).await.unwrap();
    let elsewhere = host("emr.example.jp");
    assert!(matches!(desk.allow(&elsewhere, &begun.code, &session, START).await, Err(ProgramProblem::Void)));
    desk.allow(&shell(), &begun.code, &session, START).await.unwrap();
    let secret = begun.secret.expose();
    for (host, device, secret) in [
        (&elsewhere, &device, secret),
        (&shell(), &other_device(), secret),
        (&shell(), &device, foreign.secret.expose()),
        (&shell(), &device, ""),
    ] {
        assert!(matches!(desk.take_token(host, device, secret, START).await, Err(ProgramProblem::Void)));
    }
    assert!(desk.take_token(&shell(), &device, secret, START).await.is_ok());
}

#[tokio::test]
async fn a_session_without_a_device_lets_nothing_in() {
    let ward = Ward::open().await;
    let desk = Programs::new(ward.store.clone(), ward.sessions.clone());
    let (session, _) = ward.sessions.open(opening(None), START).await.unwrap();
    let begun = desk.begin(&shell(), &terminal().id, START).await.unwrap();
    assert!(matches!(desk.allow(&shell(), &begun.code, &session, START).await, Err(ProgramProblem::Void)));
}

#[tokio::test]
async fn questions_and_answers_grow_old_and_an_ended_session_lets_nothing_in() {
    let ward = Ward::open().await;
    let desk = Programs::new(ward.store.clone(), ward.sessions.clone());
    let device = terminal().id.clone();
    let begun = desk.begin(&shell(), &device, START).await.unwrap();
    let late = START.after(BEGUN_SPAN);
    let (session, _) = ward.sessions.open(opening(Some(terminal())), late).await.unwrap();
    assert!(matches!(desk.allow(&shell(), &begun.code, &session, late).await, Err(ProgramProblem::Void)));
    let ward = Ward::open().await;
    let desk = Programs::new(ward.store.clone(), ward.sessions.clone());
    let (session, _) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
    let begun = desk.begin(&shell(), &device, START).await.unwrap();
    desk.allow(&shell(), &begun.code, &session, START).await.unwrap();
    let late = START.after(ALLOWED_SPAN);
    let taken = desk.take_token(&shell(), &device, begun.secret.expose(), late).await;
    assert!(matches!(taken, Err(ProgramProblem::Void)));
    let begun = desk.begin(&shell(), &device, START).await.unwrap();
    ward.sessions.end(session.id(), "test", START).await.unwrap();
    let refused = desk.allow(&shell(), &begun.code, &session, START).await;
    assert!(matches!(refused, Err(ProgramProblem::SessionOver)));
}

#[test]
fn codes_are_read_however_they_are_typed() {
    let code = ProgramCode::random();
    let shown = code.to_string();
    assert_eq!((shown.len(), shown.as_bytes().get(4)), (9, Some(&b'-')));
    for typed in [shown.clone(), shown.to_lowercase(), shown.replace('-', " "), format!(" {} ", shown.replace('-', ""))]
    {
        assert_eq!(ProgramCode::parse(&typed), Some(code.clone()), "{typed}");
    }
    for wrong in ["", "BCDF-GHJ", "BCDF-GHJKL", "ABCD-EFGH", "BCDF-GHJ１", &"B".repeat(4000)] {
        assert_eq!(ProgramCode::parse(wrong), None, "{wrong}");
    }
    assert_ne!(ProgramCode::random(), ProgramCode::random());
}

//! People who are signed in and whose provider is asked again.

use policy::SessionId;
use store::{Change, SessionRecord};

use super::*;
use crate::testing::{Ward, host, opening, terminal};
use crate::{Opening, Outage, OutageSwitch, Refresh, Refreshed, Session};

const INTERVAL: Duration = Duration::from_secs(300);

struct Desk {
    ward: Ward,
    idp: Arc<Idp>,
    oidc: Oidc,
    refresh: Refresh,
}

fn asked_again() -> config::Provider {
    config::Provider { check_interval: Some(INTERVAL), ..provider() }
}

impl Desk {
    async fn open() -> Self {
        let (ward, idp) = (Ward::open().await, Arc::new(Idp::new()));
        let oidc = Oidc::new(&[asked_again()], ward.store.clone(), idp.fetch(ward.hands.clock()), ward.hands.clock());
        let refresh = Refresh::new(ward.store.clone(), ward.sessions.clone());
        idp.told().refresh_token = Some("first".to_owned());
        Self { ward, idp, oidc, refresh }
    }

    async fn sign_in(&self, token: &str) -> Arc<Session> {
        let refresh_token = Some(Secret(token.to_owned()));
        let opening = Opening { refresh_token, ..opening(Some(terminal())) };
        self.ward.sessions.open(opening, self.ward.hands.now()).await.unwrap().0
    }

    async fn round(&self) -> Refreshed {
        self.refresh.round(&self.oidc, self.ward.hands.now()).await.unwrap()
    }

    async fn session(&self, id: SessionId) -> Option<SessionRecord> {
        let open = self.ward.store.sessions().await.unwrap();
        open.into_iter().map(|(session, _)| session).find(|session| session.id == id)
    }

    async fn changes(&self) -> Vec<(Change, String)> {
        let events = self.ward.store.events_after(0, 100).await.unwrap();
        events.into_iter().map(|event| (event.change, event.actor)).collect()
    }
}

#[tokio::test]
async fn a_provider_gives_what_it_is_asked_with_later_only_where_it_is_to_be_asked() {
    for (provider, expected) in [(asked_again(), Some("first")), (provider(), None)] {
        let (hands, idp) = (Hands::new(), Arc::new(Idp::new()));
        idp.told().refresh_token = Some("first".to_owned());
        let oidc = Oidc::new(&[provider], Counting::new(), idp.fetch(hands.clock()), hands.clock());
        let desk = super::Desk { hands, idp, oidc };
        let token = desk.sign_in(None).await.unwrap().refresh_token;
        assert_eq!(token.map(|token| token.0).as_deref(), expected);
    }
}

#[tokio::test]
async fn nobody_is_asked_about_before_their_time() {
    let desk = Desk::open().await;
    desk.sign_in("first").await;
    desk.ward.hands.turn(INTERVAL - Duration::from_secs(1));
    assert_eq!(desk.round().await, Refreshed::default());
    assert_eq!(desk.idp.asked("/token"), 0);
}

#[tokio::test]
async fn a_confirmed_session_goes_on_with_the_next_token() {
    let desk = Desk::open().await;
    let session = desk.sign_in("first").await;
    for _ in 0..3 {
        desk.ward.hands.turn(INTERVAL);
        assert_eq!(desk.round().await, Refreshed { confirmed: 1, ..Refreshed::default() });
        assert_eq!(desk.round().await, Refreshed::default(), "once in each interval");
        let kept = desk.session(session.id()).await.unwrap();
        assert_eq!(kept.refresh_token.map(|token| token.0), desk.idp.told().refresh_token);
        assert_eq!((kept.checked_at, kept.roles_confirmed_at), (desk.ward.hands.now(), desk.ward.hands.now()));
    }
    assert!(!desk.changes().await.iter().any(|(change, _)| matches!(change, Change::SessionChanged(_))));
}

#[tokio::test]
async fn a_disabled_person_is_out() {
    let desk = Desk::open().await;
    let session = desk.sign_in("revoked").await;
    desk.ward.hands.turn(INTERVAL);
    assert_eq!(desk.round().await, Refreshed { ended: 1, ..Refreshed::default() });
    assert!(session.is_ended());
    assert_eq!(desk.session(session.id()).await, None);
    let ended = (Change::SessionEnded(session.id()), "gateway:provider".to_owned());
    assert!(desk.changes().await.contains(&ended));
}

#[tokio::test]
async fn other_roles_hold_in_every_session_of_the_person() {
    let desk = Desk::open().await;
    let session = desk.sign_in("first").await;
    let second = desk.ward.sessions.open(opening(None), START).await.unwrap().0;
    desk.idp.told().change = Box::new(|claims| claims["groups"] = json!(["doctors"]));
    desk.ward.hands.turn(INTERVAL);
    assert_eq!(desk.round().await, Refreshed { confirmed: 1, changed: 1, ..Refreshed::default() });
    let doctor = [RoleId::parse("doctor").unwrap()];
    for one in [&session, &second] {
        assert_eq!(desk.session(one.id()).await.unwrap().roles, doctor);
        let changed = (Change::SessionChanged(one.id()), "gateway:provider".to_owned());
        assert!(desk.changes().await.contains(&changed));
    }
    assert!(!session.is_ended());
    assert_eq!(desk.ward.store.person(&session.who.user).await.unwrap().unwrap().roles, doctor);
}

#[tokio::test]
async fn roles_may_come_from_user_info_where_no_id_token_comes() {
    let desk = Desk::open().await;
    let session = desk.sign_in("first").await;
    desk.idp.told().omits_id_token = true;
    desk.idp.told().user_info = Some(json!({"sub": "0001", "groups": ["doctors"]}));
    desk.ward.hands.turn(INTERVAL);
    assert_eq!(desk.round().await.changed, 1);
    assert_eq!(desk.session(session.id()).await.unwrap().roles, [RoleId::parse("doctor").unwrap()]);
    desk.idp.told().user_info = Some(json!({"sub": "0001"}));
    desk.ward.hands.turn(INTERVAL);
    assert_eq!(desk.round().await, Refreshed { confirmed: 1, ..Refreshed::default() }, "no word of roles changes none");
}

#[tokio::test]
async fn an_id_token_without_roles_takes_them_away_as_at_the_sign_in() {
    let desk = Desk::open().await;
    let session = desk.sign_in("first").await;
    desk.idp.told().metadata["userinfo_endpoint"] = json!(null);
    desk.idp.told().change = Box::new(|claims| {
        claims.as_object_mut().unwrap().remove("groups");
    });
    desk.ward.hands.turn(INTERVAL);
    assert_eq!(desk.round().await.changed, 1);
    assert!(desk.session(session.id()).await.unwrap().roles.is_empty());
}

#[tokio::test]
async fn silence_and_nonsense_change_nothing() {
    let answers = [
        ("down", (|idp| idp.told().is_down = true) as fn(&Idp)),
        ("500", |idp| idp.told().refuses_refresh = Some((500, json!({})))),
        ("bad client", |idp| idp.told().refuses_refresh = Some((401, json!({"error": "invalid_client"})))),
        ("no token", |idp| idp.told().refuses_refresh = Some((200, json!({})))),
        ("user info fails", |idp| idp.told().omits_id_token = true),
        ("forged", |idp| idp.told().forge = Some(hostile::signed_by_another_under_the_same_name)),
        ("old", |idp| idp.told().change = Box::new(|claims| claims["iat"] = json!(1))),
        ("another issuer", |idp| idp.told().change = Box::new(|claims| claims["iss"] = json!("https://x"))),
        ("another client", |idp| idp.told().change = Box::new(|claims| claims["aud"] = json!("x"))),
    ];
    for (name, tell) in answers {
        let desk = Desk::open().await;
        let session = desk.sign_in("first").await;
        tell(&desk.idp);
        desk.ward.hands.turn(INTERVAL);
        assert_eq!(desk.round().await, Refreshed { unanswered: 1, ..Refreshed::default() }, "{name}");
        let kept = desk.session(session.id()).await.unwrap();
        assert_eq!(kept.roles, session.who.roles.to_vec(), "{name}");
        let asks_with = kept.refresh_token.map(|token| token.0);
        assert_eq!(asks_with, desk.idp.told().refresh_token, "{name}: a new token is kept whatever else comes");
    }
}

#[tokio::test]
async fn an_answer_about_somebody_else_ends_the_session() {
    let desk = Desk::open().await;
    let session = desk.sign_in("first").await;
    desk.idp.told().change = Box::new(|claims| claims["sub"] = json!("0002"));
    desk.ward.hands.turn(INTERVAL);
    assert_eq!(desk.round().await, Refreshed { ended: 1, ..Refreshed::default() });
    assert!(session.is_ended());
}

#[tokio::test]
async fn two_processes_ask_once() {
    let desk = Desk::open().await;
    desk.sign_in("first").await;
    let neighbour = desk.ward.neighbour().await;
    let there = Refresh::new(neighbour.store.clone(), neighbour.sessions.clone());
    desk.ward.hands.turn(INTERVAL);
    let now = desk.ward.hands.now();
    let (one, other) = tokio::join!(desk.refresh.round(&desk.oidc, now), there.round(&desk.oidc, now));
    assert_eq!(one.unwrap().confirmed + other.unwrap().confirmed, 1);
    assert_eq!(desk.idp.asked("/token"), 1, "a token that is used twice is taken for stolen");
}

#[tokio::test]
async fn nobody_is_asked_while_their_provider_is_out() {
    let desk = Desk::open().await;
    desk.sign_in("first").await;
    let spans = config::Outage { after: minutes(2), seen_within: minutes(60), grace: minutes(15) };
    let outage = Arc::new(Outage::load(desk.ward.store.clone(), &[asked_again()], spans).await.unwrap());
    outage.switch(&provider().id, OutageSwitch::On, "cli:root", START).await.unwrap();
    let Desk { ward, idp, oidc, refresh } = desk;
    let oidc = oidc.with_outage(outage);
    ward.hands.turn(INTERVAL);
    assert_eq!(refresh.round(&oidc, ward.hands.now()).await.unwrap(), Refreshed::default());
    assert_eq!(idp.asked("/token"), 0);
}

#[tokio::test]
async fn the_next_request_after_a_change_has_the_other_roles() {
    let desk = Desk::open().await;
    let opening = Opening { refresh_token: Some(Secret("first".to_owned())), ..opening(Some(terminal())) };
    let (_, token) = desk.ward.sessions.open(opening, START).await.unwrap();
    desk.idp.told().change = Box::new(|claims| claims["groups"] = json!([]));
    desk.ward.hands.turn(INTERVAL);
    desk.round().await;
    let mut watch = crate::Watch::new(
        desk.ward.store.clone(),
        desk.ward.sessions.clone(),
        desk.ward.devices.clone(),
        desk.ward.hands.clock(),
        0,
    );
    watch.next().await.unwrap();
    let (login, now) = (host("login.example.jp"), desk.ward.hands.now());
    let found = desk.ward.sessions.find(token.expose(), &login, Some(&terminal()), now).await.unwrap().unwrap();
    assert!(found.who.roles.is_empty());
    assert_eq!(found.who.roles_confirmed_at, now);
}

//! Somebody signs out at the provider, and is out here (OpenID Connect Back-Channel Logout 1.0); and every token that
//! does not say so in due form says nothing.

use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tests::{Answer, Ask, Caller, Frame, Hospital, Idp, Person, Plan, Upstream, WebSocket, eventually, within};
use url::Url;

use crate::stream::open_socket;

const ONE_SECOND: Duration = Duration::from_secs(1);
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const CONNECT: &str = "[[rule]]\nid = \"clerks-listen\"\neffect = \"permit\"\nroles = [\"clerk\"]\napps = \"all\"\n\
                       actions = [\"connect\"]\npaths = [\"/socket/*\"]\ndevices = \"any\"";

struct Lobby {
    hospital: Hospital,
    idp: Idp,
    caller: Caller,
    _emr: Upstream,
}

impl Lobby {
    fn open() -> Self {
        let emr = Upstream::http1();
        let (hospital, idp) = Hospital::open_with_provider(Plan::with_emr(emr.address()).block(CONNECT));
        let caller = hospital.stranger();
        Self { hospital, idp, caller, _emr: emr }
    }

    fn form(&self) -> String {
        self.hospital.url("emr", "/reception/form")
    }

    async fn clerk(&self) -> Person {
        let mut clerk = Person::new(&self.caller, "clerk");
        clerk.open(&self.form()).await.expect(200);
        clerk
    }

    async fn is_in(&self, clerk: &mut Person) -> bool {
        clerk.step_as_program(&Url::parse(&self.form()).unwrap()).await.status == 200
    }

    /// What a provider says, in due form; fresh each time.
    fn claims(&self) -> Value {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        json!({
            "iss": self.idp.issuer(), "aud": "sekimori", "sub": "clerk", "iat": now.as_secs(),
            "exp": now.as_secs() + 120, "jti": format!("j-{}", now.as_nanos()), "events": { EVENT: {} },
        })
    }

    async fn token(&self, header: &Value, claims: &Value) -> String {
        self.idp.sign(&self.caller, header, claims).await
    }

    async fn say(&self, token: &str) -> Answer {
        let body = format!("logout_token={token}");
        let ask = Ask::post("login", "/backchannel-logout/staff", body);
        self.caller.ask(ask.header("content-type", "application/x-www-form-urlencoded")).await
    }
}

fn header() -> Value {
    json!({ "alg": "RS256", "kid": "test-1", "typ": "logout+jwt" })
}

async fn socket(lobby: &Lobby, clerk: &Person) -> WebSocket<hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>> {
    let cookie = clerk.jar().field("emr.hospital.test");
    open_socket(&lobby.caller, Ask::get("emr", "/socket/ward").header("cookie", &cookie)).await
}

#[tokio::test]
async fn who_signs_out_at_the_provider_loses_an_open_websocket_within_one_second() {
    let lobby = Lobby::open();
    let mut clerk = lobby.clerk().await;
    let mut socket = socket(&lobby, &clerk).await;
    let issuer = lobby.idp.issuer().to_owned();
    let page = clerk.step(&Url::parse(&format!("{issuer}/session/end")).unwrap()).await.expect(200).text();
    let proof = page.split("name=\"xsrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let confirm = Url::parse(&format!("{issuer}/session/end/confirm")).unwrap();
    let fields = [("xsrf", proof.expect("the provider asks")), ("logout", "yes")];
    let begin = Instant::now();
    clerk.post(&confirm, &issuer, &fields).await;
    let end = within(ONE_SECOND, "the end of the WebSocket", socket.next()).await;
    assert_eq!(end, Some(Frame::Close(Some(1008))));
    assert!(begin.elapsed() < ONE_SECOND + ONE_SECOND / 2, "{:?}", begin.elapsed());
    assert!(!lobby.is_in(&mut clerk).await);
    eventually("the end is written", async || {
        (lobby.hospital.records().with("ev", "session-ended").len() == 1).then_some(())
    })
    .await;
    let records = lobby.hospital.records();
    assert_eq!(records.with("ev", "logout-accepted").only()["n"], 1);
    let ended = records.with("ev", "session-ended").only().clone();
    assert!(ended["actor"].to_string().contains("staff") || ended["actor"].to_string().contains("provider"), "{ended}");
}

#[tokio::test]
async fn a_token_by_name_ends_the_persons_sessions_and_nobody_elses() {
    let lobby = Lobby::open();
    let (mut one, mut two) = (lobby.clerk().await, lobby.clerk().await);
    let mut claims = lobby.claims();
    claims["sub"] = "nurse".into();
    lobby.say(&lobby.token(&header(), &claims).await).await.expect(200);
    assert!(lobby.is_in(&mut one).await && lobby.is_in(&mut two).await);
    let answer = lobby.say(&lobby.token(&header(), &lobby.claims()).await).await.expect(200);
    assert!(answer.header("cache-control").contains("no-store"));
    assert!(!lobby.is_in(&mut one).await && !lobby.is_in(&mut two).await);
}

#[tokio::test]
async fn a_token_that_only_calls_itself_jwt_is_heard_for_what_it_holds() {
    let lobby = Lobby::open();
    for typ in ["JWT", "jwt", "application/logout+jwt"] {
        let mut clerk = lobby.clerk().await;
        let header = json!({ "alg": "RS256", "kid": "test-1", "typ": typ });
        lobby.say(&lobby.token(&header, &lobby.claims()).await).await.expect(200);
        assert!(!lobby.is_in(&mut clerk).await, "{typ}");
    }
}

#[tokio::test]
async fn a_token_is_heard_once() {
    let lobby = Lobby::open();
    let token = lobby.token(&header(), &lobby.claims()).await;
    lobby.say(&token).await.expect(200);
    let mut clerk = lobby.clerk().await;
    let answer = lobby.say(&token).await.expect(400);
    assert_eq!(answer.json()["error"], "invalid_request");
    assert!(lobby.is_in(&mut clerk).await);
    assert_eq!(lobby.hospital.records().with("ev", "logout-refused").only()["why"], "replayed");
}

#[tokio::test]
async fn each_token_that_is_not_in_due_form_is_refused_for_what_it_is() {
    let lobby = Lobby::open();
    let mut clerk = lobby.clerk().await;
    let with = |name: &str, value: Value| {
        let mut claims = lobby.claims();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = lobby.claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let now = lobby.claims()["iat"].as_u64().unwrap();
    let typed = |typ: &str| json!({ "alg": "RS256", "kid": "test-1", "typ": typ });
    let mut nobody = without("sub");
    nobody["sid"] = Value::Null;
    let cases: Vec<(&str, &[&str], Value, Value)> = vec![
        ("another issuer", &["issuer"], header(), with("iss", json!("https://evil.test"))),
        ("another client", &["audience"], header(), with("aud", json!("another"))),
        ("too old", &["time"], header(), with("iat", json!(now - 3_600))),
        ("from the future", &["time"], header(), with("iat", json!(now + 3_600))),
        ("expired", &["time"], header(), with("exp", json!(now - 600))),
        ("no time", &["time", "malformed"], header(), without("iat")),
        ("no name of its own", &["malformed", "replayed"], header(), without("jti")),
        ("no event", &["events", "malformed"], header(), without("events")),
        ("another event", &["events"], header(), with("events", json!({ "https://evil.test/event": {} }))),
        ("about nobody", &["subject", "malformed"], header(), nobody),
        ("an ID token's nonce", &["nonce"], header(), with("nonce", json!("n-1"))),
        ("an ID token", &["events"], typed("JWT"), without("events")),
        ("an ID token that names the event", &["nonce"], typed("JWT"), with("nonce", json!("n-1"))),
        ("a security event of another kind", &["kind"], typed("secevent+jwt"), lobby.claims()),
        ("an access token", &["kind"], typed("at+jwt"), lobby.claims()),
        (
            "an algorithm not agreed",
            &["signature", "malformed", "kind"],
            json!({ "alg": "HS256", "kid": "test-1", "typ": "logout+jwt" }),
            lobby.claims(),
        ),
        (
            "no algorithm",
            &["signature", "malformed", "kind"],
            json!({ "alg": "none", "typ": "logout+jwt" }),
            lobby.claims(),
        ),
        ("another key", &["signature"], json!({ "alg": "RS256", "kid": "other", "typ": "logout+jwt" }), lobby.claims()),
    ];
    for (what, whys, header, claims) in cases {
        let answer = lobby.say(&lobby.token(&header, &claims).await).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert!(answer.header("cache-control").contains("no-store"), "{what}");
        let why = lobby.hospital.records().with("ev", "logout-refused").last()["why"].clone();
        assert!(whys.contains(&why.as_str().unwrap()), "{what}: {why}");
        assert!(lobby.is_in(&mut clerk).await, "{what}");
    }
    let good = lobby.token(&header(), &lobby.claims()).await;
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let spoilt = format!("{signed}.{first}{}", &signature[1..]);
    for token in [spoilt.as_str(), "", "a.b.c", &"x".repeat(5_000)] {
        assert!(matches!(lobby.say(token).await.status, 400 | 413), "{token:.20}");
    }
    assert!(lobby.is_in(&mut clerk).await);
    lobby
        .caller
        .ask(
            Ask::post("login", "/backchannel-logout/nobody", "logout_token=a")
                .header("content-type", "application/x-www-form-urlencoded"),
        )
        .await
        .expect(400);
    lobby.say(&good).await.expect(200);
    assert!(!lobby.is_in(&mut clerk).await);
}

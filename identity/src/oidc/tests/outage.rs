//! Providers that go and come back.

use store::Change;

use super::*;
use crate::testing::Ward;
use crate::{Outage, OutageMode};

const PROBE: Duration = Duration::from_secs(20);

struct Desk {
    ward: Ward,
    idp: Arc<Idp>,
    oidc: Oidc,
    outage: Arc<Outage>,
}

impl Desk {
    async fn open() -> Self {
        let (ward, idp) = (Ward::open().await, Arc::new(Idp::new()));
        let spans = config::Outage { after: minutes(2), seen_within: minutes(60), grace: minutes(15) };
        let outage = Arc::new(Outage::load(ward.store.clone(), &[provider()], spans).await.unwrap());
        let oidc = Oidc::new(&[provider()], ward.store.clone(), idp.fetch(ward.hands.clock()), ward.hands.clock());
        let oidc = oidc.with_outage(outage.clone());
        Self { ward, idp, oidc, outage }
    }

    /// What the task does, every twenty seconds.
    async fn look_after(&self, times: u32) {
        for _ in 0..times {
            self.oidc.probe().await;
            self.outage.tend(&self.ward.sessions, self.ward.hands.now()).await.unwrap();
            self.ward.hands.turn(PROBE);
        }
    }

    fn is_outage(&self) -> bool {
        self.outage.mode(&provider().id).is_outage()
    }
}

#[tokio::test]
async fn an_outage_begins_and_ends_by_itself_and_is_told() {
    let desk = Desk::open().await;
    desk.look_after(2).await;
    desk.idp.told().is_down = true;
    desk.look_after(6).await;
    assert!(!desk.is_outage(), "not before two minutes are over");
    desk.look_after(1).await;
    assert!(desk.is_outage());
    let status = desk.outage.status().remove(0);
    assert!(status.reason.is_some_and(|reason| reason.contains("no answer in time")) && status.failing_since.is_some());
    desk.idp.told().is_down = false;
    desk.look_after(2).await;
    assert_eq!(desk.outage.mode(&provider().id), OutageMode::Normal);
    let events = desk.ward.store.events_after(0, 100).await.unwrap();
    let told: Vec<_> = events.into_iter().map(|event| (event.change, event.actor)).collect();
    for change in [Change::OutageBegan(provider().id), Change::OutageEnded(provider().id)] {
        assert!(told.contains(&(change, "gateway:outage".to_owned())));
    }
}

#[tokio::test]
async fn a_provider_that_answers_nonsense_is_out_too() {
    let desk = Desk::open().await;
    desk.idp.told().metadata["issuer"] = json!("https://captive.portal.example");
    desk.look_after(7).await;
    assert!(desk.is_outage());
}

#[tokio::test]
async fn one_answer_in_time_and_there_is_no_outage() {
    let desk = Desk::open().await;
    for _ in 0..5 {
        desk.idp.told().is_down = true;
        desk.look_after(5).await;
        desk.idp.told().is_down = false;
        desk.look_after(1).await;
    }
    assert!(!desk.is_outage());
}

#[tokio::test]
async fn providers_are_probed_at_their_own_pace_and_sign_ins_do_not_wait_for_it() {
    let desk = Desk::open().await;
    for _ in 0..4 {
        desk.oidc.probe().await;
    }
    assert_eq!(desk.idp.asked("/.well-known/openid-configuration"), 1);
    let (_, begun) = tokio::join!(desk.oidc.probe(), desk.oidc.begin(begin()));
    assert!(begun.is_ok());
}

#[tokio::test]
async fn a_probe_does_not_put_off_learning_a_rotated_key() {
    let desk = Desk::open().await;
    desk.oidc.begin(begin()).await.unwrap();
    desk.ward.hands.turn(provider::KEYS_INTERVAL);
    desk.oidc.probe().await;
    desk.idp.told().rotate(Signer::es256("k2"));
    let started = desk.oidc.begin(begin()).await.unwrap();
    let callback = desk.idp.authorize(&started.url);
    desk.oidc.finish(callback, started.browser_secret.expose()).await.unwrap();
}

#[tokio::test]
async fn sign_ins_that_get_no_answer_count_and_those_that_are_refused_do_not() {
    let desk = Desk::open().await;
    desk.oidc.begin(begin()).await.unwrap();
    let failing = || desk.outage.status().remove(0).failing_since;
    let started = desk.oidc.begin(begin()).await.unwrap();
    let refused = Callback { error: Some("access_denied".to_owned()), ..desk.idp.authorize(&started.url) };
    desk.oidc.finish(refused, started.browser_secret.expose()).await.unwrap_err();
    assert_eq!(failing(), None);
    let started = desk.oidc.begin(begin()).await.unwrap();
    let callback = desk.idp.authorize(&started.url);
    desk.idp.told().is_down = true;
    desk.oidc.finish(callback, started.browser_secret.expose()).await.unwrap_err();
    assert_eq!(failing(), Some(START));
}

fn begin() -> Begin {
    Begin {
        provider: provider().id,
        redirect_uri: REDIRECT_URI.to_owned(),
        login_hint: None,
        step_up: None,
        return_to: String::new(),
    }
}

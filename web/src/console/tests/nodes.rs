//! The page of the machines that serve together.

use http::StatusCode;
use policy::Timestamp;
use store::Difference;

use super::office::Office;
use crate::testing::text;
use crate::{Language, NodeAlarm, NodeSaid, NodeStanding, NodeState};

fn two(at: Timestamp) -> Vec<NodeStanding> {
    let said = |revision: &str, vouched| NodeSaid {
        at,
        started_at: at,
        version: "0.1.0".to_owned(),
        revision: revision.to_owned(),
        lines: 4_321,
        vouched,
        key: "log.example/gw+00000000+AAAA".to_owned(),
    };
    let own = NodeStanding {
        name: "gw01".to_owned(),
        is_own: true,
        state: NodeState::Serving,
        leads: true,
        said: Some(said("0123456789abcdef", Some(4_320))),
        alarms: Vec::new(),
        difference: Vec::new(),
    };
    let other = NodeStanding {
        name: "gw02".to_owned(),
        is_own: false,
        state: NodeState::Silent,
        leads: false,
        said: Some(said("fedcba9876543210", None)),
        alarms: NodeAlarm::ALL.to_vec(),
        difference: vec![Difference { ja: "ほか".to_owned(), en: "other <settings>".to_owned() }],
    };
    vec![own, other]
}

#[tokio::test]
async fn nodes_are_shown_with_what_is_wrong_in_both_languages() {
    let office = Office::open().await;
    let page = text(&office.administrator.get(&office, "/").await);
    assert!(!page.contains("/nodes"), "one machine needs no such page");
    office.hospital.site.parts.nodes.show(two(office.hospital.now()));
    for language in Language::ALL {
        let response = office.administrator.speaking(language.tag()).get(&office, "/nodes").await;
        assert_eq!(response.status(), StatusCode::OK);
        let page = text(&response);
        let voice = office.hospital.site.voice(language);
        let say = |key: &str| voice.say(key).replace('\'', "&#39;");
        for said in ["gw01", "gw02", "4321", "4320", "0123456789ab", "fedcba987654", "0.1.0"] {
            assert!(page.contains(said), "{said}");
        }
        for word in ["own", "leads", "is-serving", "is-silent", "note"] {
            assert!(page.contains(&say(&format!("console-nodes-{word}"))), "{word}");
        }
        for alarm in NodeAlarm::ALL {
            let said = say(&format!("console-nodes-alarm-{}", alarm.code()));
            assert!(page.contains(&format!("gw02: {said}")), "{}", alarm.code());
        }
    }
    let page = text(&office.administrator.speaking("en").get(&office, "/nodes").await);
    assert!(page.contains("other &#60;settings&#62;"), "what is different");
    let home = text(&office.administrator.get(&office, "/").await);
    assert!(home.contains("href=\"/nodes\""), "what is wrong is said on the first page");
}

#[tokio::test]
async fn what_is_wrong_with_nodes_is_nothing_for_the_help_desk() {
    let office = Office::open().await;
    office.hospital.site.parts.nodes.show(two(office.hospital.now()));
    assert_eq!(office.help_desk.get(&office, "/nodes").await.status(), StatusCode::FORBIDDEN);
}

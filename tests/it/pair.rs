//! Two machines that serve as one: where a test begins that is about several nodes. Their store is a real PostgreSQL
//! server.

use std::time::Duration;

use tests::{Database, Device, Hospital, Plan, Session, Surroundings, Upstream, eventually_in};

const NODES: &str = "[nodes]\nnames = [\"gw01\", \"gw02\"]\nname_file = \"node\"\nsilent_after = \"5s\"";
/// For what takes longer than most.
pub const MINUTE: Duration = Duration::from_secs(60);

/// Two nodes with the app `emr`, a terminal of the ledger, and a doctor who has signed in on it. Each has a listener for a
/// balancer too.
pub struct Pair {
    pub database: Database,
    pub one: Hospital,
    pub two: Hospital,
    pub terminal: Device,
    pub doctor: Session,
    _emr: Upstream,
}

impl Pair {
    pub async fn open() -> Self {
        Self::open_with(|plan| plan).await
    }

    /// With something else in the configuration of the second.
    pub async fn open_with(change: impl FnOnce(Plan) -> Plan) -> Self {
        Self::prepared(Plan::clone, change, |_| ()).await
    }

    /// With a plan of both, something else in that of the second, and whatever else is to be done before each begins.
    pub async fn prepared(
        both: impl FnOnce(&Plan) -> Plan,
        change: impl FnOnce(Plan) -> Plan,
        prepare: impl Fn(&mut Hospital),
    ) -> Self {
        let (emr, mut database) = (Upstream::http1(), Database::build());
        let plan = database.in_plan(Plan::with_emr(emr.address()).with_console().behind_a_balancer().block(NODES));
        let plan = both(&plan);
        let mut one = Hospital::build_in(plan.clone(), |folder| {
            folder.write("node", "gw01\n");
            Surroundings::default()
        });
        database.start_for(&one);
        prepare(&mut one);
        let terminal = Device::add(&one, "ward-pc-1", "fixed").await;
        let doctor = Session::open(&one, "doctor", Some(&terminal), &["emr"]).await;
        one.start();
        let mut two = one.twin(change(plan), |folder| {
            folder.write("node", "gw02\n");
        });
        prepare(&mut two);
        two.start();
        Self { database, one, two, terminal, doctor, _emr: emr }
    }

    pub fn audit_of(hospital: &Hospital) -> String {
        hospital.folder().join("state/audit").display().to_string()
    }

    /// Waits until each has written the other's checkpoint into its log.
    pub async fn vouch(&self) {
        for (node, other) in [(&self.one, "gw02"), (&self.two, "gw01")] {
            let what = format!("a checkpoint of {other}");
            eventually_in(MINUTE, &what, async || {
                let seen = node.records().with("ev", "peer-checkpoint").with("src", other);
                (!seen.is_empty()).then_some(())
            })
            .await;
        }
    }
}

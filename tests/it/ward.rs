//! Where most tests begin: an open hospital with one app, a device of the ledger, and a person who has signed in on it.

use tests::{Ask, Caller, Device, Hospital, Plan, Session, Surroundings, Upstream};

/// A hospital with the app `emr`, a ward terminal, and a doctor signed in on it.
pub struct Ward {
    pub hospital: Hospital,
    pub emr: Upstream,
    pub terminal: Device,
    pub caller: Caller,
    pub doctor: Session,
}

impl Ward {
    /// The ordinary one.
    pub async fn open() -> Self {
        Self::open_with(|plan| plan).await
    }

    /// One whose plan was changed.
    pub async fn open_with(change: impl FnOnce(Plan) -> Plan) -> Self {
        let emr = Upstream::http1();
        Self::around(emr.clone(), change(Plan::with_emr(emr.address()))).await
    }

    /// One with a plan of its own; `emr` is what stands behind the app.
    pub async fn around(emr: Upstream, plan: Plan) -> Self {
        Self::prepared(emr, plan, |_| ()).await
    }

    /// One whose folder holds more than else.
    pub async fn prepared(emr: Upstream, plan: Plan, prepare: impl FnOnce(&tests::Folder)) -> Self {
        let hospital = Hospital::build(plan);
        prepare(hospital.folder());
        Self::of(emr, hospital).await
    }

    /// One in surroundings of its own.
    pub async fn surrounded(surroundings: Surroundings) -> Self {
        let emr = Upstream::http1();
        let hospital = Hospital::build_in(Plan::with_emr(emr.address()), |_| surroundings);
        Self::of(emr, hospital).await
    }

    async fn of(emr: Upstream, mut hospital: Hospital) -> Self {
        let terminal = Device::add(&hospital, "ward-pc-1", "fixed").await;
        let doctor = Session::open(&hospital, "doctor", Some(&terminal), &["emr"]).await;
        hospital.start();
        let caller = hospital.caller(&terminal);
        Self { hospital, emr, terminal, caller, doctor }
    }

    /// Signs someone else in on the terminal.
    pub async fn sign_in(&self, role: &str) -> Session {
        Session::open(&self.hospital, role, Some(&self.terminal), &["emr"]).await
    }

    /// A request of the doctor to the app.
    pub fn ask(&self, method: &str, target: &str) -> Ask {
        Ask::new(method, "emr", target).signed_in(&self.doctor)
    }

    /// A GET of the doctor.
    pub fn get(&self, target: &str) -> Ask {
        self.ask("GET", target)
    }

    /// The closing line of the one access to a path, once it is written.
    pub async fn closing(&self, path: &str) -> serde_json::Value {
        tests::eventually("the closing line", async || {
            let records = self.hospital.records();
            records.closing(records.opened(path).only()).cloned()
        })
        .await
    }

    /// The cookie field of the doctor, for requests written by hand.
    pub fn cookie(&self) -> String {
        self.doctor.cookie("emr")
    }
}

//! The gateway as measured: TLS 1.3, session cookie, device certificate, 300 rules, every access recorded (`Written`).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustls::ClientConfig;
use tests::{Device, Hospital, Plan, Session};

use crate::gauge::PROXY_CPU;
use crate::load::Aim;

/// The host of the app that is asked.
const HOST: &str = "emr.hospital.test";
/// Rules beside the ordinary hospital's, so that there are 300 in all.
const MORE_RULES: usize = 295;

/// The running gateway.
pub struct Gateway {
    hospital: Hospital,
    aim: Aim,
}

impl Gateway {
    /// Starts it on the proxies' processor with one worker, and signs a nurse in on a device.
    pub async fn start(upstream: SocketAddr) -> Self {
        let plan = Plan::with_emr(upstream)
            .set("gateway", "workers = 1")
            .set("limits", "requests_per_second_address = 1000000")
            .set("limits", "requests_per_second_account = 1000000")
            .set("limits", "connections_per_address_max = 100000")
            .set("limits", "connections_max = 100000")
            .block(&more_rules());
        let mut hospital = Hospital::build(plan);
        hospital.start();
        let pinned = Command::new("taskset")
            .args(["-a", "-c", "-p", &PROXY_CPU.to_string(), &hospital.pid().to_string()])
            .output()
            .expect("taskset is installed");
        assert!(pinned.status.success(), "the gateway could not be pinned");
        let device = Device::add(&hospital, "tablet-1", "tablet").await;
        let session = Session::open(&hospital, "nurse", Some(&device), &["emr"]).await;
        let tls = ClientConfig::builder()
            .with_root_certificates(hospital.authority().roots())
            .with_client_auth_cert(device.chain(), device.key())
            .expect("the device's certificate can be used");
        let aim = Aim {
            address: hospital.address(),
            host: HOST.to_owned(),
            tls: Arc::new(tls),
            cookie: session.cookie("emr"),
        };
        // The ledger's news takes a moment to arrive.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        Self { hospital, aim }
    }

    /// Where the load goes.
    pub fn aim(&self) -> Aim {
        self.aim.clone()
    }

    /// TLS of a client that shows no certificate.
    pub fn without_certificate(&self) -> ClientConfig {
        ClientConfig::builder().with_root_certificates(self.hospital.authority().roots()).with_no_client_auth()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.hospital.pid()
    }

    /// Its server certificate and key.
    pub fn certificate(&self) -> (PathBuf, PathBuf) {
        (self.hospital.folder().join("wild.pem"), self.hospital.folder().join("wild.key"))
    }

    /// Stops it, and counts the accesses to the app that its log has.
    pub fn stop_and_count(mut self) -> u64 {
        let _ = self.hospital.stop();
        let exported = self.hospital.run(&["audit", "export"]).ok();
        exported.out.lines().filter(|line| line.contains("\"ev\":\"open\"") && line.contains("\"app\":\"emr\"")).count()
            as u64
    }
}

/// Rules that could decide about other people, which the index must pass by, and one for uploads.
fn more_rules() -> String {
    let mut text = "[[rule]]\nid = \"nurses-send\"\nroles = [\"nurse\"]\napps = [\"emr\"]\nactions = [\"write\"]\n\
                    paths = [\"/taken/*\"]\ndevices = \"known\"\n"
        .to_owned();
    for number in 0..MORE_RULES {
        let role = ["doctor", "clerk", "vendor"][number % 3];
        let from = 6 + number % 6;
        writeln!(
            text,
            "[[rule]]\nid = \"more-{number}\"\nroles = [\"{role}\"]\napps = [\"emr\"]\nactions = [\"read\"]\n\
             paths = [\"/part-{number}/*\"]\ndevices = [\"tablet\", \"fixed\"]\nhours = \"{from:02}:00-20:00\"\nassurance = \"aal2\"\n"
        )
        .expect("a string takes text");
    }
    text
}

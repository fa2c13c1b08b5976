//! Requests of nobody: how many are refused for what an allowed one costs, and that each is on record; and a flood beyond
//! what one address may ask, whose every request is recorded or counted.

use crate::gateway::Rates;
use crate::load::{ALLOWED, Load, Protocol};
use crate::report::Wanted;
use crate::stage::Stage;

const CONNECTIONS: usize = 64;

/// Measures both.
pub async fn run(stage: &mut Stage) {
    let load = Load {
        path: "/200",
        protocol: Protocol::Http1,
        connections: CONNECTIONS,
        streams: 1,
        seconds: stage.span.seconds,
        right: ALLOWED,
    };
    let of_nobody = Load { right: &[401], ..load };
    let flood = Load { right: &[401, 429], ..load };
    let (mut recorded, mut counted) = (Vec::new(), Vec::new());
    let (mut denied, mut limited) = (0, 0);
    let strict = stage.fresh(Rates::Low).await;
    for _ in 0..stage.span.rounds {
        let gateway = &stage.gateway;
        let allowed = gateway.measure(load, &gateway.aim()).await;
        gateway.note_allowed(allowed.requests);
        let refused = gateway.measure(of_nobody, &gateway.aim().of_nobody()).await;
        gateway.note_refused(refused.requests);
        recorded.push(refused.per_cpu_second() / allowed.per_cpu_second());
        let flooded = strict.measure(flood, &strict.aim().of_nobody()).await;
        denied += flooded.requests - flooded.limited;
        limited += flooded.limited;
        counted.push(flooded.per_cpu_second() / allowed.per_cpu_second());
    }
    strict.note_refused(denied);
    assert!(limited > 0, "a flood is beyond the rate");
    assert_eq!(strict.requests("limited"), limited, "requests over the rate are counted, each once");
    println!("of a flood: {denied} refused and recorded, {limited} over the rate and counted");
    strict.stop_and_count().hold();
    let wanted = Wanted::AtLeast(1.5);
    stage.report.add("refused, each recorded: x allowed, per CPU second", "x", wanted, recorded);
    stage.report.add("flood beyond the rate: x allowed, per CPU second", "x", wanted, counted);
}

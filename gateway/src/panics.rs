//! What happens when a part of the gateway panics, which is our own fault: that part ends, it is counted and told, and the
//! rest goes on. A worker that ends so takes the gateway with it, to be started anew (see `assembly/workers.rs`).

use prometheus_client::metrics::counter::Counter;

/// Counts panics and tells where they were. Not what was said: it may hold what a request held.
pub fn report(counter: Counter) {
    std::panic::set_hook(Box::new(move |panic| {
        counter.inc();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        tracing::error!(place, thread, "a part of the gateway panicked; what it was doing ended");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_one_connection_ends_that_connection_alone_and_is_counted() {
        let counter = Counter::default();
        report(counter.clone());
        // As workers are made.
        let options = tokio::runtime::LocalOptions::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(options).unwrap();
        let others = runtime.block_on(async {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let fails = tokio::task::spawn_local(async { panic!("patient 12345") });
            tokio::task::spawn_local(async { sender.send("served") });
            assert!(fails.await.is_err_and(|error| error.is_panic()));
            receiver.await
        });
        // The runner's own hook tells of failed tests.
        drop(std::panic::take_hook());
        assert_eq!((others, counter.get()), (Ok("served"), 1));
    }
}

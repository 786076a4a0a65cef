//! Time that a test measures, on machines that stall.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long one tick takes at least.
const TICK: Duration = Duration::from_millis(5);

/// A stopwatch that counts the ticks of a thread: it stands while this process is stopped or gets no core, and never runs fast. So a
/// bound that it exceeds was exceeded by what is measured, and not by the machine.
pub struct Stopwatch(Arc<AtomicU32>);

impl Stopwatch {
    /// One that runs from now until it is dropped.
    pub fn start() -> Self {
        let ticks = Arc::new(AtomicU32::new(0));
        let weak = Arc::downgrade(&ticks);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(TICK);
                let Some(ticks) = weak.upgrade() else { break };
                ticks.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self(ticks)
    }

    /// What it has counted.
    pub fn elapsed(&self) -> Duration {
        TICK * self.0.load(Ordering::SeqCst)
    }
}

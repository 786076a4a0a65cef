//! What a run measures, for people and for the plots.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

/// Where the long runs' figures go; none in an ordinary run, which is a short one.
#[expect(clippy::disallowed_methods, reason = "whoever records says where to")]
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::var_os("LATCHKEY_LOAD_RECORD").map(PathBuf::from)
}

pub(crate) fn write(name: &str, figures: &Value) {
    if let Some(folder) = folder() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.json")), format!("{figures:#}\n")).unwrap();
    }
}

/// Of a run: how many requests, at once so many, how long it took as a whole, and each thousandth of the answers, in milliseconds.
pub(crate) fn latencies(at_once: usize, whole: Duration, mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |thousandths: usize| times[(times.len() * thousandths / 1000).min(times.len() - 1)].as_secs_f64() * 1000.0;
    println!(
        "{} requests, {at_once} at once, {:.0} a second: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        times.len(),
        times.len() as f64 / whole.as_secs_f64(),
        at(500),
        at(900),
        at(990),
        at(1000),
    );
    json!({
        "requests": times.len(), "at_once": at_once, "seconds": whole.as_secs_f64(),
        "milliseconds_by_thousandths": (0..=1000).map(at).collect::<Vec<_>>(),
    })
}

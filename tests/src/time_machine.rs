//! Time that a test moves on, for real processes: libfaketime between them and the kernel's clocks.
//!
//! Hours pass in seconds, in the shipped binaries as they are. All processes, and the stand-ins by [`TimeMachine::clock`], go by
//! the same time: the machine's, and what it was moved on by.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use latchkey_domain::clock::{Clock, SystemClock, Timestamp};

use crate::tools::tools;

/// The time, and the processes that go by it.
pub struct TimeMachine {
    folder: tempfile::TempDir,
    library: PathBuf,
    clock: MovedClock,
}

/// The machine's time, and what it was moved on by.
#[derive(Debug, Clone)]
pub struct MovedClock {
    machine: SystemClock,
    moved_seconds: Arc<AtomicU64>,
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        self.machine.now().plus_seconds(i64::try_from(self.moved_seconds.load(Ordering::SeqCst)).unwrap())
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic() + Duration::from_secs(self.moved_seconds.load(Ordering::SeqCst))
    }
}

impl TimeMachine {
    /// One at the machine's time; none where there is no libfaketime (`tests/tools/install faketime`).
    ///
    /// # Panics
    /// When no file can be written.
    pub fn new() -> Option<Self> {
        let library = std::path::absolute(tools().join("lib/libfaketime.so.1")).ok().filter(|library| library.exists())?;
        let clock = MovedClock { machine: SystemClock::new(), moved_seconds: Arc::default() };
        let machine = Self { folder: tempfile::tempdir().unwrap(), library, clock };
        machine.move_to(Duration::ZERO);
        Some(machine)
    }

    /// Moves time on, to this long after the beginning, besides what passes by itself.
    ///
    /// # Panics
    /// When the file that the processes read cannot be written.
    pub fn move_to(&self, seconds: Duration) {
        self.clock.moved_seconds.store(seconds.as_secs(), Ordering::SeqCst);
        // In one step: a process must not read half of it.
        let next = self.folder.path().join("next");
        std::fs::write(&next, format!("+{}\n", seconds.as_secs())).unwrap();
        std::fs::rename(next, self.file()).unwrap();
    }

    /// The time, for what runs in the test itself.
    pub fn clock(&self) -> MovedClock {
        self.clock.clone()
    }

    /// The environment of a process that goes by this time.
    pub fn env(&self) -> Vec<(String, String)> {
        let file = self.file();
        [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
            // Read the file each time it is asked for, so that a step is seen at once.
            ("FAKETIME_NO_CACHE", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("time")
    }
}

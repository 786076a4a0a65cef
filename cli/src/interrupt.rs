//! What asks a command to end that has something to put in order first.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, what a service manager sends (SIGTERM), and what comes when the terminal is closed (SIGHUP). From [`Self::listen`] on none
/// of them ends the process by itself.
#[derive(Debug)]
pub struct Interrupt {
    ctrl_c: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
}

impl Interrupt {
    /// Listens from now on.
    ///
    /// # Errors
    /// The system does not let it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            ctrl_c: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            // Under `nohup` it is to go on, and whoever listens would be told all the same.
            hang_up: if hang_up_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Waits for one of them.
    pub async fn comes(&mut self) {
        let Self { ctrl_c, terminate, hang_up } = self;
        let hang_up = async {
            match hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = ctrl_c.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up => {}
        }
    }
}

/// As `nohup` leaves it to what it starts. Where the system has no such file nobody knows.
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

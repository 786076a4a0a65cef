//! Processes that end with the test that began them, whatever becomes of it.

use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A process whose output is kept, and which is killed when it is dropped.
pub struct Process {
    child: Child,
    output: Output,
}

/// What a process has written so far, to both of its streams, line by line.
#[derive(Clone, Default)]
pub struct Output(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Output {
    fn collect(&self, stream: impl Read + Send + 'static) {
        let output = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                output.0.0.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
                output.0.1.notify_all();
            }
        });
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits for the first line from `from` on for which `wanted` has an answer.
    ///
    /// # Panics
    /// When none comes in time, with all lines.
    #[track_caller]
    pub fn wait<T>(&self, from: usize, within: Duration, wanted: impl Fn(&str) -> Option<T>) -> T {
        let until = now() + within;
        let mut lines = self.0.0.lock().unwrap();
        loop {
            if let Some(found) = lines.iter().skip(from).find_map(|line| wanted(line)) {
                return found;
            }
            let left = until.saturating_duration_since(now());
            assert!(!left.is_zero(), "no such line within {within:?}; there are:\n{}", lines.join("\n"));
            lines = self.0.1.wait_timeout(lines, left).unwrap().0;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test waits in real time for a real process")]
fn now() -> Instant {
    Instant::now()
}

impl Process {
    /// Starts a process. Its standard input stays open until it is dropped, for those that end when it closes.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let output = Output::default();
        output.collect(child.stdout.take().unwrap());
        output.collect(child.stderr.take().unwrap());
        Self { child, output }
    }

    /// What it has written.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// When the system cannot say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until somebody listens at a port of this machine's that it was told.
    ///
    /// # Panics
    /// When it ends, or nobody listens in time, with what it has written so far.
    #[track_caller]
    pub fn wait_for_port(&mut self, port: u16, within: Duration) {
        let until = now() + within;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let has_ended = self.ended().is_some();
            assert!(!has_ended && now() < until, "nobody listens at port {port}:\n{}", self.output.lines().join("\n"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let until = now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(now() < until, "still running after {within:?}:\n{}", self.output.lines().join("\n"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port for a process that has to be told one.
///
/// It lies below those that the system hands out by itself, so that none of the servers which tests start on "any free port" can
/// take it between now and when the process listens; and no two calls give the same.
///
/// # Panics
/// When none is free.
pub fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 10_000;
    static CALLS: AtomicU32 = AtomicU32::new(0);
    // Apart from what another run of the tests on this machine takes.
    let own = std::process::id().wrapping_mul(101);
    for _ in 0..COUNT {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + own.wrapping_add(call) % COUNT).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {FIRST} on is free");
}

//! Faults on demand: what a stand-in does wrong with its next calls.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

/// One way to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The answer is right and late.
    Delay(Duration),
    /// The answer is right, and comes once the gate is open.
    Hold(Gate),
    /// An error, in the protocol's own shape. The call has no effect.
    Error {
        /// The status, as 400 or 503.
        status: u16,
        /// The code, as `ThrottlingException`.
        code: String,
    },
    /// The call takes effect, and its answer cannot be read: right status and content type, a body that is neither JSON nor XML.
    Malformed,
    /// The call takes effect, and its answer has this body instead.
    Body(String),
    /// The call takes effect; half of its answer is sent, and then the connection breaks.
    Truncated,
    /// The call takes effect, and its answer says that it is an HTML page.
    WrongContentType,
    /// The call takes effect, and the URL in its answer is this one. For calls that answer with a URL.
    ForeignUrl(String),
    /// The call takes effect; the first bytes of its answer's head are sent, and then the connection breaks.
    HalfHead,
    /// The connection is closed before an answer. The call has no effect.
    Close,
}

impl Fault {
    /// An error, in the protocol's own shape.
    pub fn error(status: u16, code: impl Into<String>) -> Self {
        Self::Error { status, code: code.into() }
    }

    /// What comes in place of the call; none where the call takes effect, and the fault is in its answer or in when that comes.
    pub(crate) fn instead(&self) -> Option<Instead<'_>> {
        match self {
            Self::Error { status, code } => Some(Instead::Error(*status, code)),
            Self::Close => Some(Instead::Close),
            Self::Delay(_) | Self::Hold(_) | Self::Malformed | Self::Body(_) | Self::Truncated | Self::WrongContentType => None,
            Self::ForeignUrl(_) | Self::HalfHead => None,
        }
    }
}

/// What comes in place of a call, which then has no effect.
pub(crate) enum Instead<'a> {
    /// An error: its status and its code.
    Error(u16, &'a str),
    /// Nothing, and the end of the connection: what is answered is never seen.
    Close,
}

/// Where calls wait until it is opened, for good.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// One that is closed.
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets all pass, those that wait and those to come.
    pub fn open(&self) {
        self.0.close();
    }

    async fn pass(&self) {
        // There are no permits: what it waits for is that there will be none.
        let _ = self.0.acquire().await;
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Gate {}

/// The faults that are still to come, by the name of the call.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<HashMap<String, VecDeque<Fault>>>);

impl Faults {
    /// The next `times` calls that have no fault to come yet get this one.
    pub(crate) fn inject(&self, call: &str, times: usize, fault: &Fault) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.entry(call.to_owned()).or_default().extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// No call has a fault to come.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The fault of this call, after the wait if it is one.
    pub(crate) async fn next(&self, call: &str) -> Option<Fault> {
        let fault = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(call).and_then(VecDeque::pop_front);
        match &fault {
            Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
            Some(Fault::Hold(gate)) => gate.pass().await,
            Some(_) | None => {}
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn faults_come_in_order_and_end() {
        let faults = Faults::default();
        faults.inject("A", 2, &Fault::Close);
        faults.inject("A", 1, &Fault::Malformed);
        faults.inject("B", 1, &Fault::Truncated);
        assert_eq!(faults.next("A").await, Some(Fault::Close));
        assert_eq!(faults.next("A").await, Some(Fault::Close));
        assert_eq!(faults.next("A").await, Some(Fault::Malformed));
        assert_eq!(faults.next("A").await, None);
        faults.clear();
        assert_eq!(faults.next("B").await, None);
    }

    #[tokio::test]
    async fn what_is_held_goes_on_once_the_gate_is_open() {
        let (faults, gate) = (Faults::default(), Gate::closed());
        faults.inject("A", 2, &Fault::Hold(gate.clone()));
        let mut held = std::pin::pin!(faults.next("A"));
        tokio::select! {
            biased;
            fault = &mut held => panic!("not held: {fault:?}"),
            () = std::future::ready(()) => gate.open(),
        }
        assert_eq!(held.await, Some(Fault::Hold(gate.clone())));
        assert_eq!(faults.next("A").await, Some(Fault::Hold(gate)));
    }
}

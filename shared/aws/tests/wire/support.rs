//! A small HTTP server with canned answers, and what the tests of this crate share.

use std::collections::{HashMap, HashSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey_aws::clients::Clients;
use latchkey_aws::environment::Environment;
use latchkey_domain::clock::{Clock, Timestamp};
use latchkey_transport::Transport;

/// What a call may take.
pub(crate) const BUDGET: Duration = Duration::from_secs(3);

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The fields of a form body, decoded.
    pub(crate) fn form(&self) -> HashMap<String, String> {
        self.body.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (decode(key), decode(value))).collect()
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let hex = String::from_utf8(vec![rest.next().unwrap(), rest.next().unwrap()]).unwrap();
                bytes.push(u8::from_str_radix(&hex, 16).unwrap());
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Sends these bytes and keeps the connection.
    Send(Vec<u8>),
    /// Sends these bytes and closes.
    SendAndClose(Vec<u8>),
    /// Waits, then sends.
    After(Duration, Vec<u8>),
    /// Sends these bytes once so many different requests have arrived.
    Together(usize, Vec<u8>),
    /// Never answers.
    Silence,
}

fn http(status: u16, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\nx-amzn-RequestId: req-{status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An answer in AWS JSON.
pub(crate) fn json(status: u16, body: &str) -> Reply {
    Reply::Send(http(status, "application/x-amz-json-1.1", body))
}

/// An AWS JSON error.
pub(crate) fn error(status: u16, code: &str) -> Reply {
    json(status, &format!(r#"{{"__type":"com.amazonaws#{code}","message":"canary-message arn:aws:iam::1:role/x"}}"#))
}

/// An answer in XML.
pub(crate) fn xml(status: u16, body: &str) -> Reply {
    Reply::Send(http(status, "text/xml", body))
}

/// An answer of another type.
pub(crate) fn html(status: u16, body: &str) -> Reply {
    Reply::Send(http(status, "text/html", body))
}

/// An answer whose body ends before its announced length, and the connection with it.
pub(crate) fn cut_off(body: &str) -> Reply {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len() + 50);
    Reply::SendAndClose(format!("{head}{body}").into_bytes())
}

/// The server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// A server that answers the n-th request with the n-th reply, and all later ones with the last.
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<Reply> = replies.into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (replies, log) = (replies.clone(), Arc::clone(&log));
                std::thread::spawn(move || serve(stream.unwrap(), &replies, &log));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn serve(mut stream: TcpStream, replies: &[Reply], log: &Mutex<Vec<Request>>) {
    while let Some(request) = read_request(&mut stream) {
        let number = {
            let mut log = log.lock().unwrap();
            log.push(request);
            log.len() - 1
        };
        match &replies[number.min(replies.len() - 1)] {
            Reply::Send(bytes) => stream.write_all(bytes).unwrap(),
            Reply::SendAndClose(bytes) => {
                stream.write_all(bytes).unwrap();
                return;
            }
            Reply::After(pause, bytes) => {
                std::thread::sleep(*pause);
                let _ = stream.write_all(bytes);
            }
            Reply::Together(arrived, bytes) => {
                while log.lock().unwrap().iter().map(|request| &request.body).collect::<HashSet<_>>().len() < *arrived {
                    std::thread::sleep(Duration::from_millis(1));
                }
                let _ = stream.write_all(bytes);
            }
            Reply::Silence => {}
        }
    }
}

fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(seen[..end].to_vec()).unwrap();
            let mut request = Request { head, body: String::new() };
            let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
            if seen.len() >= end + 4 + length {
                request.body = String::from_utf8(seen[end + 4..end + 4 + length].to_vec()).unwrap();
                return Some(request);
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(n) => seen.extend_from_slice(&buffer[..n]),
        }
    }
}

/// The budgets in which a reply is tried, and whether all tries have room in each on a machine that stalls. What is silent takes all of
/// [`BUDGET`], and leaves its last try less than a second of it: only with the other budget are its tries counted.
pub(crate) fn budgets(reply: &Reply) -> &'static [(Duration, bool)] {
    const AMPLE: Duration = Duration::from_secs(20);
    if matches!(reply, Reply::Silence) { &[(BUDGET, false), (AMPLE, true)] } else { &[(BUDGET, true)] }
}

/// What an overrun of a budget is: more than is computed besides.
pub(crate) const SLACK: Duration = Duration::from_millis(300);

/// An address at which nobody listens: a port that the system does not hand out, so that no test beside this one can get it.
pub(crate) fn nobody() -> String {
    "http://127.0.0.1:1".to_owned()
}

/// Clients for these endpoints.
pub(crate) fn clients(dynamodb: &str, sts: &str, sagemaker: &str) -> Clients {
    let variables = HashMap::from([
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAOWN"),
        ("AWS_SECRET_ACCESS_KEY", "canary-own-secret"),
        ("AWS_SESSION_TOKEN", "canary-own-token"),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb),
        ("AWS_ENDPOINT_URL_STS", sts),
        ("AWS_ENDPOINT_URL_SAGEMAKER", sagemaker),
    ]);
    let environment = Environment::read(|name| variables.get(name).map(|&value| value.to_owned())).unwrap();
    Clients::new(&environment, Transport::new(None).unwrap()).unwrap()
}

/// Runs on a runtime like the function's: one thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A clock that is set by hand.
#[derive(Debug, Clone)]
pub(crate) struct SetClock(Arc<AtomicI64>);

impl SetClock {
    pub(crate) fn new(seconds: i64) -> Self {
        Self(Arc::new(AtomicI64::new(seconds)))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

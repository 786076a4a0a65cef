//! The transport against small servers on loopback: what it sends, what it accepts, when it gives up.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, which clippy does not know for such")]

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use latchkey_oidc::fetch::{Fetch as _, FetchError, Limits};
use latchkey_transport::{CallError, ConnectFailure, Transport, TransportError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Enough for anything on loopback, and short enough to wait for where nothing comes.
const LIMITS: Limits = Limits { timeout: Duration::from_secs(5), max_bytes: 1000 };

/// A server that answers every request with the same bytes, in pieces with pauses between them.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    requests: Arc<std::sync::Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Script {
    pieces: Vec<Vec<u8>>,
    pause: Duration,
    close: bool,
    tls: Option<TlsAcceptor>,
}

fn answer(bytes: impl Into<Vec<u8>>) -> Script {
    Script { pieces: vec![bytes.into()], pause: Duration::ZERO, close: false, tls: None }
}

fn ok(body: &str) -> Script {
    answer(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

impl Server {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let requests = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (count, count_closed, log) = (Arc::clone(&connections), Arc::clone(&closed), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (script, log, closed) = (script.clone(), Arc::clone(&log), Arc::clone(&count_closed));
                tokio::spawn(async move {
                    match script.tls.clone() {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, script, log).await;
                            }
                        }
                        None => serve(stream, script, log).await,
                    }
                    closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, connections, closed, requests }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}/keys", self.address.port())
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: Script, log: Arc<std::sync::Mutex<Vec<String>>>) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while !seen.windows(4).any(|w| w == b"\r\n\r\n") {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(n) => seen.extend_from_slice(&buffer[..n]),
            }
        }
        log.lock().unwrap().push(String::from_utf8(std::mem::take(&mut seen)).unwrap());
        for piece in &script.pieces {
            if stream.write_all(piece).await.is_err() {
                return;
            }
            let _ = stream.flush().await;
            tokio::time::sleep(script.pause).await;
        }
        if script.close {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// A certificate authority with a server certificate for `names`, and the authority's certificate in a PEM file.
fn authority(names: &[&str]) -> (TlsAcceptor, tempfile::NamedTempFile) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
        .unwrap();
    let mut bundle = tempfile::NamedTempFile::new().unwrap();
    writeln!(bundle, "# a comment, as bundles have them\n{}", ca.pem()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), bundle)
}

fn transport() -> Transport {
    Transport::new(None).unwrap()
}

#[tokio::test]
async fn a_document_is_fetched_over_plain_http_on_loopback() {
    let server = Server::start(ok("{}")).await;
    assert_eq!(transport().get(&server.url("http"), LIMITS).await.unwrap(), b"{}");
    let request = server.requests().remove(0).to_ascii_lowercase();
    assert!(request.starts_with("get /keys http/1.1\r\n"), "{request}");
    assert!(request.contains("accept-encoding: identity\r\n"), "{request}");
    assert!(!request.contains("cookie") && !request.contains("authorization"), "{request}");
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::start(ok("{}")).await;
    let transport = transport();
    for _ in 0..5 {
        transport.clone().get(&server.url("http"), LIMITS).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn an_opened_connection_waits_for_the_first_request() {
    let server = Server::start(answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")).await;
    let transport = transport();
    transport.open(&server.url("http"), LIMITS.timeout).await.unwrap();
    assert_eq!(transport.get(&server.url("http"), LIMITS).await, Err(FetchError::Status(404)));
    assert_eq!(server.connections(), 1);
    let requests = server.requests();
    assert!(requests[0].starts_with("HEAD / HTTP/1.1\r\n"), "{requests:?}");
    assert!(requests[1].starts_with("GET /keys HTTP/1.1\r\n"), "{requests:?}");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let server = Server::start(Script { close: true, ..ok("{}") }).await;
    let transport = transport();
    for closed in 1..=3 {
        transport.get(&server.url("http"), LIMITS).await.unwrap();
        // The close arrives while nothing is under way. What has arrived is seen in the pause after it.
        let mut has_arrived = false;
        while !has_arrived {
            has_arrived = server.closed.load(Ordering::SeqCst) == closed;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn tls_is_checked_against_the_bundle_and_against_nothing_else() {
    let (tls, bundle) = authority(&["localhost"]);
    let server = Server::start(Script { tls: Some(tls), ..ok("{}") }).await;
    let trusting = Transport::new(Some(bundle.path())).unwrap();
    assert_eq!(trusting.get(&server.url("https"), LIMITS).await.unwrap(), b"{}");
    assert_eq!(transport().get(&server.url("https"), LIMITS).await, Err(FetchError::Tls));
    let (_, other) = authority(&["localhost"]);
    assert_eq!(Transport::new(Some(other.path())).unwrap().get(&server.url("https"), LIMITS).await, Err(FetchError::Tls));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (tls, bundle) = authority(&["elsewhere.example"]);
    let server = Server::start(Script { tls: Some(tls), ..ok("{}") }).await;
    assert_eq!(Transport::new(Some(bundle.path())).unwrap().get(&server.url("https"), LIMITS).await, Err(FetchError::Tls));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let aim = Server::start(ok("secret")).await;
    for status in [301, 302, 303, 307, 308] {
        let redirect = format!("HTTP/1.1 {status} Moved\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", aim.url("http"));
        let server = Server::start(answer(redirect)).await;
        assert_eq!(transport().get(&server.url("http"), LIMITS).await, Err(FetchError::Redirect), "{status}");
    }
    assert_eq!(aim.connections(), 0);
}

#[tokio::test]
async fn only_a_200_is_a_success() {
    for status in [204, 400, 403, 404, 429, 500, 503] {
        let server = Server::start(answer(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"))).await;
        assert_eq!(transport().get(&server.url("http"), LIMITS).await, Err(FetchError::Status(status)));
    }
}

#[tokio::test]
async fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
    let server = Server::start(ok(&"x".repeat(1000))).await;
    assert_eq!(transport().get(&server.url("http"), LIMITS).await.unwrap().len(), 1000);
    let server = Server::start(ok(&"x".repeat(1001))).await;
    assert_eq!(transport().get(&server.url("http"), LIMITS).await, Err(FetchError::TooLarge));
}

#[tokio::test]
async fn an_announced_length_is_refused_before_the_body_is_read() {
    // Were the body waited for, this would be a time-out.
    let server = Server::start(answer("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\nx")).await;
    assert_eq!(transport().get(&server.url("http"), LIMITS).await, Err(FetchError::TooLarge));
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_off_at_the_limit() {
    let chunk = format!("100\r\n{}\r\n", "x".repeat(256));
    let mut pieces = vec![b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()];
    pieces.extend(std::iter::repeat_n(chunk.into_bytes(), 10_000));
    let server = Server::start(Script { pieces, ..answer("") }).await;
    assert_eq!(transport().get(&server.url("http"), LIMITS).await, Err(FetchError::TooLarge));

    let unbounded = Script { pieces: vec![b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 2000]], close: true, ..answer("") };
    let server = Server::start(unbounded).await;
    assert_eq!(transport().get(&server.url("http"), LIMITS).await, Err(FetchError::TooLarge));
}

#[tokio::test]
async fn a_slow_body_does_not_outlast_the_limit() {
    let mut pieces = vec![b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n".to_vec()];
    pieces.extend(std::iter::repeat_n(b"x".to_vec(), 500));
    let server = Server::start(Script { pieces, pause: Duration::from_millis(20), ..answer("") }).await;
    let limits = Limits { timeout: Duration::from_millis(200), ..LIMITS };
    let outcome = tokio::time::timeout(Duration::from_secs(2), transport().get(&server.url("http"), limits)).await;
    assert_eq!(outcome.unwrap(), Err(FetchError::Timeout));
}

#[tokio::test]
async fn a_silent_server_does_not_outlast_the_limit() {
    let server = Server::start(Script { pieces: vec![], ..answer("") }).await;
    let limits = Limits { timeout: Duration::from_millis(100), ..LIMITS };
    assert_eq!(transport().get(&server.url("http"), limits).await, Err(FetchError::Timeout));
}

#[tokio::test]
async fn broken_answers_are_told_from_missing_servers() {
    let cut = Script { close: true, ..answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nxxx") };
    let server = Server::start(cut).await;
    assert_eq!(transport().get(&server.url("http"), LIMITS).await, Err(FetchError::Body));
    let server = Server::start(Script { close: true, ..answer("SSH-2.0-OpenSSH_9.9\r\n") }).await;
    assert_eq!(transport().get(&server.url("http"), LIMITS).await, Err(FetchError::Body));

    // A port that the system does not hand out, so that no test beside this one can get it.
    let nobody = "127.0.0.1:1";
    assert_eq!(transport().get(&format!("http://{nobody}/"), LIMITS).await, Err(FetchError::Connect));

    // A server that speaks plain HTTP where TLS is expected.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
    });
    assert_eq!(transport().get(&format!("https://localhost:{}/", plain.port()), LIMITS).await, Err(FetchError::Tls));
}

#[tokio::test]
async fn heads_are_bounded() {
    let head = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(1 << 20));
    let server = Server::start(answer(head)).await;
    assert_eq!(transport().get(&server.url("http"), LIMITS).await, Err(FetchError::Body));
}

async fn sdk_call(transport: &Transport, url: &str, settings: &HttpConnectorSettings) -> Result<(u16, Vec<u8>), CallError> {
    let mut request = HttpRequest::new(SdkBody::from("{\"a\":1}"));
    request.set_method("POST").unwrap();
    request.set_uri(url).unwrap();
    request.headers_mut().insert("x-amz-target", "T.Op");
    match transport.connector(settings).call(request).await {
        Ok(response) => {
            let status = response.status().as_u16();
            let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes().to_vec();
            Ok((status, body))
        }
        Err(error) => match error.into_source().downcast::<CallError>() {
            Ok(error) => Err(*error),
            Err(other) => panic!("not a CallError: {other}"),
        },
    }
}

#[tokio::test]
async fn the_sdk_shares_the_pool_and_gets_its_answer() {
    let server = Server::start(ok("{\"b\":2}")).await;
    let transport = transport();
    let none = HttpConnectorSettings::default();
    let limited = HttpConnectorSettings::builder().read_timeout(LIMITS.timeout).connect_timeout(LIMITS.timeout).build();
    for settings in [&none, &limited, &none] {
        assert_eq!(sdk_call(&transport, &server.url("http"), settings).await.unwrap(), (200, b"{\"b\":2}".to_vec()));
    }
    transport.get(&server.url("http"), LIMITS).await.unwrap();
    assert_eq!(server.connections(), 1);
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /keys HTTP/1.1\r\n") && request.contains("x-amz-target: T.Op\r\n"), "{request}");
    assert!(request.contains("content-length: 7\r\n"), "{request}");
}

#[tokio::test]
async fn the_sdks_limits_are_kept() {
    let silent = Server::start(Script { pieces: vec![], ..answer("") }).await;
    let settings = HttpConnectorSettings::builder().read_timeout(Duration::from_millis(100)).build();
    let error = sdk_call(&transport(), &silent.url("http"), &settings).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout) && error.may_have_been_sent(), "{error:?}");

    // A server that accepts and never speaks TLS: only the limit on connecting ends this.
    let mute = Server::start(Script { pieces: vec![], ..answer("") }).await;
    let settings = HttpConnectorSettings::builder().connect_timeout(Duration::from_millis(100)).build();
    let error = sdk_call(&transport(), &mute.url("https"), &settings).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected { kind: ConnectFailure::Timeout, .. }), "{error:?}");
    assert!(!error.may_have_been_sent());
}

#[tokio::test]
async fn what_was_not_sent_is_known() {
    // A port that the system does not hand out, so that no test beside this one can get it.
    let nobody = "127.0.0.1:1";
    let none = HttpConnectorSettings::default();
    let error = sdk_call(&transport(), &format!("http://{nobody}/"), &none).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected { kind: ConnectFailure::Unreachable, .. }), "{error:?}");
    assert!(!error.may_have_been_sent());

    let closing = Server::start(Script { pieces: vec![], close: true, ..answer("") }).await;
    let error = sdk_call(&transport(), &closing.url("http"), &none).await.unwrap_err();
    assert!(matches!(error, CallError::Broken(_)) && error.may_have_been_sent(), "{error:?}");
}

#[test]
fn a_bad_bundle_is_one_clear_line() {
    let message = |content: &[u8]| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let error = Transport::new(Some(file.path())).unwrap_err();
        assert!(matches!(error, TransportError::NotABundle { .. }), "{error:?}");
        let message = error.to_string();
        assert!(!message.contains('\n') && message.contains(&file.path().display().to_string()), "{message}");
        message
    };
    assert!(message(b"").contains("has no certificate"));
    assert!(message(b"not PEM at all").contains("has no certificate"));
    assert!(message(b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").contains("certificate 1 is not PEM"));
    assert!(message(b"-----BEGIN CERTIFICATE-----\nAAAA\n").contains("certificate 1 is not PEM"));
    assert!(message(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").contains("certificate 1 cannot be a root"));
    let (_, bundle) = authority(&["localhost"]);
    let mut good = std::fs::read(bundle.path()).unwrap();
    good.extend_from_slice(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(message(&good).contains("certificate 2 cannot be a root"));
    assert!(message(&vec![b'\n'; 4 * 1024 * 1024 + 1]).contains("over 4 MiB"));

    let error = Transport::new(Some(std::path::Path::new("/nowhere/bundle.pem"))).unwrap_err();
    assert!(error.to_string().starts_with("the CA bundle /nowhere/bundle.pem cannot be read: "), "{error}");
}

#[test]
fn making_one_needs_no_runtime() {
    let transport = Transport::new(None).unwrap();
    assert_eq!(format!("{transport:?}"), "Transport { .. }");
}

//! The transport as the fetcher of issuers' key sets.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use http::header::{ACCEPT, ACCEPT_ENCODING, DATE, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use latchkey_oidc::fetch::{Fetch, FetchError, Limits};

use crate::Transport;
use crate::error::{CallError, ConnectFailure};

impl Fetch for Transport {
    async fn get(&self, url: &str, limits: Limits) -> Result<Vec<u8>, FetchError> {
        let request = request(url)?;
        let fetching = async {
            let response = self.send(request, None, None).await.map_err(fetch_error)?;
            match response.status() {
                StatusCode::OK => read(response.into_body(), limits.max_bytes).await,
                status if status.is_redirection() => Err(FetchError::Redirect),
                status => Err(FetchError::Status(status.as_u16())),
            }
        };
        // One limit over everything, so that a server cannot draw it out by sending a byte at a time.
        tokio::time::timeout(limits.timeout, fetching).await.unwrap_or(Err(FetchError::Timeout))
    }
}

impl Transport {
    /// What a server's clock says, as it stands in `Date` (RFC 9110, section 6.6.1), whatever else it answers.
    ///
    /// # Errors
    /// There is no answer within the time, or none with a `Date`.
    pub async fn date(&self, url: &str, within: Duration) -> Result<String, FetchError> {
        let asking = self.send(request(url)?, None, None);
        let response = tokio::time::timeout(within, asking).await.map_err(|_| FetchError::Timeout)?.map_err(fetch_error)?;
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        date.map(str::to_owned).ok_or(FetchError::Body)
    }
}

/// The request, if the URL may be asked for: `https`, or `http` on loopback; no user information.
fn request(url: &str) -> Result<Request<SdkBody>, FetchError> {
    let uri = url.parse::<Uri>().map_err(|_| FetchError::BadUrl)?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return Err(FetchError::BadUrl) };
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(FetchError::BadUrl);
    }
    if *scheme != Scheme::HTTPS && !(*scheme == Scheme::HTTP && is_loopback(authority.host())) {
        return Err(FetchError::BadUrl);
    }
    let mut request = Request::new(SdkBody::empty());
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, application/jwk-set+json"));
    // Nothing here decodes, and a small body that unfolds into a large one never gets to.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static("latchkey"));
    Ok(request)
}

/// Whether a URL's host is this machine: `localhost`, a name below it (RFC 6761, section 6.3), 127.0.0.0/8 or `[::1]`.
///
/// IPv6 addresses stand in brackets, as they do in URLs. A name is not resolved: what it resolves to can change.
pub fn is_loopback(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
    }
}

/// Reads the body, never holding more than `max_bytes` of it.
///
/// A body that is given up here takes its connection with it: the rest of it is never read.
async fn read(mut body: Incoming, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let fits = |bytes: usize| if bytes <= max_bytes { Ok(()) } else { Err(FetchError::TooLarge) };
    // What Content-Length announces, or 0.
    let announced = usize::try_from(body.size_hint().lower()).map_err(|_| FetchError::TooLarge)?;
    fits(announced)?;
    let mut document = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        // Trailers are of no interest.
        let Ok(data) = frame.map_err(|_| FetchError::Body)?.into_data() else { continue };
        fits(document.len().saturating_add(data.len()))?;
        document.extend_from_slice(&data);
    }
    Ok(document)
}

fn fetch_error(error: CallError) -> FetchError {
    match error {
        CallError::NotConnected { kind: ConnectFailure::Tls, .. } => FetchError::Tls,
        CallError::NotConnected { kind: ConnectFailure::Unreachable, .. } => FetchError::Connect,
        CallError::NotConnected { kind: ConnectFailure::Timeout, .. } | CallError::Timeout => FetchError::Timeout,
        CallError::Broken(_) => FetchError::Body,
        CallError::BadUrl => FetchError::BadUrl,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_anywhere_and_http_on_loopback_only() {
        for good in [
            "https://idp.example/keys",
            "https://idp.example:8443/keys?a=b",
            "http://localhost/keys",
            "http://LOCALHOST:1/keys",
            "http://idp.localhost:9000/",
            "http://127.0.0.1:80/",
            "http://127.9.9.9/",
            "http://[::1]:80/",
        ] {
            assert!(request(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "keys",
            "/keys",
            "idp.example",
            "ftp://idp.example/",
            "file:///etc/passwd",
            "http://idp.example/",
            "http://localhost.evil.example/",
            "http://evillocalhost/",
            "http://128.0.0.1/",
            "http://127.0.0.1.evil.example/",
            "http://[::2]/",
            "http://0x7f.1/",
            "https://user@idp.example/",
            "https://user:secret@idp.example/",
            "http://localhost@evil.example/",
            "https:///keys",
            "https://idp.example/a b",
        ] {
            assert_eq!(request(bad).err(), Some(FetchError::BadUrl), "{bad}");
        }
    }
}

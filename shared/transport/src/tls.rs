//! Whom to trust, and the TLS settings.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::error::TransportError;

/// Most bytes of a CA bundle. The largest public ones have some 250 KiB.
const MAX_BUNDLE_BYTES: u64 = 4 * 1024 * 1024;

/// Session tickets kept, so that a connection that is opened anew costs no second certificate check: eight each for as many
/// servers as the broker talks to.
const SESSIONS: usize = 64;

/// TLS 1.3 and 1.2 with rustls's default suites on aws-lc-rs, no client certificate.
///
/// # Errors
/// The bundle is not one.
pub(crate) fn config(ca_bundle: Option<&Path>) -> Result<Arc<ClientConfig>, TransportError> {
    let roots = match ca_bundle {
        Some(path) => bundle(path)?,
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    // The provider is named here rather than taken from the process's default, which another crate could set.
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(config))
}

/// Reads a bundle. It replaces the built-in roots, as `AWS_CA_BUNDLE` does for every SDK, and it is read strictly: a bundle
/// of which only a part is understood would fail later, at one host, with nothing to say why.
fn bundle(path: &Path) -> Result<RootCertStore, TransportError> {
    let wrong = |problem: String| TransportError::NotABundle { path: path.to_owned(), problem };
    let unreadable = |source| TransportError::Unreadable { path: path.to_owned(), source };
    let mut pem = Vec::new();
    std::fs::File::open(path).map_err(unreadable)?.take(MAX_BUNDLE_BYTES + 1).read_to_end(&mut pem).map_err(unreadable)?;
    if pem.len() as u64 > MAX_BUNDLE_BYTES {
        return Err(wrong("is over 4 MiB".to_owned()));
    }
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        let number = index + 1;
        let certificate = certificate.map_err(|error| wrong(format!("certificate {number} is not PEM: {error}")))?;
        roots.add(certificate).map_err(|error| wrong(format!("certificate {number} cannot be a root: {error}")))?;
    }
    if roots.is_empty() {
        return Err(wrong("has no certificate (PEM, BEGIN CERTIFICATE)".to_owned()));
    }
    Ok(roots)
}

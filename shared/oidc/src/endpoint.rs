//! Which addresses keys may be fetched from: https anywhere, http on this machine alone, for development.
//!
//! Keys that came over plain http are whoever's was on the way. The rule is applied to what an operator configured and to
//! what a discovery document names, before anything is connected to.

use std::net::Ipv4Addr;

/// The longest address, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// Checks an address to fetch from.
///
/// # Errors
/// What is wrong with it, in words that repeat nothing of it.
pub(crate) fn check(url: &str) -> Result<(), &'static str> {
    const NOT_A_URL: &str = "must be a URL without user, fragment and unusual characters";
    if url.len() > MAX_URL_BYTES {
        return Err("must have at most 2048 bytes");
    }
    let (secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err("must begin with https://"),
    };
    // The characters of RFC 3986 without `#`. Above all no backslash, control character or space: where those end a host is
    // a matter on which parsers differ.
    if !url.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&b)) {
        return Err(NOT_A_URL);
    }
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    let host = host(authority).ok_or(NOT_A_URL)?;
    if secure || is_loopback(host) { Ok(()) } else { Err("must be https: http is for loopback hosts alone") }
}

/// Checks an issuer whose discovery document is to be fetched (OpenID Connect Discovery 1.0, section 2).
pub(crate) fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    check(issuer)?;
    if issuer.contains('?') { Err("must have no query for discovery") } else { Ok(()) }
}

/// The host of `authority`, if that is a host with or without a port, and no user.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        (&authority[..address.len() + 2], after.strip_prefix(':').or(after.is_empty().then_some("0")))
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("0")),
        }
    };
    let port = port?;
    let legal_port = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let bracketed = host.starts_with('[');
    let legal_host = bracketed || (!host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'));
    (legal_port && legal_host).then_some(host)
}

/// Whether a host can only be this machine: `localhost`, names below it (RFC 6761, section 6.3), 127.0.0.0/8 and `[::1]`.
fn is_loopback(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || name == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_anywhere_and_http_on_this_machine() {
        for url in [
            "https://idp.example",
            "https://idp.example/",
            "https://idp.example:8443/a/b?c=d&e=%20",
            "https://192.0.2.1/keys",
            "https://[2001:db8::1]:1/keys",
            "http://localhost/keys",
            "http://LocalHost:9000",
            "http://idp.localhost:9000/keys?x",
            "http://127.0.0.1:1/",
            "http://127.255.255.254",
            "http://[::1]:8080/keys",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn an_address_is_bounded() {
        let url = |bytes: usize| format!("https://idp.example/{}", "x".repeat(bytes - "https://idp.example/".len()));
        assert_eq!(check(&url(2048)), Ok(()));
        assert_eq!(check(&url(2049)), Err("must have at most 2048 bytes"));
    }

    #[test]
    fn nothing_else() {
        for url in [
            "",
            "idp.example",
            "//idp.example",
            "HTTPS://idp.example",
            "ftp://idp.example",
            "file:///etc/passwd",
            "https:///keys",
            "https://:443/",
            "https://?x",
            "https://user@idp.example/",
            "https://user:secret@idp.example/",
            "https://idp.example/#x",
            "https://idp.example\\.localhost/",
            "https://idp.example /",
            "https://idp.example\n/",
            "https://idp.example:port/",
            "https://idp.example:65536/",
            "https://idp.example:+1/",
            "https://idp.example:/",
            "https://[::1/",
            "https://[::1]x/",
            "https://[localhost]/",
            "https://idp_.example/",
            "https://ïdp.example/",
            "https://idp%2eexample/",
            "http://idp.example/",
            "http://localhost.idp.example/",
            "http://localhost@idp.example/",
            "http://notlocalhost/",
            "http://128.0.0.1/",
            "http://127.1/",
            "http://0177.0.0.1/",
            "http://2130706433/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::2]/",
            "http://0.0.0.0/",
            "http://169.254.169.254/latest/meta-data",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
        assert!(check(&format!("https://idp.example/{}", "x".repeat(2048))).is_err());
        assert!(check_issuer("https://idp.example/tenant").is_ok());
        assert!(check_issuer("https://idp.example/?tenant=1").is_err());
    }
}

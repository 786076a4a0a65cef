//! Random text: ids, tokens and secrets.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Why there is no randomness: the operating system gave none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// 256 bits in base64url: a token or a secret.
pub fn secret() -> Result<String, NoRandomness> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<32>()?))
}

/// 128 bits in the form of a UUID (version 4): a request id or a token id.
pub fn uuid() -> Result<String, NoRandomness> {
    let mut bytes = bytes::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = crate::sigv4::hex(&bytes);
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    Ok(format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)))
}

/// `prefix` and random characters of A-Z and 2-7, 20 in all: an access key id, or a unique id of a role.
pub(crate) fn aws_id(prefix: &str) -> Result<String, NoRandomness> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let random = bytes::<20>()?;
    let rest = random.iter().take(20_usize.saturating_sub(prefix.len()));
    Ok(prefix.chars().chain(rest.map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_forms() {
        let id = uuid().unwrap();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"));
        let key = aws_id("ASIAEXAMPLE").unwrap();
        assert!(key.len() == 20 && key.starts_with("ASIAEXAMPLE"));
        assert_ne!(secret().unwrap(), secret().unwrap());
    }
}

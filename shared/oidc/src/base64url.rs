//! Base64url without padding, in its one canonical form (RFC 4648, section 5; RFC 7515, section 2).
//!
//! A lenient decoder reads several texts as the same bytes. A token would then have twins: signature and claims the same,
//! text different, and whatever remembers tokens by their text (a replay mark, a log) is evaded.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Decodes; none for padding, white space, the other alphabet, a length that no input has, and bits set that are dropped.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Whether [`decode`] would take the text, without decoding it.
pub(crate) fn is_canonical(text: &str) -> bool {
    let bytes = text.as_bytes();
    // The last character of a group of two holds four bits that are dropped, of a group of three two.
    let dropped = match bytes.len() % 4 {
        0 => 0,
        2 => 0b1111,
        3 => 0b11,
        _ => return false,
    };
    let last = match bytes.last() {
        None => 0,
        Some(&last) => value(last),
    };
    bytes.iter().all(|&b| value(b) < 64) && last & dropped == 0
}

/// What a character stands for; 64 for one that is not in the alphabet.
const fn value(b: u8) -> u8 {
    match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => 64,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_text_for_each_bytes() {
        assert_eq!(decode("_-8").as_deref(), Some(&[0xff, 0xef][..]));
        assert_eq!(decode("").as_deref(), Some(&[][..]));
        for odd in ["_-8=", "/+8", "_-9", "_-8 ", " _-8", "_-\n8", "A", "AAAAA", "ab==", "é"] {
            assert_eq!(decode(odd), None, "{odd:?}");
            assert!(!is_canonical(odd), "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn canonical_is_what_decodes(text in "[A-Za-z0-9_=+/-]{0,12}") {
            prop_assert_eq!(is_canonical(&text), decode(&text).is_some());
        }

        #[test]
        fn what_decodes_encodes_to_itself(text in "[A-Za-z0-9_-]{0,12}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(URL_SAFE_NO_PAD.encode(bytes), text);
            }
        }
    }
}

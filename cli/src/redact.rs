//! Tokens and presigned URLs taken out of what is said about a mistake: whoever gives a command a token as an argument finds it in the
//! shell's history, and must not find it on the screen, in a log of a job, and in what is pasted from there as well.

use std::borrow::Cow;

/// What begins every JWT: the base64url of `{"`.
const BEGINS: &str = "eyJ";

/// As long as no word is that begins so, and shorter than the head of any token.
const NO_WORD: usize = 40;

/// What comes before the secret of a presigned URL, in the URL or written into another one.
const NAMES: [&str; 2] = ["token=", "token%3d"];

/// The text without what is or may be a secret.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let mut safe = String::new();
    let (mut rest, mut has_any) = (text, false);
    while let Some(c) = rest.chars().next() {
        if let Some(length) = token(rest) {
            safe.push_str("(a token)");
            (rest, has_any) = (&rest[length..], true);
        } else if let Some((name, length)) = value(rest) {
            safe.push_str(&rest[..name]);
            safe.push_str("(redacted)");
            (rest, has_any) = (&rest[name + length..], true);
        } else {
            safe.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    if has_any { Cow::Owned(safe) } else { Cow::Borrowed(text) }
}

/// How long the token is that the text begins with; none where it begins with none. One that is cut off is one, too.
fn token(text: &str) -> Option<usize> {
    if !text.starts_with(BEGINS) {
        return None;
    }
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"-_.=".contains(&b);
    let length = text.bytes().take_while(|b| is_part(*b)).count();
    let dots = text.bytes().take(length).filter(|b| *b == b'.').count();
    (dots >= 2 || length >= NO_WORD).then_some(length)
}

/// How long the name is that the text begins with, and how long its value.
fn value(text: &str) -> Option<(usize, usize)> {
    let begins = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let name = NAMES.into_iter().find(|name| begins(name))?.len();
    let ends = |c: char| c.is_whitespace() || c.is_control() || "&'\"`<>#".contains(c);
    let length = text[name..].find(ends).unwrap_or(text.len() - name);
    (length > 0).then_some((name, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_urls_are_taken_out_and_nothing_else() {
        let long = format!("eyJ{}", "a".repeat(60));
        for (text, safe) in [
            ("error: unexpected argument 'eyJhbGc.eyJzdWI.c2ln-_x' found", "error: unexpected argument '(a token)' found"),
            ("\u{1b}[33meyJh.eyJz.c2ln\u{1b}[0m", "\u{1b}[33m(a token)\u{1b}[0m"),
            ("Bearer eyJh.eyJz.c2ln and eyJh..x.y.z!", "Bearer (a token) and (a token)!"),
            ("--target=eyJh.eyJz.c2ln: ä", "--target=(a token): ä"),
            (&long, "(a token)"),
            ("https://d-x.studio/auth?token=abc&x=1 cannot", "https://d-x.studio/auth?token=(redacted)&x=1 cannot"),
            ("'https://nb?authToken=a.b%2F'", "'https://nb?authToken=(redacted)'"),
            ("https://x/?to=https%3A%2F%2Fy%3Ftoken%3Dabc", "https://x/?to=https%3A%2F%2Fy%3Ftoken%3D(redacted)"),
        ] {
            assert_eq!(redacted(text), safe);
        }
        for kept in ["", "eyJ", "eyJ.json cannot be read", "heyJude.txt", "the token= is empty", "a token: \u{fc}\u{1f600}", "tok"] {
            assert!(matches!(redacted(kept), Cow::Borrowed(text) if text == kept), "{kept}");
        }
    }
}

//! Event files whose tokens are filled in when they are used: `events/README.md` describes them.

use std::collections::HashMap;

use anyhow::{Context as _, bail};

/// What stands for a token: `${TOKEN:` and a user, perhaps a variant, and `}`.
const PLACEHOLDER: &str = "${TOKEN:";

/// Replaces each placeholder in an event's text by what `token` gives for what stands in it (`user` or `user:variant`).
///
/// A placeholder that stands several times is asked for once: a gateway writes a header into two maps, and two tokens there
/// would be two Authorization values.
///
/// # Errors
/// A placeholder that does not end, or one that `token` gives nothing for.
pub async fn fill_in(text: &str, token: impl AsyncFn(&str) -> anyhow::Result<String>) -> anyhow::Result<String> {
    let mut tokens = HashMap::new();
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(PLACEHOLDER) {
        let (name, after) = after.split_once('}').context("a placeholder for a token does not end")?;
        filled.push_str(before);
        if !tokens.contains_key(name) {
            tokens.insert(name, token(name).await?);
        }
        filled.push_str(&tokens[name]);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Asks a running `latchkey dev` for a token of a made-up user.
///
/// # Errors
/// Nothing answers, there is no such user, or a variant is asked for: tokens that are wrong on purpose are for tests.
pub async fn demo_token(issuer: &str, name: &str) -> anyhow::Result<String> {
    if name.contains(':') {
        bail!("{PLACEHOLDER}{name}}}: only the tests make tokens that are wrong on purpose");
    }
    let answer = crate::http::post_form(&format!("{issuer}/dev/token"), format!("user={name}"))
        .await
        .with_context(|| format!("no token from {issuer}; is `latchkey dev` running?"))?;
    if answer.status != 200 {
        bail!("{issuer} gives no token for {name} (status {})", answer.status);
    }
    Ok(answer.body.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn placeholders_are_replaced_wherever_they_stand() {
        let filled = fill_in("a ${TOKEN:alice} b ${TOKEN:bob:expired}${TOKEN:alice}", async |name| Ok(format!("<{name}>"))).await;
        assert_eq!(filled.unwrap(), "a <alice> b <bob:expired><alice>");
        let asked = std::cell::Cell::new(0);
        let count = async |_: &str| Ok(asked.replace(asked.get() + 1).to_string());
        assert_eq!(fill_in("${TOKEN:a} ${TOKEN:a} ${TOKEN:b}", count).await.unwrap(), "0 0 1");
        assert_eq!(fill_in("none", async |_| bail!("not asked")).await.unwrap(), "none");
    }

    #[tokio::test]
    async fn what_cannot_be_filled_in_is_an_error() {
        assert!(fill_in("${TOKEN:alice", async |_| Ok(String::new())).await.is_err());
        assert!(fill_in("${TOKEN:x}", async |name| bail!("no {name}")).await.is_err());
        assert!(demo_token("http://127.0.0.1:9", "alice:expired").await.is_err());
    }
}

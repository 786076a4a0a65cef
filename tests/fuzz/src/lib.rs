//! The bodies of the fuzz targets: what must hold for any input. `cargo fuzz` runs them on made-up inputs, the ordinary tests on
//! the corpora and on what they make of them.

mod event;
mod forged;

use latchkey_api::bearer::bearer_token;
use latchkey_domain::grant::Grant;
use latchkey_domain::item::Value;
use latchkey_domain::names::TargetName;
use latchkey_oidc::config::parse_issuers;
use latchkey_oidc::key_set::KeySet;
use latchkey_oidc::unverified::UnverifiedToken;

pub use self::event::event;
pub use self::forged::forged_token;

/// A target: its name, and what must hold.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("event", event),
    ("bearer", bearer),
    ("token", token),
    ("forged_token", forged_token),
    ("key_set", key_set),
    ("item", item),
    ("issuers", issuers),
];

/// An `Authorization` value. What is taken for a token is a part of it that no header could be split at.
pub fn bearer(data: &[u8]) {
    let Ok(value) = std::str::from_utf8(data) else { return };
    if let Ok(token) = bearer_token(vec![value.to_owned()]) {
        assert!(value.ends_with(token.expose()));
        assert!(token.expose().bytes().all(|b| b.is_ascii_graphic() && b != b','));
    }
}

/// A token before it is verified. It is read one way only: another spelling of the same bytes is no token.
pub fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if UnverifiedToken::parse(text).is_ok() {
        assert_eq!(text.split('.').count(), 3);
        assert!(UnverifiedToken::parse(&format!("{text}=")).is_err());
        assert!(UnverifiedToken::parse(&format!("{text}.")).is_err());
    }
}

/// A key set. Each key that is used can be found, or is ambiguous; no more keys come out than went in.
pub fn key_set(data: &[u8]) {
    let Ok(set) = KeySet::parse(data) else { return };
    for key in set.keys() {
        assert!(!matches!(set.find(key.key_id()), latchkey_oidc::key_set::Lookup::Unknown));
    }
}

/// A row of the table, as JSON. A grant that is written reads back equal.
pub fn item(data: &[u8]) {
    let Ok(Value::M(item)) = serde_json::from_slice(data) else { return };
    let Ok(name) = TargetName::new("fuzz") else { return };
    if let Ok(grant) = Grant::from_item(name.clone(), &item) {
        assert_eq!(Grant::from_item(name, &grant.to_item()), Ok(grant));
    }
}

/// The configuration of issuers. Its errors are one line.
pub fn issuers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = parse_issuers(text) {
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

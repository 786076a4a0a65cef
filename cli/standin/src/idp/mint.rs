//! Tokens to order: right ones for the demo, and every kind of wrong one for tests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::IdpError;
use super::keys::{Algorithm, Key};
use crate::random;

/// What a token is to say. [`MintOptions::new`] gives a good access token; change a field to make it another.
#[derive(Debug, Clone, PartialEq)]
pub struct MintOptions {
    /// `sub`.
    pub subject: String,
    /// `aud`: a string, or an array. None is the issuer's own audience.
    pub audience: Option<Value>,
    /// `iss`. None is the issuer itself.
    pub issuer: Option<String>,
    /// Seconds from `iat` to `exp`; negative for a token that had expired before it was made.
    pub lifetime_seconds: i64,
    /// Seconds from now to `iat`.
    pub issued_in_seconds: i64,
    /// Seconds from now to `nbf`; none leaves it out.
    pub not_before_in_seconds: Option<i64>,
    /// `jti`. None is a random one.
    pub jti: Option<String>,
    /// The header's `typ`; none leaves it out.
    pub typ: Option<String>,
    /// How it is signed. The current key of that kind signs, unless `key` names one.
    pub algorithm: Algorithm,
    /// The key that signs it, by its id: any that the issuer ever had, retired ones too.
    pub key: Option<String>,
    /// What the header says as `kid`, whatever key signs.
    pub kid: Kid,
    /// Members to add to the payload, or to put in place of the ones that are there.
    pub claims: Map<String, Value>,
    /// Members to add to the header, or to put in place of the ones that are there.
    pub header: Map<String, Value>,
    /// Members to take out of the payload at last.
    pub without: Vec<String>,
}

/// What a token's header says as `kid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kid {
    /// The id of the key that signs.
    OfTheKey,
    /// This.
    Text(String),
    /// Nothing.
    Absent,
}

impl MintOptions {
    /// An access token (`at+jwt`, RFC 9068) for this subject, signed with RS256, that is good for five minutes.
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            audience: None,
            issuer: None,
            lifetime_seconds: 300,
            issued_in_seconds: 0,
            not_before_in_seconds: None,
            jti: None,
            typ: Some("at+jwt".to_owned()),
            algorithm: Algorithm::Rs256,
            key: None,
            kid: Kid::OfTheKey,
            claims: Map::new(),
            header: Map::new(),
            without: Vec::new(),
        }
    }

    /// With this claim added, or in place of the one that is there.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    pub(super) fn sign(&self, key: &Key, issuer: &str, audience: &str, now: i64) -> Result<String, IdpError> {
        let mut header = json!({ "alg": key.algorithm().as_str() });
        let issued_at = now.saturating_add(self.issued_in_seconds);
        let mut payload = json!({
            "iss": self.issuer.as_deref().unwrap_or(issuer),
            "sub": self.subject,
            "aud": self.audience.clone().unwrap_or_else(|| audience.into()),
            "iat": issued_at,
            "exp": issued_at.saturating_add(self.lifetime_seconds),
            "jti": match &self.jti { Some(jti) => jti.clone(), None => random::uuid()? },
        });
        if let Some(members) = header.as_object_mut() {
            match &self.kid {
                Kid::OfTheKey => drop(members.insert("kid".to_owned(), key.kid.as_str().into())),
                Kid::Text(kid) => drop(members.insert("kid".to_owned(), kid.as_str().into())),
                Kid::Absent => {}
            }
            if let Some(typ) = &self.typ {
                members.insert("typ".to_owned(), typ.as_str().into());
            }
            members.extend(self.header.clone());
        }
        if let Some(members) = payload.as_object_mut() {
            if let Some(seconds) = self.not_before_in_seconds {
                members.insert("nbf".to_owned(), now.saturating_add(seconds).into());
            }
            members.extend(self.claims.clone());
            for name in &self.without {
                members.remove(name);
            }
        }
        compact(&header.to_string(), &payload.to_string(), key)
    }
}

/// A compact JWS (RFC 7515) over these texts, whatever they are.
pub(super) fn compact(header: &str, payload: &str, key: &Key) -> Result<String, IdpError> {
    let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Ok(token)
}

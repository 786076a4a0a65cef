//! IAM policies, as far as the stand-in understands them: and what it does not understand, it refuses.
//!
//! Statements with `Effect`, `Action` and `Resource`, exact or with the wildcards `*` and `?`. A policy that says more
//! (conditions, negations, principals) is not evaluated as if it said less: it is malformed here.

use serde::Deserialize;

/// A parsed policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy(Vec<Statement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    allow: bool,
    actions: Vec<String>,
    resources: Vec<String>,
}

/// What a policy says about an action on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A statement allows it and none denies it.
    Allowed,
    /// No statement speaks of it.
    NotAllowed,
    /// A statement denies it.
    Denied,
}

/// Why a document is not a policy that the stand-in can evaluate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedPolicy(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "Version")]
    version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    #[serde(rename = "Statement")]
    statement: OneOrMany<StatementDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementDocument {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    #[serde(rename = "Effect")]
    effect: String,
    #[serde(rename = "Action")]
    action: OneOrMany<String>,
    #[serde(rename = "Resource")]
    resource: OneOrMany<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

impl Policy {
    /// A policy that allows nothing.
    pub const fn nothing() -> Self {
        Self(Vec::new())
    }

    /// One statement that allows these actions on these resources; both may have wildcards.
    pub fn allow<A: Into<String>, R: Into<String>>(actions: impl IntoIterator<Item = A>, resources: impl IntoIterator<Item = R>) -> Self {
        Self(vec![Statement {
            allow: true,
            actions: actions.into_iter().map(Into::into).collect(),
            resources: resources.into_iter().map(Into::into).collect(),
        }])
    }

    /// This policy and the statements of another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Reads a policy document.
    ///
    /// # Errors
    /// Anything that is not a policy, or says what the stand-in does not evaluate.
    pub fn parse(json: &str) -> Result<Self, MalformedPolicy> {
        let bad = |why: &str| MalformedPolicy(why.to_owned());
        let document: Document = serde_json::from_str(json).map_err(|e| {
            MalformedPolicy(format!("This policy contains invalid Json, or elements that the stand-in does not evaluate: {e}"))
        })?;
        if !matches!(document.version.as_deref(), None | Some("2012-10-17" | "2008-10-17")) {
            return Err(bad("The policy's Version must be 2012-10-17 or 2008-10-17."));
        }
        let statements = document.statement.into_vec();
        if statements.is_empty() {
            return Err(bad("The policy must have a Statement."));
        }
        statements
            .into_iter()
            .map(|statement| {
                let allow = match statement.effect.as_str() {
                    "Allow" => true,
                    "Deny" => false,
                    _ => return Err(bad("A statement's Effect must be Allow or Deny.")),
                };
                let (actions, resources) = (statement.action.into_vec(), statement.resource.into_vec());
                let is_action = |action: &String| {
                    action == "*"
                        || action.split_once(':').is_some_and(|(service, name)| {
                            !service.is_empty()
                                && !name.is_empty()
                                && service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'?'))
                        })
                };
                if actions.is_empty() || !actions.iter().all(is_action) {
                    return Err(bad("Actions must be \"*\" or prefixed by a vendor, e.g. sagemaker:CreatePresignedDomainUrl."));
                }
                // Five colons at least; a `$` begins a policy variable, which would have to be filled in.
                let is_resource = |resource: &String| {
                    !resource.contains('$') && (resource == "*" || (resource.starts_with("arn:") && resource.matches(':').count() >= 5))
                };
                if resources.is_empty() || !resources.iter().all(is_resource) {
                    return Err(bad("Resources must be \"*\" or ARNs without policy variables."));
                }
                Ok(Statement { allow, actions, resources })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What the policy says about `action` on `resource`. Actions compare without case, resources with it.
    pub fn verdict(&self, action: &str, resource: &str) -> Verdict {
        let action = action.to_ascii_lowercase();
        let mut verdict = Verdict::NotAllowed;
        for statement in &self.0 {
            let speaks = statement.actions.iter().any(|pattern| matches(pattern.to_ascii_lowercase().as_bytes(), action.as_bytes()))
                && statement.resources.iter().any(|pattern| matches(pattern.as_bytes(), resource.as_bytes()));
            match (speaks, statement.allow) {
                (true, false) => return Verdict::Denied,
                (true, true) => verdict = Verdict::Allowed,
                (false, _) => {}
            }
        }
        verdict
    }
}

/// `*` for any run of characters, `?` for any one. Linear in the text for each star.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last star took one character more.
    let mut retry = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p + 1, t + 1));
            p += 1;
        } else if pattern.get(p).is_some_and(|&c| c == b'?' || Some(&c) == text.get(t)) {
            p += 1;
            t += 1;
        } else if let Some((after_star, next)) = retry {
            retry = Some((after_star, next + 1));
            p = after_star;
            t = next;
        } else {
            return false;
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|&c| c == b'*'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACTION: &str = "sagemaker:CreatePresignedDomainUrl";
    const JANE: &str = "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-abc/jane";

    fn one(effect: &str, action: &str, resource: &str) -> String {
        format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}"}}]}}"#)
    }

    #[test]
    fn exact_and_wildcard_statements() {
        for (action, resource, verdict) in [
            (ACTION, JANE, Verdict::Allowed),
            ("sagemaker:createpresigneddomainurl", JANE, Verdict::Allowed),
            ("sagemaker:Create*", JANE, Verdict::Allowed),
            ("*", "*", Verdict::Allowed),
            (ACTION, "arn:aws:sagemaker:*:111122223333:user-profile/d-abc/*", Verdict::Allowed),
            (ACTION, "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-abc/jan?", Verdict::Allowed),
            (ACTION, "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-abc/jan", Verdict::NotAllowed),
            (ACTION, "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-abc/Jane", Verdict::NotAllowed),
            (ACTION, "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/*/janet", Verdict::NotAllowed),
            ("sagemaker:CreatePresignedNotebookInstanceUrl", JANE, Verdict::NotAllowed),
        ] {
            let policy = Policy::parse(&one("Allow", action, resource)).unwrap();
            assert_eq!(policy.verdict(ACTION, JANE), verdict, "{action} {resource}");
        }
    }

    #[test]
    fn a_deny_wins() {
        let policy = Policy::allow(["*"], ["*"]).and(Policy::parse(&one("Deny", ACTION, JANE)).unwrap());
        assert_eq!(policy.verdict(ACTION, JANE), Verdict::Denied);
        assert_eq!(policy.verdict(ACTION, "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-abc/joe"), Verdict::Allowed);
        assert_eq!(Policy::nothing().verdict(ACTION, JANE), Verdict::NotAllowed);
    }

    #[test]
    fn what_it_does_not_understand_is_malformed() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"Statement":[]}"#,
            r#"{"Version":"2020-01-01","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}}"#,
            r#"{"Statement":{"Effect":"Allow","NotAction":"sts:*","Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}}"#,
            r#"{"Statement":{"Effect":"allow","Action":"*","Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"},"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
            &one("Allow", "CreatePresignedDomainUrl", "*"),
            &one("Allow", "*", "jane"),
            &one("Allow", "*", "arn:aws:sagemaker:*:*:user-profile/d-abc/${aws:username}"),
        ] {
            assert!(Policy::parse(bad).is_err(), "{bad}");
        }
        // As the broker's session policies for MLflow have it.
        let server = "arn:aws:sagemaker:eu-central-1:111122223333:mlflow-tracking-server/experiments";
        let mlflow = Policy::parse(&one("Allow", "sagemaker-mlflow:*", server)).unwrap();
        assert_eq!(mlflow.verdict("sagemaker-mlflow:AccessUI", server), Verdict::Allowed);
        assert_eq!(mlflow.verdict("sagemaker:DescribeMlflowTrackingServer", server), Verdict::NotAllowed);
        assert!(Policy::parse(r#"{"Statement":{"Sid":"a","Effect":"Allow","Action":["sts:AssumeRole"],"Resource":["*"]}}"#).is_ok());
    }

    proptest! {
        /// Against the obvious recursion.
        #[test]
        fn wildcards_match_as_they_should(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            fn obvious(p: &[u8], t: &[u8]) -> bool {
                match (p, t) {
                    ([], []) => true,
                    ([b'*', p @ ..], _) => obvious(p, t) || !t.is_empty() && obvious(&[b"*", p].concat(), &t[1..]),
                    ([b'?', p @ ..], [_, t @ ..]) => obvious(p, t),
                    ([a, p @ ..], [b, t @ ..]) => a == b && obvious(p, t),
                    _ => false,
                }
            }
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), obvious(pattern.as_bytes(), text.as_bytes()));
        }
    }
}

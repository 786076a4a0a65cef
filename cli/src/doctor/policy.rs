//! What IAM policies say, as far as the checks ask for it (IAM User Guide, "IAM JSON policy elements reference").
//!
//! It reads narrowly: a statement that it does not understand counts neither as one that lets through nor as one that keeps out.

use std::net::IpAddr;

use serde_json::Value;

/// A statement of a policy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement<'a>(&'a Value);

/// The statements of a policy document, which may come as an object or as the text of one.
pub(crate) fn statements(document: &Value) -> Vec<Statement<'_>> {
    match document.get("Statement") {
        Some(Value::Array(many)) => many.iter().map(Statement).collect(),
        Some(one) => vec![Statement(one)],
        None => Vec::new(),
    }
}

/// A document that comes as text, read; API Gateway gives its own with quotes that are escaped once more.
pub(crate) fn document(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => serde_json::from_str(text).or_else(|_| serde_json::from_str(&text.replace("\\\"", "\""))).ok(),
        Value::Object(_) => Some(value.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// One text, or a list of them.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// Whether a pattern with `*` and `?` is for an action. Actions have no case.
fn is_for(pattern: &str, action: &str) -> bool {
    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => matches(rest, text) || text.split_first().is_some_and(|(_, left)| matches(pattern, left)),
            (Some((b'?', rest)), Some((_, left))) => matches(rest, left),
            (Some((p, rest)), Some((t, left))) => p.eq_ignore_ascii_case(t) && matches(rest, left),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
    matches(pattern.as_bytes(), action.as_bytes())
}

impl<'a> Statement<'a> {
    /// Whether it allows.
    pub(crate) fn allows(self) -> bool {
        self.0["Effect"] == "Allow"
    }

    /// Whether it denies.
    pub(crate) fn denies(self) -> bool {
        self.0["Effect"] == "Deny"
    }

    /// Whether it is about an action.
    pub(crate) fn is_about(self, action: &str) -> bool {
        match (self.0.get("Action"), self.0.get("NotAction")) {
            (Some(actions), _) => texts(actions).iter().any(|pattern| is_for(pattern, action)),
            (None, Some(others)) => !texts(others).iter().any(|pattern| is_for(pattern, action)),
            (None, None) => false,
        }
    }

    /// Whether it is about every resource, by one of these names for all there is.
    fn is_about_everything(self, everything: &[&str]) -> bool {
        self.resources().iter().any(|resource| everything.contains(resource))
    }

    /// The actions that it names, which may be patterns.
    pub(crate) fn actions(self) -> Vec<&'a str> {
        self.0.get("Action").map(texts).unwrap_or_default()
    }

    /// Whether it names what it is not about, and so is about what nobody has thought of.
    pub(crate) fn names_exceptions(self) -> bool {
        ["NotPrincipal", "NotAction", "NotResource"].iter().any(|element| self.0.get(element).is_some())
    }

    /// Its resources.
    pub(crate) fn resources(self) -> Vec<&'a str> {
        self.0.get("Resource").map(texts).unwrap_or_default()
    }

    /// The AWS principals that it names, and `*`.
    pub(crate) fn principals(self) -> Vec<&'a str> {
        match self.0.get("Principal") {
            Some(Value::Object(kinds)) => kinds.values().flat_map(texts).collect(),
            Some(other) => texts(other),
            None => Vec::new(),
        }
    }

    /// Whether it lets everybody do everything with everything, which is what AWS puts where there is no policy.
    pub(crate) fn lets_all_through(self) -> bool {
        self.allows()
            && self.principals().contains(&"*")
            && self.0.get("Action").is_some_and(|actions| texts(actions).contains(&"*"))
            && self.is_about_everything(&ALL)
            && self.conditions().is_empty()
    }

    /// The values that a condition compares a key with. Keys have no case.
    pub(crate) fn values(self, operator: &str, key: &str) -> Option<Vec<&'a str>> {
        let conditions = self.conditions();
        let found = conditions.iter().find(|(named, about, _)| *named == operator && about.eq_ignore_ascii_case(key));
        found.map(|(_, _, values)| texts(values))
    }

    /// Whether it holds only where the key is there.
    pub(crate) fn asks_for(self, key: &str) -> bool {
        self.conditions().iter().any(|&(operator, about, values)| {
            let is_no = |value: &Value| *value == false || *value == "false";
            about.eq_ignore_ascii_case(key)
                && match operator {
                    "Null" => values.as_array().map_or_else(|| is_no(values), |many| !many.is_empty() && many.iter().all(is_no)),
                    "StringEquals" | "StringLike" => !texts(values).is_empty(),
                    _ => false,
                }
        })
    }

    /// Operator, key and values of each condition.
    fn conditions(self) -> Vec<(&'a str, &'a str, &'a Value)> {
        let Some(Value::Object(operators)) = self.0.get("Condition") else { return Vec::new() };
        let of_operator = |(operator, keys): (&'a String, &'a Value)| {
            keys.as_object().into_iter().flatten().map(|(key, values)| (operator.as_str(), key.as_str(), values)).collect::<Vec<_>>()
        };
        operators.iter().flat_map(of_operator).collect()
    }
}

/// What ties an action to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tie {
    /// These VPC endpoints.
    Endpoints(Vec<String>),
    /// These VPCs.
    Vpcs(Vec<String>),
}

/// Besides the network, addresses may let this through, and nothing else: NetworkMethod address.
const BY_ADDRESS: &str = "sagemaker:CreatePresignedNotebookInstanceUrl";

/// Whether these are ranges of addresses, each of them as narrow as template.yaml asks of AddressRanges: what lets the internet through is
/// no boundary.
fn are_narrow(ranges: &Value) -> bool {
    let count = ranges.as_array().map_or(1, Vec::len);
    let ranges = texts(ranges);
    let is_narrow = |range: &&str| {
        let (address, length) = range.split_once('/').map_or((*range, None), |(address, length)| (address, Some(length)));
        let (least, most) = match address.parse() {
            Ok(IpAddr::V4(_)) => (16, 32),
            Ok(IpAddr::V6(_)) => (32, 128),
            Err(_) => return false,
        };
        length.is_none_or(|length| length.parse::<u8>().is_ok_and(|length| (least..=most).contains(&length)))
    };
    count > 0 && ranges.len() == count && ranges.iter().all(is_narrow)
}

/// What every policy calls everything.
pub(crate) const ALL: [&str; 1] = ["*"];

/// What ties an action to the network: a Deny over everything for what comes by no other endpoint or VPC, as our templates have it. A
/// negated operator also matches where there is no such key, so that whatever comes by no endpoint is refused too. `everything` is what
/// a policy of this kind calls all of its resources.
pub(crate) fn tie(statements: &[Statement<'_>], action: &str, everything: &[&str]) -> Option<Tie> {
    let tied = |key: &str| {
        let denies = statements.iter().filter(|s| s.denies() && s.is_about(action) && s.is_about_everything(everything));
        // Each further condition makes it hold less often, also one on the same key: with `Null` whatever comes by no endpoint goes through.
        let mut plain = denies.filter(|s| {
            s.conditions().iter().all(|&(operator, about, values)| match operator {
                "StringNotEquals" => about.eq_ignore_ascii_case(key),
                "NotIpAddress" => action == BY_ADDRESS && about.eq_ignore_ascii_case("aws:SourceIp") && are_narrow(values),
                _ => false,
            })
        });
        plain.find_map(|s| s.values("StringNotEquals", key)).map(|values| values.into_iter().map(str::to_owned).collect())
    };
    tied("aws:SourceVpce").map(Tie::Endpoints).or_else(|| tied("aws:SourceVpc").map(Tie::Vpcs))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deny_ties_and_whatever_weakens_it_does_not() {
        let deny_of = |action: &str, change: &dyn Fn(&mut Value)| {
            let mut statement = json!({
                "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:SourceVpce": ["vpce-1", "vpce-2"]}}
            });
            change(&mut statement);
            let document = json!({"Statement": [statement]});
            tie(&statements(&document), action, &ALL)
        };
        let deny = |change: fn(&mut Value)| deny_of("sagemaker:CreatePresignedDomainUrl", &change);
        let both = Some(Tie::Endpoints(vec!["vpce-1".to_owned(), "vpce-2".to_owned()]));
        assert_eq!(deny(|_| ()), both);
        assert_eq!(deny(|s| s["Action"] = json!(["sagemaker:Create*Url"])), both);
        assert_eq!(deny(|s| s["Condition"]["StringNotEquals"] = json!({"AWS:sourcevpce": ["vpce-1", "vpce-2"]})), both);
        // Addresses, for notebook instances alone.
        let by_address = |operator: &str, ranges: Value| {
            deny_of("sagemaker:CreatePresignedNotebookInstanceUrl", &|s| s["Condition"][operator] = json!({"aws:SourceIp": ranges}))
        };
        for narrow in [json!("198.51.100.0/24"), json!(["198.51.0.0/16", "203.0.113.7/32", "203.0.113.8"]), json!("2001:db8::/32")] {
            assert_eq!(by_address("NotIpAddress", narrow.clone()), both, "{narrow}");
        }
        for wide in [
            json!("0.0.0.0/0"),
            json!("198.0.0.0/15"),
            json!(["198.51.100.0/24", "0.0.0.0/1", "128.0.0.0/1"]),
            json!("::/0"),
            json!("2001::/31"),
            json!("198.51.100.0/33"),
            json!("198.51.100.0/x"),
            json!("anywhere"),
            json!([]),
            json!(["198.51.100.0/24", 5]),
        ] {
            assert_eq!(by_address("NotIpAddress", wide.clone()), None, "{wide}");
        }
        for operator in ["IpAddress", "NotIpAddressIfExists", "StringNotEquals"] {
            assert_eq!(by_address(operator, json!("198.51.100.0/24")), None, "{operator}");
        }
        let vpc = |s: &mut Value| s["Condition"]["StringNotEquals"] = json!({"aws:SourceVpc": "vpc-1"});
        assert_eq!(deny(vpc), Some(Tie::Vpcs(vec!["vpc-1".to_owned()])));
        for weaker in [
            (|s: &mut Value| s["Effect"] = json!("Allow")) as fn(&mut Value),
            |s| s["Action"] = json!("sagemaker:Describe*"),
            |s| s["Resource"] = json!("arn:aws:sagemaker:*:*:domain/*"),
            |s| s["Condition"] = json!({"StringNotEqualsIfExists": {"aws:SourceVpce": "vpce-1"}}),
            |s| s["Condition"]["StringEquals"] = json!({"aws:PrincipalTag/x": "y"}),
            |s| s["Condition"]["NotIpAddress"] = json!({"aws:SourceIp": "198.51.100.0/24"}),
            |s| s["Condition"]["Null"] = json!({"aws:SourceVpce": "false"}),
            |s| s["Condition"]["StringEquals"] = json!({"aws:SourceVpce": "vpce-3"}),
            |s| {
                s.as_object_mut().unwrap().remove("Action");
                s["NotAction"] = json!("sagemaker:CreatePresigned*");
            },
        ] {
            assert_eq!(deny(weaker), None);
        }
    }

    #[test]
    fn aws_s_own_policy_of_an_endpoint_is_known() {
        let everything = json!({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]});
        assert!(statements(&everything).iter().any(|s| s.lets_all_through()));
        for less in ["Principal", "Action", "Resource", "Condition"] {
            let mut document = everything.clone();
            document["Statement"][0][less] = match less {
                "Principal" => json!({"AWS": "arn:aws:iam::111122223333:role/r"}),
                "Condition" => json!({"StringEquals": {"aws:PrincipalAccount": "111122223333"}}),
                _ => json!("sts:AssumeRole"),
            };
            assert!(!statements(&document).iter().any(|s| s.lets_all_through()), "{less}");
        }
        // A statement without a list, a principal in its long form.
        let alone = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["*"], "Resource": ["*"]}});
        assert!(statements(&alone)[0].lets_all_through());
    }

    #[test]
    fn a_policy_that_comes_as_text_is_read() {
        let plain = json!("{\"Statement\": []}");
        let escaped = json!("{\\\"Statement\\\": []}");
        for text in [plain, escaped] {
            assert_eq!(document(&text), Some(json!({"Statement": []})));
        }
        assert_eq!(document(&json!("no policy")), None);
    }
}

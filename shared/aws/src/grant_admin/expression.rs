//! What must be true of a row before it is written, and how DynamoDB is told so.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use latchkey_domain::grant;
use latchkey_domain::item::Item;
use latchkey_domain::subject::PROFILES;

use crate::item::{Attributes, to_attributes};

/// What must be true of a row before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect<'a> {
    /// Nothing.
    Anything,
    /// It is not there: a new grant, which must not replace one.
    Absent,
    /// It is there: a change, which must not make one.
    Present,
    /// It is as it was read: every attribute that it had is as it was, and none of those that mean something has come to it. (A
    /// value of a type that no item of ours has, which only an operator's own attribute can be, is not compared.)
    AsRead(&'a Item),
}

impl Expect<'_> {
    /// Why a write was refused that expected this.
    pub(super) const fn refusal(self) -> &'static str {
        match self {
            Self::Absent => "there is such a grant already",
            Self::Present => "there is no such grant",
            Self::AsRead(_) | Self::Anything => "it was changed meanwhile",
        }
    }

    /// The condition for it, of an item; none where nothing is expected.
    pub(super) fn condition(self, expression: &mut Expression) -> Option<String> {
        self.condition_at("pk", "", expression)
    }

    /// The condition for it, of the map at this path within an item.
    pub(super) fn condition_of(self, path: &str, expression: &mut Expression) -> Option<String> {
        self.condition_at(path, &format!("{path}."), expression)
    }

    /// `is_there` is what is there when the row is, and `within` what stands before the names of its attributes.
    fn condition_at(self, is_there: &str, within: &str, expression: &mut Expression) -> Option<String> {
        match self {
            Self::Anything => None,
            Self::Absent => Some(format!("attribute_not_exists({is_there})")),
            Self::Present => Some(format!("attribute_exists({is_there})")),
            Self::AsRead(item) => {
                let mut conditions = vec![format!("attribute_exists({is_there})")];
                for (name, value) in item {
                    // A value that cannot be written cannot be compared with.
                    if let Ok(value) = to_attributes(Item::from([(name.clone(), value.clone())])) {
                        conditions.extend(value.into_iter().map(|(name, value)| {
                            let name = expression.name(name);
                            format!("{within}{name} = {}", expression.value(value))
                        }));
                    }
                }
                // `enabled` that somebody adds in order to close a grant is a change, too.
                for name in grant::attribute_names().into_iter().chain(["status", PROFILES]).filter(|name| !item.contains_key(*name)) {
                    conditions.push(format!("attribute_not_exists({within}{})", expression.name(name)));
                }
                Some(conditions.join(" AND "))
            }
        }
    }
}

/// The placeholders of an expression. Everything goes by them: `status` is a reserved word, and own names can be anything.
#[derive(Debug, Default)]
pub(super) struct Expression {
    names: Vec<String>,
    values: Vec<AttributeValue>,
}

impl Expression {
    /// The placeholder for an attribute's name.
    pub(super) fn name(&mut self, name: impl Into<String>) -> String {
        let name = name.into();
        let known = self.names.iter().position(|other| *other == name);
        let index = known.unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        format!("#n{index}")
    }

    /// The placeholder for a value.
    pub(super) fn value(&mut self, value: AttributeValue) -> String {
        self.values.push(value);
        format!(":v{}", self.values.len() - 1)
    }

    /// The names, for the request; none where there are none, as DynamoDB refuses an empty map.
    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        let names = self.names.iter().enumerate().map(|(index, name)| (format!("#n{index}"), name.clone()));
        (!self.names.is_empty()).then(|| names.collect())
    }

    /// The values, for the request.
    pub(super) fn values(self) -> Option<Attributes> {
        let some = !self.values.is_empty();
        let values = self.values.into_iter().enumerate().map(|(index, value)| (format!(":v{index}"), value));
        some.then(|| values.collect())
    }
}

#[cfg(test)]
mod tests {
    use latchkey_domain::item::Value;

    use super::*;

    #[test]
    fn a_row_is_as_it_was_read_when_nothing_of_it_has_changed_and_nothing_has_come_to_it() {
        let item = Item::from([
            ("kind".to_owned(), Value::S("studio".to_owned())),
            ("updated_at".to_owned(), Value::N("5".to_owned())),
            ("x_odd".to_owned(), Value::Other("SS")),
        ]);
        let mut expression = Expression::default();
        let condition = Expect::AsRead(&item).condition(&mut expression).unwrap();
        let names = expression.names().unwrap();
        let placeholder = |name: &str| names.iter().find(|(_, own)| *own == name).map(|(placeholder, _)| placeholder.clone());
        let (kind, at) = (placeholder("kind").unwrap(), placeholder("updated_at").unwrap());
        assert!(condition.starts_with("attribute_exists(pk) AND "));
        assert!(condition.contains(&format!("{kind} = :v0")) && condition.contains(&format!("{at} = :v1")), "{condition}");
        for absent in ["enabled", "expires_at", "ttl", "landings", "status", "updated_by", "arn"] {
            assert!(condition.contains(&format!("attribute_not_exists({})", placeholder(absent).unwrap())), "{absent}: {condition}");
        }
        assert_eq!(placeholder("x_odd"), None);
        assert_eq!(expression.values().unwrap().len(), 2);
    }

    #[test]
    fn of_a_map_within_an_item_the_same_is_expected_at_its_path() {
        let of = |expect: Expect<'_>| expect.condition_of("#n0.#n1", &mut Expression::default());
        assert_eq!(of(Expect::Anything), None);
        assert_eq!(of(Expect::Absent).as_deref(), Some("attribute_not_exists(#n0.#n1)"));
        assert_eq!(of(Expect::Present).as_deref(), Some("attribute_exists(#n0.#n1)"));
        let item = Item::from([("kind".to_owned(), Value::S("studio".to_owned()))]);
        let (mut expression, mut of_item) = (Expression::default(), Expression::default());
        let condition = Expect::AsRead(&item).condition_of("#m", &mut expression).unwrap();
        let (first, rest) = condition.split_once(" AND ").unwrap();
        assert_eq!(first, "attribute_exists(#m)");
        // Every attribute that is named is named within the map.
        assert_eq!(rest.replace("#m.", ""), Expect::AsRead(&item).condition(&mut of_item).unwrap().split_once(" AND ").unwrap().1);
        assert_eq!(rest.matches("#m.#n").count(), rest.matches("#n").count());
    }
}

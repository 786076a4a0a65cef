//! A table item as plain JSON: strings, numbers and truth values instead of DynamoDB's typed ones.

use latchkey_domain::item::{Item, Value};

/// Writes an item as a JSON object.
pub fn to_json(item: &Item) -> serde_json::Value {
    serde_json::Value::Object(item.iter().map(|(name, value)| (name.clone(), value_to_json(value))).collect())
}

fn value_to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::S(text) => text.clone().into(),
        // A number that JSON cannot hold exactly stays text: better odd than wrong.
        Value::N(number) => number.parse::<i64>().map_or_else(|_| number.clone().into(), Into::into),
        Value::Bool(truth) => (*truth).into(),
        Value::M(map) => to_json(map),
        Value::Other(name) => format!("({name})").into(),
    }
}

/// Reads an item from a JSON object.
///
/// # Errors
/// The name of the first member that is null, a list, or a number that is not whole: no attribute of ours is.
pub fn from_json(object: &serde_json::Map<String, serde_json::Value>) -> Result<Item, String> {
    object.iter().map(|(name, value)| Ok((name.clone(), value_from_json(name, value)?))).collect()
}

fn value_from_json(name: &str, value: &serde_json::Value) -> Result<Value, String> {
    match value {
        serde_json::Value::String(text) => Ok(Value::S(text.clone())),
        serde_json::Value::Bool(truth) => Ok(Value::Bool(*truth)),
        serde_json::Value::Number(number) if number.is_i64() || number.is_u64() => Ok(Value::N(number.to_string())),
        serde_json::Value::Object(map) => from_json(map).map(Value::M),
        serde_json::Value::Number(_) | serde_json::Value::Null | serde_json::Value::Array(_) => {
            Err(format!("{name}: is a string, a whole number, true, false or an object"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_equal() {
        let json = serde_json::json!({"kind": "studio", "enabled": true, "expires_at": 1_900_000_000, "landings": {"lab": {"landing_uri": "studio::"}}});
        let item = from_json(json.as_object().unwrap()).unwrap();
        assert_eq!(to_json(&item), json);
    }

    #[test]
    fn what_no_attribute_can_be_is_named() {
        for json in [serde_json::json!({"a": null}), serde_json::json!({"a": [1]}), serde_json::json!({"a": 1.5})] {
            assert!(from_json(json.as_object().unwrap()).unwrap_err().starts_with("a: "));
        }
    }
}

//! The table and its key.

use serde_json::{Value, json};

use super::checks::{KEY_ROTATION, TABLE_DELETION, TABLE_ENCRYPTION, TABLE_EXPIRY, TABLE_KEYS, TABLE_RECOVERY, TABLE_THERE};
use super::function::Function;
use super::{Doctor, Findings};

pub(super) async fn look(doctor: &Doctor, function: &Function) -> Findings {
    let mut findings = Findings::default();
    let Some(name) = function.variable("LATCHKEY_TABLE") else {
        findings.not_looked_at("the table: no variable of the function names one");
        return findings;
    };
    let seen = doctor.cloud.get("AWS::DynamoDB::Table", name).await;
    let Some(properties) = findings.expect(TABLE_THERE, name, seen) else { return findings };

    let keys = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
    let is_text = |key: &str| {
        let mut defined = properties["AttributeDefinitions"].as_array().into_iter().flatten();
        defined.any(|one| one["AttributeName"] == key && one["AttributeType"] == "S")
    };
    let ours = properties["KeySchema"] == keys && is_text("pk") && is_text("sk");
    findings.hold(TABLE_KEYS, name, (!ours).then(|| "they are others".to_owned()));

    let recovers = properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] == true;
    findings.hold(TABLE_RECOVERY, name, (!recovers).then(|| "point-in-time recovery is off".to_owned()));
    let expiry = &properties["TimeToLiveSpecification"];
    let wrong = match (expiry["Enabled"] == true, expiry["AttributeName"].as_str()) {
        (true, Some("ttl")) => None,
        (true, other) => Some(format!("they expire by {}", other.unwrap_or("another attribute"))),
        (false, _) => Some("time to live is off".to_owned()),
    };
    findings.hold(TABLE_EXPIRY, name, wrong);
    let protected = properties["DeletionProtectionEnabled"] == true;
    findings.hold(TABLE_DELETION, name, (!protected).then(|| "deletion protection is off".to_owned()));

    match key_of(&properties) {
        Some(key) => {
            findings.sound(TABLE_ENCRYPTION, name);
            rotation(doctor, &key, &mut findings).await;
        }
        None => findings.fault(TABLE_ENCRYPTION, name, "it is under a key of AWS's"),
    }
    findings
}

/// The id of the customer's key that a table is under.
fn key_of(table: &Value) -> Option<String> {
    let encryption = &table["SSESpecification"];
    let key = encryption["KMSMasterKeyId"].as_str()?;
    let theirs = encryption["SSEEnabled"] == true && encryption["SSEType"] == "KMS" && !key.contains("alias/aws/");
    theirs.then(|| key.rsplit('/').next().unwrap_or(key).to_owned())
}

async fn rotation(doctor: &Doctor, key: &str, findings: &mut Findings) {
    match doctor.cloud.get("AWS::KMS::Key", key).await {
        Ok(Some(properties)) if properties["EnableKeyRotation"] == true => findings.sound(KEY_ROTATION, key),
        Ok(Some(_)) => findings.weak(KEY_ROTATION, key, "it is not"),
        Ok(None) => findings.not_looked_at(format!("the rotation of {key}: it is no key of this account")),
        Err(why) => findings.unknown(KEY_ROTATION, key, why.0),
    }
}

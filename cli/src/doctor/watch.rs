//! What watches over it: logs and alarms.

use super::checks::{ALARM_THERE, ALARM_TOLD, LOG_KEPT};
use super::{Doctor, Findings};

/// The alarms of template.yaml, by what follows the deployment's name.
pub(super) const ALARMS: [&str; 8] =
    ["denied", "function-errors", "key-age", "key-refresh", "keys-stale", "server-errors", "slow", "throttles"];

pub(super) async fn look(doctor: &Doctor) -> Findings {
    let mut findings = Findings::default();
    let log = format!("/aws/lambda/{}-broker", doctor.name);
    match doctor.cloud.get("AWS::Logs::LogGroup", &log).await {
        Ok(Some(properties)) => {
            let mut wrong = Vec::new();
            if properties["RetentionInDays"].is_null() {
                wrong.push("it is kept forever");
            }
            if properties["KmsKeyId"].as_str().is_none_or(str::is_empty) {
                wrong.push("it is under AWS's own key");
            }
            if wrong.is_empty() {
                findings.sound(LOG_KEPT, &log);
            } else {
                findings.weak(LOG_KEPT, &log, wrong.join(", "));
            }
        }
        Ok(None) => findings.fault(LOG_KEPT, &log, "there is none: no decision is on record"),
        Err(why) => findings.unknown(LOG_KEPT, &log, why.0),
    }
    let alarms = ALARMS.map(|alarm| format!("{}-{alarm}", doctor.name));
    let seen = futures_util::future::join_all(alarms.iter().map(|alarm| doctor.cloud.get("AWS::CloudWatch::Alarm", alarm))).await;
    let mut silent = Vec::new();
    for (alarm, seen) in alarms.iter().zip(seen) {
        if let Some(properties) = findings.expect(ALARM_THERE, alarm, seen)
            && (properties["ActionsEnabled"] == false || properties["AlarmActions"].as_array().is_none_or(Vec::is_empty))
        {
            silent.push(alarm.as_str());
        }
    }
    if silent.is_empty() {
        findings.sound(ALARM_TOLD, "the alarms");
    } else {
        findings.weak(ALARM_TOLD, "the alarms", format!("nobody is told by {}", silent.join(", ")));
    }
    findings
}

//! Clocks: tokens and signatures hang on times that different machines write.

use std::time::Duration;

use super::checks::{CLOCK_AWS, CLOCK_ISSUER};
use super::function::Function;
use super::{Doctor, Findings};
use crate::cloud;

/// The most by which this machine's clock may differ from AWS's, in seconds.
const MAX_AHEAD: i64 = 60;

/// How long an issuer may take to say what time it is.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn look(doctor: &Doctor, function: &Function) -> Findings {
    let mut findings = Findings::default();
    // This machine's clock is what both are compared with, and the function goes by AWS's.
    let Some(aws) = doctor.cloud.ahead_seconds() else {
        findings.unknown(CLOCK_AWS, "AWS", "no answer of AWS's says what time it is");
        return findings;
    };
    findings.hold(CLOCK_AWS, "this machine", (aws.abs() > MAX_AHEAD).then(|| apart("AWS's clock is", aws)));
    for issuer in function.config.iter().flat_map(|config| &config.issuers) {
        let Some(url) = issuer.discovery_url() else { continue };
        // AWS makes whole seconds of it, and so does the issuer.
        let leeway = i64::from(issuer.leeway_seconds).max(1);
        match doctor.transport.date(&url, PATIENCE).await.as_deref().ok().and_then(cloud::ahead) {
            Some(theirs) => {
                let ahead = theirs.saturating_sub(aws);
                findings.hold(CLOCK_ISSUER, issuer.id.as_str(), (ahead.abs() > leeway).then(|| apart("its clock is", ahead)));
            }
            None => findings.not_looked_at(format!("the clock of {}: it cannot be reached from here", issuer.id)),
        }
    }
    findings
}

fn apart(whose: &str, ahead: i64) -> String {
    let direction = if ahead > 0 { "ahead" } else { "behind" };
    format!("{whose} {} s {direction}", ahead.abs())
}

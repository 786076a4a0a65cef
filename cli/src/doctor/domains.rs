//! The domains whose profiles are opened, and how they are set up.

use super::checks::{DOMAIN_AUTH, DOMAIN_KEY, DOMAIN_NETWORK, DOMAIN_THERE};
use super::roles::Roles;
use super::{Doctor, Findings};

pub(super) async fn look(doctor: &Doctor, roles: &Roles) -> Findings {
    let mut findings = Findings::default();
    for domain in roles.domains() {
        let seen = doctor.cloud.get("AWS::SageMaker::Domain", &domain).await;
        let Some(properties) = findings.expect(DOMAIN_THERE, &domain, seen) else { continue };
        // AWS leaves out what was not said, and PublicInternetOnly is its default.
        let network = properties["AppNetworkAccessType"].as_str().unwrap_or("PublicInternetOnly");
        findings.hold(DOMAIN_NETWORK, &domain, (network != "VpcOnly").then(|| format!("it is {network}")));
        let auth = properties["AuthMode"].as_str().unwrap_or("not said");
        findings.hold(DOMAIN_AUTH, &domain, (auth != "IAM").then(|| format!("it is {auth}")));
        if properties["KmsKeyId"].is_string() {
            findings.sound(DOMAIN_KEY, &domain);
        } else {
            findings.weak(DOMAIN_KEY, &domain, "it is under AWS's own key");
        }
    }
    findings
}

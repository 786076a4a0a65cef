//! `latchkey doctor`: what of a deployment is not as it has to be.

use std::process::ExitCode;

use super::say;
use crate::args::DoctorArgs;
use crate::aws;
use crate::cloud::Cloud;
use crate::dns::Resolver;
use crate::doctor::Doctor;
use crate::doctor::text::told;

/// Looks at a deployment.
///
/// # Errors
/// No region or no credentials are configured, or this machine's name servers cannot be found.
pub async fn run(args: DoctorArgs, json: bool) -> anyhow::Result<ExitCode> {
    let deployment = aws::deployment().await?;
    let doctor = Doctor {
        name: args.name,
        region: deployment.clients.region().clone(),
        cloud: Cloud::new(&deployment.config),
        resolver: Resolver::new(args.dns)?,
        clients: deployment.clients,
        transport: deployment.transport,
    };
    let diagnosis = doctor.examine().await;
    say(if json { serde_json::to_string(&diagnosis)? } else { told(&diagnosis) });
    Ok(if diagnosis.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

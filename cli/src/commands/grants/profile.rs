//! `latchkey grants profile`: which user profile is a subject's, for the grants of its groups.

use std::process::ExitCode;

use latchkey_aws::grant_admin::Annotation;
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::subject::Profiles;
use serde_json::json;

use super::{put, report};
use crate::args::ProfileArgs;
use crate::aws;
use crate::change_log::ChangeLog;
use crate::grant_args::Owner;

pub(super) async fn run(args: &ProfileArgs, json: bool) -> anyhow::Result<ExitCode> {
    let log = ChangeLog::open("grants profile", &args.change, &args.table.table)?;
    let identity = args.subject.identity();
    let table = aws::table(&args.table.table).await?;
    let place = args.domain_id.as_ref().map_or_else(|| "any domain".to_owned(), ToString::to_string);
    if let Some(profile) = args.user_profile_name.clone().filter(|_| !args.shared) {
        let wanted = match args.domain_id.clone() {
            Some(domain) => Profiles { by_domain: [(domain, profile.clone())].into(), ..Profiles::default() },
            None => Profiles { anywhere: Some(profile.clone()), ..Profiles::default() },
        };
        let owners = table.other_owners_of_profiles(&identity, &wanted).await?;
        if !owners.is_empty() {
            let refused = json!({"issuer": identity.issuer.as_str(), "subject": identity.subject.as_str(), "done": "refused"});
            let (what, opens) = (format!("the profile of {}", identity.subject), format!("{profile} in {place}"));
            return Ok(put::owned(json, refused, &what, &opens, &owners));
        }
    }
    let at = SystemClock::new().now();
    let annotation = Annotation { by: args.change.by.clone(), ..Annotation::at(at) };
    let changed = table.set_profile(&identity, args.domain_id.as_ref(), args.user_profile_name.as_ref(), &annotation).await?;
    let Some(change) = changed else {
        let value = json!({"issuer": identity.issuer.as_str(), "subject": identity.subject.as_str(), "done": "not found"});
        report(json, &value, &format!("{} has no profile in {place}", identity.subject));
        return Ok(ExitCode::FAILURE);
    };
    log.record(at, &Owner::Subject(identity.clone()), None, &change)?;
    let (done, text) = match &args.user_profile_name {
        Some(profile) => ("written", format!("{} is {profile} in {place}", identity.subject)),
        None => ("removed", format!("{} has no profile in {place} any more", identity.subject)),
    };
    let value = json!({
        "issuer": identity.issuer.as_str(), "subject": identity.subject.as_str(),
        "user_profile_name": args.user_profile_name.as_ref().map(ToString::to_string),
        "domain_id": args.domain_id.as_ref().map(ToString::to_string), "done": done,
    });
    report(json, &value, &text);
    Ok(ExitCode::SUCCESS)
}

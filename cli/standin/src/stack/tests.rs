use std::collections::BTreeMap;

use latchkey_domain::grant::Grant;
use latchkey_domain::names::UserProfileName;
use latchkey_domain::posture::{Finding, Inspection, NotebookFacts};
use latchkey_domain::subject::Standing;
use latchkey_domain::target::{Kind, Place, Target};

use super::*;
use crate::aws::policy::Verdict;
use crate::aws::{Domain, NotebookInstance, Role, World};

#[tokio::test]
async fn the_environment_is_what_the_broker_reads() {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    let env: BTreeMap<String, String> = stack.env().into_iter().collect();
    let issuers: serde_json::Value = serde_json::from_str(&env["LATCHKEY_ISSUERS"]).unwrap();
    assert_eq!(
        issuers,
        json!([{
            "id": "local", "issuer": stack.idp.issuer(), "audiences": ["latchkey"], "token_types": ["at+jwt"],
            "groups_claim": "groups", "jwks": { "source": "url" },
        }])
    );
    assert_eq!(env["AWS_ENDPOINT_URL_STS"], stack.aws.endpoint());
    assert_eq!(env["AWS_ENDPOINT_URL_DYNAMODB"], stack.table.endpoint());
    assert!(env["AWS_ACCESS_KEY_ID"].starts_with("ASIAEXAMPLE"));
    assert!(env.values().all(|value| !value.is_empty()));
    let shown = format!("{stack:?}");
    for secret in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        assert!(!shown.contains(&env[secret]));
    }
    let addresses = [stack.idp.address(), stack.aws.address(), stack.table.address()];
    assert!(addresses.iter().all(|address| address.ip().is_loopback()));
    tokio::time::timeout(std::time::Duration::from_secs(5), stack.shutdown()).await.unwrap();
    for address in addresses {
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }
}

#[tokio::test]
async fn the_demo_fits_together() {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    let names: Vec<&str> = stack.users().iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "kate", "leo", "mia", "nick"]);
    assert_eq!(stack.user("carol").unwrap().standing, Standing::Suspended);
    assert!(stack.user("dave").unwrap().grants.is_empty());
    let now = SystemClock::new().now();
    for user in stack.users() {
        assert!(user.grants.iter().filter(|grant| grant.default).count() <= 1);
        for grant in &user.grants {
            // What is written to the table reads back.
            assert_eq!(Grant::from_item(grant.name.clone(), &grant.to_item()).as_ref(), Ok(grant));
            assert_eq!(grant.expires_at.is_some_and(|end| end <= now), user.name == "erin");
            let (role_arn, external_id) = match &grant.role_arn {
                Some(arn) => (arn.as_str().to_owned(), grant.external_id.as_ref().map(ToString::to_string)),
                None => (variable(&stack, "LATCHKEY_ROLE_ARN"), Some(variable(&stack, "LATCHKEY_EXTERNAL_ID"))),
            };
            stack.aws.change(|world| {
                let role = role(world, &role_arn);
                assert_eq!(role.external_id.as_ref().map(ToString::to_string), external_id);
                let region = grant.own_region().unwrap();
                let place = Place { region: &region, account_id: grant.own_account().unwrap_or_else(|| role.arn.account_id()) };
                for permission in grant.target.permissions(place, true) {
                    for action in &permission.actions {
                        let verdict = role.policy.verdict(action, &permission.resource_arn);
                        assert_eq!(verdict, Verdict::Allowed, "{action} for {} of {}: {permission:?}", grant.name, user.name);
                    }
                }
                assert_eq!(is_there(world, grant, place), user.name != "ivan", "{} of {}", grant.name, user.name);
            });
        }
    }
    let frank: Vec<&str> = stack.user("frank").unwrap().grants.iter().map(|grant| grant.target.kind().as_str()).collect();
    assert_eq!(frank, Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>());
    assert!(stack.user("frank").unwrap().grants.iter().all(|grant| grant.name.as_str() == grant.target.kind().as_str()));
}

fn role<'a>(world: &'a World, arn: &str) -> &'a Role {
    let role = world.roles.iter().find(|role| role.arn.as_str() == arn).unwrap();
    // The function may take it on, and its trust lets the function in.
    let function = &world.callers[0];
    for action in ["sts:AssumeRole", "sts:SetSourceIdentity"] {
        assert_eq!(function.policy.verdict(action, arn), Verdict::Allowed, "{action} {arn}");
    }
    assert!(role.trusted.contains(&function.role_arn.as_ref().unwrap().to_string()));
    role
}

/// Whether what a grant opens exists where the grant says, and in it the spaces that its landings name.
fn is_there(world: &World, grant: &Grant, place: Place<'_>) -> bool {
    let Place { region, account_id } = place;
    match &grant.target {
        Target::Studio(studio) => {
            let is_it = |d: &&Domain| d.id == studio.domain_id && &d.region == region && d.account_id.as_str() == account_id;
            let domain = world.domains.iter().find(is_it).unwrap();
            assert!(grant.landings.values().filter_map(|landing| landing.space_name.as_ref()).all(|space| domain.spaces.contains(space)));
            let name = studio.user_profile_name.as_str();
            domain.user_profiles.iter().any(|profile| profile.name.as_str().eq_ignore_ascii_case(name))
        }
        Target::Notebook(notebook) => {
            let name = &notebook.notebook_instance_name;
            let is_it = |n: &NotebookInstance| &n.name == name && &n.region == region && n.account_id.as_str() == account_id;
            world.notebook_instances.iter().any(is_it)
        }
        Target::MlflowServer(server) => world
            .tracking_servers
            .iter()
            .any(|s| s.name == server.tracking_server_name && &s.region == region && s.account_id.as_str() == account_id),
        Target::MlflowApp(app) => world.mlflow_apps.iter().any(|other| other.arn == app.arn),
        Target::PartnerApp(app) => world.partner_apps.iter().any(|other| other.arn == app.arn),
    }
}

/// Sound but stopped, and in service but unsound.
#[tokio::test]
async fn the_demos_notebooks_are_as_they_are_said_to_be() {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    let judge = |name: &str| -> Inspection {
        stack.aws.change(|world| {
            let notebook = world.notebook_instance_mut(name).unwrap();
            let switch = |is_on: bool| Some(if is_on { "Enabled" } else { "Disabled" });
            let facts = NotebookFacts {
                minimum_imds_version: Some(notebook.minimum_imds_version.as_str()),
                root_access: switch(notebook.root_access),
                direct_internet: switch(notebook.direct_internet_access),
                kms_key: notebook.kms_key.as_deref(),
                status: Some(notebook.status.as_str()),
            };
            facts.judge()
        })
    };
    assert_eq!(judge("research-frank"), Inspection::default());
    assert_eq!(judge("dublin-grace"), Inspection::default());
    let stopped = judge("research-heidi-stopped");
    assert_eq!((stopped.findings.as_slice(), stopped.not_ready.unwrap().state.as_str()), (&[Finding::NotebookNotInService][..], "Stopped"));
    let of_settings = [Finding::InstanceMetadataV1, Finding::RootAccess, Finding::DirectInternet, Finding::NotebookNoCustomerKey];
    assert_eq!(judge("research-heidi-unsafe").findings, of_settings);
}

#[tokio::test]
async fn profiles_are_made_under_a_role_that_opens_none() {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    let (role_arn, external_id) = (variable(&stack, "LATCHKEY_PROVISION_ROLE_ARN"), variable(&stack, "LATCHKEY_PROVISION_EXTERNAL_ID"));
    let plan = |name: &str| stack.user(name).unwrap().grants[0].provision.clone().unwrap();
    assert_eq!(plan("ivan"), plan("judy"));
    let ivan = "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-demoresearch/ivan";
    stack.aws.change(|world| {
        let role = role(world, &role_arn);
        assert_eq!(role.external_id.as_ref().unwrap().as_str(), external_id);
        for action in ["CreateUserProfile", "AddTags", "DescribeUserProfile", "ListTags"] {
            assert_eq!(role.policy.verdict(&format!("sagemaker:{action}"), ivan), Verdict::Allowed, "{action}");
        }
        assert_eq!(role.policy.verdict("iam:PassRole", plan("ivan").execution_role_arn.as_str()), Verdict::Allowed);
        for action in ["sagemaker:CreatePresignedDomainUrl", "sagemaker:DeleteUserProfile", "sagemaker:UpdateUserProfile"] {
            assert_eq!(role.policy.verdict(action, ivan), Verdict::NotAllowed, "{action}");
        }
        // The name that judy would have is somebody else's.
        let bob = world.domain_mut("d-demoresearch").unwrap().user_profile_mut("Bob").unwrap();
        assert_eq!((&bob.name, bob.tags.as_slice()), (&UserProfileName::new("bob").unwrap(), &[][..]));
    });
}

fn variable(stack: &Stack, wanted: &str) -> String {
    stack.env().into_iter().find(|(name, _)| name == wanted).unwrap().1
}

#[tokio::test]
async fn a_taken_port_is_said_and_leaves_nothing_behind() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = Ports { idp: taken.local_addr().unwrap().port(), ..Ports::default() };
    let error = Stack::start(StackOptions { ports, ..StackOptions::default() }).await.unwrap_err();
    assert!(error.to_string().starts_with("the issuer cannot listen"), "{error}");
}

#[tokio::test]
async fn a_relay_stands_before_the_table_if_asked_for() {
    let stack = Stack::start(StackOptions { relay_table: true, ..StackOptions::default() }).await.unwrap();
    let relay = stack.table_relay.as_ref().unwrap();
    assert_eq!(stack.table_endpoint(), relay.endpoint());
    assert_ne!(stack.table_endpoint(), stack.table.endpoint());
    assert!(stack.env().contains(&("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), relay.endpoint())));
    tokio::time::timeout(std::time::Duration::from_secs(5), stack.shutdown()).await.unwrap();
}

/// The table's thread is joined; the rest are tasks.
#[test]
fn it_leaves_no_task_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stack = Stack::start(StackOptions::default()).await.unwrap();
        assert!(tokio::runtime::Handle::current().metrics().num_alive_tasks() >= 2);
        stack.shutdown().await;
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
        drop(Stack::start(StackOptions::default()).await.unwrap());
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    });
}

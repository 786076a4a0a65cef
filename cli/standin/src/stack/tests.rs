use std::collections::BTreeMap;

use latchkey_domain::grant::Grant;
use latchkey_domain::subject::Standing;
use latchkey_domain::target::Target;

use super::*;

#[tokio::test]
async fn the_environment_is_what_the_broker_reads() {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    let env: BTreeMap<String, String> = stack.env().into_iter().collect();
    let issuers: serde_json::Value = serde_json::from_str(&env["LATCHKEY_ISSUERS"]).unwrap();
    assert_eq!(
        issuers,
        json!([{
            "id": "local", "issuer": stack.idp.issuer(), "audiences": ["latchkey"], "token_types": ["at+jwt"], "jwks": { "source": "url" },
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
    assert_eq!(names, ["alice", "bob", "carol", "dave", "erin"]);
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
                let role = world.roles.iter().find(|role| role.arn.as_str() == role_arn).unwrap();
                assert_eq!(role.external_id.as_ref().map(ToString::to_string), external_id);
                let Target::Studio { domain_id, user_profile_name } = &grant.target;
                let domain = world.domains.iter().find(|domain| &domain.id == domain_id).unwrap();
                assert!(domain.user_profiles.iter().any(|profile| &profile.name == user_profile_name));
                let resource = grant.target.resource_arn(&domain.region, domain.account_id.as_str());
                assert_eq!(role.policy.verdict(grant.target.presign_action(), &resource), crate::aws::policy::Verdict::Allowed);
                for space in grant.landings.values().filter_map(|landing| landing.space_name.as_ref()) {
                    assert!(domain.spaces.contains(space));
                }
            });
        }
    }
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

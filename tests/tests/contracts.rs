//! The contracts of the ports, held by the fakes, and by the real adapters on the embedded engine and on moto.
//!
//! The items are put by requests that are written out here, past the adapters and the SDK under them: what reads them has to
//! agree with the contract and not only with what writes them.

use std::sync::Arc;
use std::time::Duration;

use latchkey_aws::grant_admin::GrantAdmin;
use latchkey_aws::grant_store::Table;
use latchkey_aws::role_session::SessionScope;
use latchkey_aws::sagemaker::SageMaker;
use latchkey_domain::clock::SystemClock;
use latchkey_domain::fakes;
use latchkey_domain::item::Item;
use latchkey_domain::names::UserProfileName;
use latchkey_standin::aws::policy::Policy;
use latchkey_standin::aws::{Status, World as AwsWorld};
use latchkey_standin::fault::Fault;
use latchkey_standin::table::{Store, Table as Engine};
use latchkey_tests::contracts::{self, Backstage, Cloakroom, DOMAIN, Found, MemorySnapshots, NEWCOMER, PROFILE, ROLE, Seed, Trouble};
use latchkey_tests::moto::Moto;
use latchkey_tests::raw_table::RawTable;
use latchkey_tests::stack::{World, clients};

const TABLE: &str = "contracts";

/// A DynamoDB, by its endpoint.
struct Endpoint(Arc<RawTable>);

impl Endpoint {
    /// With an empty table, as `latchkey dev` makes it, and the adapter over it.
    async fn with_table(url: &str) -> (Self, Table) {
        let variables = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_ENDPOINT_URL", url),
        ];
        let environment = latchkey_aws::environment::Environment::read(|name| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        });
        let clients = clients(&environment.unwrap());
        assert!(GrantAdmin::new(clients.dynamodb_for_operators(), TABLE).create_table().await.unwrap());
        (Self(Arc::new(RawTable::new(url, TABLE))), Table::new(clients.dynamodb(), TABLE))
    }
}

impl Seed for Endpoint {
    async fn put(&self, pk: &str, sk: &str, item: Item) {
        let (table, pk, sk) = (Arc::clone(&self.0), pk.to_owned(), sk.to_owned());
        // It blocks, so it goes where that is no harm.
        tokio::task::spawn_blocking(move || table.put(&pk, &sk, item)).await.unwrap();
    }
}

/// A suite on an empty table of its own.
macro_rules! on_both_engines {
    ($($suite:ident => |$store:ident, $seed:ident| $run:expr;)*) => {
        /// On the engine that `latchkey dev` has.
        mod embedded {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $suite() {
                let engine = Engine::start(0, &Store::Memory).unwrap();
                let ($seed, $store) = Endpoint::with_table(&engine.endpoint()).await;
                let _ = &$seed;
                $run;
                engine.shutdown().await;
            })*
        }

        /// On moto: a second opinion.
        mod moto {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs the tools: make test"]
            async fn $suite() {
                let moto = Moto::start();
                let ($seed, $store) = Endpoint::with_table(moto.endpoint()).await;
                let _ = &$seed;
                $run;
            })*
        }
    };
}

/// Not on moto: it looks at a condition and writes in two steps without a lock, so that of two writers at once both may pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exact_count_on_the_embedded_engine() {
    let engine = Engine::start(0, &Store::Memory).unwrap();
    let (_, store) = Endpoint::with_table(&engine.endpoint()).await;
    contracts::exact_count(&store).await;
    engine.shutdown().await;
}

on_both_engines! {
    grant_store => |store, seed| contracts::grant_store(&store, &seed).await;
    groups => |store, seed| contracts::groups(&store, &seed).await;
    usage_ledger => |store, seed| contracts::usage_ledger(&store).await;
    usage_view => |store, seed| contracts::usage_view(&store).await;
    snapshot_store => |store, seed| contracts::snapshot_store(&store, &seed).await;
}

/// The fakes, on which other tests stand.
mod fake {
    use super::*;

    #[tokio::test]
    async fn grant_store() {
        let table = fakes::MemoryTable::default();
        contracts::grant_store(&table, &table).await;
    }

    #[tokio::test]
    async fn groups() {
        let table = fakes::MemoryTable::default();
        contracts::groups(&table, &table).await;
    }

    #[tokio::test]
    async fn usage_ledger() {
        contracts::usage_ledger(&fakes::MemoryTable::default()).await;
    }

    #[tokio::test]
    async fn usage_view() {
        contracts::usage_view(&fakes::MemoryTable::default()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn exact_count() {
        contracts::exact_count(&fakes::MemoryTable::default()).await;
    }

    #[tokio::test]
    async fn snapshot_store() {
        let snapshots = MemorySnapshots::default();
        contracts::snapshot_store(&snapshots, &snapshots).await;
    }

    #[tokio::test]
    async fn url_issuer() {
        let issuer = fakes::ScriptedIssuer::default();
        contracts::url_issuer(&issuer, &issuer).await;
    }

    #[tokio::test]
    async fn profile_keeper() {
        let keeper = fakes::ScriptedIssuer::default();
        contracts::profile_keeper(&keeper, &keeper).await;
    }
}

/// The stand-in's AWS, in trouble.
struct AwsInTrouble<'a> {
    world: &'a World,
    /// What there is when all is well.
    whole: AwsWorld,
}

impl Backstage for AwsInTrouble<'_> {
    fn make(&self, trouble: Trouble) {
        let aws = &self.world.stack.aws;
        aws.clear_faults();
        aws.change(|world| *world = self.whole.clone());
        // Of more calls than any budget has room for.
        let inject = |action: &str, fault: &Fault| aws.inject(action, 100, fault);
        let late = Fault::Delay(Duration::from_secs(60));
        match trouble {
            Trouble::None => {}
            Trouble::SessionFails => inject("AssumeRole", &Fault::error(500, "InternalFailure")),
            Trouble::SessionHangs => inject("AssumeRole", &late),
            Trouble::PresignFails => inject("CreatePresignedDomainUrl", &Fault::error(500, "InternalFailure")),
            Trouble::PresignHangs => inject("CreatePresignedDomainUrl", &late),
            Trouble::ForeignUrl => {
                inject("CreatePresignedDomainUrl", &Fault::ForeignUrl("https://studio.example.com/auth?token=x".to_owned()));
            }
            Trouble::TargetGone => aws.change(|world| {
                let domain = world.domains.iter_mut().find(|domain| domain.id.as_str() == DOMAIN).unwrap();
                domain.user_profiles.retain(|profile| profile.name.as_str() != PROFILE);
            }),
        }
    }
}

impl Cloakroom for AwsInTrouble<'_> {
    fn arrange(&self, found: Found) {
        self.make(Trouble::None);
        let aws = &self.world.stack.aws;
        let is = |status: Status, tags: &[(&str, &str)]| {
            let tags: Vec<_> = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            aws.change(|world| {
                let domain = world.domain_mut(DOMAIN).unwrap();
                let mut profile = domain.user_profile_mut(PROFILE).unwrap().clone();
                profile.name = UserProfileName::new(NEWCOMER).unwrap();
                (profile.status, profile.tags) = (status, tags);
                domain.user_profiles.push(profile);
            });
        };
        let own = [("latchkey:issuer", "okta"), ("latchkey:subject", "jane")];
        match found {
            Found::Nothing => {}
            Found::OwnPending => is(Status::Pending, &own),
            Found::Own => is(Status::InService, &own),
            Found::Unowned => is(Status::InService, &[("team", "research")]),
            Found::Foreign => is(Status::InService, &[("latchkey:issuer", "okta"), ("latchkey:subject", "joe")]),
            Found::Fails => aws.inject("DescribeUserProfile", 100, &Fault::error(500, "InternalFailure")),
            Found::Hangs => aws.inject("DescribeUserProfile", 100, &Fault::Delay(Duration::from_secs(60))),
        }
    }
}

/// The SageMaker adapter over the stand-in, whose function may take on the provisioning role.
#[test]
fn profile_keeper_over_the_stand_in() {
    let world = World::start();
    let whole = world.stack.aws.change(|aws| aws.clone());
    let issuer = SageMaker::new(&clients(&world.environment(&[])), SessionScope::User, SystemClock::new());
    world.block_on(contracts::profile_keeper(&issuer, &AwsInTrouble { world: &world, whole }));
    world.block_on(async { drop(issuer) });
}

/// The SageMaker adapter over the stand-in, where the function's own role may make the suite's URLs too.
#[test]
fn url_issuer_over_the_stand_in() {
    let world = World::start();
    let whole = world.stack.aws.change(|aws| {
        let resource = format!("arn:aws:sagemaker:eu-central-1:111122223333:user-profile/{DOMAIN}/{PROFILE}");
        let actions = ["sts:AssumeRole", "sts:SetSourceIdentity", "sagemaker:CreatePresignedDomainUrl"];
        aws.callers[0].policy = Policy::allow(actions, [ROLE.to_owned(), resource]);
        aws.clone()
    });
    let issuer = SageMaker::new(&clients(&world.environment(&[])), SessionScope::User, SystemClock::new());
    world.block_on(contracts::url_issuer(&issuer, &AwsInTrouble { world: &world, whole }));
    world.block_on(async { drop(issuer) });
}

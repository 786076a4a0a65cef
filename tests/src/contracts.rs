//! What every implementation of a port must do. Each suite runs against the fakes in memory and against the real adapters on
//! two engines.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey_domain::attribution::source_identity;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::decision::{Code, Denial, Reason};
use latchkey_domain::entitlement::{self, Entitlement, SubjectRecord, Terms, Wish};
use latchkey_domain::fakes;
use latchkey_domain::identity::{Group, Identity, IssuerId, MAX_GROUPS, Subject};
use latchkey_domain::item::{Item, Value};
use latchkey_domain::names::{ExternalId, Region, RoleArn, TargetName};
use latchkey_domain::ports::{Admission, Claim, GrantStore, ProfileKeeper, RateLimit, Unavailable, UrlIssuer, UsageLedger, UsageView};
use latchkey_domain::posture::NotReady;
use latchkey_domain::provision::Profile;
use latchkey_oidc::snapshot::{KeySnapshot, SnapshotStore};

use crate::stopwatch::Stopwatch;

/// What every call may take.
const BUDGET: Duration = Duration::from_secs(10);

/// The time at which the suites play.
pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// Puts an item under its keys: what an operator does.
pub trait Seed {
    /// Puts one item, replacing what was there.
    fn put(&self, pk: &str, sk: &str, item: Item) -> impl Future<Output = ()>;
}

impl Seed for fakes::MemoryTable {
    async fn put(&self, pk: &str, sk: &str, item: Item) {
        fakes::MemoryTable::put(self, pk, sk, item);
    }
}

fn identity(issuer: &str, subject: &str) -> Identity {
    Identity { issuer: IssuerId::new(issuer).unwrap(), subject: Subject::new(subject).unwrap() }
}

fn studio(profile: &str) -> Item {
    [("kind", "studio"), ("domain_id", "d-abc"), ("user_profile_name", profile)]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::S(value.to_owned())))
        .collect()
}

fn terms() -> Terms {
    Terms::in_region(Region::new("eu-central-1").unwrap())
}

/// What a record opens: the profile, or the reason for which nothing does.
fn opens(identity: &Identity, record: &SubjectRecord, target: Option<&str>) -> Result<String, Reason> {
    let principal = fakes::principal(identity.issuer.as_str(), identity.subject.as_str(), None, NOW).unwrap();
    let wish = Wish { target: target.map(|name| TargetName::new(name).unwrap()), landing: None };
    entitlement::entitle(principal, record, &wish, &terms(), "111122223333", NOW)
        .map(|entitlement| entitlement.resource_arn("111122223333").rsplit('/').next().unwrap().to_owned())
        .map_err(|denial| denial.reason)
}

/// The contract of [`GrantStore`].
///
/// # Panics
/// When it is broken.
pub async fn grant_store(store: &impl GrantStore, seed: &impl Seed) {
    let jane = identity("okta", "jane");
    let read = async |identity: &Identity, target: Option<&str>| {
        let name = target.map(|name| TargetName::new(name).unwrap());
        let record = store.read(identity, &[], name.as_ref(), BUDGET).await.unwrap();
        opens(identity, &record, target)
    };

    // Absence is a record without grants, not an error.
    assert_eq!(read(&jane, None).await, Err(entitlement::NO_GRANT));
    assert_eq!(read(&jane, Some("a")).await, Err(entitlement::NO_GRANT));

    // A write shows at once: reads are consistent.
    seed.put("SUBJECT#okta#jane", "TARGET#a", studio("jane-a")).await;
    assert_eq!(read(&jane, None).await, Ok("jane-a".into()));
    assert_eq!(read(&jane, Some("a")).await, Ok("jane-a".into()));
    assert_eq!(read(&jane, Some("b")).await, Err(entitlement::NO_GRANT));
    seed.put("SUBJECT#okta#jane", "TARGET#b", studio("jane-b")).await;
    assert_eq!(read(&jane, None).await, Err(entitlement::NOT_NAMED));
    assert_eq!(read(&jane, Some("b")).await, Ok("jane-b".into()));

    // Names and subjects are compared byte for byte, and an issuer's subjects are its own.
    assert_eq!(read(&jane, Some("A")).await, Err(entitlement::NO_GRANT));
    for other in [identity("okta", "Jane"), identity("okta", "jane "), identity("entra", "jane"), identity("okta", "jane#a")] {
        assert_eq!(read(&other, Some("a")).await, Err(entitlement::NO_GRANT), "{other:?}");
        assert_eq!(read(&other, None).await, Err(entitlement::NO_GRANT), "{other:?}");
    }
    seed.put("SUBJECT#okta#jane#a", "TARGET#x", studio("other")).await;
    assert_eq!(read(&identity("okta", "jane#a"), None).await, Ok("other".into()));
    assert_eq!(read(&jane, Some("x")).await, Err(entitlement::NO_GRANT));

    // Every type of attribute arrives as it was written.
    let mut typed = studio("typed");
    typed.insert("enabled".into(), Value::Bool(true));
    typed.insert("expires_at".into(), Value::N("1900000000".into()));
    let landing = Value::M(Item::from([("landing_uri".to_owned(), Value::S("studio::".into()))]));
    typed.insert("landings".into(), Value::M(Item::from([("home".to_owned(), landing)])));
    typed.insert("landing".into(), Value::S("home".into()));
    seed.put("SUBJECT#okta#typed", "TARGET#a", typed).await;
    assert_eq!(read(&identity("okta", "typed"), Some("a")).await, Ok("typed".into()));

    // The subject's own item comes with the grant, in both ways of reading.
    seed.put("SUBJECT#okta#jane", "SUBJECT", Item::from([("status".into(), Value::S("suspended".into()))])).await;
    assert_eq!(read(&jane, Some("a")).await, Err(entitlement::SUSPENDED));
    assert_eq!(read(&jane, None).await, Err(entitlement::SUSPENDED));
    seed.put("SUBJECT#okta#jane", "SUBJECT", Item::from([("status".into(), Value::S("active".into()))])).await;
    assert_eq!(read(&jane, Some("a")).await, Ok("jane-a".into()));

    // Items of other sorts in the same partition are not grants.
    seed.put("SUBJECT#okta#jane", "NOTE#c", studio("jane-c")).await;
    let record = store.read(&jane, &[], None, BUDGET).await.unwrap();
    assert_eq!(entitlement::list(&record, &terms(), "111122223333", NOW).unwrap().len(), 2);

    // A subject with more grants than one page of an answer holds (1 MB) is read whole.
    let many = identity("okta", "many");
    let ballast = Value::S("x".repeat(20_000));
    for number in 0..60 {
        let mut item = studio(&format!("many-{number}"));
        item.insert("note".into(), ballast.clone());
        seed.put("SUBJECT#okta#many", &format!("TARGET#t{number:02}"), item).await;
    }
    let record = store.read(&many, &[], None, BUDGET).await.unwrap();
    assert_eq!(entitlement::list(&record, &terms(), "111122223333", NOW).unwrap().len(), 60);
}

/// The contract of [`GrantStore`], of what groups were granted.
///
/// # Panics
/// When it is broken.
pub async fn groups(store: &impl GrantStore, seed: &impl Seed) {
    let read = async |identity: &Identity, groups: &[&str], target: Option<&str>| {
        let name = target.map(|name| TargetName::new(name).unwrap());
        let groups: Vec<Group> = groups.iter().map(|group| Group::new(*group).unwrap()).collect();
        let record = store.read(identity, &groups, name.as_ref(), BUDGET).await.unwrap();
        opens(identity, &record, target)
    };
    let text = |value: &str| Value::S(value.to_owned());
    let server =
        |name: &str| Value::M(Item::from([("kind".to_owned(), text("mlflow-server")), ("tracking_server_name".to_owned(), text(name))]));
    let granted = |targets: &[(&str, Value)]| {
        let targets = targets.iter().map(|(name, grant)| ((*name).to_owned(), grant.clone())).collect();
        Item::from([("targets".to_owned(), Value::M(targets))])
    };
    let mut lab = studio("x");
    lab.remove("user_profile_name");
    let jane = identity("okta", "jane");

    // Groups of which the table knows nothing are no error, and neither is a subject of whom it knows nothing else.
    for target in [None, Some("a")] {
        assert_eq!(read(&jane, &["risk", "a#b"], target).await, Err(entitlement::NO_GRANT));
    }
    // A write shows at once, in both ways of reading, for whoever is in the group and for nobody else.
    seed.put("GROUP#okta#risk", "GROUP", granted(&[("a", server("risks"))])).await;
    for target in [None, Some("a")] {
        assert_eq!(read(&jane, &["risk", "traders"], target).await, Ok("risks".into()));
        for (identity, groups) in [
            (&jane, [].as_slice()),
            (&jane, &["Risk", "risk ", "ris", "risks", "okta#risk", "GROUP#okta#risk"]),
            (&identity("entra", "jane"), &["risk"]),
            (&identity("okta", "risk"), &[]),
        ] {
            assert_eq!(read(identity, groups, target).await, Err(entitlement::NO_GRANT), "{identity:?} {groups:?}");
        }
    }
    // Items of other sorts are no group's, and a group's is no subject's.
    for (pk, sk) in [
        ("SUBJECT#okta#jane", "GROUP"),
        ("GROUP#okta#traders", "TARGET#b"),
        ("GROUP#okta#traders", "SUBJECT"),
        ("SUBJECT#okta#traders", "GROUP"),
        ("GROUP#okta", "GROUP"),
    ] {
        seed.put(pk, sk, granted(&[("b", server("stray"))])).await;
    }
    assert_eq!(read(&jane, &["traders"], Some("b")).await, Err(entitlement::NO_GRANT));
    assert_eq!(read(&jane, &["traders"], None).await, Err(entitlement::NO_GRANT));
    // Groups with a `#` in them are their own.
    seed.put("GROUP#okta#a#b", "GROUP", granted(&[("b", server("sharp"))])).await;
    assert_eq!(read(&jane, &["a#b"], Some("b")).await, Ok("sharp".into()));
    assert_eq!(read(&jane, &["a", "b"], Some("b")).await, Err(entitlement::NO_GRANT));

    // The profile is the subject's own, which comes with it; and so does what suspends the subject.
    seed.put("GROUP#okta#desk", "GROUP", granted(&[("lab", Value::M(lab))])).await;
    assert_eq!(read(&jane, &["desk"], Some("lab")).await, Err(entitlement::NO_PROFILE));
    seed.put("SUBJECT#okta#jane", "SUBJECT", Item::from([("user_profile_name".into(), text("jane"))])).await;
    for target in [None, Some("lab")] {
        assert_eq!(read(&jane, &["desk"], target).await, Ok("jane".into()));
    }
    seed.put("SUBJECT#okta#jane", "SUBJECT", Item::from([("status".into(), text("suspended"))])).await;
    for target in [None, Some("lab")] {
        assert_eq!(read(&jane, &["desk"], target).await, Err(entitlement::SUSPENDED));
    }
    // The subject's own row closes what the group's would open.
    let joe = identity("okta", "joe");
    let mut closed = studio("joe");
    closed.insert("enabled".into(), Value::Bool(false));
    seed.put("SUBJECT#okta#joe", "TARGET#a", closed).await;
    for target in [None, Some("a")] {
        assert_eq!(read(&joe, &["risk"], target).await, Err(entitlement::DISABLED));
    }

    // As many as a token may name, with as much in them as one answer holds.
    let most: Vec<String> = (0..MAX_GROUPS).map(|n| format!("most-{n}")).collect();
    for group in &most {
        let mut item = granted(&[(group, server(group))]);
        item.insert("note".into(), text(&"x".repeat(20_000)));
        seed.put(&format!("GROUP#okta#{group}"), "GROUP", item).await;
    }
    let most: Vec<&str> = most.iter().map(String::as_str).collect();
    assert_eq!(read(&identity("okta", "jane-2"), &most, Some("most-89")).await, Ok("most-89".into()));
    assert_eq!(read(&identity("okta", "jane-2"), &most, None).await, Err(entitlement::NOT_NAMED));
}

/// The contract of [`UsageLedger`].
///
/// # Panics
/// When it is broken.
pub async fn usage_ledger(ledger: &impl UsageLedger) {
    let (jane, joe, other) = (identity("okta", "jane"), identity("okta", "joe"), identity("entra", "jane"));
    let limit = RateLimit { urls: 3, seconds: 60 };
    let count = async |identity: &Identity, at: i64| ledger.count(identity, limit, NOW.plus_seconds(at), BUDGET).await.unwrap();

    // As many as the limit, for each identity its own, and then the time to the next window. NOW begins a window.
    for _ in 0..3 {
        assert_eq!(count(&jane, 10).await, Admission::Admitted);
    }
    assert_eq!(count(&jane, 10).await, Admission::Limited { retry_after_seconds: 50 });
    assert_eq!(count(&jane, 59).await, Admission::Limited { retry_after_seconds: 1 });
    assert_eq!(count(&joe, 10).await, Admission::Admitted);
    assert_eq!(count(&other, 10).await, Admission::Admitted);
    assert_eq!(count(&jane, 60).await, Admission::Admitted);

    // A token is unused once. It is known by its issuer and its id, whoever its subject is.
    let claim = async |identity: &Identity, id: &str, at: i64, until: i64| {
        ledger.claim_token(identity, id, NOW.plus_seconds(at), NOW.plus_seconds(until), BUDGET).await.unwrap()
    };
    assert_eq!(claim(&jane, "t1", 0, 300).await, Claim::Claimed);
    assert_eq!(claim(&jane, "t1", 0, 300).await, Claim::Replayed);
    assert_eq!(claim(&joe, "t1", 0, 300).await, Claim::Replayed);
    assert_eq!(claim(&other, "t1", 0, 300).await, Claim::Claimed);
    assert_eq!(claim(&jane, "T1", 0, 300).await, Claim::Claimed);
    assert_eq!(claim(&jane, &"long#|ü".repeat(30), 0, 300).await, Claim::Claimed);
    assert_eq!(claim(&jane, &"long#|ü".repeat(30), 0, 300).await, Claim::Replayed);

    // A mark is taken back, for its own token only.
    ledger.release_token(&jane, "t1", BUDGET).await.unwrap();
    assert_eq!(claim(&other, "t1", 0, 300).await, Claim::Replayed);
    assert_eq!(claim(&jane, "t1", 0, 300).await, Claim::Claimed);

    // What TTL has not deleted does not count after its time; in its last moment it does.
    assert_eq!(claim(&jane, "t2", 0, 100).await, Claim::Claimed);
    assert_eq!(claim(&jane, "t2", 100, 400).await, Claim::Replayed);
    assert_eq!(claim(&jane, "t2", 101, 400).await, Claim::Claimed);
}

/// The contract of [`UsageView`]: it tells what the ledger would say, and whoever looks changes nothing.
///
/// # Panics
/// When it is broken.
pub async fn usage_view(table: &(impl UsageLedger + UsageView)) {
    let (jane, joe, other) = (identity("okta", "jane"), identity("okta", "joe"), identity("entra", "jane"));
    let limit = RateLimit { urls: 3, seconds: 60 };
    let used = async |identity: &Identity, at: i64| table.used(identity, limit, NOW.plus_seconds(at), BUDGET).await.unwrap();
    for before in 0..3 {
        assert_eq!(used(&jane, 10).await, before);
        assert_eq!(used(&jane, 10).await, before, "looking counts nothing");
        assert_eq!(table.count(&jane, limit, NOW.plus_seconds(10), BUDGET).await.unwrap(), Admission::Admitted);
    }
    // What was refused is not counted.
    assert!(matches!(table.count(&jane, limit, NOW.plus_seconds(10), BUDGET).await.unwrap(), Admission::Limited { .. }));
    assert_eq!((used(&jane, 0).await, used(&jane, 59).await, used(&jane, 60).await, used(&jane, -1).await), (3, 3, 0, 0));
    assert_eq!((used(&joe, 10).await, used(&other, 10).await), (0, 0));

    let is_claimed =
        async |identity: &Identity, id: &str, at: i64| table.is_claimed(identity, id, NOW.plus_seconds(at), BUDGET).await.unwrap();
    let long = "long#|ü".repeat(50);
    for id in ["t1", long.as_str()] {
        assert!(!is_claimed(&jane, id, 0).await && !is_claimed(&jane, id, 0).await, "looking marks nothing");
        assert_eq!(table.claim_token(&jane, id, NOW, NOW.plus_seconds(300), BUDGET).await.unwrap(), Claim::Claimed);
        assert!(is_claimed(&jane, id, 0).await && is_claimed(&joe, id, 0).await && !is_claimed(&other, id, 0).await);
        // In its last moment the mark counts, and after it no more.
        assert!(is_claimed(&jane, id, 300).await && !is_claimed(&jane, id, 301).await);
        table.release_token(&jane, id, BUDGET).await.unwrap();
        assert!(!is_claimed(&jane, id, 0).await);
    }
}

/// That concurrent uses are counted exactly.
///
/// # Panics
/// When more or fewer are let through than the limit says.
pub async fn exact_count<L: UsageLedger + Clone + 'static>(ledger: &L) {
    let limit = RateLimit { urls: 10, seconds: 60 };
    let uses: Vec<_> = (0..40)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.count(&identity("okta", "busy"), limit, NOW, BUDGET).await.unwrap() })
        })
        .collect();
    let mut admitted = 0;
    for outcome in uses {
        admitted += usize::from(outcome.await.unwrap() == Admission::Admitted);
    }
    assert_eq!(admitted, 10);
}

/// Key sets in memory, read out of items as the contract (section 4) describes them. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemorySnapshots(Arc<Mutex<BTreeMap<(String, String), Item>>>);

impl Seed for MemorySnapshots {
    async fn put(&self, pk: &str, sk: &str, item: Item) {
        self.0.lock().unwrap().insert((pk.to_owned(), sk.to_owned()), item);
    }
}

impl SnapshotStore for MemorySnapshots {
    async fn load(&self, issuer: &IssuerId, _: Duration) -> Result<Option<KeySnapshot>, Unavailable> {
        let items = self.0.lock().unwrap();
        let Some(item) = items.get(&(format!("JWKS#{issuer}"), "JWKS".to_owned())) else { return Ok(None) };
        let whole = |number: &String| number.parse().ok();
        match (item.get("jwks"), item.get("fetched_at")) {
            (Some(Value::S(jwks)), Some(Value::N(seconds))) if whole(seconds).is_some() => {
                let fetched_at = Timestamp::from_unix_seconds(whole(seconds).unwrap());
                Ok(Some(KeySnapshot { jwks: jwks.clone(), fetched_at }))
            }
            _ => Err(Unavailable { reason: Reason("fake.keys-malformed"), detail: None, aws_request_id: None }),
        }
    }
}

/// The contract of [`SnapshotStore`].
///
/// # Panics
/// When it is broken.
pub async fn snapshot_store(store: &impl SnapshotStore, seed: &impl Seed) {
    let load = async |issuer: &str| store.load(&IssuerId::new(issuer).unwrap(), BUDGET).await;
    let keys = |jwks: &str, fetched_at: i64| {
        Item::from([
            ("jwks".to_owned(), Value::S(jwks.to_owned())),
            ("fetched_at".to_owned(), Value::N(fetched_at.to_string())),
            ("source".to_owned(), Value::S("https://idp.example.com/jwks".to_owned())),
        ])
    };
    let snapshot =
        |jwks: &str, fetched_at: i64| Ok(Some(KeySnapshot { jwks: jwks.to_owned(), fetched_at: Timestamp::from_unix_seconds(fetched_at) }));

    // Absence is no snapshot, not an error.
    assert_eq!(load("okta").await, Ok(None));

    // A write shows at once, and so does the next: reads are consistent.
    seed.put("JWKS#okta", "JWKS", keys("{}", 1_800_000_000)).await;
    assert_eq!(load("okta").await, snapshot("{}", 1_800_000_000));
    seed.put("JWKS#okta", "JWKS", keys(r#"{"keys":[]}"#, 1_800_000_300)).await;
    assert_eq!(load("okta").await, snapshot(r#"{"keys":[]}"#, 1_800_000_300));

    // An issuer's keys are its own, and other items of its partition are not keys.
    seed.put("JWKS#entra-1", "NOTE", keys("{}", 0)).await;
    for other in ["entra", "entra-1", "okta-2", "okt"] {
        assert_eq!(load(other).await, Ok(None), "{other}");
    }

    // The document is not looked into: as large as a fetched one may be, in any script, down to the last byte and no JSON at all.
    for document in ["\u{1f511} \"ключ\" \\ \n\t\u{1}", &"k".repeat(256 * 1024), "not json"] {
        seed.put("JWKS#okta", "JWKS", keys(document, 1)).await;
        assert!(load("okta").await == snapshot(document, 1), "a document of {} bytes came back as another", document.len());
    }

    // An item that is not one is an error: it must not pass for "no keys yet".
    let change = |name: &str, value: Option<Value>| {
        let mut item = keys("{}", 1);
        match value {
            Some(value) => item.insert(name.to_owned(), value),
            None => item.remove(name),
        };
        item
    };
    for broken in [
        change("jwks", None),
        change("jwks", Some(Value::M(Item::new()))),
        change("jwks", Some(Value::N("1".to_owned()))),
        change("fetched_at", None),
        change("fetched_at", Some(Value::S("1800000000".to_owned()))),
        change("fetched_at", Some(Value::N("1.5".to_owned()))),
        change("fetched_at", Some(Value::N("99999999999999999999".to_owned()))),
    ] {
        seed.put("JWKS#okta", "JWKS", broken.clone()).await;
        assert!(load("okta").await.is_err(), "{broken:?}");
    }
    seed.put("JWKS#okta", "JWKS", keys("{}", 2)).await;
    assert_eq!(load("okta").await, snapshot("{}", 2));
}

/// What an issuer of URLs depends on can be in these states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// All is well.
    None,
    /// What gives out sessions fails.
    SessionFails,
    /// What gives out sessions does not answer.
    SessionHangs,
    /// What makes URLs fails.
    PresignFails,
    /// What makes URLs does not answer.
    PresignHangs,
    /// What makes URLs answers with a URL of somebody else's.
    ForeignUrl,
    /// The target is not there.
    TargetGone,
}

/// Brings about trouble for the issuer of URLs.
pub trait Backstage {
    /// Brings about this trouble, in place of any other.
    fn make(&self, trouble: Trouble);
}

impl Backstage for fakes::ScriptedIssuer {
    fn make(&self, trouble: Trouble) {
        let unavailable = || Some(Denial::unavailable(Reason("fake.trouble")));
        let (session, presign) = match trouble {
            Trouble::None => (None, None),
            Trouble::SessionFails | Trouble::SessionHangs => (unavailable(), None),
            Trouble::PresignFails | Trouble::PresignHangs | Trouble::ForeignUrl => (None, unavailable()),
            Trouble::TargetGone => (None, Some(Denial::new(Code::TargetNotReady, Reason("fake.gone")).with_state("NotFound"))),
        };
        self.refuse_session(session);
        self.refuse_presign(presign);
    }
}

/// The role under which the suite's URLs are made. Its sessions ask for [`EXTERNAL_ID`].
pub const ROLE: &str = "arn:aws:iam::111122223333:role/latchkey-issuing";
/// See [`ROLE`].
pub const EXTERNAL_ID: &str = "latchkey-demo";
/// The domain that the suite's URLs open.
pub const DOMAIN: &str = "d-demoresearch";
/// The profile that the suite's URLs open.
pub const PROFILE: &str = "alice";

/// What `subject` may open: [`PROFILE`], with these lifetimes in its grant, under [`ROLE`] or under no role.
fn entitled(subject: &str, role: bool, lifetimes: Option<(u32, u32)>) -> Entitlement {
    let mut grant = studio(PROFILE);
    grant.insert("domain_id".to_owned(), Value::S(DOMAIN.to_owned()));
    if role {
        grant.insert("external_id".to_owned(), Value::S(EXTERNAL_ID.to_owned()));
    }
    if let Some((url_seconds, session_seconds)) = lifetimes {
        grant.insert("url_seconds".to_owned(), Value::N(url_seconds.to_string()));
        grant.insert("session_seconds".to_owned(), Value::N(session_seconds.to_string()));
    }
    let terms = Terms { role_arn: role.then(|| RoleArn::new(ROLE).unwrap()), ..terms() };
    let principal = fakes::principal("okta", subject, None, NOW).unwrap();
    let record = SubjectRecord::new(None, [("research".to_owned(), grant)]);
    entitlement::entitle(principal, &record, &Wish::default(), &terms, "111122223333", NOW).unwrap()
}

/// The contract of [`UrlIssuer`]. [`ROLE`] and, beside it, the function's own role may make URLs for [`PROFILE`].
///
/// # Panics
/// When it is broken.
pub async fn url_issuer<I: UrlIssuer>(issuer: &I, backstage: &impl Backstage) {
    let launch = async |entitlement: &Entitlement, budget: Duration| {
        let session = issuer.open_session(entitlement, budget).await?;
        issuer.presign(entitlement, &session, budget).await.map(|issued| (session, issued))
    };

    // With a role: a session under it, for this user, and a URL under that session with the lifetimes of the terms.
    let jane = entitled("jane", true, None);
    let (session, issued) = launch(&jane, BUDGET).await.unwrap();
    assert_eq!(session.role_arn.as_deref(), Some(ROLE));
    assert_eq!(session.source_identity, Some(source_identity(jane.principal().identity())));
    assert!(session.aws_request_id.is_some(), "the record names the request that opened the session");
    assert_eq!((issued.url_seconds, issued.session_seconds), (30, 28800));
    assert!(issued.aws_request_id.is_some(), "the record names the request that made the URL");
    assert!(issued.url.expose().contains(".studio.eu-central-1.sagemaker."), "a URL of the target's region");

    // Another user's session says so.
    let joe = entitled("joe", true, None);
    let (session, _) = launch(&joe, BUDGET).await.unwrap();
    assert_eq!(session.source_identity, Some(source_identity(joe.principal().identity())));
    assert_ne!(session.source_identity, Some(source_identity(jane.principal().identity())));

    // Without a role: the function's own, which says nothing of the user.
    let (session, issued) = launch(&entitled("jane", false, None), BUDGET).await.unwrap();
    assert_eq!((session.role_arn, session.source_identity, session.aws_request_id), (None, None, None));
    assert_eq!((issued.url_seconds, issued.session_seconds), (30, 28800));

    // A grant's own lifetimes hold.
    let (_, issued) = launch(&entitled("jane", true, Some((5, 1800))), BUDGET).await.unwrap();
    assert_eq!((issued.url_seconds, issued.session_seconds), (5, 1800));

    // A target that is not there is not an outage, and waiting does not help.
    backstage.make(Trouble::TargetGone);
    let denial = launch(&jane, BUDGET).await.map(drop).unwrap_err();
    assert_eq!((denial.code, denial.retry_after_seconds), (Code::TargetNotReady, None));
    assert!(denial.state.is_some());

    // Everything else that goes wrong is unavailable, worth another try, and told within the budget: each for a user who has
    // no session yet, then for one who has.
    for (trouble, user) in [
        (Trouble::SessionFails, "session-fails"),
        (Trouble::SessionHangs, "session-hangs"),
        (Trouble::PresignFails, "presign-fails"),
        (Trouble::PresignHangs, "presign-hangs"),
        (Trouble::ForeignUrl, "foreign-url"),
    ] {
        for budget in [Duration::from_millis(100), Duration::from_millis(500)] {
            let entitlement = entitled(user, true, None);
            backstage.make(trouble);
            let stopwatch = Stopwatch::start();
            let denial = launch(&entitlement, budget).await.map(drop).unwrap_err();
            // Each of the two steps had the whole budget.
            let took = stopwatch.elapsed();
            assert!(took < budget * 2 + SLACK, "{trouble:?} took {took:?} of {budget:?}");
            assert_eq!(denial.code, Code::Unavailable, "{trouble:?}");
            assert!(denial.retry_after_seconds.is_some(), "{trouble:?}");
        }
        // Nothing of it stays.
        backstage.make(Trouble::None);
        launch(&entitled(user, true, None), BUDGET).await.unwrap();
    }
}

/// What is known of a user profile, where profiles are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    Nothing,
    /// The user's own, which is being made.
    OwnPending,
    /// The user's own, in service.
    Own,
    /// One without an owner.
    Unowned,
    /// Another user's.
    Foreign,
    /// What would tell fails.
    Fails,
    /// What would tell does not answer.
    Hangs,
}

/// Arranges what a keeper of profiles finds.
pub trait Cloakroom {
    /// Arranges this for [`NEWCOMER`], in place of anything else.
    fn arrange(&self, found: Found);
}

impl Cloakroom for fakes::ScriptedIssuer {
    fn arrange(&self, found: Found) {
        self.find_profile(match found {
            Found::Nothing => Ok(Profile::Created),
            Found::OwnPending => Ok(Profile::Own(Some(NotReady::new(Some("Pending"))))),
            Found::Own => Ok(Profile::Own(None)),
            Found::Unowned | Found::Foreign => Ok(Profile::Foreign),
            Found::Fails | Found::Hangs => Err(Denial::unavailable(Reason("fake.trouble"))),
        });
    }
}

/// The profile that the suite has made.
pub const NEWCOMER: &str = "newcomer";

/// The contract of [`ProfileKeeper`]: the profile [`NEWCOMER`] of [`DOMAIN`], for the subject `jane` of the issuer `okta`, under the
/// demo's provisioning role.
///
/// # Panics
/// When it is broken.
pub async fn profile_keeper<K: ProfileKeeper>(keeper: &K, cloakroom: &impl Cloakroom) {
    let text = |value: &str| Value::S(value.to_owned());
    let plan = Item::from([("execution_role_arn".to_owned(), text("arn:aws:iam::111122223333:role/studio-execution"))]);
    let mut grant = studio(NEWCOMER);
    grant.insert("domain_id".to_owned(), text(DOMAIN));
    grant.insert("provision".to_owned(), Value::M(plan));
    let terms = Terms {
        provision_role_arn: Some(RoleArn::new("arn:aws:iam::111122223333:role/latchkey-provisioning").unwrap()),
        provision_external_id: Some(ExternalId::new("latchkey-demo-provisioning").unwrap()),
        ..terms()
    };
    let entitled = |subject: &str| {
        let principal = fakes::principal("okta", subject, None, NOW).unwrap();
        let record = SubjectRecord::new(None, [("research".to_owned(), grant.clone())]);
        entitlement::entitle(principal, &record, &Wish::default(), &terms, "111122223333", NOW).unwrap()
    };
    let jane = entitled("jane");
    let ensure = async |budget: Duration| keeper.ensure_profile(&jane, jane.provisioning().unwrap(), budget).await;

    for (found, profile) in [
        (Found::Nothing, Profile::Created),
        (Found::OwnPending, Profile::Own(Some(NotReady { state: "Pending".to_owned(), passes: true }))),
        (Found::Own, Profile::Own(None)),
        (Found::Unowned, Profile::Foreign),
        (Found::Foreign, Profile::Foreign),
    ] {
        cloakroom.arrange(found);
        let ensured = ensure(BUDGET).await;
        assert_eq!(ensured.outcome.unwrap(), profile, "{found:?}");
        assert_eq!(ensured.source_identity, Some(source_identity(jane.principal().identity())));
        assert!(!ensured.aws_request_ids.is_empty(), "the record names the requests");
    }
    for found in [Found::Fails, Found::Hangs] {
        for budget in [Duration::from_millis(100), Duration::from_millis(500)] {
            cloakroom.arrange(found);
            let stopwatch = Stopwatch::start();
            let denial = ensure(budget).await.outcome.unwrap_err();
            let took = stopwatch.elapsed();
            assert!(took < budget + SLACK, "{found:?} took {took:?} of {budget:?}");
            assert_eq!(denial.code, Code::Unavailable, "{found:?}");
            assert!(denial.retry_after_seconds.is_some());
        }
    }
    // Nothing of it stays.
    cloakroom.arrange(Found::Own);
    assert_eq!(ensure(BUDGET).await.outcome.unwrap(), Profile::Own(None));
}

/// What may be added to a budget before a test calls it overrun: what is computed besides, and timers that are late.
const SLACK: Duration = Duration::from_millis(400);

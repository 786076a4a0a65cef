//! The domain's ports over AWS.
//!
//! | module | port | service |
//! | --- | --- | --- |
//! | [`grant_store`] | `GrantStore`, `UsageLedger`, `UsageView` | DynamoDB |
//! | [`jwks_store`] | `latchkey_oidc`'s `SnapshotStore` | DynamoDB |
//! | [`sagemaker`], [`role_session`] | `UrlIssuer`, `ProfileKeeper` | SageMaker, STS |
//! | [`grant_admin`] | none: what operators do to the table | DynamoDB |
//! | [`rehearsal`] | `UrlIssuer`, `ProfileKeeper` | none: the calls are written down and not made |
//!
//! [`environment`] reads the `AWS_*` variables, [`clients`] makes the SDK's clients from them. No other crate names the SDK.
//!
//! # Time and retries
//!
//! Every call gets the time that its caller has left and ends within it, and within a few seconds in any case. The broker's
//! clients have the SDK's retries switched off; attempts are made here, because only here it is known how much time
//! is left and whether a call may be made twice:
//!
//! | call | attempts | tried again after |
//! | --- | --- | --- |
//! | reads of the table, token marks | 3 | anything that may pass: time-outs, broken connections, throttles, 5xx |
//! | the rate limit's count, taking a mark back | 3 | only what certainly did nothing: throttles, no connection |
//! | looking at a target | 2 | anything that may pass: it changes nothing |
//! | `AssumeRole`, presigning | 2 | anything that may pass; a session or URL that nobody received opens nothing |
//! | making a user profile | 2 | anything that may pass; a second one of that name cannot be made |
//!
//! A pause lies between attempts (50 ms, then doubled, with jitter, or what the service asks for). When what is left is too
//! short for pause and attempt, the last failure is the answer.
//!
//! # Secrets
//!
//! Credentials and presigned URLs have no `Debug` that shows them. Of AWS's errors only the code and the request id are kept,
//! each checked to be short and harmless: messages can hold names, ARNs, and encoded authorization details.

mod attempts;
pub mod clients;
pub mod environment;
mod failure;
pub mod grant_admin;
pub mod grant_store;
pub mod item;
pub mod jwks_store;
pub mod rehearsal;
pub mod role_session;
pub mod sagemaker;

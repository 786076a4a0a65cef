//! What a deployment consists of, as the AWS Cloud Control API describes it: one way to read every type of resource, each with the
//! properties that it has in CloudFormation, and so in our templates.
//!
//! For each call Cloud Control asks the service behind the type with the caller's own rights, so those are what it takes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudcontrol::Client;
use aws_sdk_cloudcontrol::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_cloudcontrol::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_cloudcontrol::error::{BoxError, ProvideErrorMetadata, SdkError};
use latchkey_domain::clock::{Clock as _, SystemClock, Timestamp};
use serde_json::Value;
use std::time::Duration;

/// The most that one call may take with its attempts. Cloud Control asks another service, which takes seconds at times.
const PATIENCE: Duration = Duration::from_secs(30);

/// A resource that could not be looked at, and why: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSeen(pub String);

impl fmt::Display for NotSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads resources.
#[derive(Debug, Clone)]
pub struct Cloud {
    client: Client,
    clocks: Clocks,
}

impl Cloud {
    /// A reader under the credentials and in the region of `config`.
    pub fn new(config: &SdkConfig) -> Self {
        let clocks = Clocks::default();
        let timeouts = TimeoutConfig::builder().operation_timeout(PATIENCE).operation_attempt_timeout(PATIENCE / 2).build();
        let config = aws_sdk_cloudcontrol::config::Builder::from(config)
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            .interceptor(clocks.clone())
            .build();
        Self { client: Client::from_conf(config), clocks }
    }

    /// The properties of a resource; none if there is no such resource.
    ///
    /// # Errors
    /// It could not be looked at.
    pub async fn get(&self, type_name: &str, identifier: &str) -> Result<Option<Value>, NotSeen> {
        let asked = self.client.get_resource().type_name(type_name).identifier(identifier).send().await;
        match asked {
            Ok(output) => {
                let properties = output.resource_description.and_then(|described| described.properties).unwrap_or_default();
                serde_json::from_str(&properties).map(Some).map_err(|_| NotSeen("Cloud Control's answer is not JSON".to_owned()))
            }
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => Ok(None),
            Err(error) => Err(not_seen(&error)),
        }
    }

    /// The identifiers of the resources of a type that belong to what `model` names.
    ///
    /// # Errors
    /// They could not be looked at.
    pub async fn list(&self, type_name: &str, model: &Value) -> Result<Vec<String>, NotSeen> {
        let mut pages = self.client.list_resources().type_name(type_name).resource_model(model.to_string()).into_paginator().send();
        let mut identifiers = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| not_seen(&error))?;
            identifiers.extend(page.resource_descriptions.unwrap_or_default().into_iter().filter_map(|described| described.identifier));
        }
        Ok(identifiers)
    }

    /// By how many seconds AWS's clock is ahead of this machine's, by the last answer (RFC 9110, section 6.6.1); none before the first.
    pub fn ahead_seconds(&self) -> Option<i64> {
        *self.clocks.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a call failed, in AWS's words, which name the right that is missing.
fn not_seen<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> NotSeen {
    let why = match error {
        SdkError::ServiceError(error) => {
            let error = error.err();
            format!("{}: {}", error.code().unwrap_or("no code"), error.message().unwrap_or("no message"))
        }
        SdkError::TimeoutError(_) => "Cloud Control did not answer in time".to_owned(),
        SdkError::DispatchFailure(_) => "Cloud Control cannot be reached from here".to_owned(),
        SdkError::ConstructionFailure(_) | SdkError::ResponseError(_) | _ => "Cloud Control's answer cannot be read".to_owned(),
    };
    NotSeen(why.replace('\n', " "))
}

/// Compares clocks at each answer.
#[derive(Debug, Clone, Default)]
struct Clocks(Arc<Mutex<Option<i64>>>);

impl Intercept for Clocks {
    fn name(&self) -> &'static str {
        "Clocks"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(theirs) = context.response().headers().get("date").and_then(ahead) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(theirs);
        }
        Ok(())
    }
}

/// By how many seconds the clock that wrote this `Date` is ahead of this machine's. It has whole seconds, and was written a moment ago.
pub fn ahead(date: &str) -> Option<i64> {
    let theirs = httpdate::parse_http_date(date).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let ours: Timestamp = SystemClock::new().now();
    Some(i64::try_from(theirs.as_secs()).ok()?.saturating_sub(ours.unix_seconds()))
}

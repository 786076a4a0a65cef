//! What a developer sees behind a refusal: the audit record, and what `latchkey explain` says.
//!
//! Only this portal can have it, because the broker runs beside it. A portal of a deployment has the request id, and the operators the
//! rest.

use std::collections::HashMap;
use std::fmt;

use broker::config::Config;
use latchkey_aws::clients::Clients;
use latchkey_aws::environment::Environment;
use latchkey_aws::grant_store::Table;
use latchkey_domain::audit::AuditRecord;
use latchkey_domain::clock::{SystemClock, Timestamp};
use latchkey_domain::token::BearerToken;
use latchkey_oidc::verifier::Verifier;
use latchkey_transport::Transport;

use crate::embedded::{ACCOUNT, DecisionLog, Embedded};
use crate::explain::ports::{Caller, Shifted};
use crate::explain::reasons::{self, Advice};
use crate::explain::text::explained;
use crate::explain::{self, Asked, Decision, Explainer};

/// What there is to see.
#[derive(Debug)]
pub(super) struct View {
    /// The record of the decision.
    pub(super) record: Option<AuditRecord>,
    /// What its reason means, and what to do about it.
    pub(super) advice: Option<Advice>,
    /// What `latchkey explain` says of a launch with the same token, target and landing; or why it says nothing.
    pub(super) explanation: String,
    /// Whether it would have been allowed by all that `latchkey explain` can look at.
    pub(super) is_allowed_by_explanation: bool,
}

/// Where it is seen from.
pub(super) struct Backstage {
    decisions: DecisionLog,
    /// The broker's. Among them are the stand-in's credentials.
    variables: HashMap<String, String>,
}

impl fmt::Debug for Backstage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backstage")
    }
}

impl Backstage {
    /// Behind the broker that runs in this process.
    pub(super) fn of(embedded: &Embedded) -> Self {
        Self { decisions: embedded.decisions.clone(), variables: embedded.stack.env().into_iter().collect() }
    }

    /// What is behind the answer to a request for that target and landing.
    pub(super) async fn look(&self, request_id: &str, token: &BearerToken, target: Option<&str>, landing: Option<&str>) -> View {
        let record = self.decisions.of(request_id);
        let advice = record.as_ref().and_then(|record| record.reason).and_then(reasons::advice);
        let (explanation, is_allowed_by_explanation) =
            match self.explain(token, target, landing, record.as_ref().map(|record| record.time)).await {
                Ok(said) => said,
                // Neither of them quotes the token.
                Err(error) => (format!("It cannot be explained: {error:#}"), false),
            };
        View { record, advice, explanation, is_allowed_by_explanation }
    }

    /// As of the decision: a moment later the window of the rate limit may be another, or the token at its end.
    async fn explain(
        &self,
        token: &BearerToken,
        target: Option<&str>,
        landing: Option<&str>,
        at: Option<Timestamp>,
    ) -> anyhow::Result<(String, bool)> {
        let variable = |name: &str| self.variables.get(name).cloned();
        let environment = Environment::read(variable)?;
        let transport = Transport::new(None)?;
        let clients = Clients::new(&environment, transport.clone())?;
        let mut config = Config::from_environment(variable)?;
        let (table, clock) = (Table::new(clients.dynamodb(), config.table.clone()), SystemClock::new());
        let verifier = Verifier::new(std::mem::take(&mut config.issuers), transport, table.clone(), clock);
        let explainer = Explainer::new(Asked::Token, config, &clients, Caller::OfTheToken(verifier), table, Shifted::to(at, clock));
        let event = explain::launch(token, target, landing);
        let explanation = explainer
            .explain(&event, Some(ACCOUNT))
            .await
            .map_err(|_| anyhow::anyhow!("it hangs on the account that the function runs in"))?;
        Ok((explained(&explanation), explanation.decision == Decision::Allow))
    }
}

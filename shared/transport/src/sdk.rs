//! The transport as the AWS SDK's HTTP client.

use std::borrow::Cow;
use std::time::Duration;

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::Transport;
use crate::error::{CallError, ConnectFailure};

impl Transport {
    /// The pool with one call's limits. It is a pointer and two durations, so nothing is gained by keeping connectors.
    pub fn connector(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        SharedHttpConnector::new(Limited {
            transport: self.clone(),
            connect_within: settings.connect_timeout(),
            answer_within: settings.read_timeout(),
        })
    }
}

impl HttpClient for Transport {
    fn http_connector(&self, settings: &HttpConnectorSettings, _components: &RuntimeComponents) -> SharedHttpConnector {
        self.connector(settings)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some(Cow::Borrowed("1.x"))))
    }
}

/// The transport with the limits of one call.
#[derive(Debug)]
struct Limited {
    transport: Transport,
    connect_within: Option<Duration>,
    answer_within: Option<Duration>,
}

impl HttpConnector for Limited {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let transport = self.transport.clone();
        let (connect_within, answer_within) = (self.connect_within, self.answer_within);
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = transport.send(request, connect_within, answer_within).await.map_err(connector_error)?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x)).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Puts the error into the SDK's words, which its own retries go by, and keeps it as the source.
fn connector_error(error: CallError) -> ConnectorError {
    match &error {
        CallError::NotConnected { kind: ConnectFailure::Timeout, .. } => ConnectorError::timeout(error.into()).never_connected(),
        CallError::NotConnected { kind: ConnectFailure::Unreachable | ConnectFailure::Tls, .. } => {
            ConnectorError::io(error.into()).never_connected()
        }
        CallError::Timeout => ConnectorError::timeout(error.into()),
        CallError::Broken(_) => ConnectorError::io(error.into()),
        CallError::BadUrl => ConnectorError::user(error.into()),
    }
}

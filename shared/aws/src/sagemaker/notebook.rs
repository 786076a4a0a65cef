//! A notebook instance.

use aws_sdk_sagemaker::operation::RequestId as _;
use aws_sdk_sagemaker::operation::describe_notebook_instance::DescribeNotebookInstanceOutput;
use aws_sdk_sagemaker::types::{DirectInternetAccess, InstanceMetadataServiceConfiguration, NotebookInstanceStatus, RootAccess};
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::posture::{Inspection, NotReady, NotebookFacts};
use latchkey_domain::target::Notebook;
use tokio::time::Instant;

use super::{Calls, DESCRIBE, Inspect, Made, Told, Via, made, seconds, send};
use crate::attempts;
use crate::failure::{Failure, Kind, printable};

async fn describe(notebook: &Notebook, via: &Via<'_>) -> Result<DescribeNotebookInstanceOutput, Failure> {
    let request = via.client.describe_notebook_instance().notebook_instance_name(notebook.notebook_instance_name.as_str());
    let output = send!(via, request).map_err(|error| {
        let failure = Failure::from(error);
        // The call knows no `ResourceNotFound`: of a notebook instance that is not there it says that its name, all that it takes, is
        // not valid. The name is a legal one here.
        if failure.kind == Kind::Validation { Failure { kind: Kind::NotFound, ..failure } } else { failure }
    })?;
    // Whatever has no state is no notebook instance: an answer that is empty must not be taken for one that has nothing set.
    if output.notebook_instance_status.is_some() { Ok(output) } else { Err(Failure::malformed(output.request_id())) }
}

impl Calls for Notebook {
    async fn presign(&self, via: &Via<'_>, entitlement: &Entitlement) -> Result<Made, Failure> {
        // There is no `ExpiresInSeconds`: see `latchkey_domain::target::Notebook`.
        let request = via
            .client
            .create_presigned_notebook_instance_url()
            .notebook_instance_name(self.notebook_instance_name.as_str())
            .session_expiration_duration_in_seconds(seconds(entitlement.session_seconds()));
        let output = send!(via, request)?;
        made(output.authorized_url(), output.request_id())
    }

    async fn state(&self, via: &Via<'_>) -> Result<Told, Failure> {
        let output = describe(self, via).await?;
        let status = output.notebook_instance_status.as_ref();
        let not_ready =
            (status != Some(&NotebookInstanceStatus::InService)).then(|| NotReady::new(status.map(NotebookInstanceStatus::as_str)));
        Ok(Told { not_ready, request_id: output.request_id().and_then(printable) })
    }
}

impl Inspect for Notebook {
    async fn inspect(&self, via: &Via<'_>, deadline: Instant) -> Result<Inspection, Failure> {
        let output = attempts::run(DESCRIBE, deadline, || describe(self, via)).await?;
        let metadata_service = output.instance_metadata_service_configuration.as_ref();
        let facts = NotebookFacts {
            minimum_imds_version: metadata_service
                .and_then(InstanceMetadataServiceConfiguration::minimum_instance_metadata_service_version),
            root_access: output.root_access.as_ref().map(RootAccess::as_str),
            direct_internet: output.direct_internet_access.as_ref().map(DirectInternetAccess::as_str),
            kms_key: output.kms_key_id(),
            status: output.notebook_instance_status.as_ref().map(NotebookInstanceStatus::as_str),
        };
        Ok(Inspection { aws_request_ids: output.request_id().and_then(printable).into_iter().collect(), ..facts.judge() })
    }
}

//! `DescribeNotebookInstance`: the state of a notebook instance, and how it is set up.

use serde_json::{Value, json};

use crate::aws::error::{AwsError, NOTEBOOK_NAME, Violations};
use crate::aws::members::Members;
use crate::aws::pages::NOTEBOOK;
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:DescribeNotebookInstance";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let name = members.text("NotebookInstanceName")?;
    members.finish()?;

    let mut violations = Violations::default();
    let name = violations.required("notebookInstanceName", name, 0..=63, &NOTEBOOK_NAME);
    violations.finish("ValidationException")?;

    let arn = call.arn(&format!("notebook-instance/{name}"));
    call.authorize(ACTION, &arn)?;

    let world = lock(&call.state.world);
    let notebook = world.notebook_instance(&call.identity.account_id, call.region, &name).ok_or_else(AwsError::no_record)?;
    let enabled = |is_enabled: bool| if is_enabled { "Enabled" } else { "Disabled" };
    let mut output = json!({
        "NotebookInstanceArn": arn,
        "NotebookInstanceName": name,
        "NotebookInstanceStatus": notebook.status.as_str(),
        // AWS writes no scheme here.
        "Url": format!("{}:{}", NOTEBOOK.host(&name, call.region), call.state.port),
        "RootAccess": enabled(notebook.root_access),
        "DirectInternetAccess": enabled(notebook.direct_internet_access),
        "InstanceMetadataServiceConfiguration": { "MinimumInstanceMetadataServiceVersion": notebook.minimum_imds_version.as_str() },
    });
    // AWS leaves out what there is none of.
    if let Some(kms_key) = &notebook.kms_key {
        output["KmsKeyId"] = json!(kms_key);
    }
    Ok(output)
}

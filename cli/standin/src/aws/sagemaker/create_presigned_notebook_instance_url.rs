//! `CreatePresignedNotebookInstanceUrl`: a URL that opens a notebook instance, for five minutes whatever anybody asks for.

use serde_json::{Value, json};

use super::presign::{self, Lifetimes};
use crate::aws::error::{AwsError, NOTEBOOK_NAME, Violations};
use crate::aws::members::Members;
use crate::aws::pages::{Door, Fact, NOTEBOOK};
use crate::aws::world::NotebookStatus;
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:CreatePresignedNotebookInstanceUrl";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let name = members.text("NotebookInstanceName")?;
    let lifetimes = Lifetimes::read_session(&mut members)?;
    members.finish()?;

    let mut violations = Violations::default();
    let name = violations.required("notebookInstanceName", name, 0..=63, &NOTEBOOK_NAME);
    lifetimes.check(&mut violations);
    violations.finish("ValidationException")?;

    let arn = call.arn(&format!("notebook-instance/{name}"));
    call.authorize(ACTION, &arn)?;

    let found = lock(&call.state.world).notebook_instance(&call.identity.account_id, call.region, &name).map(|notebook| notebook.status);
    let status = found.ok_or_else(AwsError::no_record)?;
    if status != NotebookStatus::InService {
        return Err(AwsError::not_ready("NotebookInstance", &name, status.as_str()));
    }
    let door = Door {
        site: &NOTEBOOK,
        label: name.clone(),
        resource_arn: arn,
        heading: format!("Notebook instance {name} is open"),
        facts: vec![Fact::new("notebook_instance_name", "Notebook instance", name)],
    };
    Ok(json!({ "AuthorizedUrl": presign::url(call, door, &lifetimes)? }))
}

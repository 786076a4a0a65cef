//! A notebook instance.

use super::{Place, TargetKind, UrlLife};
use crate::names::NotebookInstanceName;
use crate::row::{GrantDefect, Row};

/// A notebook instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notebook {
    /// Its name.
    pub notebook_instance_name: NotebookInstanceName,
}

impl TargetKind for Notebook {
    const KIND: &'static str = "notebook";
    const ATTRIBUTES: &'static [&'static str] = &["notebook_instance_name"];
    const PRESIGN_ACTION: &'static str = "sagemaker:CreatePresignedNotebookInstanceUrl";
    const STATE_ACTION: &'static str = "sagemaker:DescribeNotebookInstance";
    // `CreatePresignedNotebookInstanceUrl` has no `ExpiresInSeconds`: its documentation says five minutes.
    const URL_LIFE: UrlLife = UrlLife::Fixed(300);
    const IS_GATED: bool = true;
    const IS_PERSONAL: bool = true;

    fn read(row: &Row<'_>) -> Result<Self, GrantDefect> {
        Ok(Self { notebook_instance_name: row.required("notebook_instance_name", NotebookInstanceName::new)? })
    }

    fn values(&self) -> Vec<&str> {
        vec![self.notebook_instance_name.as_str()]
    }

    fn resource_arn(&self, place: Place<'_>) -> String {
        place.arn(format_args!("notebook-instance/{}", self.notebook_instance_name))
    }
}

//! The resources of a deployment, each with the properties that its type has in CloudFormation.

use serde::Deserialize;
use serde_json::Value;

/// A resource as AWS Cloud Control describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Its type, as `AWS::IAM::Role`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What its type is identified by, as a role's name. Of several, with `|` between them.
    pub identifier: String,
    /// Its properties.
    pub properties: Value,
}

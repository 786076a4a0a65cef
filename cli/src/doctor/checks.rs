//! Every check: what is to hold, and what to do where it does not. docs/operations.md has them as a table; a test compares the two.

/// One thing that is looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, for scripts and for the documents.
    pub name: &'static str,
    /// What is to hold.
    pub holds: &'static str,
    /// What to do where it does not.
    pub fix: &'static str,
}

macro_rules! checks {
    ($($id:ident = $name:literal, $holds:literal, $fix:literal;)*) => {
        $(#[doc = $holds] pub const $id: &Check = &Check { name: $name, holds: $holds, fix: $fix };)*
        /// All of them, in the order in which they are looked at.
        pub const ALL: &[&Check] = &[$($id),*];
    };
}

checks! {
    FUNCTION_THERE = "function.there", "the function is there",
        "`--name` is the deployment's parameter `Name`; `AWS_REGION` and the credentials say where it is looked for";
    FUNCTION_CONFIGURATION = "function.configuration", "the broker starts with the function's variables, and knows all of them",
        "correct the parameter of the template and deploy; configuration.md has every variable";
    FUNCTION_VPC = "function.vpc", "the function is in a VPC",
        "`SubnetIds` and `SecurityGroupIds` of template.yaml: without, it reaches AWS by the internet, and its role refuses that";
    FUNCTION_TIME = "function.time", "the function has 5 to 29 seconds: time for its calls, and less than API Gateway waits",
        "`Timeout` of the function, as template.yaml has it";
    FUNCTION_CALLERS = "function.callers", "API Gateway alone may invoke the function, for one API",
        "remove the permission (`aws lambda remove-permission`): whoever may invoke the function says by itself which endpoint it comes by";
    FUNCTION_URL = "function.url", "the function has no URL of its own",
        "delete it (`aws lambda delete-function-url-config`): it is open to the internet, and goes past the API's policy";
    API_PRIVATE = "api.private", "the API is private",
        "`EndpointConfiguration` of template.yaml; deploy it again";
    API_POLICY = "api.policy", "the API's policy refuses what comes by another VPC endpoint, or by none",
        "deploy template.yaml with `ExecuteApiEndpointIds`; a changed policy holds once the stage is deployed again";
    API_ENDPOINTS = "api.endpoints", "the function believes the endpoints that the API's policy names, and no others",
        "`ExecuteApiEndpointIds` sets both: deploy template.yaml again";
    BROKER_ROLE_NETWORK = "broker-role.network", "the function's role works by the endpoints of DynamoDB and STS alone",
        "deploy template.yaml with `DynamoDbEndpointIds` and `StsEndpointIds` of the endpoints that are there";
    ROLE_THERE = "role.there", "the role is there, and lets itself be looked at",
        "deploy template.yaml; the role's name is in `LATCHKEY_ROLE_ARN` or `LATCHKEY_PROVISION_ROLE_ARN`";
    ROLE_TRUST = "role.trust", "the function's role alone may take the role on, and only with the external id that the function has",
        "deploy template.yaml again: somebody has changed the role's trust";
    ROLE_STS = "role.sts", "the role is taken on by STS's endpoint alone",
        "`StsEndpointIds` of template.yaml: the ids of the endpoints that are there";
    ROLE_NETWORK = "role.network", "the role's policy names the endpoint for the function's call and those for the browser, and no other way",
        "`SageMakerApiEndpointIds`, `StudioEndpointIds`, `NotebookEndpointIds` and `AppEndpointIds` of template.yaml: one alone breaks the other half";
    ENDPOINT_THERE = "endpoint.there", "the VPC endpoint is there",
        "deploy deploy/network.yaml, and give its outputs to template.yaml: a policy names an endpoint that is gone";
    ENDPOINT_POLICY = "endpoint.policy", "the endpoint's policy lets through what latchkey asks, and not everything",
        "put the policy of deploy/network.yaml on it: it has AWS's own, by which whatever a stolen key may do goes through";
    ENDPOINT_VPC = "endpoint.vpc", "the endpoint is in the function's VPC",
        "the function's `SubnetIds` and the endpoint have to be of one VPC";
    ENDPOINT_DNS = "endpoint.private-dns", "AWS's own name leads to the endpoint within the VPC",
        "switch the endpoint's private DNS on, or give the function the endpoint's address: deploy.md, \"With private DNS off\"";
    NAME_PRIVATE = "name.private", "the name answers private addresses, and nothing else",
        "forward the zone to Route 53 Resolver in the VPC (deploy.md, step 7); run this where the browsers are, or ask their server with `--dns`";
    DOMAIN_THERE = "domain.there", "the domain is there",
        "`StudioDomainIds` of template.yaml names a domain that is gone, or of another account or region";
    DOMAIN_NETWORK = "domain.network", "the domain's AppNetworkAccessType is VpcOnly",
        "update the domain to `VpcOnly`: its notebooks reach the internet past your network";
    DOMAIN_AUTH = "domain.auth", "the domain's AuthMode is IAM",
        "presigned URLs are for domains with AuthMode IAM: it takes a new domain";
    DOMAIN_KEY = "domain.key", "the domain's storage is under a key of yours",
        "it is chosen when a domain is made (`KmsKeyId`)";
    TABLE_THERE = "table.there", "the table is there",
        "`LATCHKEY_TABLE` names it; deploy template.yaml";
    TABLE_KEYS = "table.keys", "the table's keys are the texts pk and sk",
        "deploy template.yaml: the table is not latchkey's";
    TABLE_RECOVERY = "table.recovery", "the table can be taken back to any second of the last days",
        "switch point-in-time recovery on, as template.yaml has it: a bulk change cannot be undone without";
    TABLE_EXPIRY = "table.expiry", "rows expire by ttl",
        "switch time to live on for the attribute `ttl`: counters, used tokens and expired grants stay forever";
    TABLE_ENCRYPTION = "table.encryption", "the table is under a key of yours",
        "`SSESpecification` of template.yaml: KMS, with a key of the account";
    TABLE_DELETION = "table.deletion", "the table is protected from being deleted",
        "switch deletion protection on: every grant is in it";
    KEY_ROTATION = "table.key-rotation", "the table's key is rotated",
        "`aws kms enable-key-rotation`";
    KEYS_AGE = "keys.age", "the issuer's keys were confirmed in the last half hour",
        "`latchkey keys refresh`; then runbook.md, \"keys-stale\": at an hour no token of the issuer is accepted";
    KEYS_REFRESHER = "keys.refresher", "the function that fetches keys is there",
        "`RefreshKeys=true` of template.yaml, or an issuer whose `jwks.source` is `url`";
    CLOCK_AWS = "clock.aws", "this machine's clock agrees with AWS's to a minute",
        "set this machine's clock: explain and signatures go by it";
    CLOCK_ISSUER = "clock.issuer", "the issuer's clock agrees with AWS's to its leeway",
        "tell who runs the issuer; `leeway_seconds` bridges up to two minutes";
    LOG_KEPT = "log.kept", "the log is there, is kept for a time that was chosen, and is under a key of yours",
        "`LogRetentionDays` of template.yaml; the audit records are in it";
    ALARM_THERE = "alarm.there", "the alarm is there",
        "deploy template.yaml";
    ALARM_TOLD = "alarm.told", "somebody is told when the alarm goes off",
        "`AlarmTopicArn` of template.yaml";
}

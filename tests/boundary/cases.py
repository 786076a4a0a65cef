"""The matrix: who may do what, from where, and why that is so.

Each case is one request to AWS with every policy that it meets, out of the templates: of the identity, the session, the resource, the
endpoint it comes through and, where `scp` says so, the organisation. `expect` is what IAM has to answer, and `why` what would be wrong
otherwise.
"""

import dataclasses

from world import (
    ACCOUNT,
    DEPLOYER,
    OPERATOR,
    RESPONDER,
    DOMAIN,
    EXECUTION_ROLE,
    EXTERNAL_ID,
    MLFLOW_APP,
    NOTEBOOK_KEY,
    OTHER_VPC,
    PARTNER_APP,
    REGION,
    STRANGERS_ACCOUNT,
    TRACKING_SERVER,
    VPC,
    WORKLOAD_ACCOUNT,
    WORKLOAD_DOMAIN,
    WORKLOAD_EXECUTION_ROLE,
    WORKLOAD_EXTERNAL_ID,
    WORKLOAD_MLFLOW_APP,
    WORKLOAD_PARTNER_APP,
    WORKLOAD_TRACKING_SERVER,
    deployed,
    simulate,
)

ALLOWED, REFUSED = "allowed", "refused"

EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}

API = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:a1b2c3d4e5"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:latchkey-broker"
OTHER_FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:something-else"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/latchkey"
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda"
ISSUING = f"arn:aws:iam::{ACCOUNT}:role/latchkey-issuing"
WORKLOAD_ISSUING = f"arn:aws:iam::{WORKLOAD_ACCOUNT}:role/latchkey-issuing"
PROVISIONING = f"arn:aws:iam::{ACCOUNT}:role/latchkey-provisioning"
WORKLOAD_PROVISIONING = f"arn:aws:iam::{WORKLOAD_ACCOUNT}:role/latchkey-provisioning"
ALICE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/{DOMAIN}/alice"
BOB = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/{DOMAIN}/bob"
NOTEBOOK = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:notebook-instance/research-alice"
SERVER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:mlflow-tracking-server/{TRACKING_SERVER}"
APP = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:mlflow-app/{MLFLOW_APP}"
PARTNER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:partner-app/{PARTNER_APP}"

OPEN_STUDIO = "sagemaker:CreatePresignedDomainUrl"
OPEN_NOTEBOOK = "sagemaker:CreatePresignedNotebookInstanceUrl"
OPEN_SERVER = "sagemaker:CreatePresignedMlflowTrackingServerUrl"
OPEN_APP = "sagemaker:CreatePresignedMlflowAppUrl"
OPEN_PARTNER = "sagemaker:CreatePartnerAppPresignedUrl"

# ------------------------------------------------------------------------------------------------------------------ who


@dataclasses.dataclass(frozen=True)
class Who:
    """A principal, and where its policies are."""

    label: str
    principal: str
    account: str = ACCOUNT
    role_arn: str | None = None
    policies: tuple = ()  # (stack, role): attached, out of the templates
    everything: bool = False  # allowed everything by somebody, as administrators are
    only: tuple | None = None  # session policy: (actions, resource)
    revoked: tuple = ()  # what `latchkey revoke` has written to the role: one, everyone


def session(account, role, name):
    return f"arn:aws:sts::{account}:assumed-role/{role}/{name}"


def role(account, name):
    return f"arn:aws:iam::{account}:role/{name}"


PORTAL = Who("a portal, with a Bearer token", "anonymous")
GATEWAY = Who("API Gateway", "apigateway.amazonaws.com")
BROKER = Who("the function", session(ACCOUNT, "latchkey-broker", "latchkey-broker"), role_arn=role(ACCOUNT, "latchkey-broker"), policies=(("broker", "BrokerRole"),))
ALICES = Who(
    "Alice's session",
    session(ACCOUNT, "latchkey-issuing", "okta.alice"),
    role_arn=ISSUING,
    policies=(("broker", "IssuingRole"),),
    only=((OPEN_STUDIO, "sagemaker:DescribeUserProfile"), ALICE),
)
# Her sessions for the other kinds, as the broker makes them: besides the URL and the state, what the browser will do.
ALICES_SERVER = dataclasses.replace(ALICES, label="Alice's session for MLflow", only=((OPEN_SERVER, "sagemaker:DescribeMlflowTrackingServer", "sagemaker-mlflow:*"), SERVER))
ALICES_APP = dataclasses.replace(ALICES, label="Alice's session for an MLflow app", only=((OPEN_APP, "sagemaker:DescribeMlflowApp", "sagemaker:CallMlflowAppApi", "sagemaker-mlflow:*"), APP))
ALICES_PARTNER = dataclasses.replace(ALICES, label="Alice's session for a partner app", only=((OPEN_PARTNER, "sagemaker:DescribePartnerApp", "sagemaker:CallPartnerAppApi"), PARTNER))
ISSUER = Who("the issuing role", session(ACCOUNT, "latchkey-issuing", "latchkey"), role_arn=ISSUING, policies=(("broker", "IssuingRole"),))
CARELESS = dataclasses.replace(ISSUER, label="the issuing role, given everything by mistake", everything=True)
LAX = dataclasses.replace(ISSUER, label="an issuing role that somebody has made without the condition", policies=(), everything=True)
WORKLOAD = Who(
    "the issuing role of the other account",
    session(WORKLOAD_ACCOUNT, "latchkey-issuing", "okta.alice"),
    account=WORKLOAD_ACCOUNT,
    role_arn=WORKLOAD_ISSUING,
    policies=(("workload", "IssuingRole"),),
)
PROVISIONER = Who("the provisioning role", session(ACCOUNT, "latchkey-provisioning", "okta.alice"), role_arn=PROVISIONING, policies=(("broker", "ProvisioningRole"),))
CARELESS_PROVISIONER = dataclasses.replace(PROVISIONER, label="the provisioning role, given everything by mistake", everything=True)
WORKLOAD_PROVISIONER = Who(
    "the provisioning role of the other account",
    session(WORKLOAD_ACCOUNT, "latchkey-provisioning", "okta.alice"),
    account=WORKLOAD_ACCOUNT,
    role_arn=WORKLOAD_PROVISIONING,
    policies=(("workload", "ProvisioningRole"),),
)
ADMIN = Who("an administrator", session(ACCOUNT, "admin", "mallory"), role_arn=role(ACCOUNT, "admin"), everything=True)
DEPLOY = Who("the deployer", session(ACCOUNT, "deployer", "ci"), role_arn=DEPLOYER, everything=True)
OPERATES = Who("an operator, who writes grants", session(ACCOUNT, "latchkey-operator", "olga"), role_arn=OPERATOR, everything=True)
RESPONDS = Who("an operator, who cuts sessions", session(ACCOUNT, "latchkey-responder", "rosa"), role_arn=RESPONDER, everything=True)
STACKSETS = Who("StackSets", session(ACCOUNT, "stacksets-exec-0123", "x"), role_arn=role(ACCOUNT, "stacksets-exec-0123"), everything=True)
STRANGER = Who(
    "an administrator of a stranger's account",
    session(STRANGERS_ACCOUNT, "admin", "eve"),
    account=STRANGERS_ACCOUNT,
    role_arn=role(STRANGERS_ACCOUNT, "admin"),
    everything=True,
)
STRANGERS_ISSUING = Who(
    "a role of the same name in a stranger's account",
    session(STRANGERS_ACCOUNT, "latchkey-issuing", "eve"),
    account=STRANGERS_ACCOUNT,
    role_arn=role(STRANGERS_ACCOUNT, "latchkey-issuing"),
    everything=True,
)
STRANGERS_PROVISIONING = dataclasses.replace(
    STRANGERS_ISSUING,
    label="a provisioning role in a stranger's account",
    principal=session(STRANGERS_ACCOUNT, "latchkey-provisioning", "eve"),
    role_arn=role(STRANGERS_ACCOUNT, "latchkey-provisioning"),
)


def service(name):
    return Who(name, f"{name}.amazonaws.com")


# ---------------------------------------------------------------------------------------------------------------- where

@dataclasses.dataclass(frozen=True)
class Place:
    """Where a request comes from: what AWS says of it, and which of our endpoints it comes through (by its name in deploy/network.yaml)."""

    label: str
    keys: dict
    endpoint: str | None = None
    # Whether the endpoint has the policy that deploy/network.yaml gives it. One that was there before may have another.
    policy: bool = True


def inside(vpc, endpoint):
    return {"aws:SourceVpce": endpoint, "aws:SourceVpc": vpc, "aws:VpcSourceIp": "10.0.0.9"}


INTERNET = Place("a laptop on the internet", {"aws:SourceIp": "203.0.113.7"})
CONSOLE = Place("the AWS console", {"aws:SourceIp": "203.0.113.7"})
OFFICE = Place("the office, over the internet", {"aws:SourceIp": "198.51.100.20"})
OTHER_ENDPOINT = Place("another endpoint of our VPC", inside(VPC, "vpce-0aaaaaaaaaaaaaaaa"))
OTHER_VPCS_ENDPOINT = Place("another VPC's endpoint", inside(OTHER_VPC, "vpce-0bbbbbbbbbbbbbbbb"))
NOWHERE = Place("inside AWS", {})
EXECUTE_API = Place("our execute-api endpoint", {}, "ExecuteApi")
SAGEMAKER_API = Place("our sagemaker.api endpoint", {}, "SageMakerApi")
STUDIO = Place("our Studio endpoint", {}, "Studio")
NOTEBOOKS = Place("our notebook endpoint", {}, "Notebook")
SERVERS = Place("our endpoint of MLflow tracking servers", {}, "MlflowServer")
APPS = Place("our endpoint of MLflow apps", {}, "MlflowApp")
PARTNERS = Place("our endpoint of partner apps", {}, "PartnerApp")
STS = Place("our sts endpoint", {}, "Sts")
DYNAMODB = Place("our dynamodb endpoint", {}, "DynamoDb")
OPEN_SAGEMAKER_API = dataclasses.replace(SAGEMAKER_API, label="our sagemaker.api endpoint, whose policy lets everything through", policy=False)
OPEN_STUDIO_ENDPOINT = dataclasses.replace(STUDIO, label="our Studio endpoint, whose policy lets everything through", policy=False)
OPEN_SERVERS = dataclasses.replace(SERVERS, label="our endpoint of MLflow tracking servers, whose policy lets everything through", policy=False)
OPEN_STS = dataclasses.replace(STS, label="our sts endpoint, whose policy lets everything through", policy=False)


def keys_of(place, world):
    """What AWS says of a request from there, and the policy of the endpoint it comes through."""
    if place.endpoint is None:
        return dict(place.keys), None
    endpoint = world.network.reference(place.endpoint)
    return inside(VPC, endpoint), world.endpoint_policies().get(endpoint) if place.policy else None


# ----------------------------------------------------------------------------------------------------------------- cases


@dataclasses.dataclass(frozen=True)
class Case:
    group: str
    who: Who
    action: str
    resource: str
    where: Place
    expect: str
    why: str
    keys: dict = dataclasses.field(default_factory=dict)
    # The resource's own policy: api, function, refresher, queue, topic, lambda-trust, or with its stack: key <stack>, trust <stack>,
    # provisioning-trust <stack>.
    on: str | None = None
    scp: bool = False
    method: str = "endpoint"
    unknown: tuple = ()  # keys that the simulator's data does not have for the action

    def __str__(self):
        method = "" if self.method == "endpoint" else f" (method {self.method})"
        said = "".join(f", {key.split(':', 1)[1]}={value}" for key, value in self.keys.items() if value is not None)
        return f"{self.who.label}: {self.action} on {short(self.resource)}, from {self.where.label}{said}{method}"


def short(resource):
    return resource.split(":", 5)[-1] if resource.startswith("arn:") else resource


def simulation(case, world):
    """The request and every policy that it meets, as the simulator takes it."""
    who = case.who
    keys, endpoint_policy = keys_of(case.where, world)
    if who.role_arn:
        keys |= {"aws:PrincipalArn": who.role_arn, "aws:PrincipalAccount": who.account}
    identity = [{"name": f"{stack} {name} {policy}", "policy": document} for stack, name in who.policies for policy, document in world.identity(stack, name).items()]
    identity += [{"name": f"latchkey-revoked {whose}", "policy": world.templates["revocation"][whose]} for whose in who.revoked]
    if who.everything:
        identity.append({"name": "everything", "policy": EVERYTHING})
    account = case.resource.split(":")[4] if case.resource.startswith("arn:") and case.resource.split(":")[4] else ACCOUNT
    keys["aws:ResourceAccount"] = account
    simulated = {
        "request": {
            "principal": who.principal,
            "action": case.action,
            "resource": {"resource": case.resource, "accountId": account},
            "contextVariables": {name: value for name, value in (keys | case.keys).items() if value is not None},
        },
        "identityPolicies": identity,
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
        "vpcEndpointPolicies": [{"name": case.where.label, "policy": endpoint_policy}] if endpoint_policy else [],
    }
    if who.only:
        action, resource = who.only
        simulated["sessionPolicy"] = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}
    if case.on:
        kind, _, stack = case.on.partition(" ")
        simulated["resourcePolicy"] = {
            "api": world.api_policy,
            "function": world.function_policy,
            "refresher": lambda: world.function_policy("latchkey-jwks-refresher"),
            "queue": lambda: world.broker.resources["RefresherQueuePolicy"]["Properties"]["PolicyDocument"],
            "key": lambda: world.stacks[stack].resources["Key"]["Properties"]["KeyPolicy"],
            "topic": lambda: world.guardrails.resources["TopicPolicy"]["Properties"]["PolicyDocument"],
            "trust": lambda: world.trust(stack, "IssuingRole"),
            "provisioning-trust": lambda: world.trust(stack, "ProvisioningRole"),
            "lambda-trust": lambda: world.trust("broker", "BrokerRole"),
        }[kind]()
    if case.scp:
        policies = [{"name": "FullAWSAccess", "policy": EVERYTHING}]
        policies += [{"name": name, "policy": document} for name, document in world.service_control_policies().items()]
        simulated["serviceControlPolicies"] = [{"orgIdentifier": "ou-abcd-12345678", "policies": policies}]
    return simulated


def decide(cases, world_of=deployed):
    """`(case, what IAM answers, whether that is what it should be)` for each. `world_of` gives the deployment for a method."""
    worlds = {method: world_of(method) for method in {case.method for case in cases}}
    decisions = simulate([simulation(case, worlds[case.method]) for case in cases])
    rows = []
    for case, (decision, ignored) in zip(cases, decisions, strict=True):
        if stray := set(ignored) - set(case.unknown):
            raise ValueError(f"{case}: {sorted(stray)} do not apply to {case.action}, so the case shows nothing about them")
        answer = ALLOWED if decision == "Allowed" else REFUSED
        rows.append((case, decision, answer == case.expect))
    return rows


def group(name, **defaults):
    def add(who, action, resource, where, expect, why, **more):
        CASES.append(Case(name, who, action, resource, where, expect, why, **(defaults | more)))

    return add


CASES = []

# -- the API ------------------------------------------------------------------------------------------------------------

case = group("Who reaches the API", on="api")
MINT = f"{API}/v1/POST/presigned-urls"
case(PORTAL, "execute-api:Invoke", MINT, EXECUTE_API, ALLOWED, "this is the way in")
case(PORTAL, "execute-api:Invoke", f"{API}/v1/GET/targets", EXECUTE_API, ALLOWED, "and the list of targets")
case(PORTAL, "execute-api:Invoke", MINT, INTERNET, REFUSED, "no endpoint, no answer: the key is absent")
case(PORTAL, "execute-api:Invoke", MINT, OTHER_ENDPOINT, REFUSED, "an endpoint of the VPC is not one of ours")
case(PORTAL, "execute-api:Invoke", MINT, OTHER_VPCS_ENDPOINT, REFUSED, "another VPC's endpoint reaches execute-api as well")
case(PORTAL, "execute-api:Invoke", f"{API}/prod/POST/presigned-urls", EXECUTE_API, REFUSED, "there is one stage")
case(ADMIN, "execute-api:Invoke", MINT, INTERNET, REFUSED, "a signed request is no way around the endpoint")
case(ADMIN, "execute-api:Invoke", MINT, OTHER_ENDPOINT, REFUSED, "nor is one through another endpoint")
case(PORTAL, "execute-api:Invoke", f"arn:aws:execute-api:{REGION}:{STRANGERS_ACCOUNT}:zzzzzzzzzz/v1/POST/upload", EXECUTE_API, REFUSED, "our endpoint leads to no stranger's API")
case(PORTAL, "execute-api:Invoke", f"arn:aws:execute-api:{REGION}:{ACCOUNT}:zzzzzzzzzz/v1/GET/x", EXECUTE_API, REFUSED, "nor to another API of the account")

# -- the function --------------------------------------------------------------------------------------------------------

case = group("Who invokes the function", on="function")
OURS = {"aws:SourceArn": MINT}
case(GATEWAY, "lambda:InvokeFunction", FUNCTION, NOWHERE, ALLOWED, "for our API, stage v1", keys=OURS)
case(GATEWAY, "lambda:InvokeFunction", FUNCTION, NOWHERE, REFUSED, "another API could invent a requestContext", keys=OURS | {"aws:SourceArn": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:zzzzzzzzzz/v1/POST/x"})
case(GATEWAY, "lambda:InvokeFunction", FUNCTION, NOWHERE, REFUSED, "another stage of our API has other settings", keys=OURS | {"aws:SourceArn": f"{API}/test/POST/presigned-urls"})
case(GATEWAY, "lambda:InvokeFunction", FUNCTION, NOWHERE, REFUSED, "on behalf of a stranger's account", keys={"aws:SourceArn": MINT.replace(ACCOUNT, STRANGERS_ACCOUNT)})
case(GATEWAY, "lambda:InvokeFunction", FUNCTION, NOWHERE, REFUSED, "on nobody's behalf", keys={"aws:SourceArn": None})
case(service("events"), "lambda:InvokeFunction", FUNCTION, NOWHERE, REFUSED, "no other service invokes it", keys=OURS)
case(PORTAL, "lambda:InvokeFunctionUrl", FUNCTION, INTERNET, REFUSED, "there is no Function URL")
case(STRANGER, "lambda:InvokeFunction", FUNCTION, INTERNET, REFUSED, "no other account may")

# -- the function's role -------------------------------------------------------------------------------------------------

case = group("Who takes on the function's role", on="lambda-trust")
BROKER_ROLE = role(ACCOUNT, "latchkey-broker")
case(service("lambda"), "sts:AssumeRole", BROKER_ROLE, NOWHERE, ALLOWED, "Lambda runs the function with it")
case(service("ec2"), "sts:AssumeRole", BROKER_ROLE, NOWHERE, REFUSED, "no machine gets it")
case(ADMIN, "sts:AssumeRole", BROKER_ROLE, CONSOLE, REFUSED, "no person does")
case(STRANGER, "sts:AssumeRole", BROKER_ROLE, INTERNET, REFUSED, "no other account does")

case = group("What the function may do with the table", keys={"lambda:SourceFunctionArn": FUNCTION})


def leading(*keys):
    return {"lambda:SourceFunctionArn": FUNCTION, "dynamodb:LeadingKeys": list(keys)}


case(BROKER, "dynamodb:BatchGetItem", TABLE, DYNAMODB, ALLOWED, "subject and grant, one request", keys=leading("SUBJECT#okta#alice"))
case(BROKER, "dynamodb:BatchGetItem", TABLE, DYNAMODB, ALLOWED, "and what the subject's groups were granted, in the same request", keys=leading("SUBJECT#okta#alice", "GROUP#okta#risk", "GROUP#okta#traders"))
case(BROKER, "dynamodb:Query", TABLE, DYNAMODB, ALLOWED, "a subject's grants", keys=leading("SUBJECT#okta#alice"))
case(BROKER, "dynamodb:GetItem", TABLE, DYNAMODB, ALLOWED, "an issuer's keys", keys=leading("JWKS#okta"))
case(BROKER, "dynamodb:Scan", TABLE, DYNAMODB, REFUSED, "it need not know everybody's grants")
case(BROKER, "dynamodb:UpdateItem", TABLE, DYNAMODB, ALLOWED, "the rate limit's count", keys=leading("RATE#okta#alice"))
case(BROKER, "dynamodb:PutItem", TABLE, DYNAMODB, ALLOWED, "the mark of a used token", keys=leading("TOKEN#okta#1"))
case(BROKER, "dynamodb:PutItem", TABLE, DYNAMODB, ALLOWED, "the same for a long token id", keys=leading("TOKEN-SHA256#okta#1"))
case(BROKER, "dynamodb:DeleteItem", TABLE, DYNAMODB, ALLOWED, "the mark taken back", keys=leading("TOKEN#okta#1"))
case(BROKER, "dynamodb:PutItem", TABLE, DYNAMODB, REFUSED, "the function cannot write itself a grant", keys=leading("SUBJECT#okta#alice"))
case(BROKER, "dynamodb:UpdateItem", TABLE, DYNAMODB, REFUSED, "nor change one", keys=leading("SUBJECT#okta#alice"))
case(BROKER, "dynamodb:UpdateItem", TABLE, DYNAMODB, REFUSED, "nor grant a group anything", keys=leading("GROUP#okta#risk"))
case(BROKER, "dynamodb:DeleteItem", TABLE, DYNAMODB, REFUSED, "nor end a suspension", keys=leading("SUBJECT#okta#alice"))
case(BROKER, "dynamodb:PutItem", TABLE, DYNAMODB, REFUSED, "nor bring keys of its own", keys=leading("JWKS#okta"))
case(BROKER, "dynamodb:PutItem", TABLE, DYNAMODB, REFUSED, "a mark in the same request makes no grant good", keys=leading("TOKEN#okta#1", "SUBJECT#okta#alice"))
case(BROKER, "dynamodb:PutItem", TABLE, DYNAMODB, REFUSED, "a request whose keys are not told is no exception")
case(BROKER, "dynamodb:DeleteTable", TABLE, DYNAMODB, REFUSED, "the table itself is not its business")
case(BROKER, "dynamodb:GetItem", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/payroll", DYNAMODB, REFUSED, "there is one table")
case(BROKER, "dynamodb:Query", TABLE, INTERNET, REFUSED, "credentials that have left the function are worth nothing")
case(BROKER, "dynamodb:Query", TABLE, OTHER_ENDPOINT, REFUSED, "through another endpoint neither")
case(BROKER, "dynamodb:Query", TABLE, DYNAMODB, REFUSED, "another function that was given the same role", keys={"lambda:SourceFunctionArn": OTHER_FUNCTION})
case(ADMIN, "dynamodb:PutItem", f"arn:aws:dynamodb:{REGION}:{STRANGERS_ACCOUNT}:table/loot", DYNAMODB, REFUSED, "our endpoint leads to no stranger's table", keys={"dynamodb:LeadingKeys": ["x"]})

case = group("What else the function may do", keys={"lambda:SourceFunctionArn": FUNCTION})
case(BROKER, OPEN_STUDIO, ALICE, SAGEMAKER_API, REFUSED, "the function has no action of SageMaker's: only issuing roles have")
case(BROKER, "sagemaker:DescribeDomain", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:domain/{DOMAIN}", SAGEMAKER_API, REFUSED, "looking is the issuing role's as well")
case(BROKER, "logs:PutLogEvents", f"{LOGS}/latchkey-broker:log-stream:x", NOWHERE, ALLOWED, "its own log")
case(BROKER, "logs:PutLogEvents", f"{LOGS}/something-else:log-stream:x", NOWHERE, REFUSED, "nobody else's")
case(BROKER, "logs:CreateLogGroup", f"{LOGS}/latchkey-broker", NOWHERE, REFUSED, "the log group is the template's, with its key and retention")
case(BROKER, "logs:DeleteLogGroup", f"{LOGS}/latchkey-broker", NOWHERE, REFUSED, "audit records stay")
case(BROKER, "ec2:CreateNetworkInterface", f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/*", NOWHERE, ALLOWED, "Lambda puts the function into the subnets", keys={"lambda:SourceFunctionArn": None})
case(BROKER, "ec2:CreateNetworkInterface", f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/*", NOWHERE, REFUSED, "the function's code does not")
case(BROKER, "xray:PutTraceSegments", "*", NOWHERE, ALLOWED, "Lambda traces")
case(BROKER, "iam:PutRolePolicy", ISSUING, NOWHERE, REFUSED, "it changes no role")
case(BROKER, "lambda:UpdateFunctionCode", FUNCTION, NOWHERE, REFUSED, "nor itself")
case(BROKER, "kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/key", NOWHERE, REFUSED, "it has nothing to do with keys but through DynamoDB", on="key broker")

# -- the function that fetches keys -----------------------------------------------------------------------------------------

REFRESHER_FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:latchkey-jwks-refresher"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:latchkey-jwks-refresher-failed"
SCHEDULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/RefresherFunctionSchedule"
REFRESHER = Who(
    "the refresher",
    session(ACCOUNT, "latchkey-jwks-refresher", "latchkey-jwks-refresher"),
    role_arn=role(ACCOUNT, "latchkey-jwks-refresher"),
    policies=(("broker", "RefresherRole"),),
)


def key_of(*rows):
    return {"lambda:SourceFunctionArn": REFRESHER_FUNCTION, "dynamodb:LeadingKeys": list(rows)}


case = group("What the refresher may do", keys={"lambda:SourceFunctionArn": REFRESHER_FUNCTION})
case(REFRESHER, "dynamodb:PutItem", TABLE, INTERNET, ALLOWED, "an issuer's keys; it is outside the VPC, because issuers are", keys=key_of("JWKS#okta"))
case(REFRESHER, "dynamodb:GetItem", TABLE, INTERNET, ALLOWED, "how old those are that are kept", keys=key_of("JWKS#okta"))
case(REFRESHER, "dynamodb:PutItem", TABLE, INTERNET, REFUSED, "no grant", keys=key_of("SUBJECT#okta#mallory"))
case(REFRESHER, "dynamodb:PutItem", TABLE, INTERNET, REFUSED, "nor one of a group's", keys=key_of("GROUP#okta#risk"))
case(REFRESHER, "dynamodb:PutItem", TABLE, INTERNET, REFUSED, "nor one in the same request as keys", keys=key_of("JWKS#okta", "SUBJECT#okta#mallory"))
case(REFRESHER, "dynamodb:GetItem", TABLE, INTERNET, REFUSED, "it need not know who opens what", keys=key_of("SUBJECT#okta#alice"))
case(REFRESHER, "dynamodb:PutItem", TABLE, INTERNET, REFUSED, "no counter: a rate limit that is set back is none", keys=key_of("RATE#okta#alice"))
case(REFRESHER, "dynamodb:DeleteItem", TABLE, INTERNET, REFUSED, "good keys are never replaced by none", keys=key_of("JWKS#okta"))
case(REFRESHER, "dynamodb:PutItem", TABLE, INTERNET, REFUSED, "another function that was given the same role", keys=key_of("JWKS#okta") | {"lambda:SourceFunctionArn": OTHER_FUNCTION})
case(REFRESHER, "dynamodb:PutItem", TABLE, INTERNET, REFUSED, "credentials outside any function", keys=key_of("JWKS#okta") | {"lambda:SourceFunctionArn": None})
case(REFRESHER, "sts:AssumeRole", ISSUING, INTERNET, REFUSED, "it has nothing to do with URLs", keys={"sts:ExternalId": EXTERNAL_ID, "sts:SourceIdentity": "okta.alice", "lambda:SourceFunctionArn": REFRESHER_FUNCTION}, on="trust broker")
case(REFRESHER, "logs:PutLogEvents", f"{LOGS}/latchkey-jwks-refresher:log-stream:x", NOWHERE, ALLOWED, "its own log")
case(REFRESHER, "logs:PutLogEvents", f"{LOGS}/latchkey-broker:log-stream:x", NOWHERE, REFUSED, "not among the audit records")
case(REFRESHER, "xray:PutTraceSegments", "*", NOWHERE, ALLOWED, "Lambda traces")
case(REFRESHER, "sqs:SendMessage", QUEUE, NOWHERE, ALLOWED, "what came to nothing")

case = group("Who invokes the refresher", on="refresher")
case(service("events"), "lambda:InvokeFunction", REFRESHER_FUNCTION, NOWHERE, ALLOWED, "its schedule", keys={"aws:SourceArn": SCHEDULE})
case(service("events"), "lambda:InvokeFunction", REFRESHER_FUNCTION, NOWHERE, REFUSED, "another rule", keys={"aws:SourceArn": f"{SCHEDULE}2"})
case(GATEWAY, "lambda:InvokeFunction", REFRESHER_FUNCTION, NOWHERE, REFUSED, "no API", keys=OURS)

case = group("Who writes to the refresher's queue", on="queue")
case(service("events"), "sqs:SendMessage", QUEUE, NOWHERE, ALLOWED, "its schedule, when the function cannot be invoked", keys={"aws:SourceArn": SCHEDULE})
case(service("events"), "sqs:SendMessage", QUEUE, NOWHERE, REFUSED, "another rule", keys={"aws:SourceArn": f"{SCHEDULE}2"})

# -- taking on an issuing role -------------------------------------------------------------------------------------------

SAYS = {"sts:ExternalId": EXTERNAL_ID, "sts:SourceIdentity": "okta.alice", "lambda:SourceFunctionArn": FUNCTION}
case = group("Who takes on the issuing role", on="trust broker", keys=SAYS)
case(BROKER, "sts:AssumeRole", ISSUING, STS, ALLOWED, "the function, with its external id, for somebody, through our endpoint")
case(BROKER, "sts:AssumeRole", ISSUING, STS, REFUSED, "another external id", keys=SAYS | {"sts:ExternalId": "guessed"})
case(BROKER, "sts:AssumeRole", ISSUING, STS, REFUSED, "no external id", keys=SAYS | {"sts:ExternalId": None})
case(BROKER, "sts:AssumeRole", ISSUING, STS, REFUSED, "for nobody in particular", keys=SAYS | {"sts:SourceIdentity": None})
case(BROKER, "sts:AssumeRole", ISSUING, STS, REFUSED, "another function that was given the same role", keys=SAYS | {"lambda:SourceFunctionArn": OTHER_FUNCTION})
case(BROKER, "sts:AssumeRole", ISSUING, STS, REFUSED, "the role outside any function", keys=SAYS | {"lambda:SourceFunctionArn": None})
case(BROKER, "sts:AssumeRole", ISSUING, INTERNET, REFUSED, "credentials that have left the function")
case(BROKER, "sts:AssumeRole", ISSUING, OTHER_VPCS_ENDPOINT, REFUSED, "from another VPC")
case(ADMIN, "sts:AssumeRole", ISSUING, CONSOLE, REFUSED, "an administrator is not trusted", keys={"sts:ExternalId": EXTERNAL_ID, "sts:SourceIdentity": "okta.alice"})
case(ADMIN, "sts:AssumeRole", ISSUING, STS, REFUSED, "not through our endpoint either", keys={"sts:ExternalId": EXTERNAL_ID, "sts:SourceIdentity": "okta.alice"})
case(ADMIN, "sts:AssumeRole", ISSUING, OPEN_STS, REFUSED, "also where the endpoint is an old one, open to all", keys={"sts:ExternalId": EXTERNAL_ID, "sts:SourceIdentity": "okta.alice"})
case(STRANGER, "sts:AssumeRole", ISSUING, INTERNET, REFUSED, "nor is another account", keys={"sts:ExternalId": EXTERNAL_ID, "sts:SourceIdentity": "okta.alice"})
case(service("lambda"), "sts:AssumeRole", ISSUING, NOWHERE, REFUSED, "no function runs with it", keys={})
case(BROKER, "sts:SetSourceIdentity", ISSUING, STS, ALLOWED, "saying for whom", keys={"sts:SourceIdentity": "okta.alice", "lambda:SourceFunctionArn": FUNCTION})
case(BROKER, "sts:TagSession", ISSUING, STS, REFUSED, "the broker sets no tags, so nobody does in its name", keys={"lambda:SourceFunctionArn": FUNCTION})
case(BROKER, "sts:AssumeRole", role(ACCOUNT, "admin"), STS, REFUSED, "no other role", on=None)

WORKLOAD_SAYS = SAYS | {"sts:ExternalId": WORKLOAD_EXTERNAL_ID}
case = group("Who takes on the other account's issuing role", on="trust workload", keys=WORKLOAD_SAYS)
case(BROKER, "sts:AssumeRole", WORKLOAD_ISSUING, STS, ALLOWED, "the function, with that account's external id")
case(BROKER, "sts:AssumeRole", WORKLOAD_ISSUING, STS, REFUSED, "each account has an external id of its own", keys=SAYS)
case(BROKER, "sts:AssumeRole", WORKLOAD_ISSUING, INTERNET, REFUSED, "credentials that have left the function")
case(BROKER, "sts:SetSourceIdentity", WORKLOAD_ISSUING, STS, ALLOWED, "saying for whom", keys={"sts:SourceIdentity": "okta.alice", "lambda:SourceFunctionArn": FUNCTION})
case(ADMIN, "sts:AssumeRole", WORKLOAD_ISSUING, CONSOLE, REFUSED, "an administrator of the broker's account is not trusted", keys={"sts:ExternalId": WORKLOAD_EXTERNAL_ID, "sts:SourceIdentity": "okta.alice"})
case(STRANGER, "sts:AssumeRole", WORKLOAD_ISSUING, STS, REFUSED, "nor a stranger", keys={"sts:ExternalId": WORKLOAD_EXTERNAL_ID, "sts:SourceIdentity": "okta.alice"})

# -- taking on a provisioning role ---------------------------------------------------------------------------------------

case = group("Who takes on the provisioning role", on="provisioning-trust broker", keys=SAYS)
case(BROKER, "sts:AssumeRole", PROVISIONING, STS, ALLOWED, "the function, with its external id, for somebody, through our endpoint")
case(BROKER, "sts:AssumeRole", PROVISIONING, STS, REFUSED, "another external id", keys=SAYS | {"sts:ExternalId": "guessed"})
case(BROKER, "sts:AssumeRole", PROVISIONING, STS, REFUSED, "no external id", keys=SAYS | {"sts:ExternalId": None})
case(BROKER, "sts:AssumeRole", PROVISIONING, STS, REFUSED, "for nobody in particular", keys=SAYS | {"sts:SourceIdentity": None})
case(BROKER, "sts:AssumeRole", PROVISIONING, STS, REFUSED, "another function that was given the same role", keys=SAYS | {"lambda:SourceFunctionArn": OTHER_FUNCTION})
case(BROKER, "sts:AssumeRole", PROVISIONING, INTERNET, REFUSED, "credentials that have left the function")
case(BROKER, "sts:AssumeRole", PROVISIONING, OTHER_VPCS_ENDPOINT, REFUSED, "from another VPC")
case(ADMIN, "sts:AssumeRole", PROVISIONING, CONSOLE, REFUSED, "an administrator is not trusted", keys={"sts:ExternalId": EXTERNAL_ID, "sts:SourceIdentity": "okta.alice"})
case(ADMIN, "sts:AssumeRole", PROVISIONING, OPEN_STS, REFUSED, "also where the endpoint is an old one, open to all", keys={"sts:ExternalId": EXTERNAL_ID, "sts:SourceIdentity": "okta.alice"})
case(ISSUER, "sts:AssumeRole", PROVISIONING, OPEN_STS, REFUSED, "the issuing role leads to no other", keys={"sts:ExternalId": EXTERNAL_ID, "sts:SourceIdentity": "okta.alice"})
case(STRANGER, "sts:AssumeRole", PROVISIONING, INTERNET, REFUSED, "nor is another account trusted", keys={"sts:ExternalId": EXTERNAL_ID, "sts:SourceIdentity": "okta.alice"})
case(service("sagemaker"), "sts:AssumeRole", PROVISIONING, NOWHERE, REFUSED, "it is no execution role", keys={})
case(BROKER, "sts:SetSourceIdentity", PROVISIONING, STS, ALLOWED, "saying for whom", keys={"sts:SourceIdentity": "okta.alice", "lambda:SourceFunctionArn": FUNCTION})
case(BROKER, "sts:TagSession", PROVISIONING, STS, REFUSED, "the broker sets no tags of a session", keys={"lambda:SourceFunctionArn": FUNCTION})

case = group("Who takes on the other account's provisioning role", on="provisioning-trust workload", keys=WORKLOAD_SAYS)
case(BROKER, "sts:AssumeRole", WORKLOAD_PROVISIONING, STS, ALLOWED, "the function, with that account's external id")
case(BROKER, "sts:AssumeRole", WORKLOAD_PROVISIONING, STS, REFUSED, "each account has an external id of its own", keys=SAYS)
case(BROKER, "sts:AssumeRole", WORKLOAD_PROVISIONING, STS, REFUSED, "for nobody in particular", keys=WORKLOAD_SAYS | {"sts:SourceIdentity": None})
case(BROKER, "sts:AssumeRole", WORKLOAD_PROVISIONING, INTERNET, REFUSED, "credentials that have left the function")
case(BROKER, "sts:SetSourceIdentity", WORKLOAD_PROVISIONING, STS, ALLOWED, "saying for whom", keys={"sts:SourceIdentity": "okta.alice", "lambda:SourceFunctionArn": FUNCTION})
case(ADMIN, "sts:AssumeRole", WORKLOAD_PROVISIONING, CONSOLE, REFUSED, "an administrator of the broker's account is not trusted", keys={"sts:ExternalId": WORKLOAD_EXTERNAL_ID, "sts:SourceIdentity": "okta.alice"})

# -- what the issuing role opens, and from where --------------------------------------------------------------------------

case = group("What a URL is made for, and where it opens")
case(ALICES, OPEN_STUDIO, ALICE, SAGEMAKER_API, ALLOWED, "the function's call: without this endpoint in the list no URL would be made")
case(ALICES, OPEN_STUDIO, ALICE, STUDIO, ALLOWED, "the browser: without this endpoint in the list no URL would open")
case(ALICES, OPEN_STUDIO, ALICE, INTERNET, REFUSED, "a URL that was stolen opens nothing on the internet")
case(ALICES, OPEN_STUDIO, ALICE, OFFICE, REFUSED, "nor does one in the office, past the endpoint")
case(ALICES, OPEN_STUDIO, ALICE, OTHER_ENDPOINT, REFUSED, "through another endpoint of our VPC")
case(ALICES, OPEN_STUDIO, ALICE, OTHER_VPCS_ENDPOINT, REFUSED, "through a Studio endpoint in another VPC")
case(ALICES, OPEN_STUDIO, BOB, SAGEMAKER_API, REFUSED, "her session is for her profile alone, whatever the broker asks for")
case(ISSUER, OPEN_STUDIO, BOB, SAGEMAKER_API, ALLOWED, "the role itself is for the domain's profiles")
case(ISSUER, OPEN_STUDIO, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/d-payroll12345/alice", SAGEMAKER_API, REFUSED, "a domain that is not listed")
case(ISSUER, OPEN_STUDIO, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/{DOMAIN}x/alice", SAGEMAKER_API, REFUSED, "a domain whose id begins alike")
case(ISSUER, OPEN_NOTEBOOK, NOTEBOOK, SAGEMAKER_API, ALLOWED, "a notebook instance of the list")
case(ISSUER, OPEN_NOTEBOOK, NOTEBOOK, NOTEBOOKS, ALLOWED, "and the browser's way to it")
case(ISSUER, OPEN_NOTEBOOK, NOTEBOOK, INTERNET, REFUSED, "on the internet it opens nothing")
case(ISSUER, OPEN_NOTEBOOK, NOTEBOOK, OFFICE, REFUSED, "known addresses count with the method address alone")
case(ISSUER, OPEN_NOTEBOOK, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:notebook-instance/payroll", SAGEMAKER_API, REFUSED, "one that is not listed")
case(ISSUER, "sagemaker:DescribeDomain", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:domain/{DOMAIN}", SAGEMAKER_API, ALLOWED, "the posture gate looks")
case(ISSUER, "sagemaker:DescribeUserProfile", ALICE, SAGEMAKER_API, ALLOWED, "at the profile as well")
case(ALICES, "sagemaker:DescribeUserProfile", ALICE, SAGEMAKER_API, ALLOWED, "the profile's state says why there is no URL")
case(ALICES, "sagemaker:DescribeUserProfile", BOB, SAGEMAKER_API, REFUSED, "another one's does not")
case(ISSUER, "sagemaker:DescribeNotebookInstance", NOTEBOOK, SAGEMAKER_API, ALLOWED, "and so does the notebook instance's")
case(ISSUER, "sagemaker:DescribeNotebookInstance", NOTEBOOK, INTERNET, REFUSED, "inside the network")
case(ISSUER, "sagemaker:DescribeNotebookInstance", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:notebook-instance/payroll", SAGEMAKER_API, REFUSED, "one that is not listed is not looked at")
case(ISSUER, "sagemaker:CreateUserProfile", ALICE, SAGEMAKER_API, REFUSED, "it makes no profile, not even a marked one", keys={"aws:RequestTag/latchkey:issuer": "okta", "aws:RequestTag/latchkey:subject": "alice"})
case(ISSUER, "sagemaker:AddTags", ALICE, SAGEMAKER_API, REFUSED, "and marks none")
case(ISSUER, "iam:PassRole", EXECUTION_ROLE, NOWHERE, REFUSED, "and passes no role", keys={"iam:PassedToService": "sagemaker.amazonaws.com"})
case(ISSUER, "sagemaker:CreateNotebookInstance", NOTEBOOK, SAGEMAKER_API, REFUSED, "it makes nothing")
case(ISSUER, "sagemaker:DeleteDomain", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:domain/{DOMAIN}", SAGEMAKER_API, REFUSED, "and deletes nothing")
case(ISSUER, "sts:AssumeRole", role(ACCOUNT, "admin"), STS, REFUSED, "it leads to no other role")
case(CARELESS, OPEN_STUDIO, ALICE, INTERNET, REFUSED, "the network holds, whatever the role is given")
case(CARELESS, OPEN_STUDIO, ALICE, OTHER_VPCS_ENDPOINT, REFUSED, "from another VPC, too")
case(CARELESS, "s3:GetObject", "arn:aws:s3:::bucket/x", INTERNET, REFUSED, "for every action there is")
case(WORKLOAD, OPEN_STUDIO, f"arn:aws:sagemaker:{REGION}:{WORKLOAD_ACCOUNT}:user-profile/{WORKLOAD_DOMAIN}/alice", SAGEMAKER_API, ALLOWED, "the other account's domain, made here")
case(WORKLOAD, OPEN_STUDIO, f"arn:aws:sagemaker:{REGION}:{WORKLOAD_ACCOUNT}:user-profile/{WORKLOAD_DOMAIN}/alice", STUDIO, ALLOWED, "and opened here")
case(WORKLOAD, OPEN_STUDIO, f"arn:aws:sagemaker:{REGION}:{WORKLOAD_ACCOUNT}:user-profile/{WORKLOAD_DOMAIN}/alice", INTERNET, REFUSED, "and nowhere else")

case(WORKLOAD, "sagemaker:DescribeDomain", f"arn:aws:sagemaker:{REGION}:{WORKLOAD_ACCOUNT}:domain/{WORKLOAD_DOMAIN}", SAGEMAKER_API, ALLOWED, "the posture gate looks there, too")
case(WORKLOAD, "sagemaker:DescribeNotebookInstance", f"arn:aws:sagemaker:{REGION}:{WORKLOAD_ACCOUNT}:notebook-instance/risk-1", SAGEMAKER_API, ALLOWED, "and the broker asks there why there is no URL")

# MLflow and partner apps: each with its own action to make a URL, its own endpoint, and its own actions in the session. The simulator's
# data has the actions of sagemaker-mlflow for tracking servers only, so an app is asked about by its gate, CallMlflowAppApi.
case = group("What a URL for MLflow and partner apps is made for, and where it opens")
KINDS = [
    # whose session, the action that makes the URL, that which asks for the state, one of the session's, the resource, the endpoint
    (ALICES_SERVER, OPEN_SERVER, "sagemaker:DescribeMlflowTrackingServer", "sagemaker-mlflow:SearchRuns", SERVER, SERVERS),
    (ALICES_APP, OPEN_APP, "sagemaker:DescribeMlflowApp", "sagemaker:CallMlflowAppApi", APP, APPS),
    (ALICES_PARTNER, OPEN_PARTNER, "sagemaker:DescribePartnerApp", "sagemaker:CallPartnerAppApi", PARTNER, PARTNERS),
]
for whose, opens, state, call, resource, door in KINDS:
    another = resource[:-1] + "9"
    elsewhere = resource.replace(ACCOUNT, WORKLOAD_ACCOUNT)
    case(whose, opens, resource, SAGEMAKER_API, ALLOWED, "the function's call")
    case(whose, state, resource, SAGEMAKER_API, ALLOWED, "its state says why there is no URL")
    case(whose, opens, resource, door, ALLOWED, "the browser")
    case(whose, call, resource, door, ALLOWED, "and what it does there")
    case(whose, opens, resource, INTERNET, REFUSED, "a URL that was stolen opens nothing on the internet")
    case(whose, call, resource, INTERNET, REFUSED, "and a session that was stolen does nothing there")
    case(whose, call, resource, OFFICE, REFUSED, "nor in the office, past the endpoint")
    case(whose, call, resource, OTHER_ENDPOINT, REFUSED, "nor through another endpoint of our VPC")
    case(whose, call, resource, OTHER_VPCS_ENDPOINT, REFUSED, "nor through such an endpoint in another VPC")
    case(whose, opens, resource, STUDIO, REFUSED, "the Studio endpoint is for Studio")
    case(whose, state, resource, door, REFUSED, "the state is none of the browser's business")
    case(whose, opens, another, SAGEMAKER_API, REFUSED, "her session is for that one")
    case(whose, call, another, door, REFUSED, "also once it is open")
    case(ISSUER, opens, another, SAGEMAKER_API, REFUSED, "one that is not listed, in whatever session")
    case(ISSUER, state, another, SAGEMAKER_API, REFUSED, "nor is it looked at")
    case(ISSUER, call, another, door, REFUSED, "nor does anything in it")
    case(ISSUER, opens, elsewhere, SAGEMAKER_API, REFUSED, "another account's of the same name")
    case(BROKER, opens, resource, SAGEMAKER_API, REFUSED, "the function itself opens none", keys={"lambda:SourceFunctionArn": FUNCTION})
case(ISSUER, OPEN_SERVER, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:mlflow-tracking-server/shared-7", SAGEMAKER_API, ALLOWED, "a list may name servers that begin alike")
case(ISSUER, OPEN_SERVER, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:mlflow-tracking-server/shared", SAGEMAKER_API, REFUSED, "and only those")
case(ISSUER, OPEN_SERVER, f"{SERVER}-payroll", SAGEMAKER_API, REFUSED, "a server whose name begins like a listed one")
case(ALICES_SERVER, "sagemaker-mlflow:SearchRuns", SERVER, APPS, REFUSED, "the endpoint of MLflow apps is for apps")
case(ALICES_APP, "sagemaker:CallMlflowAppApi", APP, SERVERS, REFUSED, "and that of tracking servers for those")
case(ALICES_PARTNER, "sagemaker:CallPartnerAppApi", PARTNER, SERVERS, REFUSED, "and not for partner apps")
case(ALICES_PARTNER, "sagemaker:CallPartnerAppApi", PARTNER, OPEN_SERVERS, ALLOWED, "the role itself knows one list of endpoints; their policies tell them apart")
case(ALICES_SERVER, "sagemaker:CallPartnerAppApi", PARTNER, PARTNERS, REFUSED, "a session for one kind opens no other")
case(ISSUER, "sagemaker:StartMlflowTrackingServer", SERVER, SAGEMAKER_API, REFUSED, "it starts no server")
case(ISSUER, "sagemaker:DeleteMlflowApp", APP, SAGEMAKER_API, REFUSED, "and deletes nothing")
case(ISSUER, "sagemaker:UpdatePartnerApp", PARTNER, OPEN_SAGEMAKER_API, REFUSED, "and changes nothing")
OTHERS = f"arn:aws:sagemaker:{REGION}:{WORKLOAD_ACCOUNT}"
WORKLOAD_KINDS = [
    (OPEN_SERVER, "sagemaker:DescribeMlflowTrackingServer", "sagemaker-mlflow:SearchRuns", f"{OTHERS}:mlflow-tracking-server/{WORKLOAD_TRACKING_SERVER}", SERVERS),
    (OPEN_APP, "sagemaker:DescribeMlflowApp", "sagemaker:CallMlflowAppApi", f"{OTHERS}:mlflow-app/{WORKLOAD_MLFLOW_APP}", APPS),
    (OPEN_PARTNER, "sagemaker:DescribePartnerApp", "sagemaker:CallPartnerAppApi", f"{OTHERS}:partner-app/{WORKLOAD_PARTNER_APP}", PARTNERS),
]
for opens, state, call, resource, door in WORKLOAD_KINDS:
    case(WORKLOAD, opens, resource, SAGEMAKER_API, ALLOWED, "the other account's, made here")
    case(WORKLOAD, state, resource, SAGEMAKER_API, ALLOWED, "looked at here")
    case(WORKLOAD, call, resource, door, ALLOWED, "opened here")
    case(WORKLOAD, call, resource, INTERNET, REFUSED, "and nowhere else")
    case(WORKLOAD, opens, resource[:-1] + "9", SAGEMAKER_API, REFUSED, "one that is not listed there")

# -- what a revocation cuts -------------------------------------------------------------------------------------------------


def opened(when, by="okta.alice"):
    """What IAM knows of a session: when it was opened, and for whom."""
    return {"aws:TokenIssueTime": f"2026-01-31T{when}Z", "aws:SourceIdentity": by}


def revoked(who, *whose):
    names = {"one": "Alice's", "everyone": "everyone's"}
    return dataclasses.replace(who, label=f"{who.label}, {' and '.join(names[one] for one in whose)} revoked", revoked=whose)


BEFORE, AT_ONCE, AFTER = "11:59:59", "12:00:00", "12:00:01"
BOBS = dataclasses.replace(
    ALICES, label="Bob's session", principal=session(ACCOUNT, "latchkey-issuing", "okta.bob"), only=((OPEN_STUDIO, "sagemaker:DescribeUserProfile"), BOB)
)
CAROLS = f"{OTHERS}:user-profile/{WORKLOAD_DOMAIN}/alice"
case = group("What a revocation cuts")
for whose in ("one", "everyone"):
    hers = revoked(ALICES, whose)
    case(hers, OPEN_STUDIO, ALICE, STUDIO, REFUSED, "the browser that is open", keys=opened(BEFORE))
    case(hers, OPEN_STUDIO, ALICE, SAGEMAKER_API, REFUSED, "a session that the broker still has makes no URL", keys=opened(BEFORE))
    case(hers, "sagemaker:DescribeUserProfile", ALICE, SAGEMAKER_API, REFUSED, "and looks at nothing", keys=opened(BEFORE))
    case(hers, OPEN_STUDIO, ALICE, STUDIO, ALLOWED, "a session of that very second is not older", keys=opened(AT_ONCE))
    case(hers, OPEN_STUDIO, ALICE, SAGEMAKER_API, ALLOWED, "a new session makes URLs, once she may again", keys=opened(AFTER))
    case(hers, OPEN_STUDIO, ALICE, STUDIO, ALLOWED, "and they open", keys=opened(AFTER))
    case(hers, OPEN_STUDIO, ALICE, INTERNET, REFUSED, "where they open otherwise", keys=opened(AFTER))
    case(revoked(ISSUER, whose), OPEN_NOTEBOOK, NOTEBOOK, NOTEBOOKS, REFUSED, "her notebook instance", keys=opened(BEFORE))
    case(revoked(ISSUER, whose), OPEN_NOTEBOOK, NOTEBOOK, NOTEBOOKS, ALLOWED, "which a new session opens", keys=opened(AFTER))
    case(revoked(CARELESS, whose), "s3:GetObject", "arn:aws:s3:::bucket/x", OPEN_STUDIO_ENDPOINT, REFUSED, "whatever else the role is given", keys=opened(BEFORE))
    case(revoked(CARELESS, whose), "s3:GetObject", "arn:aws:s3:::bucket/x", OPEN_STUDIO_ENDPOINT, ALLOWED, "which is as bad as it was, afterwards", keys=opened(AFTER))
    case(revoked(WORKLOAD, whose), OPEN_STUDIO, CAROLS, STUDIO, REFUSED, "on the other account's role", keys=opened(BEFORE))
    case(revoked(WORKLOAD, whose), OPEN_STUDIO, CAROLS, STUDIO, ALLOWED, "and its new ones not", keys=opened(AFTER))
    for kinds, opens, _, call, resource, door in KINDS:
        case(revoked(kinds, whose), call, resource, door, REFUSED, "what goes on in a browser", keys=opened(BEFORE))
        case(revoked(kinds, whose), opens, resource, SAGEMAKER_API, REFUSED, "and a new URL", keys=opened(BEFORE))
        case(revoked(kinds, whose), call, resource, door, ALLOWED, "in a new session", keys=opened(AFTER))
case(revoked(BOBS, "one"), OPEN_STUDIO, BOB, STUDIO, ALLOWED, "another user's session is not hers", keys=opened(BEFORE, "okta.bob"))
case(revoked(BOBS, "one"), OPEN_STUDIO, BOB, SAGEMAKER_API, ALLOWED, "and makes URLs as before", keys=opened(BEFORE, "okta.bob"))
case(revoked(BOBS, "everyone"), OPEN_STUDIO, BOB, STUDIO, REFUSED, "everyone's is his as well", keys=opened(BEFORE, "okta.bob"))
case(revoked(BOBS, "everyone"), OPEN_STUDIO, BOB, SAGEMAKER_API, ALLOWED, "but for new ones", keys=opened(AFTER, "okta.bob"))
case(revoked(ALICES, "one"), OPEN_STUDIO, ALICE, STUDIO, ALLOWED, "a subject that differs in case is another", keys=opened(BEFORE, "okta.Alice"))
case(revoked(ALICES, "one"), OPEN_STUDIO, ALICE, STUDIO, ALLOWED, "one that begins alike, too", keys=opened(BEFORE, "okta.alice2"))
case(revoked(ALICES, "one", "everyone"), OPEN_STUDIO, ALICE, STUDIO, REFUSED, "two revocations stand beside each other", keys=opened(BEFORE))
case(revoked(BOBS, "one", "everyone"), OPEN_STUDIO, BOB, STUDIO, REFUSED, "each cuts what it cuts", keys=opened(BEFORE, "okta.bob"))
case(revoked(ISSUER, "one"), OPEN_STUDIO, ALICE, STUDIO, ALLOWED, "with the scope role no session says whose it is: hers cannot be cut", keys=opened(BEFORE, None))
case(revoked(ISSUER, "everyone"), OPEN_STUDIO, ALICE, STUDIO, REFUSED, "everyone's can", keys=opened(BEFORE, None))
case(ALICES, OPEN_STUDIO, ALICE, STUDIO, ALLOWED, "taken back, an older session works again", keys=opened(BEFORE))
case(BOBS, OPEN_STUDIO, BOB, STUDIO, ALLOWED, "and so does anybody's", keys=opened(BEFORE, "okta.bob"))

# -- first login -----------------------------------------------------------------------------------------------------------


def marked(*groups, **more):
    """What a request to make a profile says: whose it is to be, its security groups, and other keys."""
    tags = {"aws:RequestTag/latchkey:issuer": "okta", "aws:RequestTag/latchkey:subject": "alice"}
    return tags | {"aws:TagKeys": ["latchkey:issuer", "latchkey:subject"]} | ({"sagemaker:VpcSecurityGroupIds": list(groups)} if groups else {}) | more


case = group("What is made at first login", keys=marked())
MAKE, TAG = "sagemaker:CreateUserProfile", "sagemaker:AddTags"
WHILE_MAKING = marked() | {"sagemaker:TaggingAction": "CreateUserProfile"}
TO_SAGEMAKER = {"iam:PassedToService": "sagemaker.amazonaws.com"}
case(PROVISIONER, MAKE, ALICE, SAGEMAKER_API, ALLOWED, "a profile that says whose it is")
case(PROVISIONER, MAKE, ALICE, SAGEMAKER_API, REFUSED, "one that does not say which issuer's", keys=marked() | {"aws:RequestTag/latchkey:issuer": None})
case(PROVISIONER, MAKE, ALICE, SAGEMAKER_API, REFUSED, "one that does not say which subject's", keys=marked() | {"aws:RequestTag/latchkey:subject": None})
case(PROVISIONER, MAKE, ALICE, SAGEMAKER_API, REFUSED, "one that says nothing", keys={})
case(PROVISIONER, MAKE, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/d-payroll12345/alice", SAGEMAKER_API, REFUSED, "in a domain that is not listed")
case(PROVISIONER, MAKE, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/{DOMAIN}x/alice", SAGEMAKER_API, REFUSED, "in a domain whose id begins alike")
case(PROVISIONER, MAKE, f"{OTHERS}:user-profile/{DOMAIN}/erin", SAGEMAKER_API, REFUSED, "in another account")
case(PROVISIONER, MAKE, ALICE, SAGEMAKER_API, ALLOWED, "with security groups of the list", keys=marked("sg-0123456789abcdef1", "sg-0123456789abcdef2"))
case(PROVISIONER, MAKE, ALICE, SAGEMAKER_API, REFUSED, "with another one", keys=marked("sg-0aaaaaaaaaaaaaaaa"))
case(PROVISIONER, MAKE, ALICE, SAGEMAKER_API, REFUSED, "with another one among them", keys=marked("sg-0123456789abcdef1", "sg-0aaaaaaaaaaaaaaaa"))
case(PROVISIONER, MAKE, ALICE, INTERNET, REFUSED, "credentials that have left the function")
case(PROVISIONER, MAKE, ALICE, OFFICE, REFUSED, "in the office, too")
case(PROVISIONER, MAKE, ALICE, OTHER_ENDPOINT, REFUSED, "through another endpoint")
case(PROVISIONER, MAKE, ALICE, OTHER_VPCS_ENDPOINT, REFUSED, "from another VPC")
case(PROVISIONER, MAKE, ALICE, OPEN_STUDIO_ENDPOINT, REFUSED, "no browser has a session of this role, so no browser's endpoint is in its list")
case(PROVISIONER, TAG, ALICE, SAGEMAKER_API, ALLOWED, "the tags of what is being made", keys=WHILE_MAKING)
case(PROVISIONER, TAG, ALICE, SAGEMAKER_API, REFUSED, "a profile that is there already would be taken over")
case(PROVISIONER, TAG, ALICE, SAGEMAKER_API, REFUSED, "by way of another action, too", keys=marked() | {"sagemaker:TaggingAction": "UpdateUserProfile"})
case(PROVISIONER, TAG, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/d-payroll12345/alice", SAGEMAKER_API, REFUSED, "in a domain that is not listed", keys=WHILE_MAKING)
case(PROVISIONER, TAG, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:domain/{DOMAIN}", SAGEMAKER_API, REFUSED, "nothing but profiles", keys=WHILE_MAKING)
case(PROVISIONER, TAG, ALICE, INTERNET, REFUSED, "outside of the network", keys=WHILE_MAKING)
case(PROVISIONER, "sagemaker:DescribeUserProfile", ALICE, SAGEMAKER_API, ALLOWED, "whether there is one", keys={})
case(PROVISIONER, "sagemaker:ListTags", ALICE, SAGEMAKER_API, ALLOWED, "and whose it is", keys={})
case(PROVISIONER, "sagemaker:ListTags", NOTEBOOK, SAGEMAKER_API, REFUSED, "of profiles only", keys={})
case(PROVISIONER, "iam:PassRole", EXECUTION_ROLE, NOWHERE, ALLOWED, "the execution role; where the request came from is not said reliably then", keys=TO_SAGEMAKER)
case(PROVISIONER, "iam:PassRole", EXECUTION_ROLE, SAGEMAKER_API, ALLOWED, "and where it is, the endpoint lets it through", keys=TO_SAGEMAKER)
case(PROVISIONER, "iam:PassRole", role(ACCOUNT, "admin"), NOWHERE, REFUSED, "another role, with which its profile could do anything", keys=TO_SAGEMAKER)
case(PROVISIONER, "iam:PassRole", role(ACCOUNT, "admin"), SAGEMAKER_API, REFUSED, "also where the endpoint is named", keys=TO_SAGEMAKER)
case(PROVISIONER, "iam:PassRole", EXECUTION_ROLE, NOWHERE, REFUSED, "to another service", keys={"iam:PassedToService": "lambda.amazonaws.com"})
case(PROVISIONER, OPEN_STUDIO, ALICE, SAGEMAKER_API, REFUSED, "it opens nothing", keys={})
case(PROVISIONER, OPEN_STUDIO, ALICE, OPEN_SAGEMAKER_API, REFUSED, "whatever the endpoint lets through", keys={})
case(PROVISIONER, OPEN_PARTNER, PARTNER, OPEN_SAGEMAKER_API, REFUSED, "of no kind", keys={})
case(PROVISIONER, "sagemaker:UpdateUserProfile", ALICE, OPEN_SAGEMAKER_API, REFUSED, "what is made stays as it is", keys={})
case(PROVISIONER, "sagemaker:DeleteUserProfile", ALICE, OPEN_SAGEMAKER_API, REFUSED, "and is deleted by others", keys={})
case(PROVISIONER, "sagemaker:DeleteTags", ALICE, OPEN_SAGEMAKER_API, REFUSED, "and keeps its tags", keys={"aws:TagKeys": ["latchkey:subject"]})
case(PROVISIONER, "sagemaker:CreateDomain", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:domain/{DOMAIN}", OPEN_SAGEMAKER_API, REFUSED, "it makes no domain", keys={})
case(PROVISIONER, "sts:AssumeRole", ISSUING, OPEN_STS, REFUSED, "it leads to no other role", on="trust broker", keys={"sts:ExternalId": EXTERNAL_ID, "sts:SourceIdentity": "okta.alice"})
case(CARELESS_PROVISIONER, "sagemaker:DeleteUserProfile", ALICE, INTERNET, REFUSED, "the network holds, whatever the role is given", keys={})
case(CARELESS_PROVISIONER, "s3:GetObject", "arn:aws:s3:::bucket/x", INTERNET, REFUSED, "for every action but that of passing roles", keys={})
case(CARELESS_PROVISIONER, MAKE, ALICE, SAGEMAKER_API, REFUSED, "and so do the security groups", keys=marked("sg-0aaaaaaaaaaaaaaaa"))
case(BROKER, MAKE, ALICE, SAGEMAKER_API, REFUSED, "the function itself makes nothing", keys=marked() | {"lambda:SourceFunctionArn": FUNCTION})
case(ADMIN, MAKE, ALICE, SAGEMAKER_API, REFUSED, "our endpoint is for the provisioning roles")
case(ADMIN, "iam:PassRole", role(ACCOUNT, "admin"), SAGEMAKER_API, REFUSED, "for passing roles as well", keys=TO_SAGEMAKER)
case(PROVISIONER, "iam:PassRole", EXECUTION_ROLE, SAGEMAKER_API, REFUSED, "and to SageMaker alone", keys={"iam:PassedToService": "lambda.amazonaws.com"})
case(STRANGERS_PROVISIONING, MAKE, f"arn:aws:sagemaker:{REGION}:{STRANGERS_ACCOUNT}:user-profile/d-loot/eve", SAGEMAKER_API, REFUSED, "of our accounts")
case(STRANGERS_PROVISIONING, "iam:PassRole", role(STRANGERS_ACCOUNT, "loot"), SAGEMAKER_API, REFUSED, "for roles, too", keys=TO_SAGEMAKER)
CAROL = f"{OTHERS}:user-profile/{WORKLOAD_DOMAIN}/carol"
case(WORKLOAD_PROVISIONER, MAKE, CAROL, SAGEMAKER_API, ALLOWED, "the same in the other account")
case(WORKLOAD_PROVISIONER, MAKE, CAROL, SAGEMAKER_API, REFUSED, "marked there, too", keys={})
case(WORKLOAD_PROVISIONER, MAKE, CAROL, SAGEMAKER_API, REFUSED, "with the groups of its list", keys=marked("sg-0aaaaaaaaaaaaaaaa"))
case(WORKLOAD_PROVISIONER, MAKE, CAROL, INTERNET, REFUSED, "from inside")
case(WORKLOAD_PROVISIONER, TAG, CAROL, SAGEMAKER_API, ALLOWED, "with its tags", keys=WHILE_MAKING)
case(WORKLOAD_PROVISIONER, TAG, CAROL, SAGEMAKER_API, REFUSED, "and with none later")
case(WORKLOAD_PROVISIONER, "sagemaker:ListTags", CAROL, SAGEMAKER_API, ALLOWED, "which are looked at", keys={})
case(WORKLOAD_PROVISIONER, "iam:PassRole", WORKLOAD_EXECUTION_ROLE, NOWHERE, ALLOWED, "its own execution role", keys=TO_SAGEMAKER)
case(WORKLOAD_PROVISIONER, "iam:PassRole", role(WORKLOAD_ACCOUNT, "admin"), NOWHERE, REFUSED, "and no other", keys=TO_SAGEMAKER)

case = group("The method vpc: any endpoint of the VPC", method="vpc")
case(ALICES, OPEN_STUDIO, ALICE, SAGEMAKER_API, ALLOWED, "the function's call")
case(ALICES, OPEN_STUDIO, ALICE, STUDIO, ALLOWED, "the browser")
case(ALICES, OPEN_STUDIO, ALICE, OTHER_ENDPOINT, ALLOWED, "this is what is wider here: whatever endpoint of the VPC")
case(ALICES, OPEN_STUDIO, ALICE, OTHER_VPCS_ENDPOINT, REFUSED, "another VPC")
case(ALICES, OPEN_STUDIO, ALICE, INTERNET, REFUSED, "no VPC at all")
case(WORKLOAD, OPEN_STUDIO, f"arn:aws:sagemaker:{REGION}:{WORKLOAD_ACCOUNT}:user-profile/{WORKLOAD_DOMAIN}/alice", OTHER_VPCS_ENDPOINT, REFUSED, "the same in the other account")

case(ALICES_APP, "sagemaker:CallMlflowAppApi", APP, OTHER_ENDPOINT, ALLOWED, "an MLflow app, through whatever endpoint of the VPC")
case(ALICES_APP, "sagemaker:CallMlflowAppApi", APP, OTHER_VPCS_ENDPOINT, REFUSED, "and of no other")
case(PROVISIONER, MAKE, ALICE, OTHER_ENDPOINT, ALLOWED, "a profile is made through any endpoint of the VPC", keys=marked())
case(PROVISIONER, MAKE, ALICE, OTHER_VPCS_ENDPOINT, REFUSED, "of this VPC", keys=marked())
case(WORKLOAD_PROVISIONER, MAKE, CAROL, OTHER_VPCS_ENDPOINT, REFUSED, "in the other account, too", keys=marked())
case(ALICES, OPEN_STUDIO, ALICE, OTHER_ENDPOINT, ALLOWED, "the organisation lets the same through", scp=True)
case(ALICES_PARTNER, OPEN_PARTNER, PARTNER, OTHER_ENDPOINT, ALLOWED, "of partner apps as well", scp=True)
case(LAX, OPEN_PARTNER, PARTNER, OTHER_VPCS_ENDPOINT, REFUSED, "and from nowhere else", scp=True)
case(LAX, OPEN_STUDIO, ALICE, OTHER_VPCS_ENDPOINT, REFUSED, "and no more, whatever a role says", scp=True)
case(LAX, OPEN_NOTEBOOK, NOTEBOOK, INTERNET, REFUSED, "for notebook instances, too", scp=True)

case = group("The method address: notebook instances over the internet, from known networks", method="address")
case(ISSUER, OPEN_NOTEBOOK, NOTEBOOK, SAGEMAKER_API, ALLOWED, "the function's call still comes through the endpoint")
case(ISSUER, OPEN_NOTEBOOK, NOTEBOOK, OFFICE, ALLOWED, "the browser comes from a known network")
case(ISSUER, OPEN_NOTEBOOK, NOTEBOOK, NOTEBOOKS, ALLOWED, "or through the endpoint")
case(ISSUER, OPEN_NOTEBOOK, NOTEBOOK, INTERNET, REFUSED, "any other address")
case(ISSUER, OPEN_NOTEBOOK, NOTEBOOK, OTHER_VPCS_ENDPOINT, REFUSED, "another VPC has no public address at all")
case(ALICES, OPEN_STUDIO, ALICE, OFFICE, REFUSED, "Studio stays behind its endpoint")
case(ALICES, OPEN_STUDIO, ALICE, STUDIO, ALLOWED, "where it opens")
case(ALICES_APP, "sagemaker:CallMlflowAppApi", APP, OFFICE, REFUSED, "and so do MLflow apps")
case(ALICES_APP, "sagemaker:CallMlflowAppApi", APP, APPS, ALLOWED, "which open there")
case(PROVISIONER, MAKE, ALICE, OFFICE, REFUSED, "and profiles are made through the endpoint", keys=marked())
case(PROVISIONER, MAKE, ALICE, SAGEMAKER_API, ALLOWED, "and through no other", keys=marked())
case(CARELESS, "s3:GetObject", "arn:aws:s3:::bucket/x", OFFICE, REFUSED, "the addresses are for notebook instances, and for nothing else")
case(WORKLOAD, OPEN_NOTEBOOK, f"arn:aws:sagemaker:{REGION}:{WORKLOAD_ACCOUNT}:notebook-instance/risk-1", OFFICE, ALLOWED, "the same in the other account")
case(WORKLOAD, OPEN_NOTEBOOK, f"arn:aws:sagemaker:{REGION}:{WORKLOAD_ACCOUNT}:notebook-instance/risk-1", INTERNET, REFUSED, "any other address there, too")
case(ISSUER, OPEN_NOTEBOOK, NOTEBOOK, OFFICE, ALLOWED, "the organisation lets the same through", scp=True)
case(ISSUER, OPEN_NOTEBOOK, NOTEBOOK, INTERNET, REFUSED, "and no more", scp=True)

# -- what our endpoints lead to --------------------------------------------------------------------------------------------

case = group("What our endpoints lead to, whoever asks")
case(ADMIN, OPEN_STUDIO, ALICE, SAGEMAKER_API, REFUSED, "URLs are made by issuing roles")
case(ADMIN, "sagemaker:CreateTrainingJob", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/x", SAGEMAKER_API, REFUSED, "the endpoint is for URLs alone")
case(STRANGERS_ISSUING, OPEN_STUDIO, f"arn:aws:sagemaker:{REGION}:{STRANGERS_ACCOUNT}:user-profile/d-loot/eve", SAGEMAKER_API, REFUSED, "a role that is only called like ours")
case(STRANGERS_ISSUING, OPEN_STUDIO, f"arn:aws:sagemaker:{REGION}:{STRANGERS_ACCOUNT}:user-profile/d-loot/eve", STUDIO, REFUSED, "a stranger's Studio would be a way out for data")
case(STRANGERS_ISSUING, OPEN_NOTEBOOK, f"arn:aws:sagemaker:{REGION}:{STRANGERS_ACCOUNT}:notebook-instance/loot", NOTEBOOKS, REFUSED, "and so would a stranger's notebook")
case(STRANGERS_ISSUING, "sagemaker-mlflow:LogBatch", f"arn:aws:sagemaker:{REGION}:{STRANGERS_ACCOUNT}:mlflow-tracking-server/loot", SERVERS, REFUSED, "a stranger's tracking server takes in whatever is logged")
case(STRANGERS_ISSUING, "sagemaker:CallMlflowAppApi", f"arn:aws:sagemaker:{REGION}:{STRANGERS_ACCOUNT}:mlflow-app/app-LOOT", APPS, REFUSED, "and so does a stranger's MLflow app")
case(STRANGERS_ISSUING, "sagemaker:CallPartnerAppApi", f"arn:aws:sagemaker:{REGION}:{STRANGERS_ACCOUNT}:partner-app/app-LOOTLOOTLOOT", PARTNERS, REFUSED, "and a stranger's partner app")
case(ADMIN, "sagemaker-mlflow:LogBatch", SERVER, SERVERS, ALLOWED, "code in the VPC reports to our own tracking servers the same way, as its own role may")
case(ADMIN, "sagemaker:CallMlflowAppApi", APP, APPS, ALLOWED, "and to our own apps")
case(ADMIN, "sagemaker:CallPartnerAppApi", PARTNER, PARTNERS, ALLOWED, "and calls our own partner apps")
case(ADMIN, "sagemaker:DeletePartnerApp", PARTNER, PARTNERS, REFUSED, "it manages none there")
case(ADMIN, "sagemaker:CreateApp", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:app/{DOMAIN}/alice/JupyterLab/default", STUDIO, ALLOWED, "Studio starts its applications through its endpoint")
case(ADMIN, "sagemaker:CreateApp", f"arn:aws:sagemaker:{REGION}:{STRANGERS_ACCOUNT}:app/d-loot/eve/JupyterLab/default", STUDIO, REFUSED, "a stranger's does not", )
case(ADMIN, "sagemaker:DeleteDomain", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:domain/{DOMAIN}", STUDIO, REFUSED, "the Studio endpoint is for Studio alone")
case(ADMIN, "sts:AssumeRole", role(ACCOUNT, "admin2"), STS, REFUSED, "our sts endpoint leads to issuing roles alone")
case(BROKER, "dynamodb:Query", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/payroll", DYNAMODB, REFUSED, "and our dynamodb endpoint to our table")

# -- the organisation ----------------------------------------------------------------------------------------------------

case = group("What the organisation refuses to everybody", scp=True)
case(ISSUER, OPEN_STUDIO, ALICE, SAGEMAKER_API, ALLOWED, "the issuing role works as before")
case(ISSUER, OPEN_STUDIO, ALICE, STUDIO, ALLOWED, "in the browser, too")
case(LAX, OPEN_STUDIO, ALICE, INTERNET, REFUSED, "the network holds here as well, whatever the role says")
case(LAX, OPEN_STUDIO, ALICE, STUDIO, ALLOWED, "and lets the same through")
case(LAX, OPEN_NOTEBOOK, NOTEBOOK, INTERNET, REFUSED, "for notebook instances, too")
case(ADMIN, OPEN_STUDIO, ALICE, CONSOLE, REFUSED, "a URL made in the console passes through a browser on the internet")
case(ADMIN, OPEN_STUDIO, ALICE, STUDIO, REFUSED, "nobody but the issuing roles")
case(ADMIN, OPEN_NOTEBOOK, NOTEBOOK, CONSOLE, REFUSED, "nor notebook instances")
case(ADMIN, OPEN_SERVER, SERVER, CONSOLE, REFUSED, "nor MLflow")
case(ADMIN, OPEN_APP, APP, CONSOLE, REFUSED, "nor its apps")
case(ADMIN, OPEN_PARTNER, PARTNER, CONSOLE, REFUSED, "nor partner applications, whose action is called otherwise")
case(PROVISIONER, OPEN_STUDIO, ALICE, OPEN_SAGEMAKER_API, REFUSED, "the provisioning role is no issuing role")
for whose, opens, _, call, resource, door in KINDS:
    case(whose, opens, resource, SAGEMAKER_API, ALLOWED, "the issuing role works as before")
    case(whose, call, resource, door, ALLOWED, "in the browser, too")
    case(LAX, opens, resource, INTERNET, REFUSED, "the network holds here as well")
    case(LAX, opens, resource, door, ALLOWED, "and lets the same through")
case(ADMIN, OPEN_STUDIO, ALICE, OPEN_SAGEMAKER_API, REFUSED, "also where the endpoint is an old one, open to all")
case(ADMIN, OPEN_APP, APP, OPEN_SAGEMAKER_API, REFUSED, "the same for MLflow apps")
case(ADMIN, OPEN_PARTNER, PARTNER, OPEN_SAGEMAKER_API, REFUSED, "the same for partner applications")
case(DEPLOY, OPEN_STUDIO, ALICE, CONSOLE, REFUSED, "the deployer opens nothing")
case(ADMIN, "iam:PutRolePolicy", ISSUING, CONSOLE, REFUSED, "the issuing role stays as it was deployed")
case(ADMIN, "iam:UpdateAssumeRolePolicy", BROKER_ROLE, CONSOLE, REFUSED, "and so does the function's")
case(ADMIN, "iam:PutRolePolicy", role(ACCOUNT, "latchkey-jwks-refresher"), CONSOLE, REFUSED, "and the refresher's")
case(ADMIN, "iam:PutRolePolicy", PROVISIONING, CONSOLE, REFUSED, "and the provisioning role")
case(ADMIN, "iam:CreateRole", PROVISIONING, CONSOLE, REFUSED, "a role of that name may mark profiles")
case(DEPLOY, "iam:PutRolePolicy", ISSUING, CONSOLE, ALLOWED, "but for the deployer")
case(RESPONDS, "iam:PutRolePolicy", ISSUING, CONSOLE, ALLOWED, "and for those who cut sessions")
case(RESPONDS, "iam:DeleteRolePolicy", ISSUING, CONSOLE, ALLOWED, "and take that back")
case(RESPONDS, "iam:PutRolePolicy", BROKER_ROLE, CONSOLE, REFUSED, "who change no other role")
case(RESPONDS, "iam:PutRolePolicy", PROVISIONING, CONSOLE, REFUSED, "nor that which makes profiles")
case(RESPONDS, "iam:DeleteRolePolicy", role(ACCOUNT, "latchkey-jwks-refresher"), CONSOLE, REFUSED, "nor the refresher's")
case(RESPONDS, "iam:AttachRolePolicy", ISSUING, CONSOLE, REFUSED, "and attach nothing to the issuing role")
case(RESPONDS, "iam:UpdateAssumeRolePolicy", ISSUING, CONSOLE, REFUSED, "nor say who takes it on")
case(RESPONDS, OPEN_STUDIO, ALICE, CONSOLE, REFUSED, "nor open anything")
case(RESPONDS, "dynamodb:PutItem", TABLE, CONSOLE, REFUSED, "nor write grants, unless they are operators as well", keys={"dynamodb:LeadingKeys": ["SUBJECT#okta#mallory"]})
case(ADMIN, "iam:DeleteRolePolicy", ISSUING, CONSOLE, REFUSED, "nobody else takes a revocation back")
case(OPERATES, "iam:PutRolePolicy", ISSUING, CONSOLE, REFUSED, "whoever writes grants writes no policies")
case(ADMIN, "lambda:InvokeFunction", FUNCTION, CONSOLE, REFUSED, "whoever invokes it by hand could say what requestContext says")
case(ADMIN, "lambda:UpdateFunctionCode", FUNCTION, CONSOLE, REFUSED, "whoever changes its code is the function")
case(ADMIN, "lambda:CreateFunctionUrlConfig", FUNCTION, CONSOLE, REFUSED, "a Function URL would be a second door", unknown=("lambda:FunctionUrlAuthType",))
case(ADMIN, "lambda:AddPermission", FUNCTION, CONSOLE, REFUSED, "and so would a second permission")
case(DEPLOY, "lambda:UpdateFunctionCode", FUNCTION, CONSOLE, ALLOWED, "but for the deployer")
case(ADMIN, "lambda:UpdateFunctionCode", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:latchkey-jwks-refresher", CONSOLE, REFUSED, "whoever fetches the keys decides who is who")
case(ADMIN, "lambda:InvokeFunction", f"{FUNCTION}:1", CONSOLE, REFUSED, "a version is the function as well")
case(ADMIN, "lambda:DeleteFunction", FUNCTION, CONSOLE, REFUSED, "whoever deletes it could make another in its place")
case(ADMIN, "lambda:CreateFunction", FUNCTION, CONSOLE, REFUSED, "of the same name, with the same role")
case(ADMIN, "lambda:GetFunction", FUNCTION, CONSOLE, ALLOWED, "looking is free")
case(ADMIN, "iam:CreateRole", f"arn:aws:iam::{WORKLOAD_ACCOUNT}:role/latchkey-issuing", CONSOLE, REFUSED, "a role of that name is one that the endpoints let through")
case(STACKSETS, "iam:PutRolePolicy", ISSUING, CONSOLE, ALLOWED, "StackSets deploy it in other accounts")
case(ADMIN, "apigateway:PATCH", f"arn:aws:apigateway:{REGION}::/restapis/a1b2c3d4e5/resources/x/methods/POST/integration", CONSOLE, REFUSED, "an integration of one's own could say what requestContext says")
case(ADMIN, "apigateway:UpdateRestApiPolicy", f"arn:aws:apigateway:{REGION}::/restapis/a1b2c3d4e5", CONSOLE, REFUSED, "the API's policy stays")
case(DEPLOY, "apigateway:PATCH", f"arn:aws:apigateway:{REGION}::/restapis/a1b2c3d4e5", CONSOLE, ALLOWED, "but for the deployer")
ROW = {"dynamodb:LeadingKeys": ["SUBJECT#okta#mallory"]}
case(ADMIN, "dynamodb:PutItem", TABLE, CONSOLE, REFUSED, "a grant for oneself", keys=ROW)
case(ADMIN, "dynamodb:UpdateItem", TABLE, CONSOLE, REFUSED, "or for a group that one is in", keys={"dynamodb:LeadingKeys": ["GROUP#okta#risk"]})
case(ADMIN, "dynamodb:PutItem", TABLE, CONSOLE, REFUSED, "a key of one's own, to sign as anybody", keys={"dynamodb:LeadingKeys": ["JWKS#okta"]})
case(ADMIN, "dynamodb:PartiQLUpdate", TABLE, CONSOLE, REFUSED, "by another language, too", keys=ROW)
case(ADMIN, "dynamodb:Query", TABLE, CONSOLE, ALLOWED, "reading is free, for auditors", keys=ROW)
case(ADMIN, "dynamodb:DeleteTable", TABLE, CONSOLE, REFUSED, "the table stays")
case(ADMIN, "dynamodb:PutResourcePolicy", TABLE, CONSOLE, REFUSED, "and is nobody else's")
case(ADMIN, "dynamodb:UpdateTimeToLive", TABLE, CONSOLE, REFUSED, "nor does DynamoDB delete rows by an attribute that all have")
case(DEPLOY, "dynamodb:UpdateTable", TABLE, CONSOLE, ALLOWED, "but for the deployer")
case(DEPLOY, "dynamodb:PutItem", TABLE, CONSOLE, REFUSED, "who grants nothing", keys=ROW)
case(OPERATES, "dynamodb:PutItem", TABLE, CONSOLE, ALLOWED, "operators do", keys=ROW)
case(BROKER, "dynamodb:UpdateItem", TABLE, DYNAMODB, ALLOWED, "the function counts as before", keys=leading("RATE#okta#alice"))
case(REFRESHER, "dynamodb:PutItem", TABLE, INTERNET, ALLOWED, "the refresher writes as before", keys=key_of("JWKS#okta"))
case(ADMIN, "logs:DeleteLogGroup", f"{LOGS}/latchkey-broker", CONSOLE, REFUSED, "the audit record stays")
case(ADMIN, "logs:DeleteLogStream", f"{LOGS}/latchkey-broker:log-stream:x", CONSOLE, REFUSED, "each part of it")
case(ADMIN, "logs:PutRetentionPolicy", f"{LOGS}/latchkey-broker", CONSOLE, REFUSED, "as long as was agreed")
case(ADMIN, "logs:PutDataProtectionPolicy", f"{LOGS}/latchkey-broker", CONSOLE, REFUSED, "and can be read")
case(ADMIN, "logs:DeleteLogGroup", f"{LOGS}/latchkey-jwks-refresher:*", CONSOLE, REFUSED, "the keys' history as well")
case(ADMIN, "logs:DeleteLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/apigateway/latchkey", CONSOLE, REFUSED, "and what API Gateway itself refused")
case(ADMIN, "logs:DeleteLogGroup", f"{LOGS}/something-else", CONSOLE, ALLOWED, "other records are not its business")
case(ADMIN, "logs:StartQuery", f"{LOGS}/latchkey-broker", CONSOLE, ALLOWED, "reading is free, for auditors")
case(DEPLOY, "logs:PutRetentionPolicy", f"{LOGS}/latchkey-broker", CONSOLE, ALLOWED, "the deployer sets how long they are kept")
case(ADMIN, "lambda:InvokeFunction", OTHER_FUNCTION, CONSOLE, ALLOWED, "other functions are not its business")

case = group("Who says whose a user profile is", scp=True)
case(PROVISIONER, MAKE, ALICE, SAGEMAKER_API, ALLOWED, "the broker, as it makes it", keys=marked())
case(PROVISIONER, TAG, ALICE, SAGEMAKER_API, ALLOWED, "with its tags", keys=WHILE_MAKING)
case(WORKLOAD_PROVISIONER, MAKE, CAROL, SAGEMAKER_API, ALLOWED, "in other accounts, too", keys=marked())
case(DEPLOY, TAG, ALICE, CONSOLE, ALLOWED, "the deployer, where it has to be put right", keys={"aws:TagKeys": ["latchkey:subject"]})
case(STACKSETS, TAG, ALICE, CONSOLE, ALLOWED, "by StackSets as well", keys={"aws:TagKeys": ["latchkey:subject"]})
case(ADMIN, TAG, BOB, CONSOLE, REFUSED, "nobody hands Bob's profile to somebody else", keys={"aws:TagKeys": ["latchkey:subject"]})
case(ADMIN, TAG, BOB, CONSOLE, REFUSED, "nor says that another issuer's users have it", keys={"aws:TagKeys": ["latchkey:issuer"]})
case(ADMIN, TAG, BOB, CONSOLE, REFUSED, "not among other tags either", keys={"aws:TagKeys": ["team", "latchkey:subject"]})
case(ADMIN, MAKE, BOB, CONSOLE, REFUSED, "nor makes one that the broker would open", keys=marked())
case(ADMIN, "sagemaker:DeleteTags", BOB, CONSOLE, REFUSED, "nor takes it from its user", keys={"aws:TagKeys": ["latchkey:subject"]})
case(OPERATES, TAG, BOB, CONSOLE, REFUSED, "those who write grants do not, either", keys={"aws:TagKeys": ["latchkey:subject"]})
case(ISSUER, TAG, BOB, OPEN_SAGEMAKER_API, REFUSED, "nor does the issuing role", keys={"aws:TagKeys": ["latchkey:subject"]})
case(ADMIN, TAG, BOB, CONSOLE, ALLOWED, "other tags are not its business", keys={"aws:TagKeys": ["team"]})
case(ADMIN, "sagemaker:DeleteTags", BOB, CONSOLE, ALLOWED, "neither set nor deleted", keys={"aws:TagKeys": ["team"]})
case(ADMIN, MAKE, BOB, CONSOLE, ALLOWED, "and profiles without tags are made as before: the broker opens none of them at first login", keys={})

case = group("What notebook instances have to be", scp=True)
SOUND = {
    "sagemaker:MinimumInstanceMetadataServiceVersion": "2",
    "sagemaker:RootAccess": "Disabled",
    "sagemaker:DirectInternetAccess": "Disabled",
    "sagemaker:VolumeKmsKeyArn": NOTEBOOK_KEY,
    "sagemaker:VpcSubnets": ["subnet-0123456789abcdef0"],
    "sagemaker:InstanceTypes": ["ml.m5.xlarge"],
}


def create(expect, why, **changes):
    keys = SOUND | {f"sagemaker:{name}": value for name, value in changes.items()}
    case(ADMIN, "sagemaker:CreateNotebookInstance", NOTEBOOK, CONSOLE, expect, why, keys=keys)


create(ALLOWED, "a sound one")
create(REFUSED, "IMDSv1", MinimumInstanceMetadataServiceVersion="1")
create(REFUSED, "SageMaker's default is IMDSv1", MinimumInstanceMetadataServiceVersion=None)
create(REFUSED, "root", RootAccess="Enabled")
create(REFUSED, "SageMaker's default is root", RootAccess=None)
create(REFUSED, "a way to the internet of its own", DirectInternetAccess="Enabled")
create(REFUSED, "SageMaker's default is one", DirectInternetAccess=None)
create(REFUSED, "AWS's own key", VolumeKmsKeyArn=None)
create(REFUSED, "somebody else's key", VolumeKmsKeyArn=f"arn:aws:kms:{REGION}:{STRANGERS_ACCOUNT}:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")
create(REFUSED, "a public subnet", VpcSubnets=["subnet-0aaaaaaaaaaaaaaaa"])
create(REFUSED, "no subnet", VpcSubnets=None)
create(REFUSED, "an instance type that is not on Nitro", InstanceTypes=["ml.t2.medium"])


def update(expect, why, **changes):
    keys = {f"sagemaker:{name}": value for name, value in changes.items()}
    case(ADMIN, "sagemaker:UpdateNotebookInstance", NOTEBOOK, CONSOLE, expect, why, keys=keys)


update(ALLOWED, "what is not said stays as it is")
update(ALLOWED, "another sound type", InstanceTypes=["ml.c5.xlarge"])
update(REFUSED, "back to IMDSv1", MinimumInstanceMetadataServiceVersion="1")
update(REFUSED, "back to root", RootAccess="Enabled")
update(REFUSED, "back to an old type", InstanceTypes=["ml.m4.xlarge"])

# -- keys and topics -------------------------------------------------------------------------------------------------------

case = group("Who uses the key of table and logs", on="key broker")
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/key"
VIA = {"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com", "kms:CallerAccount": ACCOUNT}
case(BROKER, "kms:Decrypt", KEY, NOWHERE, ALLOWED, "through DynamoDB, as whoever may read the table", keys=VIA)
case(BROKER, "kms:Decrypt", KEY, NOWHERE, REFUSED, "through another service", keys=VIA | {"kms:ViaService": f"s3.{REGION}.amazonaws.com"})
case(ADMIN, "kms:DescribeKey", KEY, CONSOLE, ALLOWED, "the account's own administrators, so that nobody is locked out")
case(STRANGER, "kms:Decrypt", KEY, NOWHERE, REFUSED, "another account", keys=VIA | {"kms:CallerAccount": STRANGERS_ACCOUNT})

case = group("Who uses the key of the guardrails' topic", on="key guardrails")
case(service("events"), "kms:Decrypt", KEY, NOWHERE, ALLOWED, "EventBridge, for a rule of this account", keys={"aws:SourceAccount": ACCOUNT})
case(service("events"), "kms:Decrypt", KEY, NOWHERE, REFUSED, "for a stranger's", keys={"aws:SourceAccount": STRANGERS_ACCOUNT})
case(ADMIN, "kms:DescribeKey", KEY, CONSOLE, ALLOWED, "the account's own administrators, so that nobody is locked out")

case = group("Who publishes to the guardrails' topic", on="topic")
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:latchkey-guardrails"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule"
case(service("events"), "sns:Publish", TOPIC, NOWHERE, ALLOWED, "our rule", keys={"aws:SourceArn": f"{RULE}/latchkey-presigned-elsewhere"})
case(service("events"), "sns:Publish", TOPIC, NOWHERE, ALLOWED, "that of profiles' tags", keys={"aws:SourceArn": f"{RULE}/latchkey-profile-tagged"})
case(service("events"), "sns:Publish", TOPIC, NOWHERE, REFUSED, "another rule", keys={"aws:SourceArn": f"{RULE}/something-else"})
case(service("s3"), "sns:Publish", TOPIC, NOWHERE, REFUSED, "another service", keys={"aws:SourceArn": f"{RULE}/latchkey-presigned-elsewhere"})


def table(rows):
    """The matrix as text."""
    lines = []
    for name in dict.fromkeys(case.group for case, _, _ in rows):
        lines += ["", name]
        for case, decision, well in rows:
            if case.group == name:
                lines.append(f"  {'ok ' if well else 'NOT'} {case.expect:8} {case}: {case.why}{'' if well else f' (IAM says {decision})'}")
    return "\n".join(lines)


if __name__ == "__main__":
    decided = decide(CASES)
    print(table(decided))
    print(f"\n{len(decided)} cases, {sum(not well for _, _, well in decided)} of them not as they should be")

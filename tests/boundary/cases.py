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
    DOMAIN,
    EXTERNAL_ID,
    NOTEBOOK_KEY,
    OTHER_VPC,
    REGION,
    STRANGERS_ACCOUNT,
    VPC,
    WORKLOAD_ACCOUNT,
    WORKLOAD_DOMAIN,
    WORKLOAD_EXTERNAL_ID,
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
ALICE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/{DOMAIN}/alice"
BOB = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/{DOMAIN}/bob"
NOTEBOOK = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:notebook-instance/research-alice"

OPEN_STUDIO = "sagemaker:CreatePresignedDomainUrl"
OPEN_NOTEBOOK = "sagemaker:CreatePresignedNotebookInstanceUrl"

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
    only: tuple | None = None  # session policy: (action, resource)


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
    only=(OPEN_STUDIO, ALICE),
)
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
ADMIN = Who("an administrator", session(ACCOUNT, "admin", "mallory"), role_arn=role(ACCOUNT, "admin"), everything=True)
DEPLOY = Who("the deployer", session(ACCOUNT, "deployer", "ci"), role_arn=DEPLOYER, everything=True)
OPERATES = Who("an operator, who writes grants", session(ACCOUNT, "latchkey-operator", "olga"), role_arn=OPERATOR, everything=True)
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


def service(name):
    return Who(name, f"{name}.amazonaws.com")


# ---------------------------------------------------------------------------------------------------------------- where

@dataclasses.dataclass(frozen=True)
class Place:
    """Where a request comes from: what AWS says of it, and which of our endpoints it comes through (by the output of deploy/network.yaml)."""

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
EXECUTE_API = Place("our execute-api endpoint", {}, "ExecuteApiEndpointIds")
SAGEMAKER_API = Place("our sagemaker.api endpoint", {}, "SageMakerApiEndpointIds")
STUDIO = Place("our Studio endpoint", {}, "StudioEndpointIds")
NOTEBOOKS = Place("our notebook endpoint", {}, "NotebookEndpointIds")
STS = Place("our sts endpoint", {}, "StsEndpointIds")
DYNAMODB = Place("our dynamodb endpoint", {}, "DynamoDbEndpointIds")
OPEN_SAGEMAKER_API = dataclasses.replace(SAGEMAKER_API, label="our sagemaker.api endpoint, whose policy lets everything through", policy=False)
OPEN_STS = dataclasses.replace(STS, label="our sts endpoint, whose policy lets everything through", policy=False)


def keys_of(place, world):
    """What AWS says of a request from there, and the policy of the endpoint it comes through."""
    if place.endpoint is None:
        return dict(place.keys), None
    endpoint = world.network.outputs[place.endpoint]
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
    on: str | None = None  # the resource's own policy: api, function, refresher, queue, topic, lambda-trust, or with its stack: key <stack>, trust <stack>
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
case(BROKER, "dynamodb:Query", TABLE, DYNAMODB, ALLOWED, "a subject's grants", keys=leading("SUBJECT#okta#alice"))
case(BROKER, "dynamodb:GetItem", TABLE, DYNAMODB, ALLOWED, "an issuer's keys", keys=leading("JWKS#okta"))
case(BROKER, "dynamodb:Scan", TABLE, DYNAMODB, REFUSED, "it need not know everybody's grants")
case(BROKER, "dynamodb:UpdateItem", TABLE, DYNAMODB, ALLOWED, "the rate limit's count", keys=leading("RATE#okta#alice"))
case(BROKER, "dynamodb:PutItem", TABLE, DYNAMODB, ALLOWED, "the mark of a used token", keys=leading("TOKEN#okta#1"))
case(BROKER, "dynamodb:PutItem", TABLE, DYNAMODB, ALLOWED, "the same for a long token id", keys=leading("TOKEN-SHA256#okta#1"))
case(BROKER, "dynamodb:DeleteItem", TABLE, DYNAMODB, ALLOWED, "the mark taken back", keys=leading("TOKEN#okta#1"))
case(BROKER, "dynamodb:PutItem", TABLE, DYNAMODB, REFUSED, "the function cannot write itself a grant", keys=leading("SUBJECT#okta#alice"))
case(BROKER, "dynamodb:UpdateItem", TABLE, DYNAMODB, REFUSED, "nor change one", keys=leading("SUBJECT#okta#alice"))
case(BROKER, "dynamodb:DeleteItem", TABLE, DYNAMODB, REFUSED, "nor end a suspension", keys=leading("SUBJECT#okta#alice"))
case(BROKER, "dynamodb:PutItem", TABLE, DYNAMODB, REFUSED, "nor bring keys of its own", keys=leading("JWKS#okta"))
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


def key_of(row):
    return {"lambda:SourceFunctionArn": REFRESHER_FUNCTION, "dynamodb:LeadingKeys": [row]}


case = group("What the refresher may do", keys={"lambda:SourceFunctionArn": REFRESHER_FUNCTION})
case(REFRESHER, "dynamodb:PutItem", TABLE, INTERNET, ALLOWED, "an issuer's keys; it is outside the VPC, because issuers are", keys=key_of("JWKS#okta"))
case(REFRESHER, "dynamodb:GetItem", TABLE, INTERNET, ALLOWED, "how old those are that are kept", keys=key_of("JWKS#okta"))
case(REFRESHER, "dynamodb:PutItem", TABLE, INTERNET, REFUSED, "no grant", keys=key_of("SUBJECT#okta#mallory"))
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

case = group("The method vpc: any endpoint of the VPC", method="vpc")
case(ALICES, OPEN_STUDIO, ALICE, SAGEMAKER_API, ALLOWED, "the function's call")
case(ALICES, OPEN_STUDIO, ALICE, STUDIO, ALLOWED, "the browser")
case(ALICES, OPEN_STUDIO, ALICE, OTHER_ENDPOINT, ALLOWED, "this is what is wider here: whatever endpoint of the VPC")
case(ALICES, OPEN_STUDIO, ALICE, OTHER_VPCS_ENDPOINT, REFUSED, "another VPC")
case(ALICES, OPEN_STUDIO, ALICE, INTERNET, REFUSED, "no VPC at all")
case(WORKLOAD, OPEN_STUDIO, f"arn:aws:sagemaker:{REGION}:{WORKLOAD_ACCOUNT}:user-profile/{WORKLOAD_DOMAIN}/alice", OTHER_VPCS_ENDPOINT, REFUSED, "the same in the other account")

case(ALICES, OPEN_STUDIO, ALICE, OTHER_ENDPOINT, ALLOWED, "the organisation lets the same through", scp=True)
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
case(ADMIN, "sagemaker:CreatePresignedMlflowTrackingServerUrl", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:mlflow-tracking-server/x", CONSOLE, REFUSED, "nor MLflow")
case(ADMIN, "sagemaker:CreatePartnerAppPresignedUrl", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:partner-app/app-ABCDEFGHIJKL", CONSOLE, REFUSED, "nor partner applications, whose action is called otherwise")
case(ADMIN, OPEN_STUDIO, ALICE, OPEN_SAGEMAKER_API, REFUSED, "also where the endpoint is an old one, open to all")
case(ADMIN, "sagemaker:CreatePartnerAppPresignedUrl", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:partner-app/app-ABCDEFGHIJKL", OPEN_SAGEMAKER_API, REFUSED, "the same for partner applications")
case(DEPLOY, OPEN_STUDIO, ALICE, CONSOLE, REFUSED, "the deployer opens nothing")
case(ADMIN, "iam:PutRolePolicy", ISSUING, CONSOLE, REFUSED, "the issuing role stays as it was deployed")
case(ADMIN, "iam:UpdateAssumeRolePolicy", BROKER_ROLE, CONSOLE, REFUSED, "and so does the function's")
case(ADMIN, "iam:PutRolePolicy", role(ACCOUNT, "latchkey-jwks-refresher"), CONSOLE, REFUSED, "and the refresher's")
case(DEPLOY, "iam:PutRolePolicy", ISSUING, CONSOLE, ALLOWED, "but for the deployer")
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
case(ADMIN, "dynamodb:PutItem", TABLE, CONSOLE, REFUSED, "a key of one's own, to sign as anybody", keys={"dynamodb:LeadingKeys": ["JWKS#okta"]})
case(ADMIN, "dynamodb:PartiQLUpdate", TABLE, CONSOLE, REFUSED, "by another language, too", keys=ROW)
case(ADMIN, "dynamodb:Query", TABLE, CONSOLE, ALLOWED, "reading is free, for auditors", keys=ROW)
case(ADMIN, "dynamodb:DeleteTable", TABLE, CONSOLE, REFUSED, "the table stays")
case(ADMIN, "dynamodb:PutResourcePolicy", TABLE, CONSOLE, REFUSED, "and is nobody else's")
case(DEPLOY, "dynamodb:UpdateTable", TABLE, CONSOLE, ALLOWED, "but for the deployer")
case(DEPLOY, "dynamodb:PutItem", TABLE, CONSOLE, REFUSED, "who grants nothing", keys=ROW)
case(OPERATES, "dynamodb:PutItem", TABLE, CONSOLE, ALLOWED, "operators do", keys=ROW)
case(BROKER, "dynamodb:UpdateItem", TABLE, DYNAMODB, ALLOWED, "the function counts as before", keys=leading("RATE#okta#alice"))
case(REFRESHER, "dynamodb:PutItem", TABLE, INTERNET, ALLOWED, "the refresher writes as before", keys=key_of("JWKS#okta"))
case(ADMIN, "lambda:InvokeFunction", OTHER_FUNCTION, CONSOLE, ALLOWED, "other functions are not its business")

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

"""A bank's deployment: every template with parameters, each fed by the outputs of the one before it, and who may ask for what.

The policies come out of the templates, as SAM and CloudFormation would resolve them; nothing of a policy is written down here. Those
by which `latchkey revoke` cuts sessions stand in revocation.json, which a test of the command holds to what it writes.
"""

import copy
import functools
import json
import os
import pathlib
import subprocess

import cloudformation
from cloudformation import ACCOUNT, REGION, Stack

WORKLOAD_ACCOUNT = "444455556666"
STRANGERS_ACCOUNT = "999988887777"

VPC = "vpc-0123456789abcdef0"
OTHER_VPC = "vpc-0fedcba9876543210"
SUBNETS = "subnet-0123456789abcdef0,subnet-0123456789abcdef1"
DOMAIN = "d-research12345"
WORKLOAD_DOMAIN = "d-risk123456789"
TRACKING_SERVER = "experiments"
MLFLOW_APP = "app-7QX2ABCD3EFG"
PARTNER_APP = "app-ABCDEFGHIJ12"
WORKLOAD_TRACKING_SERVER = "risk"
WORKLOAD_MLFLOW_APP = "app-8RY3BCDE4FGH"
WORKLOAD_PARTNER_APP = "app-BCDEFGHIJK23"
EXECUTION_ROLE = f"arn:aws:iam::{ACCOUNT}:role/studio-research"
WORKLOAD_EXECUTION_ROLE = f"arn:aws:iam::{WORKLOAD_ACCOUNT}:role/studio-risk"
PROFILE_GROUPS = "sg-0123456789abcdef1,sg-0123456789abcdef2"
OFFICE = "198.51.100.0/24"
NOTEBOOK_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
EXTERNAL_ID = "external-id-of-the-broker"
WORKLOAD_EXTERNAL_ID = "external-id-of-the-workload"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/deployer"
OPERATOR = f"arn:aws:iam::{ACCOUNT}:role/latchkey-operator"
RESPONDER = f"arn:aws:iam::{ACCOUNT}:role/latchkey-responder"

FACTS = {("AWS::EC2::VPC::Id", "DefaultVpc"): ["false"], ("AWS::EC2::Subnet::Id", "VpcId"): [VPC, VPC]}

NETWORK = {
    "VpcId": VPC,
    "SubnetIds": SUBNETS,
    "RouteTableIds": "rtb-0123456789abcdef0",
    "DynamoDbPrefixListId": "pl-0123456789abcdef0",
    "ClientPrefixListId": "pl-0fedcba9876543210",
    "AccountIds": f"{ACCOUNT},{WORKLOAD_ACCOUNT}",
    "ApiId": "a1b2c3d4e5",
    "MlflowServerEndpoint": "create",
    "MlflowAppEndpoint": "create",
    "PartnerAppEndpoint": "create",
}

BROKER = {
    "Issuers": '[{"id":"okta","preset":"okta","issuer":"https://bank.okta.com/oauth2/aus1","audiences":["api://latchkey"]}]',
    "StudioDomainIds": DOMAIN,
    "NotebookInstanceNames": "research-*",
    "MlflowTrackingServerNames": f"{TRACKING_SERVER},shared-*",
    "MlflowAppIds": MLFLOW_APP,
    "PartnerAppIds": PARTNER_APP,
    "ProvisionExecutionRoleArns": EXECUTION_ROLE,
    "ProvisionSecurityGroupIds": PROFILE_GROUPS,
    "IssuingRoleExternalId": EXTERNAL_ID,
    "WorkloadRoleArns": f"arn:aws:iam::{WORKLOAD_ACCOUNT}:role/latchkey-issuing,arn:aws:iam::{WORKLOAD_ACCOUNT}:role/latchkey-provisioning",
    "VpcId": VPC,
    "SubnetIds": SUBNETS,
}

WORKLOAD = {
    "ExternalId": WORKLOAD_EXTERNAL_ID,
    "StudioDomainIds": WORKLOAD_DOMAIN,
    "NotebookInstanceNames": "risk-*",
    "MlflowTrackingServerNames": WORKLOAD_TRACKING_SERVER,
    "MlflowAppIds": WORKLOAD_MLFLOW_APP,
    "PartnerAppIds": WORKLOAD_PARTNER_APP,
    "ProvisionExecutionRoleArns": WORKLOAD_EXECUTION_ROLE,
    "ProvisionSecurityGroupIds": PROFILE_GROUPS,
}

# Outputs of one template that are parameters of another, by the same name.
ENDPOINTS = [f"{service}EndpointIds" for service in ("ExecuteApi", "SageMakerApi", "Studio", "Notebook", "App", "Sts", "DynamoDb")]


# The policy of an endpoint that was given none.
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}


@functools.cache
def revocations():
    """What `latchkey revoke` writes to an issuing role: for okta's alice, and for everyone, at noon."""
    return json.loads(pathlib.Path(__file__).with_name("revocation.json").read_text())


class World:
    """The deployment. `change` is applied to a copy of the templates first: that is how mutations are made."""

    def __init__(self, method="endpoint", change=None):
        templates = {name: cloudformation.load(name) for name in cloudformation.TEMPLATES} | {"revocation": revocations()}
        if change:
            templates = copy.deepcopy(templates)
            change(templates)
        self.templates = templates
        tied = {"NetworkMethod": method, "AddressRanges": OFFICE if method == "address" else ""}
        self.network = Stack(templates["network"], NETWORK, facts=FACTS)
        endpoints = {name: self.network.outputs[name] for name in ENDPOINTS}
        self.broker = Stack(
            templates["broker"],
            BROKER | tied | endpoints | {"SecurityGroupIds": "sg-0123456789abcdef0", "OtherVpcIds": ""},
            facts=FACTS,
        )
        role = {name: endpoints[name] for name in ENDPOINTS if name not in ("ExecuteApiEndpointIds", "DynamoDbEndpointIds")}
        self.workload = Stack(
            templates["workload"],
            WORKLOAD | tied | role | {"BrokerRoleArn": self.broker.outputs["BrokerRoleArn"], "VpcIds": VPC if method == "vpc" else ""},
            account=WORKLOAD_ACCOUNT,
        )
        issuing = f"{self.broker.outputs['IssuingRoleArn']},{self.workload.outputs['IssuingRoleArn']}"
        self.guardrails = Stack(templates["guardrails"], {"IssuingRoleArns": issuing})
        self.organization = Stack(
            templates["organization"],
            {
                "IssuingRoleArns": issuing,
                "DeployRoleArns": f"{DEPLOYER},arn:aws:iam::*:role/stacksets-exec-*",
                "GrantRoleArns": OPERATOR,
                "RevokeRoleArns": RESPONDER,
                "ApiId": "a1b2c3d4e5",
                "EndpointIds": ",".join(endpoints[name] for name in ("SageMakerApiEndpointIds", "StudioEndpointIds", "NotebookEndpointIds", "AppEndpointIds")),
                "AddressRanges": tied["AddressRanges"],
                "VpcIds": VPC if method == "vpc" else "",
                "NotebookKmsKeyArns": NOTEBOOK_KEY,
                "NotebookSubnetIds": SUBNETS,
                "TargetIds": "ou-abcd-12345678",
            },
        )
        self.stacks = {
            "broker": self.broker,
            "network": self.network,
            "workload": self.workload,
            "guardrails": self.guardrails,
            "organization": self.organization,
        }

    # -------------------------------------------------------------------------------------------------------- policies

    def role(self, stack, name):
        return self.stacks[stack].resources.get(name, {}).get("Properties", {})

    def identity(self, stack, name):
        """The policies that are attached to a role."""
        return {policy["PolicyName"]: policy["PolicyDocument"] for policy in self.role(stack, name).get("Policies", [])}

    def trust(self, stack, name):
        return self.role(stack, name).get("AssumeRolePolicyDocument")

    def endpoint_policies(self):
        """Of each endpoint, by its id. One without a policy of its own lets everything through, as AWS has it."""
        return {
            self.network.reference(name): properties.get("PolicyDocument", EVERYTHING)
            for name, properties in self.network.of_type("AWS::EC2::VPCEndpoint").items()
        }

    def api_policy(self):
        """The API's resource policy. API Gateway puts the API's own ARN before what begins with execute-api:/."""
        policy = json.dumps(self.broker.resources["BrokerApi"]["Properties"]["Body"].get("x-amazon-apigateway-policy", {}))
        policy = policy.replace('"execute-api:/', f'"arn:aws:execute-api:{REGION}:{ACCOUNT}:a1b2c3d4e5/')
        return json.loads(policy)

    def function_policy(self, function="latchkey-broker"):
        """What Lambda makes of the permissions to invoke a function."""
        statements = []
        for name, permission in self.broker.of_type("AWS::Lambda::Permission").items():
            if permission["FunctionName"] != function:
                continue
            condition = {}
            if "SourceArn" in permission:
                condition["ArnLike"] = {"AWS:SourceArn": permission["SourceArn"]}
            if "SourceAccount" in permission:
                condition["StringEquals"] = {"AWS:SourceAccount": permission["SourceAccount"]}
            principal = permission["Principal"]
            service = principal.endswith(".amazonaws.com")
            statements.append(
                {
                    "Sid": name,
                    "Effect": "Allow",
                    "Principal": {"Service": principal} if service else {"AWS": principal} if principal != "*" else "*",
                    "Action": permission["Action"],
                    "Resource": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}",
                    **({"Condition": condition} if condition else {}),
                }
            )
        return {"Version": "2012-10-17", "Statement": statements}

    def service_control_policies(self):
        return {name: policy["Content"] for name, policy in self.organization.of_type("AWS::Organizations::Policy").items()}

    def policies(self):
        """Every policy of every template: (where it stands, what kind it is, the document)."""
        for stack_name, stack in self.stacks.items():
            for name, role in stack.of_type("AWS::IAM::Role").items():
                yield f"{stack_name}: trust of {name}", "resource", role["AssumeRolePolicyDocument"]
                for policy in role.get("Policies", []):
                    yield f"{stack_name}: {name}, {policy['PolicyName']}", "identity", policy["PolicyDocument"]
            for name, endpoint in stack.of_type("AWS::EC2::VPCEndpoint").items():
                if "PolicyDocument" in endpoint:
                    yield f"{stack_name}: endpoint {name}", "resource", endpoint["PolicyDocument"]
            for name, key in stack.of_type("AWS::KMS::Key").items():
                yield f"{stack_name}: key {name}", "resource", key["KeyPolicy"]
            for name, topic in stack.of_type("AWS::SNS::TopicPolicy").items():
                yield f"{stack_name}: {name}", "resource", topic["PolicyDocument"]
        for name, document in self.service_control_policies().items():
            yield f"organization: {name}", "scp", document
        yield "broker: API", "resource", self.api_policy()
        yield "broker: function", "resource", self.function_policy()
        yield "broker: refresher", "resource", self.function_policy("latchkey-jwks-refresher")
        for name, queue in self.broker.of_type("AWS::SQS::QueuePolicy").items():
            yield f"broker: {name}", "resource", queue["PolicyDocument"]


# ---------------------------------------------------------------------------------------------------------- the simulator


def tools():
    """The folder that tests/tools/install fills."""
    return pathlib.Path(os.environ.get("LATCHKEY_TOOLS") or cloudformation.ROOT / "target" / "tools")


def simulate(simulations):
    """What IAM would say to each: `(decision, keys that do not apply to the action)`."""
    answer = subprocess.run(
        [tools() / "bin" / "node", pathlib.Path(__file__).with_name("simulate.mjs"), tools() / "iam-simulate"],
        input=json.dumps(simulations),
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )
    results = json.loads(answer.stdout)
    for simulation, result in zip(simulations, results, strict=True):
        if "error" in result:
            raise ValueError(f"{simulation['request']}: {json.dumps(result['error'])}")
    return [(result["decision"], result["ignored"]) for result in results]


@functools.cache
def deployed(method="endpoint"):
    """The deployment as it is in the templates."""
    return World(method)

#!/usr/bin/env python3
"""What the templates deploy, as AWS Cloud Control would describe it: what the stand-in behind `latchkey dev` shows `latchkey doctor`.

    deployment.py            writes cli/standin/src/stack/demo/deployment.json anew; test_deployment.py holds it to the templates

So what doctor looks at on one machine is what the templates would deploy, and not what somebody thinks that they do.
"""

import json
import sys

import cloudformation
import world
from cloudformation import ROOT, Stack

FILE = ROOT / "cli" / "standin" / "src" / "stack" / "demo" / "deployment.json"

# The made-up bank of `latchkey dev`: cli/standin/src/stack/demo.rs.
DOMAIN = "d-demoresearch"
BROKER = {
    "StudioDomainIds": DOMAIN,
    "IssuingRoleExternalId": "latchkey-demo",
    "ProvisionExecutionRoleArns": f"arn:aws:iam::{cloudformation.ACCOUNT}:role/studio-execution",
    "SecurityGroupIds": "sg-0123456789abcdef0",
    "AlarmTopicArn": f"arn:aws:sns:{cloudformation.REGION}:{cloudformation.ACCOUNT}:latchkey-alarms",
}
# The one through which requests come there. A real id is longer, and the template asks for that.
DEMO_ENDPOINT = "vpce-0dev"

# The demo's two roles ask for an external id each, and the template has one for both.
PROVISIONING = {"ProvisioningRole": "latchkey-demo-provisioning"}

# Each type with what identifies a resource of it (`primaryIdentifier` of its schema).
IDENTIFIERS = {
    "AWS::ApiGateway::RestApi": lambda stack, name, properties: stack.reference(name),
    "AWS::CloudWatch::Alarm": lambda stack, name, properties: properties["AlarmName"],
    "AWS::DynamoDB::Table": lambda stack, name, properties: properties["TableName"],
    "AWS::EC2::VPCEndpoint": lambda stack, name, properties: stack.reference(name),
    "AWS::IAM::Role": lambda stack, name, properties: properties["RoleName"],
    "AWS::KMS::Key": lambda stack, name, properties: stack.attribute(name, "Arn").rpartition("/")[2],
    "AWS::Lambda::Function": lambda stack, name, properties: properties["FunctionName"],
    "AWS::Lambda::Permission": lambda stack, name, properties: f"{properties['FunctionName']}|{name}",
    "AWS::Logs::LogGroup": lambda stack, name, properties: properties["LogGroupName"],
}

NUMBERS = {"MemorySize", "ReservedConcurrentExecutions", "RetentionInDays", "Timeout"}


def described(kind, name, properties, stack):
    """The properties as they are read back: with what AWS adds, and without what it does not give back."""
    identifier = IDENTIFIERS[kind](stack, name, properties)
    properties = dict(properties)
    match kind:
        case "AWS::ApiGateway::RestApi":
            body = properties.pop("Body")
            # API Gateway puts the API's own ARN before what begins with execute-api:/.
            own = f"arn:aws:execute-api:{cloudformation.REGION}:{stack.account}:{identifier}/"
            policy = json.loads(json.dumps(body["x-amazon-apigateway-policy"]).replace('"execute-api:/', f'"{own}'))
            properties |= {"RestApiId": identifier, "Policy": policy}
            properties.pop("Parameters", None)
        case "AWS::CloudWatch::Alarm":
            properties["Arn"] = f"arn:aws:cloudwatch:{cloudformation.REGION}:{stack.account}:alarm:{identifier}"
        case "AWS::DynamoDB::Table":
            properties["Arn"] = stack.attribute(name, "Arn")
        case "AWS::EC2::VPCEndpoint":
            properties["Id"] = identifier
            properties.setdefault("VpcEndpointType", "Gateway")
            properties.setdefault("PolicyDocument", world.EVERYTHING)
            properties["PrivateDnsEnabled"] = properties.get("PrivateDnsEnabled") == "true"
        case "AWS::IAM::Role":
            properties["Arn"] = stack.attribute(name, "Arn")
            if name in PROVISIONING:
                text = json.dumps(properties["AssumeRolePolicyDocument"])
                properties["AssumeRolePolicyDocument"] = json.loads(text.replace(BROKER["IssuingRoleExternalId"], PROVISIONING[name]))
        case "AWS::KMS::Key":
            properties |= {"Arn": stack.attribute(name, "Arn"), "KeyId": identifier, "Enabled": True}
        case "AWS::Lambda::Function":
            properties.pop("Code", None)
            properties["Arn"] = stack.attribute(name, "Arn")
        case "AWS::Lambda::Permission":
            properties["Id"] = name
        case "AWS::Logs::LogGroup":
            properties["Arn"] = stack.attribute(name, "Arn")
    # A parameter is a text, and these are numbers.
    for number in NUMBERS & properties.keys():
        properties[number] = int(properties[number])
    return {"type": kind, "identifier": identifier, "properties": properties}


def deployment():
    network = Stack(cloudformation.load("network"), world.NETWORK, facts=world.FACTS)
    endpoints = {name: network.outputs[name] for name in world.ENDPOINTS}
    broker = Stack(cloudformation.load("broker"), world.BROKER | endpoints | BROKER, facts=world.FACTS)
    found = [
        described(resource["Type"], name, resource["Properties"], stack)
        for stack in (network, broker)
        for name, resource in stack.resources.items()
        if resource["Type"] in IDENTIFIERS
    ]
    for subnet in world.SUBNETS.split(","):
        found.append({"type": "AWS::EC2::Subnet", "identifier": subnet, "properties": {"SubnetId": subnet, "VpcId": world.VPC}})
    found.sort(key=lambda one: (one["type"], one["identifier"]))
    text = json.dumps(found, indent=1, sort_keys=True, default=str)
    return text.replace(network.outputs["ExecuteApiEndpointIds"], DEMO_ENDPOINT) + "\n"


if __name__ == "__main__":
    FILE.write_text(deployment(), encoding="utf-8")
    sys.exit(0)

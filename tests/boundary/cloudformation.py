"""The templates as CloudFormation would see them: transformed by SAM, parameters checked, functions resolved.

Strict on purpose. A function, a reference or an attribute that is not known here is an error, not a guess: the policies that the
tests look at have to be the ones that would be deployed.
"""

import copy
import functools
import hashlib
import logging
import os
import pathlib
import re

import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

ROOT = pathlib.Path(__file__).resolve().parents[2]

TEMPLATES = {
    "broker": "template.yaml",
    "network": "deploy/network.yaml",
    "workload": "deploy/workload-account.yaml",
    "guardrails": "deploy/guardrails.yaml",
    "organization": "deploy/organization.yaml",
}

REGION = "eu-central-1"
ACCOUNT = "111122223333"

NO_VALUE = object()

# SAM's own remarks on how it was installed.
logging.getLogger("samtranslator").setLevel(logging.CRITICAL)


class TemplateError(Exception):
    """What CloudFormation would refuse."""


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, and without aliases, which CloudFormation does not take."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise TemplateError("an alias: CloudFormation does not take any")
        return super().compose_node(parent, index)


def short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", short_form)


def load(name):
    """A template as it is written."""
    return yaml.load((ROOT / TEMPLATES[name]).read_text(encoding="utf-8"), Loader)


def transform(template):
    """What SAM makes of it; a template without SAM's transform stays as it is."""
    template = copy.deepcopy(template)
    if template.get("Transform") != "AWS::Serverless-2016-10-31":
        return template
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # `sam package` puts an address in a bucket here.
            resource["Properties"]["CodeUri"] = "s3://bucket/code"
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    return Translator({}, Parser()).translate(template, parameter_values={})


PARAMETERS_OF_AWS = {
    "AWS::EC2::VPC::Id": r"vpc-[0-9a-f]{8,17}",
    "AWS::EC2::Subnet::Id": r"subnet-[0-9a-f]{8,17}",
    "AWS::EC2::SecurityGroup::Id": r"sg-[0-9a-f]{8,17}",
}


def check_parameter(name, definition, value):
    """What CloudFormation checks of a parameter, with the message that it would give."""

    def refuse(what):
        raise TemplateError(f"Parameter {name} {definition.get('ConstraintDescription', what)}")

    kind = definition["Type"]
    text = str(value)
    listed = kind == "CommaDelimitedList" or kind.startswith("List<")
    # CloudFormation: applied to a list, a pattern must match each value of it.
    parts = [part.strip() for part in text.split(",")] if listed else [text]
    for part in parts:
        if (pattern := definition.get("AllowedPattern")) and not re.fullmatch(pattern, part):
            refuse(f"must match pattern {pattern}")
        if (kind_pattern := PARAMETERS_OF_AWS.get(kind.removeprefix("List<").removesuffix(">"))) and not re.fullmatch(kind_pattern, part):
            refuse(f"is no {kind}")
        if "AllowedValues" in definition and part not in [str(allowed) for allowed in definition["AllowedValues"]]:
            refuse(f"must be one of {definition['AllowedValues']}")
    if kind == "Number":
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
            refuse("must be a number")
        if float(text) < definition.get("MinValue", float(text)) or float(text) > definition.get("MaxValue", float(text)):
            refuse(f"must be from {definition.get('MinValue')} to {definition.get('MaxValue')}")
    if len(text) > definition.get("MaxLength", len(text)) or len(text) < definition.get("MinLength", 0):
        refuse("is too long or too short")
    return parts if listed else text


# What Fn::GetAtt gives, as far as our templates ask for it: a text that names the resource, in the form that AWS gives.
ATTRIBUTES = {
    ("AWS::IAM::Role", "Arn"): lambda r: f"arn:aws:iam::{r.account}:role/{r.property('RoleName', r.name)}",
    ("AWS::DynamoDB::Table", "Arn"): lambda r: f"arn:aws:dynamodb:{REGION}:{r.account}:table/{r.property('TableName', r.name)}",
    ("AWS::KMS::Key", "Arn"): lambda r: f"arn:aws:kms:{REGION}:{r.account}:key/{r.name.lower()}",
    ("AWS::Logs::LogGroup", "Arn"): lambda r: f"arn:aws:logs:{REGION}:{r.account}:log-group:{r.property('LogGroupName', r.name)}:*",
    ("AWS::Lambda::Function", "Arn"): lambda r: f"arn:aws:lambda:{REGION}:{r.account}:function:{r.property('FunctionName', r.name)}",
    ("AWS::SQS::Queue", "Arn"): lambda r: f"arn:aws:sqs:{REGION}:{r.account}:{r.property('QueueName', r.name)}",
    ("AWS::EC2::SecurityGroup", "GroupId"): lambda r: f"sg-of-{r.name}",
    ("AWS::EC2::VPCEndpoint", "DnsEntries"): lambda r: [f"Z0123456789:{r.ref()}-abcd.{r.name.lower()}.{REGION}.vpce.amazonaws.com"],
    ("AWS::Events::Rule", "Arn"): lambda r: f"arn:aws:events:{REGION}:{r.account}:rule/{r.property('Name', r.name)}",
}

# What Ref gives, where it is not the logical name.
REFERENCES = {
    "AWS::DynamoDB::Table": lambda r: r.property("TableName", r.name),
    "AWS::Lambda::Function": lambda r: r.property("FunctionName", r.name),
    "AWS::Logs::LogGroup": lambda r: r.property("LogGroupName", r.name),
    "AWS::ApiGateway::RestApi": lambda r: "a1b2c3d4e5",
    "AWS::ApiGateway::Stage": lambda r: r.property("StageName", r.name),
    "AWS::SNS::Topic": lambda r: f"arn:aws:sns:{REGION}:{r.account}:{r.property('TopicName', r.name)}",
    # An endpoint's id has a form, which other templates check.
    "AWS::EC2::VPCEndpoint": lambda r: "vpce-" + hashlib.sha256(r.name.encode()).hexdigest()[:17],
}


class Resource:
    def __init__(self, stack, name, raw):
        self.stack, self.name, self.raw, self.account = stack, name, raw, stack.account

    def property(self, name, default):
        value = self.raw.get("Properties", {}).get(name)
        return default if value is None else self.stack.resolve(value)

    def ref(self):
        return REFERENCES.get(self.raw["Type"], lambda r: r.name)(self)


class Stack:
    """A template with parameters: what would be deployed."""

    def __init__(self, template, parameters=None, account=ACCOUNT, facts=None):
        """`facts` are what CloudFormation looks up for Rules: {(type, attribute): values}."""
        self.template = transform(template)
        self.account = account
        self.facts = facts or {}
        given = dict(parameters or {})
        self.parameters = {}
        self.types = {}
        for name, definition in self.template.get("Parameters", {}).items():
            self.types[name] = definition["Type"]
            if name in given:
                value = given.pop(name)
            elif "Default" in definition:
                value = definition["Default"]
            else:
                raise TemplateError(f"Parameters: [{name}] must have values")
            self.parameters[name] = check_parameter(name, definition, value)
        if given:
            raise TemplateError(f"Parameters: {sorted(given)} do not exist in the template")
        self.check_rules()
        self.outputs = {
            name: self.resolve(output["Value"])
            for name, output in self.template.get("Outputs", {}).items()
            if self.condition(output.get("Condition"))
        }

    @functools.cached_property
    def resources(self):
        """Those whose condition holds, with everything resolved."""
        return {
            name: {**raw, "Properties": self.resolve(raw.get("Properties", {}))}
            for name, raw in self.template["Resources"].items()
            if self.condition(raw.get("Condition"))
        }

    def of_type(self, kind):
        return {name: resource["Properties"] for name, resource in self.resources.items() if resource["Type"] == kind}

    def condition(self, name):
        return name is None or self.truth(self.template["Conditions"][name])

    def truth(self, value):
        ((function, operands),) = value.items()
        match function:
            case "Condition":
                return self.condition(operands)
            case "Fn::Equals":
                left, right = map(self.resolve, operands)
                return left == right
            case "Fn::Not":
                return not self.truth(operands[0])
            case "Fn::And":
                return all([self.truth(operand) for operand in operands])
            case "Fn::Or":
                return any([self.truth(operand) for operand in operands])
            case "Fn::EachMemberEquals":
                return all(member == operands[1] for member in self.resolve(operands[0]))
            case "Fn::EachMemberIn":
                return set(self.resolve(operands[0])) <= set(self.resolve(operands[1]))
        raise TemplateError(f"{function} is no condition")

    def check_rules(self):
        for name, rule in self.template.get("Rules", {}).items():
            if "RuleCondition" in rule and not self.truth(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self.truth(assertion["Assert"]):
                    raise TemplateError(f"{name}: {assertion['AssertDescription']}")

    def pseudo(self, name):
        match name:
            case "AWS::AccountId":
                return self.account
            case "AWS::Region":
                return REGION
            case "AWS::Partition":
                return "aws"
            case "AWS::URLSuffix":
                return "amazonaws.com"
            case "AWS::StackName":
                return "stack"
            case "AWS::NoValue":
                return NO_VALUE
        raise TemplateError(f"there is no {name}")

    def reference(self, name):
        if name.startswith("AWS::"):
            return self.pseudo(name)
        if name in self.parameters:
            return self.parameters[name]
        if name in self.template["Resources"]:
            return Resource(self, name, self.template["Resources"][name]).ref()
        raise TemplateError(f"Ref to {name}, which is not there")

    def attribute(self, name, attribute):
        resource = Resource(self, name, self.template["Resources"][name])
        if (kind := (resource.raw["Type"], attribute)) not in ATTRIBUTES:
            raise TemplateError(f"Fn::GetAtt {name}.{attribute}: what it gives is not known here")
        return ATTRIBUTES[kind](resource)

    def resolve(self, value):
        if isinstance(value, list):
            return [part for part in map(self.resolve, value) if part is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((key, operand),) = value.items()
            if key == "Ref" or key.startswith("Fn::"):
                return self.function(key, operand)
        resolved = {key: self.resolve(part) for key, part in value.items()}
        return {key: part for key, part in resolved.items() if part is not NO_VALUE}

    def function(self, key, operand):
        match key:
            case "Ref":
                return self.reference(operand)
            case "Fn::GetAtt":
                return self.attribute(*(operand if isinstance(operand, list) else operand.split(".", 1)))
            case "Fn::If":
                condition, then, otherwise = operand
                return self.resolve(then if self.condition(condition) else otherwise)
            case "Fn::Join":
                separator, parts = operand
                if not isinstance(separator, str):
                    raise TemplateError("the separator of Fn::Join takes no function")
                return separator.join(str(part) for part in self.resolve(parts))
            case "Fn::Split":
                separator, text = operand
                return self.resolve(text).split(separator)
            case "Fn::Select":
                index, parts = operand
                return self.resolve(parts)[int(self.resolve(index))]
            case "Fn::Sub":
                text, variables = operand if isinstance(operand, list) else (operand, {})
                variables = {name: self.resolve(variable) for name, variable in variables.items()}
                return re.sub(r"\$\{([^!}][^}]*)\}", lambda match: str(self.substitute(match[1].strip(), variables)), text)
            case "Fn::RefAll":
                return [part for name, kind in self.types.items() if kind.endswith((operand, f"<{operand}>")) for part in as_list(self.parameters[name])]
            case "Fn::ValueOfAll":
                return self.facts.get(tuple(operand), [])
        raise TemplateError(f"{key} is not known here")

    def substitute(self, name, variables):
        if name in variables:
            value = variables[name]
        elif "." in name and not name.startswith("AWS::"):
            value = self.attribute(*name.split(".", 1))
        else:
            value = self.reference(name)
        if isinstance(value, list):
            raise TemplateError(f"Fn::Sub: {name} is a list")
        return value


def as_list(value):
    return value if isinstance(value, list) else [value]

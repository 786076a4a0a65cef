"""The templates themselves: as AWS's and others' linters see them, with good and bad parameters, and beside the rest of the project."""

import collections
import functools
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import warnings

import jsonschema
import parliament
import yaml
from samtranslator.validator.validator import SamTemplateValidator

import cases
import cloudformation
import mutations
import world
from cloudformation import ACCOUNT, REGION, ROOT, Stack, TemplateError

# Where the policies of the issuing roles are.
ISSUING = ("broker: IssuingRole, presign", "workload: IssuingRole, presign")

ENVIRONMENT = {"AWS_DEFAULT_REGION": REGION, "PATH": "/usr/bin:/bin"}


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def transformed(folder):
    """Every template as CloudFormation gets it, as files."""
    for name, stack in world.deployed().stacks.items():
        path = pathlib.Path(folder) / f"{name}.json"
        path.write_text(json.dumps(stack.template), encoding="utf-8")
        yield name, path


class Linters(unittest.TestCase):
    def test_cfn_lint(self):
        """Transformed first: of a resource of SAM's it knows little."""
        lint = pathlib.Path(sys.executable).with_name("cfn-lint")
        with tempfile.TemporaryDirectory() as folder:
            files = [str(path) for _, path in transformed(folder)] + [str(ROOT / path) for path in cloudformation.TEMPLATES.values()]
            done = subprocess.run([lint, *files], env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
        self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr))

    def test_sams_own_schema(self):
        template = cloudformation.load("broker")
        # What its schema does not know, and the transform does: CloudFormation's Rules, a property, and a reference to a list.
        del template["Rules"]
        api = template["Resources"]["BrokerApi"]["Properties"]
        self.assertIs(api.pop("AlwaysDeploy"), True)
        self.assertEqual(api["EndpointConfiguration"].pop("VPCEndpointIds"), {"Ref": "ExecuteApiEndpointIds"})
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            self.assertEqual([], SamTemplateValidator().get_errors(template))
            api["StageNames"] = ["v1"]
            self.assertNotEqual([], SamTemplateValidator().get_errors(template))

    # What checkov asks for and we do not do. One that is not needed any more is an error as well.
    CHECKOV_SKIPS = {
        ("broker", "CKV_AWS_111", "AWS::IAM::Role.BrokerRole"): "X-Ray and the network interfaces of a function in a VPC know no resources; the code is denied the latter",
        ("broker", "CKV_AWS_33", "AWS::KMS::Key.Key"): "principal * is tied to this account and to DynamoDB by kms:CallerAccount and kms:ViaService, as in AWS's own key policy for DynamoDB",
        ("broker", "CKV_AWS_116", "AWS::Lambda::Function.BrokerFunction"): "a dead-letter queue is for asynchronous events; this function is invoked by API Gateway alone, and a queue would hold tokens",
        ("broker", "CKV_AWS_173", "AWS::Lambda::Function.BrokerFunction"): "the variables hold no secret (docs/configuration.md), and Lambda encrypts them with its own key; a customer key would cost a call of KMS's at every cold start",
        ("broker", "CKV_AWS_116", "AWS::Lambda::Function.RefresherFunction"): "it has one: EventInvokeConfig sends what failed to RefresherQueue",
        ("broker", "CKV_AWS_117", "AWS::Lambda::Function.RefresherFunction"): "it is outside the VPC so that the broker need not have a way out",
        ("broker", "CKV_AWS_173", "AWS::Lambda::Function.RefresherFunction"): "the variables hold no secret, as the broker's",
        ("broker", "CKV_AWS_27", "AWS::SQS::Queue.RefresherQueue"): "it is encrypted by SQS itself (SqsManagedSseEnabled); its events say when a run failed, and nothing secret",
        ("broker", "CKV_AWS_120", "AWS::ApiGateway::Stage.BrokerApiv1Stage"): "an answer is for one caller and one moment: a cached URL would be somebody else's",
    }

    def test_checkov(self):
        checkov = world.tools() / "checkov" / "bin" / "checkov"
        with tempfile.TemporaryDirectory() as folder:
            list(transformed(folder))
            done = subprocess.run(
                [checkov, "--framework", "cloudformation", "--skip-download", "--compact", "--quiet", "--output", "json", "--directory", folder],
                env=ENVIRONMENT | {"HOME": folder},
                capture_output=True,
                text=True,
                timeout=300,
            )
        report = json.loads(done.stdout)
        failed = {(pathlib.Path(check["file_path"]).stem, check["check_id"], check["resource"]): check["check_name"] for check in report["results"]["failed_checks"]}
        self.assertGreater(report["summary"]["passed"], 40)
        self.assertEqual({}, {key: name for key, name in failed.items() if key not in self.CHECKOV_SKIPS})
        self.assertEqual(set(), set(self.CHECKOV_SKIPS) - set(failed), "skipped, and not asked for")
        print(f"\ncheckov: {report['summary']['passed']} passed; {len(failed)} skipped:")
        for key, reason in self.CHECKOV_SKIPS.items():
            print(f"  {' '.join(key)}: {reason}")

    # What parliament says and is not so: (issue, text in its detail, where) and why.
    PARLIAMENT_SKIPS = {
        ("UNKNOWN_CONDITION_FOR_ACTION", "lambda:SourceFunctionArn", "broker: BrokerRole, broker"): "Lambda sets it for every call of a function's code, whatever the service",
        ("UNKNOWN_CONDITION_FOR_ACTION", "lambda:SourceFunctionArn", "broker: RefresherRole, jwks-refresher"): "the same",
        ("UNKNOWN_CONDITION_FOR_ACTION", "kms:EncryptionContext:aws:logs:arn", "broker: key Key"): "keys of an encryption context are named by the service that sets them, here CloudWatch Logs",
        ("MISMATCHED_TYPE", "ArnEquals requires a value of type Arn but given String", "broker: key Key"): "the same key; its value is the log group's ARN",
        ("UNKNOWN_CONDITION_FOR_ACTION", "sagemaker:VolumeKmsKeyArn", "organization: NotebookPolicy"): "younger than parliament's list of keys",
        ("RESOURCE_STAR", "ec2:", "broker: BrokerRole, broker"): "Lambda does not know beforehand which network interface it makes",
        ("RESOURCE_STAR", "sagemaker:", "network: endpoint SageMakerApi"): "who may ask is said; what for, the issuing role says",
        ("RESOURCE_STAR", "iam:PassRole", "network: endpoint SageMakerApi"): "the same: which execution roles, the provisioning role says",
        ("RESOURCE_STAR", "kms:", "broker: key Key"): "in a key's policy * is that key",
        ("RESOURCE_STAR", "kms:", "guardrails: key Key"): "in a key's policy * is that key",
        **{
            ("RESOURCE_MISMATCH", "[{'action': 'sagemaker-mlflow:AccessUI', 'required_format': '*'}]", where): "AWS's list has no resource for it, and yet SageMaker's own role manager allows it on mlflow-tracking-server/* alone"
            for where in (*ISSUING, "network: endpoint MlflowServer")
        },
        **{
            ("UNKNOWN_ACTION", f"Unknown action {action}", where): "younger than parliament's list of actions"
            for action, places in {
                "sagemaker:CallMlflowAppApi": (*ISSUING, "network: endpoint MlflowApp"),
                "sagemaker:CreatePresignedMlflowAppUrl": (*ISSUING, "network: endpoint MlflowApp", "network: endpoint SageMakerApi"),
                "sagemaker:DescribeMlflowApp": (*ISSUING, "network: endpoint SageMakerApi"),
            }.items()
            for where in places
        },
    }

    @staticmethod
    def parliaments_findings(document):
        document = json.loads(json.dumps(document))
        for statement in document["Statement"]:
            # A trust policy has no resource, which parliament does not know.
            statement.setdefault("Resource", "*")
        return [(finding.issue, str(finding.detail)) for finding in parliament.analyze_policy_string(json.dumps(document)).findings]

    def excused(self, where, document):
        """The excuses for what parliament finds in a policy. What has none is a failure."""
        used = set()
        for issue, detail in self.parliaments_findings(document):
            known = [key for key in self.PARLIAMENT_SKIPS if key[0] == issue and key[1] in detail and key[2] == where]
            # sts:AssumeRole in a trust policy is for that role.
            if not (issue == "RESOURCE_STAR" and ": trust of " in where):
                self.assertTrue(known, f"{where}: {issue} {detail}")
            used.update(known)
        return used

    def test_parliament(self):
        used = set()
        looked_at = 0
        for where, _, document in world.deployed().policies():
            looked_at += 1
            used |= self.excused(where, document)
        self.assertEqual(set(), set(self.PARLIAMENT_SKIPS) - used, "excused, and not said")
        self.assertGreaterEqual(looked_at, 19)

    def test_parliament_finds_what_it_is_there_for(self):
        """A misspelt operator, key or action in a policy of ours."""
        for role, right, wrong in [
            ("IssuingRole", "StringNotEquals", "StringNotEqual"),
            ("IssuingRole", "sagemaker:DescribeDomain", "sagemaker:DescribeDomains"),
            ("IssuingRole", "sagemaker:CallMlflowAppApi", "sagemaker:CallMLflowAppsApi"),
            ("ProvisioningRole", "sagemaker:TaggingAction", "sagemaker:TagingAction"),
            ("ProvisioningRole", "sagemaker:VpcSecurityGroupIds", "sagemaker:SecurityGroupIds"),
            ("BrokerRole", "dynamodb:LeadingKeys", "dynamodb:LeadingKey"),
            ("BrokerRole", "ForAnyValue:StringLike", "ForAnyValues:StringLike"),
        ]:
            ((_, document),) = world.deployed().identity("broker", role).items()
            found = self.parliaments_findings(document)
            text = json.dumps(document)
            self.assertIn(right, text)
            self.assertNotEqual(found, self.parliaments_findings(json.loads(text.replace(right, wrong))), wrong)


class Parameters(unittest.TestCase):
    """What would weaken the boundary is refused before anything is made, with a message that says why."""

    GOOD = {
        "broker": lambda: world.BROKER | {name: "vpce-0123456789abcdef0" for name in world.ENDPOINTS} | {"SecurityGroupIds": "sg-0123456789abcdef0"},
        "network": lambda: world.NETWORK,
        "workload": lambda: world.WORKLOAD
        | {name: "vpce-0123456789abcdef0" for name in ("SageMakerApiEndpointIds", "StudioEndpointIds", "NotebookEndpointIds", "AppEndpointIds", "StsEndpointIds")}
        | {"BrokerRoleArn": f"arn:aws:iam::{ACCOUNT}:role/latchkey-broker"},
        "guardrails": lambda: {"IssuingRoleArns": f"arn:aws:iam::{ACCOUNT}:role/latchkey-issuing"},
        "organization": lambda: {
            "IssuingRoleArns": f"arn:aws:iam::{ACCOUNT}:role/latchkey-issuing",
            "DeployRoleArns": world.DEPLOYER,
            "GrantRoleArns": world.OPERATOR,
            "ApiId": "a1b2c3d4e5",
            "EndpointIds": "vpce-0123456789abcdef0",
            "NotebookKmsKeyArns": world.NOTEBOOK_KEY,
            "NotebookSubnetIds": world.SUBNETS,
        },
    }

    NOTHING = dict.fromkeys(("StudioDomainIds", "NotebookInstanceNames", "MlflowTrackingServerNames", "MlflowAppIds", "PartnerAppIds"), "")

    BAD = [
        ("broker", {"ExecuteApiEndpointIds": ""}, "at least one VPC endpoint"),
        ("broker", {"ExecuteApiEndpointIds": "*"}, "at least one VPC endpoint"),
        ("broker", {"ExecuteApiEndpointIds": "any"}, 'There is no "any" here'),
        ("broker", {"ExecuteApiEndpointIds": "vpce-0123456789abcdef0,*"}, "at least one VPC endpoint"),
        ("broker", {"ExecuteApiEndpointIds": "vpce-*"}, "at least one VPC endpoint"),
        ("broker", {"SageMakerApiEndpointIds": ""}, "at least one VPC endpoint"),
        ("broker", {"StsEndpointIds": "*"}, "at least one VPC endpoint"),
        ("broker", {"DynamoDbEndpointIds": ""}, "at least one VPC endpoint"),
        ("broker", {"StudioEndpointIds": "*"}, "a list of VPC endpoints"),
        ("broker", {"StudioEndpointIds": ""}, "no browser could open Studio"),
        ("broker", {"NotebookEndpointIds": ""}, "no browser could open the notebook instances"),
        ("broker", {"StudioDomainIds": "*"}, "A wildcard is no domain"),
        ("broker", {"StudioDomainIds": "d-*"}, "A wildcard is no domain"),
        ("broker", {"NotebookInstanceNames": "*"}, "after three characters or more"),
        ("broker", {"NotebookInstanceNames": "a*"}, "after three characters or more"),
        ("broker", {"MlflowTrackingServerNames": "*"}, "after three characters or more"),
        ("broker", {"MlflowTrackingServerNames": "ab*"}, "after three characters or more"),
        ("broker", {"MlflowTrackingServerNames": "a*b"}, "at the end alone"),
        ("broker", {"MlflowAppIds": "*"}, "ids of MLflow apps, without wildcards"),
        ("broker", {"MlflowAppIds": "app-*"}, "ids of MLflow apps, without wildcards"),
        ("broker", {"MlflowAppIds": "mlflow-app/app-7QX2ABCD3EFG"}, "ids of MLflow apps"),
        ("broker", {"PartnerAppIds": "app-*"}, "without wildcards"),
        ("broker", {"PartnerAppIds": "app-abcdefghij12"}, "12 capital letters and digits"),
        ("broker", {"AppEndpointIds": "*"}, "a list of VPC endpoints"),
        ("broker", {"AppEndpointIds": ""}, "no browser could open what MlflowTrackingServerNames"),
        ("broker", {"AppEndpointIds": "", "MlflowTrackingServerNames": "", "MlflowAppIds": ""}, "no browser could open what"),
        ("broker", {"AppEndpointIds": "", "MlflowTrackingServerNames": "", "PartnerAppIds": ""}, "no browser could open what"),
        ("broker", {"AppEndpointIds": "", "MlflowAppIds": "", "PartnerAppIds": ""}, "no browser could open what"),
        ("broker", {"AppEndpointIds": "", "NetworkMethod": "address", "AddressRanges": world.OFFICE}, "no browser could open what"),
        ("broker", NOTHING | {"WorkloadRoleArns": "", "ProvisionExecutionRoleArns": ""}, "nothing to open"),
        ("broker", {"ProvisionExecutionRoleArns": "*"}, "without wildcards"),
        ("broker", {"ProvisionExecutionRoleArns": f"arn:aws:iam::{ACCOUNT}:role/*"}, "without wildcards"),
        ("broker", {"ProvisionExecutionRoleArns": f"arn:aws:iam::{ACCOUNT}:user/x"}, "ARNs of IAM roles"),
        ("broker", {"ProvisionSecurityGroupIds": "sg-*"}, "a list of security groups"),
        ("broker", {"StudioDomainIds": "", "WorkloadRoleArns": ""}, "ProvisionExecutionRoleArns is for new profiles"),
        ("broker", {"WorkloadRoleArns": "arn:aws:iam::444455556666:role/*"}, "without wildcards"),
        ("broker", {"WorkloadRoleArns": "*"}, "without wildcards"),
        ("broker", {"IssuingRoleExternalId": ""}, "8 to 256"),
        ("broker", {"NetworkMethod": "none"}, "must be one of"),
        ("broker", {"NetworkMethod": "address"}, "AddressRanges is empty"),
        ("broker", {"NetworkMethod": "address", "AddressRanges": "0.0.0.0/0"}, "0.0.0.0/0 is no boundary"),
        ("broker", {"NetworkMethod": "address", "AddressRanges": "198.51.100.0/24,0.0.0.0/1"}, "0.0.0.0/0 is no boundary"),
        ("broker", {"OtherVpcIds": "*"}, "a list of VPCs"),
        ("broker", {"SageMakerEndpointUrl": "https://sagemaker.example.com"}, "DNS name of a VPC endpoint"),
        ("broker", {"StsEndpointUrl": "http://vpce-0a.sts.eu-central-1.vpce.amazonaws.com"}, "is https://"),
        ("broker", {"Issuers": "[]"}, "at least one issuer"),
        ("broker", {"UrlSeconds": "301"}, "from 5 to 300"),
        ("broker", {"SessionSeconds": "43201"}, "from 1800 to 43200"),
        ("broker", {"RateLimit": "20"}, "such as 20/60"),
        ("broker", {"Posture": "on"}, "must be one of"),
        ("broker", {"Name": "Latchkey!"}, "lower-case"),
        ("network", {"AccountIds": ""}, "at least one account"),
        ("network", {"AccountIds": "*"}, "at least one account"),
        ("network", {"ClientPrefixListId": "0.0.0.0/0"}, "a prefix list"),
        ("network", {"RouteTableIds": ""}, "RouteTableIds is empty"),
        ("network", {"MlflowAppEndpoint": "no"}, "must be one of"),
        ("workload", {"BrokerRoleArn": "*"}, "one IAM role"),
        ("workload", NOTHING | {"ProvisionExecutionRoleArns": ""}, "nothing to open"),
        ("workload", {"StudioDomainIds": ""}, "ProvisionExecutionRoleArns is for new profiles"),
        ("workload", {"ProvisionExecutionRoleArns": f"arn:aws:iam::{ACCOUNT}:role/*"}, "without wildcards"),
        ("workload", {"ProvisionSecurityGroupIds": "*"}, "a list of security groups"),
        ("workload", {"MlflowTrackingServerNames": "*"}, "after three characters or more"),
        ("workload", {"MlflowAppIds": "*"}, "without wildcards"),
        ("workload", {"PartnerAppIds": "*"}, "without wildcards"),
        ("workload", {"AppEndpointIds": ""}, "no browser could open what MlflowTrackingServerNames"),
        ("workload", {"NetworkMethod": "vpc"}, "VpcIds is empty"),
        ("workload", {"StsEndpointIds": ""}, "at least one VPC endpoint"),
        ("guardrails", {"IssuingRoleArns": ""}, "at least one ARN"),
        ("guardrails", {"TrailLogGroupName": "trail*"}, "the name of a log group"),
        ("organization", {"EndpointIds": "*"}, "at least one VPC endpoint"),
        ("organization", {"IssuingRoleArns": "arn:aws:iam::*:role/latchkey-issuing"}, "without wildcards"),
        ("organization", {"DeployRoleArns": "arn:aws:iam::*:role/*"}, "of StackSets' roles alone"),
        ("organization", {"GrantRoleArns": "arn:aws:iam::*:role/x"}, "without wildcards"),
        ("organization", {"RevokeRoleArns": "arn:aws:iam::*:role/x"}, "without wildcards"),
        ("organization", {"NotebookSubnetIds": ""}, "at least one subnet"),
        ("organization", {"NotebookInstanceTypes": "*"}, "a list of instance types"),
    ]

    def test_good_ones_are_taken(self):
        for name, good in self.GOOD.items():
            with self.subTest(name):
                Stack(cloudformation.load(name), good(), facts=world.FACTS)

    def test_bad_ones_are_refused(self):
        for name, bad, why in self.BAD:
            with self.subTest(template=name, **bad):
                with self.assertRaises(TemplateError) as refused:
                    Stack(cloudformation.load(name), self.GOOD[name]() | bad, facts=world.FACTS)
                self.assertIn(why, str(refused.exception))

    def test_without_roles_for_it_only_the_deployers_cut_sessions(self):
        for given, cut in [("", [world.DEPLOYER]), (world.RESPONDER, [world.DEPLOYER, world.RESPONDER])]:
            with self.subTest(RevokeRoleArns=given):
                stack = Stack(cloudformation.load("organization"), self.GOOD["organization"]() | {"RevokeRoleArns": given}, facts=world.FACTS)
                statements = stack.resources["TablePolicy"]["Properties"]["Content"]["Statement"]
                [condition] = [one["Condition"] for one in statements if one["Sid"] == "SessionsCutByTheseAlone"]
                self.assertEqual(condition, {"ArnNotLike": {"aws:PrincipalArn": cut}})

    def test_public_subnets_are_refused(self):
        for name in ("broker", "network"):
            for facts, why in [
                ({("AWS::EC2::VPC::Id", "DefaultVpc"): ["true"]}, "a default VPC, whose subnets are public"),
                ({("AWS::EC2::Subnet::Id", "VpcId"): [world.VPC, world.OTHER_VPC]}, "a subnet that is not in VpcId"),
            ]:
                with self.subTest(name, why=why), self.assertRaises(TemplateError) as refused:
                    Stack(cloudformation.load(name), self.GOOD[name](), facts=world.FACTS | facts)
                self.assertIn(why, str(refused.exception))

    def test_every_pattern_says_what_it_wants(self):
        for name in cloudformation.TEMPLATES:
            for parameter, definition in cloudformation.load(name)["Parameters"].items():
                with self.subTest(name, parameter=parameter):
                    self.assertIn("Description", definition)
                    if "AllowedPattern" in definition:
                        self.assertRegex(definition.get("ConstraintDescription", ""), r"^is .*\.$|^is .*[^.]$")
                        # CloudFormation matches the whole value; the anchors are for whoever reads it.
                        self.assertRegex(definition["AllowedPattern"], r"^\^.*\$$")

    def test_every_parameter_has_a_place_in_the_console(self):
        for name in ("broker", "network", "workload"):
            template = cloudformation.load(name)
            groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
            self.assertEqual(sorted(template["Parameters"]), sorted(parameter for group in groups for parameter in group["Parameters"]), name)


class Deployment(unittest.TestCase):
    def test_the_outputs_of_one_are_the_parameters_of_the_other(self):
        network, broker = (cloudformation.load(name) for name in ("network", "broker"))
        for output, definition in network["Outputs"].items():
            if "Parameter " in definition["Description"]:
                self.assertIn(output, broker["Parameters"], output)
        for name in (*world.ENDPOINTS, "SecurityGroupIds", "SageMakerEndpointUrl", "StsEndpointUrl"):
            self.assertIn(name, network["Outputs"])
        for output in ("SageMakerEndpointUrl", "StsEndpointUrl"):
            # The very value has to pass the other's pattern.
            cloudformation.check_parameter(output, broker["Parameters"][output], world.deployed().network.outputs[output])

    def test_what_private_dns_leaves_out_is_made_up_for(self):
        network = Stack(cloudformation.load("network"), world.NETWORK | {"PrivateDns": "false"}, facts=world.FACTS)
        names = {record["Name"]: record["AliasTarget"]["DNSName"] for record in network.of_type("AWS::Route53::RecordSet").values()}
        expected = {
            f"*.studio.{REGION}.sagemaker.aws": "Studio",
            f"*.notebook.{REGION}.sagemaker.aws": "Notebook",
            f"*.{REGION}.experiments.sagemaker.aws": "MlflowServer",
            f"{REGION}.experiments.sagemaker.aws": "MlflowServer",
            f"*.mlflow.sagemaker.{REGION}.app.aws": "MlflowApp",
            f"mlflow.sagemaker.{REGION}.app.aws": "MlflowApp",
            f"*.partner-app.{REGION}.sagemaker.aws": "PartnerApp",
        }
        self.assertEqual({name: target.split("-abcd.")[0] for name, target in names.items()}, {name: network.reference(endpoint) for name, endpoint in expected.items()})
        zones = {zone["Name"] for zone in network.of_type("AWS::Route53::HostedZone").values()}
        self.assertEqual(zones, {name.removeprefix("*.") for name in expected})
        # And the names are those that operators are told to forward.
        document = read("docs/deploy.md")
        for name in expected:
            if name.startswith("*."):
                self.assertIn(f"`{name.replace(REGION, '<region>')}`", document)
        self.assertEqual({}, world.deployed().network.of_type("AWS::Route53::HostedZone"))
        dns = {name: endpoint.get("PrivateDnsEnabled") for name, endpoint in network.of_type("AWS::EC2::VPCEndpoint").items()}
        interfaces = ("ExecuteApi", "SageMakerApi", "Studio", "Notebook", "MlflowServer", "MlflowApp", "PartnerApp", "Sts")
        self.assertEqual(dns, dict.fromkeys(interfaces, "false") | {"DynamoDb": None})

    def test_the_endpoints_of_apps_are_made_on_request(self):
        apps = ("MlflowServer", "MlflowApp", "PartnerApp")
        plain = {name: value for name, value in world.NETWORK.items() if value != "create"}
        self.assertNotIn("AppEndpointIds", Stack(cloudformation.load("network"), plain, facts=world.FACTS).outputs)
        for wanted in (apps[:1], apps[1:2], apps[2:], apps[:2], apps):
            with self.subTest(wanted):
                network = Stack(cloudformation.load("network"), plain | {f"{name}Endpoint": "create" for name in wanted}, facts=world.FACTS)
                self.assertEqual(network.outputs["AppEndpointIds"].split(","), [network.reference(name) for name in wanted])
        services = {name: world.deployed().network.resources[name]["Properties"]["ServiceName"] for name in apps}
        self.assertEqual(services, {name: f"aws.sagemaker.{REGION}.{service}" for name, service in zip(apps, ("experiments", "mlflow", "partner-app"), strict=True)})

    def test_what_is_there_already_is_not_made(self):
        switches = [name for name, parameter in cloudformation.load("network")["Parameters"].items() if parameter.get("AllowedValues") == ["create", "existing"]]
        self.assertEqual(len(switches), 10)
        network = Stack(cloudformation.load("network"), world.NETWORK | dict.fromkeys(switches, "existing"), facts=world.FACTS)
        self.assertEqual({}, network.of_type("AWS::EC2::VPCEndpoint"))
        self.assertEqual(set(network.outputs), {"SecurityGroupIds", "ServiceSecurityGroupId"})

    def test_policies_fit(self):
        """IAM User Guide, "IAM and AWS STS quotas"; Organizations, "Quotas": white space counts in neither."""
        limits = {"identity": 10240, "scp": 5120, "resource": 20480}
        for where, kind, document in world.deployed().policies():
            self.assertLess(len(json.dumps(document, separators=(",", ":"))), limits[kind] / 2, where)

    def test_the_functions_variables(self):
        function = world.deployed().broker.resources["BrokerFunction"]["Properties"]
        variables = function["Environment"]["Variables"]
        source = read("functions/broker/src/config.rs")
        known = set(re.findall(r'"(LATCHKEY_[A-Z_]+)"', source[source.index("pub const VARIABLES") : source.index("/// Says in the log")]))
        # The deployment in world.py makes profiles. One that does not has neither of them.
        provisioning = {"LATCHKEY_PROVISION_ROLE_ARN", "LATCHKEY_PROVISION_EXTERNAL_ID"}
        self.assertEqual(known, {name for name in variables if name.startswith("LATCHKEY_")})
        plain = Stack(cloudformation.load("broker"), Parameters.GOOD["broker"]() | {"ProvisionExecutionRoleArns": ""}, facts=world.FACTS)
        self.assertEqual(set(variables) - set(plain.resources["BrokerFunction"]["Properties"]["Environment"]["Variables"]), provisioning)
        self.assertNotIn("ProvisioningRole", plain.resources)
        self.assertNotIn("ProvisioningRoleArn", plain.outputs)
        self.assertNotIn("latchkey-provisioning", json.dumps(plain.resources["BrokerRole"]).replace(f"{world.WORKLOAD_ACCOUNT}:role/latchkey-provisioning", ""))
        self.assertEqual({name for name in variables if not name.startswith("LATCHKEY_")}, {f"AWS_ENDPOINT_URL_{name}" for name in ("DYNAMODB", "SAGEMAKER", "STS")})
        self.assertTrue(all(isinstance(value, (str, int)) for value in variables.values()))
        refresher = world.deployed().broker.resources["RefresherFunction"]["Properties"]["Environment"]["Variables"]
        own = set(re.findall(r'"(LATCHKEY_[A-Z_]+)"', read("functions/jwks-refresher/src/config.rs").split("#[cfg(test)]")[0]))
        self.assertEqual(own, {name for name in refresher if name.startswith("LATCHKEY_")})
        for name in own:
            self.assertEqual(refresher[name], variables[name], name)
        # Lambda: 4 KB for all of them together.
        issuers = cloudformation.load("broker")["Parameters"]["Issuers"]["MaxLength"]
        self.assertLess(sum(len(name) + len(str(value)) for name, value in variables.items()) - len(variables["LATCHKEY_ISSUERS"]) + issuers, 4096)
        self.assertEqual(variables["LATCHKEY_VPC_ENDPOINT_IDS"], world.deployed().network.outputs["ExecuteApiEndpointIds"])

    def test_defaults_are_the_functions_own(self):
        """But for the posture gate, which looks at targets unless it is told not to."""
        parameters = cloudformation.load("broker")["Parameters"]
        defaults = {name: str(parameters[name]["Default"]) for name in ("UrlSeconds", "SessionSeconds", "SessionScope", "RateLimit", "Replay", "LogLevel")}
        self.assertEqual(defaults, {"UrlSeconds": "30", "SessionSeconds": "28800", "SessionScope": "user", "RateLimit": "20/60", "Replay": "off", "LogLevel": "info"})
        self.assertEqual(parameters["Posture"]["Default"], "report")

    def test_a_regions_and_a_methods_alternatives_hold_together(self):
        for more in (
            {"SessionScope": "role"},
            {"Posture": "off"},
            {"StudioDomainIds": ""},
            {"NotebookInstanceNames": "", "NotebookEndpointIds": ""},
            {"MlflowTrackingServerNames": "", "MlflowAppIds": "", "PartnerAppIds": "", "AppEndpointIds": ""},
            {"MlflowAppIds": "", "PartnerAppIds": ""},
            {"AppEndpointIds": "", "NetworkMethod": "vpc"},
            {"ProvisionExecutionRoleArns": "", "ProvisionSecurityGroupIds": ""},
            {"ProvisionSecurityGroupIds": ""},
            {"WorkloadRoleArns": ""},
            {"RefreshKeys": "false"},
            {"ReservedConcurrency": "0"},
            {"ApiGatewayLogRole": "create", "AlarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"},
            {"NetworkMethod": "vpc", "OtherVpcIds": world.OTHER_VPC},
            {"NetworkMethod": "address", "AddressRanges": world.OFFICE},
        ):
            with self.subTest(**more):
                stack = Stack(cloudformation.load("broker"), Parameters.GOOD["broker"]() | more, facts=world.FACTS)
                for name, role in stack.of_type("AWS::IAM::Role").items():
                    for policy in role.get("Policies", []):
                        self.assertNotIn('""', json.dumps(policy), "an empty name in a list")
                        Linters().excused(f"broker: {name}, {policy['PolicyName']}", policy["PolicyDocument"])

    def test_each_kind_by_itself_is_enough(self):
        """And the issuing role has actions for the kinds that are on, and no other."""
        kinds = {
            "StudioDomainIds": ("d-research12345", {"OpenStudio", "LookAtStudio"}),
            "NotebookInstanceNames": ("research-*", {"OpenNotebooks"}),
            "MlflowTrackingServerNames": ("research-*", {"OpenMlflowServers"}),
            "MlflowAppIds": (world.MLFLOW_APP, {"OpenMlflowApps"}),
            "PartnerAppIds": (world.PARTNER_APP, {"OpenPartnerApps"}),
        }
        off = Parameters.NOTHING | {"ProvisionExecutionRoleArns": ""}
        for parameter, (value, sids) in kinds.items():
            for template, more in (("broker", {"WorkloadRoleArns": ""}), ("workload", {})):
                with self.subTest(template, parameter=parameter):
                    stack = Stack(cloudformation.load(template), Parameters.GOOD[template]() | off | more | {parameter: value}, facts=world.FACTS)
                    self.assertNotIn("ProvisioningRole", stack.resources)
                    (policy,) = stack.resources["IssuingRole"]["Properties"]["Policies"]
                    self.assertEqual({statement["Sid"] for statement in policy["PolicyDocument"]["Statement"]}, sids | {"OnlyFromOurNetwork"})
                    plain = Stack(cloudformation.load(template), Parameters.GOOD[template]() | off | more | {parameter: value, "Posture": "off"}, facts=world.FACTS)
                    (policy,) = plain.resources["IssuingRole"]["Properties"]["Policies"]
                    states = [action for statement in policy["PolicyDocument"]["Statement"] for action in statement["Action"] if action.startswith("sagemaker:Describe")]
                    self.assertEqual(len(states), 1, "the state, whatever the posture")


class Api(unittest.TestCase):
    """The API of the template beside openapi.yaml, which the service is held to."""

    @functools.cached_property
    def described(self):
        return yaml.safe_load(read("openapi.yaml"))

    @functools.cached_property
    def deployed(self):
        return world.deployed().broker.resources["BrokerApi"]["Properties"]["Body"]

    def test_the_operations_are_the_same(self):
        def operations(paths):
            return {(path, method) for path, methods in paths.items() for method in methods if method in ("get", "post", "put", "patch", "delete", "head", "options")}

        self.assertEqual(operations(self.described["paths"]), operations(self.deployed["paths"]))

    def test_whatever_is_asked_reaches_the_function(self):
        for path in (*self.described["paths"], "/", "/{proxy+}"):
            self.assertIn("x-amazon-apigateway-any-method", self.deployed["paths"][path], path)
        for path, methods in self.deployed["paths"].items():
            for method, operation in methods.items():
                integration = operation["x-amazon-apigateway-integration"]
                self.assertEqual((integration["type"], integration["httpMethod"]), ("aws_proxy", "POST"), f"{method} {path}")
                self.assertIn(":function:latchkey-broker/invocations", integration["uri"])
                # A second way to say who somebody is would be one too many.
                self.assertFalse({"security", "x-amazon-apigateway-auth"} & set(operation))

    def test_the_gateway_refuses_no_body_that_the_function_takes(self):
        operation = self.deployed["paths"]["/presigned-urls"]["post"]
        validator = self.deployed["x-amazon-apigateway-request-validators"][operation["x-amazon-apigateway-request-validator"]]
        # Headers are not its business: no token is 401, with its audit record, and not 400.
        self.assertEqual(validator, {"validateRequestBody": True, "validateRequestParameters": False})
        gateway = jsonschema.Draft4Validator(self.deployed["components"]["schemas"]["Wish"])
        function = jsonschema.Draft202012Validator({**self.described["components"]["schemas"]["Wish"], "components": self.described["components"]})
        names = ["research", "a", "A.b-c_9", "x" * 64, None, "", "x" * 65, "../x", "a b", ".a", "ü", "a\n"]
        bodies = [{}, {"target": 1}, {"domain_id": "d-x"}, [], "x", 1, None]
        bodies += [{"target": name} for name in names] + [{"landing": name} for name in names] + [{"target": "a", "landing": name} for name in names]
        taken = [body for body in bodies if function.is_valid(body)]
        self.assertGreater(len(taken), 12)
        # An empty body is {} to API Gateway.
        for body in taken:
            self.assertTrue(gateway.is_valid(body), body)
        for body in ({"domain_id": "d-x"}, {"target": "../x"}, [], "x", {"landing": "a b"}):
            self.assertFalse(gateway.is_valid(body), body)

    def test_what_the_gateway_answers_is_described(self):
        """On each operation: the code of each of its answers, at its status. And no status is said to be its own that it never has."""
        answers = collections.defaultdict(set)
        for kind, response in self.deployed["x-amazon-apigateway-gateway-responses"].items():
            # The paths of the template leave it none without a route, but for a path that is not described.
            if kind != "MISSING_AUTHENTICATION_TOKEN":
                answers[response["statusCode"]].add(json.loads(response["responseTemplates"]["application/json"])["code"])
        components = self.described["components"]["responses"]
        for path, methods in self.described["paths"].items():
            for method, operation in methods.items():
                with self.subTest(f"{method} {path}"):
                    for status, codes in answers.items():
                        described = components[operation["responses"][status]["$ref"].rpartition("/")[2]]
                        code = described["content"]["application/problem+json"]["schema"]["properties"]["code"]
                        self.assertLessEqual(codes, set(code.get("enum", [code.get("const")])), status)
                    self.assertLessEqual({str(status) for status in operation.get("x-gateway-alone", [])}, set(answers))

    def test_what_the_gateway_says_is_what_the_function_would(self):
        """The very bodies of openapi.yaml's examples."""
        examples = {}
        for response in self.described["components"]["responses"].values():
            for content in response.get("content", {}).values():
                for example in content.get("examples", {}).values():
                    value = example["value"]
                    examples[value.get("code")] = {key: part for key, part in value.items() if key not in ("request_id", "state")}
        responses = self.deployed["x-amazon-apigateway-gateway-responses"]
        self.assertLessEqual({"BAD_REQUEST_BODY", "ACCESS_DENIED", "THROTTLED", "DEFAULT_4XX", "DEFAULT_5XX"}, set(responses))
        for kind, response in responses.items():
            with self.subTest(kind):
                body = json.loads(response["responseTemplates"]["application/json"])
                self.assertEqual(body.pop("request_id"), "$context.requestId")
                self.assertEqual(body, examples[body["code"]])
                self.assertEqual(str(body["status"]), response["statusCode"])
                headers = {name.removeprefix("gatewayresponse.header."): value for name, value in response["responseParameters"].items()}
                expected = {
                    "Content-Type": "'application/problem+json'",
                    "Cache-Control": "'no-store'",
                    "Referrer-Policy": "'no-referrer'",
                    "X-Content-Type-Options": "'nosniff'",
                    "X-Request-Id": "context.requestId",
                }
                if body["code"] in ("rate-limited", "unavailable"):
                    self.assertRegex(headers.pop("Retry-After", ""), r"^'[1-9][0-9]*'$")
                self.assertEqual(headers, expected)


def cloudtrail(name, identity, **detail):
    """An event as EventBridge has it of CloudTrail (CloudTrail User Guide, "CloudTrail record contents")."""
    return {
        "version": "0",
        "source": "aws.sagemaker",
        "detail-type": "AWS API Call via CloudTrail",
        "account": ACCOUNT,
        "region": REGION,
        "detail": {"eventSource": "sagemaker.amazonaws.com", "eventName": name, "userIdentity": identity, **detail},
    }


def assumed(role):
    return {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/x/y", "sessionContext": {"sessionIssuer": {"type": "Role", "arn": role}}}


class Guardrails(unittest.TestCase):
    USER = {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/mallory", "userName": "mallory"}
    ISSUING = assumed(f"arn:aws:iam::{ACCOUNT}:role/latchkey-issuing")
    ADMIN = assumed(f"arn:aws:iam::{ACCOUNT}:role/admin")

    def matches(self, rule, events):
        pattern = world.deployed().guardrails.resources[rule]["Properties"]["EventPattern"]
        done = subprocess.run(
            [world.tools() / "python" / "bin" / "python", pathlib.Path(__file__).with_name("match_events.py")],
            input=json.dumps({"pattern": pattern, "events": events}),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60,
        )
        return json.loads(done.stdout)

    def test_urls_that_are_made_elsewhere_are_told(self):
        cases = [
            (cloudtrail("CreatePresignedDomainUrl", self.ISSUING), False, "the broker"),
            (cloudtrail("CreatePresignedNotebookInstanceUrl", self.ISSUING), False, "the broker"),
            (cloudtrail("CreatePresignedDomainUrl", self.ADMIN), True, "a role"),
            (cloudtrail("CreatePresignedDomainUrl", self.USER), True, "a user, who has no session issuer"),
            (cloudtrail("CreatePresignedNotebookInstanceUrl", {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root"}), True, "the root user"),
            (cloudtrail("CreatePresignedMlflowTrackingServerUrl", self.ADMIN), True, "MLflow"),
            (cloudtrail("CreatePresignedMlflowAppUrl", self.ADMIN), True, "MLflow applications"),
            (cloudtrail("CreatePartnerAppPresignedUrl", self.ADMIN), True, "partner applications"),
            (cloudtrail("CreatePresignedDomainUrl", self.ADMIN, errorCode="AccessDenied"), True, "a try that was refused"),
            (cloudtrail("CreatePresignedDomainUrl", assumed(f"arn:aws:iam::{ACCOUNT}:role/latchkey-provisioning")), True, "the provisioning role, which opens nothing"),
            (cloudtrail("DescribeDomain", self.ADMIN), False, "something else"),
            (cloudtrail("CreatePresignedDomainUrl", self.ADMIN) | {"source": "aws.s3"}, False, "another service"),
        ]
        answers = self.matches("PresignedElsewhere", [event for event, _, _ in cases])
        self.assertEqual([(what, matched) for _, matched, what in cases], [(what, answer) for (_, _, what), answer in zip(cases, answers, strict=True)])

    def test_tags_that_say_whose_a_profile_is_are_told(self):
        provisioning = assumed(f"arn:aws:iam::{ACCOUNT}:role/latchkey-provisioning")
        tags = [{"key": "team", "value": "x"}, {"key": "latchkey:subject", "value": "alice"}]
        profile = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/{world.DOMAIN}/bob"

        def change(name, identity, **parameters):
            return cloudtrail(name, identity, requestParameters=parameters)

        cases = [
            (change("CreateUserProfile", provisioning, tags=tags), False, "the broker"),
            (change("CreateUserProfile", self.ADMIN, tags=tags), True, "a profile that says it is Alice's"),
            (change("CreateUserProfile", self.ISSUING, tags=tags), True, "the issuing role makes none"),
            (change("AddTags", self.ADMIN, resourceArn=profile, tags=tags), True, "a profile handed to Alice"),
            (change("AddTags", self.USER, resourceArn=profile, tags=tags[1:]), True, "by a user, who has no session issuer"),
            (change("AddTags", self.ADMIN, resourceArn=profile, tags=[{"key": "latchkey:issuer", "value": "okta"}]), True, "the issuer"),
            (change("DeleteTags", self.ADMIN, resourceArn=profile, tagKeys=["team", "latchkey:subject"]), True, "a profile taken from Alice"),
            (change("AddTags", assumed(f"arn:aws:iam::{world.WORKLOAD_ACCOUNT}:role/latchkey-provisioning"), tags=tags), True, "another account's role"),
            (cloudtrail("AddTags", self.ADMIN, requestParameters={"tags": tags}, errorCode="AccessDenied"), True, "a try that was refused"),
            (change("AddTags", self.ADMIN, tags=tags[:1]), False, "another tag"),
            (change("DeleteTags", self.ADMIN, tagKeys=["team"]), False, "another tag, deleted"),
            (change("CreateUserProfile", self.ADMIN, domainId="d-x"), False, "a profile without tags"),
            (change("CreateNotebookInstance", self.ADMIN, tags=tags), False, "nothing that anybody opens by it"),
        ]
        answers = self.matches("ProfileTagged", [event for event, _, _ in cases])
        self.assertEqual([(what, matched) for _, matched, what in cases], [(what, answer) for (_, _, what), answer in zip(cases, answers, strict=True)])

    def test_changes_of_notebook_instances_are_told(self):
        told = [f"{verb}NotebookInstance" for verb in ("Create", "Update", "Start", "Stop", "Delete")]
        told += [f"{verb}NotebookInstanceLifecycleConfig" for verb in ("Create", "Update", "Delete")]
        untold = ["DescribeNotebookInstance", "ListNotebookInstances", "CreatePresignedNotebookInstanceUrl"]
        answers = self.matches("NotebookChanged", [cloudtrail(name, self.ADMIN) for name in told + untold])
        self.assertEqual(answers, [True] * len(told) + [False] * len(untold))


class Document(unittest.TestCase):
    """docs/deploy.md and README.md speak of what there is."""

    def test_what_the_steps_name_is_in_the_templates(self):
        document = read("docs/deploy.md")
        section = document[document.index("## The published pattern") : document.index("## How it is tested")]
        rows = [row for row in section.splitlines() if re.match(r"\| [0-9]+\. ", row)]
        self.assertEqual(len(rows), 11)
        known = {sid for _, _, sid in mutations.named_statements()}
        for name in cloudformation.TEMPLATES:
            template = cloudformation.load(name)
            known |= set(template["Resources"]) | set(template["Parameters"])
        for row in rows:
            here = row.split("|")[2]
            named = re.findall(r"`([A-Za-z0-9]+)`", here)
            self.assertTrue(named or here.strip() == "outside latchkey", row)
            self.assertLessEqual(set(named), known, row)

    def test_every_parameter_that_is_named_exists(self):
        parameters = {parameter for name in cloudformation.TEMPLATES for parameter in cloudformation.load(name)["Parameters"]}
        blocks = re.findall(r"```sh\n(.*?)```", read("docs/deploy.md"), re.DOTALL)
        named = {name for block in blocks if "--parameter-overrides" in block for name in re.findall(r"\b([A-Z][A-Za-z]+)=", block)}
        self.assertGreater(len(named), 15)
        self.assertLessEqual(named, parameters)

    def test_the_counts_are_right(self):
        for path in ("docs/deploy.md", "README.md", "docs/reliability.md"):
            text = " ".join(read(path).split())
            # Not by assertIn, which would print the whole document.
            self.assertTrue(f"{len(cases.CASES)} requests" in text, f"{path} does not say {len(cases.CASES)} requests")
            self.assertTrue(re.search(rf"\b{len(mutations.MUTATIONS)} (changes|ways)", text), f"{path} does not say {len(mutations.MUTATIONS)} changes or ways")


if __name__ == "__main__":
    unittest.main()

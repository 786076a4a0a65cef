"""What the templates have to be besides their policies: each check looks at a deployment and says what is wrong with it."""

import json
import re

import cloudformation

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def findings(world, which=CHECKS):
    return [f"{one.__name__}: {finding}" for one in which for finding in one(world)]


def as_list(value):
    return value if isinstance(value, list) else [value]


def statements(world):
    for where, kind, document in world.policies():
        for statement in as_list(document["Statement"]):
            yield where, kind, statement


def operators(statement):
    return list(statement.get("Condition", {}))


@check
def an_allow_does_not_rest_on_an_absent_key(world):
    """…IfExists, ForAllValues and negated operators are true when there is no such key: the second beside a ForAnyValue alone."""
    for where, _, statement in statements(world):
        condition = statement.get("Condition", {})
        for operator in operators(statement):
            if operator.startswith("ForAllValues") and condition[operator] == condition.get(operator.replace("ForAllValues", "ForAnyValue")):
                continue
            passes = operator.endswith("IfExists") or operator.startswith("ForAllValues") or "Not" in operator
            if statement["Effect"] == "Allow" and passes:
                yield f"{where}: an Allow rests on {operator}"


@check
def a_deny_holds_for_an_absent_key(world):
    """
    `Null` is the exception, beside a statement for the other half, and so are these statements: ArnEquals names our own function, and
    a request without the key is none that the statement is about.
    """
    exceptions = ("NoNetworkInterfacesForTheCode", "ProfilesStayWhoseTheyAre")
    for where, _, statement in statements(world):
        if statement["Effect"] == "Deny":
            for operator in operators(statement):
                if "Not" not in operator and operator != "Null" and statement.get("Sid") not in exceptions:
                    yield f"{where}: a Deny rests on {operator}, which an absent key escapes"


@check
def nobody_in_particular_is_let_in_with_a_condition_only(world):
    """Principal * without a condition is for what knows no principals: the API and the endpoints' policies that say which resource."""
    for where, kind, statement in statements(world):
        if kind == "resource" and statement["Effect"] == "Allow" and statement.get("Principal") in ("*", {"AWS": "*"}):
            if "Condition" not in statement and as_list(statement.get("Resource")) == ["*"]:
                yield f"{where}: {statement.get('Sid')} lets anybody at anything"


@check
def no_action_is_a_wildcard_in_an_allow(world):
    """But for what goes on inside of MLflow, on servers and apps that are named."""
    for where, _, statement in statements(world):
        for action in as_list(statement.get("Action", [])):
            mlflow = action == "sagemaker-mlflow:*" and all(":mlflow-" in resource for resource in as_list(statement["Resource"]))
            if statement["Effect"] == "Allow" and "*" in action and not action.startswith("kms:") and not mlflow:
                yield f"{where}: {action}"


@check
def the_function_has_no_action_of_sagemakers(world):
    for name, document in world.identity("broker", "BrokerRole").items():
        for statement in document["Statement"]:
            for action in as_list(statement["Action"]):
                if statement["Effect"] == "Allow" and (action == "*" or action.lower().startswith("sagemaker:")):
                    yield f"{name}: {action}"
    if world.role("broker", "BrokerRole").get("ManagedPolicyArns"):
        yield "managed policies, whose content AWS may change"


@check
def the_api_is_private(world):
    api = world.broker.resources["BrokerApi"]["Properties"]
    if api.get("EndpointConfiguration", {}).get("Types") != ["PRIVATE"]:
        yield f"endpoint configuration {api.get('EndpointConfiguration')}"
    if api.get("EndpointConfiguration", {}).get("VpcEndpointIds") != world.broker.parameters["ExecuteApiEndpointIds"]:
        yield "it is not associated with the endpoints"
    if "x-amazon-apigateway-policy" not in api["Body"]:
        yield "no resource policy"


@check
def there_is_one_door(world):
    stages = {stage["StageName"] for stage in world.broker.of_type("AWS::ApiGateway::Stage").values()}
    stages |= {one["StageName"] for one in world.broker.of_type("AWS::ApiGateway::Deployment").values() if "StageName" in one}
    if stages != {"v1"}:
        yield f"stages {sorted(stages)}"
    for stack in world.stacks.values():
        for kind in ("AWS::Lambda::Url", "AWS::ApiGatewayV2::Api", "AWS::Lambda::EventSourceMapping", "AWS::ElasticLoadBalancingV2::LoadBalancer"):
            for name in stack.of_type(kind):
                yield f"{name} is {kind}"
    permissions = {name: one for name, one in world.broker.of_type("AWS::Lambda::Permission").items() if one["FunctionName"] == "latchkey-broker"}
    if list(permissions) != ["BrokerPermission"]:
        yield f"permissions {sorted(permissions)}"
    for name, permission in permissions.items():
        if not permission.get("SourceArn", "").endswith(":a1b2c3d4e5/v1/*"):
            yield f"{name} is not for stage v1 of this API alone"


@check
def the_function_is_inside(world):
    function = world.broker.resources["BrokerFunction"]["Properties"]
    if function.get("VpcConfig") != {"SubnetIds": world.broker.parameters["SubnetIds"], "SecurityGroupIds": world.broker.parameters["SecurityGroupIds"]}:
        yield f"VpcConfig {function.get('VpcConfig')}"
    if not isinstance(function.get("ReservedConcurrentExecutions"), (int, str)):
        yield "no reserved concurrency"
    if function.get("TracingConfig") != {"Mode": "Active"}:
        yield "no tracing"


@check
def the_refresher_is_outside_and_on_a_schedule(world):
    refresher = world.broker.resources["RefresherFunction"]["Properties"]
    if "VpcConfig" in refresher:
        yield "it is in the VPC, where there is no way to an issuer"
    (rule,) = world.broker.of_type("AWS::Events::Rule").values()
    # With the broker's 4 minutes, a withdrawn key stops within 10.
    if rule["ScheduleExpression"] != "rate(5 minutes)":
        yield f"schedule {rule['ScheduleExpression']}"
    if not all("DeadLetterConfig" in target and "RetryPolicy" in target for target in rule["Targets"]):
        yield "no retries or no dead-letter queue"
    if [target["Arn"] for target in rule["Targets"]] != [world.broker.attribute("RefresherFunction", "Arn")]:
        yield "the schedule is for something else"


@check
def nobody_reaches_more_than_they_need(world):
    for name, group in world.network.of_type("AWS::EC2::SecurityGroup").items():
        for rule in group.get("SecurityGroupIngress", []):
            if "CidrIp" in rule or "CidrIpv6" in rule:
                yield f"{name}: from {rule.get('CidrIp') or rule.get('CidrIpv6')}"
        if not group.get("SecurityGroupEgress"):
            yield f"{name}: a way out to anywhere, which is what a group without a rule has"
        for rule in group.get("SecurityGroupEgress", []):
            if rule.get("CidrIp", "127.0.0.1/32") != "127.0.0.1/32":
                yield f"{name}: a way out to {rule['CidrIp']}"


@check
def every_endpoint_has_a_policy(world):
    for name, endpoint in world.network.of_type("AWS::EC2::VPCEndpoint").items():
        if "PolicyDocument" not in endpoint:
            yield name


@check
def the_log_of_requests_holds_no_secret(world):
    stage = world.broker.resources["BrokerApiv1Stage"]["Properties"]
    said = set(re.findall(r"\$[a-zA-Z_.]+", stage["AccessLogSetting"]["Format"]))
    known = {
        "$context.requestTime",
        "$context.requestId",
        "$context.httpMethod",
        "$context.path",
        "$context.resourcePath",
        "$context.status",
        "$context.error.responseType",
        "$context.identity.vpceId",
        "$context.identity.sourceIp",
        "$context.responseLatency",
        "$context.integrationLatency",
    }
    if said != known:
        yield f"it has {sorted(said - known)} and lacks {sorted(known - said)}"
    json.loads(re.sub(r"\$[a-zA-Z_.]+", "x", stage["AccessLogSetting"]["Format"]))
    for setting in stage["MethodSettings"]:
        if setting.get("DataTraceEnabled") is not False or setting.get("LoggingLevel") != "OFF":
            yield "an execution log would hold requests and answers"
        if not setting.get("ThrottlingRateLimit") or not setting.get("ThrottlingBurstLimit"):
            yield "no throttling"
    if stage.get("TracingEnabled") is not True:
        yield "no tracing"


@check
def logs_are_kept_and_encrypted(world):
    for name, group in world.broker.of_type("AWS::Logs::LogGroup").items():
        if not group.get("RetentionInDays") or "KmsKeyId" not in group:
            yield f"{name}: {group}"
        if world.broker.template["Resources"][name].get("DeletionPolicy") != "RetainExceptOnCreate":
            yield f"{name} goes with the stack"


@check
def the_table_is_kept_and_encrypted(world):
    table = world.broker.resources["Table"]["Properties"]
    expected = {
        "BillingMode": "PAY_PER_REQUEST",
        "DeletionProtectionEnabled": True,
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    }
    for name, value in expected.items():
        if table.get(name) != value:
            yield f"{name} is {table.get(name)}"
    if table.get("SSESpecification", {}).get("SSEType") != "KMS" or "KMSMasterKeyId" not in table["SSESpecification"]:
        yield "no customer key"
    if world.broker.template["Resources"]["Table"].get("DeletionPolicy") != "Retain":
        yield "it goes with the stack"


def network_of(role):
    """The network of a role with NetworkMethod vpc."""
    (statement,) = (one for one in role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"] if one.get("Sid") == "OnlyFromOurNetwork")
    return statement["Condition"]["StringNotEquals"]["Fn::If"][1]


@check
def the_roles_of_both_templates_say_the_same(world):
    """The roles of template.yaml and those of deploy/workload-account.yaml, but for names and accounts."""
    for name in ("IssuingRole", "ProvisioningRole"):
        broker, workload = (world.stacks[stack].template["Resources"][name] for stack in ("broker", "workload"))
        vpcs = network_of(cloudformation.load("broker")["Resources"][name])
        same = json.dumps(broker, sort_keys=True)
        renamed = json.dumps(workload, sort_keys=True)
        renamed = renamed.replace('{"aws:SourceVpc": {"Ref": "VpcIds"}}', json.dumps(vpcs, sort_keys=True))
        renamed = renamed.replace('{"Ref": "BrokerRoleArn"}', '{"Fn::GetAtt": ["BrokerRole", "Arn"]}').replace('{"Ref": "ExternalId"}', '{"Ref": "IssuingRoleExternalId"}')
        if same != renamed:
            yield f"{name} differs"


@check
def the_provisioning_role_opens_and_ends_nothing(world):
    for stack in ("broker", "workload"):
        for name, document in world.identity(stack, "ProvisioningRole").items():
            allowed = {action for statement in document["Statement"] if statement["Effect"] == "Allow" for action in as_list(statement["Action"])}
            expected = {"sagemaker:CreateUserProfile", "sagemaker:AddTags", "sagemaker:DescribeUserProfile", "sagemaker:ListTags", "iam:PassRole"}
            if allowed != expected:
                yield f"{stack}, {name}: {sorted(allowed ^ expected)}"


@check
def names_that_others_count_on_are_the_roles_own(world):
    """The function is given the provisioning role's ARN by name, and the guardrails pass over that name."""
    variables = world.broker.resources["BrokerFunction"]["Properties"]["Environment"]["Variables"]
    arn = world.broker.attribute("ProvisioningRole", "Arn")
    if variables.get("LATCHKEY_PROVISION_ROLE_ARN") != arn:
        yield f"LATCHKEY_PROVISION_ROLE_ARN is {variables.get('LATCHKEY_PROVISION_ROLE_ARN')}"
    if variables.get("LATCHKEY_PROVISION_EXTERNAL_ID") != world.broker.parameters["IssuingRoleExternalId"]:
        yield "LATCHKEY_PROVISION_EXTERNAL_ID is not what the role's trust asks for"
    taken_on = [one for one in world.identity("broker", "BrokerRole")["broker"]["Statement"] if one.get("Sid") == "TakeOnIssuingRoles"]
    # Within an account, the role's trust would do. An explicit list is what says which roles the function has.
    if taken_on and arn not in taken_on[0]["Resource"]:
        yield f"TakeOnIssuingRoles does not name {arn}"
    if arn not in json.dumps(world.guardrails.resources["ProfileTagged"]["Properties"]["EventPattern"]):
        yield f"ProfileTagged does not know {arn}"


@check
def guardrails_are_there(world):
    rules = {rule["Source"]["SourceIdentifier"] for rule in world.guardrails.of_type("AWS::Config::ConfigRule").values()}
    expected = {
        "SAGEMAKER_NOTEBOOK_NO_DIRECT_INTERNET_ACCESS",
        "SAGEMAKER_NOTEBOOK_INSTANCE_KMS_KEY_CONFIGURED",
        "SAGEMAKER_ENDPOINT_CONFIGURATION_KMS_KEY_CONFIGURED",
    }
    if rules != expected:
        yield f"Config rules {sorted(rules)}"
    if not all(topic.get("KmsMasterKeyId") for topic in world.guardrails.of_type("AWS::SNS::Topic").values()):
        yield "the topic is not encrypted"


# Metrics of the functions' own, as they are written.
EMF = [cloudformation.ROOT / "shared" / "telemetry" / "src" / name for name in ("emf.rs", "keys.rs")]


@check
def alarms_watch_metrics_that_exist(world):
    written = {name for path in EMF for name in re.findall(r'"([A-Z][A-Za-z]+)"', path.read_text(encoding="utf-8"))}
    alarms = world.broker.of_type("AWS::CloudWatch::Alarm")
    watched = {(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms.values()}
    expected = {("AWS/ApiGateway", "5XXError"), ("AWS/ApiGateway", "Latency"), ("AWS/Lambda", "Errors"), ("AWS/Lambda", "Throttles"), ("latchkey", "Denied"), ("latchkey", "KeyAge"), ("latchkey", "KeyRefreshFailed"), ("latchkey", "KeysRefreshed")}
    if watched != expected:
        yield f"alarms for {sorted(watched ^ expected)}"
    dashboard = json.loads(world.broker.resources["Dashboard"]["Properties"]["DashboardBody"])
    own = {name for namespace, name in watched if namespace == "latchkey"}
    for widget in dashboard["widgets"]:
        namespace = None
        for metric in widget["properties"].get("metrics", []):
            if isinstance(metric[0], str):
                namespace = metric[0] if metric[0] not in (".", "...") else namespace
                if namespace == "latchkey":
                    own.add(metric[1])
    for name in own - written:
        yield f"the function writes no metric {name}"

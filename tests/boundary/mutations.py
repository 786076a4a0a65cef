"""Changes to the templates that would weaken the boundary. Every one has to be noticed, by a case of the matrix or by a check."""

import concurrent.futures
import os

import cases
import checks
import cloudformation
from world import World

MUTATIONS = []


def mutation(what):
    def add(function):
        MUTATIONS.append((what, function))
        return function

    return add


def properties(templates, template, resource):
    return templates[template]["Resources"][resource]["Properties"]


def statement(templates, template, resource, sid):
    """The statement of that name in any policy of a resource, through Fn::If."""

    def search(value):
        if isinstance(value, dict):
            if value.get("Sid") == sid:
                return value
            value = list(value.values())
        if isinstance(value, list):
            for part in value:
                if (found := search(part)) is not None:
                    return found
        return None

    found = search(properties(templates, template, resource))
    assert found is not None, f"{template}: {resource} has no statement {sid}"
    return found


def remove_statement(templates, template, resource, sid):
    doomed = statement(templates, template, resource, sid)

    def prune(value):
        if isinstance(value, dict):
            return {key: prune(part) for key, part in value.items()}
        if isinstance(value, list):
            return [{"Ref": "AWS::NoValue"} if part is doomed else prune(part) for part in value]
        return value

    templates[template]["Resources"][resource]["Properties"] = prune(properties(templates, template, resource))


def rename(mapping, old, new):
    mapping[new] = mapping.pop(old)


def endpoints_of(templates, template="broker"):
    """The list of endpoints in the condition of the issuing role."""
    condition = statement(templates, template, "IssuingRole", "OnlyFromOurNetwork")["Condition"]["StringNotEquals"]
    return condition["Fn::If"][2]["aws:SourceVpce"]["Fn::Split"][1]["Fn::Join"][1]


@mutation("issuing role: the network condition is dropped")
def _(t):
    del statement(t, "broker", "IssuingRole", "OnlyFromOurNetwork")["Condition"]


@mutation("issuing role: the network condition becomes an Allow of its own, as in the public samples")
def _(t):
    one = statement(t, "broker", "IssuingRole", "OnlyFromOurNetwork")
    one["Effect"] = "Allow"
    rename(one["Condition"], "StringNotEquals", "StringEquals")


@mutation("issuing role: StringNotEquals becomes StringEquals in the Deny")
def _(t):
    rename(statement(t, "broker", "IssuingRole", "OnlyFromOurNetwork")["Condition"], "StringNotEquals", "StringEquals")


@mutation("issuing role: the network condition asks for no endpoint only when there is one (Null)")
def _(t):
    statement(t, "broker", "IssuingRole", "OnlyFromOurNetwork")["Condition"]["Null"] = {"aws:SourceVpce": "false"}


@mutation("issuing role: the sagemaker.api endpoint is not in the list")
def _(t):
    del endpoints_of(t)[0]


@mutation("issuing role: the Studio endpoint is not in the list")
def _(t):
    del endpoints_of(t)[1]


@mutation("issuing role: the notebook endpoint is not in the list")
def _(t):
    del endpoints_of(t)[2]


@mutation("issuing role: the endpoints of MLflow and partner apps are not in the list")
def _(t):
    del endpoints_of(t)[3]


@mutation("issuing role: aws:SourceVpc instead of aws:SourceVpce")
def _(t):
    condition = statement(t, "broker", "IssuingRole", "OnlyFromOurNetwork")["Condition"]["StringNotEquals"]
    condition["Fn::If"][2] = condition["Fn::If"][1]


@mutation("issuing role: every profile of every domain")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenStudio")["Resource"] = "arn:*:sagemaker:*:*:user-profile/*"


@mutation("issuing role: a domain whose id begins alike")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenStudio")["Resource"]["Fn::Split"][1]["Fn::Sub"][0] = "arn:*:sagemaker:*:*:user-profile/${Domains}*/*"


@mutation("issuing role: every notebook instance")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenNotebooks")["Resource"] = "*"


@mutation("issuing role: every MLflow tracking server")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenMlflowServers")["Resource"] = "arn:*:sagemaker:*:*:mlflow-tracking-server/*"


@mutation("issuing role: a tracking server whose name begins like a listed one")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenMlflowServers")["Resource"]["Fn::Split"][1]["Fn::Sub"][1]["Names"]["Fn::Join"][0] = "*,arn:*:sagemaker:*:*:mlflow-tracking-server/"


@mutation("issuing role: every MLflow app")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenMlflowApps")["Resource"] = "arn:*:sagemaker:*:*:mlflow-app/*"


@mutation("issuing role: every partner app")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenPartnerApps")["Resource"] = "arn:*:sagemaker:*:*:partner-app/*"


@mutation("issuing role: MLflow's actions on whatever there is")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenMlflowServers")["Resource"] = "*"


@mutation("issuing role: a URL for an MLflow app, and nothing that may be done with it")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenMlflowApps")["Action"].remove("sagemaker:CallMlflowAppApi")


@mutation("issuing role: a URL for a partner app, and nothing that may be done with it")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenPartnerApps")["Action"].remove("sagemaker:CallPartnerAppApi")


@mutation("issuing role: a notebook instance's state is not told")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenNotebooks")["Action"].remove("sagemaker:DescribeNotebookInstance")


@mutation("issuing role: it makes profiles")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenStudio")["Action"].append("sagemaker:CreateUserProfile")
    statement(t, "network", "SageMakerApi", "IssuingRoles")["Action"].append("sagemaker:CreateUserProfile")


@mutation("issuing role: every action of SageMaker's")
def _(t):
    statement(t, "broker", "IssuingRole", "OpenStudio")["Action"] = "sagemaker:*"


@mutation("issuing role: with the method address, the addresses open Studio as well")
def _(t):
    statement(t, "broker", "IssuingRole", "OnlyFromOurNetwork")["NotAction"]["Fn::If"][1] = ["sagemaker:CreatePresignedNotebookInstanceUrl", "sagemaker:CreatePresignedDomainUrl"]


@mutation("issuing role: with the method address, addresses and endpoints are in two statements")
def _(t):
    condition = statement(t, "broker", "IssuingRole", "NotebooksAlsoFromTheseAddresses")["Condition"]
    del condition["StringNotEquals"]


@mutation("trust of the issuing role: without external id")
def _(t):
    del statement(t, "broker", "IssuingRole", "Broker")["Condition"]["StringEquals"]["sts:ExternalId"]


@mutation("trust of the issuing role: StringEquals becomes StringEqualsIfExists")
def _(t):
    rename(statement(t, "broker", "IssuingRole", "Broker")["Condition"], "StringEquals", "StringEqualsIfExists")


@mutation("trust of the issuing role: without the sts endpoint, and the function's role without its Deny")
def _(t):
    del statement(t, "broker", "IssuingRole", "Broker")["Condition"]["StringEquals"]["aws:SourceVpce"]
    remove_statement(t, "broker", "BrokerRole", "OnlyThroughOurEndpoints")


@mutation("trust of the issuing role: for nobody in particular")
def _(t):
    del statement(t, "broker", "IssuingRole", "Broker")["Condition"]["Null"]


@mutation("trust of the issuing role: the whole account instead of the function's role")
def _(t):
    statement(t, "broker", "IssuingRole", "Broker")["Principal"] = {"AWS": {"Ref": "AWS::AccountId"}}


@mutation("trust of the other account's issuing role: without external id")
def _(t):
    del statement(t, "workload", "IssuingRole", "Broker")["Condition"]["StringEquals"]["sts:ExternalId"]


@mutation("provisioning role: profiles that do not say whose they are")
def _(t):
    del statement(t, "broker", "ProvisioningRole", "MakeProfiles")["Condition"]


@mutation("provisioning role: profiles that say the issuer only")
def _(t):
    del statement(t, "broker", "ProvisioningRole", "MakeProfiles")["Condition"]["Null"]["aws:RequestTag/latchkey:subject"]


@mutation("provisioning role: profiles with any tag (ForAllValues over aws:TagKeys)")
def _(t):
    statement(t, "broker", "ProvisioningRole", "MakeProfiles")["Condition"] = {"ForAllValues:StringEquals": {"aws:TagKeys": ["latchkey:issuer", "latchkey:subject"]}}


@mutation("provisioning role: it marks profiles that are there already")
def _(t):
    del statement(t, "broker", "ProvisioningRole", "TagWhileMakingAlone")["Condition"]


@mutation("provisioning role: it marks profiles by whatever other action (Null)")
def _(t):
    statement(t, "broker", "ProvisioningRole", "TagWhileMakingAlone")["Condition"] = {"Null": {"sagemaker:TaggingAction": "false"}}


@mutation("provisioning role: it marks profiles that are there already (StringEqualsIfExists)")
def _(t):
    rename(statement(t, "broker", "ProvisioningRole", "TagWhileMakingAlone")["Condition"], "StringEquals", "StringEqualsIfExists")


@mutation("provisioning role: it marks anything")
def _(t):
    statement(t, "broker", "ProvisioningRole", "TagWhileMakingAlone")["Resource"] = "*"


@mutation("provisioning role: profiles in every domain")
def _(t):
    statement(t, "broker", "ProvisioningRole", "MakeProfiles")["Resource"] = "arn:*:sagemaker:*:*:user-profile/*"


@mutation("provisioning role: any role of the account for a profile")
def _(t):
    statement(t, "broker", "ProvisioningRole", "PassExecutionRoles")["Resource"] = "*"


@mutation("provisioning role: roles for any service")
def _(t):
    del statement(t, "broker", "ProvisioningRole", "PassExecutionRoles")["Condition"]


@mutation("provisioning role: one security group of the list makes the others good (ForAllValues)")
def _(t):
    rename(statement(t, "broker", "ProvisioningRole", "OnlyTheseSecurityGroups")["Condition"], "ForAnyValue:StringNotEquals", "ForAllValues:StringNotEquals")


@mutation("provisioning role: the network condition is dropped")
def _(t):
    del statement(t, "broker", "ProvisioningRole", "OnlyFromOurNetwork")["Condition"]


@mutation("provisioning role: StringNotEquals becomes StringEquals in the Deny")
def _(t):
    rename(statement(t, "broker", "ProvisioningRole", "OnlyFromOurNetwork")["Condition"], "StringNotEquals", "StringEquals")


@mutation("provisioning role: the Deny is for making profiles alone")
def _(t):
    one = statement(t, "broker", "ProvisioningRole", "OnlyFromOurNetwork")
    del one["NotAction"]
    one["Action"] = "sagemaker:CreateUserProfile"


@mutation("provisioning role: the browsers' endpoints are in the list")
def _(t):
    condition = statement(t, "broker", "ProvisioningRole", "OnlyFromOurNetwork")["Condition"]["StringNotEquals"]
    condition["Fn::If"][2]["aws:SourceVpce"] = {"Fn::Split": [",", {"Fn::Join": [",", [{"Fn::Join": [",", {"Ref": name}]} for name in ("SageMakerApiEndpointIds", "StudioEndpointIds")]]}]}


@mutation("provisioning role: passing a role is tied to the network, which SageMaker may not tell")
def _(t):
    one = statement(t, "broker", "ProvisioningRole", "OnlyFromOurNetwork")
    del one["NotAction"]
    one["Action"] = "*"


@mutation("provisioning role: it opens Studio")
def _(t):
    statement(t, "broker", "ProvisioningRole", "LookAtProfiles")["Action"].append("sagemaker:CreatePresignedDomainUrl")


@mutation("provisioning role: it deletes tags")
def _(t):
    statement(t, "broker", "ProvisioningRole", "LookAtProfiles")["Action"].append("sagemaker:DeleteTags")


@mutation("provisioning role of the other account: it marks profiles that are there already")
def _(t):
    del statement(t, "workload", "ProvisioningRole", "TagWhileMakingAlone")["Condition"]


@mutation("provisioning role of the other account: it opens Studio")
def _(t):
    statement(t, "workload", "ProvisioningRole", "LookAtProfiles")["Action"].append("sagemaker:CreatePresignedDomainUrl")


@mutation("trust of the provisioning role: without external id")
def _(t):
    del statement(t, "broker", "ProvisioningRole", "Broker")["Condition"]["StringEquals"]["sts:ExternalId"]


@mutation("trust of the provisioning role: StringEquals becomes StringEqualsIfExists")
def _(t):
    rename(statement(t, "broker", "ProvisioningRole", "Broker")["Condition"], "StringEquals", "StringEqualsIfExists")


@mutation("trust of the provisioning role: for nobody in particular")
def _(t):
    del statement(t, "broker", "ProvisioningRole", "Broker")["Condition"]["Null"]


@mutation("trust of the provisioning role: the whole account instead of the function's role")
def _(t):
    statement(t, "broker", "ProvisioningRole", "Broker")["Principal"] = {"AWS": {"Ref": "AWS::AccountId"}}


@mutation("trust of the provisioning role: SageMaker may take it on")
def _(t):
    statement(t, "broker", "ProvisioningRole", "Broker")["Principal"] = {"Service": "sagemaker.amazonaws.com"}
    del statement(t, "broker", "ProvisioningRole", "Broker")["Condition"]


@mutation("trust of the other account's provisioning role: for nobody in particular")
def _(t):
    del statement(t, "workload", "ProvisioningRole", "Broker")["Condition"]["Null"]


@mutation("function's role: the provisioning role is not among those that it takes on")
def _(t):
    del statement(t, "broker", "BrokerRole", "TakeOnIssuingRoles")["Resource"]["Fn::Split"][1]["Fn::Join"][1][1]


@mutation("function: the provisioning role without its external id")
def _(t):
    del properties(t, "broker", "BrokerFunction")["Environment"]["Variables"]["LATCHKEY_PROVISION_EXTERNAL_ID"]


@mutation("function's role: an action of SageMaker's")
def _(t):
    statement(t, "broker", "BrokerRole", "TakeOnIssuingRoles")["Action"].append("sagemaker:CreatePresignedDomainUrl")
    statement(t, "broker", "BrokerRole", "TakeOnIssuingRoles")["Resource"] = "*"


@mutation("function's role: SageMaker by a managed policy")
def _(t):
    properties(t, "broker", "BrokerRole")["ManagedPolicyArns"] = ["arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"]


@mutation("function's role: it may write every row of the table")
def _(t):
    del statement(t, "broker", "BrokerRole", "CountAndMark")["Condition"]


@mutation("function's role: it may write what groups were granted")
def _(t):
    for keys in statement(t, "broker", "BrokerRole", "CountAndMark")["Condition"].values():
        keys["dynamodb:LeadingKeys"].append("GROUP#*")


@mutation("function's role: all rows of a request that names none")
def _(t):
    del statement(t, "broker", "BrokerRole", "CountAndMark")["Condition"]["ForAnyValue:StringLike"]


@mutation("function's role: one row of a request makes the others good")
def _(t):
    del statement(t, "broker", "BrokerRole", "CountAndMark")["Condition"]["ForAllValues:StringLike"]


@mutation("refresher's role: one row of a request makes the others good")
def _(t):
    del statement(t, "broker", "RefresherRole", "Keys")["Condition"]["ForAllValues:StringLike"]


@mutation("function's role: any role may be taken on")
def _(t):
    statement(t, "broker", "BrokerRole", "TakeOnIssuingRoles")["Resource"] = "*"
    del statement(t, "network", "Sts", "Broker")["Resource"]
    statement(t, "network", "Sts", "Broker")["Resource"] = "*"


@mutation("function: a Function URL")
def _(t):
    properties(t, "broker", "BrokerFunction")["FunctionUrlConfig"] = {"AuthType": "NONE"}


@mutation("function: any API may invoke it")
def _(t):
    del properties(t, "broker", "BrokerPermission")["SourceArn"]


@mutation("function: anybody may invoke it")
def _(t):
    properties(t, "broker", "BrokerPermission")["Principal"] = "*"


@mutation("function: outside the private subnets")
def _(t):
    del properties(t, "broker", "BrokerFunction")["VpcConfig"]


@mutation("API: PRIVATE becomes REGIONAL")
def _(t):
    properties(t, "broker", "BrokerApi")["EndpointConfiguration"]["Type"] = "REGIONAL"


@mutation("API: aws:SourceVpc instead of aws:SourceVpce")
def _(t):
    statement(t, "broker", "BrokerApi", "OnlyThroughOurEndpoints")["Condition"] = {"StringNotEquals": {"aws:SourceVpc": {"Ref": "VpcId"}}}


@mutation("API: the access log has the Authorization header")
def _(t):
    setting = properties(t, "broker", "BrokerApi")["AccessLogSetting"]
    setting["Format"] = setting["Format"].replace('"path"', '"token":"$context.requestOverride.header.Authorization","path"')


@mutation("API: an execution log with requests and answers")
def _(t):
    properties(t, "broker", "BrokerApi")["MethodSettings"][0]["DataTraceEnabled"] = True


@mutation("network: an endpoint without a policy")
def _(t):
    del properties(t, "network", "Studio")["PolicyDocument"]


@mutation("network: the Studio endpoint leads to any account's Studio")
def _(t):
    statement(t, "network", "Studio", "OurStudio")["Resource"] = "*"


@mutation("network: the sagemaker.api endpoint is for everybody")
def _(t):
    del statement(t, "network", "SageMakerApi", "IssuingRoles")["Condition"]["ArnLike"]


@mutation("network: through the sagemaker.api endpoint, everybody makes profiles")
def _(t):
    del statement(t, "network", "SageMakerApi", "ProvisioningRoles")["Condition"]["ArnLike"]


@mutation("network: through the sagemaker.api endpoint, provisioning roles of any account make profiles")
def _(t):
    del statement(t, "network", "SageMakerApi", "ProvisioningRoles")["Condition"]["StringEquals"]


@mutation("network: through the sagemaker.api endpoint, everybody passes roles")
def _(t):
    del statement(t, "network", "SageMakerApi", "ExecutionRolesOfNewProfiles")["Condition"]["ArnLike"]


@mutation("network: through the sagemaker.api endpoint, roles of any account are passed")
def _(t):
    del statement(t, "network", "SageMakerApi", "ExecutionRolesOfNewProfiles")["Condition"]["StringEquals"]["aws:PrincipalAccount"]


@mutation("network: the sts endpoint does not lead to provisioning roles")
def _(t):
    del statement(t, "network", "Sts", "Broker")["Resource"][1]


@mutation("network: the endpoint of tracking servers leads to any account's")
def _(t):
    statement(t, "network", "MlflowServer", "OurTrackingServers")["Resource"] = "arn:*:sagemaker:*:*:mlflow-tracking-server/*"


@mutation("network: the endpoint of MLflow apps leads to any account's")
def _(t):
    statement(t, "network", "MlflowApp", "OurMlflowApps")["Resource"] = "arn:*:sagemaker:*:*:mlflow-app/*"


@mutation("network: the endpoint of partner apps leads to any account's")
def _(t):
    statement(t, "network", "PartnerApp", "OurPartnerApps")["Resource"] = "arn:*:sagemaker:*:*:partner-app/*"


@mutation("network: the endpoint of partner apps has no policy")
def _(t):
    del properties(t, "network", "PartnerApp")["PolicyDocument"]


@mutation("network: the execute-api endpoint leads to any API")
def _(t):
    statement(t, "network", "ExecuteApi", "OurApi")["Resource"] = "*"


@mutation("network: the endpoints are open to any address")
def _(t):
    rule = properties(t, "network", "ClientSecurityGroup")["SecurityGroupIngress"][0]
    del rule["SourcePrefixListId"]
    rule["CidrIp"] = "0.0.0.0/0"


@mutation("network: the function may go anywhere")
def _(t):
    del properties(t, "network", "FunctionSecurityGroup")["SecurityGroupEgress"]


@mutation("organisation: partner applications are forgotten")
def _(t):
    statement(t, "organization", "PresignPolicy", "ByIssuingRolesAlone")["Action"] = ["sagemaker:CreatePresigned*"]


@mutation("organisation: MLflow apps open from anywhere")
def _(t):
    statement(t, "organization", "PresignPolicy", "OnlyFromOurNetwork")["Action"][1] = "sagemaker:CreatePresignedMlflowTrackingServerUrl"


@mutation("organisation: anybody makes a role that is called like the provisioning role")
def _(t):
    statement(t, "organization", "PresignPolicy", "RolesStay")["Resource"].pop()


@mutation("organisation: a tag of ours among others is passed over (ForAllValues)")
def _(t):
    rename(statement(t, "organization", "TablePolicy", "ProfilesStayWhoseTheyAre")["Condition"], "ForAnyValue:StringEquals", "ForAllValues:StringEquals")


@mutation("organisation: the tag that names the issuer is forgotten")
def _(t):
    statement(t, "organization", "TablePolicy", "ProfilesStayWhoseTheyAre")["Condition"]["ForAnyValue:StringEquals"]["aws:TagKeys"].pop(0)


@mutation("organisation: anybody deletes the tags")
def _(t):
    statement(t, "organization", "TablePolicy", "ProfilesStayWhoseTheyAre")["Action"].remove("sagemaker:DeleteTags")


@mutation("organisation: anybody makes a profile for somebody")
def _(t):
    statement(t, "organization", "TablePolicy", "ProfilesStayWhoseTheyAre")["Action"].remove("sagemaker:CreateUserProfile")


@mutation("organisation: nobody sets the tags, the broker included")
def _(t):
    del statement(t, "organization", "TablePolicy", "ProfilesStayWhoseTheyAre")["Condition"]["ArnNotLike"]


@mutation("organisation: IMDSv1 unless it is asked for (StringEquals 1)")
def _(t):
    statement(t, "organization", "NotebookPolicy", "Imdsv2")["Condition"] = {"StringEquals": {"sagemaker:MinimumInstanceMetadataServiceVersion": "1"}}


@mutation("table: without protection against deletion")
def _(t):
    properties(t, "broker", "Table")["DeletionProtectionEnabled"] = False


@mutation("table: AWS's own key")
def _(t):
    del properties(t, "broker", "Table")["SSESpecification"]


@mutation("key: through any service")
def _(t):
    del statement(t, "broker", "Key", "ThroughDynamoDB")["Condition"]["StringEquals"]["kms:ViaService"]


@mutation("guardrails: any rule may publish to the topic")
def _(t):
    del statement(t, "guardrails", "TopicPolicy", "OurRules")["Condition"]


def condition(templates, whose):
    return templates["revocation"][whose]["Statement"][0]["Condition"]


@mutation("revocation: one user's cuts everybody")
def _(t):
    del condition(t, "one")["StringEquals"]


@mutation("revocation: of users whose names differ in case")
def _(t):
    rename(condition(t, "one"), "StringEquals", "StringEqualsIgnoreCase")


@mutation("revocation: of users whose names begin alike")
def _(t):
    condition(t, "one")["StringLike"] = {"aws:SourceIdentity": condition(t, "one").pop("StringEquals")["aws:SourceIdentity"] + "*"}


@mutation("revocation: one user's cuts sessions that say nobody's name (StringEqualsIfExists)")
def _(t):
    rename(condition(t, "one"), "StringEquals", "StringEqualsIfExists")


@mutation("revocation: a user's new sessions as well")
def _(t):
    del condition(t, "one")["DateLessThan"]


@mutation("revocation: everyone's new sessions as well")
def _(t):
    del t["revocation"]["everyone"]["Statement"][0]["Condition"]


@mutation("revocation: the new sessions and not the old ones")
def _(t):
    rename(condition(t, "everyone"), "DateLessThan", "DateGreaterThanEquals")


@mutation("revocation: no new URLs, and the browser goes on in MLflow")
def _(t):
    t["revocation"]["one"]["Statement"][0]["Action"] = "sagemaker:CreatePresigned*"


@mutation("revocation: of SageMaker alone")
def _(t):
    t["revocation"]["everyone"]["Statement"][0]["Action"] = ["sagemaker:*", "sagemaker-mlflow:*"]


@mutation("organisation: those who cut sessions change every role")
def _(t):
    statement(t, "organization", "TablePolicy", "PoliciesStay")["Condition"] = statement(t, "organization", "TablePolicy", "SessionsCutByTheseAlone")["Condition"]


@mutation("organisation: nobody but the deployer cuts sessions")
def _(t):
    statement(t, "organization", "TablePolicy", "SessionsCutByTheseAlone")["Condition"] = {"ArnNotLike": {"aws:PrincipalArn": {"Ref": "DeployRoleArns"}}}


# Statements whose loss no case can show, with the reason.
UNDECIDED = {
    ("broker", "Key", "Logs"): "the simulator has no keys of an encryption context",
}


def named_statements():
    """Every statement with a name, of every policy: (template, resource, name)."""

    def search(value):
        if isinstance(value, dict):
            if "Sid" in value and "Effect" in value:
                yield value["Sid"]
            value = list(value.values())
        if isinstance(value, list):
            for part in value:
                yield from search(part)

    for template in cloudformation.TEMPLATES:
        for resource, raw in cloudformation.load(template)["Resources"].items():
            for sid in search(raw):
                yield template, resource, sid


def dropping(template, resource, sid):
    return lambda templates: remove_statement(templates, template, resource, sid)


for named in named_statements():
    if named not in UNDECIDED:
        mutation("{}: {} loses its statement {}".format(*named))(dropping(*named))


def noticed_by(change):
    """What says that the change is wrong, one line each: cases first, then checks. Nothing, if nobody does."""
    worlds = {}

    def world_of(method):
        if method not in worlds:
            worlds[method] = World(method, change)
        return worlds[method]

    wrong = [f"{case}: {case.why}" for case, _, well in cases.decide(cases.CASES, world_of) if not well]
    # That the roles of the two templates differ would be noticed of any change to one of them, whatever it means.
    others = [one for one in checks.CHECKS if one is not checks.the_roles_of_both_templates_say_the_same]
    return wrong + checks.findings(world_of("endpoint"), others)


def _notice(index):
    return noticed_by(MUTATIONS[index][1])


def run():
    """`(what, who noticed)` for each mutation, in order, on all processors."""
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from zip([what for what, _ in MUTATIONS], pool.map(_notice, range(len(MUTATIONS))), strict=True)


def line(what, notice):
    more = f" (and {len(notice) - 1} more)" if len(notice) > 1 else ""
    return f"{'caught' if notice else 'MISSED'}  {what}. By {notice[0] if notice else 'nothing'}{more}"


if __name__ == "__main__":
    for result in run():
        print(line(*result), flush=True)

"""The checker must pass what botocore itself sends, and fail what was changed afterwards or is out of the model's bounds."""

import base64
import io
import json
import unittest
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.session

import check_aws_requests as checker

KEY_ID, SECRET, TOKEN, REGION = "AKIDEXAMPLE", "not-a-secret", "a/session+token==", "eu-central-1"


class Captured(Exception):
    def __init__(self, request):
        self.request = request


def capture(service, operation, params, token=TOKEN, validate=True, endpoint="http://127.0.0.1:9"):
    """What botocore would send: the whole client, up to the socket."""
    client = botocore.session.get_session().create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        aws_session_token=token,
        config=botocore.config.Config(parameter_validation=validate, retries={"total_max_attempts": 1}),
    )

    def stop(request, **_):
        raise Captured(request)

    client.meta.events.register("before-send", stop)
    method = next(python for python, api in client.meta.method_to_api_mapping.items() if api == operation)
    try:
        getattr(client, method)(**params)
    except Captured as captured:
        return as_captured(service, captured.request, token)
    raise AssertionError("nothing was sent")


def as_captured(service, request, token):
    url = urllib.parse.urlsplit(request.url)
    text = lambda value: value.decode() if isinstance(value, bytes) else str(value)
    headers = [[name, text(value)] for name, value in request.headers.items()]
    if not any(name.lower() == "host" for name, _ in headers):
        headers.append(["Host", url.netloc])
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else body
    line = {
        "service": service,
        "method": request.method,
        "path": url.path or "/",
        "query": url.query,
        "headers": headers,
        "body": base64.b64encode(body).decode(),
        "access_key_id": KEY_ID,
        "secret_access_key": SECRET,
        "region": REGION,
    }
    return {**line, "session_token": token} if token else line


def signed(service, body, headers, token=TOKEN, path="/", secret=SECRET):
    """A request with any body at all, properly signed: what is wrong with it is not the signature."""
    request = botocore.awsrequest.AWSRequest("POST", f"http://127.0.0.1:9{path}", data=body, headers=headers)
    credentials = botocore.credentials.Credentials(KEY_ID, secret, token)
    botocore.auth.SigV4Auth(credentials, service, REGION).add_auth(request)
    return as_captured(service, request.prepare(), token)


def json_request(service, operation, document, **options):
    model = checker.model_of(service)
    headers = {
        "Content-Type": f"application/x-amz-json-{model.metadata['jsonVersion']}",
        "X-Amz-Target": f"{model.metadata['targetPrefix']}.{operation}",
    }
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return signed(service, body, headers, **options)


def form_request(form, **options):
    body = form if isinstance(form, bytes) else urllib.parse.urlencode(form).encode()
    return signed("sts", body, {"Content-Type": "application/x-www-form-urlencoded"}, **options)


PRESIGN = {
    "DomainId": "d-abc123",
    "UserProfileName": "alice",
    "SpaceName": "alice-space",
    "ExpiresInSeconds": 30,
    "SessionExpirationDurationInSeconds": 28800,
    "LandingUri": "app:JupyterLab:lab/tree/notebooks",
}
ASSUME = {
    "RoleArn": "arn:aws:iam::123456789012:role/latchkey/issuing",
    "RoleSessionName": "alice@corp",
    "SourceIdentity": "alice@corp",
    "DurationSeconds": 900,
    "ExternalId": "ext/1:2",
    "Policy": '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sagemaker:CreatePresignedDomainUrl","Resource":"*"}]}',
    "PolicyArns": [{"arn": "arn:aws:iam::aws:policy/One"}, {"arn": "arn:aws:iam::aws:policy/Two"}],
    "Tags": [{"Key": "user", "Value": "Zoë Ålice"}, {"Key": "empty", "Value": ""}],
    "TransitiveTagKeys": ["user"],
}
QUERY = {
    "TableName": "latchkey",
    "ConsistentRead": True,
    "KeyConditionExpression": "pk = :pk",
    "ExpressionAttributeValues": {":pk": {"S": "SUBJECT#corp#alice"}},
    "Limit": 100,
}
PUT = {
    "TableName": "latchkey",
    "Item": {
        "pk": {"S": "a"},
        "sk": {"S": ""},
        "n": {"N": "12.5"},
        "blob": {"B": b"\x00\xff"},
        "set": {"BS": [b"\x01", b"\x02"]},
        "map": {"M": {"inner": {"L": [{"BOOL": False}, {"NULL": True}]}}},
    },
}


class Case(unittest.TestCase):
    def assertValid(self, request):
        result = checker.check_request(request)
        self.assertEqual(result["errors"], [])
        self.assertTrue(result["valid"])
        return result

    def assertInvalid(self, request, *texts):
        result = checker.check_request(request)
        self.assertFalse(result["valid"], "passed")
        for text in texts:
            self.assertIn(text, " | ".join(result["errors"]))
        # One thing is wrong in each of these requests; a second complaint would show a checker that misreads.
        self.assertLessEqual(len(result["errors"]), 3, result["errors"])


class GoodRequests(Case):
    def test_of_botocore_itself(self):
        for service, operation, params in [
            ("sagemaker", "CreatePresignedDomainUrl", PRESIGN),
            ("sagemaker", "CreatePresignedNotebookInstanceUrl", {"NotebookInstanceName": "nb-1"}),
            ("sagemaker", "DescribeUserProfile", {"DomainId": "d-abc123", "UserProfileName": "alice"}),
            ("sts", "AssumeRole", ASSUME),
            ("sts", "GetCallerIdentity", {}),
            ("dynamodb", "Query", QUERY),
            ("dynamodb", "PutItem", PUT),
            ("dynamodb", "DescribeTable", {"TableName": "latchkey"}),
            ("dynamodb", "ListTables", {}),
        ]:
            for token in (TOKEN, None):
                with self.subTest(operation, token=bool(token)):
                    result = self.assertValid(capture(service, operation, params, token))
                    self.assertEqual((result["service"], result["operation"]), (service, operation))

    def test_to_the_real_host_names(self):
        self.assertValid(capture("sagemaker", "CreatePresignedDomainUrl", PRESIGN, endpoint=None))
        self.assertValid(capture("sts", "AssumeRole", ASSUME, endpoint=None))

    def test_signed_by_hand(self):
        self.assertValid(json_request("sagemaker", "CreatePresignedDomainUrl", PRESIGN))
        self.assertValid(form_request({"Action": "GetCallerIdentity", "Version": "2011-06-15"}))

    def test_what_arrives_in_binary_is_read_as_binary(self):
        request = capture("dynamodb", "PutItem", PUT)
        model = checker.model_of("dynamodb")
        _, params, errors = checker.read_json(model, request, base64.b64decode(request["body"]))
        self.assertEqual((params, errors), (PUT, []))

    def test_a_form_is_read_back_as_it_was_meant(self):
        request = capture("sts", "AssumeRole", ASSUME)
        _, params, errors = checker.read_query(checker.model_of("sts"), request, base64.b64decode(request["body"]))
        self.assertEqual((params, errors), (ASSUME, []))


class BadSignatures(Case):
    def setUp(self):
        self.request = capture("sagemaker", "CreatePresignedDomainUrl", PRESIGN)

    def with_header(self, name, change):
        headers = [[key, change(value) if key.lower() == name else value] for key, value in self.request["headers"]]
        self.assertNotEqual(headers, self.request["headers"], name)
        return {**self.request, "headers": headers}

    def test_changed_body(self):
        body = base64.b64decode(self.request["body"]).replace(b"alice", b"mallo")
        self.assertInvalid({**self.request, "body": base64.b64encode(body).decode()}, "the signature is not")

    def test_changed_headers(self):
        self.assertInvalid(self.with_header("host", lambda _: "evil.test"), "the signature is not")
        self.assertInvalid(self.with_header("x-amz-target", lambda _: "SageMaker.CreateDomian"), "no operation", "the signature is not")
        self.assertInvalid(self.with_header("x-amz-date", lambda _: "20200101T000000Z"), "the scope is", "the signature is not")
        self.assertInvalid(self.with_header("x-amz-date", lambda _: "yesterday"), "x-amz-date")

    def test_changed_signature(self):
        self.assertInvalid(self.with_header("authorization", lambda value: value[:-1] + ("0" if value[-1] != "0" else "1")), "the signature is not")
        self.assertInvalid(self.with_header("authorization", lambda _: "Bearer x"), "not a SigV4 header")
        self.assertInvalid({**self.request, "headers": [h for h in self.request["headers"] if h[0].lower() != "authorization"]}, "0 authorization headers")

    def test_other_credentials(self):
        self.assertInvalid({**self.request, "secret_access_key": "other"}, "the signature is not")
        self.assertInvalid({**self.request, "access_key_id": "OTHER"}, "another access key")
        self.assertInvalid({**self.request, "session_token": "other"}, "x-amz-security-token")
        self.assertInvalid({**self.request, "session_token": None}, "x-amz-security-token")

    def test_other_scope(self):
        self.assertInvalid({**self.request, "region": "us-east-1"}, "the scope is", "the signature is not")

    def test_what_must_be_signed(self):
        extra = {**self.request, "headers": [*self.request["headers"], ["X-Amz-Extra", "1"]]}
        self.assertInvalid(extra, "x-amz-extra is not signed")

    def test_a_token_that_nobody_signed(self):
        request = capture("sagemaker", "CreatePresignedDomainUrl", PRESIGN, token=None)
        request["headers"].append(["X-Amz-Security-Token", TOKEN])
        self.assertInvalid({**request, "session_token": TOKEN}, "x-amz-security-token is not signed")

    def test_path_query_and_method(self):
        self.assertInvalid({**self.request, "path": "/other"}, "the path is not", "the signature is not")
        self.assertInvalid({**self.request, "query": "a=1"}, "the path is not", "the signature is not")
        self.assertInvalid({**self.request, "method": "GET"}, "not POST", "the signature is not")


class OutOfTheModel(Case):
    def presign(self, **changes):
        document = {**PRESIGN, **changes}
        return json_request("sagemaker", "CreatePresignedDomainUrl", {key: value for key, value in document.items() if value is not None})

    def test_required_strings_have_a_character(self):
        self.assertInvalid(self.presign(DomainId=""), "DomainId: is required and empty")
        self.assertInvalid(self.presign(UserProfileName=""), "UserProfileName: is required and empty")

    def test_required_members(self):
        self.assertInvalid(self.presign(DomainId=None), "DomainId")

    def test_unknown_members(self):
        self.assertInvalid(self.presign(DomianId="d-1"), "DomianId")
        self.assertInvalid(json_request("dynamodb", "PutItem", {"TableName": "t1x", "Item": {"a": {"S": "x"}}, "Itme": {}}), "Itme")

    def test_patterns(self):
        self.assertInvalid(self.presign(DomainId="D-ABC"), "DomainId", "does not match")
        self.assertInvalid(self.presign(UserProfileName="alice@corp"), "does not match")
        self.assertInvalid(self.presign(UserProfileName="alicé"), "does not match")
        # A pattern that matches a part of it is not enough.
        self.assertInvalid(self.presign(DomainId="d-abc\n"), "does not match")

    def test_bounds(self):
        self.assertInvalid(self.presign(ExpiresInSeconds=4), "ExpiresInSeconds")
        self.assertInvalid(self.presign(ExpiresInSeconds=301), "ExpiresInSeconds", "300")
        self.assertInvalid(self.presign(SessionExpirationDurationInSeconds=43201), "43200")
        self.assertInvalid(self.presign(LandingUri="studio::" + "x" * 1016), "LandingUri", "1023")
        self.assertInvalid(self.presign(DomainId="d-" + "a" * 62), "DomainId")

    def test_types(self):
        self.assertInvalid(self.presign(ExpiresInSeconds="30"), "ExpiresInSeconds")
        self.assertInvalid(self.presign(ExpiresInSeconds=30.5), "ExpiresInSeconds")
        self.assertInvalid(self.presign(ExpiresInSeconds=True), "a boolean")
        self.assertInvalid(json_request("dynamodb", "Query", {**QUERY, "ConsistentRead": "true"}), "ConsistentRead")

    def test_enumerations(self):
        self.assertInvalid(json_request("dynamodb", "Query", {**QUERY, "Select": "EVERYTHING"}), "Select")

    def test_attribute_values(self):
        for value, text in [({}, "exactly one type"), ({"S": "x", "N": "1"}, "exactly one type"), ({"B": "%%%"}, "not base64"), ({"X": "1"}, "X"), ({"N": 1}, "N")]:
            with self.subTest(value=value):
                self.assertInvalid(json_request("dynamodb", "PutItem", {"TableName": "latchkey", "Item": {"a": value}}), text)

    def test_json_envelope(self):
        self.assertInvalid(json_request("sagemaker", "CreatePresignedDomainUrl", b"{"), "not JSON")
        self.assertInvalid(json_request("sagemaker", "CreatePresignedDomainUrl", b"[]"), "not a JSON object")
        self.assertInvalid(json_request("dynamodb", "ListTables", b'{"Limit": 1, "Limit": 2}'), "twice")
        self.assertInvalid(json_request("dynamodb", "ListTables", b'{"Limit": NaN}'), "NaN")
        self.assertInvalid(json_request("dynamodb", "DropTable", {}), "no operation")
        self.assertInvalid(signed("dynamodb", b"{}", {"Content-Type": "application/json", "X-Amz-Target": "DynamoDB_20120810.ListTables"}), "content-type")


class OutOfTheForm(Case):
    BASE = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": ASSUME["RoleArn"], "RoleSessionName": "alice"}

    def test_members(self):
        self.assertValid(form_request(self.BASE))
        self.assertInvalid(form_request({**self.BASE, "SourceIdentitiy": "x"}), "SourceIdentitiy")
        self.assertInvalid(form_request({**self.BASE, "RoleSessionName": "a"}), "RoleSessionName")
        self.assertInvalid(form_request({**self.BASE, "SourceIdentity": "zoë"}), "does not match")
        self.assertInvalid(form_request({**self.BASE, "DurationSeconds": "899"}), "DurationSeconds")
        self.assertInvalid(form_request({**self.BASE, "DurationSeconds": "1e3"}), "DurationSeconds")
        self.assertInvalid(form_request({**self.BASE, "RoleArn": ""}), "RoleArn")
        self.assertInvalid(form_request({**self.BASE, "Policy": ""}), "Policy")

    def test_lists(self):
        self.assertValid(form_request({**self.BASE, "Tags.member.1.Key": "k", "Tags.member.1.Value": "v"}))
        self.assertInvalid(form_request({**self.BASE, "Tags.member.2.Key": "k", "Tags.member.2.Value": "v"}), "Tags.member.2")
        self.assertInvalid(form_request({**self.BASE, "Tags.1.Key": "k", "Tags.1.Value": "v"}), "Tags.1")
        self.assertInvalid(form_request({**self.BASE, "Tags.member.1.Key": "k"}), "Value")
        self.assertInvalid(form_request({**self.BASE, "TransitiveTagKeys": "k"}), "TransitiveTagKeys")
        tags = {f"TransitiveTagKeys.member.{i}": "k" for i in range(1, 52)}
        self.assertInvalid(form_request({**self.BASE, **tags}), "50")

    def test_envelope(self):
        self.assertInvalid(form_request({**self.BASE, "Version": "2010-05-08"}), "Version")
        self.assertInvalid(form_request({**self.BASE, "Action": "AssumeRoot2"}), "no operation")
        self.assertInvalid(form_request(urllib.parse.urlencode(self.BASE).encode() + b"&RoleSessionName=bob"), "twice")
        self.assertInvalid(form_request(b"%"), "not a form")
        self.assertInvalid(signed("sts", b"{}", {"Content-Type": "application/json"}), "content-type")


class TheProgram(Case):
    def run_on(self, *lines):
        out = io.StringIO()
        code = checker.main(lines, out)
        return code, [json.loads(line) for line in out.getvalue().splitlines()]

    def test_one_line_each_and_the_exit_code(self):
        good = json.dumps(capture("sts", "AssumeRole", ASSUME))
        bad = json.dumps({**json.loads(good), "region": "us-east-1"})
        self.assertEqual(self.run_on(good, good)[0], 0)
        code, results = self.run_on(good, bad, "\n")
        self.assertEqual((code, [result["valid"] for result in results]), (1, [True, False]))

    def test_what_is_no_captured_request(self):
        for line in ["{", "{}", "[]", "null", '{"service": "s3"}', '{"service": "sts", "headers": 1, "body": "", "method": "POST", "path": "/", "query": ""}']:
            code, [result] = self.run_on(line)
            self.assertEqual(code, 1, line)
            self.assertTrue(result["errors"], line)

    def test_nothing_captured_is_nothing_shown(self):
        self.assertEqual(self.run_on(), (1, []))


class Patterns(unittest.TestCase):
    def test_every_pattern_of_the_three_models_can_be_read(self):
        count = 0
        for service in checker.SERVICES:
            model = checker.model_of(service)
            for name in model.shape_names:
                pattern = model.shape_for(name).metadata.get("pattern")
                if pattern is not None:
                    checker.compiled(pattern)
                    count += 1
        self.assertGreater(count, 200)

    def test_classes_mean_what_they_mean_to_java(self):
        self.assertFalse(checker.compiled(r"[\w+=,.@-]*").fullmatch("é"))
        self.assertTrue(checker.compiled(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+").fullmatch("Zoë Ålice"))


if __name__ == "__main__":
    unittest.main()

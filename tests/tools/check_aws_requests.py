#!/usr/bin/env python3
"""A second opinion on captured AWS requests, by AWS's own service models and signer (botocore).

Reads JSON lines on standard input, one captured request each:

    {"service": "sts" | "sagemaker" | "dynamodb" | "cloudcontrolapi", "method", "path", "query", "headers": [[name, value], ...],
     "body": <base64>, "access_key_id", "secret_access_key", "session_token"?, "region"}

Prints one JSON line for each: {"service", "operation", "valid", "errors": [...]}, and exits 1 if any is not valid, or if
there was none: a test that captured nothing has shown nothing.

Three things are checked.
- The input, as the service's model has it: botocore's own ParamValidator, and what that leaves to the service: patterns,
  maxima, enumerations. The models' minimum for many names is 0; a required string of the input has at least one character
  here.
- The envelope: method, path, content type, target or action and version, the lengths.
- The signature: SigV4, recomputed over the request as it arrived, with the headers that it says it signed.
"""

import base64
import binascii
import datetime
import hashlib
import hmac
import json
import math
import re
import sys
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session
import botocore.validate
import regex

# What requests are signed for, and the model.
SERVICES = {"sts": "sts", "sagemaker": "sagemaker", "dynamodb": "dynamodb", "cloudcontrolapi": "cloudcontrol"}
_SESSION = botocore.session.get_session()
_MODELS = {}


def model_of(service):
    if service not in _MODELS:
        _MODELS[service] = _SESSION.get_service_model(SERVICES[service])
    return _MODELS[service]


class Unreadable(Exception):
    """The request cannot be read as far as its input."""


def headers_named(request, name):
    return [value for key, value in request["headers"] if key.lower() == name]


def one_header(request, name):
    values = headers_named(request, name)
    if len(values) != 1:
        raise Unreadable(f"{len(values)} {name} headers, not one")
    return values[0]


# --- from the wire to the input ---------------------------------------------------------------------------------------


def no_duplicates(pairs):
    members = {}
    for name, value in pairs:
        if name in members:
            raise Unreadable(f"member {name} twice")
        members[name] = value
    return members


def refuse_constant(name):
    raise Unreadable(f"{name} is not JSON")


def read_json(model, request, body):
    version = model.metadata["jsonVersion"]
    content_type = one_header(request, "content-type")
    if content_type != f"application/x-amz-json-{version}":
        raise Unreadable(f"content-type {content_type}")
    prefix, _, operation = one_header(request, "x-amz-target").rpartition(".")
    if prefix != model.metadata["targetPrefix"] or operation not in model.operation_names:
        raise Unreadable(f"x-amz-target {prefix}.{operation} is no operation of the service")
    try:
        document = json.loads(body, object_pairs_hook=no_duplicates, parse_constant=refuse_constant)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Unreadable(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Unreadable("the body is not a JSON object")
    shape = model.operation_model(operation).input_shape
    errors = []
    return operation, from_json(document, shape, "", errors) if shape else document, errors


def from_json(value, shape, where, errors):
    """JSON's values as botocore's caller would have given them: bytes for blobs, datetimes for timestamps."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        members = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
        result = {}
        for wire, inner in value.items():
            name, member = members.get(wire, (wire, None))
            result[name] = inner if member is None else from_json(inner, member, f"{where}.{name}", errors)
        return result
    if kind == "list" and isinstance(value, list):
        return [from_json(inner, shape.member, f"{where}[{i}]", errors) for i, inner in enumerate(value)]
    if kind == "map" and isinstance(value, dict):
        return {key: from_json(inner, shape.value, f"{where}.{key}", errors) for key, inner in value.items()}
    if kind == "blob":
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            errors.append(f"{where}: not base64")
            return b""
    if kind == "timestamp" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    return value


def read_query(model, request, body):
    content_type = one_header(request, "content-type")
    if content_type.split(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Unreadable(f"content-type {content_type}")
    try:
        pairs = urllib.parse.parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", encoding="utf-8"
        )
    except ValueError as error:
        raise Unreadable(f"the body is not a form: {error}") from None
    form = no_duplicates(pairs)
    operation = form.pop("Action", None)
    if operation not in model.operation_names:
        raise Unreadable(f"Action {operation} is no operation of the service")
    errors = []
    version = form.pop("Version", None)
    if version != model.api_version:
        errors.append(f"Version {version}, not {model.api_version}")
    shape = model.operation_model(operation).input_shape
    taken = set()
    params = from_form(form, shape, "", taken, errors) if shape else {}
    for name in form:
        if name not in taken:
            errors.append(f"{name}: not a member that the model knows")
    return operation, params, errors


def from_form(form, shape, prefix, taken, errors):
    """The query protocol, backwards: `Tags.member.1.Key=…` and the like."""
    kind = shape.type_name
    if kind == "structure":
        result = {}
        for name, member in shape.members.items():
            wire = member.serialization.get("name", name)
            path = f"{prefix}.{wire}" if prefix else wire
            if any(key == path or key.startswith(f"{path}.") for key in form):
                result[name] = from_form(form, member, path, taken, errors)
        return result
    if kind == "list":
        if form.get(prefix) == "":
            taken.add(prefix)  # how the protocol writes an empty list
            return []
        base = prefix if shape.serialization.get("flattened") else f"{prefix}.{shape.member.serialization.get('name', 'member')}"
        return [from_form(form, shape.member, path, taken, errors) for path in numbered(form, base)]
    if kind == "map":
        base = prefix if shape.serialization.get("flattened") else f"{prefix}.entry"
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        result = {}
        for path in numbered(form, base):
            taken.add(f"{path}.{key_name}")
            result[form.get(f"{path}.{key_name}", "")] = from_form(form, shape.value, f"{path}.{value_name}", taken, errors)
        return result
    if prefix not in form:
        return None
    taken.add(prefix)
    return from_text(form[prefix], shape, prefix, errors)


def numbered(form, base):
    """`base.1`, `base.2`, … as long as there are any; a gap leaves the rest over, and what is left over is an error."""
    index = 1
    while any(key == f"{base}.{index}" or key.startswith(f"{base}.{index}.") for key in form):
        yield f"{base}.{index}"
        index += 1


def from_text(text, shape, where, errors):
    kind = shape.type_name
    if kind in ("integer", "long"):
        if re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", text):
            return int(text)
    elif kind == "boolean":
        if text in ("true", "false"):
            return text == "true"
    elif kind == "string":
        return text
    elif kind == "blob":
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            pass
    else:
        try:
            return float(text) if kind in ("float", "double") else datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            pass
    errors.append(f"{where}: {text!r} is not of type {kind}")
    return text


# --- the input against the model --------------------------------------------------------------------------------------


def compiled(pattern, cache={}):
    """The models' patterns are Java's: the classes are ASCII's, and they mean the whole string."""
    if pattern not in cache:
        # Characters beyond 16 bits, written in ways that no dialect reads as meant.
        readable = pattern
        for written in ("\\u10000-\\u10FFFF", "\\uD800\\uDC00-\\uDBFF\\uDFFF"):
            readable = readable.replace(written, "\\U00010000-\\U0010FFFF")
        # The flag would hold for \p{L} too, which does mean Unicode's letters.
        cache[pattern] = regex.compile(readable, 0 if "\\p" in readable else regex.ASCII)
    return cache[pattern]


def check(value, shape, where, errors, required=False):
    """What botocore's ParamValidator does not look at."""
    kind = shape.type_name
    limits = shape.metadata
    if kind == "structure" and isinstance(value, dict):
        if shape.name == "AttributeValue" and len(value) != 1:
            errors.append(f"{where}: an attribute value has exactly one type, not {len(value)}")
        for name, member in shape.members.items():
            if value.get(name) is not None:
                # Of the input itself; further in, AWS does take empty strings (the value of a tag).
                required = "." not in where and name in shape.required_members
                check(value[name], member, f"{where}.{name}", errors, required)
        return
    if kind == "list" and isinstance(value, list):
        over(len(value), limits, where, "entries", errors)
        for i, inner in enumerate(value):
            check(inner, shape.member, f"{where}[{i}]", errors)
    elif kind == "map" and isinstance(value, dict):
        over(len(value), limits, where, "members", errors)
        for key, inner in value.items():
            check(key, shape.key, f"{where} key", errors)
            check(inner, shape.value, f"{where}.{key}", errors)
    elif kind == "string" and isinstance(value, str):
        over(len(value), limits, where, "characters", errors)
        if value == "" and required:
            errors.append(f"{where}: is required and empty")
        if shape.enum and value not in shape.enum:
            errors.append(f"{where}: {value!r} is not one of {', '.join(shape.enum)}")
        if "pattern" in limits and not compiled(limits["pattern"]).fullmatch(value):
            errors.append(f"{where}: {value!r} does not match {limits['pattern']}")
    elif kind == "blob" and isinstance(value, bytes):
        over(len(value), limits, where, "bytes", errors)
    elif kind in ("integer", "long", "float", "double"):
        if isinstance(value, bool):
            errors.append(f"{where}: a boolean, not a number")
        elif isinstance(value, (int, float)):
            if not math.isfinite(value):
                errors.append(f"{where}: not a finite number")
            if kind == "integer" and not -(2**31) <= value < 2**31:
                errors.append(f"{where}: more than 32 bits")
            over(value, limits, where, "as a number", errors)


def over(size, limits, where, unit, errors):
    for name, outside in (("max", size > limits.get("max", size)), ("min", size < limits.get("min", size))):
        # The minimum of most types is botocore's to find; of maps and blobs it is not.
        if outside and (name == "max" or unit in ("members", "bytes")):
            errors.append(f"{where}: {size} {unit} is beyond the {name}imum of {limits[name]}")


# --- the signature ----------------------------------------------------------------------------------------------------


class ReceivedSigV4(botocore.auth.SigV4Auth):
    """botocore's signer, over exactly the headers that the received request says it signed."""

    def __init__(self, credentials, service, region, signed):
        super().__init__(credentials, service, region)
        self.signed = signed

    def headers_to_sign(self, request):
        chosen = botocore.awsrequest.HTTPHeaders()
        for name, value in request.headers.items():
            if name.lower() in self.signed:
                chosen[name.lower()] = value
        return chosen


AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/([^,\s]+),\s*SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})"
)


def check_signature(model, request, body, errors):
    authorization = AUTHORIZATION.fullmatch(one_header(request, "authorization"))
    if not authorization:
        errors.append("authorization: not a SigV4 header")
        return
    key_id, scope, signed, signature = authorization.groups()
    timestamp = one_header(request, "x-amz-date")
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", timestamp):
        errors.append(f"x-amz-date: {timestamp} is not a time of SigV4")
        return
    service = model.signing_name
    if key_id != request["access_key_id"]:
        errors.append("authorization: signed with another access key")
    expected_scope = f"{timestamp[:8]}/{request['region']}/{service}/aws4_request"
    if scope != expected_scope:
        errors.append(f"authorization: the scope is {scope}, not {expected_scope}")
    tokens = headers_named(request, "x-amz-security-token")
    expected_tokens = [request["session_token"]] if request.get("session_token") else []
    if tokens != expected_tokens:
        errors.append("x-amz-security-token: not the session token of these credentials, once, or absent without one")

    signed_names = signed.split(";")
    if signed_names != sorted(set(signed_names)):
        errors.append("authorization: the signed headers are not in order")
    present = {name.lower() for name, _ in request["headers"]}
    for name in sorted(present):
        if (name in ("host", "content-type") or name.startswith("x-amz-")) and name not in signed_names:
            errors.append(f"authorization: {name} is not signed")
    for name in ["host", *signed_names]:
        if name not in present:
            errors.append(f"authorization: {name} is signed and not there")

    declared = headers_named(request, "x-amz-content-sha256")
    if declared and declared != [hashlib.sha256(body).hexdigest()]:
        errors.append("x-amz-content-sha256: not the hash of the body")

    url = f"http://{one_header(request, 'host')}{request['path']}"
    if request["query"]:
        url = f"{url}?{request['query']}"
    received = botocore.awsrequest.AWSRequest(method=request["method"], url=url, data=body)
    for name, value in request["headers"]:
        received.headers.add_header(name, value)
    received.context["timestamp"] = timestamp
    credentials = botocore.credentials.Credentials(request["access_key_id"], request["secret_access_key"])
    signer = ReceivedSigV4(credentials, service, request["region"], signed_names)
    expected = signer.signature(signer.string_to_sign(received, signer.canonical_request(received)), received)
    if not hmac.compare_digest(expected, signature):
        errors.append("authorization: the signature is not that of this request")


# --- one request ------------------------------------------------------------------------------------------------------


def check_request(request):
    """The result line for one captured request."""
    result = {"service": None, "operation": None, "valid": False, "errors": []}
    errors = result["errors"]
    try:
        result["service"] = request["service"]
        if request["service"] not in SERVICES:
            raise Unreadable(f"service {request['service']} is not one of {', '.join(SERVICES)}")
        model = model_of(request["service"])
        body = base64.b64decode(request["body"], validate=True)
        if request["method"] != "POST":
            errors.append(f"method {request['method']}, not POST")
        if request["path"] != "/" or request["query"]:
            errors.append("the path is not / alone")
        if headers_named(request, "content-length") not in ([], [str(len(body))]):
            errors.append("content-length: not the length of the body")
        check_signature(model, request, body, errors)
        read = read_query if model.metadata["protocol"] == "query" else read_json
        operation, params, problems = read(model, request, body)
        result["operation"] = operation
        errors.extend(problems)
        shape = model.operation_model(operation).input_shape
        if shape is not None:
            report = botocore.validate.ParamValidator().validate(params, shape)
            if report.has_errors():
                errors.extend(report.generate_report().splitlines())
            check(params, shape, operation, errors)
    except Unreadable as error:
        errors.append(str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        errors.append(f"the captured request cannot be read: {type(error).__name__}: {error}")
    result["valid"] = not errors
    return result


def main(lines, out):
    results = []
    for line in lines:
        if not line.strip():
            continue
        try:
            result = check_request(json.loads(line))
        except json.JSONDecodeError as error:
            result = {"service": None, "operation": None, "valid": False, "errors": [f"the line is not JSON: {error}"]}
        results.append(result)
        print(json.dumps(result), file=out, flush=True)
    if not results:
        print("check_aws_requests: no request was read", file=sys.stderr)
    return 0 if results and all(result["valid"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.stdin, sys.stdout))

"""Made-up lines of the broker's log group and of a trail's, for the tests of docs/audit.md. They hold no token and no URL."""

import datetime
import json

REGION = "eu-central-1"
ACCOUNT = "111122223333"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/latchkey"
JANE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/d-abcdefghijkl/jane-doe"
NOTES = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:notebook-instance/research-jane"


def role(name, account=ACCOUNT):
    return f"arn:aws:iam::{account}:role/{name}"


ISSUING, ADMIN = role("latchkey-issuing"), role("admin")


def record(time, decision, code, **more):
    """An audit record; docs/audit.schema.json is its schema."""
    return {
        "event": "latchkey.decision",
        "time": time,
        "request_id": f"request-{time}",
        "action": "mint",
        "decision": decision,
        "code": code,
        "vpc_endpoint": "vpce-0a1b2c3d4e5f60718",
        "source_ip": "10.0.4.17",
        "durations_ms": {"authenticate": 0.4, "total": 61.25},
        "broker_version": "0.1.0",
    } | more


def verified(subject="00u1a2b3", issuer="okta"):
    return {"issuer_id": issuer, "subject": subject, "key_id": "key-1", "key_age_seconds": 120}


def studio(call, subject="00u1a2b3"):
    return {
        "token_id": f"jti-{call}",
        "target": "research",
        "kind": "studio",
        "account": ACCOUNT,
        "region": REGION,
        "resource_arn": JANE,
        "role": ISSUING,
        "source_identity": f"okta.{subject}",
        "aws_request_ids": {"sts": f"sts-{call}", "sagemaker": call},
        "durations_ms": {"authenticate": 0.4, "read_grant": 3.1, "rate_limit": 4.0, "role_session": 21.5, "presign": 32.0, "total": 61.25},
    }


def url(digit):
    return {"url_sha256": digit * 64, "url_seconds": 30, "session_seconds": 28800}


NOTEBOOK = {"target": "notes", "kind": "notebook", "resource_arn": NOTES}

RECORDS = [
    record("2026-11-03T08:00:00.000Z", "allow", "ok", **verified(), **studio("call-1"), **url("1")),
    record("2026-11-03T12:30:00.000Z", "allow", "ok", **verified(), **studio("call-2"), **url("2")),
    record("2026-11-03T12:31:00.000Z", "allow", "ok", **verified(), **(studio("call-3") | NOTEBOOK), **(url("3") | {"url_seconds": 300})),
    record("2026-11-03T12:32:00.000Z", "allow", "ok", **verified(), action="list"),
    # A second address on the same day.
    record("2026-11-03T17:45:00.000Z", "allow", "ok", **verified(), **(studio("call-4") | url("4") | {"source_ip": "10.0.9.9"})),
    record("2026-11-17T09:00:00.000Z", "deny", "not-entitled", reason="grant.expired", target="research", **verified()),
    record("2026-11-17T09:00:05.000Z", "deny", "rate-limited", reason="usage.rate-limited", **verified()),
    # Somebody else, by what a group was granted, and somebody of the same name at another issuer.
    record("2026-11-17T09:01:00.000Z", "allow", "ok", **verified("joe"), **studio("call-5", "joe"), **url("5"), group="research-desk"),
    record("2026-11-17T09:02:00.000Z", "deny", "not-entitled", reason="subject.suspended", **verified(issuer="auth0")),
    # Nobody that is known: what the token claimed is not verified.
    record("2026-11-17T09:03:00.000Z", "deny", "invalid-token", reason="token.expired", issuer_id="okta"),
    record("2026-11-17T09:04:00.000Z", "deny", "invalid-token", reason="token.signature", issuer_id="okta", source_ip="10.0.66.6"),
    record("2026-11-17T09:04:01.000Z", "deny", "invalid-token", reason="token.signature", issuer_id="okta", source_ip="10.0.66.6"),
    record("2026-11-17T09:05:00.000Z", "deny", "not-private", reason="endpoint.not-allowed", action="none", vpc_endpoint="vpce-0fffffffffffffff0"),
    # The call that SageMaker refused is in the trail as well.
    record(
        "2026-11-17T09:06:00.000Z", "deny", "unavailable", reason="sagemaker.access-denied", detail="AccessDeniedException", **verified(), **studio("call-6")
    ),
    record(
        "2026-11-17T09:07:00.000Z",
        "deny",
        "target-not-compliant",
        reason="posture.not-compliant",
        **verified(),
        **(studio("call-7") | {"aws_request_ids": {"posture": ["look-1", "look-2"]}}),
        findings=["domain.not-vpc-only", "domain.no-customer-key"],
    ),
    # A slow one, with every step that there is, of another user. SageMaker did not answer in time.
    record(
        "2026-11-17T09:08:00.000Z",
        "deny",
        "unavailable",
        reason="sagemaker.timeout",
        **verified("joe"),
        **(studio("call-8", "joe") | {"durations_ms": {"authenticate": 0.4, "read_grant": 3.1, "replay": 3.0, "provision": 20.5, "role_session": 21.5, "posture": 44.0, "presign": 3000, "total": 3100.5}}),
    ),
]

# What else is in the broker's log group, with members of the same names.
BESIDES = [
    '{"_aws":{"Timestamp":1793692800000,"CloudWatchMetrics":[]},"code":"ok","Issued":1,"Duration":61.25}',
    '{"level":"WARN","timestamp":"2026-11-03T08:00:00.000Z","service":"latchkey","location":"broker::service","message":"keys are old","issuer":"okta"}',
    '{"level":"ERROR","timestamp":"2026-11-03T08:00:01.000Z","service":"latchkey","location":"broker::service","message":"the issuer\'s keys cannot be had","issuer":"okta","reason":"keys.fetch-timeout"}',
    "START RequestId: 8f5b1c3e-0000-4000-8000-000000000000 Version: $LATEST",
    "REPORT RequestId: 8f5b1c3e-0000-4000-8000-000000000000\tDuration: 61.25 ms\tBilled Duration: 62 ms\tInit Duration: 58.11 ms",
    "2026-11-03T08:00:02.000Z 8f5b1c3e-0000-4000-8000-000000000000 Task timed out after 10.00 seconds",
]

# The other two log groups: of the gateway, whose values are all text, and of the function that fetches keys.
ACCESS = [
    {"event": "latchkey.access", "time": "03/Nov/2026:08:00:00 +0000", "request_id": "a-1", "status": status, "refused_by_gateway": refused, "vpc_endpoint": "vpce-0a1b2c3d4e5f60718", "source_ip": "10.0.4.17"}
    for status, refused in (("200", "-"), ("503", "-"), ("503", "INTEGRATION_FAILURE"), ("403", "ACCESS_DENIED"))
]
KEYS = [
    {"event": "latchkey.keys", "time": "2026-11-03T08:00:00.000Z", "issuer": "okta", "outcome": "kept", "source": "https://idp.example/keys", "key_ids": ["key-1"], "snapshot_age_seconds": 0},
    {"event": "latchkey.keys", "time": "2026-11-03T08:05:00.000Z", "issuer": "okta", "outcome": "failed", "reason": "keys.fetch-timeout", "snapshot_age_seconds": 300},
]


def trail(time, source, name, request_id, who=ADMIN, source_identity=None, error=None, **more):
    """An event as CloudTrail writes it (CloudTrail User Guide, "CloudTrail record contents"). `who` is a role, or a user."""
    event = {"eventVersion": "1.11", "eventTime": time, "eventSource": source, "eventName": name, "awsRegion": REGION, "sourceIPAddress": "10.0.4.17"}
    if ":role/" in who:
        session = {"sessionIssuer": {"type": "Role", "arn": who, "userName": who.rpartition("/")[2]}, "attributes": {"mfaAuthenticated": "false"}}
        if source_identity:
            session["sourceIdentity"] = source_identity
        arn = who.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/session"
        event["userIdentity"] = {"type": "AssumedRole", "arn": arn, "accountId": ACCOUNT, "sessionContext": session}
    else:
        event["userIdentity"] = {"type": "Root" if who.endswith(":root") else "IAMUser", "arn": who, "accountId": ACCOUNT}
    if error:
        event["errorCode"] = error
    return event | {"userAgent": "app/latchkey" if source_identity else "aws-cli/2.31.0", "requestID": request_id, "responseElements": None} | more


def presigned(time, name, request_id, who=ISSUING, source_identity=None, error=None):
    return trail(f"{time}Z", "sagemaker.amazonaws.com", name, request_id, who, source_identity, error, managementEvent=True)


USER = f"arn:aws:iam::{ACCOUNT}:user/mallory"
OTHER = role("latchkey-issuing", "999988887777")

PRESIGNED = [
    presigned("2026-11-03T08:00:00", "CreatePresignedDomainUrl", "call-1", source_identity="okta.00u1a2b3"),
    presigned("2026-11-03T12:30:00", "CreatePresignedDomainUrl", "call-2", source_identity="okta.00u1a2b3"),
    presigned("2026-11-03T12:31:00", "CreatePresignedNotebookInstanceUrl", "call-3", source_identity="okta.00u1a2b3"),
    presigned("2026-11-03T17:45:00", "CreatePresignedDomainUrl", "call-4", source_identity="okta.00u1a2b3"),
    presigned("2026-11-17T09:01:00", "CreatePresignedDomainUrl", "call-5", source_identity="okta.joe"),
    presigned("2026-11-17T09:06:00", "CreatePresignedDomainUrl", "call-6", source_identity="okta.00u1a2b3", error="AccessDenied"),
    # Past the broker: other roles, a user, the root user, the issuing role without saying for whom, one of that name elsewhere.
    presigned("2026-11-20T20:00:00", "CreatePresignedDomainUrl", "past-1", ADMIN),
    presigned("2026-11-20T20:01:00", "CreatePresignedDomainUrl", "past-2", ADMIN, error="AccessDenied"),
    presigned("2026-11-20T20:02:00", "CreatePresignedNotebookInstanceUrl", "past-3", USER),
    presigned("2026-11-20T20:03:00", "CreatePartnerAppPresignedUrl", "past-4", ADMIN, "somebody"),
    presigned("2026-11-20T20:04:00", "CreatePresignedMlflowTrackingServerUrl", "past-5", f"arn:aws:iam::{ACCOUNT}:root"),
    presigned("2026-11-20T20:05:00", "CreatePresignedDomainUrl", "past-6"),
    presigned("2026-11-20T20:06:00", "CreatePresignedMlflowAppUrl", "past-7", OTHER, "okta.00u1a2b3"),
    # As the broker does it, and no record of it: somebody has got hold of the role.
    presigned("2026-11-20T20:07:00", "CreatePresignedDomainUrl", "stolen-1", source_identity="okta.joe"),
    presigned("2026-11-20T20:08:00", "DescribeDomain", "look-1", ADMIN),
    trail("2026-11-20T20:09:00Z", "sts.amazonaws.com", "AssumeRole", "sts-call-1", role("latchkey-broker")),
]


def written(time, name, request_id, who, parameters, error=None, table=TABLE):
    """Data events of DynamoDB's ("Understanding DynamoDB log file entries": keys are there, other values are not)."""
    more = {
        "requestParameters": parameters,
        "readOnly": False,
        "managementEvent": False,
        "eventCategory": "Data",
        "resources": [{"accountId": ACCOUNT, "type": "AWS::DynamoDB::Table", "ARN": table}],
    }
    return trail(f"{time}Z", "dynamodb.amazonaws.com", name, request_id, who, None, error, **more)


def row(pk, sk, table="latchkey", **more):
    return {"tableName": table, "key": {"pk": pk, "sk": sk}} | more


OPERATOR, BROKER, REFRESHER = role("grants"), role("latchkey-broker"), role("latchkey-jwks-refresher")
GRANT = ("SUBJECT#okta#00u1a2b3", "TARGET#research")

WRITES = [
    written("2026-11-02T10:00:00", "PutItem", "write-1", OPERATOR, row(*GRANT, items=["pk", "sk", "kind", "domain_id"])),
    written("2026-11-16T10:00:00", "UpdateItem", "write-2", OPERATOR, row("SUBJECT#okta#00u1a2b3", "SUBJECT", updateExpression="SET #s = :s")),
    written("2026-11-16T10:01:00", "DeleteItem", "write-3", USER, row(*GRANT)),
    written("2026-11-16T10:02:00", "PutItem", "write-4", OPERATOR, row(*GRANT), "ConditionalCheckFailedException"),
    # The function's role may not. If it could, this is how it would look.
    written("2026-11-16T10:03:00", "PutItem", "write-5", BROKER, row(*GRANT), "AccessDenied"),
    # Several rows, or a statement: which rows, the event says in its own way.
    written("2026-11-16T10:04:00", "BatchWriteItem", "write-6", ADMIN, {"requestItems": [{"tableName": "latchkey"}]}),
    written("2026-11-16T10:05:00", "TransactWriteItems", "write-7", ADMIN, {"requestItems": [row(*GRANT, operation="Put")]}),
    written("2026-11-16T10:06:00", "ExecuteStatement", "write-8", ADMIN, {"statement": "DELETE FROM latchkey WHERE pk = 'x' AND sk = 'y'"}),
    written("2026-11-16T10:07:00", "UpdateItem", "write-9", OPERATOR, row("GROUP#okta#research", "GROUP", updateExpression="SET #t.#n = :g")),
    # What the functions do all day: counters, marks of used tokens, keys.
    written("2026-11-16T11:00:00", "UpdateItem", "count-1", BROKER, row("RATE#okta#00u1a2b3", "WINDOW#1")),
    written("2026-11-16T11:00:01", "PutItem", "mark-1", BROKER, row("TOKEN#okta#jti-1", "TOKEN")),
    written("2026-11-16T11:00:02", "PutItem", "keys-1", REFRESHER, row("JWKS#okta", "JWKS")),
    # Reads, and another table.
    written("2026-11-16T11:00:03", "Query", "read-1", BROKER, {"tableName": "latchkey"}),
    written("2026-11-16T11:00:04", "PutItem", "other-1", OPERATOR, row(*GRANT, "latchkey-test"), table=f"{TABLE}-test"),
]


def lines(events, besides=()):
    """Lines of a log group: pairs of a time in milliseconds and a text."""

    def moment(event):
        return int(datetime.datetime.fromisoformat(event.get("time") or event["eventTime"]).timestamp() * 1000)

    return [(moment(event), json.dumps(event)) for event in events] + [(1793692800000, text) for text in besides]


def decisions():
    return lines(RECORDS, BESIDES)


def access():
    return [(1793692800000, json.dumps(line)) for line in ACCESS]


def keys():
    return lines(KEYS)


def trails():
    return lines(PRESIGNED + WRITES)

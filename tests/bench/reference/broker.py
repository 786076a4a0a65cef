"""The broker as the published samples write it: boto3, PyJWT, and AWS's own runtime client for Python (awslambdaric).

It does for a request what the product's default configuration does, call for call: the signature of the token, one Query, the
write that counts against the rate limit, AssumeRole for the user unless a session is there, the presigned URL, a line of log. It
does less than the product does around that, and none of it is a model to copy.
"""

import json
import os
import time

import boto3
import jwt

REGION = os.environ["AWS_REGION"]
ISSUER = json.loads(os.environ["LATCHKEY_ISSUERS"])[0]
KEYS = {key["kid"]: jwt.PyJWK(key) for key in ISSUER["jwks"]["keys"]}
LIMIT, SECONDS = (int(number) for number in os.environ["LATCHKEY_RATE_LIMIT"].split("/"))

table = boto3.client("dynamodb", region_name=REGION)
sts = boto3.client("sts", region_name=REGION)
sessions = {}


def sagemaker_of(user):
    held = sessions.get(user)
    if held and held[1] > time.time() + 300:
        return held[0]
    role = os.environ["LATCHKEY_ROLE_ARN"]
    answer = sts.assume_role(RoleArn=role, RoleSessionName=user, SourceIdentity=user, DurationSeconds=3600)
    credentials = answer["Credentials"]
    client = boto3.client(
        "sagemaker",
        region_name=REGION,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    sessions[user] = client, credentials["Expiration"].timestamp()
    return client


def handler(event, context):
    headers = {name.lower(): value for name, value in event["headers"].items()}
    token = headers["authorization"].removeprefix("Bearer ")
    key = KEYS[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=ISSUER["audiences"], issuer=ISSUER["issuer"])
    user = claims["sub"]
    name = os.environ["LATCHKEY_TABLE"]
    partition = {"S": f"SUBJECT#{ISSUER['id']}#{user}"}

    found = table.query(
        TableName=name, ConsistentRead=True, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": partition}
    )  # fmt: skip
    grants = [grant for grant in found["Items"] if grant["sk"]["S"].startswith("TARGET#")]
    wanted = json.loads(event.get("body") or "{}").get("target")
    grant = next(grant for grant in grants if (grant["sk"]["S"] == f"TARGET#{wanted}" if wanted else grant["default"]["BOOL"]))

    window = int(time.time()) // SECONDS * SECONDS
    table.update_item(
        TableName=name,
        Key={"pk": {"S": f"RATE#{ISSUER['id']}#{user}"}, "sk": {"S": f"WINDOW#{window}"}},
        UpdateExpression="ADD issued :one SET expires_at = :end",
        ConditionExpression="attribute_not_exists(issued) OR issued < :limit",
        ExpressionAttributeValues={":one": {"N": "1"}, ":limit": {"N": str(LIMIT)}, ":end": {"N": str(window + 2 * SECONDS)}},
    )
    url = sagemaker_of(user).create_presigned_domain_url(
        DomainId=grant["domain_id"]["S"], UserProfileName=grant["user_profile_name"]["S"], ExpiresInSeconds=30
    )["AuthorizedUrl"]
    print(json.dumps({"user": user, "request": context.aws_request_id, "decision": "allow"}))
    return {"statusCode": 200, "headers": {"cache-control": "no-store"}, "body": json.dumps({"url": url})}

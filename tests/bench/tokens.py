"""An issuer: its key set, and tokens of it as API Gateway passes them on."""

import base64
import json
import os
import pathlib
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

LAUNCH = (pathlib.Path(__file__).parents[2] / "events" / "launch.json").read_text()
ISSUER = "https://idp.example.com"
AUDIENCE = "latchkey"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size):
    return b64(value.to_bytes(size, "big"))


class Issuer:
    """RS256 as identity providers have it. ES256 where there have to be a hundred thousand tokens: it signs in no time."""

    def __init__(self, algorithm="RS256"):
        self.algorithm = algorithm
        self.key = rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())

    def jwk(self, kid="key-1"):
        numbers = self.key.public_key().public_numbers()
        common = {"kid": kid, "use": "sig", "alg": self.algorithm}
        if self.algorithm == "RS256":
            return {"kty": "RSA", **common, "n": number(numbers.n, 256), "e": number(numbers.e, 3)}
        return {"kty": "EC", "crv": "P-256", **common, "x": number(numbers.x, 32), "y": number(numbers.y, 32)}

    def token(self, subject):
        now = int(time.time())
        header = {"alg": self.algorithm, "kid": "key-1", "typ": "at+jwt"}
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 3600, "jti": os.urandom(16).hex(),
            "client_id": "portal", "scope": "openid url.mint",
        }  # fmt: skip
        signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        if self.algorithm == "RS256":
            signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return f"{signed}.{b64(signature)}"

    def launch(self, subject, target=None):
        """POST /presigned-urls with a token for `subject`, as the function receives it."""
        event = json.loads(LAUNCH.replace("${TOKEN:alice}", self.token(subject)))
        if target:
            event["body"] = json.dumps({"target": target})
        return json.dumps(event)

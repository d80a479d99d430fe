"""AWS KMS and STS for tests: moto behind a door that keeps keys' states, and can misbehave.

moto goes on encrypting and decrypting with keys that are disabled or pending deletion, and gives
multi-Region keys ids that its own ciphertexts cannot hold; the door puts both right, and signs itself:
moto lacks Ed25519, and hashes what is a digest already. Told to, it denies what a key's policy would, or lets callers wait.
"""

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import boto3
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

REGION = "us-east-1"
_USES = frozenset({"Encrypt", "Decrypt", "GenerateDataKey", "ReEncrypt", "Sign"})
_ED25519 = "ECC_NIST_EDWARDS25519"


class KmsServer:
    """A running server, and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.denied: set[str] = set()
        """Operations that the key policy does not allow."""
        self.silent: set[str] = set()
        """Regions that take requests and answer nothing."""
        self.ended = threading.Event()
        self.signing: dict[str, Ed25519PrivateKey | rsa.RSAPrivateKey] = {}

    def client(self, service: str = "kms", region: str = REGION) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def key(self, region: str = REGION, **how: Any) -> str:
        """The ARN of a new key."""
        spec = how.get("KeySpec", "")
        if spec == _ED25519:  # its states are those of another curve's key, which moto has
            how["KeySpec"] = "ECC_NIST_P256"
        arn = str(self.client(region=region).create_key(**how)["KeyMetadata"]["Arn"])
        if spec == _ED25519:
            self.signing[arn] = Ed25519PrivateKey.generate()
        elif spec.startswith("RSA_") and how.get("KeyUsage") == "SIGN_VERIFY":
            self.signing[arn] = rsa.generate_private_key(65537, int(spec.removeprefix("RSA_")))
        return arn

    def log_key(self) -> str:
        """The ARN of a new key that signs as the log's does."""
        return self.key(KeySpec=_ED25519, KeyUsage="SIGN_VERIFY")

    def report_key(self) -> str:
        """The same for reports."""
        return self.key(KeySpec="RSA_3072", KeyUsage="SIGN_VERIFY")

    def signed(self, operation: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """What a key that signs answers; None for what moto answers."""
        key = self.signing.get(body.get("KeyId", ""))
        if key is None or operation not in {"Sign", "GetPublicKey"}:
            return None
        edwards = isinstance(key, Ed25519PrivateKey)
        how = "ED25519_SHA_512" if edwards else "RSASSA_PKCS1_V1_5_SHA_256"
        if operation == "GetPublicKey":
            der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return {
                "KeyId": body["KeyId"],
                "PublicKey": base64.b64encode(der).decode(),
                "KeyUsage": "SIGN_VERIFY",
                "SigningAlgorithms": [
                    "ED25519_PH_SHA_512" if edwards else "RSASSA_PSS_SHA_256",
                    how,
                ],
            }
        message = base64.b64decode(body["Message"])
        assert len(message) <= 4096
        assert (body["SigningAlgorithm"], body["MessageType"]) == (
            how,
            "RAW" if edwards else "DIGEST",
        )
        if isinstance(key, Ed25519PrivateKey):
            signature = key.sign(message)
        else:
            signature = key.sign(message, padding.PKCS1v15(), Prehashed(SHA256()))
        return {
            "KeyId": body["KeyId"],
            "Signature": base64.b64encode(signature).decode(),
            "SigningAlgorithm": how,
        }

    def turn(self, call: str, arn: str, *more: object) -> None:
        """`disable_key` and the like, behind the door: moto's own takes no `mrk-` ids of 36."""
        import moto.kms.models
        from moto.core.models import DEFAULT_ACCOUNT_ID

        backend: Any = moto.kms.models.kms_backends[DEFAULT_ACCOUNT_ID][arn.split(":")[3]]
        getattr(backend, call)(arn.partition("/")[2], *more)

    def names(self, operation: str) -> list[dict[str, Any]]:
        """The requests of one operation."""
        return [body for name, body in self.asked if name == operation]


@contextmanager
def running_kms() -> Iterator[KmsServer]:
    """A KMS on a free port of this machine, empty."""
    import moto.kms.models
    import moto.server
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from werkzeug.serving import make_server

    models: Any = moto.kms.models
    for regions in models.kms_backends.values():
        for backend in regions.values():
            backend.reset()
    server = KmsServer()
    applications: Any = moto.server
    inner = applications.DomainDispatcherApplication(applications.create_backend_app)

    def state(arn: str) -> str:
        region, key_id = arn.split(":")[3], arn.partition("/")[2]
        key = models.kms_backends[DEFAULT_ACCOUNT_ID][region].keys.get(key_id)
        return "gone" if key is None else str(key.key_state)

    def door(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        operation = target.partition(".")[2]
        scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split("/")
        region = scope[2] if len(scope) > 2 else REGION
        body: dict[str, Any] = {}
        if target:
            raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            body = json.loads(raw)
            environ["wsgi.input"] = BytesIO(raw)
            server.asked.append((operation, body))
        if region in server.silent:
            server.ended.wait(20)
        code = ""
        if operation in server.denied:
            code = "AccessDeniedException"
        elif operation in _USES:
            code = {
                "Disabled": "DisabledException",
                "PendingDeletion": "KMSInvalidStateException",
            }.get(state(body["KeyId"]), "")
        if not code:
            ours = server.signed(operation, body)
            if ours is None:
                return inner(environ, start)  # type: ignore[no-any-return]
            start("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
            return [json.dumps(ours).encode()]
        answer = json.dumps({"__type": code, "message": "no"}).encode()
        start("400 Bad Request", [("Content-Type", "application/x-amz-json-1.1")])
        return [answer]

    made = models.generate_key_id
    models.generate_key_id = lambda multi_region=False: (  # as AWS's own: 36 characters
        f"mrk-{secrets.token_hex(16)}" if multi_region else made(multi_region)
    )
    httpd = make_server("127.0.0.1", 0, door, threaded=True)
    httpd.log = lambda *_, **__: None  # type: ignore[method-assign]
    server.url = f"http://127.0.0.1:{httpd.port}"
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()
        models.generate_key_id = made


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)

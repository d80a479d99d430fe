"""Signing keys that are held elsewhere: AWS KMS (API 2014-11-01) and HSMs (OASIS PKCS #11 v3.0).

| for | KMS | HSM |
|---|---|---|
| the log: Ed25519 (RFC 8032) | ECC_NIST_EDWARDS25519, ED25519_SHA_512 over RAW | CKM_EDDSA |
| reports: RSA PKCS#1 v1.5 SHA-256 | RSA_3072 or RSA_4096 | CKM_SHA256_RSA_PKCS |

Invariants: the private key never leaves where it is; nobody whom others wait for asks
(`crypto.asking`, through `guard`); what is wrong with a key is told as it is for those that wrap.
"""

import hashlib
from typing import Any, Literal, Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auditkeep.crypto.providers.hsm import Hsm, HsmKey, able, parse
from auditkeep.crypto.providers.kms import SIGNING_STATES, Kms
from auditkeep.errors import KeyAway, KeyUnusable

T = TypeVar("T")

Kind = Literal["ed25519", "rsa"]

RSA_BITS = 3072
_ED25519_OID = "1.3.101.112"
_ED25519_SIZE = 32
_ALGORITHMS = {"ed25519": "ED25519_SHA_512", "rsa": "RSASSA_PKCS1_V1_5_SHA_256"}
_MOST = 4096
"""Bytes that KMS signs as they are; a note of ours has some hundreds."""


class Held(Protocol):
    """A private key that signs where it is held."""

    @property
    def key_id(self) -> str:
        """Its ARN, or its `pkcs11:` URI."""
        ...

    def public_der(self) -> bytes:
        """Its public half as an SPKI; KeyUnusable where it cannot be had."""
        ...

    def sign(self, data: bytes) -> bytes:
        """A signature as the kind says; KeyUnusable where it cannot be had now."""
        ...


class KmsSigner:
    """A key of AWS KMS that signs."""

    def __init__(self, kms: Kms, arn: str, kind: Kind) -> None:
        self._key = kms.key(arn, SIGNING_STATES)
        self._kind = kind
        self.key_id = arn

    def public_der(self) -> bytes:
        answer = self._key.ask(lambda client, arn: client.get_public_key(KeyId=arn))
        if _ALGORITHMS[self._kind] not in answer.get("SigningAlgorithms", ()):
            raise _unfit(self.key_id, self._kind)
        found: bytes = answer["PublicKey"]
        return found

    def sign(self, data: bytes) -> bytes:
        if self._kind == "rsa":
            message, how = hashlib.sha256(data).digest(), "DIGEST"
        elif len(data) <= _MOST:
            message, how = data, "RAW"
        else:
            raise KeyUnusable(f"AWS KMS signs {_MOST} bytes at most, and these are {len(data):,}.")
        answer = self._key.ask(
            lambda client, arn: client.sign(
                KeyId=arn,
                Message=message,
                MessageType=how,
                SigningAlgorithm=_ALGORITHMS[self._kind],
            )
        )
        signature: bytes = answer["Signature"]
        return signature


class HsmSigner:
    """A key pair in a token: the private half signs, the public half beside it is read."""

    def __init__(self, hsm: Hsm, uri: str, kind: Kind) -> None:
        self._key: HsmKey = hsm.key(uri)
        self._kind = kind
        _, self._label = parse(uri)
        self.key_id = uri

    def public_der(self) -> bytes:
        return self._key.ask(self._public)

    def sign(self, data: bytes) -> bytes:
        import pkcs11  # noqa: PLC0415  # a deployment without an HSM never loads it

        mechanism = pkcs11.Mechanism
        how = mechanism.EDDSA if self._kind == "ed25519" else mechanism.SHA256_RSA_PKCS

        def signed(session: Any) -> bytes:
            key = self._found(session, pkcs11.ObjectClass.PRIVATE_KEY)
            return bytes(able(key, "sign", self.key_id)(data, mechanism=how))

        return self._key.ask(signed)

    def make(self) -> None:
        """Generate the pair in the token, whence the private half never leaves."""
        self._key.forget()  # that there is none is what brings somebody here
        self._key.ask(self._generate)

    def _public(self, session: Any) -> bytes:
        import pkcs11  # noqa: PLC0415

        key = self._found(session, pkcs11.ObjectClass.PUBLIC_KEY)
        if self._kind == "rsa":
            from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

            modulus, exponent = (
                int.from_bytes(key[name], "big")
                for name in (pkcs11.Attribute.MODULUS, pkcs11.Attribute.PUBLIC_EXPONENT)
            )
            return _spki(rsa.RSAPublicNumbers(exponent, modulus).public_key())
        point = bytes(key[pkcs11.Attribute.EC_POINT])  # bare, or as a DER OCTET STRING
        return _spki(Ed25519PublicKey.from_public_bytes(point[-_ED25519_SIZE:]))

    def _generate(self, session: Any) -> None:
        import pkcs11  # noqa: PLC0415
        from pkcs11.util.ec import encode_named_curve_parameters  # noqa: PLC0415

        inside = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False}
        how: dict[str, Any] = {"store": True, "label": self._label, "private_template": inside}
        if self._kind == "rsa":
            session.generate_keypair(pkcs11.KeyType.RSA, RSA_BITS, **how)
            return
        curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(_ED25519_OID)}
        domain = session.create_domain_parameters(pkcs11.KeyType.EC_EDWARDS, curve, local=True)
        domain.generate_keypair(mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN, **how)

    def _found(self, session: Any, half: Any) -> Any:
        import pkcs11  # noqa: PLC0415

        wanted = pkcs11.KeyType.RSA if self._kind == "rsa" else pkcs11.KeyType.EC_EDWARDS
        key = session.get_key(object_class=half, label=self._label)
        if key.key_type != wanted:
            raise _unfit(self.key_id, self._kind)
        return key


def held(name: str, kind: Kind, *, kms: Kms | None, hsm: Hsm | None) -> Held:
    """A key by its name; KeyUnusable where this deployment asks nobody for such."""
    if name.startswith("pkcs11:"):
        if hsm is None:
            raise KeyAway(
                f"The key {name} is in an HSM, and this deployment has none: set "
                "AUDITKEEP_PKCS11_MODULE.",
                "denied",
            )
        return HsmSigner(hsm, name, kind)
    if kms is None:
        raise KeyAway(
            f"The key {name} is in AWS KMS, which this deployment may not ask. Its operator lets "
            "it with AUDITKEEP_KMS=aws.",
            "denied",
        )
    return KmsSigner(kms, name, kind)


def made_if_missing(found: Held) -> bytes:
    """The public half of a key; an HSM that has no such key makes one first."""
    try:
        return found.public_der()
    except KeyAway as error:
        if error.state != "gone" or not isinstance(found, HsmSigner):
            raise
    found.make()
    return found.public_der()


def _spki(key: Any) -> bytes:
    found: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found


def _unfit(key_id: str, kind: Kind) -> KeyAway:
    wanted = (
        "an Ed25519 key for signing (ECC_NIST_EDWARDS25519)"
        if kind == "ed25519"
        else "an RSA key for signing, of 3072 bits or more"
    )
    return KeyAway(f"The key {key_id} is of another kind: {wanted} is needed.", "denied")

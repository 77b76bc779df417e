"""Sign a text and verify signatures: DSSE envelopes with Ed25519 keys, as in-toto and sigstore's tools read them.

The protocol: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlbutler.errors import UsageError
from mlbutler.frozen import frozen
from mlbutler.parsing import Unreadable, parse_json, reading
from mlbutler.variables import SIGNING_KEY

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

TYPE = "application/vnd.in-toto+json"
_MOST_SIGNATURES = 20
_GIVEN = f"{SIGNING_KEY} (or the file that {SIGNING_KEY}_FILE names)"
_MAKE = "Make one with: openssl genpkey -algorithm ed25519"


@frozen
class Envelope:
    """A text that was signed. `signatures`: (id of the key, signature); the id is a hint, and proves nothing."""

    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def signer(self, known: Mapping[str, str]) -> str:
        """Return whose key signed it, '' where none of the known ones did.

        Args:
            known: name -> public key, as `public_key` writes it.

        Raises:
            UsageError: a known key is none.
        """
        from cryptography.exceptions import InvalidSignature

        for name, text in known.items():
            key = _public(name, text)
            for _, signature in self.signatures:
                try:
                    key.verify(signature, _encode_pae(self.payload))
                except InvalidSignature:
                    continue
                return name
        return ""


def sign(payload: bytes, key: str) -> str:
    """Return the envelope of a text, on one line.

    Args:
        key: a private key, as PEM.

    Raises:
        UsageError: it is none, or of another kind.
    """
    private = _private(key)
    signature = private.sign(_encode_pae(payload))
    content = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": TYPE,
        "signatures": [{"keyid": key_id(public_key(key)), "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(content)


def parse_envelope(text: str | bytes) -> Envelope:
    """Return what an envelope holds; who signed it is still to be seen.

    Raises:
        Unreadable: it is none.
    """
    with reading("DSSE envelope"):
        return _parse_envelope(parse_json(text))


def _parse_envelope(found: Any) -> Envelope:
    if found["payloadType"] != TYPE:
        raise Unreadable(f"not an envelope of {TYPE}")
    given = found["signatures"][:_MOST_SIGNATURES]
    signatures = tuple((str(one.get("keyid", ""))[:200], _bytes(one["sig"])) for one in given)
    return Envelope(_bytes(found["payload"]), signatures)


def public_key(key: str) -> str:
    """Return the public key of a private one: its DER form in base64, as a PEM file has it between its two lines.

    Raises:
        UsageError: as `sign`.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = _private(key).public_key()
    return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def key_id(public: str) -> str:
    """Return the id of a public key: the SHA-256 of its DER form."""
    return hashlib.sha256(_bytes(public)).hexdigest()


def _encode_pae(payload: bytes) -> bytes:
    """Return what is signed: the type and the text, with their lengths (PAE)."""
    return b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)


def _private(key: str) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # its words may hold a part of the key
        raise UsageError(f"{_GIVEN} holds no private key in PEM without a password.", _MAKE) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise UsageError(f"{_GIVEN} holds no Ed25519 key.", _MAKE)
    return found


def _public(name: str, text: str) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        found = load_der_public_key(_bytes(text))
    except (ValueError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PublicKey):
        raise UsageError(
            f"verify.signers: the key of '{name}' is not an Ed25519 key.",
            "Write the line between the first and the last one of: openssl pkey -in KEY -pubout",
        )
    return found


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)

"""Signs what we send (DKIM, RFC 6376; Ed25519 by RFC 8463): one header line for each key that the house has configured.

`compose` calls it last, on bytes that were checked already; nothing of a mail's text gets into the line. The headers are
written by ourselves, so their canonical form is simple; `cryptography` signs, thirty times as fast as pure Python.
"""

from __future__ import annotations

import base64
import hashlib
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from rtmail.mail.proof.own_checks import body_hash, tags

SIGNED = ("from", "to", "cc", "subject", "date", "message-id", "reply-to", "in-reply-to", "references", "mime-version", "content-type",
          "content-transfer-encoding", "auto-submitted")
"""Header fields that are signed where they stand, and once more, so that nobody can add another."""
SMALLEST_RSA = 1024
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True, slots=True)
class Signer:
    """A key of the house: `pem` is an RSA or Ed25519 private key, its public half stands at SELECTOR._domainkey.DOMAIN."""

    domain: str
    selector: str
    pem: bytes

    def __repr__(self) -> str:
        return f"Signer({self.domain!r}, {self.selector!r})"


def check_key(pem: bytes) -> str:
    """Return what sort of key it is, "rsa" or "ed25519". Raises ValueError saying what is wrong with it."""
    return _key(pem)[0]


def public_record(pem: bytes) -> str:
    """Return the TXT record that belongs into DNS for this key. Raises ValueError."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    kind, key = _key(pem)
    form = (Encoding.Raw, PublicFormat.Raw) if kind == "ed25519" else (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k={kind}; p={base64.b64encode(key.public_key().public_bytes(*form)).decode()}"


def fault(record: str, pem: bytes) -> str:
    """Return why nobody who reads `record` in DNS can verify what `pem` signs (RFC 6376 3.6.1); "" when all can. Raises ValueError."""
    there, ours = tags(record), tags(public_record(pem))
    if there.get("v", "DKIM1") != "DKIM1":
        return "no DKIM record"
    if not there.get("p"):
        return "a key that was taken back"
    if (there.get("k", "rsa").lower(), there["p"]) != (ours["k"], ours["p"]):
        return "another key"
    for name, wanted, said in (("s", {"*", "email"}, "a key that is not for mail"), ("h", {"sha256"}, "a key that is not for SHA-256")):
        if there.get(name) and not wanted & set(there[name].lower().split(":")):
            return said
    return "a key that is only tried out (t=y)" if "y" in there.get("t", "").split(":") else ""


def sign(raw: bytes, signers: Sequence[Signer], at: datetime) -> bytes:
    """Return `raw` with a DKIM-Signature on top for each signer, the first one uppermost.

    raw  CRLF only, its header written by `wire`
    at   aware; the instant that the signature names
    """
    if not signers:
        return raw
    head, _, _ = raw.partition(b"\r\n\r\n")
    fields = _fields(head)
    digest = base64.b64encode(body_hash(raw, len(head) + 4, relaxed=True)).decode()
    lines = [_line(signer, fields, digest, int(at.timestamp())) for signer in signers]
    return b"".join(lines) + raw


def _line(signer: Signer, fields: Sequence[tuple[str, str]], digest: str, at: int) -> bytes:
    kind, key = _key(signer.pem)
    covered = [*(name for name, _ in fields if name in SIGNED), *SIGNED]
    names = textwrap.wrap(": ".join(covered), 70, break_on_hyphens=False, break_long_words=False)
    written = [f"v=1; a={kind}-sha256; c=relaxed/relaxed; d={signer.domain}; s={signer.selector};", f"t={at};", f"bh={digest};",
               "h=" + names[0], *names[1:]]
    # Between two names a blank stands at the end of a line only; there its canonical form has one as well (3.4.2).
    written = [re.sub(r": (?=.)", ":", line) for line in written]
    written[-1] += ";"
    left, said = list(fields), []
    # Of a name that stands twice the lowest is taken first (5.4.2); one that does not stand there adds nothing.
    for name in covered:
        place = next((index for index in range(len(left) - 1, -1, -1) if left[index][0] == name), None)
        if place is not None:
            said.append("{}:{}\r\n".format(*left.pop(place)))
    data = ("".join(said) + "dkim-signature:" + " ".join([*written, "b="])).encode()
    signature = base64.b64encode(_signed(kind, key, data)).decode()
    pieces = [signature[start : start + 70] for start in range(0, len(signature), 70)]
    return ("DKIM-Signature: " + "\r\n\t".join([*written, "b=" + pieces[0], *pieces[1:]]) + "\r\n").encode()


def _signed(kind: str, key: Any, data: bytes) -> bytes:
    if kind == "ed25519":
        return bytes(key.sign(hashlib.sha256(data).digest()))
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    return bytes(key.sign(data, PKCS1v15(), SHA256()))


def _fields(head: bytes) -> list[tuple[str, str]]:
    """Return the header in its relaxed form: names in lower case, unfolded, blanks collapsed (3.4.2)."""
    lines = re.sub(rb"\r\n(?=[ \t])", b"", head).decode().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return [(name.strip().lower(), re.sub(r"[ \t]+", " ", value).strip()) for name, _, value in pairs]


@cache
def _key(pem: bytes) -> tuple[str, Any]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise ValueError("no private key in PEM, or one with a passphrase") from error
    if isinstance(key, Ed25519PrivateKey):
        return "ed25519", key
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("neither an RSA nor an Ed25519 key")
    if key.key_size < SMALLEST_RSA:
        raise ValueError(f"an RSA key of {key.key_size} bits, which nobody believes")
    return "rsa", key

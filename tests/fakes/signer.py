"""A sender's mail server that signs: DKIM with RSA and Ed25519, and ARC; its public keys go into a zone."""

from __future__ import annotations

import base64
from functools import cache

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from tests.fakes.dnszone import Records


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


def rsa_record(bits: int = 2048, flags: str = "") -> str:
    public = rsa_key(bits).public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; {flags}p={base64.b64encode(public).decode()}"


def ed_record() -> str:
    public = ed_key().public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"


def ed_secret() -> bytes:
    private = ed_key().private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    return base64.b64encode(private)


def signed(raw: bytes, domain: str = "acme.example", selector: str = "s1", *, bits: int = 2048, ed: bool = False, **given: object) -> bytes:
    """Return `raw` with a DKIM-Signature on top; `given` goes to dkimpy (length, include_headers, canonicalize, identity)."""
    algorithm, key = (b"ed25519-sha256", ed_secret()) if ed else (given.pop("algorithm", b"rsa-sha256"), pem(rsa_key(bits)))
    made: bytes = dkim.sign(raw, selector.encode(), domain.encode(), key, signature_algorithm=algorithm, **given)
    return made + raw


def sealed(raw: bytes, domain: str = "group.example", authserv_id: str = "mx.group.example", selector: str = "arc") -> bytes:
    """Return `raw` with an ARC set on top, made of the Authentication-Results of `authserv_id` in it."""
    made = dkim.arc_sign(raw, selector.encode(), domain.encode(), pem(rsa_key(2048)), authserv_id.encode())
    assert made
    return b"".join(made) + raw


def keys(domain: str = "acme.example", *, flags: str = "") -> Records:
    return {
        (f"s1._domainkey.{domain}", "TXT"): (rsa_record(flags=flags),),
        (f"ed._domainkey.{domain}", "TXT"): (ed_record(),),
        (f"small._domainkey.{domain}", "TXT"): (rsa_record(1024),),
    }

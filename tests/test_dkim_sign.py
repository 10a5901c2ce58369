"""Outgoing mail is signed with every key that is configured, and dkimpy, another's code, verifies it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmail import config
from rtmail.errors import ConfigError
from rtmail.mail.headers import scan
from rtmail.mail.model import Answers, Proof
from rtmail.mail.proof import own_checks
from rtmail.mail.writing.dkim_sign import SIGNED, Signer, check_key, public_record, sign
from tests.fakes.daemon import SECRET, Running
from tests.fakes.house import House, blueprint, mail
from tests.fakes.signer import ed_key, pem, rsa_key

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ED = ed_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
RSA = pem(rsa_key(2048))
BOTH = (Signer("example.com", "rsa1", RSA), Signer("example.com", "ed1", ED))
TXT = {"rsa1._domainkey.example.com": public_record(RSA), "ed1._domainkey.example.com": public_record(ED)}


def verified(raw: bytes, number: int) -> bool:
    """What dkimpy says of one signature; the clock of these tests is not its own, so the future must be allowed to it."""
    said: bool = dkim.DKIM(raw).verify(number, dnsfunc=lambda name, timeout=5: TXT[name.decode().rstrip(".")].encode())
    return said


def now() -> datetime:
    return datetime.now(UTC)


def test_another_code_verifies_both() -> None:
    raw = sign(mail(sender="Example <support@example.com>", to="bob@acme.example"), BOTH, now())
    assert raw.count(b"DKIM-Signature:") == 2
    assert verified(raw, 0)
    assert verified(raw, 1)
    assert max(map(len, raw.split(b"\r\n"))) < 120


@pytest.mark.parametrize("change", [(b"Subject: ", b"Subject: No, "), (b"It is", b"It was"), (b"From:", b"Cc: evil@evil.example\r\nFrom:"),
                                    (b"From:", b"Reply-To: evil@evil.example\r\nFrom:"), (b"From:", b"Subject: Another\r\nFrom:")])
def test_nothing_can_be_changed_or_added(change: tuple[bytes, bytes]) -> None:
    raw = sign(mail(sender="Example <support@example.com>", to="bob@acme.example"), BOTH, now()).replace(*change, 1)
    for number in (0, 1):
        with pytest.raises(dkim.ValidationError, match="body hash") if change[0] == b"It is" else _broken():
            assert verified(raw, number)


class _broken:  # noqa: N801  (reads as what is expected)
    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, *_: object) -> bool:
        assert kind is AssertionError, "it still verifies"
        return True


def test_the_same_arguments_give_the_same_bytes() -> None:
    raw = mail()
    assert sign(raw, BOTH, AT) == sign(raw, BOTH, AT)
    assert sign(raw, (), AT) == raw


TEXT = st.text(alphabet="ab: \t;=,<>@\"", max_size=60)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*SIGNED, "x-other"]), TEXT), max_size=6), st.text(alphabet="ab \t\n.", max_size=40))
def test_any_header_and_body_verify(fields: list[tuple[str, str]], text: str) -> None:
    head = "From: a@example.com\r\n" + "".join(f"{name}: {value.strip() or 'x'}\r\n" for name, value in fields if name != "from")
    raw = sign((head + "\r\n" + text.replace("\n", "\r\n") + "\r\n").encode(), BOTH, now())
    assert verified(raw, 0)
    assert verified(raw, 1)


def test_every_mail_of_a_house_is_signed_and_aligned(tmp_path: Path) -> None:
    from dataclasses import replace

    house = House(tmp_path, replace(blueprint(), signers=BOTH), now=now())
    try:
        house.receive(mail(subject="Grüße aus Köln, mit einem langen Betreff, der gewiss umgebrochen werden muss, weil er so lang ist"))
        sent = house.sent()
        assert {one.item.template for one in sent} >= {"acknowledgement", "opened"}
        for one in sent:
            raw = one.item.raw
            assert verified(raw, 0), one
            assert verified(raw, 1), one
            fields = scan(raw, 0, len(raw))
            answers = Answers({name: (text,) for name, text in TXT.items()} | {"_dmarc.example.com": ("v=DMARC1; p=reject",)})
            assert own_checks.verify(raw, fields.fields, fields.body_at, "support@example.com", answers)[0] is Proof.DMARC_PASS
            assert message_from_bytes(raw).keys().count("DKIM-Signature") == 2
    finally:
        house.close()


def test_keys_are_checked(tmp_path: Path) -> None:
    assert (check_key(RSA), check_key(ED)) == ("rsa", "ed25519")
    curve = ec.generate_private_key(ec.SECP256R1())
    other = curve.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for wrong in (b"", b"nonsense", base64.b64encode(b"x" * 32), other, pem(rsa_key(1024)).replace(b"M", b"N", 5)):
        with pytest.raises(ValueError):
            check_key(wrong)
    assert "PRIVATE" not in repr(BOTH)


def test_a_config_signs(tmp_path: Path) -> None:
    daemon = Running(tmp_path)
    folder = daemon.config.parent
    text = daemon.config.read_text()
    (folder / "dkim").mkdir()
    key = folder / "dkim" / "r.pem"
    key.write_bytes(RSA)
    key.chmod(0o600)
    daemon.config.write_text(text + '\n[dkim.rsa1]\nkey = "dkim/r.pem"\n')
    (signer,) = config.load(daemon.config, {"RTMAIL_SECRET_KEY": SECRET}).signers()
    assert (signer.domain, signer.selector) == ("example.com", "rsa1")
    assert f"rsa1._domainkey.example.com TXT {public_record(RSA)}" in daemon.cli("check")
    for wrong, said in (('[dkim.rsa1]\nkey = "dkim/none.pem"', "cannot be read"),
                        ('[dkim.rsa1]\nkey = "rtmail.toml"', "no key to sign with"),
                        ('[dkim."a_b"]\nkey = "dkim/r.pem"', "no selector"),
                        ('[dkim.rsa1]\nkey = "dkim/r.pem"\ndomain = "evil.example"', "says nothing about mail from"),
                        ("[dkim.rsa1]", "key")):
        daemon.config.write_text(f"{text}\n{wrong}\n")
        with pytest.raises(ConfigError, match=said):
            config.load(daemon.config, {"RTMAIL_SECRET_KEY": SECRET})
    key.chmod(0o644)
    daemon.config.write_text(text + '\n[dkim.rsa1]\nkey = "dkim/r.pem"\n')
    with pytest.raises(ConfigError, match="others can read"):
        config.load(daemon.config, {"RTMAIL_SECRET_KEY": SECRET})

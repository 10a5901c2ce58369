"""The stub of a mail that could not be read: sender, subject and the beginning of a plain text, by small and bounded steps.

Made by `message` of what stops it, and by whoever got no answer from a reader: the engine, the import, `rtmail read`.
"""

from __future__ import annotations

import hashlib
import re

from rtmail.mail import address
from rtmail.mail.fields import LOOP_HEADER, OWN_PREFIX, date_of, ids_in
from rtmail.mail.headers import clean, scan, text_of
from rtmail.mail.model import Address, Envelope, Mail, Proof
from rtmail.mail.reading import robots
from rtmail.mail.reading.fingerprint import fingerprint_of
from rtmail.mail.reading.outline import tags
from rtmail.mail.reading.structure import MAIL_BYTES
from rtmail.mail.site import Site

TEXT_BYTES = 20_000
FIELD_CHARS = 500
_SPEC = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}")


def stub_of(raw: bytes, envelope: Envelope, site: Site, defect: str) -> Mail:
    """Return what a small scanner finds in a mail whose reading failed or was stopped; `defect` says how.

    Runs in the daemon, on a mail that has just killed a reader: only linear, bounded steps, no MIME, no library. Nobody
    is identified by it, and no automatic answer goes to what shows a robot's header.
    """
    block = scan(raw, 0, min(len(raw), MAIL_BYTES))
    values: dict[str, str] = {}
    for entry in block.fields:
        values.setdefault(entry.name.lower(), entry.value[:FIELD_CHARS].decode("utf-8", "replace"))
    found = _SPEC.search(values.get("from", ""))
    sender = Address(address.normalise(found[0]) if found else "")
    subject = text_of(re.sub(r"[\r\n]+", "", values.get("subject", "")))
    own = site.domain.lower() in values.get(LOOP_HEADER, "").lower().split()
    headers = {name: (clean(value),) for name, value in values.items() if not name.startswith(OWN_PREFIX)}
    verdict = robots.classify(robots.Facts(headers, sender.spec, subject, envelope_sender=envelope.sender, own=own))
    readable = values.get("content-type", "text/plain").lower().startswith("text/plain") and "content-transfer-encoding" not in values
    text = raw[block.body_at : block.body_at + TEXT_BYTES].decode("utf-8", "replace") if readable else ""
    text = "\n".join(clean(line) for line in text.splitlines())
    ids = ids_in([values.get("message-id", "")])
    date = date_of(values.get("date", ""))
    whole = hashlib.sha256(raw[block.body_at :].replace(b"\r\n", b"\n").strip()).hexdigest()
    return Mail(
        message_id=ids[0] if ids else "",
        date=date,
        subject=subject,
        sender=sender,
        identity="",
        reply_to=(),
        to=tuple(Address(spec) for spec in map(address.normalise, _SPEC.findall(values.get("to", ""))) if spec),
        cc=tuple(Address(spec) for spec in map(address.normalise, _SPEC.findall(values.get("cc", ""))) if spec),
        in_reply_to=ids_in([values.get("in-reply-to", "")]),
        references=ids_in([values.get("references", "")]),
        text=text,
        reply_text=text,
        attachments=(),
        kind=verdict.kind,
        answerable=verdict.answerable,
        reason=verdict.reason,
        bounce=None,
        forwarded=None,
        marks=(),
        tags=tags(subject, site),
        reply_prefix=False,
        proof=Proof.NONE,
        proof_reason="not read",
        fingerprint=fingerprint_of(sender.spec, date, values.get("date", ""), subject, whole),
        own=own,
        headers=headers,
        defects=(defect,),
    )

"""The tables of a policy about fields -> values: `[fields.NAME]` and `[[rules]]`. Called by `policy.schema`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from rtmail.policy.fields import ANYTHING, NEEDING, NO, YES, By, Condition, Field, FieldKind, Rule
from rtmail.policy.model import Priority
from rtmail.policy.table import Table, suggestion

MOST_FIELDS, MOST_CHOICES = 30, 40
_LABEL = re.compile(r"[^\W\d_][^:=()\n]{0,39}")
_CHOICE = re.compile(r"[^\n,;|]{1,60}")
_KEY = re.compile(r"[a-z][a-z0-9_-]{0,30}")


def fields(top: Table) -> dict[str, Field]:
    """Return the fields by key, in the order of the file, which is that of the form."""
    tables = top.table("fields")
    found: dict[str, Field] = {}
    named: dict[str, str] = {}
    for key in tables.values:
        table = tables.table(key)
        if not _KEY.fullmatch(key):
            tables.complain(key, f"{key!r} cannot name a field", 'write lower case letters, digits, "-" and "_": [fields.product-version]')
        one = _field(key, table, found)
        for name in one.names():
            other = named.setdefault(folded(name), key)
            if other != key:
                table.complain(None, f"{other} and {key} are both called {name!r}", "give each field names of its own")
        found[key] = one
    if len(found) > MOST_FIELDS:
        tables.complain(None, f"there are {len(found)} fields", f"nobody fills in more than {MOST_FIELDS}: leave some out")
    return found


def folded(name: str) -> str:
    """Return a name as names are compared: its letters and digits, without case."""
    return "".join(character for character in name.casefold() if character.isalnum())


def _field(key: str, table: Table, before: Mapping[str, Field]) -> Field:
    kind, by = table.choice("kind", FieldKind.TEXT), table.choice("by", By.CUSTOMER)
    labels = {"": table.text("label", key.replace("-", " ").replace("_", " ").capitalize())}
    labels |= {name: table.text(name) for name in table.values if _is_language(name)}
    also = table.names("also")
    for name, label in [*labels.items(), *(("also", one) for one in also)]:
        if not _LABEL.fullmatch(label):
            table.complain(name or "label", f"{table.named(name or 'label')} is {label!r}",
                           "write at most 40 characters that begin with a letter, without : = ( )")
    choices, shown = _choices(table, kind)
    needed = table.names("needed_to")
    for one in needed:
        if one not in NEEDING:
            table.complain("needed_to", f"{table.named('needed_to')} names {one!r}",
                           'write "resolve", "close", "bug" or several; what a hand-over needs stands in [hand_over.NAME]')
    known = {**before}
    found = Field(
        key=key, kind=kind, labels=labels, also=also, choices=choices, shown=shown, required=table.flag("required", False), by=by,
        queues=table.names("queues"), when=condition(table, known), public=table.flag("public", by is By.CUSTOMER),
        listed=table.flag("listed", False), reported=table.flag("reported", False), needed_to=frozenset(needed),
    )
    if found.reported and not choices:
        table.complain("reported", "what everybody writes in words of his own cannot be counted", 'write kind = "choice" or "choices"')
    if by is By.STAFF and found.required:
        table.complain("required", "staff are asked for nothing at intake", 'write needed_to = "resolve"')
    if by is By.CUSTOMER and not found.public:
        table.complain("public", "a customer cannot be kept from what he wrote himself", 'leave it out, or write by = "staff"')
    table.done()
    return found


def _is_language(name: str) -> bool:
    return len(name) == 2 and name.isalpha() and name.islower() and name != "by"


def _choices(table: Table, kind: FieldKind) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    if kind is FieldKind.CONFIRM:
        return (YES, NO), {"de": ("ja", "nein"), "uk": ("так", "ні")}
    choices = table.names("choices")
    shown = {name[8:]: table.names(name) for name in table.values if re.fullmatch(r"choices_[a-z]{2}", name)}
    if kind is FieldKind.TEXT:
        if choices or shown:
            table.complain("choices", f"{table.named('choices')} has no meaning in a text", 'write kind = "choice" or "choices"')
        return (), {}
    if not choices:
        table.complain(None, f"{table.named('choices')} is missing", 'write choices = ["Production", "Test"]')
    if len(choices) > MOST_CHOICES:
        table.complain("choices", f"there are {len(choices)} choices", f"write at most {MOST_CHOICES}, or ask for a text")
    for name, listed in [("choices", choices), *((f"choices_{language}", some) for language, some in shown.items())]:
        for one in listed:
            if not _CHOICE.fullmatch(one.strip()) or one == ANYTHING:
                table.complain(name, f"{one!r} cannot be a choice", "write at most 60 characters, without commas, semicolons or |")
        if len({folded(one) for one in listed}) != len(listed):
            table.complain(name, f"{table.named(name)} has the same choice twice", "leave one out")
        if len(listed) != len(choices):
            what = f"{table.named(name)} has {len(listed)} choices, not {len(choices)}"
            table.complain(name, what, "write each of them, in the same order")
    return choices, {name: some for name, some in shown.items() if len(some) == len(choices)}


def condition(table: Table, known: Mapping[str, Field], key: str = "when") -> Condition:
    """Return what `when = {environment = "Production"}` says; the fields it speaks of must be `known`."""
    below = table.table(key)
    wanted = {}
    for name in below.values:
        values = below.names(name)
        one = known.get(name)
        if one is None:
            below.complain(name, f"{below.named(name)} names no field above it", suggestion(name, known, "write the field first"))
        for value in values:
            if one and one.choices and value not in one.choices and value != ANYTHING:
                below.complain(name, f"{below.named(name)} names no choice: {value!r}", suggestion(value, one.choices))
        wanted[name] = values
    return Condition(wanted)


def rules(top: Table, known: Mapping[str, Field], priorities: Collection[str] | Mapping[str, Priority]) -> tuple[Rule, ...]:
    """Return the rules in their order."""
    found = []
    for table in top.tables("rules"):
        rule = Rule(condition(table, known), table.text("priority"), table.text("mark"))
        if not rule.when.wanted:
            table.complain(None, "a rule says not when", 'write when = {environment = "Production"}')
        if rule.priority and rule.priority not in priorities:
            table.complain("priority", f"rules.priority names no priority: {rule.priority!r}", suggestion(rule.priority, priorities))
        if not (rule.priority or rule.mark):
            table.complain(None, "nothing follows from a rule", 'write priority = "P1", or mark = "hardware"')
        table.done()
        found.append(rule)
    return tuple(found)

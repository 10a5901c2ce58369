"""What is known of a request beside its words, as a policy asks for it: fields that customers fill in, fields that staff fill in.

Values only, built by `policy.field_rules` from TOML. `desk.forms` reads answers by them, `desk.filling` keeps those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Value = str | tuple[str, ...]
"""What a field holds: a text or one choice (a confirmation is "yes" or "no"), or several choices."""
YES, NO = "yes", "no"
ANYTHING = "*"
"""In a condition: any value at all."""
NEEDING = frozenset({"resolve", "close", "bug"})
"""What may need a field besides intake: resolving or closing a request, raising a bug; hand-overs name theirs themselves."""


class FieldKind(StrEnum):
    TEXT = "text"
    CHOICE = "choice"
    CHOICES = "choices"
    CONFIRM = "confirm"


class By(StrEnum):
    """Who is asked for a field."""

    CUSTOMER = "customer"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Condition:
    """Fields and the values of which one must be there; all of them must hold. An empty one always does."""

    wanted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def holds(self, values: Mapping[str, Value]) -> bool:
        return all(_among(values.get(name, ()), wanted) for name, wanted in self.wanted.items())


def _among(value: Value, wanted: tuple[str, ...]) -> bool:
    held = (value,) if isinstance(value, str) else value
    return bool(held) and (ANYTHING in wanted or any(one in wanted for one in held))


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    labels     its name as people read and write it, by language ("" for any other)
    also       other names by which people know it
    choices    as they are kept; `shown` by language, in the same order
    required   asked for until it is there; a confirmation until it is "yes"
    queues     in which it is asked; none: in all
    when       it is asked only where this holds
    public     what staff fill in may be read by the customer; what he fills in himself always is
    listed     stands in lists; reported: counted in the weekly mail
    needed_to  what staff cannot do without it (`NEEDING`)
    """

    key: str
    kind: FieldKind
    labels: Mapping[str, str]
    also: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    shown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    required: bool = False
    by: By = By.CUSTOMER
    queues: tuple[str, ...] = ()
    when: Condition = Condition()
    public: bool = True
    listed: bool = False
    reported: bool = False
    needed_to: frozenset[str] = frozenset()

    def label(self, language: str) -> str:
        return self.labels.get(language.partition("-")[0], "") or self.labels[""]

    def names(self) -> tuple[str, ...]:
        """Everything by which people may name it."""
        return (*dict.fromkeys((*self.labels.values(), *self.also, self.key)),)

    def choices_in(self, language: str) -> tuple[str, ...]:
        return self.shown.get(language.partition("-")[0]) or self.choices

    def say(self, value: Value, language: str) -> str:
        """Return a value as a reader of `language` knows it."""
        names = dict(zip(self.choices, self.choices_in(language), strict=True))
        return names.get(value, value) if isinstance(value, str) else ", ".join(names.get(one, one) for one in value)

    def filled(self, values: Mapping[str, Value]) -> bool:
        value = values.get(self.key, "")
        return value == YES if self.kind is FieldKind.CONFIRM and self.required else bool(value)


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows once the values that a customer gave are so: a priority that he thereby names, a mark on the request."""

    when: Condition
    priority: str = ""
    mark: str = ""

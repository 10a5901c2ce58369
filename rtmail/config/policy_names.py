"""Names in a policy that only the config and the commands know: roles, queues, and fields that are called like a command."""

from __future__ import annotations

from collections.abc import Collection

from rtmail.config.reading import suggestion
from rtmail.config.sections import Tables
from rtmail.desk.grammar.registry import KEYS, WORDS, plain
from rtmail.errors import Problem
from rtmail.policy.fields import By
from rtmail.policy.lines import locate
from rtmail.policy.model import Policy


def problems(policy: Policy, file: str, tables: Tables, used_by: Collection[str]) -> list[Problem]:
    """Return what a policy names that there is not, that is there already, or that can do nothing; `used_by`: the queues with it."""
    return [
        *_unknown_roles(policy, file, [*tables.roles, *tables.people]),
        *_outsiders(policy, file, tables, used_by),
        *_fields(policy, file, tables.queues),
        *_after_hours(policy, file, tables.queues),
    ]


def _unknown_roles(policy: Policy, file: str, known: Collection[str]) -> list[Problem]:
    return [
        Problem(file, line, f"nobody is {role!r}", suggestion(role, list(known), f'add [roles.{role}] with person = "…" to rtmail.toml'))
        for role, line in policy.roles.items()
        if role not in known
    ]


def _outsiders(policy: Policy, file: str, tables: Tables, used_by: Collection[str]) -> list[Problem]:
    """Whom the policy tells by name must be able to answer, in each queue that goes by it."""
    holders = {person for role in tables.roles.values() for person in (role.person, role.deputy)}
    found = []
    for key, line in policy.roles.items():
        person = tables.people.get(key)
        if person is None or key in tables.roles or key in holders or "manager" in person.rights:
            continue
        foreign = [queue for queue in used_by if "engineer" not in person.rights or (person.queues and queue not in person.queues)]
        if foreign:
            cure = f'write [roles.NAME] with person = "{key}" in rtmail.toml and tell = "NAME" here, or give him the right manager'
            found.append(Problem(file, line, f"{key} is told of requests in {foreign[0]}, and may do nothing there", cure))
    return found


def _fields(policy: Policy, file: str, queues: Collection[str]) -> list[Problem]:
    lines, found = locate(policy.text), []
    for key, one in policy.fields.items():
        line = lines.get(("fields", key), 1)
        # A customer's line is no command. Staff, whose line would be one, have the field's other names.
        names = one.names() if one.by is By.STAFF else tuple(name for name in one.names() if name not in one.also)
        for name in names:
            if plain(name) in KEYS or plain(name) in WORDS:
                cure = "give it a longer name: what staff write as a line would be the command"
                found.append(Problem(file, line, f"the field {key} is called {name!r}, as a command is", cure))
        found += [
            Problem(file, line, f"the field {key} is asked in no queue {queue!r}", suggestion(queue, list(queues), "name a queue"))
            for queue in one.queues
            if queue not in queues
        ]
    found += [
        Problem(file, lines.get(("hand_over", name, "queue"), 1), f"there is no queue {tier.queue!r} to hand over to",
                suggestion(tier.queue, list(queues), "name a queue"))
        for name, tier in policy.hand_over.items()
        if tier.queue and tier.queue not in queues
    ]
    return found


def _after_hours(policy: Policy, file: str, queues: Collection[str]) -> list[Problem]:
    line = locate(policy.text).get(("after_hours", "queues"), 1)
    return [
        Problem(file, line, f"there is no queue {queue!r} whose mail is critical after hours",
                suggestion(queue, list(queues), "name a queue"))
        for queue in (policy.after_hours.queues if policy.after_hours else ())
        if queue not in queues
    ]

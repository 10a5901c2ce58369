"""Builds what runs from a config: store, engine's blueprint, relay. Used by the daemon and by every command that acts."""

from __future__ import annotations

from rtmail.config import Config
from rtmail.egress import relay
from rtmail.engine.office import Blueprint, Caps
from rtmail.mail.templates import Templates
from rtmail.store import Store


def open_store(config: Config) -> Store:
    """Return the opened store; makes the state folder. Raises SchemaError, Deferred or OSError."""
    config.make_state()
    store = Store(config.store_url, config.state)
    store.open()
    store.start_numbers_at(config.settings.first_number)
    return store


def blueprint(config: Config) -> Blueprint:
    """Return what the engine works by. Raises ConfigError."""
    policies = config.policies()
    caps = config.caps
    return Blueprint(
        site=config.site(),
        directory=config.directory(),
        keyring=config.keyring(),
        templates=Templates(config.templates(), config.settings.timezone, config.settings.language),
        policies={name: policies[queue.policy] for name, queue in config.queues.items()},
        caps=Caps(per_address=caps.per_address, overall=caps.overall, window=caps.window),
        retry_for=config.relay.retry_for,
    )


def make_relay(config: Config) -> relay.Relay:
    """Return the relay that the config names. Raises ValueError or OSError."""
    ca_file = config.path(config.relay.ca_file)
    return relay.make_relay(
        relay.Settings(
            url=config.relay_url, hostname=config.relay_hostname, password=config.relay_password, ca_file=str(ca_file) if ca_file else ""
        ),
        config.state,
    )

"""How much of us a peer may use: connections, bytes on their way, memory at commit.

The listeners ask here before they give anything; all counting is in memory, since what it guards dies with the
process. Built once by the daemon and shared by every listener, so that SMTP and LMTP together stay below one ceiling
(aiosmtpd has no cap of its own).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from rtmail.ingress.crowding import Leaver, least_missed

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a listener allows. Sizes are bytes, times are seconds.

    message_bytes        announced as SIZE, checked at MAIL and while DATA flows
    line_bytes           longest line of content; real mail from PHP and Outlook passes 1,000
    hops                 Received fields before a mail counts as looping
    recipients           RCPT per mail; the rest is told 452 and comes in a second transaction
    connections          at once, over all; per_address and per_network (/24, /64) spare the networks of `exempt`
    errors               5xx replies before the session ends
    idle_commands        commands that lead to no mail, since the last one kept
    bogus                aiosmtpd itself ends a session after five unknown commands
    command_seconds      from connect, or the last mail kept, until DATA begins
    idle_seconds         silence, before and within DATA
    data_seconds         for one DATA phase, however steadily it flows
    rate_bytes           least bytes a second of a DATA phase, once grace_seconds are over
    flight_bytes         content received and not yet kept, over all sessions
    memory_bytes         content of one session in memory; the rest goes to an unlinked file
    commit_bytes         content in memory for the store at once; one larger mail passes alone
    """

    message_bytes: int = 25 * MIB
    line_bytes: int = 65536
    hops: int = 50
    recipients: int = 1000
    connections: int = 200
    per_address: int = 10
    per_network: int = 10
    exempt: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    errors: int = 10
    idle_commands: int = 20
    command_seconds: float = 300
    idle_seconds: float = 300
    data_seconds: float = 3600
    rate_bytes: int = 100
    grace_seconds: float = 30
    flight_bytes: int = 1024 * MIB
    memory_bytes: int = 256 * 1024
    commit_bytes: int = 64 * MIB


class Connections:
    """Open connections: all, by address and by network."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._exempt = [ip_network(network) for network in limits.exempt]
        self._all = 0
        self._addresses: Counter[str] = Counter()
        self._networks: Counter[str] = Counter()

    def enter(self) -> bool:
        """Count one more connection; False when the house is full."""
        if self._all >= self._limits.connections:
            return False
        self._all += 1
        return True

    def leave(self) -> None:
        self._all -= 1

    def crowd(self, peer: str) -> str:
        """Return the network that `peer` counts for when it is decided who must go; "" for those of `exempt` and of this machine."""
        return network_of(peer, v6=48) if peer and not within(peer, self._exempt) else ""

    def claim(self, peer: str) -> bool:
        """Count a connection for `peer` (an IP address; "" is a unix socket and free); False when it has its share."""
        if not peer or within(peer, self._exempt):
            return True
        network = network_of(peer)
        if self._addresses[peer] >= self._limits.per_address or self._networks[network] >= self._limits.per_network:
            return False
        self._addresses[peer] += 1
        self._networks[network] += 1
        return True

    def release(self, peer: str) -> None:
        """Give back what `claim` counted."""
        if not peer or within(peer, self._exempt):
            return
        for counter, key in ((self._addresses, peer), (self._networks, network_of(peer))):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]


class Budget:
    """A sum of bytes that must stay below a ceiling."""

    def __init__(self, ceiling: int) -> None:
        self.ceiling, self.used = ceiling, 0

    def fits(self, count: int) -> bool:
        return self.used + count <= self.ceiling

    def take(self, count: int) -> bool:
        if not self.fits(count):
            return False
        self.used += count
        return True

    def give(self, count: int) -> None:
        self.used -= count


class Gate:
    """Lets in so many bytes at a time, in order of arrival; one that is larger than the gate passes alone."""

    def __init__(self, width: int) -> None:
        self._width, self._inside = width, 0
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, count: int) -> AsyncIterator[None]:
        """Wait until `count` bytes fit, and hold them for the block."""
        if self._queue or not self._fits(count):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append((count, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give(count)
                else:
                    self._queue.remove((count, turn))
                    self._let_in()
                raise
        else:
            self._inside += count
        try:
            yield
        finally:
            self._give(count)

    def _fits(self, count: int) -> bool:
        return not self._inside or self._inside + count <= self._width

    def _give(self, count: int) -> None:
        self._inside -= count
        self._let_in()

    def _let_in(self) -> None:
        while self._queue and self._fits(self._queue[0][0]):
            count, turn = self._queue.popleft()
            if not turn.cancelled():
                self._inside += count
                turn.set_result(None)


class Shares:
    """The three of them, and who is there: what all listeners of one process share."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.connections = Connections(limits)
        self.flight = Budget(limits.flight_bytes)
        self.commits = Gate(limits.commit_bytes)
        self.guests: set[Leaver] = set()

    def enter(self, peer: str) -> bool:
        """Count one more connection; in a full house the one that is missed least ends for it. False where all have a better claim."""
        if self.connections.enter():
            return True
        guests = [one for one in self.guests if not one.leaving]
        gone = least_missed([one.as_guest() for one in guests], self.connections.crowd(peer))
        if gone is None:
            return False
        guests[gone].give_way()
        return self.connections.enter()


def plain_address(peer: str) -> str:
    """Return the IP address in its shortest form; an IPv4 address mapped into IPv6 counts as itself, "" for no address."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def network_of(peer: str, *, v6: int = 64) -> str:
    """Return the /24 or /64 that `peer` (an IP address) is in; a /48, which is what one house gets, with `v6=48`."""
    width = 24 if ip_address(peer).version == 4 else v6
    return str(ip_network(f"{peer}/{width}", strict=False))


def within(peer: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Tell whether the IP address `peer` lies in one of `networks`."""
    address = ip_address(peer)
    return any(address in network for network in networks)

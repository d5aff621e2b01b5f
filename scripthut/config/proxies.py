"""Which peers of a connection are the proxies that are believed."""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

UNIX_PEERS = frozenset({"", "unix", "unix:"})  # what servers call the peer of a unix socket


def peers(trusted: Iterable[str]) -> Callable[[str], bool]:
    """Whether an address is one of the configured: addresses, networks, or the word `unix`.

    ValueError says what is none of these.

    >>> is_one = peers(["10.1.0.0/16"])
    >>> is_one("10.1.2.3"), is_one("10.2.0.1"), is_one("")
    (True, False, False)
    """
    words = [word.strip() for word in trusted]
    networks = [_network(word) for word in words if word != "unix"]

    def is_one(address: str) -> bool:
        if address in UNIX_PEERS:
            return "unix" in words
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        return any(peer in network for network in networks)

    return is_one


def _network(word: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(word, strict=False)
    except ValueError:
        raise ValueError(
            f"{word!r} is no address of a proxy: write its IP address, a network like 10.1.0.0/16, "
            "or unix for whoever is on the other side of a socket file"
        ) from None

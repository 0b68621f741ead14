"""The first bytes of a file on another server: https only, from hosts that the operator listed, within limits.

Nothing is fetched unless ``FITGRAPH_REMOTE_HOSTS`` names a host. A name that leads to an address inside a private network
is refused, and the connection goes to the very address that was checked, so that a second answer of the name server
cannot lead elsewhere. Every redirect passes the same checks.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import h11

from api.errors import ErrorCode, QuestionError

FIELD = "model_url"
MAX_ADDRESS_CHARACTERS = 2_048
MAX_REDIRECTS = 3
_PORT = 443
_CHUNK = 65_536
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Networks whose addresses stand for others: 6to4, Teredo and NAT64 could lead into a private network.
_TRANSLATED = tuple(map(ipaddress.ip_network, ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48")))
#: Whether the bytes so far are enough, and no more need to be read.
Enough = Callable[[bytes], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class _Target:
    host: str
    port: int
    path: str


class RemoteFiles:
    """Reads the beginnings of files. ``hosts`` are ``name`` (port 443) or ``name:port``; none switches it off."""

    def __init__(
        self,
        hosts: Sequence[str],
        max_bytes: int,
        timeout_s: float,
        *,
        tls: ssl.SSLContext | None = None,
        private: bool = False,
    ) -> None:
        """``private`` allows addresses of private networks and of this machine, ``tls`` replaces the system's trust:
        both for servers of one's own."""
        self._hosts = frozenset(_host_and_port(host) for host in hosts)
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._tls = tls
        self._private = private
        self._turn = asyncio.Semaphore(4)

    async def read(self, address: str, enough: Enough) -> bytes:
        """At most ``max_bytes`` from the start of a file; fewer when ``enough`` says so or the file ends.

        ``enough`` is asked each time that the bytes have doubled.

        Raises:
            QuestionError: the address is not allowed, or its server does not answer within the limits.
        """
        target = self._allowed(address)
        try:
            async with self._turn, asyncio.timeout(self._timeout_s):
                for _ in range(MAX_REDIRECTS + 1):
                    answer = await self._get(target, enough)
                    if isinstance(answer, bytes):
                        return answer
                    address = urljoin(address, answer)
                    target = self._allowed(address)
        except TimeoutError:
            raise _failed(f"{target.host} took longer than {self._timeout_s:g} seconds") from None
        except (OSError, h11.ProtocolError) as error:
            raise _failed(f"{target.host} does not answer as a server should: {type(error).__name__}") from None
        raise _failed(f"{target.host} redirects more than {MAX_REDIRECTS} times")

    def _allowed(self, address: str) -> _Target:
        """The parts of an address on a listed host."""
        if not self._hosts:
            raise _refused("remote files are switched off here; an operator lists hosts in FITGRAPH_REMOTE_HOSTS")
        if len(address) > MAX_ADDRESS_CHARACTERS:
            raise _refused(f"an address may have {MAX_ADDRESS_CHARACTERS:,} characters, not {len(address):,}")
        if not address.isascii() or any(ord(character) <= 32 or ord(character) == 127 for character in address):
            raise _refused("an address has printable ASCII characters only")
        try:
            parts = urlsplit(address)
            port = parts.port or _PORT
        except ValueError:
            raise _refused("the address is not well-formed") from None
        if parts.scheme != "https" or parts.username is not None or parts.password is not None:
            raise _refused("an address begins with https:// and names no user")
        host = (parts.hostname or "").rstrip(".").lower()
        if (host, port) not in self._hosts:
            allowed = ", ".join(sorted(name if own == _PORT else f"{name}:{own}" for name, own in self._hosts))
            raise _refused(f"{host[:80] or 'no host'!r} is not a listed host; these are: {allowed}")
        return _Target(host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))

    async def _get(self, target: _Target, enough: Enough) -> bytes | str:
        """The bytes of a file, or where its server redirects to."""
        address = await self._address(target)
        reader, writer = await asyncio.open_connection(
            address, target.port, ssl=self._tls or ssl.create_default_context(), server_hostname=target.host
        )
        try:
            connection = h11.Connection(h11.CLIENT)
            authority = target.host if target.port == _PORT else f"{target.host}:{target.port}"
            request = h11.Request(
                method="GET",
                target=target.path,
                headers=[
                    ("Host", authority), ("Range", f"bytes=0-{self._max_bytes - 1}"), ("Accept-Encoding", "identity"),
                    ("User-Agent", "fitgraph"), ("Connection", "close"),
                ],
            )  # fmt: skip
            writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
            await writer.drain()
            return await self._answer(connection, reader, target, enough)
        finally:
            writer.transport.abort()

    async def _answer(
        self, connection: h11.Connection, reader: asyncio.StreamReader, target: _Target, enough: Enough
    ) -> bytes | str:
        body = bytearray()
        ask_at = _CHUNK * 4
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK))
            elif isinstance(event, h11.Response):
                place = _location(event, target)
                if place is not None:
                    return place
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) >= self._max_bytes:
                    return bytes(body[: self._max_bytes])
                if len(body) >= ask_at:
                    ask_at = 2 * len(body)
                    if await enough(bytes(body)):
                        return bytes(body)
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)
            elif not isinstance(event, h11.InformationalResponse):
                raise h11.RemoteProtocolError("the connection ended early")

    async def _address(self, target: _Target) -> str:
        """The first address of a host, when all of them may be connected to."""
        loop = asyncio.get_running_loop()
        try:
            entries = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except OSError:
            raise _failed(f"the host {target.host} is not known to the name server") from None
        addresses = [str(entry[4][0]) for entry in entries]
        if not self._private and not all(map(is_public, addresses)):
            raise _refused(f"{target.host} leads into a private network, which is not allowed")
        return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(number, ipaddress.IPv6Address):
        if number.ipv4_mapped is not None:
            return is_public(str(number.ipv4_mapped))
        if any(number in network for network in _TRANSLATED):
            return False
    return number.is_global and not number.is_multicast


def _location(response: h11.Response, target: _Target) -> str | None:
    """Where a response redirects to; None when its body is the file."""
    headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
    if response.status_code in _REDIRECTS and b"location" in headers:
        return headers[b"location"]
    if response.status_code not in (200, 206):
        raise _failed(f"{target.host} answers with the status {response.status_code}")
    if response.status_code == 206 and not headers.get(b"content-range", "").lower().startswith("bytes 0-"):
        raise _failed(f"{target.host} answers with another range than the one that was asked for")
    if headers.get(b"content-encoding", "identity").lower() != "identity":
        raise _failed(f"{target.host} answers with a content encoding that was not asked for")
    return None


def _host_and_port(text: str) -> tuple[str, int]:
    name, _, port = text.strip().lower().partition(":")
    if not name or (port and not port.isdigit()):
        raise ValueError(f"{text!r} is no host: write name or name:port")
    return name, int(port) if port else _PORT


def _refused(message: str) -> QuestionError:
    return QuestionError(ErrorCode.BAD_USER_INPUT, message, FIELD)


def _failed(message: str) -> QuestionError:
    return QuestionError(ErrorCode.UNAVAILABLE, message, FIELD)

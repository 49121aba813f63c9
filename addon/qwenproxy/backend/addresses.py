"""Addresses as people write them, and what is wrong with them.

A reverse proxy forwards the client's path as it is, so a backend is a scheme, a host and a port. An
address that cannot work is refused before anything starts, with a line that says what to write instead.
mitmproxy would read `18200` as the host 0.0.71.24, and `localhost:8080` as a server that speaks https.
"""

import errno
import http.client
import ipaddress
import json
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

LOCAL = "127.0.0.1"
PORT = 9090  # where the proxy listens unless told otherwise
EXAMPLE = "http://localhost:8080"
EMPTY = "an empty address"
DEFAULT_PORTS = {"http": 80, "https": 443}

_HOST = re.compile(r"[\w.:-]+")
_END = r"(/chat/completions|/messages|/responses|/models)?/?\Z"  # of a URL that is more than a base URL
_BASE = re.compile(r"(/v1)?" + _END)
_SCHEME_SLIP = re.compile(r"(https?)[:/]+", re.I)  # what begins a URL without ://


class BadAddressError(ValueError):
    """An address cannot be used. The message is one line that says what to write."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port. Port 0 means any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{Address(host, port)}"


def read_listener(text: str) -> Address:
    """Read `9090`, `127.0.0.1:9090` or `[::1]:9090`. Half of it will do: `localhost`, `[::1]` or `:9090`.
    Raises BadAddressError."""
    text = text.strip()
    if _is_host_alone(text):
        return Address(text.strip("[]"), PORT)
    host, _, port = text.rpartition(":")
    if not _is_number(port):
        raise BadAddressError(f"{text or EMPTY}: write a port, or a host and a port, such as {LOCAL}:{PORT}")
    if int(port) > 65535:
        raise BadAddressError(f"{text}: write a port from 1 to 65535, or 0 for any free one")
    return Address(host.strip("[]") or LOCAL, int(port))


def _is_host_alone(text: str) -> bool:
    if text.startswith("[") or ":" not in text:
        return is_loopback_name(text) or is_address(text.strip("[]"))
    return False


def on_this_machine(text: str) -> str:
    """Return the address; a port alone means this machine."""
    return f"http://localhost:{text}" if _is_number(text) else text


def read_backend(text: str, listener: Address) -> str:
    """Read the address of a model server; return its URL, without a path. Raises BadAddressError.

    A port alone means this machine. The path /v1 is dropped: the client sends it.
    """
    text = _port_or_url(text)
    parts = _parts(on_this_machine(text))
    if parts.path.strip("/") not in ("", "v1") or parts.query or parts.fragment:
        base = re.sub(_END, "", parts.path, count=1) or "/v1"
        raise BadAddressError(
            f"{text}: write {parts.scheme}://{parts.netloc}, and in your client the base URL "
            f"http://{listener}{base}: a proxy forwards the client's path as it is"
        )
    server = Address(parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])
    if is_same(server, listener):
        raise BadAddressError(
            f"{text}: this is the address of the proxy itself; write that of your model server, or another "
            f"one to listen on"
        )
    return f"{parts.scheme}://{parts.netloc}"


def read_server(text: str) -> str:
    """Read the address of a server that we ask ourselves, and return its URL. It may have a path; /v1 at its
    end is dropped. Raises BadAddressError."""
    parts = _parts(on_this_machine(_port_or_url(text)))
    if parts.query or parts.fragment:
        raise BadAddressError(f"{text}: leave out what stands after the path")
    return f"{parts.scheme}://{parts.netloc}{_BASE.sub('', parts.path)}"


def _port_or_url(text: str) -> str:
    text = text.strip()
    if not text:
        raise BadAddressError(f"{EMPTY}: write a URL such as {EXAMPLE}")
    if _is_number(text) and not 0 < int(text) < 65536:
        raise BadAddressError(f"{text}: write a port from 1 to 65535, or a URL such as {EXAMPLE}")
    return text


def _parts(text: str) -> SplitResult:
    if "://" not in text:
        raise BadAddressError(f"{text}: write {_with_scheme(text)}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as e:
        raise BadAddressError(f"{text}: write a URL such as {EXAMPLE} ({e})") from None
    if parts.scheme not in DEFAULT_PORTS or not _HOST.fullmatch(parts.hostname or "") or port == 0:
        raise BadAddressError(f"{text}: write an http:// or https:// URL such as {EXAMPLE}")
    if "@" in parts.netloc:
        raise BadAddressError(f"{text}: leave out what stands before the @; the client sends its own key")
    return parts


def _with_scheme(text: str) -> str:
    """Return what was most likely meant by an address without ://."""
    if slip := _SCHEME_SLIP.match(text):
        return f"{slip[1].lower()}://{text[slip.end() :]}"
    host, slash, path = text.lstrip("/").partition("/")
    port = ":8080" if is_loopback_name(host) else ""
    return f"http://{host}{port}{slash}{path}, or https:// if it speaks that"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 9


def is_same(server: Address, listener: Address) -> bool:
    """Whether a request to `server` would arrive at `listener`, judging by their names."""
    if not listener.port or server.port != listener.port:
        return False
    if {_loopback_version(server.host), _loopback_version(listener.host)} == {4, 6}:
        return False
    here = is_local(server.host) and (is_local(listener.host) or is_wildcard(listener.host))
    return here or server.host == listener.host


def _loopback_version(host: str) -> int:
    """Return 4 or 6 for a loopback address of that version of IP, 0 for anything else."""
    if not is_loopback(host):
        return 0
    address = ipaddress.ip_address(host)
    return 4 if getattr(address, "ipv4_mapped", None) else address.version


def is_local(host: str) -> bool:
    """Whether a host is this machine, by name or by address."""
    return is_wildcard(host) or is_loopback_name(host)


def is_loopback_name(host: str) -> bool:
    """Whether this is a loopback address, or a name for one."""
    return host.lower().rstrip(".") == "localhost" or is_loopback(host)


def is_address(host: str) -> bool:
    """Whether this is an address, and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether this is a loopback address. Names do not count."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_wildcard(host: str) -> bool:
    """Whether listening on a host means listening on all addresses of the machine."""
    return host in ("", "*", "0.0.0.0", "::")


def free(listener: Address) -> Address:
    """Return the address, with a free port instead of 0. Raises BadAddressError if it cannot be used."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            listener.host, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return Address(listener.host, probe.getsockname()[1])
    except (OSError, UnicodeError) as e:
        raise BadAddressError(f"{listener}: {_why_not(e, listener)}") from None


def _why_not(error: Exception, listener: Address) -> str:
    another = Address(listener.host, listener.port + 1 if listener.port < 65535 else PORT)
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            who = "another qwen-fix" if _is_qwen_fix(listener) else "another program"
            return f"{who} listens there; write another port, such as {another}"
        case errno.EACCES | errno.EPERM:
            return f"this port is for the administrator; write one above 1023, such as {PORT}"
        case _:
            reason = getattr(error, "strerror", None) or error
            return f"write an address of this machine, such as {LOCAL}:{PORT} ({reason})"


def _is_qwen_fix(listener: Address) -> bool:
    connection = http.client.HTTPConnection(listener.host, listener.port, timeout=1)
    try:
        connection.request("GET", "/_health")
        health = json.loads(connection.getresponse().read(65536))
        return isinstance(health, dict) and "recovery" in health
    except (OSError, ValueError, RecursionError, http.client.HTTPException):
        return False
    finally:
        connection.close()

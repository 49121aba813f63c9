"""A client that speaks HTTP/2 with a proxy, over TLS: mitmproxy decides by ALPN."""

import json
import socket
import ssl
from typing import Any

import h2.connection
import h2.events
from proxy import PATIENCE, Proxy, Reply, chat


def ask_h2(
    proxy: Proxy,
    body: Any = None,
    path: str = "/v1/chat/completions",
    headers: dict[str, str] | None = None,
    method: str = "POST",
    host: str = "localhost",
) -> Reply:
    """Send one request on a new connection, and read the whole answer."""
    data = body if isinstance(body, bytes) else json.dumps(chat() if body is None else body).encode()
    fields = {":method": method, ":scheme": "https", ":authority": host, ":path": path}
    with _connected(proxy) as connection:
        h2_connection = h2.connection.H2Connection()
        h2_connection.initiate_connection()
        sent = fields | {"content-type": "application/json"} | (headers or {})
        h2_connection.send_headers(1, list(sent.items()), end_stream=not data)
        if data:
            h2_connection.send_data(1, data, end_stream=True)
        connection.sendall(h2_connection.data_to_send())
        return _reply(connection, h2_connection)


def _connected(proxy: Proxy) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE)
    connection = context.wrap_socket(plain, server_hostname="localhost")
    assert connection.selected_alpn_protocol() == "h2"
    return connection


def _reply(connection: ssl.SSLSocket, h2_connection: h2.connection.H2Connection) -> Reply:
    reply = Reply(0, {}, b"")
    while data := connection.recv(65536):
        for event in h2_connection.receive_data(data):
            match event:
                case h2.events.ResponseReceived(headers=fields):
                    pairs = [(str_of(name), str_of(value)) for name, value in fields or []]
                    reply.raw_headers, reply.headers = pairs, dict(pairs)
                    reply.status = int(reply.headers[":status"])
                case h2.events.DataReceived(data=piece):
                    reply.body += piece or b""
                    h2_connection.acknowledge_received_data(len(piece or b""), 1)
                case h2.events.StreamEnded():
                    return reply
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    reply.whole = False
                    return reply
        connection.sendall(h2_connection.data_to_send())
    reply.whole = False
    return reply


def str_of(text: bytes | str) -> str:
    return text.decode() if isinstance(text, bytes) else text

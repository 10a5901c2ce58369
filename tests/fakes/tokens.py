"""A token server: Microsoft's device code, refresh and client credentials flows, Google's for service accounts, and introspection."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

import trustme

from rtmail.ops.oauth import MICROSOFT_SCOPES

APP, APP_SECRET = "11111111-2222-3333-4444-555555555555", "client's own word"


class TokenServer:
    """`with TokenServer(folder) as server:` serves over TLS, and introspection for a mail server without.

    pending   how often a device code is not yet entered
    lifetime  seconds that a token is said to be good for
    grants    what was asked for, in order; `given` are the tokens, of which those in `dead` are not taken any more
    """

    def __init__(self, folder: Path, *, user: str = "box", pending: int = 1, lifetime: int = 3600) -> None:
        self.user, self.pending, self.lifetime = user, pending, lifetime
        self.grants: list[str] = []
        self.given: list[str] = []
        self.dead: set[str] = set()
        self.refusal = ""
        authority = trustme.CA()
        self.ca_file = folder / "token-ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        self._secure, self._plain = self._server(), self._server()
        self._secure.socket = context.wrap_socket(self._secure.socket, server_side=True)
        self.base = f"https://localhost:{self._secure.server_port}"
        self.introspection = f"http://127.0.0.1:{self._plain.server_port}/introspect"
        self._threads = [threading.Thread(target=one.serve_forever, daemon=True) for one in (self._secure, self._plain)]

    @property
    def authority(self) -> str:
        return f"{self.base}/tenant"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for server in (self._secure, self._plain):
            server.shutdown()
            server.server_close()

    def taken(self, token: str) -> bool:
        return token in self.given and token not in self.dead

    def service_account(self, file: Path) -> Path:
        """Write the key of a Google service account that asks us."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "client_email": "rtmail@project.example",
                    "private_key": pem.decode(),
                    "private_key_id": "k1",
                    "token_uri": f"{self.base}/google",
                }
            )
        )
        file.chmod(0o600)
        return file

    def _server(self) -> ThreadingHTTPServer:
        house = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(200, house.discovery())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                self.answer(*house.posted(self.path, form))

            def answer(self, status: int, said: dict[str, Any]) -> None:
                text = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *words: Any) -> None:
                pass

        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": f"{self.authority}/v2.0",
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "device_authorization_endpoint": f"{self.base}/devicecode",
        }

    def posted(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path == "/introspect":
            return 200, {"active": self.taken(form.get("token", "")), "username": self.user}
        if path == "/devicecode":
            return 200, {
                "device_code": "d-1",
                "user_code": "ABC-123",
                "verification_uri": f"{self.base}/device",
                "expires_in": 900,
                "interval": 1,
                "message": "To sign in, open the page and enter the code ABC-123",
            }
        grant = form.get("grant_type", "").rpartition(":")[2]
        self.grants.append(grant)
        if self.refusal:
            return 400, {"error": "invalid_grant", "error_description": self.refusal}
        if grant == "device_code" and self.pending:
            self.pending -= 1
            return 400, {"error": "authorization_pending"}
        if grant == "client_credentials" and form.get("client_secret") != APP_SECRET:
            return 401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1"}
        self.given.append(f"token-{grant}-{len(self.given) + 1}")
        answer = {"access_token": self.given[-1], "token_type": "Bearer", "expires_in": self.lifetime}
        if grant in ("device_code", "refresh_token"):
            answer |= {
                "refresh_token": f"refresh-{len(self.given)}",
                "client_info": _coded({"uid": "u", "utid": "t"}),
                "id_token": self._id_token(),
                "scope": " ".join(MICROSOFT_SCOPES),
            }
        return 200, answer

    def _id_token(self) -> str:
        now = int(time.time())
        claims = {
            "aud": APP,
            "iss": f"{self.authority}/v2.0",
            "sub": "s",
            "oid": "u",
            "tid": "t",
            "exp": now + 3600,
            "iat": now,
            "preferred_username": self.user,
        }
        return ".".join([_coded({"alg": "none"}), _coded(claims), "x"])


def _coded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

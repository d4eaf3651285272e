"""JSON-RPC 1.0 over a unix socket, as millraced and Open vSwitch's daemons both speak it."""

import json
import socket
from pathlib import Path
from typing import Any

from .fault import Fault


class Client:
    """One connection; every call is bounded in time."""

    def __init__(self, path: Path, seconds: float = 60) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(seconds)
        self.socket.connect(str(path))
        self.number = 0

    def call(self, method: str, *params: str) -> str:
        """The answer as text."""
        self.number += 1
        message = json.dumps({"id": self.number, "method": method, "params": list(params)})
        try:
            self.socket.sendall(message.encode())
            answer = self._receive()
        except OSError as error:
            raise Fault(f"{method}: {error}") from None
        if answer.get("error") is not None:
            raise Fault(f"{method}: {str(answer['error']).strip()}")
        return str(answer["result"])

    def _receive(self) -> dict[str, Any]:
        text = b""
        while True:
            chunk = self.socket.recv(1 << 20)
            if not chunk:
                raise Fault("the switch closed its socket")
            text += chunk
            if text.rstrip().endswith(b"}"):
                try:
                    return json.loads(text)
                except json.JSONDecodeError:
                    continue

    def json(self, method: str, *params: str) -> Any:
        """The answer as what its JSON means."""
        return json.loads(self.call(method, *params, "--json"))

    def close(self) -> None:
        self.socket.close()

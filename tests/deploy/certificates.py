"""Certificates for tests: an authority, and what it signs."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """A certificate authority in a directory, of one day."""

    def __init__(self, directory: Path) -> None:
        """Make its key and certificate."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.certificate = directory / "ca.pem"
        self._key = directory / "ca.key"
        _openssl(
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=authority",
            "-keyout",
            self._key,
            "-out",
            self.certificate,
        )

    def sign(self, name: str) -> tuple[Path, Path]:
        """Make a certificate for a name, good for this machine's loopback address too; gives it and its key, both PEM."""
        key, request, certificate = (self._directory / f"{name}.{end}" for end in ("key", "csr", "pem"))
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        extensions = self._directory / f"{name}.ext"
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        signing = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", "1", "-extfile", extensions)
        _openssl("x509", "-req", "-in", request, *signing, "-out", certificate)
        return certificate, key

    def keystore(self, name: str) -> Path:
        """Make a certificate for a server of Java: key and certificate in one file."""
        certificate, key = self.sign(name)
        both = self._directory / f"{name}.keystore.pem"
        both.write_text(key.read_text() + certificate.read_text())
        return both


def _openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, words)], check=False, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"openssl {words[0]} failed: {done.stderr}")

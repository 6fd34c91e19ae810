"""What a build in a container needs to reach what this host reaches: certificates, settings of pip, npm, apt.

Only reads. What points at a folder, a program or a port of this machine means nothing in a container and is
left behind; so are passwords, which have no place in an image.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
STOCK_CERTIFICATES = Path("/usr/share/ca-certificates")
PIP_FILES = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
PIP_ADDRESSES = ("index-url", "extra-index-url", "find-links", "proxy")
PIP_PLAIN = ("trusted-host", "timeout", "default-timeout", "retries")
NPM_FILES = ("/usr/etc/npmrc", "/usr/local/etc/npmrc", "/etc/npmrc", "~/.npmrc")
NPM_PLAIN = re.compile(r"(strict-ssl|maxsockets|fetch-[a-z-]+|noproxy)")
NPM_ADDRESSES = re.compile(r"(registry|@[^:]+:registry|proxy|https-proxy)")
APT_OPTIONS = re.compile(
    r'Acquire::(?:https?::(?:[^:\s"]+::)?(?:Proxy|Timeout|Verify-Peer|Pipeline-Depth|No-Cache)'
    r'|Check-Valid-Until|Check-Date|Retries|ForceIPv4|ForceIPv6) "[^"]*";',
    re.IGNORECASE,
)
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

Say = Callable[[str], None]


class Settings(NamedTuple):
    """Texts of files for the image; an empty one is not written."""

    certificates: tuple[str, ...]
    """The site's own authorities, PEM, in the host's order."""
    pip: str
    npm: str
    apt: str


def read_settings(say: Say) -> Settings:
    """This host's settings; `say` is told what was left behind and why."""
    return Settings(
        certificates=own_certificates(text_of(BUNDLE), (text_of(path) for path in stock_files())),
        pip=pip_settings([text_of(Path(name).expanduser()) for name in PIP_FILES], os.environ, say),
        npm=npm_settings([text_of(Path(name).expanduser()) for name in NPM_FILES], os.environ, say),
        apt=apt_settings(apt_configuration(), say),
    )


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def stock_files() -> Iterable[Path]:
    return sorted(path for path in STOCK_CERTIFICATES.rglob("*.crt")) if STOCK_CERTIFICATES.is_dir() else []


def own_certificates(bundle: str, stock: Iterable[str]) -> tuple[str, ...]:
    """The certificates of a bundle that no distribution's package brought."""
    known = {packed(pem) for text in stock for pem in CERTIFICATE.findall(text)}
    own = {packed(pem): pem for pem in CERTIFICATE.findall(bundle) if packed(pem) not in known}
    return tuple(own.values())


def packed(pem: str) -> str:
    return "".join(pem.split())


def pip_settings(files: Iterable[str], environment: Mapping[str, str], say: Say) -> str:
    """pip.conf for the image, from pip's files (weakest first) and PIP_* variables."""
    found: dict[str, str] = {}
    for text in files:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            say("pip: one of this host's pip.conf files cannot be read; it is left behind")
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found.update((name.lower().replace("_", "-"), value) for name, value in parser.items(section))
    for name in (*PIP_ADDRESSES, *PIP_PLAIN):
        value = environment.get("PIP_" + name.upper().replace("-", "_"))
        if value:
            found[name] = value
    lines = []
    for name in PIP_ADDRESSES:
        addresses = [reachable(word, f"pip's {name}", say) for word in found.get(name, "").split()]
        if any(addresses):
            lines.append(f"{name} = {' '.join(filter(None, addresses))}")
    lines += [
        f"{name} = {' '.join(found[name].split())}" for name in PIP_PLAIN if found.get(name, "").strip()
    ]
    return "\n".join(["[global]", *lines, ""]) if lines else ""


def npm_settings(files: Iterable[str], environment: Mapping[str, str], say: Say) -> str:
    """npmrc for the image, from npm's files (weakest first) and npm_config_* variables."""
    found: dict[str, str] = {}
    for text in files:
        for line in text.splitlines():
            name, equals, value = line.strip().partition("=")
            if equals and not name.startswith(("#", ";")):
                found[name.strip()] = value.strip().strip("\"'")
    for name, value in environment.items():
        if name.lower().startswith("npm_config_") and value:
            found[name.lower()[len("npm_config_") :].replace("_", "-")] = value
    lines = []
    for name, value in found.items():
        if NPM_ADDRESSES.fullmatch(name):
            value = reachable(value, f"npm's {name}", say)
        elif "_auth" in name.lower() or "password" in name.lower():
            say(
                "npm: a password is left behind; give this host a mirror that needs none if a build fails "
                "for it"
            )
            continue
        elif not NPM_PLAIN.fullmatch(name):
            continue
        if value:
            lines.append(f"{name}={value}\n")
    return "".join(lines)


def apt_configuration() -> str:
    try:
        return subprocess.run(["apt-config", "dump"], stdout=subprocess.PIPE, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def apt_settings(dump: str, say: Say) -> str:
    """apt.conf for the image: how to reach and believe a mirror, from `apt-config dump`."""
    lines = []
    for option in APT_OPTIONS.findall(dump):
        name, _, rest = option.partition(" ")
        value = rest.strip('";')
        if name.lower().endswith("::proxy") and value.upper() != "DIRECT":
            value = reachable(value, f"apt's {name}", say)
        if value:
            lines.append(f'{name} "{value}";\n')
    return "".join(lines)


def reachable(address: str, whose: str, say: Say) -> str:
    """The address as a container can use it: empty for a place on this machine, without a password."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https", "socks5", "socks5h") or not parts.hostname:
        say(f"{whose}: {address} is on this machine's disk and is left behind")
        return ""
    if parts.hostname == "localhost" or parts.hostname.startswith("127.") or parts.hostname == "::1":
        say(
            f"{whose}: {parts.hostname} is this machine itself, which a container does not reach; it is "
            f"left behind"
        )
        return ""
    if "@" in parts.netloc:
        say(
            f"{whose}: the password is left behind; if a build fails for it, let {parts.hostname} in "
            f"without one"
        )
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return address

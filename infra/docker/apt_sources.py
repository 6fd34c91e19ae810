"""Reads the host's apt sources, in both formats, so that its own mirror can be asked for another suite."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit


class Source(NamedTuple):
    """One mirror and the suites taken from it."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()
    """deb822 fields that go with it, such as `Signed-By`; a key written out in the file keeps its lines."""

    def option(self, name: str) -> str | None:
        return dict(self.options).get(name)

    def with_suites(self, suites: Iterable[str], components: Iterable[str] = ("main",)) -> Source:
        return self._replace(suites=tuple(suites), components=tuple(components))

    def stanza(self) -> str:
        """The source as a deb822 stanza."""
        fields = [
            ("Types", "deb"),
            ("URIs", self.uri),
            ("Suites", " ".join(self.suites)),
            ("Components", " ".join(self.components)),
            *self.options,
        ]
        return "".join(f"{name}: {value}\n" for name, value in fields)


# What says how a mirror is trusted and reached. The rest (architectures, languages, targets) is the host's
# own affair.
CARRIED = (
    "Signed-By",
    "Trusted",
    "Check-Valid-Until",
    "Check-Date",
    "Allow-Insecure",
    "Allow-Weak",
    "By-Hash",
)


def read_sources(folder: Path = Path("/etc/apt")) -> list[Source]:
    """Every enabled binary source of this machine, in apt's order."""
    files = [folder / "sources.list"] if (folder / "sources.list").is_file() else []
    parts = folder / "sources.list.d"
    if parts.is_dir():
        files += sorted(path for path in parts.iterdir() if path.suffix in (".list", ".sources"))
    sources: list[Source] = []
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        sources += parse_deb822(text) if path.suffix == ".sources" else parse_one_line(text)
    return sources


def parse_one_line(text: str) -> list[Source]:
    """`deb [option=value …] uri suite component…`"""
    sources = []
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        if not line.startswith(("deb ", "deb\t")):
            continue
        rest = line[3:].strip()
        options: list[tuple[str, str]] = []
        if rest.startswith("["):
            inside, _, rest = rest[1:].partition("]")
            for word in shlex.split(inside):
                name, _, value = word.partition("=")
                options.append((name, value.replace(",", " ")))
        words = rest.split()
        if len(words) < 2:
            continue
        uri, suite, *components = words
        sources.append(Source(uri, (suite,), tuple(components), carried(options)))
    return sources


def parse_deb822(text: str) -> list[Source]:
    """Stanzas of `Field: value`, parted by empty lines; one Source for each of a stanza's addresses."""
    sources = []
    for fields in stanzas(text):
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in (
            "no",
            "false",
        ):
            continue
        for uri in fields.get("uris", "").split():
            sources.append(
                Source(
                    uri,
                    tuple(fields.get("suites", "").split()),
                    tuple(fields.get("components", "").split()),
                    carried(fields.items()),
                )
            )
    return sources


def stanzas(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    last = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, last = {}, ""
        elif line[0] in " \t" and last:
            fields[last] += "\n" + line
        else:
            name, _, value = line.partition(":")
            last = name.strip().lower()
            fields[last] = value.strip()


def carried(options: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    given = {name.lower(): value for name, value in options}
    return tuple((name, given[name.lower()]) for name in CARRIED if name.lower() in given)


def mirror_of(sources: Iterable[Source], suite: str) -> Source | None:
    """The first source on the network that has that suite's `main`; None if there is none."""
    for source in sources:
        if suite in source.suites and "main" in source.components:
            uri = network_address(source.uri)
            if uri:
                return source._replace(uri=uri)
    return None


def network_address(uri: str) -> str | None:
    """The address, the first one of a `mirror+file:` list, or None for a disc or folder of this machine."""
    if uri.startswith("mirror+file:"):
        try:
            lines = Path(urlsplit(uri[len("mirror+") :]).path).read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        first = next((line.split()[0] for line in lines if line.strip() and not line.startswith("#")), "")
        return network_address(first)
    return uri if uri.split(":", 1)[0] in ("http", "https") else None

"""The base image: Debian trixie from the host's own mirror, with what a build needs to reach that mirror."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from infra.docker.apt_sources import Source, mirror_of, read_sources
from infra.docker.install import APT, UNATTENDED
from infra.docker.system import (
    Distribution,
    Refusal,
    read_os_release,
    require_root,
    run,
    the_distribution,
    which,
)
from infra.offline.images import INPUTS, digest_of, is_made_from
from infra.offline.site_settings import BUNDLE, Settings, read_settings

IMAGE = "slipway-offline/debian:trixie"
SUITE = "trixie"
SOURCES = "/etc/apt/sources.list.d/debian.sources"
SITE_APT = "/etc/apt/apt.conf.d/20-site"
ARCHIVE_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"

Say = Callable[[str], None]

# As in Debian's slim images: apt leaves no packages behind, and no manuals are unpacked.
APT_IN_IMAGES = """\
APT::Keep-Downloaded-Packages "false";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
Apt::AutoRemove::SuggestsImportant "false";
"""
UNPACKED_WITHOUT = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
)
NO_SERVICES = "#!/bin/sh\n# Packages start no services while an image is built.\nexit 101\n"


def ensure_base(say: Say, refresh: bool = False) -> str:
    """The base image's name; made if it is missing, if its inputs changed, or to `refresh` its packages."""
    settings = read_settings(say)
    texts, variables = texts_for(settings, the_sources()), environment_of(settings)
    archive, recipe = (
        Path("base.tar"),
        mmdebstrap(numbered(texts, Path()), bool(settings.certificates), Path("base.tar")),
    )
    digest = digest_of({**texts, **variables, "recipe": "\n".join(recipe)})
    if is_made_from(IMAGE, digest) and not refresh:
        say(f"{IMAGE} is here")
        return IMAGE
    ensure_mmdebstrap(say)
    say(f"building {IMAGE} from this machine's Debian mirror (a minute, the first time)")
    with tempfile.TemporaryDirectory(prefix="slipway-base-") as name:
        folder = Path(name)
        os.chmod(folder, 0o755)  # noqa: S103 - apt reads it as its own user
        files = numbered(texts, folder)
        for file, path in files.items():
            file.write_text(texts[path], encoding="utf-8")
        run(
            mmdebstrap(files, bool(settings.certificates), folder / archive),
            "The Debian mirror was not reached, or does not have trixie. See that `apt-get update` works on "
            "this machine; "
            "DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR in the environment name other mirrors.",
            timeout=1800,
        )
        import_image(folder / archive, variables, digest)
    return IMAGE


def the_sources() -> str:
    """deb822 sources for the image; empty where mmdebstrap's own default mirror is to be used (on Ubuntu)."""
    named = named_mirrors(os.environ)
    if named:
        return named
    distribution = the_distribution(read_os_release())
    if distribution.id != "debian":
        return ""
    return sources_from(read_sources(), distribution)


def named_mirrors(environment: os._Environ[str] | dict[str, str]) -> str:
    keys = (("Signed-By", ARCHIVE_KEYS),)
    text = ""
    if environment.get("DEBIAN_MIRROR"):
        text = Source(environment["DEBIAN_MIRROR"], (SUITE, f"{SUITE}-updates"), ("main",), keys).stanza()
        if environment.get("DEBIAN_SECURITY_MIRROR"):
            text += (
                "\n"
                + Source(
                    environment["DEBIAN_SECURITY_MIRROR"], (f"{SUITE}-security",), ("main",), keys
                ).stanza()
            )
    return text


def sources_from(host: list[Source], distribution: Distribution) -> str:
    """The host's mirrors asked for trixie: the archive, and updates and security where the host has them."""
    archive = mirror_of(host, distribution.codename)
    if archive is None:
        raise Refusal(
            f"No network mirror with {distribution.codename} main is in /etc/apt/sources.list or "
            f"sources.list.d. Name one: "
            "DEBIAN_MIRROR=http://… in the environment."
        )
    texts = [archive.with_suites([SUITE]).stanza()]
    for suffix in ("updates", "security"):
        mirror: Source | None = mirror_of(host, f"{distribution.codename}-{suffix}")
        if mirror is not None:
            texts.append(mirror.with_suites([f"{SUITE}-{suffix}"]).stanza())
    return "\n".join(texts)


def ensure_mmdebstrap(say: Say) -> None:
    missing = [
        name
        for name, is_here in (
            ("mmdebstrap", which("mmdebstrap") is not None),
            ("debian-archive-keyring", Path(ARCHIVE_KEYS).exists()),
        )
        if not is_here
    ]
    if not missing:
        return
    packages = " ".join(missing)
    require_root(
        f"Installing {packages}, which makes the base image,",
        f"apt-get install --no-install-recommends {packages}",
    )
    say(f"installing {packages} with apt")
    run(
        [*APT, "install", "--no-install-recommends", "--no-remove", *missing],
        f"Run: apt-get update && apt-get install {packages}",
        env={**os.environ, **UNATTENDED},
        timeout=900,
    )


def texts_for(settings: Settings, sources: str) -> dict[str, str]:
    """What goes into the image: path → text. Without sources mmdebstrap writes those of its default "
    "mirror."""
    texts = {
        SOURCES: sources,
        SITE_APT: settings.apt,
        "/etc/apt/apt.conf.d/10-slim": APT_IN_IMAGES,
        "/etc/pip.conf": settings.pip,
        "/etc/npmrc": settings.npm,
        "/usr/sbin/policy-rc.d": NO_SERVICES,
    }
    for number, certificate in enumerate(settings.certificates, 1):
        texts[f"/usr/local/share/ca-certificates/site-{number}.crt"] = certificate + "\n"
    return {path: text for path, text in texts.items() if text}


def numbered(texts: dict[str, str], folder: Path) -> dict[Path, str]:
    """A file in the folder for each path in the image."""
    return {folder / f"file-{number}": path for number, path in enumerate(texts)}


def mmdebstrap(files: dict[Path, str], own_authorities: bool, archive: Path) -> list[str]:
    """The command that makes the archive. Hooks run in a shell with the new root as `$1`."""
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", "--format=tar"]
    command += [f"--dpkgopt={option}" for option in UNPACKED_WITHOUT]
    for file, path in files.items():
        # How the mirror is reached must be known before the first package; that packages are thrown away,
        # only after mmdebstrap has installed those that it downloaded.
        when = "setup" if path == SITE_APT else "customize"
        mode = "0755" if path.startswith("/usr/sbin/") else "0644"
        command.append(f'--{when}-hook=install -D -m {mode} {file} "$1"{path}')
    if own_authorities:
        command.append('--customize-hook=chroot "$1" update-ca-certificates')
    sources = [str(file) for file, path in files.items() if path == SOURCES]
    if sources:
        # mmdebstrap leaves its own copy of them under another name.
        command.append('--customize-hook=rm -f "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/0000*')
    command.append('--customize-hook=rm -rf "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/*.deb')
    return [*command, SUITE, str(archive), *sources]


def environment_of(settings: Settings) -> dict[str, str]:
    """Variables that make every program in the image use the site's authorities and settings."""
    variables = {}
    if settings.certificates:
        names = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        variables = {name: str(BUNDLE) for name in names}
    if settings.npm:
        variables["NPM_CONFIG_GLOBALCONFIG"] = "/etc/npmrc"
    return variables


def import_image(archive: Path, variables: dict[str, str], digest: str) -> None:
    changes = [
        f"LABEL {INPUTS}={digest}",
        'CMD ["bash"]',
        *(f"ENV {name}={value}" for name, value in variables.items()),
    ]
    command = [
        "docker",
        "import",
        *(word for change in changes for word in ("--change", change)),
        str(archive),
        IMAGE,
    ]
    try:
        run(
            command,
            "Is the Docker Engine running, and has its disk room? See: docker info, df -h",
            timeout=600,
        )
    except subprocess.TimeoutExpired:
        raise Refusal("docker import did not end within ten minutes; see: docker info, df -h") from None

"""What the hub may ask the engine to make: a user's server, its network, and who joins that.

Each body is parsed into one of these models and written again from it, so the engine never reads the caller's
bytes: Go's JSON decoder takes `hostconfig` for `HostConfig` and merges a key that comes twice. A field that
is not here is refused, and so is any value that would lower a wall. The names are the engine's own.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from dockergate.settings import Settings

HOME, SCRATCH = "/home/jovyan", "/tmp"  # noqa: S108 (a path inside the container)
SERVICES = frozenset({"gateway", "proxy", "hub", "egress"})
"""The services of the stack that join the network of a user's server."""
KNOWN_BY_NAME = frozenset({"gateway", "egress"})
"""Those that a user's server calls by their name there."""

COMPOSE_PROJECT, COMPOSE_SERVICE = "com.docker.compose.project", "com.docker.compose.service"
OUR_PROJECT, OUR_ROLE = "slipway.project", "slipway.role"


class NotAllowed(Exception):
    """One sentence that says what was asked for and why it is refused."""


def parse(raw: bytes) -> Any:
    """JSON in which every key comes once, in UTF-8."""
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_each_key_once)
    except (ValueError, RecursionError) as error:
        raise NotAllowed(f"the body is not JSON that can be read in one way only ({error})") from error


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


def _nothing(value: Any) -> Any:
    """docker-py sends what is not set as null, an empty list or an empty string; none of it is passed on."""
    if value not in (None, [], {}, "", False):
        raise ValueError("this may not be set")
    return None


Nothing = Annotated[None, BeforeValidator(_nothing)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


Model = TypeVar("Model", bound=Body)
Text = Annotated[str, Field(max_length=65536, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Field(max_length=255, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")]
LabelSet = dict[str, Text]


def _shut(value: list[str]) -> list[str]:
    """Privileges stay as they are; a second option would be a profile of the caller's."""
    if value not in (["no-new-privileges"], ["no-new-privileges:true"]):
        raise ValueError("must be no-new-privileges and nothing else")
    return value


class Volume(Body):
    # No DriverConfig: with options of the driver a volume is any folder of the machine.
    Labels: LabelSet
    NoCopy: Nothing = None


class Mount(Body):
    Type: Literal["volume"]
    Source: Annotated[Name | None, BeforeValidator(lambda value: value or None)] = None
    Target: Literal["/home/jovyan", "/tmp"]  # noqa: S108
    ReadOnly: Literal[False] = False
    VolumeOptions: Volume


class Log(Body):
    Type: Literal["json-file", "local", "journald"]
    Config: dict[Literal["max-size", "max-file", "tag"], Text] = {}


class Host(Body):
    NetworkMode: Name
    Mounts: list[Mount]
    Memory: Annotated[int, Field(ge=16 * 1024**2)]
    CpuPeriod: Annotated[int, Field(ge=1000, le=1_000_000)]
    CpuQuota: Annotated[int, Field(ge=1000)]
    PidsLimit: Annotated[int, Field(ge=1, le=32768)]
    CapDrop: Annotated[list[Literal["ALL"]], Field(min_length=1, max_length=1)]
    SecurityOpt: Annotated[list[str], AfterValidator(_shut)]
    ReadonlyRootfs: Literal[True]
    AutoRemove: bool = False
    # Names of the network itself are answered by the engine. Any other name would be asked of the machine's
    # resolver, a way out of a network that has none; the container's own loopback answers nothing.
    Dns: Annotated[list[Literal["127.0.0.1"]], Field(min_length=1, max_length=1)]
    DnsSearch: list[Literal["."]] = []
    DnsOptions: list[Annotated[str, Field(pattern=r"^(timeout|attempts|ndots):[0-9]$")]] = []
    LogConfig: Log
    Binds: Nothing = None
    Links: Nothing = None


class Container(Body):
    Image: Text
    User: Literal["1000:1000"]
    Cmd: list[Text] | None = None
    Env: list[Text]
    Labels: LabelSet
    ExposedPorts: dict[Annotated[str, Field(pattern=r"^[0-9]{1,5}/tcp$")], dict[str, None] | None]
    HostConfig: Host
    Tty: Literal[False] = False
    AttachStdin: Literal[False] = False
    AttachStdout: bool = False
    AttachStderr: bool = False
    OpenStdin: Nothing = None
    StdinOnce: Nothing = None
    NetworkDisabled: Nothing = None
    Volumes: Nothing = None
    Hostname: Nothing = None
    Domainname: Nothing = None
    Entrypoint: Nothing = None
    WorkingDir: Nothing = None
    NetworkingConfig: Nothing = None
    MacAddress: Nothing = None
    StopSignal: Nothing = None
    StopTimeout: Nothing = None
    Healthcheck: Nothing = None
    Runtime: Nothing = None


class Pool(Body):
    Subnet: Annotated[str, Field(pattern=r"^[0-9.]+/[0-9]+$")]
    IPRange: Nothing = None
    Gateway: Nothing = None
    AuxiliaryAddresses: Nothing = None


class Ipam(Body):
    Driver: Literal["default"] = "default"
    Config: Annotated[list[Pool], Field(min_length=1, max_length=1)]


class NetworkOptions(Body):
    """With this, and `Internal`, the machine has no address on the bridge: nothing of it can be reached."""

    inhibit_ipv4: Literal["true"] = Field(alias="com.docker.network.bridge.inhibit_ipv4")


class Network(Body):
    Name: Name
    Driver: Literal["bridge"]
    Internal: Literal[True]
    EnableIPv6: Literal[False] = False
    CheckDuplicate: Literal[True] = True
    IPAM: Ipam
    Options: NetworkOptions
    Labels: LabelSet
    Attachable: Nothing = None
    Ingress: Nothing = None


class Endpoint(Body):
    Aliases: list[Name] | None = None
    Links: Nothing = None
    IPAMConfig: Nothing = None
    DriverOpts: Nothing = None


class Connect(Body):
    Container: Name
    EndpointConfig: Endpoint | None = None


class Disconnect(Body):
    Container: Name
    Force: bool = False


def read(model: type[Model], raw: bytes) -> Model:
    """Raises NotAllowed with the field and the reason."""
    try:
        return model.model_validate(parse(raw))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the body"
        raise NotAllowed(f"{field}: {first['msg']}") from error


def written(body: Body) -> bytes:
    return body.model_dump_json(by_alias=True, exclude_none=True).encode()


def server(raw: bytes, name: str, settings: Settings) -> Container:
    """A user's server as it may be created under this name."""
    asked = read(Container, raw)
    if asked.Image not in settings.notebook_images:
        raise NotAllowed(f"Image: {asked.Image} is not among NOTEBOOK_IMAGES")
    _named(name, "name", settings)
    _named(asked.HostConfig.NetworkMode, "HostConfig.NetworkMode", settings)
    _labelled(asked.Labels, "Labels", "notebook", settings)
    for mount in asked.HostConfig.Mounts:
        if mount.Target == HOME:
            _named(mount.Source or "", "HostConfig.Mounts.Source", settings)
            _labelled(mount.VolumeOptions.Labels, "HostConfig.Mounts.Labels", "notebook", settings)
        elif mount.Source is not None:
            raise NotAllowed(f"HostConfig.Mounts.Source: the volume at {SCRATCH} has no name of its own")
        else:
            _labelled(mount.VolumeOptions.Labels, "HostConfig.Mounts.Labels", "scratch", settings)
    targets = [mount.Target for mount in asked.HostConfig.Mounts]
    if len(set(targets)) < len(targets):
        raise NotAllowed("HostConfig.Mounts: two volumes in one place")
    return asked


def network(raw: bytes, settings: Settings) -> Network:
    """A network for one user's server."""
    asked = read(Network, raw)
    _named(asked.Name, "Name", settings)
    _labelled(asked.Labels, "Labels", "notebook", settings)
    where = asked.IPAM.Config[0].Subnet
    try:
        subnet = ipaddress.IPv4Network(where)
    except ValueError as error:
        raise NotAllowed(f"IPAM.Config.Subnet: {error}") from error
    if not subnet.subnet_of(settings.notebook_subnets) or subnet.prefixlen < 24:
        raise NotAllowed(f"IPAM.Config.Subnet: {where} is not a small part of {settings.notebook_subnets}")
    return asked


def aliases(asked: Connect, service: str) -> None:
    """Nobody joins under another's name."""
    wanted = asked.EndpointConfig.Aliases if asked.EndpointConfig else None
    if set(wanted or ()) - ({service} & KNOWN_BY_NAME):
        raise NotAllowed(f"EndpointConfig.Aliases: {service} may not be called {wanted} there")


def _named(name: str, field: str, settings: Settings) -> None:
    rest = name.removeprefix(settings.names_begin_with)
    if rest == name or not re.fullmatch(r"[a-zA-Z0-9_.-]+", rest):
        raise NotAllowed(f"{field}: {name or 'no name'} does not begin with {settings.names_begin_with}")


def _labelled(labels: dict[str, str], field: str, role: str, settings: Settings) -> None:
    """The labels of a user's server and no others: with those of Compose it would pass for a service."""
    ours = {OUR_PROJECT: settings.notebook_name_prefix, OUR_ROLE: role}
    given = {name: value for name, value in labels.items() if value}
    of_compose = {COMPOSE_PROJECT, COMPOSE_SERVICE}
    if given != ours or set(labels) - set(ours) - of_compose:
        raise NotAllowed(f"{field}: must be {OUR_PROJECT}={ours[OUR_PROJECT]} and {OUR_ROLE}={role}")

"""What install-docker decides and says, without a machine to change."""

import pytest

from infra.docker.apt_sources import Source, mirror_of, network_address, parse_deb822, parse_one_line
from infra.docker.plan import Missing, plan_for, tell
from infra.docker.system import Distribution, Refusal, parse_os_release, require_root, run, the_distribution

BOOKWORM = Distribution("debian", (12, 0), "bookworm", "Debian GNU/Linux 12 (bookworm)")
TRIXIE = Distribution("debian", (13, 0), "trixie", "Debian GNU/Linux 13 (trixie)")
NOBLE = Distribution("ubuntu", (24, 4), "noble", "Ubuntu 24.04 LTS")
EVERYTHING = Missing(engine=True, client=True, compose=True, buildx=True, iptables=True)
KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"


def os_release(identity, version, name="Some System"):
    return parse_os_release(
        f'ID={identity}\nVERSION_ID="{version}"\nVERSION_CODENAME=xyz\nPRETTY_NAME="{name}"\n# c\n'
    )


@pytest.mark.parametrize(
    ("identity", "version"),
    [("debian", "12"), ("debian", "13"), ("ubuntu", "22.04"), ("ubuntu", "24.04"), ("ubuntu", "26.04")],
)
def test_debian_12_and_13_and_ubuntu_from_22_04_are_known(identity, version):
    assert the_distribution(os_release(identity, version)).id == identity


@pytest.mark.parametrize(
    ("identity", "version"),
    [
        ("debian", "11"),
        ("debian", "14"),
        ("debian", ""),
        ("ubuntu", "20.04"),
        ("ubuntu", "21.10"),
        ("fedora", "41"),
        ("linuxmint", "22"),
    ],
)
def test_elsewhere_it_refuses_with_the_system_s_name_and_what_to_do(identity, version):
    with pytest.raises(Refusal, match=r"This is Some System\..*Debian 12 and 13.*docs\.docker\.com"):
        the_distribution(os_release(identity, version))


def test_a_machine_without_os_release_is_refused_too():
    with pytest.raises(Refusal, match="without /etc/os-release"):
        the_distribution({})


def test_who_is_not_root_is_told_the_command():
    with pytest.raises(Refusal, match=r"sudo \./slipway install-docker"):
        require_root("Installing Docker", "./slipway install-docker", user_id=1000)
    require_root("Installing Docker", "./slipway install-docker", user_id=0)


def test_debian_12_takes_only_compose_and_buildx_from_the_next_suite():
    plan = plan_for(BOOKWORM, EVERYTHING)
    assert plan.packages == ("docker.io", "iptables")
    assert plan.from_next_suite == ("docker-compose", "docker-buildx")


def test_debian_13_and_ubuntu_have_everything_themselves():
    assert plan_for(TRIXIE, EVERYTHING).packages == (
        "docker.io",
        "iptables",
        "docker-cli",
        "docker-compose",
        "docker-buildx",
    )
    assert plan_for(NOBLE, EVERYTHING).packages == (
        "docker.io",
        "iptables",
        "docker-compose-v2",
        "docker-buildx",
    )
    assert plan_for(TRIXIE, EVERYTHING).from_next_suite == plan_for(NOBLE, EVERYTHING).from_next_suite == ()


def test_an_engine_that_is_there_is_not_installed_again():
    only_compose = Missing(engine=False, client=False, compose=True, buildx=False)
    assert plan_for(NOBLE, only_compose).packages == ("docker-compose-v2",)
    assert plan_for(BOOKWORM, only_compose) == ((), ("docker-compose",))


def test_an_engine_from_docker_s_own_repository_gets_its_plug_ins_from_there():
    only_plugins = Missing(engine=False, client=False, compose=True, buildx=True)
    for distribution in (BOOKWORM, NOBLE):
        plan = plan_for(distribution, only_plugins, dockers_own=True)
        assert plan == (("docker-compose-plugin", "docker-buildx-plugin"), ())


def test_the_plan_says_every_package_the_mirror_and_how_the_daemon_is_started():
    text = tell(
        BOOKWORM, plan_for(BOOKWORM, EVERYTHING), systemd=False, mirror="http://mirror.example/debian"
    )
    for expected in (
        "docker.io iptables",
        "docker-compose docker-buildx",
        "http://mirror.example/debian",
        "session of its own",
    ):
        assert expected in text
    assert "service docker" in tell(NOBLE, plan_for(NOBLE, EVERYTHING), systemd=True)
    assert "nothing else from there" not in tell(NOBLE, plan_for(NOBLE, EVERYTHING), systemd=True)


def test_one_line_sources_are_read():
    sources = parse_one_line(
        "# deb http://off.example/debian bookworm main\n"
        f"deb [arch=amd64,arm64 signed-by={KEY} trusted=yes] http://m.example/debian bookworm main contrib "
        f"# why\n"
        "deb-src http://m.example/debian bookworm main\n"
        "deb\thttps://s.example/debian-security\tbookworm-security main\n"
    )
    assert sources == [
        Source(
            "http://m.example/debian",
            ("bookworm",),
            ("main", "contrib"),
            (("Signed-By", KEY), ("Trusted", "yes")),
        ),
        Source("https://s.example/debian-security", ("bookworm-security",), ("main",)),
    ]


def test_deb822_sources_are_read_with_keys_written_out_in_them():
    sources = parse_deb822(
        "Types: deb deb-src\n# a comment\nURIs: http://a.example/debian http://b.example/debian\n"
        "Suites: bookworm bookworm-updates\nComponents: main\nSigned-By:\n -----BEGIN PGP-----\n .\n abc\n"
        "\nEnabled: no\nTypes: deb\nURIs: http://off.example/\nSuites: bookworm\nComponents: main\n"
        "\nTypes: deb-src\nURIs: http://src.example/\nSuites: bookworm\nComponents: main\n"
    )
    assert [source.uri for source in sources] == ["http://a.example/debian", "http://b.example/debian"]
    assert sources[0].suites == ("bookworm", "bookworm-updates")
    assert sources[0].option("Signed-By") == "\n -----BEGIN PGP-----\n .\n abc"
    assert parse_deb822(sources[0].stanza()) == [sources[0]]


def test_the_mirror_is_the_first_that_has_the_suite_s_main_and_is_on_the_network(tmp_path):
    listed = tmp_path / "mirrors"
    listed.write_text("# nearest first\nhttp://near.example/debian\tpriority:1\nhttp://far.example/debian\n")
    sources = [
        Source("cdrom:[Debian 12]/", ("bookworm",), ("main",)),
        Source("http://n.example/node", ("nodistro",), ("main",)),
        Source("http://c.example/debian", ("bookworm",), ("contrib",)),
        Source(f"mirror+file:{listed}", ("bookworm",), ("main",), (("Signed-By", KEY),)),
    ]
    mirror = mirror_of(sources, "bookworm")
    assert mirror is not None
    assert mirror.uri == "http://near.example/debian"
    assert mirror.option("Signed-By") == KEY
    assert mirror_of(sources, "trixie") is None
    assert network_address("file:/srv/debian") is None


def test_a_step_that_fails_tells_its_last_lines_and_the_remedy():
    with pytest.raises(Refusal, match=r"(?s)exit 3.*wrong key.*Look there"):
        run(["sh", "-c", "echo wrong key; exit 3"], "Look there.")
    with pytest.raises(Refusal, match=r"no-such-program is not on this machine\. Install it\."):
        run(["no-such-program"], "Install it.")

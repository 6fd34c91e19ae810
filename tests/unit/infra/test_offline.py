"""What goes into the offline images and what stays behind, and when they are built again."""

import datetime
import http.server
import importlib.util
import json
import threading
import time
from pathlib import Path

import pytest

from infra.docker.apt_sources import Source
from infra.docker.system import Distribution, Refusal
from infra.offline import registry
from infra.offline.base import environment_of, mmdebstrap, named_mirrors, numbered, sources_from, texts_for
from infra.offline.images import digest_of, files_of
from infra.offline.site_settings import (
    Settings,
    apt_settings,
    npm_settings,
    own_certificates,
    pip_settings,
    reachable,
)

ROOT = Path(__file__).resolve().parents[3]
BOOKWORM = Distribution("debian", (12, 0), "bookworm", "Debian 12")
NOTHING = Settings((), "", "", "")


@pytest.fixture
def said():
    return []


def pem(text):
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----"


def test_only_certificates_that_no_package_brought_are_the_site_s_own():
    bundle = "\n".join([pem("AAAA\nBBBB"), "# Company", pem("SITE"), pem("CCCC"), pem("SITE")])
    assert own_certificates(bundle, [pem("AAAABBBB") + "\n", "junk" + pem("CCCC")]) == (pem("SITE"),)


def test_pip_s_index_goes_along_and_paths_of_this_machine_do_not(said):
    text = pip_settings(
        [
            "[global]\nindex-url = https://weak.example/simple\ncert = /etc/ssl/x.crt\nconstraint = "
            "/etc/xdg/pip/c.txt\n",
            "[global]\nindex_url = https://pip.example/simple\ntimeout = 60\nextra-index-url = "
            "file:///opt/pypi/simple\n"
            "  https://more.example/simple\nfind-links = /opt/wheels\n[install]\nno-deps = true\n",
        ],
        {"PIP_TRUSTED_HOST": "pip.example", "PIP_FIND_LINKS": "/opt/other", "PIP_CERT": "/x"},
        said.append,
    )
    assert text.splitlines() == [
        "[global]",
        "index-url = https://pip.example/simple",
        "extra-index-url = https://more.example/simple",
        "trusted-host = pip.example",
        "timeout = 60",
    ]
    assert len([line for line in said if "disk" in line]) == 2


def test_without_settings_of_pip_there_is_no_file(said):
    assert pip_settings(["", "[global]\ncert = /x\n"], {}, said.append) == ""
    assert pip_settings(["not an ini file"], {}, said.append) == ""
    assert "cannot be read" in said[0]


def test_a_password_in_an_address_stays_behind_and_that_is_said(said):
    assert (
        reachable("https://me:secret@pip.example:8443/simple", "pip's index-url", said.append)
        == "https://pip.example:8443/simple"
    )
    assert "secret" not in said[0]
    assert "password" in said[0]


@pytest.mark.parametrize(
    "address", ["http://localhost:3141/root", "http://127.0.0.1/", "http://[::1]:80/", "/opt/x", "file:///x"]
)
def test_places_on_this_machine_are_not_reachable_from_a_container(address, said):
    assert reachable(address, "pip's index-url", said.append) == ""
    assert said


def test_npm_s_registries_go_along_and_tokens_and_paths_do_not(said):
    text = npm_settings(
        [
            "registry=https://npm.example/\nnodedir=/usr\ncafile=/etc/x.crt\n; "
            "note\n@team:registry=https://t.example/\n"
            "//npm.example/:_authToken=abc123\nfund=false\nstrict-ssl=true\n"
        ],
        {"npm_config_fetch_retries": "5", "npm_config_prefix": "/usr/local"},
        said.append,
    )
    assert text.splitlines() == [
        "registry=https://npm.example/",
        "@team:registry=https://t.example/",
        "strict-ssl=true",
        "fetch-retries=5",
    ]
    assert "abc123" not in "".join(said)


def test_apt_keeps_how_the_mirror_is_reached_and_believed(said):
    dump = (
        'Acquire::http::Proxy "http://u:p@proxy.example:3128";\nAcquire::https::Proxy::m.example "DIRECT";\n'
        'Acquire::Check-Valid-Until "false";\nAcquire::http::Proxy-Auto-Detect '
        '"/usr/bin/x";\nAPT::Architecture "amd64";\n'
        'DPkg::Post-Invoke:: "rm -rf /";\n'
    )
    assert 'Acquire::http::Proxy "http://proxy.example:3128";' in apt_settings(dump, said.append)
    assert 'Acquire::Check-Valid-Until "false";' in apt_settings(dump, said.append)
    assert "rm -rf" not in apt_settings(dump, said.append)
    assert "Auto-Detect" not in apt_settings(dump, said.append)


def test_the_base_takes_trixie_from_the_host_s_mirrors_and_only_the_suites_it_has():
    host = [
        Source("http://m.example/debian", ("bookworm", "bookworm-updates"), ("main", "contrib")),
        Source("http://s.example/security", ("bookworm-security",), ("main",), (("Signed-By", "/k.gpg"),)),
    ]
    text = sources_from(host, BOOKWORM)
    assert "Suites: trixie\n" in text
    assert "Suites: trixie-updates\n" in text
    assert (
        "URIs: http://s.example/security\nSuites: trixie-security\nComponents: main\nSigned-By: /k.gpg"
        in text
    )
    assert "security" not in sources_from(host[:1], BOOKWORM)
    with pytest.raises(Refusal, match="DEBIAN_MIRROR"):
        sources_from([], BOOKWORM)


def test_mirrors_can_be_named():
    assert named_mirrors({}) == ""
    text = named_mirrors(
        {"DEBIAN_MIRROR": "http://m.example/d", "DEBIAN_SECURITY_MIRROR": "http://s.example/d"}
    )
    assert "URIs: http://m.example/d\nSuites: trixie trixie-updates\n" in text
    assert "URIs: http://s.example/d\nSuites: trixie-security\n" in text


def test_the_site_s_authorities_are_installed_and_every_program_is_pointed_at_them():
    settings = NOTHING._replace(certificates=(pem("SITE"),), npm="registry=https://npm.example/\n")
    texts = texts_for(settings, "Types: deb\n")
    assert texts["/usr/local/share/ca-certificates/site-1.crt"] == pem("SITE") + "\n"
    command = mmdebstrap(numbered(texts, Path("/w")), True, Path("/w/base.tar"))
    assert any("update-ca-certificates" in word for word in command)
    assert command[-1] == "/w/file-0"
    variables = environment_of(settings)
    assert set(variables) == {
        "SSL_CERT_FILE",
        "PIP_CERT",
        "REQUESTS_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
        "NPM_CONFIG_GLOBALCONFIG",
    }


def test_a_stock_host_s_image_is_plain_debian():
    texts = texts_for(NOTHING, "")
    assert set(texts) == {"/etc/apt/apt.conf.d/10-slim", "/usr/sbin/policy-rc.d"}
    command = mmdebstrap(numbered(texts, Path("/w")), False, Path("/w/base.tar"))
    assert command[-2:] == ["trixie", "/w/base.tar"]
    assert not any("update-ca-certificates" in word for word in command)
    assert environment_of(NOTHING) == {}


def test_the_digest_tells_inputs_apart_whatever_their_order():
    assert digest_of({"a": "1", "b": "2"}) == digest_of({"b": "2", "a": "1"})
    assert (
        len({digest_of(parts) for parts in ({"a": "12"}, {"a1": "2"}, {"a": "1", "2": ""}, {"a": "1"}, {})})
        == 5
    )


def test_a_file_s_content_name_and_executable_bit_are_inputs(tmp_path):
    file = tmp_path / "entrypoint.sh"
    file.write_text("one")
    seen = [digest_of(files_of(tmp_path))]
    file.chmod(0o755)
    seen.append(digest_of(files_of(tmp_path)))
    file.write_text("two")
    seen.append(digest_of(files_of(tmp_path)))
    file.rename(tmp_path / "other.sh")
    seen.append(digest_of(files_of(tmp_path)))
    assert len(set(seen)) == 4


@pytest.mark.parametrize(
    ("image", "addresses"),
    [
        ("registry.example:5000/team/x:1", ["https://registry.example:5000"]),
        ("localhost/x", ["https://localhost"]),
        ("postgres:17", ["http://mirror.example:5000", "https://index.example"]),
        ("pgsty/silo:1", ["http://mirror.example:5000", "https://index.example"]),
    ],
)
def test_an_image_is_looked_for_where_the_engine_would(image, addresses):
    info = {
        "IndexServerAddress": "https://index.example/v1/",
        "RegistryConfig": {"Mirrors": ["http://mirror.example:5000/"]},
    }
    assert registry.addresses_for(image, info) == addresses


def test_an_engine_that_says_nothing_has_no_registry():
    assert registry.addresses_for("postgres:17", {}) == []


@pytest.fixture
def web_server():
    """A server on this machine that answers everything as it is told to: status and headers."""
    answer = {"status": 200, "headers": {}}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer["status"])
            for header in answer["headers"].items():
                self.send_header(*header)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answer
    server.shutdown()
    server.server_close()


def test_a_registry_is_one_that_says_so_even_if_it_asks_for_a_login(web_server):
    address, answer = web_server
    answer.update(status=401, headers={"Docker-Distribution-Api-Version": "registry/2.0"})
    assert registry.answers(address)
    answer.update(status=401, headers={"WWW-Authenticate": 'Bearer realm="https://token.example"'})
    assert registry.answers(address)
    answer.update(status=200, headers={"Content-Type": "text/html"})
    assert not registry.answers(address), "a login page that answers for everything is no registry"
    answer.update(status=503, headers={"Docker-Distribution-Api-Version": "registry/2.0"})
    assert not registry.answers(address)


def test_nobody_there_is_no_registry():
    assert not registry.answers("http://127.0.0.1:9")


def test_a_registry_that_hangs_is_given_up():
    started = time.monotonic()
    assert registry.answers_in_time(lambda: bool(time.sleep(5)) or True, 0.2) is False
    assert time.monotonic() - started < 2
    assert registry.answers_in_time(lambda: True, 5) is True


def store():
    specification = importlib.util.spec_from_file_location(
        "offline_store", ROOT / "infra/offline/seaweedfs/store.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_probe_signs_as_boto3_does():
    auth, awsrequest, credentials = (
        pytest.importorskip("botocore.auth"),
        pytest.importorskip("botocore.awsrequest"),
        pytest.importorskip("botocore.credentials"),
    )
    now = datetime.datetime(2026, 11, 24, 8, 0, 0, tzinfo=datetime.UTC)
    ours = store().signed_headers(
        "PUT", "/healthcheck/probe", b"body", "127.0.0.1:9000", now, "user", 'se"cret/+'
    )
    request = awsrequest.AWSRequest("PUT", "http://127.0.0.1:9000/healthcheck/probe", data=b"body")
    request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    request.headers["X-Amz-Content-SHA256"] = ours["x-amz-content-sha256"]
    signer = auth.S3SigV4Auth(credentials.Credentials("user", 'se"cret/+'), "s3", "us-east-1")
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert ours["authorization"].endswith(f"Signature={signature}")


def test_mlflow_s_key_gets_one_bucket_servings_only_puts_and_root_gets_all():
    config = store().identities_for("models", ["r", 'p"w\\'], ["m", "s"], ["p", "s"])
    root, mlflow, predictions = config["identities"]
    assert root["actions"] == ["Admin"]
    assert "actions" not in mlflow
    assert mlflow["policyNames"] == [config["policies"][0]["name"]]
    resources = [entry["Resource"] for entry in json.loads(config["policies"][0]["content"])["Statement"]]
    assert resources == [["arn:aws:s3:::models"], ["arn:aws:s3:::models/*"]]
    assert predictions["policyNames"] == [config["policies"][1]["name"]]
    (may,) = json.loads(config["policies"][1]["content"])["Statement"]
    assert may["Resource"] == ["arn:aws:s3:::predictions/*"]
    assert set(may["Action"]) == {"s3:PutObject", "s3:AbortMultipartUpload"}


def test_a_missing_or_empty_key_stops_the_store_with_its_name(tmp_path, monkeypatch):
    module = store()
    monkeypatch.setattr(module, "SECRETS", tmp_path)
    with pytest.raises(
        module.StoreError, match=r"minio_root_user cannot be read .*docker compose up secrets"
    ):
        module.secret("minio_root_user")
    (tmp_path / "minio_root_user").write_text("\n")
    with pytest.raises(module.StoreError, match="is empty"):
        module.secret("minio_root_user")


def test_only_s3_listens_to_the_network_and_nothing_is_reported_home():
    command = store().command("/data", Path("/tmp/s3.json"), 512)
    assert [word for word in command if "0.0.0.0" in word] == ["-s3.ip.bind=0.0.0.0"]
    assert {"-ip.bind=127.0.0.1", "-master.telemetry=false", "-s3.iam=false", "-s3.port.iceberg=0"} <= set(
        command
    )


def test_the_store_keeps_within_the_memory_it_is_given(tmp_path):
    limit, unlimited = tmp_path / "limit", tmp_path / "unlimited"
    limit.write_text(f"{1024 * 2**20}\n")
    unlimited.write_text("max\n")
    assert store().memory_mib((str(tmp_path / "none"), str(limit))) == 1024
    assert store().memory_mib((str(unlimited),)) == 2048
    assert store().heap(1024) == {"GOMEMLIMIT": "682MiB"}
    assert "-s3.readerCacheSizeMB=256" in store().command("/data", Path("/tmp/s3.json"), 1024)

"""The job that makes the secrets, run as a process on folders in place of volumes."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

JOB = Path(__file__).parents[3] / "services/secrets/make_secrets.py"


@pytest.fixture
def job(tmp_path):
    """Runs the job on folders of this test and returns the finished process."""
    for name in ("store", "operator", "out"):
        (tmp_path / name).mkdir()

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        folders = {f"SECRETS_{name.upper()}": str(tmp_path / name) for name in ("store", "operator", "out")}
        return subprocess.run(
            [sys.executable, str(JOB)],
            env={**os.environ, **folders, **environment},
            capture_output=True,
            text=True,
        )

    run.out, run.store, run.operator = tmp_path / "out", tmp_path / "store", tmp_path / "operator"
    return run


def everything(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_every_secret_is_made_once_and_stays(job):
    assert job().returncode == 0
    first = everything(job.out)
    assert job().returncode == 0
    assert everything(job.out) == first
    assert len(set(everything(job.store).values())) == len(everything(job.store)), "two secrets are the same"


def test_each_consumer_gets_its_own_secrets_and_no_other(job):
    job()
    assert {path.name for path in (job.out / "proxy").iterdir()} == {"proxy_auth_token"}
    assert {path.name for path in (job.out / "gateway").iterdir()} == {"gateway_secret"}
    assert {path.parent.name for path in job.out.rglob("api_key_signing_seed")} == {"auth"}
    holders = {path.parent.name for path in job.out.rglob("minio_root_password")}
    assert holders == {"minio", "objectstore"}
    holders = {path.parent.name for path in job.out.rglob("predictions_s3_secret_access_key")}
    assert holders == {"serving", "objectstore"}


def test_both_sides_of_a_shared_secret_agree(job):
    job()
    for name in ("proxy_auth_token", "auth_service_token", "jupyterhub_db_password"):
        values = {path.read_text() for path in job.out.rglob(name)}
        assert len(values) == 1, name


def test_files_can_be_read_by_their_owner_alone(job):
    job()
    for path in (*job.out.rglob("*"), *job.store.rglob("*")):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o400, path


@pytest.mark.skipif(os.geteuid() != 0, reason="handing files to other users takes root")
def test_files_belong_to_the_user_the_consumer_runs_as(job):
    job()
    assert (job.out / "postgres/postgres_superuser_password").stat().st_uid == 999
    assert (job.out / "mlflow/mlflow_db_password").stat().st_uid == 1000
    assert (job.out / "minio/minio_root_password").stat().st_uid == 0


def test_a_secret_of_the_operators_own_is_handed_out_until_it_is_taken_away(job):
    job()
    made = (job.out / "mlflow/mlflow_s3_access_key_id").read_text()
    (job.operator / "mlflow_s3_access_key_id").write_text("my-own-key\n")
    job()
    assert (job.out / "mlflow/mlflow_s3_access_key_id").read_text() == "my-own-key"
    (job.operator / "mlflow_s3_access_key_id").unlink()
    job()
    assert (job.out / "mlflow/mlflow_s3_access_key_id").read_text() == made


def test_an_optional_secret_is_handed_out_only_when_the_operator_brings_it(job):
    job()
    assert not (job.out / "hub/oidc_client_secret").exists()
    (job.operator / "oidc_client_secret").write_text("from the provider")
    job()
    assert (job.out / "hub/oidc_client_secret").read_text() == "from the provider"


@pytest.mark.parametrize("folder", ["operator", "store"])
def test_an_empty_secret_stops_the_job_and_is_named(job, folder):
    job()
    path = getattr(job, folder) / "proxy_auth_token"
    path.unlink(missing_ok=True)
    path.write_text("\n")
    finished = job()
    assert finished.returncode == 1
    assert "proxy_auth_token is empty" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_store_that_is_told_its_keys_gets_mlflows_and_servings_too(job):
    assert job(MINIO_KNOWS_MLFLOW_KEY="1").returncode == 0
    for key in ("mlflow_s3_secret_access_key", "predictions_s3_secret_access_key"):
        assert (job.out / "minio" / key).exists()


def test_only_the_consumers_that_are_there_are_served(job):
    assert job(SECRETS_CONSUMERS="hub, proxy").returncode == 0
    assert {path.name for path in job.out.iterdir()} == {"hub", "proxy"}
    assert not (job.store / "minio_root_password").exists()


def test_a_consumer_that_there_is_not_is_named(job):
    finished = job(SECRETS_CONSUMERS="hub,prxy")
    assert finished.returncode == 1
    assert "there is no 'prxy'" in finished.stderr


def test_the_store_is_made_for_its_owner_alone(job):
    job.store.rmdir()
    assert job().returncode == 0
    assert stat.S_IMODE(job.store.stat().st_mode) == 0o700


def test_with_one_owner_nothing_is_given_to_the_containers_users(job):
    job(SECRETS_ONE_OWNER="1")
    assert {path.stat().st_uid for path in job.out.rglob("*")} == {os.geteuid()}


def test_an_ordinary_account_can_run_it_again_and_take_over_the_operators_value():
    """The system's Python, since the tests' own may lie where only root can read."""
    nobody = 65534
    with tempfile.TemporaryDirectory(prefix="slipway secrets ä ") as name:
        folder = Path(name)
        shutil.copy(JOB, folder / "job.py")
        (folder / "operator").mkdir()
        if os.geteuid() == 0:
            os.chown(folder, nobody, nobody)
        command = [shutil.which("python3", path="/usr/bin:/bin") or sys.executable, str(folder / "job.py")]
        environment = {
            **{f"SECRETS_{one.upper()}": str(folder / one) for one in ("store", "operator", "out")},
            "SECRETS_CONSUMERS": "hub,proxy",
        }

        def run() -> None:
            user = nobody if os.geteuid() == 0 else None
            done = subprocess.run(command, env=environment, user=user, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr

        run()
        (folder / "operator/proxy_auth_token").write_text("a-token-of-the-operators-own\n")
        (folder / "operator/oidc_client_secret").write_text("from the provider\n")
        run()
        for consumer in ("hub", "proxy"):
            assert (folder / "out" / consumer / "proxy_auth_token").read_text().startswith("a-token-of")
        (folder / "operator/oidc_client_secret").unlink()
        run()
        assert not (folder / "out/hub/oidc_client_secret").exists()

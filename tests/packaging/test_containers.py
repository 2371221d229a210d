"""What a typing error in the container files would break, and nothing else would notice."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.broker import QUEUE
from app.cli.local import api
from app.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
OURS = ("api", "worker", "worker-gpu")


def target(name: str) -> str:
    """The instructions of one build target."""
    return DOCKERFILE.split(f" AS {name}\n")[1].split("\nFROM ")[0]


@pytest.mark.parametrize(("name", "package"), [("api", "."), ("worker", "'.[worker,openvino]'")])
def test_each_target_has_its_libraries_and_no_root(name: str, package: str) -> None:
    command = f"pip install --constraint requirements.lock './client[cli]' {package}\n"
    assert command in target(name)
    assert target(name).index("USER fvt") < target(name).index("\nCMD ")


def test_the_worker_listens_to_the_queue_that_is_rung() -> None:
    command = re.search(r"CMD (\[.*\])", target("worker"))
    assert command
    assert f'"-Q", "{QUEUE}"' in command[1]
    assert '"-P", "prefork", "-c", "1"' in command[1]


def test_the_image_and_local_mode_start_the_server_with_its_limits() -> None:
    command = re.search(r"^CMD (\[.*\])$", target("api"), re.MULTILINE)
    assert command
    assert json.loads(command[1])[:3] == ["python", "-m", "app.server"]
    assert api("::1", 80)[1:] == ["-m", "app.server", "--host", "::1", "--port", "80"]


@pytest.mark.parametrize("service", OURS)
def test_every_setting_in_compose_is_one(service: str) -> None:
    known = {f"FVT_{name.upper()}" for name in Settings.model_fields} | {"HF_TOKEN"}
    assert SERVICES[service]["environment"].keys() <= known


@pytest.mark.parametrize("service", OURS)
def test_services_share_what_they_must_agree_on(service: str) -> None:
    shared = {k: v for k, v in SERVICES["api"]["environment"].items() if k != "FVT_API_KEYS"}
    assert shared.items() <= SERVICES[service]["environment"].items()
    assert "data:/data" in SERVICES[service]["volumes"]


def test_the_gpu_worker_does_not_run_on_the_cpu() -> None:
    assert SERVICES["worker-gpu"]["environment"]["FVT_DEVICE"] == "cuda"


def test_what_is_copied_is_not_ignored() -> None:
    kept = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copies = re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for copy in copies for source in shlex.split(copy)}
    assert {source for source in sources if "/" not in source} == kept


def test_redis_forgets_nothing() -> None:
    options = " ".join(SERVICES["redis"]["command"])
    for option in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"):
        assert option in options


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for secret in ("FVT_API_KEYS", "POSTGRES_PASSWORD"):
        uses = re.findall(rf"\$\{{{secret}(.*?)\}}", text)
        assert uses
        assert all(use.startswith(":?") for use in uses)

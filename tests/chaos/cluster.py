"""Three APIs and three workers, each a machine of its own to the others, on one network."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

import pytest

from app.blobs import Blobs
from app.cli import local
from app.db import Database
from tests.chaos.processes import Service, marked, signal_all
from tests.chaos.stack import QUICK, ROOT, is_ready, marked_environment
from tests.support.network import Network, network
from tests.support.postgres import Cluster, binaries
from tests.support.s3 import ObjectStore, seaweed_server
from tests.support.tiny_models import make_base_model
from tests.support.workers import wait_until

MACHINES = 3
PORT = 8000


@dataclass
class Machines:
    """The running cluster: the nodes are `api0`, `worker0`, …, `postgres`, `redis` and `s3`."""

    folder: Path
    net: Network
    store: ObjectStore
    db: Database
    apis: list[Service]
    workers: list[Service]

    @property
    def urls(self) -> list[str]:
        return [f"http://{self.net.address(api.name)}:{PORT}" for api in self.apis]

    @property
    def blobs(self) -> Blobs:
        return Blobs(self.store.url)

    def log(self, node: str) -> str:
        """What the command on a node said."""
        return (self.folder / f"{node}.log").read_text(errors="replace")


@contextmanager
def machines() -> Iterator[Machines]:
    """The cluster, ready; skips the test where a part of it cannot be had."""
    bin_folder = binaries()
    if bin_folder is None:
        pytest.skip("PostgreSQL is not installed")
    with ExitStack() as parts:
        net = parts.enter_context(network())
        name = parts.enter_context(tempfile.TemporaryDirectory(prefix="fvt-net-", dir="/tmp"))
        folder = Path(name)
        folder.chmod(0o755)
        for node in ("postgres", "redis", "s3"):
            net.add(node)
            (folder / node).mkdir()
        (folder / "points").mkdir()
        make_base_model(folder / "models" / "acme" / "tiny-bert", vocab_size=200)
        store = parts.enter_context(seaweed_server(folder / "s3", net.address("s3"), net.at("s3")))
        servers = [database(folder, net, bin_folder), broker(folder, net)]
        parts.callback(end, folder, servers)
        for server in servers:
            server.restart()
        apis, workers = fronts(folder, net, store), backs(folder, net, store)
        parts.callback(end, folder, [*apis, *workers])
        for service in (*apis, *workers):
            service.restart()
        db = Database(database_url(net))
        parts.callback(db.close)
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in store.environment.items():
                patch.setenv(variable, value)
            made = Machines(folder, net, store, db, apis, workers)
            wait_until(lambda: all(map(is_ready, made.urls)), 120)
            yield made


def end(folder: Path, services: list[Service]) -> None:
    """End these at once, with all that they started."""
    for service in services:
        signal_all(service.family(), SIGKILL)
        service.stop(5)
    if "worker" in services[-1].name:
        signal_all(list(marked(folder.name)), SIGKILL)


def database_url(net: Network) -> str:
    return f"postgresql+psycopg://fvt@{net.address('postgres')}/postgres"


def database(folder: Path, net: Network, bin_folder: Path) -> Service:
    """PostgreSQL on its node; not marked, since it is no process of the service."""
    cluster = Cluster(folder / "postgres", bin_folder)
    cluster.create()
    cluster.trust(net.range)
    command = [*net.at("postgres"), *cluster.command(net.address("postgres"))]
    return Service("postgres", command, os.environ, folder / "postgres.log")


def broker(folder: Path, net: Network) -> Service:
    """Local mode's Valkey, on an address."""
    command = local.broker(folder / "redis" / "s", folder / "redis")
    command[command.index("--port") + 1] = "6379"
    address = ["--bind", net.address("redis"), "--protected-mode", "no"]
    return Service(
        "redis", [*net.at("redis"), *command, *address], os.environ, folder / "redis.log"
    )


def environment_on(node: str, folder: Path, net: Network, store: ObjectStore) -> dict[str, str]:
    """The environment of a machine that shares nothing but the three servers and the models."""
    settings = {
        "data_dir": str(folder / node),
        "database_url": database_url(net),
        "broker_url": f"redis://{net.address('redis')}:6379/0",
        "blobs_url": store.url,
        "models_dir": str(folder / "models"),
        **QUICK,
    }
    return marked_environment(settings, folder) | store.environment


def fronts(folder: Path, net: Network, store: ObjectStore) -> list[Service]:
    apis = []
    for node in (f"api{number}" for number in range(MACHINES)):
        command = local.api(net.add(node), PORT)
        env = environment_on(node, folder, net, store)
        apis.append(Service(node, [*net.at(node), *command], env, folder / f"{node}.log", cwd=ROOT))
    return apis


def backs(folder: Path, net: Network, store: ObjectStore) -> list[Service]:
    workers = []
    for node in (f"worker{number}" for number in range(MACHINES)):
        net.add(node)
        command = [*net.at(node), *local.worker(), "-n", f"{node}@{node}"]
        env = environment_on(node, folder, net, store)
        workers.append(Service(node, command, env, folder / f"{node}.log", cwd=ROOT))
    return workers

"""Import extensions: packages of an installation's own that add metrics, runtimes, objectives.

An extension has two modules. Its ``names`` adds rows to ``app.contract.names`` and imports nothing
heavy: the API and the workers import it as they start. Its ``engine`` adds the entries to the
engine's registries: a worker imports it before it runs a job.
"""

from importlib import import_module

from app.settings import Settings


def import_names(settings: Settings) -> None:
    """Add the names of every extension; raises ImportError where one is not installed."""
    for package in settings.extensions:
        import_module(f"{package}.names")


def import_engine(settings: Settings) -> None:
    """Add the names and the entries of every extension, in a process that has the engine."""
    for module in engine_modules(settings):
        import_module(module)


def engine_modules(settings: Settings) -> list[str]:
    """Return the modules that add the names and the entries, in the order of their import."""
    return [f"{package}.{part}" for package in settings.extensions for part in ("names", "engine")]

"""Import Python programs of the checkout that lack the suffix as modules."""

import importlib.machinery
import importlib.util
import subprocess
from types import ModuleType

from support import TOP


def load_script(path: str) -> ModuleType:
    """Import a script by its path in the checkout; its main() does not run."""
    name = path.rpartition("/")[2].replace("-", "_")
    loader = importlib.machinery.SourceFileLoader(name, str(TOP / path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def git_works() -> bool:
    """Return whether git runs; where packages are built it may be missing, or a stub."""
    try:
        return subprocess.run(["git", "--version"], capture_output=True).returncode == 0
    except OSError:
        return False

# SPDX-License-Identifier: Apache-2.0
"""Modules that nova and pyroute2 import and the agent never uses cost no memory.

Their code is run when something first touches one, as the standard library's LazyLoader has it:
whoever needs one after all has it. Before Python 3.11.9 and 3.12.3, threads that are the first to
touch one at the same time may find it half loaded.
"""

import sys
from collections.abc import Collection, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

#: Whole ones only: one that is lazy in the midst of its package can break imports in a circle.
UNUSED = (
    # the database, which only nova-conductor reaches
    "nova.db.api.models", "nova.db.main.models", "oslo_db.sqlalchemy.engines",
    "oslo_db.sqlalchemy.orm", "oslo_db.sqlalchemy.utils", "sqlalchemy.orm",
    # which cell a server is in, asked by the API alone; it would load sqlalchemy.orm
    "nova.objects.instance_mapping",
    # images, schemas of REST requests, pages, certificates
    "nova.image.glance", "jsonschema", "jinja2", "cryptography.x509",
    # pyroute2's own database of network objects
    "pyroute2.ndb.schema",
)


class _Lazy(MetaPathFinder):
    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in self._names else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def imports(names: Collection[str] = UNUSED) -> None:
    """From now on, modules of these names are loaded when they are first touched."""
    sys.meta_path.insert(0, _Lazy(names))

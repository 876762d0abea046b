"""The resources, by noun.

Importing the package imports every module in it, so that a new one needs no entry in a list.
"""

import importlib
import pkgutil

from ganeti.rapi import baserlib

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)

#: Every resource of the API, in the order of definition.
RESOURCES = [one for one in baserlib.RESOURCES if one.__module__.startswith(f"{__name__}.")]

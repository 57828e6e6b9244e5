"""The client of the debugger that the fork's own tests have."""

import importlib.util
import pathlib

# Not imported as a part of nova, which the tools' Python does not have.
_spec = importlib.util.spec_from_file_location(
    'remote_pdb', pathlib.Path(__file__).parents[2] /
    'nova/tests/fixtures/remote_pdb.py')
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

PdbClient = _module.PdbClient

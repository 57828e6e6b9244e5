"""The CMDB of nova/tests/fixtures/http_cmdb.py, for tests without a Nova."""

import importlib.util
import pathlib

# Not imported as a part of nova, which the tools' Python does not have.
_spec = importlib.util.spec_from_file_location(
    'nova_http_cmdb', pathlib.Path(__file__).parents[2] /
    'nova/tests/fixtures/http_cmdb.py')
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

globals().update({name: value for name, value in vars(_module).items()
                  if not name.startswith('_')})

"""Reading the fork's TOML files."""

import pathlib

try:
    import tomllib
except ModuleNotFoundError:  # Python before 3.11
    import tomli as tomllib

from patchqueue.errors import ForkError


def load(path):
    """The contents of a TOML file.

    :raises ForkError: it is not there, or no TOML; with the line
    """
    try:
        return tomllib.loads(pathlib.Path(path).read_text())
    except FileNotFoundError:
        raise ForkError('%s: not found' % path)
    except tomllib.TOMLDecodeError as error:
        raise ForkError('%s: %s' % (path, error))


def tables(data, name, path):
    """The tables [[`name`]] of what :func:`load` read from `path`."""
    found = data.get(name, [])
    if not isinstance(found, list) or not all(
            isinstance(table, dict) for table in found):
        raise ForkError('%s: expected [[%s]], with two brackets' % (
            path, name))
    return found

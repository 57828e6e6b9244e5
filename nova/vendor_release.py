#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""The vendor's release, where upstream does not look for it.

Upstream reads the vendor's release from a file named ``release`` beside the
configuration, and only once the configuration is loaded. This finds it in two
more situations: while the command line is still being parsed (``--version``),
and in a virtual environment, whose own ``etc/nova`` is no configuration
directory. Without such a file everything reports upstream's plain version.
"""

import os
import sys

from oslo_config import cfg

from nova import version

# Where the packages have it.
_ETC = '/etc/nova'


def find_file(conf):
    """Find the release file of the packages or of a virtual environment.

    :param conf: the ConfigOpts whose directories are searched first
    :returns: the path, or None
    """
    try:
        found = conf.find_file('release')
    except cfg.NotInitializedError:
        # The directories of --config-file and --config-dir are not known
        # yet. Of the standard ones only Nova's own is looked at: a file
        # ~/release would be anybody's.
        found = _in_directory(_ETC)
    return found or _in_directory(os.path.join(sys.prefix, 'etc', 'nova'))


def _in_directory(directory):
    path = os.path.join(directory, 'release')
    return path if os.path.isfile(path) else None


def version_string():
    """What ``--version`` prints: 29.4.0-mycompany-2024.1.1

    Safe to call before the configuration is loaded. The release file is
    looked for again once it is, in the directories of the configuration too.
    """
    try:
        return version.version_string_with_package()
    finally:
        version.loaded = False

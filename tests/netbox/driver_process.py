"""Runs the driver netbox in Nova's Python, for the tests.

Reads a line of JSON for each call, [NAME, ARGUMENTS], and writes one with
what became of it: {"result": ...} or {"error": [CLASS, TEXT]}; with it comes
how many requests NetBox has had for it. With DIE_AT in the environment the
process ends at once in place of that request, as if it had been killed.
"""

import json
import os
import sys

from nova.cmdb.drivers import netbox
from nova.cmdb.drivers import rest
from nova.cmdb import errors
import nova.conf

requests = 0
die_at = int(os.environ.get('DIE_AT', 0))
real_request = rest.Client.request


def counted(self, *args, **kwargs):
    global requests
    requests += 1
    if requests == die_at:
        os._exit(9)
    return real_request(self, *args, **kwargs)


rest.Client.request = counted
nova.conf.CONF(['--config-file', sys.argv[1]], project='nova')
driver = netbox.NetBoxDriver()


def pages(limit):
    """The server ids of all pages."""
    found, marker = [], None
    while True:
        page = [entry.server_id for entry in driver.page(limit, marker)]
        if not page:
            return found
        found.append(page)
        marker = page[-1]


def diff(records, limit=500):
    """What is not as it should be, as the agent finds out: by server id the
    names of fields, or 'missing' or 'ghost'.
    """
    wanted = {record['id']: record for record in records}
    found, marker = {}, None
    while True:
        page = driver.page(limit, marker)
        if not page:
            break
        for server_id, content in page:
            record = wanted.pop(server_id, None)
            differences = record and driver.differences(record, content)
            if record is None or differences:
                found[server_id] = differences or 'ghost'
        marker = page[-1].server_id
    found.update(dict.fromkeys(wanted, 'missing'))
    return found


calls = {'put': driver.put, 'delete': driver.delete, 'reload': driver.reload,
         'pages': pages, 'diff': diff}
for line in sys.stdin:
    name, arguments = json.loads(line)
    requests = 0
    try:
        answer = {'result': calls[name](*arguments)}
    except errors.CMDBError as error:
        answer = {'error': [type(error).__name__, str(error)]}
    print(json.dumps(dict(answer, requests=requests)), flush=True)

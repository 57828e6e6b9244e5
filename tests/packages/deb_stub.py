"""Neutron and Glance as far as a server without a network needs them.

python3 deb_stub.py PORT, on loopback. Nova asks Glance for the image it boots
and Neutron for the ports of a server, of which there are none here.
"""

import json
import re
import sys
from wsgiref import simple_server

IMAGE = '7a0b7b3c-0c1f-4f53-9a34-4b8e0a6f3f6d'

_IMAGE = {
    'id': IMAGE, 'name': 'test', 'status': 'active', 'visibility': 'public',
    'disk_format': 'raw', 'container_format': 'bare', 'size': 1, 'min_ram': 0,
    'min_disk': 0, 'checksum': '0', 'owner': 'admin', 'protected': False,
    'os_hidden': False, 'tags': [], 'created_at': '2026-01-01T00:00:00Z',
    'updated_at': '2026-01-01T00:00:00Z',
}

_ANSWERS = (
    (r'/v2/images/%s' % IMAGE, _IMAGE),
    (r'/v2/schemas/image', {
        'name': 'image', 'properties': {key: {} for key in _IMAGE}}),
    # Every list of Neutron's is empty, under its own name.
    (r'/v2\.0/([a-z-]+)', None),
)


def answer(environ, start_response):
    path = environ['PATH_INFO'].rstrip('/').removesuffix('.json')
    for pattern, body in _ANSWERS:
        found = re.fullmatch(pattern, path)
        if found:
            body = body or {found[1].replace('-', '_'): []}
            start_response('200 OK', [('Content-Type', 'application/json')])
            return [json.dumps(body).encode()]
    start_response('404 Not Found', [('Content-Type', 'text/plain')])
    return [path.encode()]


if __name__ == '__main__':
    simple_server.make_server(
        '127.0.0.1', int(sys.argv[1]), answer).serve_forever()

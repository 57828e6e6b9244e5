"""Images, networks and tokens without Glance, Neutron and Keystone; and hooks
without processes of their own.

Nova's own calls are answered in the process, by upstream's fixtures. The
openstack client also wants a token, and looks up names by itself: these WSGI
applications answer that over HTTP, and nothing else.
"""

import json
import os
import threading
import urllib.parse
import uuid

import fixtures

from nova.compute import hook_process
from nova.tests import fixtures as nova_fixtures


def uuid_of(name):
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


class Fixture(fixtures.Fixture):
    """Images and networks, for as long as the process runs."""

    def _setUp(self):
        self.images = self.useFixture(nova_fixtures.GlanceFixture(self))
        self.networks = self.useFixture(nova_fixtures.NeutronFixture(self))

    # What upstream's fixtures ask of a test case.

    def stub_out(self, name, new):
        self.useFixture(fixtures.MonkeyPatch(name, new))

    def flags(self, group=None, **options):
        self.useFixture(nova_fixtures.ConfPatcher(group=group, **options))


class HooksInProcess(fixtures.Fixture):
    """Compute hooks run in threads: a process of theirs would have no bus.

    All else is as ever, down to the pipe that their events come through.
    """

    def _setUp(self):
        self.useFixture(fixtures.MonkeyPatch(
            'nova.compute.hooks._Pipe._start_process', _start_thread))


def _start_thread(pipe):
    if pipe._process is None:
        # Else the green thread that reads would stop all others.
        os.set_blocking(pipe._read_from, False)
        pipe._process = threading.Thread(
            target=hook_process.run, args=(pipe._name, pipe._read_from),
            daemon=True)
        pipe._process.start()


def _json(start_response, status, answer, **headers):
    body = json.dumps(answer, default=str).encode()
    start_response(status, [
        ('Content-Type', 'application/json'),
        ('Content-Length', str(len(body))),
        *((name.replace('_', '-'), value)
          for name, value in headers.items())])
    return [body]


def _version(environ, version, name):
    """A version of an API, as clients discover it."""
    return {'id': version, 'status': name, 'links': [
        {'rel': 'self', 'href': 'http://%s/%s/' % (
            environ['HTTP_HOST'], version.partition('.')[0])}]}


def _reader(version, resources):
    """An API of lists and single resources, to be read.

    :param version: of the API, as it is discovered
    :param resources: by path, a function that returns all of them, and the
        key that holds a single one, None for none
    """

    def application(environ, start_response):
        path = environ['PATH_INFO'].rstrip('/')
        collection, _, last = path.rpartition('/')
        query = urllib.parse.parse_qs(environ.get('QUERY_STRING', ''))
        if environ['REQUEST_METHOD'] != 'GET':
            return _json(start_response, '501 Not Implemented', {
                'message': 'this stand-in can only be read'})
        if path in ('', '/' + version.partition('.')[0]):
            return _json(start_response, '300 Multiple Choices', {
                'versions': [_version(environ, version, 'CURRENT')]})
        if path in resources:
            found, _key = resources[path]
            return _json(start_response, '200 OK', {last: [
                item for item in found()
                if item['name'] in query.get('name', [item['name']])]})
        if collection in resources:
            found, key = resources[collection]
            for item in found():
                if item['id'] == urllib.parse.unquote(last):
                    return _json(start_response, '200 OK',
                                 {key: item} if key else item)
        return _json(start_response, '404 Not Found', {
            'message': 'nothing is at %s' % path})

    return application


def images(fixture):
    def found():
        return [{
            'id': image['id'], 'name': image['name'], 'status': 'active',
            'visibility': 'public', 'size': int(image['size'] or 0),
            'min_ram': 0, 'min_disk': 0, 'tags': [], 'protected': False,
            'disk_format': image['disk_format'] or None,
            'container_format': image['container_format'] or None,
            'created_at': '2024-01-01T00:00:00Z',
            'updated_at': '2024-01-01T00:00:00Z',
        } for image in fixture.images.detail(None)]

    return _reader('v2.9', {'/v2/images': (found, None)})


def networks(fixture):
    client = fixture.networks
    return _reader('v2.0', {
        '/v2.0/networks': (
            lambda: client.list_networks()['networks'], 'network'),
        '/v2.0/subnets': (
            lambda: client.list_subnets()['subnets'], 'subnet'),
        '/v2.0/ports': (
            lambda: client.list_ports(is_admin=True)['ports'], 'port'),
    })


def identity(projects, catalog):
    """Tokens for everybody, with any password.

    :param projects: the project of each user: name to (id, name)
    :param catalog: URLs of the services, by their type
    """

    def application(environ, start_response):
        if environ['PATH_INFO'].rstrip('/') in ('', '/v3'):
            version = _version(environ, 'v3.14', 'stable')
            if environ['PATH_INFO'].startswith('/v3'):
                return _json(start_response, '200 OK', {'version': version})
            return _json(start_response, '300 Multiple Choices', {
                'versions': {'values': [version]}})
        if environ['PATH_INFO'] != '/v3/auth/tokens' or environ[
                'REQUEST_METHOD'] != 'POST':
            return _json(start_response, '404 Not Found', {'error': {
                'code': 404, 'title': 'Not Found',
                'message': 'this stand-in gives tokens, no more'}})
        asked = json.loads(environ['wsgi.input'].read(
            int(environ['CONTENT_LENGTH'])))
        user = asked['auth']['identity']['password']['user']['name']
        if user not in projects:
            return _json(start_response, '401 Unauthorized', {'error': {
                'code': 401, 'title': 'Unauthorized',
                'message': 'expected one of the users %s, not %r' % (
                    ', '.join(projects), user)}})
        project, name = projects[user]
        domain = {'id': 'default', 'name': 'Default'}
        token = {
            'methods': ['password'], 'roles': [],
            'user': {'id': user, 'name': user, 'domain': domain},
            'project': {'id': project, 'name': name, 'domain': domain},
            'issued_at': '2024-01-01T00:00:00.000000Z',
            'expires_at': '2124-01-01T00:00:00.000000Z',
            'catalog': [{
                'id': kind, 'type': kind, 'name': kind,
                'endpoints': [{
                    'id': '%s-%s' % (kind, interface), 'url': url,
                    'interface': interface, 'region': 'devcloud',
                    'region_id': 'devcloud',
                } for interface in ('public', 'internal', 'admin')],
            } for kind, url in catalog.items()]}
        return _json(start_response, '201 Created', {'token': token},
                     X_Subject_Token='%s:%s' % (user, project))

    return application

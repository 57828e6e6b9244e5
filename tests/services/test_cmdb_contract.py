"""The page doc/operator/cmdb-http.openapi.yaml is what the driver http asks,
and what the CMDB of the tests answers.
"""

import json
import re
import subprocess
import urllib.error
import urllib.request

from conftest import ROOT
import http_cmdb
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import validate
import pytest
import yaml

ID = '1a2b3c4d-5e6f-4a1b-8c2d-000000000001'

# Runs in Nova's Python. One of two addresses has all that may be None.
_USE_THE_DRIVER = '''
import json, sys
import nova.conf
from nova.cmdb.drivers import http
from nova.cmdb import errors
nova.conf.CONF(["--config-file", sys.argv[1]], project="nova")
driver = http.HTTPDriver()
for record in json.loads(sys.argv[2]):
    driver.put(record)
    driver.put(record)
driver.page(10)
driver.page(1, driver.page(1)[0].server_id)
driver.delete(record["id"])
driver.delete(record["id"])
driver.close()
'''

_RECORD = {
    'id': ID, 'name': 'web-1', 'project_id': 'p', 'user_id': 'u',
    'flavor': 'm1.small', 'vcpus': 2, 'memory_mb': 2048, 'disk_gb': 20,
    'host': 'compute-1', 'node': 'compute-1', 'cell': 'cell1',
    'availability_zone': 'az1', 'state': 'error',
    'fault': {'code': 500, 'message': 'No valid host'},
    'created_at': '2026-11-25T15:41:18Z', 'business_tag': 'shop',
    'addresses': [
        {'address': '10.0.0.5', 'version': 4, 'type': 'fixed',
         'mac_address': 'fa:16:3e:00:00:01', 'network': 'private',
         'port_id': 'aaaaaaaa-0000-4000-8000-000000000001'},
        {'address': '2001:db8::5', 'version': 6, 'type': 'floating',
         'mac_address': None, 'network': None, 'port_id': None}]}
_BARE = dict(dict.fromkeys(_RECORD), id=ID.replace('1a', '2a'), name='',
             cell='cell1', state='building', addresses=[])


@pytest.fixture(scope='module')
def page():
    return yaml.safe_load(
        (ROOT / 'doc/operator/cmdb-http.openapi.yaml').read_text())


@pytest.fixture
def cmdb():
    made = http_cmdb.CMDB()
    made.start()
    yield made
    made.close()


def whole(page, schema):
    """A schema with what it refers to in its place."""
    if isinstance(schema, list):
        return [whole(page, entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if '$ref' in schema:
        found = page
        for key in schema['$ref'].lstrip('#/').split('/'):
            found = found[key]
        return whole(page, found)
    return {key: whole(page, value) for key, value in schema.items()}


def check(page, method, path, body, status, data):
    """That an exchange is one of those on the page."""
    operations = next(
        value for template, value in page['paths'].items()
        if re.fullmatch(template.replace('{id}', '[^/]+'),
                        path.partition('?')[0]))
    operation = whole(page, operations[method.lower()])
    if 'requestBody' in operation:
        content = operation['requestBody']['content']['application/json']
        OAS30Validator(content['schema']).validate(json.loads(body))
    else:
        assert not body
    response = operation['responses'].get(str(status))
    if response is None:
        assert status >= 400
    elif 'content' in response:
        OAS30Validator(
            response['content']['application/json']['schema']).validate(data)


def test_the_page_is_valid_openapi(page):
    validate(page)


def test_what_the_driver_asks_and_is_answered_is_on_the_page(
        fork, page, cmdb, tmp_path):
    token = tmp_path / 'token'
    token.write_text(http_cmdb.TOKEN)
    token.chmod(0o600)
    configuration = tmp_path / 'nova.conf'
    configuration.write_text('[cmdb_http]\nurl = %s\ntoken_file = %s\n' % (
        cmdb.url, token))
    subprocess.run(
        [fork.python, '-c', _USE_THE_DRIVER, configuration,
         json.dumps([_RECORD, _BARE])], cwd=fork.tree, check=True)
    for exchange in cmdb.exchanges:
        check(page, *exchange)
    assert {(method, status) for method, _path, _body, status, _data
            in cmdb.exchanges} == {
        ('PUT', 201), ('PUT', 204), ('GET', 200), ('DELETE', 204),
        ('DELETE', 404)}


@pytest.mark.parametrize('method, path, body, token, status', [
    ('GET', '/vms?limit=0', None, http_cmdb.TOKEN, 400),
    ('GET', '/vms?limit=1001', None, http_cmdb.TOKEN, 400),
    ('GET', '/vms?limit=1&marker=x', None, http_cmdb.TOKEN, 400),
    ('GET', '/vms?limit=1', None, 'wrong', 401),
    ('PUT', '/vms/' + ID, b'{', http_cmdb.TOKEN, 400),
    ('PUT', '/vms/' + ID, b'{"id": "other"}', http_cmdb.TOKEN, 400),
    ('DELETE', '/vms/' + ID, None, 'wrong', 401)])
def test_the_cmdb_refuses_what_is_not_on_the_page(
        cmdb, method, path, body, token, status):
    request = urllib.request.Request(
        cmdb.url + path, data=body, method=method,
        headers={'Authorization': 'Bearer ' + token})
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request)
    assert raised.value.code == status


def test_an_exchange_that_is_not_on_the_page_is_found(page):
    with pytest.raises(Exception, match="'name' is a required property"):
        check(page, 'PUT', '/vms/' + ID, b'{"id": "%s"}' % ID.encode(), 204,
              None)
    with pytest.raises(Exception, match='not nullable'):
        check(page, 'GET', '/vms?limit=1', b'', 200, {'vms': None})

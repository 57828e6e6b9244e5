"""A little compute API that has servers and their metrics, and no Nova.

It answers with JSON as Nova's API does: discovery, GET /servers, and metrics
as the api-ref describes them. Keystone is not asked: the clients are
told its address, and send a fixed token.
"""

import http.server
import json
import re
import threading
import urllib.parse
import uuid

SAMPLED_AT = '2026-11-25T15:41:18.123456Z'
PAGE = 2


def metrics(server_id, cpu=12.34, window=10.0):
    """What the API calls server_metrics; the first answer if not `window`."""
    def rate(value):
        return None if window is None else value

    cpu = rate(cpu)
    return {
        'version': '1.0', 'server_id': server_id, 'sampled_at': SAMPLED_AT,
        'window_seconds': window,
        'cpu': {'vcpus': 1, 'utilisation': cpu, 'time_ns': 41000000000,
                'per_vcpu': [{'id': 0, 'utilisation': cpu,
                              'time_ns': 40000000000}]},
        'memory': {'allocated_bytes': 2 ** 31, 'balloon_bytes': 2 ** 31,
                   'rss_bytes': 3 * 2 ** 29, 'usable_bytes': None},
        'disks': [{
            'device': 'vda', 'read_bytes': 4096, 'read_requests': 1,
            'write_bytes': 2 ** 20, 'write_requests': 2, 'flush_requests': 3,
            'read_bytes_per_second': rate(0.0),
            'write_bytes_per_second': rate(1536.0),
            'read_requests_per_second': rate(0.0),
            'write_requests_per_second': rate(0.5)}],
        'interfaces': [{
            'device': 'tap0', 'mac_address': '52:54:00:00:00:01',
            'port_id': None, 'rx_bytes': 10, 'rx_packets': 1, 'rx_errors': 0,
            'rx_drops': 0, 'tx_bytes': 20, 'tx_packets': 1, 'tx_errors': 0,
            'tx_drops': 0, 'rx_bytes_per_second': rate(100.0),
            'tx_bytes_per_second': rate(200.0),
            'rx_packets_per_second': rate(1.0),
            'tx_packets_per_second': rate(2.0)}]}


class ComputeAPI:
    """A context manager: the API listens while it is entered.

    The tests change what it knows while it runs.
    """

    def __init__(self):
        # Names of servers by id, and metrics by id; or the fault that is
        # answered instead: (status, message).
        self.names = {}
        self.metrics = {}
        # While it is set, every request for metrics gets that fault.
        self.fault = None
        # False: a Nova without metrics, to which "metrics" is a server's id.
        self.has_metrics = True
        # The requests for servers: their paths with the query.
        self.asked = []
        self._port = 0

    def add(self, name, answer=None, **how):
        """Add a server; its id.

        :param answer: (status, message) instead of metrics
        """
        server_id = str(uuid.uuid4())
        self.names[server_id] = name
        self.metrics[server_id] = answer or metrics(server_id, **how)
        return server_id

    def remove(self, server_id):
        del self.names[server_id], self.metrics[server_id]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def start(self):
        """Listen; again at the same port if it did before."""
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, headers, body = api.answer(self.path)
                body = json.dumps(body).encode()
                self.send_response(status)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(body)))
                for pair in headers.items():
                    self.send_header(*pair)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        self.url = 'http://127.0.0.1:%d/v2.1' % self._port
        threading.Thread(target=self._server.serve_forever,
                         kwargs={'poll_interval': 0.02}).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path):
        """The status, headers and body of an answer."""
        url = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path in ('/', '/v2.1', '/v2.1/'):
            version = {
                'id': 'v2.1', 'status': 'CURRENT', 'version': '2.96',
                'min_version': '2.1', 'updated': '2013-07-23T11:33:21Z',
                'links': [{'rel': 'self', 'href': self.url + '/'}]}
            return 200, {}, ({'versions': [version]} if url.path == '/'
                             else {'version': version})
        self.asked.append(path)
        if url.path == '/v2.1/servers':
            return self._list_servers(query)
        found = re.fullmatch(
            r'/v2\.1/servers/(?:([^/]+)/)?metrics', url.path)
        if not found or not self.has_metrics:
            return _fault(404, 'Instance metrics could not be found.'
                          if url.path == '/v2.1/servers/metrics'
                          else 'The resource could not be found.')
        if self.fault:
            return _fault(*self.fault)
        if not found[1]:
            return self._list_metrics(query)
        one = self.metrics.get(found[1]) or (
            404, 'Instance %s could not be found.' % found[1])
        if isinstance(one, tuple):
            return _fault(*one)
        return 200, {}, {'server_metrics': one}

    def _page(self, ids, query, path):
        """Some of the ids, and the link to the others."""
        first = ids.index(query['marker']) + 1 if 'marker' in query else 0
        some = ids[first:first + PAGE]
        if first + PAGE >= len(ids):
            return some, []
        # A proxy's other name for itself, as is often the case.
        return some, [{
            'rel': 'next', 'href': 'http://elsewhere.example%s?%s' % (
                path, urllib.parse.urlencode(dict(query, marker=some[-1])))}]

    def _list_servers(self, query):
        ids = [server_id for server_id, name in sorted(self.names.items())
               if re.search(query.get('name', ''), name)]
        some, links = self._page(ids, query, '/v2.1/servers')
        return 200, {}, {
            'servers': [{'id': one, 'name': self.names[one], 'links': []}
                        for one in some],
            **({'servers_links': links} if links else {})}

    def _list_metrics(self, query):
        some, links = self._page(
            sorted(self.metrics), query, '/v2.1/servers/metrics')
        answers = [(one, self.metrics[one]) for one in some]
        return 200, {}, {
            'servers_metrics': [
                answer for _, answer in answers if isinstance(answer, dict)],
            'servers_metrics_missing': [
                {'server_id': one, 'code': answer[0], 'message': answer[1]}
                for one, answer in answers if isinstance(answer, tuple)],
            **({'servers_metrics_links': links} if links else {})}


def _fault(status, message):
    kind = {404: 'itemNotFound', 409: 'conflictingRequest'}.get(
        status, 'computeFault')
    return status, {'Retry-After': '1'} if status == 503 else {}, {
        kind: {'code': status, 'message': message}}

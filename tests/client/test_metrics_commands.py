"""openstack server metrics, of 2024.1 and of now, against an API on a port."""

import json
import signal
import termios

import pytest

CTRL_C = '\x03'


def test_help_lists_the_three_commands(openstack):
    done = openstack.run('--help')
    for name in ('show', 'list', 'watch'):
        assert 'server metrics %s' % name in done.stdout


def test_show_by_name_has_every_figure_plain_for_machines(openstack, api):
    server_id = api.add('web', cpu=42.0)
    api.add('webby')
    done = openstack.run('show', 'web', '-f', 'json')
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown['server_id'] == server_id
    assert shown['cpu_utilisation'] == 42.0
    assert shown['memory_rss_bytes'] == 3 * 2 ** 29
    assert shown['memory_usable_bytes'] is None
    assert shown['disks'] == api.metrics[server_id]['disks']
    assert shown['interfaces'] == api.metrics[server_id]['interfaces']


def test_show_has_units_in_a_table_unless_told(openstack, api):
    server_id = api.add('web')
    assert ' 1.5 GiB ' in openstack.run('show', server_id).stdout
    assert ' 1610612736 ' in openstack.run('show', server_id, '--raw').stdout


@pytest.mark.parametrize('fault, said', [
    ((409, 'Cannot get metrics while it is stopped'), 'is stopped (HTTP 409)'),
    ((501, 'The compute node has no metrics'), 'no metrics (HTTP 501)'),
    ((503, 'The compute node does not answer'), 'not answer (HTTP 503)'),
    ((404, 'Instance x could not be found.'), 'be found. (HTTP 404)'),
])
def test_an_error_is_one_line_and_the_exit_status_1(
        openstack, api, fault, said):
    api.add('web', fault)
    done = openstack.run('show', 'web')
    assert done.returncode == 1
    assert done.stderr.strip() == 'No metrics of server web: %s' % (
        fault[1] + said[said.index(' (HTTP'):])
    # It is the user who asks again: 503 is no reason to do it for him.
    assert len([path for path in api.asked if 'metrics' in path]) == 1


def test_a_name_of_no_or_several_servers_is_an_error(openstack, api):
    ids = [api.add('web') for _ in range(2)]
    done = openstack.run('show', 'web')
    assert done.returncode == 1
    assert all(one in done.stderr for one in ids)
    done = openstack.run('show', 'wev')
    assert (done.returncode, done.stderr.strip()) == (
        1, 'No server is called wev.')


def test_a_nova_without_metrics_is_called_so(openstack, api):
    api.has_metrics = False
    api.add('web')
    for words in (['show', 'web'], ['list'], ['watch']):
        done = openstack.run(*words)
        assert done.returncode == 1
        assert 'has no server metrics' in done.stderr


def test_list_has_all_pages_with_the_busiest_first(openstack, api):
    for cpu in (5.0, 90.0, 50.0):
        api.add('cpu%d' % cpu, cpu=cpu)
    api.add('off', (409, 'It is stopped.'))
    done = openstack.run('list', '-f', 'json')
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row['Name'] for row in rows] == ['cpu90', 'cpu50', 'cpu5', 'off']
    assert [row['CPU %'] for row in rows] == [90.0, 50.0, 5.0, None]
    assert rows[-1]['Note'] == 'It is stopped.'


def test_list_sorts_and_limits_as_told(openstack, api):
    for name in 'bca':
        api.add(name)
    done = openstack.run('list', '--sort', 'name', '--limit', '2', '-f',
                         'value', '-c', 'Name')
    assert done.stdout.split() == ['a', 'b']


def test_list_of_a_host_asks_for_that_host_only(openstack, api):
    api.add('web')
    assert ' web ' in openstack.run('list', '--host', 'node 1').stdout
    assert [path.partition('/v2.1')[2] for path in api.asked] == [
        '/servers/metrics?host=node+1',
        '/servers?host=node+1&all_tenants=1']


def test_an_answer_without_a_window_shows_no_rates(openstack, api):
    api.add('new', window=None)
    done = openstack.run('list', '-c', 'CPU %', '-c', 'Read/s', '-f', 'csv',
                         '--quote', 'none')
    assert done.stdout.splitlines()[1] in (',', 'None,None')
    assert ' 0 B' not in openstack.run('list').stdout


def test_watch_without_a_terminal_prints_a_page_per_interval(openstack, api):
    api.add('web')
    done = openstack.run('watch', '--interval', '1', '--count', '2')
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('\nweb ') == 2
    assert '\x1b' not in done.stdout


def test_watch_ends_quietly_when_nobody_reads_on(openstack, api):
    api.add('web')
    with openstack.watch('--interval', '1', terminal=False) as watch:
        watch.until(r'\nweb ')
        watch.stop_reading()
        assert watch.process.wait(30) == 0


@pytest.mark.parametrize('key', ['q', CTRL_C])
def test_watch_gives_the_terminal_back_as_it_was(openstack, api, key):
    api.add('web')
    with openstack.watch() as watch:
        before = termios.tcgetattr(watch.terminal)
        watch.until(r'\nweb ')
        assert termios.tcgetattr(watch.terminal) != before
        watch.press(key)
        assert watch.end() == 0
        assert termios.tcgetattr(watch.terminal) == before
        # The other screen is left, and nothing is said after it.
        assert watch.output.endswith('\x1b[?1049l')


def test_a_terminated_watch_gives_the_terminal_back(openstack, api):
    api.add('web')
    with openstack.watch() as watch:
        before = termios.tcgetattr(watch.terminal)
        watch.until(r'\nweb ')
        watch.process.send_signal(signal.SIGTERM)
        assert watch.end() == 128 + signal.SIGTERM
        assert termios.tcgetattr(watch.terminal) == before


def test_watch_sorts_by_the_key_that_is_pressed(openstack, api):
    api.add('aaa', cpu=1.0)
    api.add('bbb', cpu=2.0)
    with openstack.watch('--interval', '600') as watch:
        watch.until(r'by cpu.*\nbbb .*\naaa ')
        asked = len(api.asked)
        watch.press('n')
        watch.until(r'by name.*\naaa .*\nbbb ')
        watch.press('v')
        watch.until(r'by name.*\nbbb .*\naaa ')
        assert len(api.asked) == asked


def test_watch_survives_a_server_that_vanishes(openstack, api):
    gone = api.add('gone')
    api.add('web')
    with openstack.watch('--interval', '1') as watch:
        watch.until(r'2 servers.*\ngone ')
        api.remove(gone)
        shown = watch.until(r'1 servers.*\nweb [^\n]*\n?')
        assert 'gone' not in shown[0]


def test_watch_survives_an_api_that_does_not_answer_in_time(openstack, api):
    api.add('web')
    with openstack.watch('--interval', '1') as watch:
        watch.until(r'1 servers.*\nweb ')
        api.fault = (503, 'Try again later.')
        # What was known is still there, with the reason.
        watch.until(r'Try again later. \(HTTP 503\).*\nweb ')
        api.fault = None
        assert 'Try again' not in watch.until(r'1 servers.*\nweb ')[0][-400:]


def test_watch_survives_an_api_that_is_restarted(openstack, api):
    api.add('web')
    with openstack.watch('--interval', '1') as watch:
        watch.until(r'1 servers.*\nweb ')
        api.stop()
        watch.until(r'No answer from the compute API.*\nweb ')
        api.start()
        watch.until(r'1 servers, every 1 s, by cpu *\r?\nServer .*\nweb ')

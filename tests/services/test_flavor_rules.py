"""Flavor rules in real nova-api services, with a MariaDB that fails."""

import concurrent.futures
import time

import pytest

from cloud import constantly
from process import until

# Seconds, of every host here.
REFRESH = 1
TIMEOUT = 1

# What a request that waits for nothing may take on a busy machine.
SOON = 3

OPTIONS = {'use_database': True, 'refresh_interval': REFRESH,
           'database_timeout': TIMEOUT}

# The fault is on line 4.
BROKEN = '''\
version: 1
projects:
  somebody:
    allow: m1.tiny
'''


def mapping(project, entry):
    return 'version: 1\nprojects: {%s: %s}\n' % (project, entry)


@pytest.fixture(scope='module')
def shared(make_cloud):
    """A cloud with two hosts, for tests with a project each.

    They differ in what they do when the database fails: `strict` does without
    rules at once, and `lenient` goes on with the last ones.
    """
    cloud = make_cloud()
    cloud.write_rules('version: 1\n')
    options = dict(OPTIONS, rules_file=cloud.rules_file)
    cloud.strict = cloud.start_api(
        'strict', flavor_rules=dict(options, database_max_age=0))
    cloud.lenient = cloud.start_api(
        'lenient', flavor_rules=dict(options, database_max_age=600))
    cloud.apis = [cloud.strict.wait(), cloud.lenient.wait()]
    cloud.strict.add_flavor('m1.tiny')
    yield cloud
    cloud.stop()


def all_say(apis, status, project, flavor='m1.tiny'):
    """Wait until all workers answer creates with this status only."""
    for api in apis:
        until('all workers say %d' % status,
              lambda: api.statuses(project, flavor) == {status})


def keep_asking(apis, project, seconds):
    """Ask all workers again and again for so long; all their statuses."""
    found, end = set(), time.monotonic() + seconds
    while time.monotonic() < end:
        for api in apis:
            found |= api.statuses(project)
    return found


def workers_of(api, answers):
    return {answer.worker for answer in api.name_workers(answers)}


class TestStart:

    def test_nova_api_refuses_to_start_with_a_broken_rules_file(self, cloud):
        cloud.write_rules(BROKEN)
        api = cloud.start_api(
            'host1', flavor_rules={'rules_file': cloud.rules_file})
        assert api.process.wait() != 0
        assert ("%s, line 4: projects.somebody.allow is the text 'm1.tiny'; "
                "expected a list" % cloud.rules_file) in api.log()

    def test_it_starts_with_the_file_mended(self, cloud):
        cloud.write_rules(BROKEN.replace('m1.tiny', '[m1.tiny]'))
        api = cloud.start_api(
            'host1', flavor_rules={'rules_file': cloud.rules_file}).wait()
        api.add_flavor('m1.tiny')
        api.add_flavor('m1.small')
        assert api.statuses('somebody', 'm1.tiny') == {202}
        assert api.statuses('somebody', 'm1.small') == {403}


def set_by_command(cloud, project):
    with cloud.start_manage('flavor_rules', 'set', '--project', project,
                            '--deny', 'm1.*') as command:
        until('the entry is in the database', lambda: cloud.server.run(
            "SELECT id FROM mycompany_flavor_rules WHERE project_id = '%s'"
            % project, cloud.database))
        # The command takes a while to end.
        done = time.monotonic()
    assert command.returncode == 0
    return done


def set_by_file(cloud, project):
    cloud.write_rules(mapping(project, '{deny: [m1.*]}'))
    return time.monotonic()


class TestChange:

    @pytest.mark.parametrize('deny', [set_by_command, set_by_file])
    def test_a_change_holds_in_every_worker_after_the_refresh_interval(
            self, shared, deny):
        project = deny.__name__

        def every_worker_has_answered(since):
            return all(workers_of(api, [
                answer for answer in list(theirs) if answer.asked > since]
            ) == set(api.workers) for api, theirs in answers.items())

        with constantly(shared.apis,
                        lambda api: api.create(project)) as answers:
            until('all are asked', lambda: every_worker_has_answered(0))
            begun = time.monotonic()
            done = deny(shared, project)
            until('all are asked again',
                  lambda: every_worker_has_answered(done + REFRESH))
        for theirs in answers.values():
            assert {answer.status for answer in theirs
                    if answer.asked + answer.seconds < begun} == {202}
            assert {answer.status for answer in theirs
                    if answer.asked > done + REFRESH} == {403}

    def test_the_refusal_names_flavor_and_project(self, shared):
        shared.write_rules(mapping('refused', '{allow: []}'))
        all_say([shared.strict], 403, 'refused')
        assert shared.strict.create('refused').body == {'forbidden': {
            'code': 403, 'message': 'FlavorNotAllowed: flavor m1.tiny is not '
            'allowed for project refused.'}}

    def test_nothing_is_written_for_a_server_that_is_refused(self, shared):
        shared.write_rules(mapping('unwritten', '{allow: []}'))
        all_say(shared.apis, 403, 'unwritten')
        before = shared.written('unwritten')
        assert shared.strict.create('unwritten').status == 403
        assert shared.written('unwritten') == before
        # So would it have been.
        shared.write_rules('version: 1\n')
        all_say([shared.strict], 202, 'unwritten')
        assert shared.written('unwritten') > before


class TestBrokenEdit:

    @pytest.mark.parametrize('edit', ['nonsense', 'removal'])
    def test_the_last_good_rules_stay_and_each_worker_says_why_once(
            self, shared, edit):
        project = 'broken-by-' + edit
        shared.write_rules(mapping(project, '{deny: [m1.*]}'))
        all_say(shared.apis, 403, project)
        known = {api: len(api.errors()) for api in shared.apis}

        def complaints(api):
            return sorted(worker for worker, _ in api.errors()[known[api]:])

        if edit == 'nonsense':
            shared.write_rules(BROKEN)
            reason = '%s, line 4: ' % shared.rules_file
        else:
            shared.rules_file.unlink()
            reason = 'No such file'
        for api in shared.apis:
            until('every worker complains', lambda: (
                api.statuses(project) == {403}
                and set(complaints(api)) == set(api.workers)))
        # They look again, and see nothing new.
        assert keep_asking(shared.apis, project, 2 * REFRESH) == {403}
        for api in shared.apis:
            assert complaints(api) == api.workers
            for _, text in api.errors()[known[api]:]:
                assert 'stay in force' in text
                assert reason in text

    def test_a_mended_edit_takes_effect(self, shared):
        shared.write_rules(mapping('mended', '{deny: [m1.*]}'))
        all_say(shared.apis, 403, 'mended')
        known = {api: len(api.errors()) for api in shared.apis}
        shared.write_rules(BROKEN)
        for api in shared.apis:
            until('every worker complains', lambda: (
                api.statuses('mended') and len(api.errors()) ==
                known[api] + len(api.workers)))
        shared.write_rules('version: 1\n')
        all_say(shared.apis, 202, 'mended')


class TestDeadDatabase:

    def test_no_server_gets_through_until_it_is_up_again(
            self, shared, server):
        all_say(shared.apis, 202, 'dead')
        workers = [api.workers for api in shared.apis]
        before = shared.written('dead')
        server.kill()
        try:
            answers = [answer for api in shared.apis for answer in
                       api.everywhere(lambda api: api.create('dead'))]
        finally:
            server.start()
        assert {answer.status for answer in answers} == {503}
        # Nobody waits for what is known to be down.
        assert max(answer.seconds for answer in answers) < TIMEOUT + SOON
        assert shared.written('dead') == before
        all_say(shared.apis, 202, 'dead')
        assert [api.workers for api in shared.apis] == workers

    def test_the_user_is_told_to_try_again(self, shared, server):
        all_say([shared.strict], 202, 'told')
        server.kill()
        try:
            answer = shared.strict.create('told')
        finally:
            server.start()
        assert answer.body == {'serviceUnavailable': {
            'code': 503, 'message': 'It cannot be told now which flavors '
            'project told may use. Nothing was changed. Please try again '
            'later.'}}


class TestHangingDatabase:

    def test_a_request_waits_for_the_time_out_and_no_longer(
            self, shared, server):
        strict, answers = shared.strict, []
        all_say([strict], 202, 'hanging')
        before = shared.written('hanging')
        with server.frozen():
            # Until then the database is not asked for rules.
            due = time.monotonic() + REFRESH
            until('the rules are due', lambda: time.monotonic() > due)
            # Longer than one question is waited for: another is asked.
            end = due + 5 * TIMEOUT
            while time.monotonic() < end:
                answers += strict.everywhere(
                    lambda api: api.create('hanging'))
        assert {answer.status for answer in answers} == {503}
        assert max(answer.seconds for answer in answers) < TIMEOUT + SOON
        # What has its answer only now does not get through after all.
        assert shared.written('hanging') == before
        all_say([strict], 202, 'hanging')

    def test_upstreams_lookup_of_the_flavor_waits_for_the_database(
            self, shared, server):
        """With rules at hand it is the next to ask, and it has no limit."""
        lenient = shared.lenient
        all_say([lenient], 202, 'waiting')
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            with server.frozen():
                asked = pool.submit(lenient.create, 'waiting')
                _, waiting = concurrent.futures.wait(
                    [asked], timeout=TIMEOUT + 3)
            assert waiting
            assert asked.result().status == 202

    def test_a_read_timeout_of_the_connection_is_its_limit(
            self, cloud, server):
        api = cloud.start_api(
            'host1', flavor_rules=dict(OPTIONS, database_max_age=600),
            api_database={'connection': server.url(
                cloud.database) + '?read_timeout=1'}).wait()
        api.add_flavor('m1.tiny')
        all_say([api], 202, 'limited')
        with server.frozen():
            answers = api.everywhere(lambda api: api.create('limited'))
        assert {answer.status for answer in answers} == {503}
        assert max(answer.seconds for answer in answers) < TIMEOUT + 2 + SOON
        all_say([api], 202, 'limited')


class TestUnusableDatabase:

    def test_one_that_lets_nobody_in_lets_no_server_through(
            self, cloud, server):
        user = "%s@'127.0.0.1'" % cloud.database
        create = "CREATE USER %s; GRANT ALL ON *.* TO %s" % (user, user)
        server.run(create)
        api = cloud.start_api(
            'host1', flavor_rules=dict(OPTIONS, database_max_age=600),
            api_database={'connection': server.url(
                cloud.database, user=cloud.database)}).wait()
        api.add_flavor('m1.tiny')
        all_say([api], 202, 'somebody')
        # As when the password is changed here and not there.
        server.run('DROP USER %s; KILL USER %s' % (user, user))
        assert api.statuses('somebody') == {503}
        server.run(create)
        all_say([api], 202, 'somebody')

    def test_without_our_tables_no_server_gets_through_until_a_sync(
            self, cloud, server):
        server.run('DROP TABLE mycompany_flavor_rules,'
                   ' mycompany_flavor_rules_state', cloud.database)
        api = cloud.start_api(
            'host1', flavor_rules=dict(OPTIONS, database_max_age=0)).wait()
        workers = api.workers
        api.add_flavor('m1.tiny')
        assert api.statuses('somebody') == {503}
        assert api.call('GET', '/flavors').status == 200
        assert cloud.written('somebody') == 0
        assert 'nova-manage api_db sync' in api.log()
        cloud.manage('api_db', 'sync')
        all_say([api], 202, 'somebody')
        assert api.workers == workers

    def test_without_our_tables_the_commands_say_what_to_do(
            self, cloud, server):
        server.run('DROP TABLE mycompany_flavor_rules,'
                   ' mycompany_flavor_rules_state', cloud.database)
        said = cloud.manage('flavor_rules', 'list', check=False)
        assert said.returncode == 2
        assert 'nova-manage api_db sync' in said.stderr

    def test_an_entry_edited_to_nonsense_is_named_and_not_left_out(
            self, cloud, server):
        max_age = 4
        strict = cloud.start_api(
            'strict', flavor_rules=dict(OPTIONS, database_max_age=0))
        ageing = cloud.start_api(
            'ageing', flavor_rules=dict(OPTIONS, database_max_age=max_age))
        strict.wait().add_flavor('m1.tiny')
        all_say([strict, ageing.wait()], 202, 'somebody')

        def every_worker_has_answered(since):
            return workers_of(ageing, [
                answer for answer in list(answers[ageing])
                if answer.asked > since]) == set(ageing.workers)

        with constantly([ageing],
                        lambda api: api.create('somebody')) as answers:
            until('all are asked', lambda: every_worker_has_answered(0))
            server.run(
                "INSERT INTO mycompany_flavor_rules (project_id, deny)"
                " VALUES ('fancy', '[\"m1.*');"
                "REPLACE mycompany_flavor_rules_state (id, token)"
                " VALUES (1, UUID())", cloud.database)
            edited = time.monotonic()
            # Not even for those whose entries are as they were.
            all_say([strict], 503, 'somebody')
            until('all are asked again', lambda: every_worker_has_answered(
                edited + max_age))
        # The last good entries were used first, for as long as they may be.
        assert workers_of(ageing, [
            answer for answer in answers[ageing]
            if answer.status == 202 and answer.asked > edited]) == set(
                ageing.workers)
        assert {answer.status for answer in answers[ageing]
                if answer.asked > edited + max_age} == {503}
        for api in strict, ageing:
            assert "the row of project 'fancy' in table" in api.log()
        cloud.manage('flavor_rules', 'set', '--project', 'fancy',
                     '--deny', 'm1.*')
        all_say([strict, ageing], 202, 'somebody')
        all_say([strict, ageing], 403, 'fancy')


class TestFlavors:

    @pytest.fixture(scope='class')
    @classmethod
    def denied(cls, shared):
        """A project that may not use the flavor gold, whose id is Gold-1."""
        shared.strict.add_flavor('gold', 'Gold-1')
        shared.manage('flavor_rules', 'set', '--project', 'denied',
                      '--deny', 'Gold-1')
        all_say([shared.strict], 403, 'denied', 'Gold-1')
        return 'denied'

    @pytest.mark.parametrize('reference', [
        'Gold-1', 'http://nova.example/v2.1/flavors/Gold-1',
        # MariaDB finds it so, as on stock Nova.
        'gold-1', 'GOLD-1', 'http://nova.example/v2.1/flavors/gOLD-1'])
    def test_however_it_is_referred_to_a_denied_flavor_is_denied(
            self, shared, denied, reference):
        assert shared.strict.create('free', reference).status == 202
        answer = shared.strict.create(denied, reference)
        assert (answer.status, 'flavor gold (Gold-1)' in answer.text) == (
            403, True)

    def test_it_is_the_present_name_of_an_id_that_counts(self, shared):
        api, server = shared.strict, shared.server
        shared.write_rules(mapping('named', '{deny: [silver, m1.*]}'))
        all_say([api], 403, 'named')
        api.add_flavor('bronze', '47')
        assert api.statuses('named', '47') == {202}
        # Deleted, and there again.
        api.delete_flavor('47')
        assert api.statuses('named', '47') == {400}
        api.add_flavor('silver', '47')
        assert api.statuses('named', '47') == {403}
        # Renamed, which no command does.
        server.run("UPDATE flavors SET name = 'bronze' WHERE flavorid = '47'",
                   shared.database)
        assert api.statuses('named', '47') == {202}

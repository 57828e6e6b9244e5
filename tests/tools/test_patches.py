"""The series file and the parts of a patch."""

import pytest

from patchqueue import patches
from patchqueue.errors import ForkError


def test_a_patch_is_split_into_header_and_diff(fork):
    patch = fork.series[2]
    assert patch.feature == 'hooks'
    assert patch.summary == 'Call the hooks after a server is built'
    assert patch.tests == ['nova.tests.unit.compute.test_hooks.HooksTestCase']
    assert patch.paths == ['nova/compute/manager.py']
    assert patch.header_text + patch.diff_text == patch.text


@pytest.mark.parametrize('old, new, message', [
    ('compute-post-create-hook.patch', 'gone.patch', 'gone.patch, which does'),
    ('compute-post-create-hook.patch', 'compute-post-delete-hook.patch',
     'is there twice'),
    ('compute-post-create-hook.patch', 'compute-post-create-hook.patch -p0',
     'options are not used'),
])
def test_a_mistake_in_the_series_is_named(fake, old, new, message):
    fake.edit('patches/series', old, new)
    with pytest.raises(ForkError, match=message):
        fake.fork.series


def test_a_new_name_goes_below_the_one_before_it(fake):
    path = fake.path('patches/series')
    names = patches.series_names(fake.path('patches'))
    patches.write_series(path, names[:1] + ['new.patch'] + names[1:])
    assert patches.series_names(fake.path('patches')) == (
        names[:1] + ['new.patch'] + names[1:])
    assert '# --- Ours to keep: hooks' in path.read_text()


def test_a_new_first_name_goes_above_those_that_were_there(fake):
    path = fake.path('patches/series')
    before = path.read_text()
    names = patches.series_names(fake.path('patches'))
    patches.write_series(path, ['one.patch', 'two.patch'] + names)
    assert path.read_text() == before.replace(
        names[0], 'one.patch\ntwo.patch\n' + names[0])


def test_names_in_place_of_all_others_go_below_the_comments(fake):
    path = fake.path('patches/series')
    patches.write_series(path, ['one.patch', 'two.patch'])
    assert patches.series_names(fake.path('patches')) == [
        'one.patch', 'two.patch']
    assert path.read_text().startswith('# What the fork')


def test_a_name_that_is_gone_leaves_the_comments(fake):
    path = fake.path('patches/series')
    before = path.read_text()
    names = patches.series_names(fake.path('patches'))
    patches.write_series(path, names[1:])
    assert path.read_text() == before.replace(names[0] + '\n', '')


def test_a_new_order_keeps_the_places_of_the_comments(fake):
    path = fake.path('patches/series')
    names = patches.series_names(fake.path('patches'))
    new = [names[1], names[0], *names[2:]]
    patches.write_series(path, new)
    assert patches.series_names(fake.path('patches')) == new
    assert path.read_text().splitlines()[0].startswith('# What the fork')


def test_an_unchanged_order_changes_nothing(fake):
    path = fake.path('patches/series')
    before = path.read_bytes()
    patches.write_series(path, patches.series_names(fake.path('patches')))
    assert path.read_bytes() == before

"""features.toml."""

import pytest

from patchqueue.errors import ForkError


@pytest.mark.parametrize('old, new, message', [
    ('name = "hooks"', 'name = "Hooks!"', "found 'Hooks!'"),
    ('name = "hooks"', 'name = "vendor-version"', 'is there twice'),
    ('title = "Hooks in the compute manager"', '', 'hooks needs a title'),
    ('title = "Hooks in the compute manager"',
     'title = "Hooks"\ncolour = "red"', 'unknown keys colour'),
    ('"nova/compute/hooks.py"', '1', 'must be a list of strings'),
    ('"nova/compute/hooks.py"', '"nova/vendor_release.py"',
     'listed twice, by vendor-version and hooks'),
    ('guides = [', 'gides = [', 'unknown keys gides'),
    ('guides = [', 'guides [', 'features.toml: '),
    ('guides = [\n]', 'guides = "doc/page.md"', 'guides must be a list'),
    ('[[feature]]\nname = "hooks"', '[hooks]\nname = "hooks"',
     'unknown keys hooks'),
])
def test_a_mistake_is_named(fake, old, new, message):
    fake.edit('features.toml', old, new)
    with pytest.raises(ForkError, match=message):
        fake.fork.features


def test_a_single_bracket_is_named(fake):
    fake.write('features.toml', '[feature]\nname = "hooks"\n')
    with pytest.raises(ForkError, match=r'expected \[\[feature\]\]'):
        fake.fork.features


def test_an_unknown_feature_is_answered_with_those_there_are(fork):
    with pytest.raises(ForkError, match='vendor-version, hooks'):
        fork.features.get('hoks')

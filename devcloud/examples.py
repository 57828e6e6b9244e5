"""What a new cloud has, to see the fork's features with."""

#: name, VCPUs, MiB of memory, extra specs
FLAVORS = (
    ('small', 1, 512, {}),
    ('large', 2, 1024, {}),
    ('web', 1, 512, {'mycompany:business_tag': 'web',
                     'mycompany:business_max_per_host': '1'}),
    ('gold', 4, 2048, {}),
)

#: Those that upstream has on.
UPSTREAM_FILTERS = (
    'ComputeFilter', 'ComputeCapabilitiesFilter', 'ImagePropertiesFilter',
    'ServerGroupAntiAffinityFilter', 'ServerGroupAffinityFilter')
FILTERS = (*UPSTREAM_FILTERS, 'BusinessSpreadFilter')


def flavor_rules(project_id):
    """The rules file, in which this project may not use flavor gold."""
    return {'version': 1, 'projects': {project_id: {'deny': ['gold']}}}

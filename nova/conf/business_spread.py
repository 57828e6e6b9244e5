#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

from oslo_config import cfg

business_spread_group = cfg.OptGroup(
    'business_spread',
    title='Spreading by business tag',
    help="""
Servers whose flavors have the same extra spec ``business_tag`` are spread: at
most ``business_max_per_host`` of them on one host.

The scheduler does so with ``BusinessSpreadFilter`` in ``[filter_scheduler]
enabled_filters``; nova-compute checks again before it takes such a server in,
whatever way it comes. A server whose flavor has no tag is never affected.
""")

business_spread_opts = [
    cfg.IntOpt(
        'default_max_per_host',
        default=3,
        min=1,
        help="""
How many servers of one business tag a host may hold, when the flavor has a tag
but does not say how many.

Possible values:

* An integer of at least 1; the same in the schedulers and on all compute nodes

Related options:

* The flavor extra specs ``business_max_per_host`` and
  ``mycompany:business_max_per_host`` take precedence
"""),
    cfg.StrOpt(
        'unanswering_cells',
        default='drop',
        choices=[
            ('drop', 'No host of such a cell is chosen for this request.'),
            ('pass', 'Its hosts are taken to hold no server of the tag. The '
             'check on the compute node still keeps the limit; a server that '
             'meets it is rescheduled.'),
        ],
        help="""
What the scheduler does about a cell whose servers it cannot count, because its
database does not answer in time or fails. A warning is logged either way.

Related options:

* ``[business_spread] count_timeout``
"""),
    cfg.IntOpt(
        'count_timeout',
        default=10,
        min=1,
        help="""
For how many seconds the scheduler waits for the counts of all cells, which it
asks at the same time.

Possible values:

* Seconds, at least 1
"""),
]


def register_opts(conf):
    conf.register_group(business_spread_group)
    conf.register_opts(business_spread_opts, group=business_spread_group)


def list_opts():
    return {business_spread_group: business_spread_opts}

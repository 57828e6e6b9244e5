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

"""Spreading by business tag: at most so many servers of a tag on one host.

``spec`` reads the tag and the limit off a flavor, ``check`` is the last word
on the compute node. The scheduler's part is
``nova.scheduler.filters.business_spread_filter``; the counts come from
``nova.db.mycompany.business_spread``.
"""

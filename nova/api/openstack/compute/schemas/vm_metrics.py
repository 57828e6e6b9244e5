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

from nova.api.validation import parameter_types

show_query = {
    'type': 'object',
    'properties': {},
    'additionalProperties': False,
}

list_query = {
    'type': 'object',
    'properties': {
        'host': parameter_types.single_param(
            {'type': 'string', 'minLength': 1, 'maxLength': 255}),
        'project_id': parameter_types.single_param(
            parameter_types.project_id),
        'limit': parameter_types.single_param(
            parameter_types.positive_integer),
        'marker': parameter_types.single_param(
            {'type': 'string', 'format': 'uuid'}),
    },
    'additionalProperties': False,
}

get_metrics = {
    'type': 'object',
    'properties': {
        'get_metrics': {'type': 'null'},
    },
    'required': ['get_metrics'],
    'additionalProperties': False,
}


def _object(**properties):
    return {
        'type': 'object',
        'properties': properties,
        'required': sorted(properties),
        'additionalProperties': False,
    }


def _array(items):
    return {'type': 'array', 'items': items}


_counter = {'type': ['integer', 'null'], 'minimum': 0}
_rate = {'type': ['number', 'null'], 'minimum': 0}
_percent = {'type': ['number', 'null'], 'minimum': 0, 'maximum': 100}
_uuid = {'type': 'string', 'format': 'uuid'}

_metrics = _object(
    version={'type': 'string', 'pattern': '^1\\.[0-9]+$'},
    server_id=_uuid,
    sampled_at={'type': 'string', 'format': 'date-time'},
    window_seconds=_rate,
    cpu=_object(
        vcpus=_counter,
        utilisation=_percent,
        time_ns=_counter,
        per_vcpu=_array(_object(
            id={'type': 'integer', 'minimum': 0},
            utilisation=_percent,
            time_ns=_counter))),
    memory=_object(
        allocated_bytes=_counter,
        balloon_bytes=_counter,
        rss_bytes=_counter,
        usable_bytes=_counter),
    disks=_array(_object(
        device={'type': 'string'},
        read_bytes=_counter,
        read_requests=_counter,
        write_bytes=_counter,
        write_requests=_counter,
        flush_requests=_counter,
        read_bytes_per_second=_rate,
        read_requests_per_second=_rate,
        write_bytes_per_second=_rate,
        write_requests_per_second=_rate)),
    interfaces=_array(_object(
        device={'type': ['string', 'null']},
        mac_address={'type': ['string', 'null']},
        port_id={'type': ['string', 'null'], 'format': 'uuid'},
        rx_bytes=_counter,
        rx_packets=_counter,
        rx_errors=_counter,
        rx_drops=_counter,
        tx_bytes=_counter,
        tx_packets=_counter,
        tx_errors=_counter,
        tx_drops=_counter,
        rx_bytes_per_second=_rate,
        rx_packets_per_second=_rate,
        tx_bytes_per_second=_rate,
        tx_packets_per_second=_rate)))

show_response = _object(server_metrics=_metrics)

list_response = _object(
    servers_metrics=_array(_metrics),
    servers_metrics_missing=_array(_object(
        server_id=_uuid,
        code={'type': 'integer', 'enum': [409, 501, 503]},
        message={'type': 'string'})))
list_response['properties']['servers_metrics_links'] = _array(_object(
    rel={'type': 'string', 'enum': ['next']},
    href={'type': 'string', 'format': 'uri'}))

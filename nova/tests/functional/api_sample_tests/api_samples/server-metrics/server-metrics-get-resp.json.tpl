{
    "server_metrics": {
        "cpu": {
            "per_vcpu": [
                {
                    "id": 0,
                    "time_ns": 129750000000,
                    "utilisation": 97.5
                },
                {
                    "id": 1,
                    "time_ns": 43250000000,
                    "utilisation": 32.5
                }
            ],
            "time_ns": 173000000000,
            "utilisation": 65.0,
            "vcpus": 2
        },
        "disks": [
            {
                "device": "vda",
                "flush_requests": 29,
                "read_bytes": 466944,
                "read_bytes_per_second": 20480.0,
                "read_requests": 162,
                "read_requests_per_second": 5.0,
                "write_bytes": 6188032,
                "write_bytes_per_second": 40960.0,
                "write_requests": 538,
                "write_requests_per_second": 5.0
            }
        ],
        "interfaces": [
            {
                "device": "tapce531f90-19",
                "mac_address": "fa:16:3e:4c:2c:30",
                "port_id": "ce531f90-199f-48c0-816c-13e38010b442",
                "rx_bytes": 2145139,
                "rx_bytes_per_second": 7500.0,
                "rx_drops": 2,
                "rx_errors": 0,
                "rx_packets": 26751,
                "rx_packets_per_second": 5.0,
                "tx_bytes": 143208,
                "tx_bytes_per_second": 300.0,
                "tx_drops": 0,
                "tx_errors": 0,
                "tx_packets": 712,
                "tx_packets_per_second": 5.0
            }
        ],
        "memory": {
            "allocated_bytes": 536870912,
            "balloon_bytes": 536870912,
            "rss_bytes": 325058560,
            "usable_bytes": null
        },
        "sampled_at": "2024-04-03T12:00:00.000000Z",
        "server_id": "%(id)s",
        "version": "1.0",
        "window_seconds": 10.0
    }
}

"""Live metrics of servers for the ``openstack`` command.

The commands are entry points of ``openstack.compute.v2``, so the compute
plug-in of python-openstackclient finds them and no API of our own is
registered.
"""

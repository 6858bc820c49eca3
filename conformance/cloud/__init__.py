"""Alarms in a cloud of real services: Keystone, Heat, Zaqar, Octavia, Prometheus."""

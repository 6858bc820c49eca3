"""The polling agent against OpenStack's own services."""

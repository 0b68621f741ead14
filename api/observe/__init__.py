"""Logs, traces and metrics of a server. Each is off by default, and costs nothing while it is off."""

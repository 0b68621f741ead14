"""What operators see of a server: logs, traces and metrics. Each is off unless configured, and then costs nothing."""

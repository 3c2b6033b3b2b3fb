"""What belongs to running fundarb in containers. Only `deploy.dashboards` is Python."""

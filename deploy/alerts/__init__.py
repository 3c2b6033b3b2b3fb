"""Prometheus's rules as code: `make dashboards` writes deploy/prometheus/rules/*.yml."""

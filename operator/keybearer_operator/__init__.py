"""Rotates Keybearer's keys and runs its agent pools on Kubernetes."""

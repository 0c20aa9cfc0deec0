"""What `peers.py` and `load.py` measure with: servers, workloads, load, figures, reports."""

"""The coordinator: a job queue that calls cloud functions over HTTP and needs no worker processes."""

__version__ = "0.1.0"

"""What others are told of how we are: figures for Prometheus, traces for OpenTelemetry."""

"""The dashboard: static files that use the public API, as any other program does."""

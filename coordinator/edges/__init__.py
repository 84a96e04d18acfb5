"""The edges of the HTTP server: what clients that are slow, broken or hostile can do to it, and what browsers may."""

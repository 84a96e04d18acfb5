"""Calls to cloud functions: the only package that knows an HTTP client.

A `Caller` makes the call and answers an `Outcome`; `answer` decides what an HTTP answer means; `transport` opens
the connections.
"""

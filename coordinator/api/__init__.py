"""The public interface: parse, call one thing, answer.

```
 guards (token, media type) ─▶ handler: bodies ─▶ engine or store ─▶ answers
                                  └──────── a Refusal anywhere ────▶ problems (RFC 9457)
```
"""

"""Values that programs stumble over, as they stand in JSON, in a path, in a query and in a header."""

from urllib.parse import quote

DEEP = [
    opening * depth + inner + closing * depth
    for depth in (31, 32, 33, 255, 256, 257, 2000, 100_000)
    for opening, inner, closing in ((b"[", b"1", b"]"), (b'{"a":', b"1", b"}"))
] + [b"[" * 100_000, b'{"a":' * 2000]

NUMBERS = [
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"1e308", b"-0", b"-0.0", b"0", b"-1", b"1.5"),
    *(b"9007199254740993", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616"),
    *(b"9" * 309, b"9" * 5000, b"-" + b"9" * 5000, b"0." + b"1" * 5000, b"01", b"0x10", b"1_000", b"+1", b".5", b"5."),
]

TEXTS = [
    *(b'""', b'" "', b'"\\u0000"', b'"\x00"', b'"a\nb"', b'"\\n"', b'"\\ud800"', b'"\\udfff\\ud800"', b'"\xff"'),
    *(b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xe2\x80\xae"', b'"\xf0\x9f\x92\xa9"', b'"\\x41"', b'"open', b"'one'"),
    *(b'"' + character * count + b'"' for character in (b"a", b"\xc3\xa9") for count in (64, 65, 128, 129, 257, 2049)),
    *(b'"' + b"x" * count + b'"' for count in (9000, 100_000, 300_000)),
    *(
        b'"%s"' % text
        for text in (b"a:b", b"a{b}c", b"{a}", b"*", b"a?b", b"a\\r\\nb", b".", b"..", b"../../etc", b"a/b")
    ),
    *(b'"%s"' % text for text in (b"__proto__", b"constructor", b"env:HOME", b"[hidden]", b"true", b"null", b"NaN")),
]

INSTANTS = [
    b'"%s"' % text
    for text in (
        *(b"0001-01-01T00:00:00Z", b"9999-12-31T23:59:59Z", b"+275760-09-13T00:00:00Z", b"2030-01-01T00:00:00"),
        *(b"2030-01-01", b"2030-01-01T00:00:00+14:00", b"2030-01-01T00:00:00+99:99", b"2030-02-30T00:00:00Z"),
        *(
            b"2020-01-01 10:00:00 AM",
            b"2030-01-01T25:00:00Z",
            b"2030-06-30T23:59:60Z",
            b"2030-01-01T00:00:00.999999999Z",
        ),
        *(b"1s", b"1h", b"-1s", b"99999999999d", b"1e9s", b"PT1S", b"P1Y", b"1 h", b"0", b"1ms"),
    )
]

RULES = [
    b'"%s"' % text
    for text in (
        *(b"* * * * *", b"* * * * * *", b"0 0 31 2 *", b"*/0 * * * *", b"@daily", b"@reboot", b"0 9 * * MON-FRI"),
        *(b"60 * * * *", b"0 0 * * 8", b"1-0 * * * *", b"* * * *", b"0 0 L * *", b"0 0 29 2 1", b"*," * 5000),
        *(
            b"Europe/Berlin",
            b"Nowhere/City",
            b"../../etc/passwd",
            b"/etc/localtime",
            b"utc",
            b"posixrules",
            b"America/",
        ),
    )
]

OTHERS = [
    *(b"null", b"true", b"false", b"[]", b"{}", b"[null]", b'{"a":1,"a":2}', b'{"":1}', b'{"a"', b"[1,]", b"{,}", b""),
    b"{" + b",".join(b'"k%d":1' % at for at in range(10_000)) + b"}",
    b"[" + b",".join([b"1"] * 10_001) + b"]",
    b"/* */ 1",
]

VALUES = [*DEEP, *NUMBERS, *TEXTS, *INSTANTS, *RULES, *OTHERS]

BODIES = [
    *VALUES,
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"{}{}",
    b"{} garbage",
    b"\x00",
    b"{" + b",".join(b'"k%d":1' % at for at in range(100_000)) + b"}",
    b'{"worker":"w","args":' + b"[" * 250 + b"]" * 250 + b"}",
    b"a=1&b=2",
    b"<xml/>",
    b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--\r\n",
]

PATH_PARTS = [
    *(
        b"%00",
        b"a%00b",
        b"%2f",
        b"a%2Fb",
        b"%2e%2e",
        b"..",
        b".",
        b"%0d%0a",
        b"a%0D%0Ax:1",
        b"%",
        b"%zz",
        b"%ff",
        b"%c0%80",
    ),
    *(
        b"%ed%a0%80",
        b"%F0%9F%92%A9",
        b"%20",
        b"+",
        b"*",
        b"%7Bname%7D",
        b"{name}",
        b"a:b",
        b"a%3Ab",
        b"%3F",
        b"%23",
        b"",
        b"//",
    ),
    *(b"a" * count for count in (64, 65, 128, 129, 255, 257, 5000)),
    *(quote("é" * count).encode() for count in (64, 129)),
    *(b"0", b"-1", b"null", b"undefined", b"preview", b"batch", b"bulk", b"__proto__", b"a%0a", b"%5C", b"a%26b"),
]

QUERY_PARTS = [
    *(
        b"",
        b"=",
        b"&",
        b"%00",
        b"%ff",
        b"%zz",
        b"+",
        b"%0d%0a",
        b"%ed%a0%80",
        b"%F0%9F%92%A9",
        b"1",
        b"0",
        b"-1",
        b"true",
    ),
    *(b"false", b"TRUE", b"NaN", b"1e999", b"9" * 400, b"9" * 5000, b"null", b"[]", b"0.5", b"1ms", b"01", b"%31"),
    *(b"a" * 65, b"a" * 1025, b"eyJ", b"W10", b"WyIiLG51bGwsMF0", b"WyJxIiwicXVldWVkIiw5OTk5LCIxIiwiMSJd"),
    *(b"2030-01-01T00:00:00Z", b"9999-12-31T23:59:59Z", b"queued", b"dead", b"local", b"replicated", b"cancel"),
]

HEADERS = [
    *(
        (b"idempotency-key", value)
        for value in (b"", b"k", b"k" * 255, b"k" * 256, b"\xff\xfe", b"a b", b"\xc3\xa9", b"%00")
    ),
    *(
        (b"content-type", value)
        for value in (b"", b"text/plain", b"application/json; charset=utf-16", b"multipart/form-data")
    ),
    *(
        (b"content-type", value)
        for value in (b"multipart/form-data; boundary=x", b"application/x-www-form-urlencoded", b"\xff")
    ),
    *((b"content-length", value) for value in (b"0", b"5", b"99999999999", b"abc", b"-1", b"9" * 5000)),
    *(
        (b"authorization", value)
        for value in (b"", b"Bearer", b"Bearer ", b"Bearer \xff", b"Basic YTpi", b"bearer fuzz-token x")
    ),
    *((b"host", value) for value in (b"", b"\xff", b"evil.example", b"[::1", b"a" * 1000, b"localhost:99999999")),
    *((b"accept", b"text/html"), (b"accept", b"\xff"), (b"cookie", b"a=\xff; b; =c"), (b"cookie", b"a" * 5000)),
    *(
        (b"x-forwarded-for", b"\xff"),
        (b"origin", b"null"),
        (b"sec-fetch-site", b"cross-site"),
        (b"if-none-match", b"\xff"),
    ),
    *((b"accept-encoding", b"br;q=\xff"), (b"accept-language", b"\xff"), (b"x-http-method-override", b"DELETE")),
]

"""ASGI, WSGI, Lambda and Cloud Functions, called by hand as their servers call them."""

import asyncio
import base64
import io
import json
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from coordinator.sdk.functions import BODY_LIMIT_BYTES, Workers, wrap
from tests.sdk.calls import SECRET, clock, job, signed

BODY = json.dumps(job(args="ü")).encode()
ANSWER = {"status": "success", "result": "ü"}


@pytest.fixture(params=["sync", "async"])
def function(request):
    async def echo(args):
        return args

    return wrap(echo if request.param == "async" else lambda args: args, secret=SECRET, clock=clock)


# ASGI.


async def asked(app, *messages, headers=None, method="POST"):
    """What an ASGI application sends. After `messages` nothing more is received."""
    waiting, sent = list(messages), []

    async def receive():
        return waiting.pop(0) if waiting else await asyncio.Future()

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode("latin-1")) for name, value in (headers or signed(BODY)).items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": method,
        "path": "/",
        "query_string": b"",
        "headers": raw,
    }
    await app(scope, receive, send)
    return sent


def part(body, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


async def test_asgi_answers_with_the_receipt(function):
    begin, end = await asked(function.asgi, part(BODY))
    assert (begin["type"], begin["status"], json.loads(end["body"])) == ("http.response.start", 200, ANSWER)
    assert dict(begin["headers"]) == {b"content-type": b"application/json", b"content-length": b"34"}


async def test_asgi_takes_a_body_in_parts(function):
    end = (
        await asked(
            function.asgi, part(BODY[:9], more=True), {"type": "http.request", "more_body": True}, part(BODY[9:])
        )
    )[1]
    assert json.loads(end["body"]) == ANSWER


async def test_asgi_refuses_as_http_does(function):
    assert (await asked(function.asgi, part(b""), method="GET"))[0]["status"] == 405
    assert (await asked(function.asgi, part(BODY + b" ")))[0]["status"] == 401
    assert (await asked(function.asgi, part(BODY), headers={"webhook-id": "\xff"}))[0]["status"] == 401


async def test_asgi_reads_no_body_beyond_the_limit(function):
    half = b"x" * (BODY_LIMIT_BYTES // 2 + 1)
    parts = [part(half, more=True), part(half, more=True), part(half, more=True)]
    assert (await asked(function.asgi, *parts))[0]["status"] == 413


async def test_asgi_answers_nobody_who_hung_up_within_the_body(function):
    assert await asked(function.asgi, part(BODY, more=True), {"type": "http.disconnect"}) == []


async def test_asgi_posts_the_receipt_if_the_caller_hangs_up(server):
    @wrap(secret=SECRET, clock=clock, url=server.url)
    async def function(args):
        await asyncio.sleep(0)
        return args

    await asked(function.asgi, part(BODY), {"type": "http.disconnect"})
    assert [path for path, _ in server.bodies()] == ["/job/job1/receipt"]
    assert server.bodies()[0][1]["result"] == "ü"


async def test_asgi_keeps_the_lifespan(function):
    messages, sent = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}], []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message["type"])

    await function.asgi({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_asgi_has_no_websockets(function):
    with pytest.raises(ValueError, match="no websocket"):
        await function.asgi({"type": "websocket"}, None, None)


async def test_plain_functions_do_not_hold_up_the_loop():
    together = threading.Barrier(2)
    function = wrap(lambda args: together.wait(10), secret=SECRET, clock=clock)
    sent = await asyncio.gather(asked(function.asgi, part(BODY)), asked(function.asgi, part(BODY)))
    assert [begin["status"] for begin, _ in sent] == [200, 200]


async def test_a_coroutine_runs_on_the_servers_loop():
    loops = []

    @wrap(secret=SECRET, clock=clock)
    async def function(args):
        loops.append(asyncio.get_running_loop())

    await asked(function.asgi, part(BODY))
    assert loops == [asyncio.get_running_loop()]


async def test_a_server_that_cancels_a_request_cancels_its_function():
    begun, ended = asyncio.Event(), []

    @wrap(secret=SECRET, clock=clock)
    async def function(args):
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    request = asyncio.create_task(asked(function.asgi, part(BODY)))
    await begun.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert ended == [True]


async def test_views_that_await_have_a_form_of_their_own(function):
    answer = await function.handle_async("POST", signed(BODY), BODY)
    assert (answer.status, json.loads(answer.body)) == (200, ANSWER)


# WSGI.


def environ(body=BODY, method="POST", **more):
    given = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in signed(BODY).items()}
    length = {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json"}
    given |= {"REQUEST_METHOD": method, "wsgi.input": io.BytesIO(body + b"of the next request"), **length}
    return {name: value for name, value in (given | more).items() if value is not None}


def answered(app, environ):
    told = []
    body = b"".join(app(environ, lambda status, headers: told.extend([status, headers])))
    return told[0], dict(told[1]), json.loads(body)


def test_wsgi_answers_with_the_receipt(function):
    headers = {"content-type": "application/json", "content-length": "34"}
    assert answered(function.wsgi, environ()) == ("200 OK", headers, ANSWER)


def test_wsgi_runs_a_plain_function_in_the_requests_thread_without_a_loop():
    """Django refuses to ask its database below a running loop, and its connections belong to threads."""
    told = []

    def function(args):
        told.append(threading.current_thread())
        asyncio.run(asyncio.sleep(0))

    answered(wrap(function, secret=SECRET, clock=clock).wsgi, environ())
    assert told == [threading.current_thread()]


def test_wsgi_takes_a_body_whose_end_the_server_marks(function):
    given = environ(**{"CONTENT_LENGTH": None, "wsgi.input_terminated": True, "wsgi.input": io.BytesIO(BODY)})
    assert answered(function.wsgi, given)[2] == ANSWER


def test_wsgi_reads_nothing_of_unknown_length(function):
    for length in (None, ""):
        assert answered(function.wsgi, environ(CONTENT_LENGTH=length))[0] == "401 Unauthorized"


def test_wsgi_refuses_as_http_does(function):
    status, headers, told = answered(function.wsgi, environ(b"", "GET"))
    assert (status, headers["allow"], told["code"]) == ("405 Method Not Allowed", "POST", "method_not_allowed")
    assert answered(function.wsgi, environ(CONTENT_LENGTH=str(10**9)))[0] == "401 Unauthorized"
    large = io.BytesIO(b"x" * (BODY_LIMIT_BYTES + 2))
    assert answered(function.wsgi, environ(CONTENT_LENGTH=str(10**9), **{"wsgi.input": large}))[0].startswith("413 ")
    assert answered(function.wsgi, environ(CONTENT_LENGTH="-1"))[0] == "401 Unauthorized"


# Lambda.


def url_event(raw=BODY, **more):
    http = {"method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4", "userAgent": "coordinator"}
    event = {"version": "2.0", "routeKey": "$default", "rawPath": "/", "headers": signed(BODY), "body": raw.decode()}
    return event | {"requestContext": {"http": http}, "isBase64Encoded": False} | more


def rest_event(raw=BODY, **more):
    headers = {name.title(): value for name, value in signed(BODY).items()}
    many = {name: [value] for name, value in headers.items()}
    event = {"resource": "/", "path": "/", "httpMethod": "POST", "headers": headers, "multiValueHeaders": many}
    return event | {"requestContext": {"stage": "prod"}, "body": raw.decode(), "isBase64Encoded": False} | more


def balancer_event(raw=BODY, **more):
    event = {"requestContext": {"elb": {"targetGroupArn": "arn:x"}}, "httpMethod": "POST", "path": "/"}
    return event | {"headers": signed(BODY), "body": raw.decode(), "isBase64Encoded": False} | more


EVENTS = {"function URL or HTTP API": url_event, "REST API": rest_event, "load balancer": balancer_event}


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_lambda_answers_with_the_receipt(function, event):
    encoded = {"body": base64.b64encode(BODY).decode(), "isBase64Encoded": True}
    for given in (event(), event(**encoded)):
        answer = function.aws_lambda(given, object())
        assert json.loads(answer.pop("body")) == ANSWER
        headers = {"content-type": "application/json", "content-length": "34"}
        assert answer == {"statusCode": 200, "headers": headers, "isBase64Encoded": False}


def test_lambda_answers_a_load_balancer_with_headers_of_many_values_alike(function):
    event = balancer_event(multiValueHeaders={name: ["x", value] for name, value in signed(BODY).items()})
    del event["headers"]
    answer = function.aws_lambda(event)
    assert (answer["statusCode"], answer["multiValueHeaders"]["content-type"]) == (200, ["application/json"])
    assert "headers" not in answer


@pytest.mark.parametrize(
    "event",
    [url_event(isBase64Encoded=True), url_event(headers=None), url_event(b"x"), url_event(body=None)],
)
def test_lambda_refuses_what_is_not_signed_so(function, event):
    assert function.aws_lambda(event)["statusCode"] == 401


def test_lambda_keeps_its_loop_from_call_to_call():
    """A client with open connections, made once, belongs to the loop that it was made on."""
    loops = []

    @wrap(secret=SECRET, clock=clock)
    async def function(args):
        loops.append(asyncio.get_running_loop())

    def environment():
        answers = [function.aws_lambda(url_event()) for _ in range(2)]
        assert [answer["statusCode"] for answer in answers] == [200, 200]
        loops[0].close()

    # A thread of its own, as the loop is the thread's.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(environment).result(10)
    assert loops[0] is loops[1]


@pytest.mark.parametrize("event", [{}, {"Records": []}, {"requestContext": {}}, {"requestContext": None}])
def test_lambda_refuses_what_is_no_request(function, event):
    assert function.aws_lambda(event)["statusCode"] == 405


# Cloud Functions, and Flask.


def test_flask_requests_are_answered(function):
    import flask

    app = flask.Flask(__name__)
    app.post("/jobs")(lambda: function.gcp(flask.request))
    answer = app.test_client().post("/jobs", data=BODY, headers=signed(BODY))
    assert (answer.status_code, answer.json, answer.content_type) == (200, ANSWER, "application/json")
    assert app.test_client().post("/jobs", data=BODY + b" ", headers=signed(BODY)).status_code == 401


def test_a_flask_request_that_was_read_before_is_answered(function):
    import flask

    app = flask.Flask(__name__)
    app.post("/")(lambda: flask.request.get_json() and function.gcp(flask.request))
    assert (
        app.test_client().post("/", data=BODY, headers=signed(BODY) | {"content-type": "application/json"}).json
        == ANSWER
    )


def test_functions_framework_takes_it_for_a_function():
    assert isinstance(Workers().gcp, types.FunctionType)


async def test_starlette_takes_it_for_an_application(function):
    from starlette.applications import Starlette
    from starlette.routing import Route

    app = Starlette(routes=[Route("/jobs", function.asgi, methods=["POST"])])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.post("/jobs", content=BODY, headers=signed(BODY))
    assert (answer.status_code, answer.json()) == (200, ANSWER)

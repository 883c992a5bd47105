"""The API as a program of somebody else's sees it: its description, tokens, revisions, keys that make a request happen once, pages."""
import json
import re
import subprocess
import urllib.error
import urllib.request

import jsonschema
import pytest
from conftest import ROOT
from sipkit import Ua

PARTS = {"number": "201", "id": "1", "extension": "201", "name": "mwi", "what": "192.0.2.1"}


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


def ask(daemon, method, path, body=None, token=None, **headers):
    """One request over HTTP. headers: if_match="..." and the like; token False: none."""
    head = {k.replace("_", "-"): v for k, v in headers.items()}
    if token is not False:
        head["Authorization"] = "Bearer " + (token or daemon.token)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    rq = urllib.request.Request(daemon.http + "/api/v1/" + path, method=method, data=data, headers=head)
    try:
        with urllib.request.urlopen(rq, timeout=10) as r:
            return Reply(r.status, r.headers, r.read())
    except urllib.error.HTTPError as e:
        return Reply(e.code, e.headers, e.read())


@pytest.fixture
def site(daemon):
    for n in range(201, 206):
        daemon.cli("extension", "add", n, "--pin", "4071", "--name", f"Desk {n}")
    return daemon


def checked(description, path, method, reply):
    """The answer is one that the description tells of, and looks as it says."""
    op = description["paths"][path][method.lower()]
    assert str(reply.status) in op["responses"], f"{method} {path}: {reply.status} is not described\n{reply.body}"
    content = op["responses"][str(reply.status)].get("content")
    if content:
        schema = {**content["application/json"]["schema"], "components": description["components"]}
        jsonschema.Draft202012Validator(schema).validate(reply.json)
    else:
        assert reply.body == b""


def test_every_path_answers_as_described(site):
    assert ask(site, "POST", "devices", {"extension": "201", "kind": "generic"}).status == 201
    d = ask(site, "GET", "openapi.json").json
    assert d == json.loads((ROOT / "docs/openapi.json").read_text()) and d["openapi"] == "3.1.0"
    for path, ops in d["paths"].items():
        real = re.sub(r"{(\w+)}", lambda m: PARTS[m[1]], path)[1:]
        for method in ("GET", "PUT", "POST", "PATCH", "DELETE"):
            if method.lower() not in ops:
                r = ask(site, method, real, {})
                assert r.status == 405 and "Allow" in r.headers and method not in r.headers["Allow"].split(", "), (method, path, r.status)
            elif "text/event-stream" in ops[method.lower()]["responses"].get("200", {}).get("content", {}):
                checked(d, path, method, ask(site, method, real, token=False))  # it does not end: test_events.py
            elif method != "DELETE":
                checked(d, path, method, ask(site, method, real, None if method == "GET" else {}, If_Match="*"))
                checked(d, path, method, ask(site, method, real, None if method == "GET" else {}, token=False))
    for path in ("calls/{id}", "registrations/{extension}", "bans/{what}", "devices/{id}", "extensions/{number}", "tokens/{name}", "log"):
        real = re.sub(r"{(\w+)}", lambda m: PARTS[m[1]], path)
        checked(d, "/" + path, "DELETE", ask(site, "DELETE", real, If_Match="*"))
    r = ask(site, "GET", "nothing")
    assert r.status == 404 and "extensions" in r.json["error"]["mend"]
    r = ask(site, "HEAD", "settings")
    assert r.status == 200 and r.body == b"" and r.headers["ETag"]


def test_a_change_says_of_which_revision_it_is(site):
    tag = ask(site, "GET", "extensions/201").headers["ETag"]
    assert ask(site, "PATCH", "extensions/201", {"ring_s": 20}).status == 428
    r = ask(site, "PATCH", "extensions/201", {"ring_s": 20}, If_Match=tag)
    assert r.status == 200 and r.headers["ETag"] != tag and r.json["ring_s"] == 20
    late = ask(site, "PATCH", "extensions/201", {"name": "Late"}, If_Match=tag)
    assert late.status == 409 and "read it again" in late.json["error"]["mend"]
    assert ask(site, "GET", "extensions/201").json["name"] == "Desk 201"
    assert ask(site, "PATCH", "extensions/201", {"name": "Any"}, If_Match="*").status == 200
    assert ask(site, "PATCH", "extensions/201", {"name": "Odd"}, If_Match='"nonsense"').status == 409
    for path in ("settings", "extensions/202"):
        tag = ask(site, "GET", path).headers["ETag"]
        assert ask(site, "PATCH", path, {"name": "New"}, If_Match=tag).headers["ETag"] != tag
    assert ask(site, "DELETE", "extensions/202").status == 428
    assert ask(site, "DELETE", "extensions/202", If_Match=tag).status == 409
    assert ask(site, "DELETE", "extensions/202", If_Match=ask(site, "GET", "extensions/202").headers["ETag"]).status == 204


def test_pages(site):
    seen, path = [], "extensions?limit=2"
    while path:
        r = ask(site, "GET", path)
        assert r.status == 200 and 0 < len(r.json) <= 2
        seen += [e["number"] for e in r.json]
        path = r.headers["Link"] and re.match(r'</api/v1/(.*)>; rel="next"$', r.headers["Link"])[1]
    assert seen == ["201", "202", "203", "204", "205"] == [e["number"] for e in ask(site, "GET", "extensions").json]


def test_tokens_have_scopes_and_an_end(site):
    made = {s: json.loads(site.cli("--json", "token", "add", f"for-{s}", "--scope", s).stdout)["token"] for s in ("read", "write", "admin")}
    assert len(set(made.values())) == 3 and all(len(t) == 40 for t in made.values())

    def may(method, path, body=None):
        return [ask(site, method, path, body, token=t, If_Match="*").status for t in made.values()]
    assert may("GET", "extensions") == [200, 200, 200]
    assert may("PATCH", "extensions/201", {"ring_s": 30}) == [403, 200, 200]
    assert may("GET", "tokens") == [403, 403, 200]
    assert may("DELETE", "log") == [403, 403, 200]
    r = ask(site, "POST", "extensions", {"number": "210"}, token=made["read"])
    assert r.status == 403 and "scope write" in r.json["error"]["mend"]
    assert ask(site, "GET", "audit?limit=1").json[0]["actor"] == "token:for-admin"
    # what it is is nowhere again, neither shown nor kept
    shown = ask(site, "GET", "tokens").body + ask(site, "GET", "audit").body + site.log.encode() + (site.site / "strowger.db").read_bytes()
    assert not any(t.encode() in shown for t in made.values())
    for bad in ({"name": "for-read"}, {"name": "sp ace"}, {"name": "x", "expires_on": "2001-01-01"}, {"name": "x", "expires_on": "soon"}, {"name": "x", "scope": "all"},
                {"name": ""}, {"nmae": "x"}):
        assert ask(site, "POST", "tokens", bad).status in (409, 422), bad
    last = ask(site, "POST", "tokens", {"name": "dated", "expires_on": "2999-12-31"}).json
    assert ask(site, "GET", "status", token=last["token"]).status == 200
    site.cli("token", "remove", "for-write")
    site.proc.kill()
    site.proc.wait()
    site.start()
    assert [ask(site, "GET", "extensions", token=t).status for t in made.values()] == [200, 401, 200]
    assert ask(site, "GET", "extensions", token=False, Authorization="bearer " + made["read"]).status == 200  # RFC 9110 11.1: the scheme has no case
    assert ask(site, "GET", "extensions", token="").status == 200 and ask(site, "GET", "extensions", token="x" * 40).status == 401
    assert ask(site, "GET", "extensions", token=False).headers["WWW-Authenticate"].startswith("Bearer")


def test_a_request_with_a_key_happens_once(site):
    body = {"number": "250", "name": "Once", "pin": "9274"}
    first = ask(site, "POST", "extensions", body, Idempotency_Key="k1")
    assert first.status == 201
    assert ask(site, "POST", "extensions", body).status == 409  # without a key it is another
    device = ask(site, "POST", "devices", {"extension": "250", "kind": "generic"}, Idempotency_Key="k2")
    assert device.status == 201
    site.proc.kill()
    site.proc.wait()
    site.start()
    again = ask(site, "POST", "extensions", body, Idempotency_Key="k1")
    assert again.status == 201 and again.json == first.json
    again = ask(site, "POST", "devices", {"extension": "250", "kind": "generic"}, Idempotency_Key="k2")
    assert again.status == 201 and again.json == device.json and len(ask(site, "GET", "devices").json) == 1
    ua = Ua(site, again.json["user"], again.json["secret"])
    try:
        assert ua.register() == 200
    finally:
        ua.close()
    other = ask(site, "POST", "extensions", {**body, "number": "251"}, Idempotency_Key="k1")
    assert other.status == 422 and other.json["error"]["where"] == "Idempotency-Key"
    assert ask(site, "POST", "extensions", {**body, "number": "252", "pin": "1234"}, Idempotency_Key="k3").status == 422  # refused: not done
    assert ask(site, "POST", "extensions", {**body, "number": "252"}, Idempotency_Key="k3").status == 201
    assert ask(site, "DELETE", "extensions/250", If_Match="*").status == 204
    assert ask(site, "POST", "extensions", body, Idempotency_Key="k1").status == 410
    token = json.loads(site.cli("--json", "token", "add", "other", "--scope", "write").stdout)["token"]
    assert ask(site, "POST", "extensions", body, token=token, Idempotency_Key="k1").status == 201  # keys are of who sends them


def test_the_guide_runs_as_it_stands(site):
    """docs/api.md: each command in it, in its order, does what it says."""
    text = (ROOT / "docs/api.md").read_text()
    script = "set -eu\n" + "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S))
    p = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, cwd=ROOT,
                       env={"PATH": "/usr/bin:/bin", "API": site.http + "/api/v1", "SITE": str(site.site), "TOKEN": site.token})
    assert p.returncode == 0, p.stdout + p.stderr
    assert '"ring_s":25' in p.stdout and '"number":"230"' in p.stdout

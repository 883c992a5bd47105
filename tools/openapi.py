#!/usr/bin/env python3
"""Writes what follows from routes.toml and the schema.toml files: the API's route table (C) and its OpenAPI 3.1 document.
  tools/openapi.py -o FOLDER FILE.toml...     routes.c and openapi.json into FOLDER (the build)
  tools/openapi.py                            docs/openapi.json of this tree"""
import argparse
import json
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE"]
SCOPES = ["never", "read", "write", "admin"]
ERRORS = {400: "Not JSON, or not an object", 401: "No token, or none that is known", 403: "The token's scope is too small", 404: "There is no such thing",
          405: "This method is not for this path", 409: "It exists already, or has changed since it was read", 410: "It was made by this request, and removed since",
          422: "A field is wrong: which, why, and how to mend it; or an Idempotency-Key that stood for another request", 428: "If-Match is missing",
          503: "The switch did not answer in time, or memory is short", 507: "The change could not be stored"}


def field_schema(d):
    t = d["type"]
    s = {"text": {"type": "string", "maxLength": d.get("max", 0)}, "int": {"type": "integer", "minimum": d.get("min", 0), "maximum": d.get("max", 0)},
         "bool": {"type": "boolean"}, "enum": {"type": "string", "enum": d.get("values", [])}}[t]
    if d.get("min") and t == "text":
        s["minLength"] = d["min"] if d.get("required") else 0
    if "default" in d:
        s["default"] = d["default"]
    return s | {"description": d["doc"]}


def components(entities):
    out = {"Error": {"type": "object", "required": ["error"], "additionalProperties": False, "properties": {"error": {
        "type": "object", "required": ["what", "where", "mend"], "properties": {
            "what": {"type": "string", "description": "What is wrong"}, "where": {"type": "string", "description": "Which field, header or part"},
            "mend": {"type": "string", "description": "How to mend it"}}}}}}
    for name, e in entities.items():
        shown = {f: field_schema(d) for f, d in e["fields"].items() if d["type"] != "sealed"}
        out[name] = {"type": "object", "description": e["doc"], "required": ["id", "revision", *shown],
                     "properties": {"id": {"type": "integer"}, "revision": {"type": "integer", "description": "Also the ETag; If-Match wants it"}, **shown}}
        out[name + "_input"] = {"type": "object", "description": e["doc"], "properties": {
            "id": {"type": "integer", "description": "Ignored"}, "revision": {"type": "integer", "description": "Ignored: use If-Match"}, **shown}}
    return out


def example(entity, extra):
    made = {"text": "", "int": 0, "bool": False}
    out = {"id": 1, "revision": 1}
    for f, d in entity["fields"].items():
        if d["type"] != "sealed":
            out[f] = d.get("default", d["values"][0] if d["type"] == "enum" else {"number": "201", "extension": "201"}.get(f, made.get(d["type"])))
    return out | {k: True if v == "boolean" else "..." for k, v in extra.items()}


def answer_schema(r, op):
    kind = op["answer"]
    if kind in ("one", "list"):
        one = {"allOf": [{"$ref": f"#/components/schemas/{r['entity']}"}, {"properties": {k: {"type": v} for k, v in r.get("extra", {}).items()}}]}
        return one if kind == "one" else {"type": "array", "items": one}
    return {"array": {"type": "array", "items": {"type": "object"}}, "object": {"type": "object"}, "any": {},
            "items": {"type": "object", "required": ["items", "next"], "properties": {
                "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": "integer", "description": "Cursor of the next page; 0: none"}}}}[kind]


def operation(r, method, op, entities):
    path = r["path"]
    params = [{"name": p, "in": "path", "required": True, "schema": {"type": "string"}} for p in re.findall(r"{(\w+)}", path)]
    codes = {401, 403, 405, 503}
    if op.get("pages"):
        params += [{"name": "cursor", "in": "query", "schema": {"type": "integer"}, "description": "As the page before said"},
                   {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}}]
    if op.get("revision"):
        params.append({"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"},
                       "description": "The ETag that was read, or *: whatever it is now"})
        codes |= {409, 428, 507}
    if op.get("once"):
        params.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 128},
                       "description": "The same request with the same key, within 24 hours, is done once: the answer tells of what was made then"})
        codes.add(410)
    if "{" in path:
        codes.add(404)
    status = op.get("status", 204 if op["answer"] == "none" else 200)
    good = {"description": "Done"}
    if op["answer"] != "none":
        content = {"schema": answer_schema(r, op)}
        if op["answer"] == "one":
            content["example"] = example(entities[r["entity"]], r.get("extra", {}))
        good["content"] = {"application/json": content}
    if op["answer"] == "one":
        good["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "The revision, in quotes"}}
    out = {"operationId": method.lower() + "_" + re.sub(r"\W+", "_", path).strip("_"), "summary": op["does"], "x-scope": op["scope"],
           "security": [{"token": []}]}
    if params:
        out["parameters"] = params
    if "body" in op:
        codes |= {400, 422}
        codes |= {409, 507} if op["body"] in entities else set()
        body = {"$ref": f"#/components/schemas/{op['body']}_input"} if op["body"] in entities else {"type": "object"}
        if op["body"] == "words":
            body = {"type": "object", "required": ["args"], "properties": {"args": {"type": "string", "maxLength": 100}}}
        if op.get("also"):
            body = {"allOf": [body, {"properties": {k: {"type": v} for k, v in op["also"].items()}}]}
        out["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    out["responses"] = {str(status): good} | {str(c): {"description": ERRORS[c], "content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/Error"}}}} for c in sorted(codes)}
    return out


def document(routes, entities):
    paths = {}
    for r in routes:
        if r.get("entity") and r["entity"] not in entities:
            sys.exit(f"openapi: {r['path']}: no such entity {r['entity']!r}")
        paths["/" + r["path"]] = {m.lower(): operation(r, m, r[m], entities) for m in METHODS if m in r}
    return {"openapi": "3.1.0", "info": {"title": "Strowger", "version": "1", "description":
            "The same handlers answer over HTTP and HTTPS with a token, and on the control socket of the site without one. Scopes: read, then write, then admin."},
            "servers": [{"url": "/api/v1"}], "paths": paths,
            "components": {"schemas": components(entities), "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}}


def table(routes):
    out = ["/* Generated by tools/openapi.py from routes.toml. Do not edit. */", '#include "gen/routes.h"', "", "const struct route routes[] = {"]
    for r in routes:
        scopes = ", ".join("ROUTE_" + (r[m]["scope"] if m in r else "never").upper() for m in METHODS)
        revisions = ", ".join("true" if r.get(m, {}).get("revision") else "false" for m in METHODS)
        allow = ", ".join(["GET", "HEAD"] * ("GET" in r) + [m for m in METHODS[1:] if m in r])
        out.append(f'\t{{"{r["path"]}", {{{scopes}}}, {{{revisions}}}, "{allow}"}},')
    return out + ["};", "const size_t routes_n = sizeof routes / sizeof routes[0];", ""]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("-o")
    ap.add_argument("inputs", nargs="*")
    a = ap.parse_args()
    inputs = a.inputs or [*map(str, sorted((ROOT / "src").rglob("schema.toml"))), str(ROOT / "src/service/routes.toml")]
    routes, entities = [], {}
    for p in inputs:
        if p.endswith("routes.toml"):
            routes += tomllib.loads(pathlib.Path(p).read_text())["route"]
        elif p.endswith(".toml"):
            entities.update(tomllib.loads(pathlib.Path(p).read_text()))
    text = json.dumps(document(routes, entities), indent=1) + "\n"
    if not a.o:
        (ROOT / "docs/openapi.json").write_text(text)
        return
    small = json.dumps(document(routes, entities), separators=(",", ":")) + "\n"
    lines = ["const char openapi_json[] ="] + ["\t" + json.dumps(small[i:i + 100], ensure_ascii=True) for i in range(0, len(small), 100)]
    lines[-1] += ";"
    (pathlib.Path(a.o) / "routes.c").write_text("\n".join(table(routes) + lines + ["const size_t openapi_json_n = sizeof openapi_json - 1;", ""]))
    (pathlib.Path(a.o) / "openapi.json").write_text(text)


main()

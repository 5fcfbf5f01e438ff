"""api/openapi.yaml as a judge: every reply that a test sees is validated here, and what was exercised is remembered."""

import json
import os
import re
import warnings

import jsonschema
import yaml

from .paths import ROOT

METHODS = ("get", "put", "post", "patch", "delete", "head")
RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")

format_checker = jsonschema.FormatChecker(formats=())


@format_checker.checks("date-time")
def _is_date_time(value):
    return not isinstance(value, str) or bool(RFC3339.match(value))


class ContractBroken(AssertionError):
    """A reply that the contract does not document."""


class Contract:
    def __init__(self, path=ROOT / "api" / "openapi.yaml"):
        with open(path, encoding="utf-8") as file:
            self.document = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.exercised = set()  # (method, template)
        self.answered_2xx = set()
        self.templates = []
        for template, item in self.document["paths"].items():
            self.templates.append((template, self._pattern(template), item))
        # Literal segments before variables, as the server's route table decides.
        self.templates.sort(key=lambda entry: [segment.startswith("{") for segment in entry[0].split("/")])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.resolver = jsonschema.RefResolver("", self.document)
        self._validators = {}

    def save(self, folder):
        """What this process saw, for the judgement of a run in several processes."""
        seen = {name: sorted(getattr(self, name)) for name in ("exercised", "answered_2xx")}
        (folder / f"contract-{os.getpid()}.json").write_text(json.dumps(seen), encoding="utf-8")

    def load(self, folder):
        for file in folder.glob("contract-*.json"):
            for name, pairs in json.loads(file.read_text(encoding="utf-8")).items():
                getattr(self, name).update(map(tuple, pairs))

    def _resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            with self.resolver.resolving(node["$ref"]) as target:
                node = target
        return node

    @staticmethod
    def _pattern(template):
        """A variable is one segment; "{path...}" takes the rest, slashes included."""
        pattern = ""
        for part in re.split(r"(\{[^}]+\})", template):
            if part.endswith("...}"):
                pattern += "(.+)"
            elif part.startswith("{"):
                pattern += "([^/]+)"
            else:
                pattern += re.escape(part)
        return re.compile(f"^{pattern}$")

    def operations(self, answering_2xx=False):
        """Every (METHOD, template) that the document has; or those that can answer 2xx (one redirects at best)."""
        return {(m.upper(), template) for template, _, item in self.templates for m in METHODS
                if m in item and (not answering_2xx or any(str(status).startswith("2") for status in item[m]["responses"]))}

    def find(self, path):
        path = path.split("?", 1)[0]
        for template, pattern, item in self.templates:
            if pattern.match(path):
                return template, item
        return None, None

    def check_problem(self, where, reply):
        """A refusal that belongs to no operation (unknown path, unreadable request): still a problem (RFC 9457), never HTML."""
        media = (reply.header("Content-Type") or "").split(";")[0]
        if media != "application/problem+json":
            raise ContractBroken(f"{where}: {reply.status} is {media!r}, not application/problem+json: {reply.body[:200]!r}")
        problem = json.loads(reply.body)
        for name in ("type", "title", "status", "detail"):
            if name not in problem:
                raise ContractBroken(f"{where}: problem without {name}: {problem}")
        if problem["status"] != reply.status:
            raise ContractBroken(f"{where}: problem says {problem['status']}, the status line {reply.status}")
        if not problem["type"].startswith("urn:pawl:problem:"):
            raise ContractBroken(f"{where}: problem type {problem['type']!r}")

    def check(self, method, path, reply):
        """Raises ContractBroken unless the reply is one that the document describes for this request."""
        where = f"{method} {path} -> {reply.status}"
        if not reply.header("X-Request-Id"):
            raise ContractBroken(f"{where}: no X-Request-Id")
        template, item = self.find(path)
        verb = "get" if method == "HEAD" and item and "head" not in item else method.lower()
        if item is None or verb not in item:
            if reply.status not in (400, 401, 403, 404, 405, 413, 414, 429, 431, 501, 503, 505):
                raise ContractBroken(f"{where}: not in the contract")
            if method != "HEAD":
                self.check_problem(where, reply)
            return
        operation = item[verb]
        if method == "HEAD" and "head" in item:
            self.exercised.add(("HEAD", template))
        self.exercised.add((verb.upper(), template))
        responses = operation["responses"]
        response = responses.get(str(reply.status)) or (responses.get("default") if reply.status >= 400 else None)
        if response is None:
            raise ContractBroken(f"{where}: status not documented for {verb.upper()} {template} (body {reply.body[:300]!r})")
        if 200 <= reply.status < 300:
            self.answered_2xx.add((verb.upper(), template))
        response = self._resolve(response)
        for name, header in response.get("headers", {}).items():
            header = self._resolve(header)
            value = reply.header(name)
            if value is None:
                if header.get("required"):
                    raise ContractBroken(f"{where}: header {name} is missing")
            elif "schema" in header:
                self._check_header(where, name, value, header["schema"])
        if method == "HEAD":
            if reply.body:
                raise ContractBroken(f"{where}: a body on HEAD")
            return
        content = response.get("content")
        if not content:
            if reply.body:
                raise ContractBroken(f"{where}: a body where none is documented: {reply.body[:200]!r}")
            return
        media = (reply.header("Content-Type") or "").split(";")[0].strip()
        if media not in content:
            raise ContractBroken(f"{where}: media type {media!r}, documented: {sorted(content)}; body {reply.body[:200]!r}")
        if media == "application/json" or media.endswith("+json"):
            self._validate(where, content[media].get("schema"), reply.body)
            if media == "application/problem+json":
                self.check_problem(where, reply)
        elif media == "application/x-ndjson":
            self._check_lines(where, content[media].get("schema"), reply.body)

    def _check_lines(self, where, schema, body):
        if body and not body.endswith(b"\n"):
            raise ContractBroken(f"{where}: the last line has no end")
        for line in body.splitlines():
            self._validate(where, schema, line)

    def _check_header(self, where, name, value, schema):
        schema = self._resolve(schema)
        if schema.get("type") == "integer":
            if not re.match(r"^-?\d+$", value):
                raise ContractBroken(f"{where}: header {name}: {value!r} is no integer")
            value = int(value)
        errors = list(jsonschema.Draft202012Validator(schema, resolver=self.resolver).iter_errors(value))
        if errors:
            raise ContractBroken(f"{where}: header {name}: {errors[0].message}")

    def _validate(self, where, schema, body):
        if schema is None:
            return
        key = id(schema)
        if key not in self._validators:
            self._validators[key] = jsonschema.Draft202012Validator(schema, resolver=self.resolver, format_checker=format_checker)
        try:
            value = json.loads(body)
        except ValueError as error:
            raise ContractBroken(f"{where}: body is no JSON: {error}: {body[:200]!r}") from error
        error = jsonschema.exceptions.best_match(self._validators[key].iter_errors(value))
        if error:
            raise ContractBroken(f"{where}: body at {'/'.join(map(str, error.absolute_path)) or 'top'}: {error.message}")

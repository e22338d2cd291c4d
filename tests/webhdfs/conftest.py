"""Where the ports of the server under test are, and a directory of its own for each test."""

import os
import uuid

import pytest
import requests


class WebHdfs:
    """Requests as curl makes them: redirects are followed by hand, so that both steps are seen."""

    def __init__(self, address, user="hdfs"):
        self.base = f"http://{address}/webhdfs/v1"
        self.user = user

    def ask(self, method, path, op, **parameters):
        query = {"op": op, "user.name": self.user, **{name.replace("_", "."): value for name, value in parameters.items()}}
        return requests.request(method, self.base + path, params=query, allow_redirects=False, timeout=60)

    def json(self, method, path, op, **parameters):
        reply = self.ask(method, path, op, **parameters)
        assert reply.status_code == 200, reply.text
        assert reply.headers["content-type"].startswith("application/json")
        return reply.json()

    def send(self, method, path, op, body, **parameters):
        first = self.ask(method, path, op, **parameters)
        assert first.status_code == 307, first.text
        assert first.headers["content-length"] == "0"
        return requests.request(method, first.headers["location"], data=body, timeout=60)

    def create(self, path, body, **parameters):
        reply = self.send("PUT", path, "CREATE", body, **parameters)
        assert reply.status_code == 201, reply.text
        return reply

    def read(self, path, **parameters):
        reply = self.send("GET", path, "OPEN", None, **parameters)
        assert reply.status_code == 200, reply.text
        assert int(reply.headers["content-length"]) == len(reply.content)
        return reply.content


@pytest.fixture(scope="session")
def web():
    return WebHdfs(os.environ["NAMENODE_HTTP"])


@pytest.fixture
def directory(web):
    """A bucket of its own, removed afterwards."""
    path = f"/t-{uuid.uuid4().hex[:12]}"
    assert web.json("PUT", path, "MKDIRS") == {"boolean": True}
    yield path
    web.ask("DELETE", path, "DELETE", recursive="true")

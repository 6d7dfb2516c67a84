"""The mesh that a user of it has: a URL, a key with money, one without, and the models of real runtimes behind it."""

import os
import time

import openai
import pytest

ERROR_KEYS = {"message", "type", "param", "code"}


class Mesh:
    url, key, poor_key = (os.environ[name] for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "LABMAN_POOR_KEY"))
    text, tools, embed, endless, raw = (f"tiny-{kind}" for kind in ("text", "tools", "embed", "endless", "raw"))

    def client(self, key=None, **options):
        return openai.OpenAI(base_url=self.url, api_key=key or self.key, timeout=60, **options)


@pytest.fixture(scope="session")
def mesh():
    return Mesh()


@pytest.fixture(scope="session")
def client(mesh):
    return mesh.client()


def error_of(answer):
    """The error in an answer, which has the shape that SDKs read."""
    error = answer.json()["error"]
    assert set(error) == ERROR_KEYS, error
    assert isinstance(error["message"], str) and isinstance(error["type"], str), error
    assert error["code"] is None or isinstance(error["code"], str), error
    assert answer.headers["x-request-id"].startswith("req_"), answer.headers
    return error


def eventually(what, look, within_s=30):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if look():
            return
        time.sleep(0.05)
    raise TimeoutError(what)

"""What an OpenAI SDK user sees of a gateway: each check is one function, named as a sentence."""

import argparse
import json
import os
import subprocess
import sys
import time
import traceback

import httpx2  # What this openai package itself speaks HTTP with.
import openai

ERROR_KEYS = {"message", "type", "param", "code"}
HELLO = [{"role": "user", "content": "Tell me about the lanterns on the coast."}]
checks = []


def check(function):
    checks.append(function)
    return function


class Mesh:
    """The demo's gateway, its user, and a second user without money."""

    def __init__(self, args):
        demo = wait_for_document(args.demo, args.demo_pid)
        self.base_url, self.key = demo["openai_base_url"], demo["openai_api_key"]
        admin = [args.labman_fep, "--json", "--socket", args.fep_socket]
        run([*admin, "user", "add", "penniless"])
        self.penniless_key = run([*admin, "key", "add", "penniless"])["api_key"]
        self.client = self.client_with(self.key)
        # Beside the full names, tenant:ep:model, the list has each model's own name.
        self.slugs = [model.id for model in self.client.models.list() if model.id.count(":") >= 2]
        self.model = self.slugs[0]

    def client_with(self, key, **options):
        return openai.OpenAI(base_url=self.base_url, api_key=key, timeout=60, **options)

    def raw(self, body, key=None):
        """Posts exactly these bytes, without the SDK."""
        headers = {"authorization": f"Bearer {key or self.key}", "content-type": "application/json"}
        return httpx2.post(f"{self.base_url}/chat/completions", content=body, headers=headers, timeout=60)


def wait_for_document(path, pid, within_s=90):
    """The demo writes its document once its first request is paid, and stays up."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            with open(path) as file:
                return json.load(file)
        except json.JSONDecodeError:
            pass
        os.kill(pid, 0)  # Raises when the demo has ended.
        time.sleep(0.05)
    raise TimeoutError(f"the demo printed no document within {within_s} s")


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return json.loads(done.stdout)


def expect(error, call):
    """The error that `call` raises, which must be of that class."""
    try:
        call()
    except error as raised:
        return raised
    raise AssertionError(f"no {error.__name__} was raised")


def error_of(response):
    error = response.json()["error"]
    assert set(error) == ERROR_KEYS, f"an error has exactly {ERROR_KEYS}: {error}"
    assert isinstance(error["message"], str) and isinstance(error["type"], str), error
    assert error["code"] is None or isinstance(error["code"], str), error
    return error


@check
def models_of_both_providers_are_listed(mesh):
    tenants = {slug.split(":")[0] for slug in mesh.slugs}
    assert {"provider-1", "provider-2"} <= tenants, mesh.slugs
    assert mesh.client.models.retrieve(mesh.model).id == mesh.model


@check
def a_completion_streams_in_chunks_and_ends_properly(mesh):
    stream = mesh.client.chat.completions.create(
        model=mesh.model, messages=HELLO, max_tokens=24, seed=3, stream=True, stream_options={"include_usage": True}
    )
    text, reason, usage, chunks = "", None, None, 0
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            chunks += bool(choice.delta.content)
            reason = choice.finish_reason or reason
    assert text.strip() and chunks >= 5, (chunks, text)
    assert reason in ("stop", "length"), reason
    assert usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= 24, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage


@check
def a_completion_comes_whole_with_its_usage(mesh):
    done = mesh.client.chat.completions.create(model=mesh.model, messages=HELLO, max_tokens=16, seed=3)
    assert done.object == "chat.completion" and done.choices[0].message.role == "assistant", done
    assert done.choices[0].message.content.strip(), done
    assert done.choices[0].finish_reason in ("stop", "length"), done
    assert 0 < done.usage.completion_tokens <= 16, done.usage


@check
def a_stream_says_what_a_whole_answer_says(mesh):
    options = dict(model=mesh.model, messages=HELLO, max_tokens=16, seed=11, temperature=0.5)
    whole = mesh.client.chat.completions.create(**options).choices[0].message.content
    stream = mesh.client.chat.completions.create(**options, stream=True)
    streamed = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
    assert streamed == whole, (streamed, whole)


@check
def a_model_may_be_named_without_its_provider(mesh):
    bare = mesh.model.split(":", 2)[2]
    done = mesh.client.chat.completions.create(model=bare, messages=HELLO, max_tokens=8)
    assert done.choices[0].message.content.strip(), done


@check
def every_answer_has_a_request_id(mesh):
    raw = mesh.client.chat.completions.with_raw_response.create(model=mesh.model, messages=HELLO, max_tokens=4)
    assert raw.headers["x-request-id"], raw.headers


@check
def several_answers_are_several_choices(mesh):
    options = dict(model=mesh.model, messages=HELLO, max_tokens=12, seed=3, n=3)
    whole = mesh.client.chat.completions.create(**options)
    texts = [choice.message.content for choice in whole.choices]
    assert [choice.index for choice in whole.choices] == [0, 1, 2] and len(set(texts)) == 3, texts
    streamed = ["", "", ""]
    for chunk in mesh.client.chat.completions.create(**options, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts, (streamed, texts)


@check
def a_text_is_completed_whole_and_as_a_stream(mesh):
    options = dict(model=mesh.model, prompt="The lamp on the coast", max_tokens=12, seed=5)
    whole = mesh.client.completions.create(**options, echo=True)
    text = whole.choices[0].text
    assert whole.object == "text_completion" and text.startswith(options["prompt"]), whole
    stream = mesh.client.completions.create(**options, stream=True)
    streamed = "".join(choice.text for chunk in stream for choice in chunk.choices)
    assert options["prompt"] + streamed == text, (streamed, text)
    both = mesh.client.completions.create(**{**options, "prompt": ["The lamp", "The oil"]})
    assert [choice.index for choice in both.choices] == [0, 1] and both.usage.completion_tokens > 12, both


@check
def a_response_comes_whole_and_as_typed_events(mesh):
    options = dict(model=mesh.model, input="Tell me about the lanterns.", instructions="Be brief.", max_output_tokens=12)
    whole = mesh.client.responses.create(**options)
    assert whole.output_text.strip() and whole.usage.output_tokens <= 12, whole
    assert whole.instructions == "Be brief." and whole.store is False, whole
    events = list(mesh.client.responses.create(**options, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events))), events
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"], kinds
    assert kinds[-1] in ("response.completed", "response.incomplete"), kinds
    told = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert told == events[-1].response.output_text == whole.output_text, (told, whole.output_text)
    # The SDK's helper wants an answer that is not cut short.
    with mesh.client.responses.stream(**{**options, "max_output_tokens": 512}) as stream:
        final = stream.get_final_response()
    assert final.status == "completed" and final.output_text.startswith(whole.output_text), final
    error = expect(
        openai.BadRequestError,
        lambda: mesh.client.responses.create(**options, previous_response_id=whole.id),
    )
    assert error_of(error.response)["param"] == "previous_response_id", error


@check
def texts_are_embedded_in_their_order(mesh):
    texts = [f"lantern {number % 7}" for number in range(40)]
    # By default the SDK asks for base64 and decodes it.
    packed = mesh.client.embeddings.create(model=mesh.model, input=texts)
    plain = mesh.client.embeddings.create(model=mesh.model, input=texts, encoding_format="float")
    assert [one.index for one in packed.data] == list(range(40)), packed
    for a, b in zip(packed.data, plain.data, strict=True):
        assert all(abs(x - y) < 1e-6 for x, y in zip(a.embedding, b.embedding, strict=True)), (a, b)
    assert packed.data[0].embedding == packed.data[7].embedding != packed.data[1].embedding
    assert packed.usage.prompt_tokens == 80, packed.usage
    short = mesh.client.embeddings.create(model=mesh.model, input="lantern", dimensions=2).data[0].embedding
    assert len(short) == 2 and abs(sum(x * x for x in short) - 1) < 1e-5, short
    error = expect(
        openai.BadRequestError, lambda: mesh.client.embeddings.create(model=mesh.model, input="x", dimensions=99)
    )
    assert error_of(error.response)["param"] == "dimensions", error


@check
def a_wrong_key_is_an_authentication_error(mesh):
    client = mesh.client_with("sk-wrong", max_retries=0)
    error = expect(
        openai.AuthenticationError, lambda: client.chat.completions.create(model=mesh.model, messages=HELLO)
    )
    assert error.status_code == 401 and error.code == "invalid_api_key", error
    assert error_of(error.response)["type"], error


@check
def an_unknown_model_is_a_not_found_error(mesh):
    error = expect(
        openai.NotFoundError, lambda: mesh.client.chat.completions.create(model="no-such-model", messages=HELLO)
    )
    assert error.status_code == 404 and error.code == "model_not_found", error
    assert "no-such-model" in error_of(error.response)["message"], error


@check
def a_user_without_money_is_told_once_and_the_sdk_does_not_retry(mesh):
    asked = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [asked.append]})
    client = mesh.client_with(mesh.penniless_key, http_client=http)
    error = expect(openai.RateLimitError, lambda: client.chat.completions.create(model=mesh.model, messages=HELLO))
    assert error.status_code == 429 and error.code == "insufficient_quota", error
    assert error.response.headers["x-should-retry"] == "false", error.response.headers
    assert len(asked) == 1, f"asked {len(asked)} times"
    error_of(error.response)


@check
def malformed_json_is_a_400_that_says_where(mesh):
    answer = mesh.raw(b'{"model": "x",\n "messages": [}')
    assert answer.status_code == 400, answer.text
    message = error_of(answer)["message"]
    assert "line 2" in message, message


@check
def a_missing_field_is_a_400_that_names_it(mesh):
    answer = mesh.raw(json.dumps({"model": mesh.model}).encode())
    assert answer.status_code == 400, answer.text
    assert error_of(answer)["param"] == "messages", answer.text


@check
def a_body_above_4_mib_is_a_413(mesh):
    answer = mesh.raw(json.dumps({"model": mesh.model, "messages": HELLO, "user": "x" * (4 << 20)}).encode())
    assert answer.status_code == 413, answer.text[:200]
    error_of(answer)


@check
def an_unknown_route_has_the_shape_of_an_error_too(mesh):
    answer = httpx2.get(f"{mesh.base_url}/no-such-route", headers={"authorization": f"Bearer {mesh.key}"})
    assert answer.status_code == 404, answer.text
    error_of(answer)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", required=True, help="file the demo's document goes to")
    parser.add_argument("--demo-pid", required=True, type=int)
    parser.add_argument("--fep-socket", required=True)
    parser.add_argument("--labman-fep", required=True)
    mesh, failed = Mesh(parser.parse_args()), 0
    for function in checks:
        try:
            function(mesh)
            print(f"ok      {function.__name__}")
        except Exception:
            failed += 1
            print(f"FAILED  {function.__name__}\n{traceback.format_exc()}")
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

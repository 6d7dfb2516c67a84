"""What users of OpenAI's Python package see of a gateway."""

import json
import threading
import time
import urllib.request

import httpx2  # What this openai package itself speaks HTTP with.
import openai
import os
import pydantic
import pytest
from conftest import error_of, eventually

HELLO = [{"role": "user", "content": "Tell me about the lanterns on the coast."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a place",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string", "maxLength": 8}, "unit": {"enum": ["c", "f"]}},
            "required": ["place", "unit"],
            "additionalProperties": False,
        },
    },
}


def streamed(stream):
    """Text, finish reason and usage of a stream."""
    text, reason, usage, chunks = "", None, None, 0
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            chunks += bool(choice.delta.content)
            reason = choice.finish_reason or reason
    return text, reason, usage, chunks


def test_models_of_both_providers_are_listed(client, mesh):
    models = {model.id: model for model in client.models.list()}
    for kind in (mesh.text, mesh.tools, mesh.embed, mesh.endless, mesh.raw):
        assert kind in models, models
        assert {name.split(":")[0] for name in models if name.endswith(f":{kind}")} == {"provider-1", "provider-2"}
    one = client.models.retrieve(mesh.text)
    assert (one.id, one.object) == (mesh.text, "model") and one.context_length > 0 and one.providers == 2, one


def test_a_chat_streams_and_ends_properly(client, mesh):
    stream = client.chat.completions.create(
        model=mesh.text, messages=HELLO, max_tokens=24, seed=3, stream=True, stream_options={"include_usage": True}
    )
    text, reason, usage, chunks = streamed(stream)
    assert text and chunks >= 5 and reason in ("stop", "length"), (chunks, text, reason)
    assert usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= 24, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage


def test_a_chat_comes_whole_with_its_usage(client, mesh):
    done = client.chat.completions.create(model=mesh.text, messages=HELLO, max_tokens=16, seed=3)
    assert done.object == "chat.completion" and done.choices[0].message.role == "assistant", done
    assert done.choices[0].message.content and done.choices[0].message.refusal is None, done
    assert done.choices[0].finish_reason in ("stop", "length"), done
    assert 0 < done.usage.completion_tokens <= 16 and done.usage.prompt_tokens_details is not None, done.usage


def test_a_stream_says_what_a_whole_answer_says(client, mesh):
    options = dict(model=f"provider-1:local:{mesh.text}", messages=HELLO, max_tokens=16, seed=11, temperature=0)
    whole = client.chat.completions.create(**options).choices[0].message.content
    assert streamed(client.chat.completions.create(**options, stream=True))[0] == whole


def test_the_newer_name_of_the_bound_is_heeded_too(client, mesh):
    done = client.chat.completions.create(model=mesh.endless, messages=HELLO, max_completion_tokens=7)
    assert (done.choices[0].finish_reason, done.usage.completion_tokens) == ("length", 7), done


def test_an_answer_stops_where_it_was_told_to(client, mesh):
    options = dict(model=f"provider-1:local-4:{mesh.endless}", messages=HELLO, max_tokens=64, seed=5, temperature=0)
    text = client.chat.completions.create(**options).choices[0].message.content
    stop = text[len(text) // 2 :][:3]
    done = client.chat.completions.create(**options, stop=[stop])
    assert done.choices[0].finish_reason == "stop" and stop not in done.choices[0].message.content, (stop, done)


def test_several_answers_are_several_choices(client, mesh):
    options = dict(model=mesh.text, messages=HELLO, max_tokens=12, seed=3, n=3, temperature=1.5)
    whole = client.chat.completions.create(**options)
    texts = [choice.message.content for choice in whole.choices]
    assert [choice.index for choice in whole.choices] == [0, 1, 2] and len(set(texts)) == 3, texts
    said = ["", "", ""]
    for chunk in client.chat.completions.create(**options, stream=True):
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    assert all(said), said


def test_logprobs_come_with_every_token(client, mesh):
    options = dict(model=mesh.text, messages=HELLO, max_tokens=6, logprobs=True, top_logprobs=2)
    tokens = client.chat.completions.create(**options).choices[0].logprobs.content
    assert tokens and all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens), tokens
    of_stream = [
        token
        for chunk in client.chat.completions.create(**options, stream=True)
        for choice in chunk.choices
        for token in (choice.logprobs.content or [] if choice.logprobs else [])
    ]
    assert of_stream and all(len(token.top_logprobs) == 2 for token in of_stream), of_stream


def test_a_tool_is_called_whole_and_as_a_stream(client, mesh):
    options = dict(
        model=mesh.tools, messages=[{"role": "user", "content": "Weather in Oslo?"}], tools=[WEATHER],
        tool_choice="required", max_tokens=256,
    )  # fmt: skip
    choice = client.chat.completions.create(**options).choices[0]
    assert choice.finish_reason == "tool_calls", choice
    call = choice.message.tool_calls[0]
    assert call.id and call.type == "function" and call.function.name == "get_weather", call
    assert set(json.loads(call.function.arguments)) == {"place", "unit"}, call
    with client.chat.completions.stream(**options) as stream:
        final = stream.get_final_completion().choices[0]
    call = final.message.tool_calls[0]
    assert final.finish_reason == "tool_calls" and call.id and call.function.name == "get_weather", final
    assert set(json.loads(call.function.arguments)) == {"place", "unit"}, call
    # And its result is heard.
    history = [
        *options["messages"],
        {"role": "assistant", "tool_calls": [call.model_dump(include={"id", "type", "function"})]},
        {"role": "tool", "tool_call_id": call.id, "content": "12 degrees"},
    ]
    for message in history:
        if message.get("tool_calls"):
            message["tool_calls"][0]["function"] = {"name": call.function.name, "arguments": call.function.arguments}
    done = client.chat.completions.create(
        model=mesh.tools, messages=history, tools=[WEATHER], tool_choice="none", max_tokens=8
    )
    assert done.usage.completion_tokens > 0, done


def test_a_tool_that_is_named_is_the_one_that_is_called(client, mesh):
    other = {"type": "function", "function": {"name": "other", "parameters": {"type": "object", "properties": {}}}}
    done = client.chat.completions.create(
        model=mesh.tools, messages=HELLO, tools=[other, WEATHER], max_tokens=256,
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
    )  # fmt: skip
    assert [call.function.name for call in done.choices[0].message.tool_calls] == ["get_weather"], done


def test_an_answer_is_of_the_schema_that_was_given(client, mesh):
    class Lamp(pydantic.BaseModel):
        name: str = pydantic.Field(max_length=6)
        lit: bool

    done = client.chat.completions.parse(model=mesh.tools, messages=HELLO, response_format=Lamp, max_tokens=256)
    assert isinstance(done.choices[0].message.parsed, Lamp), done


def test_a_text_is_completed_whole_and_as_a_stream(client, mesh):
    options = dict(
        model=f"provider-1:local:{mesh.text}", prompt="The lamp on the coast", max_tokens=12, seed=5, temperature=0
    )
    whole = client.completions.create(**options, echo=True)
    text = whole.choices[0].text
    assert whole.object == "text_completion" and text.startswith(options["prompt"]), whole
    stream = client.completions.create(**options, stream=True)
    assert options["prompt"] + "".join(choice.text for chunk in stream for choice in chunk.choices) == text
    both = client.completions.create(**{**options, "prompt": ["The lamp", "The oil"]})
    assert [choice.index for choice in both.choices] == [0, 1] and both.usage.completion_tokens > 0, both
    probable = client.completions.create(**options, logprobs=2).choices[0].logprobs
    assert probable.tokens and len(probable.tokens) == len(probable.token_logprobs), probable


def test_a_response_comes_whole_and_as_typed_events(client, mesh):
    options = dict(model=mesh.endless, input="Tell me about the lanterns.", instructions="Be brief.", max_output_tokens=16)
    whole = client.responses.create(**options)
    assert whole.output_text and whole.usage.output_tokens <= 16, whole
    assert whole.instructions == "Be brief." and whole.store is False, whole
    events = list(client.responses.create(**options, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events))), events
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"], kinds
    assert kinds[-1] in ("response.completed", "response.incomplete"), kinds
    told = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert told == events[-1].response.output_text, told
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(**options, previous_response_id=whole.id)
    assert error_of(raised.value.response)["param"] == "previous_response_id"


def test_a_response_calls_a_tool(client, mesh):
    tool = {"type": "function", "strict": True, **WEATHER["function"]}
    options = dict(model=mesh.tools, input="Weather?", tools=[tool], tool_choice="required", max_output_tokens=256)
    calls = [item for item in client.responses.create(**options).output if item.type == "function_call"]
    assert calls and calls[0].name == "get_weather" and calls[0].call_id and json.loads(calls[0].arguments), calls
    with client.responses.stream(**options) as stream:
        final = stream.get_final_response()
    assert [item.name for item in final.output if item.type == "function_call"] == ["get_weather"], final


def test_texts_are_embedded_in_their_order(client, mesh):
    model = f"provider-1:local-3:{mesh.embed}"
    texts = [f"lantern {number % 7}" for number in range(40)]
    # By default the SDK asks for base64 and decodes it.
    packed = client.embeddings.create(model=model, input=texts)
    plain = client.embeddings.create(model=model, input=texts, encoding_format="float")
    assert [one.index for one in packed.data] == list(range(40)), packed
    for a, b in zip(packed.data, plain.data, strict=True):
        assert all(abs(x - y) < 1e-3 for x, y in zip(a.embedding, b.embedding, strict=True)), (a, b)
    near = lambda a, b: max(abs(x - y) for x, y in zip(a, b, strict=True)) < 1e-3  # noqa: E731
    vectors = [one.embedding for one in packed.data]
    assert near(vectors[0], vectors[7]) and not near(vectors[0], vectors[1])
    short = client.embeddings.create(model=model, input="lantern", dimensions=2).data[0].embedding
    assert len(short) == 2 and abs(sum(x * x for x in short) - 1) < 1e-5, short
    with pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(model=model, input="x", dimensions=99_999)
    assert error_of(raised.value.response)["param"] == "dimensions"


def test_what_a_model_says_that_is_no_text_breaks_nothing(client, mesh):
    for seed in range(4):
        stream = client.chat.completions.create(
            model=mesh.raw, messages=HELLO, max_tokens=40, seed=seed, temperature=1.5, stream=True
        )
        text, reason, _, _ = streamed(stream)
        assert reason in ("stop", "length") and text.encode("utf-8"), (reason, text)
        whole = client.chat.completions.create(model=mesh.raw, messages=HELLO, max_tokens=40, seed=seed, temperature=1.5)
        assert whole.choices[0].finish_reason in ("stop", "length"), whole


def test_every_answer_says_who_served_what_is_left_and_what_was_left_out(client, mesh):
    raw = client.chat.completions.with_raw_response.create(
        model=mesh.text, messages=HELLO, max_tokens=4, user="ann", metadata={"a": "b"}, extra_body={"moo": 1, "top_k": 4}
    )
    head = raw.headers
    assert head["x-request-id"].startswith("req_") and head["x-labman-ignored-fields"] == "moo", head
    assert head["x-labman-model"].endswith(mesh.text) and head["x-labman-provider"], head
    for of in ("requests", "tokens"):
        limit, remaining = (int(head[f"x-ratelimit-{what}-{of}"]) for what in ("limit", "remaining"))
        assert 0 < remaining <= limit and head[f"x-ratelimit-reset-{of}"], head
    assert raw.parse().choices[0].message.content is not None


def test_a_client_that_leaves_stops_the_runtime(client, mesh):
    def slots():
        request = urllib.request.Request(f"{os.environ['LLAMA_ENDLESS']}/slots", headers={"authorization": "Bearer sk-test"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def works():
        return [slot for slot in slots() if slot["is_processing"]]

    eventually("the runtime to be at rest", lambda: not works())
    stream = client.chat.completions.create(model=mesh.endless, messages=HELLO, max_tokens=1_900, stream=True)
    next(iter(stream))
    begun = {slot["id"] for slot in works()}
    assert begun, "it works"
    began = time.monotonic()
    stream.close()
    eventually("the runtime to stop", lambda: not works())
    print(f"it stopped after {time.monotonic() - began:.2f} s")
    made = [slot["next_token"] for slot in slots() if slot["id"] in begun]
    made = [token["n_decoded"] for tokens in made for token in (tokens if isinstance(tokens, list) else [tokens])]
    assert max(made) < 1_900, f"it was made to its end: {made}"


def test_requests_side_by_side_all_have_their_own_answers(client, mesh):
    said, threads = {}, []

    def ask(number):
        text = client.chat.completions.create(
            model=mesh.text, messages=[{"role": "user", "content": f"{number}"}], max_tokens=8
        )
        said[number] = text.choices[0].message.content

    for number in range(12):
        threads.append(threading.Thread(target=ask, args=(number,)))
        threads[-1].start()
    for thread in threads:
        thread.join(60)
    assert len(said) == 12, said


# --- errors, each of the class that the SDK has for it


def test_a_wrong_key_is_an_authentication_error(mesh):
    client = mesh.client("sk-wrong", max_retries=0)
    for _ in range(2):
        with pytest.raises(openai.AuthenticationError) as raised:
            client.chat.completions.create(model=mesh.text, messages=HELLO)
        assert raised.value.code == "invalid_api_key" == error_of(raised.value.response)["code"]


def test_an_unknown_model_is_a_not_found_error(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert raised.value.code == "model_not_found"
    assert "no-such-model" in error_of(raised.value.response)["message"]
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("no-such-model")
    error_of(raised.value.response)


def test_a_user_without_money_is_told_once_and_the_sdk_does_not_retry(mesh):
    asked = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [asked.append]})
    client = mesh.client(mesh.poor_key, http_client=http)
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model=mesh.text, messages=HELLO)
    error = raised.value
    assert error.code == "insufficient_quota" and error.response.headers["x-should-retry"] == "false", error
    assert len(asked) == 1, f"asked {len(asked)} times"
    error_of(error.response)


def test_what_a_field_can_not_be_is_a_bad_request_error_that_names_it(client, mesh):
    good = dict(model=mesh.text, messages=HELLO, max_tokens=4)
    for bad, param in (
        ({"messages": []}, "messages"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"temperature": "hot"}, "temperature"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://10.0.0.1/x"}}]}]}, "messages[0]"),
    ):  # fmt: skip
        with pytest.raises(openai.BadRequestError) as raised:
            client.chat.completions.create(**{**good, **bad})
        assert (error_of(raised.value.response)["param"] or "").startswith(param), (bad, raised.value)


def test_a_prompt_longer_than_the_context_is_told_so(client, mesh):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=mesh.text, messages=[{"role": "user", "content": "lamp " * 5_000}])
    assert error_of(raised.value.response)["code"] == "context_length_exceeded", raised.value


def test_a_client_that_does_not_wait_has_its_own_error(mesh):
    client = mesh.client(max_retries=0)
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model=mesh.endless, messages=HELLO, max_tokens=1_500, timeout=0.2)


def post(mesh, body, path="/chat/completions"):
    """Exactly these bytes, without the SDK."""
    headers = {"authorization": f"Bearer {mesh.key}", "content-type": "application/json"}
    return httpx2.post(f"{mesh.url}{path}", content=body, headers=headers, timeout=60)


def test_malformed_json_is_a_400_that_says_where(mesh):
    answer = post(mesh, b'{"model": "x",\n "messages": [}')
    assert answer.status_code == 400 and "line 2" in error_of(answer)["message"], answer.text


def test_a_missing_field_is_a_400_that_names_it(mesh):
    for path, param in (("/chat/completions", "messages"), ("/completions", "prompt"), ("/embeddings", "input"), ("/responses", "input")):  # fmt: skip
        answer = post(mesh, json.dumps({"model": mesh.text}).encode(), path)
        assert answer.status_code == 400 and error_of(answer)["param"] == param, (path, answer.text)


def test_a_body_above_4_mib_is_a_413(mesh):
    answer = post(mesh, json.dumps({"model": mesh.text, "messages": HELLO, "user": "x" * (4 << 20)}).encode())
    assert answer.status_code == 413, answer.text[:200]
    error_of(answer)


def test_an_unknown_route_has_the_shape_of_an_error_too(mesh):
    answer = httpx2.get(f"{mesh.url}/no-such-route", headers={"authorization": f"Bearer {mesh.key}"})
    assert answer.status_code == 404, answer.text
    error_of(answer)


def test_a_browser_may_ask(mesh):
    origin = {"origin": "https://chat.example", "access-control-request-method": "POST", "access-control-request-headers": "authorization"}  # fmt: skip
    answer = httpx2.request("OPTIONS", f"{mesh.url}/chat/completions", headers=origin)
    head = answer.headers
    assert answer.status_code in (200, 204) and head["access-control-allow-origin"] == "*", head
    assert "POST" in head["access-control-allow-methods"], head
    allowed = head["access-control-allow-headers"].lower()
    # A wildcard does not stand for this one.
    assert "authorization" in allowed, allowed

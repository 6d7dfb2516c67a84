// What users of OpenAI's Node package see of a gateway.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { hello, key, models, poorKey, url, weather } from "./mesh.mjs";

const client = new OpenAI({ baseURL: url, apiKey: key, timeout: 60_000 });
const with_ = (options) => new OpenAI({ baseURL: url, apiKey: key, timeout: 60_000, maxRetries: 0, ...options });

async function refused(kind, call) {
  const error = await call().then(
    () => assert.fail("it was not refused"),
    (error) => error,
  );
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  assert.ok(error.requestID?.startsWith("req_"), `${error.requestID}`);
  return error;
}

test("models are listed", async () => {
  const listed = [];
  for await (const model of client.models.list()) listed.push(model.id);
  for (const name of Object.values(models)) assert.ok(listed.includes(name), listed.join());
  assert.equal((await client.models.retrieve(models.text)).id, models.text);
});

test("a chat comes whole", async () => {
  const done = await client.chat.completions.create({ model: models.endless, messages: hello, max_tokens: 16 });
  assert.ok(done.choices[0].message.content);
  assert.ok(done.usage.completion_tokens > 0 && done.usage.completion_tokens <= 16);
  assert.ok(done._request_id.startsWith("req_"));
});

test("a chat streams, and its usage comes last", async () => {
  const stream = await client.chat.completions.create({
    model: models.endless,
    messages: hello,
    max_tokens: 24,
    stream: true,
    stream_options: { include_usage: true },
  });
  let [text, reason, last] = ["", null, null];
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    reason = chunk.choices[0]?.finish_reason ?? reason;
    last = chunk;
  }
  assert.ok(text && ["stop", "length"].includes(reason), `${text} ${reason}`);
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.total_tokens > 0);
});

test("a stream's helper puts it together", async () => {
  const runner = client.chat.completions.stream({ model: models.endless, messages: hello, max_tokens: 24 });
  let told = "";
  runner.on("content", (delta) => (told += delta));
  assert.equal((await runner.finalChatCompletion()).choices[0].message.content, told);
});

test("a tool is called, whole and as a stream", async () => {
  const options = { model: models.tools, messages: hello, tools: [weather], tool_choice: "required", max_tokens: 256 };
  const whole = (await client.chat.completions.create(options)).choices[0].message.tool_calls[0];
  const final = await client.chat.completions.stream(options).finalChatCompletion();
  for (const call of [whole, final.choices[0].message.tool_calls[0]]) {
    assert.ok(call.id && call.type === "function" && call.function.name === "get_weather", JSON.stringify(call));
    assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)).sort(), ["place", "unit"]);
  }
});

test("an answer is of the schema that was given", async () => {
  const Lamp = z.object({ name: z.string().max(6), lit: z.boolean() });
  const done = await client.chat.completions.parse({
    model: models.tools,
    messages: hello,
    max_tokens: 256,
    response_format: zodResponseFormat(Lamp, "lamp"),
  });
  Lamp.parse(done.choices[0].message.parsed);
});

test("texts are completed and embedded", async () => {
  const done = await client.completions.create({ model: models.text, prompt: "The lamp", max_tokens: 8 });
  assert.equal(done.object, "text_completion");
  const { data, usage } = await client.embeddings.create({ model: models.embed, input: ["a lamp", "a ship"] });
  assert.ok(data.length === 2 && data[0].embedding.length > 0 && usage.prompt_tokens > 0);
  assert.ok(data[0].embedding.every(Number.isFinite));
});

test("a response comes whole and as events", async () => {
  const options = { model: models.endless, input: "Tell me about the lanterns.", max_output_tokens: 16 };
  const whole = await client.responses.create(options);
  assert.ok(whole.output_text);
  let told = "";
  for await (const event of client.responses.stream(options)) {
    if (event.type === "response.output_text.delta") told += event.delta;
  }
  assert.ok(told);
});

test("a user who leaves in the middle is no error", async () => {
  const stream = await client.chat.completions.create({
    model: models.endless,
    messages: hello,
    max_tokens: 1500,
    stream: true,
  });
  let chunks = 0;
  for await (const _ of stream) {
    chunks += 1;
    if (chunks === 3) break;
  }
  assert.equal(chunks, 3);
});

test("each error has its class", async () => {
  const ask = (client, more = {}) =>
    client.chat.completions.create({ model: models.text, messages: hello, max_tokens: 4, ...more });
  const bad = await refused(OpenAI.BadRequestError, () => ask(with_(), { messages: [] }));
  assert.equal(bad.param, "messages");
  const key = await refused(OpenAI.AuthenticationError, () => ask(with_({ apiKey: "sk-wrong" })));
  assert.equal(key.code, "invalid_api_key");
  const model = await refused(OpenAI.NotFoundError, () => ask(with_(), { model: "no-such-model" }));
  assert.equal(model.code, "model_not_found");
  const quota = await refused(OpenAI.RateLimitError, () => ask(with_({ apiKey: poorKey, maxRetries: 2 })));
  assert.equal(quota.code, "insufficient_quota");
  const large = await refused(OpenAI.APIError, () => ask(with_(), { user: "x".repeat(4 << 20) }));
  assert.equal(large.status, 413);
});

// What users of the Vercel AI SDK see of a gateway: by its OpenAI provider, and by the one for whatever is compatible.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { key, models, url } from "./mesh.mjs";

const openai = createOpenAI({ baseURL: url, apiKey: key });
const compatible = createOpenAICompatible({ name: "labman", baseURL: url, apiKey: key, includeUsage: true, supportsStructuredOutputs: true });
const ways = { chat: openai.chat, responses: openai.responses, compatible: compatible.chatModel };
const prompt = "Tell me about the lanterns.";

const getWeather = tool({
  description: "The weather of a place",
  inputSchema: z.object({ place: z.string().max(8) }),
  execute: async ({ place }) => `12 degrees in ${place}`,
});

for (const [name, model] of Object.entries(ways)) {
  test(`${name}: a text comes whole`, async () => {
    const done = await generateText({ model: model(models.endless), prompt, maxOutputTokens: 16 });
    assert.ok(done.text && done.usage.outputTokens > 0, JSON.stringify(done.usage));
  });

  test(`${name}: a text streams`, async () => {
    const stream = streamText({ model: model(models.endless), prompt, maxOutputTokens: 24 });
    let told = "";
    for await (const delta of stream.textStream) told += delta;
    assert.ok(told);
    assert.ok(["stop", "length"].includes(await stream.finishReason), await stream.finishReason);
    assert.ok((await stream.usage).outputTokens > 0);
  });

  test(`${name}: an object is of its schema`, async () => {
    const schema = z.object({ name: z.string().max(6), lit: z.boolean() });
    const { object } = await generateObject({ model: model(models.tools), prompt, schema, maxOutputTokens: 256 });
    schema.parse(object);
  });

  test(`${name}: a tool is called`, async () => {
    const options = { model: model(models.tools), prompt, tools: { getWeather }, toolChoice: "required", maxOutputTokens: 256 };
    const { toolResults } = await generateText(options);
    assert.match(toolResults[0].output, /^12 degrees/);
    const stream = streamText(options);
    await stream.consumeStream();
    assert.match((await stream.toolResults)[0].output, /^12 degrees/);
  });
}

for (const name of ["chat", "compatible"]) {
  test(`${name}: a tool's result is heard`, async () => {
    const { steps } = await generateText({
      model: ways[name](models.tools),
      prompt,
      tools: { getWeather },
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? "required" : "none" }),
      stopWhen: stepCountIs(2),
      maxOutputTokens: 64,
    });
    assert.equal(steps.length, 2);
  });
}

test("texts are embedded", async () => {
  for (const model of [openai.embedding(models.embed), compatible.textEmbeddingModel(models.embed)]) {
    const { embeddings } = await embedMany({ model, values: ["a lamp", "a ship"] });
    assert.ok(embeddings.length === 2 && embeddings[0].length > 0);
  }
});

// The mesh that a user of it has: a URL, a key with money, one without, and the models of real runtimes behind it.
export const url = process.env.OPENAI_BASE_URL;
export const key = process.env.OPENAI_API_KEY;
export const poorKey = process.env.LABMAN_POOR_KEY;
export const models = { text: "tiny-text", tools: "tiny-tools", embed: "tiny-embed", endless: "tiny-endless", raw: "tiny-raw" };

export const hello = [{ role: "user", content: "Tell me about the lanterns on the coast." }];

export const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a place",
    parameters: {
      type: "object",
      properties: { place: { type: "string", maxLength: 8 }, unit: { enum: ["c", "f"] } },
      required: ["place", "unit"],
      additionalProperties: false,
    },
  },
};

// Strict clients on the OpenAI SDK for Node and on the AI SDK: what they get has to be exactly
// what they expect.
//
//   sdk_node.mjs BASE_URL TASK '{"content": "…", "calls": [{"city": "Oslo", "days": 1}]}'
//
// Each asks for get_weather in its own way, and prints a JSON line: its name, and what is wrong,
// or null. The packages are those of .e2e-clients.

import { deepStrictEqual } from 'node:assert';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [baseURL, task, expected] = process.argv.slice(2);
const { content, calls } = JSON.parse(expected);
const LIMIT = 20000; // milliseconds for one answer

const { resolve } = createRequire(new URL('../../.e2e-clients/package.json', import.meta.url));
const load = (name) => import(pathToFileURL(resolve(name)));
const { default: OpenAI } = await load('openai');
const { generateText, isStepCount, streamText, tool } = await load('ai');
const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible');
const { z } = await load('zod');

const model = 'tiny-qwen3';
const apiKey = 'sk-fake';
const prompt = `Please do TASK:${task}`;
const messages = [{ role: 'user', content: prompt }];
const weather = {
  name: 'get_weather',
  description: 'Weather of a city',
  parameters: {
    type: 'object',
    properties: {
      city: { type: 'string' },
      days: { type: 'integer' },
      detailed: { type: 'boolean' },
    },
    required: ['city', 'days'],
    additionalProperties: false,
  },
};
const inputSchema = z
  .object({ city: z.string(), days: z.number().int(), detailed: z.boolean().optional() })
  .strict();

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: LIMIT });
const provider = createOpenAICompatible({ name: 'local', baseURL, apiKey, includeUsage: true });

const consumers = {
  async 'openai-node stream()'() {
    const tools = [{ type: 'function', function: weather }];
    const stream = client.chat.completions.stream({ model, messages, tools });
    const { message, finish_reason } = (await stream.finalChatCompletion()).choices[0];
    const got = message.tool_calls ?? [];
    deepStrictEqual(got.map((call) => JSON.parse(call.function.arguments)), calls);
    deepStrictEqual(got.map((call) => call.type), calls.map(() => 'function'));
    deepStrictEqual(message.content ?? '', content);
    deepStrictEqual(finish_reason, calls.length ? 'tool_calls' : 'stop');
  },

  async 'openai-node runTools()'() {
    const got = [];
    const run = { ...weather, parse: JSON.parse, function: sunny(got) };
    const tools = [{ type: 'function', function: run }];
    await client.chat.completions.runTools({ model, messages, tools, stream: true }).done();
    deepStrictEqual(got, calls);
  },

  async 'AI SDK streamText'() {
    const got = [];
    let error;
    const result = streamText({ ...question(got), onError: (event) => (error = event.error) });
    const steps = await result.steps;
    if (error) throw error;
    checkFirst(steps, got);
  },

  async 'AI SDK generateText'() {
    const got = [];
    const { steps } = await generateText(question(got));
    checkFirst(steps, got);
  },
};

function question(got) {
  return {
    model: provider(model),
    prompt,
    maxRetries: 0,
    stopWhen: isStepCount(4),
    tools: { get_weather: tool({ description: weather.description, inputSchema, execute: sunny(got) }) },
  };
}

function sunny(got) {
  return (input) => {
    got.push(input);
    return 'sunny';
  };
}

function checkFirst([step], got) {
  deepStrictEqual(got, calls);
  deepStrictEqual(step.text, content);
  deepStrictEqual(step.finishReason, calls.length ? 'tool-calls' : 'stop');
}

async function verdict(consume) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no end after ${LIMIT} ms`)), LIMIT).unref();
  });
  try {
    await Promise.race([consume(), late]);
    return null;
  } catch (e) {
    return `${e?.constructor?.name}: ${e?.message ?? e}`;
  }
}

process.on('unhandledRejection', () => {}); // openai-node rejects twice on a bad stream
for (const [name, consume] of Object.entries(consumers)) {
  console.log(JSON.stringify([name, await verdict(consume)]));
}
process.exit();

// What the SDKs for Node make of an answer: a JSON line for each way to ask, as sdk_apis.py prints them.
//
//   sdk_apis.mjs SERVER API TASK MAX_TOKENS          API: messages, responses, ollama

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [server, api, task, limit] = process.argv.slice(2);
const LIMIT = 30000; // milliseconds for one answer
const model = 'tiny-qwen3';
const apiKey = 'sk-fake';
const name = 'get_weather';
const description = 'Weather of a city';
const prompt = `Please do TASK:${task}`;
const messages = [{ role: 'user', content: prompt }];
const parameters = {
  type: 'object',
  properties: {
    city: { type: 'string' },
    days: { type: 'integer' },
    detailed: { type: 'boolean' },
  },
  required: ['city', 'days'],
};

const { resolve } = createRequire(new URL('../../.e2e-clients/package.json', import.meta.url));
const load = (package_) => import(pathToFileURL(resolve(package_)));

async function anthropic() {
  const { default: Anthropic } = await load('@anthropic-ai/sdk');
  const client = new Anthropic({ baseURL: server, apiKey, maxRetries: 0, timeout: LIMIT });
  const tools = [{ name, description, input_schema: parameters }];
  const asked = { model, messages, tools, max_tokens: Number(limit) };
  const ends = { end_turn: 'stop', tool_use: 'calls', max_tokens: 'length' };
  const outcome = (message) => {
    const run = message.stop_reason === 'tool_use';
    const calls = message.content.filter((b) => b.type === 'tool_use' && run).map((b) => b.input);
    const text = message.content.filter((b) => b.type === 'text').map((b) => b.text).join('');
    return { text, calls, end: ends[message.stop_reason] };
  };
  const { createAnthropic } = await load('@ai-sdk/anthropic');
  return {
    '@anthropic-ai/sdk stream()': async () => outcome(await client.messages.stream(asked).finalMessage()),
    '@anthropic-ai/sdk create()': async () => outcome(await client.messages.create(asked)),
    'AI SDK anthropic': () => aiSdk(createAnthropic({ baseURL: `${server}/v1`, apiKey })(model)),
  };
}

async function openai() {
  const { default: OpenAI } = await load('openai');
  const client = new OpenAI({ baseURL: `${server}/v1`, apiKey, maxRetries: 0, timeout: LIMIT });
  const tools = [{ type: 'function', name, description, parameters, strict: false }];
  const asked = { model, input: messages, tools, max_output_tokens: Number(limit), store: false };
  const outcome = (response) => {
    const items = response.output.filter((item) => item.type === 'function_call');
    const cut = response.status === 'incomplete' || items.some((item) => item.status === 'incomplete');
    const calls = items.filter((i) => i.status === 'completed').map((i) => JSON.parse(i.arguments));
    const parts = response.output.filter((item) => item.type === 'message').flatMap((i) => i.content);
    const text = parts.map((part) => part.text).join('');
    return { text, calls, end: cut ? 'length' : calls.length ? 'calls' : 'stop' };
  };
  const { createOpenAI } = await load('@ai-sdk/openai');
  return {
    'openai-node stream()': async () => outcome(await client.responses.stream(asked).finalResponse()),
    'openai-node create()': async () => outcome(await client.responses.create(asked)),
    'AI SDK openai': () =>
      aiSdk(createOpenAI({ baseURL: `${server}/v1`, apiKey }).responses(model), {
        providerOptions: { openai: { store: false } },
      }),
  };
}

async function aiSdk(languageModel, more = {}) {
  const { isStepCount, jsonSchema, streamText, tool } = await load('ai');
  const calls = [];
  let error;
  const execute = (input) => (calls.push(input), 'sunny');
  const result = streamText({
    model: languageModel,
    prompt,
    maxRetries: 0,
    maxOutputTokens: Number(limit),
    stopWhen: isStepCount(1),
    tools: { [name]: tool({ description, inputSchema: jsonSchema(parameters), execute }) },
    onError: (event) => (error = event.error),
    ...more,
  });
  const [step] = await result.steps;
  if (error) throw error;
  const ends = { 'tool-calls': 'calls', stop: 'stop', length: 'length' };
  return { text: step.text, calls, end: ends[step.finishReason] ?? step.finishReason };
}

async function ollama() {
  const { Ollama } = await load('ollama');
  const client = new Ollama({ host: server });
  const tools = [{ type: 'function', function: { name, description, parameters } }];
  const asked = { model, messages, tools, options: { num_predict: Number(limit) } };
  const outcome = (parts) => {
    const text = parts.map((part) => part.message.content ?? '').join('');
    const calls = parts.flatMap((part) => part.message.tool_calls ?? []).map((c) => c.function.arguments);
    const reason = parts.at(-1).done_reason;
    return { text, calls, end: calls.length && reason === 'stop' ? 'calls' : reason };
  };
  return {
    async 'ollama-js stream'() {
      const parts = [];
      for await (const part of await client.chat({ ...asked, stream: true })) parts.push(part);
      return outcome(parts);
    },
    'ollama-js chat()': async () => outcome([await client.chat(asked)]),
  };
}

async function answer(ask) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no end after ${LIMIT} ms`)), LIMIT).unref();
  });
  try {
    return await Promise.race([ask(), late]);
  } catch (e) {
    return `${e?.constructor?.name}: ${e?.message ?? e}`.split('\n')[0];
  }
}

process.on('unhandledRejection', () => {}); // openai-node rejects twice on a bad stream
const ways = await { messages: anthropic, responses: openai, ollama }[api]();
for (const [way, ask] of Object.entries(ways)) {
  console.log(JSON.stringify([way, await answer(ask)]));
}
process.exit();

// The official OpenAI client against the gateway at GATEWAY_URL, with Responses.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import OpenAI, { APIError, BadRequestError, NotFoundError, RateLimitError } from 'openai';

const client = new OpenAI({
  baseURL: `${process.env.GATEWAY_URL}/v1`,
  apiKey: 'dummy-key',
  maxRetries: 0,
  timeout: 30_000,
});

const tools = [
  {
    type: 'function',
    name: 'weather',
    description: 'Tells the weather of a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    strict: false,
  },
  { type: 'function', name: 'clock', parameters: { type: 'object', properties: {} }, strict: false },
];

const ways = {
  plain: (params) => client.responses.create(params),
  stream: (params) => client.responses.stream(params).finalResponse(),
};

// said is what an answer holds.
function said(response) {
  const of = (type) => response.output.filter((item) => item.type === type);
  return {
    thinking: of('reasoning').map((item) => item.summary.map((part) => part.text).join('')).join(''),
    text: response.output_text,
    calls: of('function_call').map((call) => [call.call_id, call.name, JSON.parse(call.arguments)]),
  };
}

// An upstream of each format: one is the client's own, the others are not.
for (const upstream of ['chat', 'responses', 'messages', 'gemini']) {
  describe(`upstream of format ${upstream}`, () => {
    test('text', async () => {
      const { data, response } = await client.responses
        .create({ model: `echo-${upstream}`, instructions: 'Be brief.', input: 'Hello, "wörld"\n!' })
        .withResponse();
      assert.equal(data.output_text, 'Hello, "wörld"\n!');
      assert.equal(data.status, 'completed');
      assert.equal(data.usage.total_tokens, 8);
      assert.equal(response.headers.get('x-selected-provider'), `demo_${upstream}`);
    });

    test('stream', async () => {
      const stream = await client.responses.create({
        model: `story-${upstream}`,
        input: 'Tell me a story.',
        stream: true,
      });
      let text = '';
      let last;
      let sequence = 0;
      for await (const event of stream) {
        assert.equal(event.sequence_number, sequence++);
        text += event.type === 'response.output_text.delta' ? event.delta : '';
        last = event;
      }
      assert.match(text, /^Once a gateway .* their sentences\.$/);
      assert.equal(last.type, 'response.completed');
      assert.equal(last.response.output[0].content[0].text, text);
      assert.ok(sequence > 100, `${sequence} events`);
      assert.ok(last.response.usage.output_tokens > 100, `${last.response.usage.output_tokens} tokens`);
    });

    for (const [way, ask] of Object.entries(ways)) {
      for (const [question, want] of [
        ['How is the weather?', ['weather']],
        ['Ask both in parallel.', ['weather', 'clock']],
      ]) {
        test(`tool loop, ${way}, ${want.length} calls`, async () => {
          const params = { model: `tools-${upstream}`, tools, input: [{ role: 'user', content: question }] };
          const first = await ask(params);
          assert.deepEqual(first.output.map((item) => item.name), want);
          assert.deepEqual(JSON.parse(first.output[0].arguments), { city: 'demo' });
          assert.equal(new Set(first.output.map((item) => item.call_id)).size, want.length);
          params.input.push(...first.output);
          for (const call of first.output) {
            params.input.push({ type: 'function_call_output', call_id: call.call_id, output: `result of ${call.name}` });
          }
          const second = await ask(params);
          assert.equal(
            second.output_text,
            `The tool answered: ${want.map((name) => `result of ${name}`).join('; ')}`,
          );
          assert.equal(second.status, 'completed');
        });
      }

      test(`reasoning and calls, ${way}`, async () => {
        const response = await ask({
          model: `reasoning-${upstream}`,
          input: 'How is the weather, and what time is it?',
          reasoning: { effort: 'low', summary: 'auto' },
          tools,
        });
        assert.deepEqual(said(response), {
          thinking: 'The user wants two answers.',
          text: 'I look at both.',
          calls: [
            ['call_1', 'weather', { city: 'Rome' }],
            ['call_2', 'clock', { zone: 'CET' }],
          ],
        });
      });
    }

    test('structured output', async () => {
      const response = await client.responses.parse({
        model: `structured-${upstream}`,
        input: 'What is the answer?',
        text: {
          format: {
            type: 'json_schema',
            name: 'answer',
            strict: true,
            schema: {
              type: 'object',
              properties: { answer: { type: 'integer' } },
              required: ['answer'],
              additionalProperties: false,
            },
          },
        },
      });
      assert.deepEqual(JSON.parse(response.output_text), { answer: 42 });
    });

    test('rate limit', async () => {
      await assert.rejects(client.responses.create({ model: `error-429-${upstream}`, input: 'Hello' }), (error) => {
        assert.ok(error instanceof RateLimitError, `got ${error}`);
        assert.ok(error.headers.get('retry-after'));
        return true;
      });
    });

    test('a stream that breaks off is an error', async () => {
      const stream = await client.responses.create({
        model: `error-cut-${upstream}`,
        input: 'Tell me a story.',
        stream: true,
      });
      let text = '';
      let failed;
      try {
        for await (const event of stream) {
          assert.ok(!['response.completed', 'response.incomplete'].includes(event.type), event.type);
          text += event.type === 'response.output_text.delta' ? event.delta : '';
          failed = event.type === 'response.failed' ? event.response.error : failed;
        }
      } catch (error) {
        assert.ok(error instanceof APIError, `got ${error}`);
        failed = error;
      }
      assert.ok(failed?.message, 'the stream ended well');
      assert.ok(text.startsWith('Once'), text);
    });
  });
}

for (const stream of [false, true]) {
  test(`unknown model, stream ${stream}`, async () => {
    await assert.rejects(client.responses.create({ model: 'nonsense', input: 'Hello', stream }), (error) => {
      assert.ok(error instanceof NotFoundError, `got ${error}`);
      assert.equal(error.code, 'model_not_found');
      return true;
    });
  });

  test(`bad request, stream ${stream}`, async () => {
    await assert.rejects(client.responses.create({ model: 'echo-chat', input: 42, stream }), BadRequestError);
  });
}

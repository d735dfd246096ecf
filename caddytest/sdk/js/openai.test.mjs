// The official OpenAI client against the gateway at GATEWAY_URL.
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
    function: {
      name: 'weather',
      description: 'Tells the weather of a city.',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
  { type: 'function', function: { name: 'clock', parameters: { type: 'object', properties: {} } } },
];

const ways = {
  plain: (params) => client.chat.completions.create(params),
  stream: (params) => client.chat.completions.stream(params).finalChatCompletion(),
};

// An upstream of each format: one is the client's own, the others are not.
for (const upstream of ['chat', 'responses', 'messages', 'gemini']) {
  describe(`upstream of format ${upstream}`, () => {
    test('chat', async () => {
      const { data, response } = await client.chat.completions
        .create({
          model: `echo-${upstream}`,
          messages: [
            { role: 'system', content: 'Be brief.' },
            { role: 'user', content: 'Hello, "wörld"\n!' },
          ],
        })
        .withResponse();
      assert.equal(data.choices[0].message.content, 'Hello, "wörld"\n!');
      assert.equal(data.choices[0].finish_reason, 'stop');
      assert.equal(data.usage.total_tokens, 8);
      assert.equal(response.headers.get('x-selected-provider'), `demo_${upstream}`);
    });

    test('stream', async () => {
      const stream = await client.chat.completions.create({
        model: `story-${upstream}`,
        messages: [{ role: 'user', content: 'Tell me a story.' }],
        stream: true,
        stream_options: { include_usage: true },
      });
      let text = '';
      let chunks = 0;
      let finish, usage;
      for await (const chunk of stream) {
        chunks++;
        text += chunk.choices[0]?.delta.content ?? '';
        finish = chunk.choices[0]?.finish_reason ?? finish;
        usage = chunk.usage ?? usage;
      }
      assert.match(text, /^Once a gateway .* their sentences\.$/);
      assert.equal(finish, 'stop');
      assert.ok(chunks > 100, `${chunks} chunks`);
      assert.ok(usage.completion_tokens > 100, `${usage.completion_tokens} tokens`);
    });

    for (const [way, ask] of Object.entries(ways)) {
      for (const [question, want] of [
        ['How is the weather?', ['weather']],
        ['Ask both in parallel.', ['weather', 'clock']],
      ]) {
        test(`tool loop, ${way}, ${want.length} calls`, async () => {
          const params = { model: `tools-${upstream}`, tools, messages: [{ role: 'user', content: question }] };
          const first = await ask(params);
          assert.equal(first.choices[0].finish_reason, 'tool_calls');
          const calls = first.choices[0].message.tool_calls;
          assert.deepEqual(calls.map((call) => call.function.name), want);
          assert.deepEqual(JSON.parse(calls[0].function.arguments), { city: 'demo' });
          assert.equal(new Set(calls.map((call) => call.id)).size, want.length);
          params.messages.push(first.choices[0].message);
          for (const call of calls) {
            params.messages.push({ role: 'tool', tool_call_id: call.id, content: `result of ${call.function.name}` });
          }
          const second = await ask(params);
          assert.equal(
            second.choices[0].message.content,
            `The tool answered: ${want.map((name) => `result of ${name}`).join('; ')}`,
          );
          assert.equal(second.choices[0].finish_reason, 'stop');
        });
      }
    }

    for (const way of ['plain', 'stream']) {
      test(`reasoning and calls, ${way}`, async () => {
        const params = {
          model: `reasoning-${upstream}`,
          messages: [{ role: 'user', content: 'How is the weather, and what time is it?' }],
          reasoning_effort: 'low',
          tools,
        };
        let answer;
        let thinking = '';
        if (way === 'plain') {
          answer = await client.chat.completions.create(params);
          thinking = answer.choices[0].message.reasoning_content;
        } else {
          // The SDK folds only the members that it knows.
          const stream = client.chat.completions.stream(params);
          stream.on('chunk', (chunk) => {
            thinking += chunk.choices[0]?.delta.reasoning_content ?? '';
          });
          answer = await stream.finalChatCompletion();
        }
        const { message, finish_reason } = answer.choices[0];
        assert.equal(finish_reason, 'tool_calls');
        assert.equal(thinking, 'The user wants two answers.');
        assert.equal(message.content, 'I look at both.');
        assert.deepEqual(
          message.tool_calls.map((call) => [call.id, call.function.name, JSON.parse(call.function.arguments)]),
          [
            ['call_1', 'weather', { city: 'Rome' }],
            ['call_2', 'clock', { zone: 'CET' }],
          ],
        );
      });
    }

    test('structured output', async () => {
      const answer = await client.chat.completions.parse({
        model: `structured-${upstream}`,
        messages: [{ role: 'user', content: 'What is the answer?' }],
        response_format: {
          type: 'json_schema',
          json_schema: {
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
      assert.deepEqual(JSON.parse(answer.choices[0].message.content), { answer: 42 });
    });

    test('tool runner', async () => {
      let city;
      const runner = client.chat.completions.runTools({
        model: `tools-${upstream}`,
        messages: [{ role: 'user', content: 'How is the weather?' }],
        stream: true,
        tools: [
          {
            type: 'function',
            function: {
              ...tools[0].function,
              parse: JSON.parse,
              function: (args) => {
                city = args.city;
                return 'sunny';
              },
            },
          },
        ],
      });
      assert.equal(await runner.finalContent(), 'The tool answered: sunny');
      assert.equal(city, 'demo');
    });

    test('rate limit', async () => {
      const request = client.chat.completions.create({
        model: `error-429-${upstream}`,
        messages: [{ role: 'user', content: 'Hello' }],
      });
      await assert.rejects(request, (error) => {
        assert.ok(error instanceof RateLimitError, `got ${error}`);
        assert.ok(error.headers.get('retry-after'));
        return true;
      });
    });

    test('a stream that breaks off is an error', async () => {
      const stream = await client.chat.completions.create({
        model: `error-cut-${upstream}`,
        messages: [{ role: 'user', content: 'Tell me a story.' }],
        stream: true,
      });
      let text = '';
      await assert.rejects(
        async () => {
          for await (const chunk of stream) {
            text += chunk.choices[0]?.delta.content ?? '';
            assert.equal(chunk.choices[0]?.finish_reason ?? null, null);
          }
        },
        APIError,
      );
      assert.ok(text.startsWith('Once'), text);
    });
  });
}

test('models', async () => {
  const names = [];
  for await (const model of client.models.list()) {
    names.push(model.id);
  }
  assert.ok(names.includes('echo-chat') && names.includes('echo-gemini'), `${names}`);
  assert.equal((await client.models.retrieve('echo-chat')).id, 'echo-chat');
  await assert.rejects(() => client.models.retrieve('nonsense'), NotFoundError);
});

for (const stream of [false, true]) {
  test(`unknown model, stream ${stream}`, async () => {
    const request = client.chat.completions.create({
      model: 'nonsense',
      messages: [{ role: 'user', content: 'Hello' }],
      stream,
    });
    await assert.rejects(request, (error) => {
      assert.ok(error instanceof NotFoundError, `got ${error}`);
      assert.equal(error.code, 'model_not_found');
      return true;
    });
  });

  test(`bad request, stream ${stream}`, async () => {
    const request = client.chat.completions.create({ model: 'echo-chat', messages: 'Hello', stream });
    await assert.rejects(request, BadRequestError);
  });
}

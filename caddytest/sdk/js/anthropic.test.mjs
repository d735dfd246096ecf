// The official Anthropic client against the gateway at GATEWAY_URL.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import Anthropic, { APIError, BadRequestError, NotFoundError, RateLimitError } from '@anthropic-ai/sdk';

const client = new Anthropic({
  baseURL: process.env.GATEWAY_URL,
  apiKey: 'dummy-key',
  maxRetries: 0,
  timeout: 30_000,
});

const tools = [
  {
    name: 'weather',
    description: 'Tells the weather of a city.',
    input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
  { name: 'clock', input_schema: { type: 'object', properties: {} } },
];

const ways = {
  plain: (params) => client.messages.create(params),
  stream: (params) => client.messages.stream(params).finalMessage(),
};

// say is a request with one text.
const say = (model, content, rest) => ({ model, max_tokens: 1024, messages: [{ role: 'user', content }], ...rest });

// An upstream of each format: one is the client's own, the others are not.
for (const upstream of ['chat', 'responses', 'messages', 'gemini']) {
  describe(`upstream of format ${upstream}`, () => {
    test('chat', async () => {
      const { data, response } = await client.messages
        .create(say(`echo-${upstream}`, 'Hello, "wörld"\n!', { system: 'Be brief.' }))
        .withResponse();
      assert.equal(data.content[0].text, 'Hello, "wörld"\n!');
      assert.equal(data.stop_reason, 'end_turn');
      assert.equal(data.usage.input_tokens, 5);
      assert.equal(data.usage.output_tokens, 3);
      assert.equal(response.headers.get('x-selected-provider'), `demo_${upstream}`);
    });

    test('stream', async () => {
      const stream = client.messages.stream(say(`story-${upstream}`, 'Tell me a story.'));
      let text = '';
      let events = 0;
      for await (const event of stream) {
        events++;
        if (event.type === 'content_block_delta') {
          text += event.delta.text;
        }
      }
      assert.match(text, /^Once a gateway .* their sentences\.$/);
      assert.ok(events > 100, `${events} events`);
      const message = await stream.finalMessage();
      assert.equal(message.stop_reason, 'end_turn');
      assert.equal(message.content[0].text, text);
      assert.ok(message.usage.output_tokens > 100, `${message.usage.output_tokens} tokens`);
    });

    for (const [way, ask] of Object.entries(ways)) {
      for (const [question, want] of [
        ['How is the weather?', ['weather']],
        ['Ask both in parallel.', ['weather', 'clock']],
      ]) {
        test(`tool loop, ${way}, ${want.length} calls`, async () => {
          const params = say(`tools-${upstream}`, question, { tools });
          const first = await ask(params);
          assert.equal(first.stop_reason, 'tool_use');
          assert.deepEqual(first.content.map((block) => block.name), want);
          assert.deepEqual(first.content[0].input, { city: 'demo' });
          assert.equal(new Set(first.content.map((block) => block.id)).size, want.length);
          params.messages.push(
            { role: 'assistant', content: first.content },
            {
              role: 'user',
              content: first.content.map((block) => ({
                type: 'tool_result',
                tool_use_id: block.id,
                content: `result of ${block.name}`,
              })),
            },
          );
          const second = await ask(params);
          assert.equal(
            second.content[0].text,
            `The tool answered: ${want.map((name) => `result of ${name}`).join('; ')}`,
          );
          assert.equal(second.stop_reason, 'end_turn');
        });
      }
    }

    for (const [way, ask] of Object.entries(ways)) {
      test(`reasoning and calls, ${way}`, async () => {
        const question = 'How is the weather, and what time is it?';
        const message = await ask(say(`reasoning-${upstream}`, question, { tools, thinking: { type: 'adaptive' } }));
        assert.equal(message.stop_reason, 'tool_use');
        // A block without words carries the signature of a call.
        const blocks = message.content.filter((block) => block.thinking !== '');
        assert.deepEqual(
          blocks.map((block) => block.thinking ?? block.text ?? [block.id, block.name, block.input]),
          [
            'The user wants two answers.',
            'I look at both.',
            ['call_1', 'weather', { city: 'Rome' }],
            ['call_2', 'clock', { zone: 'CET' }],
          ],
        );
      });
    }

    test('structured output', async () => {
      const message = await client.messages.parse(
        say(`structured-${upstream}`, 'What is the answer?', {
          output_config: {
            format: {
              type: 'json_schema',
              schema: {
                type: 'object',
                properties: { answer: { type: 'integer' } },
                required: ['answer'],
                additionalProperties: false,
              },
            },
          },
        }),
      );
      assert.deepEqual(JSON.parse(message.content[0].text), { answer: 42 });
    });

    // The runner first asks for a message thread, which no demo upstream has, and
    // sends the whole conversation when it is told so.
    for (const stream of [false, true]) {
      test(`tool runner, stream ${stream}`, async () => {
        let city;
        const runner = client.beta.messages.toolRunner(
          say(`tools-${upstream}`, 'How is the weather?', {
            stream,
            tools: [
              betaTool({
                name: 'weather',
                description: 'Tells the weather of a city.',
                inputSchema: tools[0].input_schema,
                run: (args) => {
                  city = args.city;
                  return 'sunny';
                },
              }),
            ],
          }),
        );
        const message = await runner.runUntilDone();
        assert.equal(message.content[0].text, 'The tool answered: sunny');
        assert.equal(city, 'demo');
      });
    }

    test('rate limit', async () => {
      await assert.rejects(client.messages.create(say(`error-429-${upstream}`, 'Hello')), (error) => {
        assert.ok(error instanceof RateLimitError, `got ${error}`);
        assert.ok(error.headers.get('retry-after'));
        return true;
      });
    });

    test('a stream that breaks off is an error', async () => {
      const stream = await client.messages.create(say(`error-cut-${upstream}`, 'Tell me a story.', { stream: true }));
      let text = '';
      await assert.rejects(
        async () => {
          for await (const event of stream) {
            assert.ok(!['message_delta', 'message_stop'].includes(event.type), event.type);
            text += event.delta?.text ?? '';
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
    await assert.rejects(client.messages.create(say('nonsense', 'Hello', { stream })), NotFoundError);
  });

  test(`bad request, stream ${stream}`, async () => {
    await assert.rejects(client.messages.create(say('echo-chat', 42, { stream })), BadRequestError);
  });
}

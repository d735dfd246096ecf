// The official Google clients against the gateway at GATEWAY_URL: version 2 asks
// below /v1beta, version 3 below /v1.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as version3 from '@google/genai';
import * as version2 from 'genai2';

const weather = {
  name: 'weather',
  description: 'Tells the weather of a city.',
  parametersJsonSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const clock = { name: 'clock', parametersJsonSchema: { type: 'object', properties: {} } };
const tools = [{ functionDeclarations: [weather, clock] }];

// parts are the parts of answers, in their order.
const parts = (answers) => answers.flatMap((answer) => answer.candidates?.[0]?.content?.parts ?? []);

// said is what the pieces of an answer hold.
function said(answers) {
  const all = parts(answers);
  const text = (thought) =>
    all
      .filter((part) => part.text && Boolean(part.thought) === thought)
      .map((part) => part.text)
      .join('');
  return {
    thinking: text(true),
    text: text(false),
    calls: all.filter((part) => part.functionCall).map(({ functionCall: call }) => [call.id, call.name, call.args]),
  };
}

// collect takes all pieces of a stream.
async function collect(stream) {
  const pieces = [];
  for await (const piece of await stream) {
    pieces.push(piece);
  }
  return pieces;
}

for (const [version, { ApiError, GoogleGenAI }] of Object.entries({ version2, version3 })) {
  const client = new GoogleGenAI({
    apiKey: 'dummy-key',
    httpOptions: { baseUrl: process.env.GATEWAY_URL, timeout: 30_000 },
  });

  // ways return the pieces of an answer; a plain one is its only piece.
  const ways = {
    plain: async (params) => [await client.models.generateContent(params)],
    stream: (params) => collect(client.models.generateContentStream(params)),
  };

  // An upstream of each format: one is the client's own, the others are not.
  for (const upstream of ['chat', 'responses', 'messages', 'gemini']) {
    describe(`${version}, upstream of format ${upstream}`, () => {
      test('text', async () => {
        const answer = await client.models.generateContent({
          model: `echo-${upstream}`,
          contents: 'Hello, "wörld"\n!',
          config: { systemInstruction: 'Be brief.' },
        });
        assert.equal(answer.text, 'Hello, "wörld"\n!');
        assert.equal(answer.candidates[0].finishReason, 'STOP');
        assert.equal(answer.usageMetadata.totalTokenCount, 8);
      });

      test('stream', async () => {
        const pieces = await ways.stream({ model: `story-${upstream}`, contents: 'Tell me a story.' });
        assert.match(said(pieces).text, /^Once a gateway .* their sentences\.$/);
        assert.ok(pieces.length > 100, `${pieces.length} pieces`);
        assert.deepEqual(pieces.map((piece) => piece.candidates?.[0]?.finishReason).filter(Boolean), ['STOP']);
        const { candidatesTokenCount } = pieces.at(-1).usageMetadata;
        assert.ok(candidatesTokenCount > 100, `${candidatesTokenCount} tokens`);
      });

      for (const [way, ask] of Object.entries(ways)) {
        for (const [question, want] of [
          ['How is the weather?', ['weather']],
          ['Ask both in parallel.', ['weather', 'clock']],
        ]) {
          test(`tool loop, ${way}, ${want.length} calls`, async () => {
            const contents = [{ role: 'user', parts: [{ text: question }] }];
            const first = await ask({ model: `tools-${upstream}`, contents, config: { tools } });
            const calls = parts(first).filter((part) => part.functionCall);
            assert.deepEqual(calls.map((part) => part.functionCall.name), want);
            assert.deepEqual(calls[0].functionCall.args, { city: 'demo' });
            contents.push(
              { role: 'model', parts: calls },
              {
                role: 'user',
                parts: calls.map(({ functionCall: { id, name } }) => ({
                  functionResponse: { id, name, response: { output: `result of ${name}` } },
                })),
              },
            );
            const second = await ask({ model: `tools-${upstream}`, contents, config: { tools } });
            assert.equal(
              said(second).text,
              `The tool answered: ${want.map((name) => `result of ${name}`).join('; ')}`,
            );
          });
        }

        test(`reasoning and calls, ${way}`, async () => {
          const answer = await ask({
            model: `reasoning-${upstream}`,
            contents: 'How is the weather, and what time is it?',
            config: { tools, thinkingConfig: { includeThoughts: true } },
          });
          assert.deepEqual(said(answer), {
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
        const answer = await client.models.generateContent({
          model: `structured-${upstream}`,
          contents: 'What is the answer?',
          config: {
            responseMimeType: 'application/json',
            responseJsonSchema: {
              type: 'object',
              properties: { answer: { type: 'integer' } },
              required: ['answer'],
            },
          },
        });
        assert.deepEqual(JSON.parse(answer.text), { answer: 42 });
      });

      test('rate limit', async () => {
        const request = client.models.generateContent({ model: `error-429-${upstream}`, contents: 'Hello' });
        await assert.rejects(request, (error) => {
          assert.ok(error instanceof ApiError, `got ${error}`);
          assert.equal(error.status, 429);
          return true;
        });
      });

      test('a stream that breaks off is an error', async () => {
        const stream = await client.models.generateContentStream({
          model: `error-cut-${upstream}`,
          contents: 'Tell me a story.',
        });
        let text = '';
        await assert.rejects(async () => {
          for await (const piece of stream) {
            text += said([piece]).text;
            assert.equal(piece.candidates?.[0]?.finishReason, undefined);
          }
        }, ApiError);
        assert.ok(text.startsWith('Once'), text);
      });
    });
  }

  test(`${version}, models`, async () => {
    const names = [];
    for await (const model of await client.models.list()) {
      names.push(model.name);
    }
    assert.ok(names.includes('models/echo-chat') && names.includes('models/echo-gemini'), `${names}`);
    assert.equal((await client.models.get({ model: 'echo-chat' })).name, 'models/echo-chat');
  });

  for (const [way, ask] of Object.entries(ways)) {
    for (const [what, status, params] of [
      ['unknown model', 404, { model: 'nonsense', contents: 'Hello' }],
      ['bad request', 400, { model: 'echo-chat', contents: [{ role: 'nobody', parts: [{ text: 'Hello' }] }] }],
    ]) {
      test(`${version}, ${what}, ${way}`, async () => {
        await assert.rejects(ask(params), (error) => {
          assert.ok(error instanceof ApiError, `got ${error}`);
          assert.equal(error.status, status);
          return true;
        });
      });
    }
  }
}

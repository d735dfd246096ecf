package format_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

// watchAll lets a watcher see a stream.
func watchAll(t *testing.T, watcher format.StreamWatcher, stream string) {
	t.Helper()
	scanner := sse.NewScanner(strings.NewReader(stream), 0)
	defer scanner.Release()
	for {
		ev, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			_, err = watcher.Watch(ev)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestCase07CacheTokensTwice: counts that stand at the start and at the end of a
// stream are counted once (envoyproxy/ai-gateway #2239, langchainjs #10249).
func TestCase07CacheTokensTwice(t *testing.T) {
	stream := streamed(
		`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"real","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":20,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi."}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":20,"output_tokens":5}}`,
		`{"type":"message_stop"}`)
	usage, times := collectUsage(t, translateStream(t, messagesFormat, chatFormat, stream))
	if times != 1 {
		t.Errorf("usage comes %d times", times)
	}
	want(t, usage, "prompt_tokens", "130")
	want(t, usage, "prompt_tokens_details.cached_tokens", "100")
	want(t, usage, "prompt_tokens_details.cache_write_tokens", "20")
	want(t, usage, "completion_tokens", "5")
	watcher := messagesFormat.NewStreamWatcher()
	watchAll(t, watcher, stream)
	if u := watcher.Usage(); u.Prompt() != 130 || u.CacheRead != 100 || u.CacheWrite() != 20 || u.Output != 5 {
		t.Errorf("passed through it counts %+v", u)
	}
}

// TestCase08PromptIncludesCached: Anthropic's input_tokens are what is neither
// read from a cache nor written to it (envoyproxy/ai-gateway #2350).
func TestCase08PromptIncludesCached(t *testing.T) {
	answer := translateAnswer(t, chatFormat, messagesFormat, `{"id":"c","object":"chat.completion","model":"real","choices":[{"index":0,"message":{"role":"assistant","content":"Hi."},"finish_reason":"stop"}],"usage":{"prompt_tokens":130,"completion_tokens":5,"total_tokens":135,"prompt_tokens_details":{"cached_tokens":100,"cache_write_tokens":20}}}`)
	want(t, answer, "usage.input_tokens", "10")
	want(t, answer, "usage.cache_read_input_tokens", "100")
	want(t, answer, "usage.cache_creation_input_tokens", "20")
	want(t, answer, "usage.output_tokens", "5")
}

// TestCase09GeminiThoughts: thoughts are not among the candidates' tokens, but
// are part of the completion.
func TestCase09GeminiThoughts(t *testing.T) {
	answer := translateAnswer(t, geminiFormat, chatFormat, `{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi."}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":2,"thoughtsTokenCount":30,"totalTokenCount":36},"responseId":"r"}`)
	want(t, answer, "usage.completion_tokens", "32")
	want(t, answer, "usage.completion_tokens_details.reasoning_tokens", "30")
	want(t, answer, "usage.total_tokens", "36")
	back := translateAnswer(t, chatFormat, geminiFormat, answer.Raw)
	want(t, back, "usageMetadata.candidatesTokenCount", "2")
	want(t, back, "usageMetadata.thoughtsTokenCount", "30")
}

// TestCase11UsageAnywhere: usage on the last chunk, behind it, or never: there is
// one message_delta, and it is right.
func TestCase11UsageAnywhere(t *testing.T) {
	const counts = `"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}`
	const head = `{"id":"c1","object":"chat.completion.chunk","created":1,"model":"real",`
	text := head + `"choices":[{"index":0,"delta":{"content":"Hi."},"finish_reason":null}]}`
	finish := head + `"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]`
	for _, tc := range []struct{ name, stream, input, output string }{
		{"on the last chunk", streamed(text, finish+","+counts+"}") + "data: [DONE]\n\n", "4", "2"},
		{"behind it", streamed(text, finish+"}", head+`"choices":[],`+counts+"}") + "data: [DONE]\n\n", "4", "2"},
		{"behind it, without [DONE]", streamed(text, finish+"}", head+`"choices":[],`+counts+"}"), "4", "2"},
		{"never", streamed(text, finish+"}") + "data: [DONE]\n\n", "0", "0"},
		{"on all chunks", streamed(text[:len(text)-1]+`,"usage":{"prompt_tokens":4,"completion_tokens":1,"total_tokens":5}}`, finish+","+counts+"}") + "data: [DONE]\n\n", "4", "2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			events := translateStream(t, chatFormat, messagesFormat, tc.stream)
			_, last := collectMessages(t, events)
			want(t, last, "usage.input_tokens", tc.input)
			want(t, last, "usage.output_tokens", tc.output)
			want(t, events[len(events)-1], "type", `"message_stop"`)
		})
	}
}

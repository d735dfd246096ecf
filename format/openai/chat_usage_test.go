package openai

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

// stripped is a stream without its counts.
func stripped(t testing.TB, stream string) string {
	t.Helper()
	scanner := sse.NewScanner(strings.NewReader(stream), 0)
	var out []byte
	for {
		ev, err := scanner.Next()
		if errors.Is(err, io.EOF) {
			return string(out)
		}
		if err != nil {
			t.Fatal(err)
		}
		out = StripUsage(out, ev)
	}
}

func TestStripUsage(t *testing.T) {
	for _, tc := range []struct{ name, stream, want string }{
		{"no counts", "data: {\"choices\":[{}]}\n\n", "data: {\"choices\":[{}]}\n\n"},
		{"comments and the end", ": ping\n\ndata: [DONE]\n\n", ": ping\n\ndata: [DONE]\n\n"},
		{"empty at the end", "data: {\"choices\":[{}],\"usage\":null}\n\n", "data: {\"choices\":[{}]}\n\n"},
		{
			"empty before the filling", "data: {\"choices\":[{}],\"usage\":null,\"obfuscation\":\"aB3\"}\n\n",
			"data: {\"choices\":[{}],\"obfuscation\":\"aB3\"}\n\n",
		},
		{"empty in the middle", "data: {\"id\":\"x\",\"usage\" : null , \"choices\":[{}]}\r\n\r\n", "data: {\"id\":\"x\" , \"choices\":[{}]}\r\n\r\n"},
		{"empty at the start", "data:{ \"usage\":null, \"choices\":[{}]}\n\n", "data:{ \"choices\":[{}]}\n\n"},
		{"nothing else", "data: {\"usage\":null}\n\n", "data: {}\n\n"},
		{"counts and content", "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":1},\"x\":1.0}\n\n", "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"x\":1.0}\n\n"},
		{"counts and the finish", "data: {\"usage\":{\"prompt_tokens\":1},\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"},
		{"counts alone", "data: {\"a\":1}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n", "data: {\"a\":1}\n\ndata: [DONE]\n\n"},
		{"counts alone without choices", "data: {\"usage\":{\"prompt_tokens\":1}}\n\n", ""},
		{"Azure's first chunk", "data: {\"choices\":[],\"usage\":null,\"prompt_filter_results\":[]}\n\n", "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n"},
		{"an error with counts", "data: {\"error\":{\"message\":\"x\"},\"usage\":{}}\n\n", "data: {\"error\":{\"message\":\"x\"}}\n\n"},
		{
			"the word elsewhere", "data: {\"choices\":[{\"delta\":{\"content\":\"say \\\"usage\\\":null}\"},\"usage\":{}}]}\n\n",
			"data: {\"choices\":[{\"delta\":{\"content\":\"say \\\"usage\\\":null}\"},\"usage\":{}}]}\n\n",
		},
		{"in another object", "data: {\"choices\":[{\"usage\":null}]}\n\n", "data: {\"choices\":[{\"usage\":null}]}\n\n"},
		{"at another object's end", "data: {\"choices\":[{}],\"x\":{\"a\":1,\"usage\":null}}\n\n", "data: {\"choices\":[{}],\"x\":{\"a\":1,\"usage\":null}}\n\n"},
		{"a filling that is none", "data: {\"x\":{\"a\":1,\"usage\":null,\"obfuscation\":\"a\\\"}\"}}\n\n", "data: {\"x\":{\"a\":1,\"usage\":null,\"obfuscation\":\"a\\\"}\"}}\n\n"},
		{"with a name", "event: chunk\nid: 1\ndata: {\"choices\":[{}],\"usage\":null}\n\n", "event: chunk\nid: 1\ndata: {\"choices\":[{}]}\n\n"},
		{"in several lines", "event: chunk\ndata: {\"choices\":[{}],\ndata: \"usage\":\ndata: null,\"x\":1}\n\n", "event: chunk\ndata: {\"choices\":[{}],\"x\":1}\n\n"},
		{"no JSON", "data: \"usage\"{\n\n", "data: \"usage\"{\n\n"},
		{"no object", "data: [\"usage\"]\n\n", "data: [\"usage\"]\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := stripped(t, tc.stream); got != tc.want {
				t.Errorf("\ngot  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// TestStripUsageOfStreams shows that the streams of the golden files lose their
// counts and nothing else.
func TestStripUsageOfStreams(t *testing.T) {
	formattest.Cases(t, "upstream_stream.sse", func(t *testing.T, _ string, content []byte) {
		got := stripped(t, string(content))
		before, after := run(bytes.NewReader(content)), run(strings.NewReader(got))
		if after.Err != nil || withoutUsage(before.Events.String()) != withoutUsage(after.Events.String()) {
			t.Errorf("the stream changed: %v\nbefore:\n%s\nafter:\n%s", after.Err, before.Events.String(), after.Events.String())
		}
		scanner := sse.NewScanner(strings.NewReader(got), 0)
		for ev, err := scanner.Next(); err == nil; ev, err = scanner.Next() {
			if bytes.HasPrefix(ev.Data, []byte("{")) && formattest.Parse(t, string(ev.Data)).Get("usage").Exists() {
				t.Errorf("usage is left: %s", ev.Data)
			}
		}
	})
}

// withoutUsage takes the counts out of the description of a stream.
func withoutUsage(events string) string {
	var kept []string
	for _, line := range strings.Split(events, "\n") {
		if !strings.HasPrefix(line, "usage ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func BenchmarkStripUsage(b *testing.B) {
	const head = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"gpt-x","choices":[{"index":0,"delta":{"content":"word"},"logprobs":null,"finish_reason":null}]`
	for _, bc := range []struct{ name, data string }{
		{"absent", head + `}`},
		{"empty", head + `,"usage":null}`},
		{"parsed", head + `,"usage":null,"system_fingerprint":"fp"}`},
	} {
		b.Run(bc.name, func(b *testing.B) {
			ev, dst := event(bc.data), make([]byte, 0, 1<<10)
			b.ReportAllocs()
			for b.Loop() {
				dst = StripUsage(dst[:0], ev)
			}
		})
	}
}

package gemini

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// array is what a client gets who asks for no events.
func array(pieces ...string) string {
	var a ArrayStream
	var out []byte
	for _, p := range pieces {
		out = a.Append(out, []byte(p))
	}
	out = a.Close(out)
	return string(a.Close(out))
}

func TestArrayStream(t *testing.T) {
	for _, tc := range []struct{ name, events, want string }{
		{"nothing", "", `[]`},
		{"one", "data: {\"a\":1}\n\n", `[{"a":1}]`},
		{"two", "data: {\"a\":1}\n\ndata:{\"b\":2}\n\n", "[{\"a\":1},\r\n{\"b\":2}]"},
		{"heartbeats", "\n\n: ping\n\ndata: {}\n\n\n\ndata: {}\n\n", "\n\n\n\n[{}\n\n,\r\n{}]"},
		{"CRLF", "data: {}\r\n\r\ndata: {}\r\n\r\n", "[{},\r\n{}]"},
		{"CR", "data: {}\r\rdata: {}\r\r", "[{},\r\n{}]"},
		{"names and ids", "event: x\nid: 7\ndata: {}\n\n", "[{}]"},
		{"several lines", "data: {\ndata: \"a\":1}\n\n", "[{\n \"a\":1}]"},
		{"end mark of others", "data: {}\n\ndata: [DONE]\n\n", "[{}\n]"},
		{"byte order mark", "\ufeffdata: {}\n\n", "[{}]"},
		{"end without a blank line", "data: {}\n\ndata: {\"a\":1}", "[{},\r\n{\"a\":1}]"},
		{"cut", "data: {}\n\ndata: {\"a\":", "[{}]"},
		{"error", "data: {}\n\ndata: {\"error\":{\"code\":503}}\n\n", "[{},\r\n{\"error\":{\"code\":503}}]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := array(tc.events); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			for i := range tc.events {
				if got := array(tc.events[:i], tc.events[i:]); got != tc.want {
					t.Errorf("cut at %d: got %q, want %q", i, got, tc.want)
				}
			}
			if got := array(strings.Split(tc.events, "")...); got != tc.want {
				t.Errorf("byte by byte: got %q, want %q", got, tc.want)
			}
			if !json.Valid([]byte(tc.want)) {
				t.Errorf("%q is no JSON", tc.want)
			}
		})
	}
}

// The array has what the events have, and reads as the same answer.
func TestArrayOfStreams(t *testing.T) {
	streams(t, func(t *testing.T, dir string, _ format.Chat, _ []byte) {
		events, err := os.ReadFile(filepath.Join(dir, "client_stream.golden.sse"))
		if err != nil {
			t.Fatal(err)
		}
		got := array(string(events))
		var want []string
		for _, ev := range formattest.Split(t, events) {
			want = append(want, string(ev.Data))
		}
		if got != "["+strings.Join(want, ",\r\n")+"]" {
			t.Errorf("got %s", got)
		}
		doc := formattest.Parse(t, got)
		usage, inspectErr := GenerateContent{}.InspectResponse(doc)
		r, err := GenerateContent{}.DecodeResponse(doc)
		if bytes.Contains(events, []byte(`"error":{`)) {
			if err == nil || inspectErr == nil {
				t.Error("a broken stream is an answer")
			}
			return
		}
		if err != nil || inspectErr != nil || usage != r.Usage {
			t.Errorf("decoding: %v; inspecting: %v, %+v", err, inspectErr, usage)
		}
	})
}

func TestArrayStreamDoesNotAllocate(t *testing.T) {
	var a ArrayStream
	event := []byte("data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]}}]}\n\n")
	out := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { out = a.Append(out[:0], event) }); n > 0 {
		t.Errorf("%v allocations per event", n)
	}
}

func TestDecodeArrayRefuses(t *testing.T) {
	for _, doc := range []string{`[]`, `[1]`, `[{}]`, `[{"error":{"code":429,"message":"x"}}]`, `[{"candidates":[]},{"error":{"message":"late"}}]`, `[{"candidates":[{"content":{"parts":[{"text":"cut"}]}}]}]`} {
		if r, err := (GenerateContent{}).DecodeResponse(formattest.Parse(t, doc)); err == nil {
			t.Errorf("%s is read as %+v", doc, r)
		}
	}
}

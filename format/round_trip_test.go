package format_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// eachDocument calls f for every file below this folder that fits a pattern.
func eachDocument(t *testing.T, pattern string, f func(t *testing.T, doc string)) {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("no documents at %s: %v", pattern, err)
	}
	for _, path := range found {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) { f(t, string(content)) })
	}
}

// facts are the values of a neutral form that are not zero, by their paths.
type facts map[string]string

// factsOf collects the facts of a value.
func factsOf(v any) facts {
	out := facts{}
	out.add("", reflect.ValueOf(v))
	return out
}

// add adds the facts at a path.
func (f facts) add(path string, v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		f.add(path, v.Elem())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f.add(path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		if !v.IsNil() {
			f[path] = string(v.Bytes())
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			f.add(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case !v.IsZero():
		f[path] = fmt.Sprint(v)
	}
}

// sameMeaning changes a request to the one of all that mean the same: Instructions
// are one text, results stand in the order of their ids, a function without a
// schema takes nothing, and members that nobody knows have no order. Reasoning and
// signatures of other formats' upstreams are left out: they mean something to their
// makers only. What a client wrote is remembered beside what it means, for answers
// that repeat it.
func sameMeaning(r *chat.Request, own string) {
	r.Echo = nil
	slices.SortFunc(r.Extra, func(a, b chat.Field) int { return strings.Compare(a.Name, b.Name) })
	if len(r.System) > 1 && !slices.ContainsFunc(r.System, func(b chat.Block) bool { return b.Cache != nil }) {
		joined := chat.Block{}
		for i := range r.System {
			joined.Text = chat.Literal(strings.Join([]string{strings.TrimSuffix(string(joined.Text), `"`), strings.TrimPrefix(string(r.System[i].Text), `"`)}, map[bool]string{true: `\n\n`, false: `"`}[i > 0]))
		}
		r.System = []chat.Block{joined}
	}
	for i := range r.Tools {
		if t := &r.Tools[i]; t.Type == "" && (t.Schema == nil || string(t.Schema) == `{"type":"object"}`) {
			t.Schema = chat.Raw(`{"type":"object","properties":{}}`)
		}
	}
	for i := range r.Turns {
		turn := &r.Turns[i]
		turn.Blocks = slices.DeleteFunc(turn.Blocks, func(b chat.Block) bool {
			return (b.Kind == chat.Thinking || b.Kind == chat.RedactedThinking) && b.Origin != own
		})
		for j := range turn.Blocks {
			if b := &turn.Blocks[j]; b.Origin != own && b.Signature != nil {
				b.Signature, b.Origin = nil, ""
			}
		}
		slices.SortStableFunc(turn.Blocks, func(a, b chat.Block) int {
			if a.Kind != chat.ToolResult || b.Kind != chat.ToolResult {
				return 0
			}
			return strings.Compare(string(a.ID), string(b.ID))
		})
	}
}

// change is a fact that encoding and decoding again may change, and why.
type change struct {
	path, why string
}

// compare compares the facts before and after a round; all but the allowed ones
// must be the same.
func compareFacts(t *testing.T, before, after facts, allowed []change) {
	t.Helper()
	paths := slices.Sorted(maps.Keys(before))
	for path := range after {
		if _, ok := before[path]; !ok {
			paths = append(paths, path)
		}
	}
	for _, path := range paths {
		if before[path] == after[path] {
			continue
		}
		if !slices.ContainsFunc(allowed, func(c change) bool { return regexp.MustCompile(`^` + c.path + `$`).MatchString(path) }) {
			t.Errorf("%s: %s became %s", path, before[path], after[path])
		}
	}
}

// TestRequestsRoundTrip shows that decoding and encoding a request in its own
// format keeps what it means.
func TestRequestsRoundTrip(t *testing.T) {
	for _, tc := range []struct {
		name    string
		codec   format.Chat
		pattern string
	}{
		{"chat", chatFormat, "openai/testdata/*/request.json"},
		{"responses", responsesFormat, "openai/testdata/*/responses_request.json"},
		{"messages", messagesFormat, "anthropic/testdata/*/request.json"},
		{"gemini", geminiFormat, "gemini/testdata/*/request.json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachDocument(t, tc.pattern, func(t *testing.T, doc string) {
				request, err := tc.codec.DecodeRequest(index(t, doc))
				if err != nil {
					t.Fatal(err)
				}
				var b format.Body
				if _, err := tc.codec.EncodeRequest(&b, request, chat.Target{Model: request.Model, Can: capability.Model{MidSystem: true, ThinkingLevel: true, ResultParts: true}}); err != nil {
					t.Fatal(err)
				}
				again, err := tc.codec.DecodeRequest(index(t, string(b.Bytes())))
				if err != nil {
					t.Fatalf("%v: %s", err, b.Bytes())
				}
				sameMeaning(request, request.Format)
				sameMeaning(again, request.Format)
				compareFacts(t, factsOf(request), factsOf(again), nil)
			})
		})
	}
}

// TestAnswersRoundTrip shows the same of answers.
func TestAnswersRoundTrip(t *testing.T) {
	for _, tc := range []struct {
		name    string
		codec   format.Chat
		pattern string
	}{
		{"chat", chatFormat, "openai/testdata/*/upstream_response.json"},
		{"responses", responsesFormat, "openai/testdata/*/responses_answer.json"},
		{"messages", messagesFormat, "anthropic/testdata/*/upstream_response.json"},
		{"gemini", geminiFormat, "gemini/testdata/*/upstream_response.json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachDocument(t, tc.pattern, func(t *testing.T, doc string) {
				response, err := tc.codec.DecodeResponse(index(t, doc))
				if err != nil {
					t.Fatal(err)
				}
				before := factsOf(response)
				out, _ := tc.codec.EncodeResponse(nil, response, asked())
				again, err := tc.codec.DecodeResponse(index(t, string(out)))
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				compareFacts(t, before, factsOf(again), nil)
			})
		})
	}
}

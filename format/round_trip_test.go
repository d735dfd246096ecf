package format_test

import (
	"bytes"
	"encoding/json"
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
	case v.Type() == reflect.TypeFor[chat.Arguments]():
		f.addArguments(path, v.Interface().(chat.Arguments))
	case v.Kind() == reflect.Pointer && !v.IsNil():
		f.add(path, v.Elem())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f.add(path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		if text := string(v.Bytes()); text != "" && text != `""` {
			f[path] = sorted(v.Bytes())
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			f.add(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case !v.IsZero():
		f[path] = fmt.Sprint(v)
	}
}

// addArguments adds the arguments of a call, which two forms write alike.
func (f facts) addArguments(path string, a chat.Arguments) {
	text := string(a.Object)
	if a.Object == nil && a.Text != nil {
		text = a.Text.String()
	}
	if text == "" {
		text = "{}"
	}
	f[path] = sorted([]byte(text))
}

// sorted writes a JSON object or array without blanks and with its members in the
// order of their names; anything else stays as it is.
func sorted(raw []byte) string {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	if len(raw) == 0 || raw[0] != '{' && raw[0] != '[' || decoder.Decode(&v) != nil {
		return string(raw)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return string(raw)
	}
	return string(out)
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
		var texts []string
		for i := range r.System {
			texts = append(texts, r.System[i].Text.String())
		}
		r.System = []chat.Block{{Text: chat.Quote(strings.Join(texts, "\n\n"))}}
	}
	for i := range r.Tools {
		if t := &r.Tools[i]; t.Type == "" && (t.Schema == nil || sorted(t.Schema) == `{"type":"object"}`) {
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

// change is a fact that a round may change. doc is the folder of the document, path
// a pattern of paths; both empty fit all.
type change struct{ doc, path, why string }

// allows says that the change may befall a fact of a document.
func (c *change) allows(doc, path string) bool {
	return (c.doc == "" || c.doc == doc) && regexp.MustCompile(`^`+c.path+`$`).MatchString(path)
}

// compareFacts compares the facts before and after a round; all but the allowed
// ones must be the same. An allowed change that does not happen is noted in used.
func compareFacts(t *testing.T, before, after facts, allowed []change, used map[int]bool) {
	t.Helper()
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if before[path] == after[path] {
			continue
		}
		at := slices.IndexFunc(allowed, func(c change) bool { return c.allows(filepath.Base(t.Name()), path) })
		if at < 0 {
			t.Errorf("%s: %q became %q", path, before[path], after[path])
			continue
		}
		used[at] = true
	}
}

// needless fails the test for changes that are allowed but never happen.
func needless(t *testing.T, allowed []change, used map[int]bool) {
	t.Helper()
	for i, c := range allowed {
		if !used[i] {
			t.Errorf("%s %s never changes, though: %s", c.doc, c.path, c.why)
		}
	}
}

// roundTrips are the formats with their documents and what a round may change.
var roundTrips = []struct {
	name              string
	codec             format.Chat
	requests, answers string
	// request and answer are the changes of requests and answers.
	request, answer []change
}{
	{
		name: "chat", codec: chatFormat, requests: "openai/testdata/*/request.json", answers: "openai/testdata/*/upstream_response.json",
		request: []change{
			{"request_legacy", `\.LegacyFunctions|\.Turns\[2\]\.Blocks\[0\]\.Name`, "functions are sent as tools, whose results have no names"},
		},
		answer: []change{
			{"answer_vllm", `\.Stop\.(Reason|Sequence)`, "the format has no word for a stop sequence"},
			{"answer_openrouter", `\.Blocks\[[23]\]\..*`, "reasoning without a signature is text, of which reasoning_details say nothing"},
			{"answer_stop_with_tools", `\.Usage\.Known`, "clients want counts, so those that nobody knows are 0"},
		},
	},
	{
		name: "responses", codec: responsesFormat, requests: "openai/testdata/*/responses_request.json", answers: "openai/testdata/*/responses_answer.json",
		request: []change{
			{"responses_request_codex", `\.Tools\[1\]\.Namespace`, "a namespace becomes a part of the names of its functions"},
			{"responses_request_media", `.*\.Detail`, "the default is said"},
			{"responses_request_output", `\.MaxTokens`, "less than 16 is refused"},
			{"responses_request_output", `\.Tools\[[01]\]\.Strict`, "the default is said"},
		},
	},
	{
		name: "messages", codec: messagesFormat, requests: "anthropic/testdata/*/request.json", answers: "anthropic/testdata/*/upstream_response.json",
	},
	{
		name: "gemini", codec: geminiFormat, requests: "gemini/testdata/*/request.json", answers: "gemini/testdata/*/upstream_response.json",
		request: []change{
			{"request_agent", `\.Turns\[[45]\]\..*`, "a result without a call becomes a text"},
			{"request_carried", `\.Seed`, "a seed has 32 bits"},
		},
		answer: []change{
			{"answer_grounded", `.*\.End`, "a source of nothing in particular is one of the whole text"},
			{"answer_text", `\.Lost.*`, "there is one answer"},
			{"answer_text", `\.Usage\.AudioIn`, "sound is counted among the other tokens"},
		},
	},
}

// TestRequestsRoundTrip shows that decoding and encoding a request in its own
// format keeps what it means.
func TestRequestsRoundTrip(t *testing.T) {
	for _, tc := range roundTrips {
		t.Run(tc.name, func(t *testing.T) {
			used := map[int]bool{}
			eachDocument(t, tc.requests, func(t *testing.T, doc string) {
				request, err := tc.codec.DecodeRequest(index(t, doc))
				if err != nil {
					t.Fatal(err)
				}
				// A model that takes all of it, with the reasoning that was asked for.
				can := capability.Model{MidSystem: true, ResultParts: true, ThinkingLevel: request.Reasoning.Budget == nil}
				var b format.Body
				if _, err := tc.codec.EncodeRequest(&b, request, chat.Target{Model: request.Model, Can: can}); err != nil {
					t.Fatal(err)
				}
				again, err := tc.codec.DecodeRequest(index(t, string(b.Bytes())))
				if err != nil {
					t.Fatalf("%v: %s", err, b.Bytes())
				}
				sameMeaning(request, request.Format)
				sameMeaning(again, request.Format)
				compareFacts(t, factsOf(request), factsOf(again), tc.request, used)
			})
			needless(t, tc.request, used)
		})
	}
}

// TestAnswersRoundTrip shows the same of answers, whose model, time and, where the
// upstream gave none, id the gateway chooses. The upstream's own word for the end
// is not kept.
func TestAnswersRoundTrip(t *testing.T) {
	for _, tc := range roundTrips {
		t.Run(tc.name, func(t *testing.T) {
			used := map[int]bool{}
			eachDocument(t, tc.answers, func(t *testing.T, doc string) {
				response, err := tc.codec.DecodeResponse(index(t, doc))
				if err != nil {
					t.Fatal(err)
				}
				x := asked()
				x.Model, x.Created, x.RequestID = response.Model.String(), response.Created, response.ID.String()
				out, _ := tc.codec.EncodeResponse(nil, response, x)
				again, err := tc.codec.DecodeResponse(index(t, string(out)))
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				again.Stop.Native = response.Stop.Native
				if prefix := strings.TrimSuffix(again.ID.String(), response.ID.String()); len(prefix) < len(again.ID.String()) {
					again.ID = response.ID
				}
				compareFacts(t, factsOf(response), factsOf(again), tc.answer, used)
			})
			needless(t, tc.answer, used)
		})
	}
}

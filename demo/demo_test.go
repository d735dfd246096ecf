package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/demo"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/anthropic"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// formats are the formats under test, with the path and the spelling of tools,
// calls and results of each.
var formats = []struct {
	id      format.ID
	path    string
	tools   string
	results string // messages with a call and its result
}{
	{
		id:   format.OpenAIChat,
		path: "/v1/chat/completions",
		tools: `,"tools":[
			{"type":"function","function":{"name":"weather","parameters":` + weatherSchema + `}},
			{"type":"function","function":{"name":"clock","parameters":{"type":"object","properties":{}}}}]`,
		results: `{"role":"user","content":"How is the weather?"},
			{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"demo\"}"}}]},
			{"role":"tool","tool_call_id":"call_1","content":"sunny in demo"}`,
	},
	{
		id:   format.AnthropicMessages,
		path: "/v1/messages",
		tools: `,"tools":[
			{"name":"weather","input_schema":` + weatherSchema + `},
			{"name":"clock","input_schema":{"type":"object","properties":{}}}]`,
		results: `{"role":"user","content":"How is the weather?"},
			{"role":"assistant","content":[{"type":"tool_use","id":"call_1","name":"weather","input":{"city":"demo"}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":"sunny in demo"}]}`,
	},
}

const weatherSchema = `{"type":"object","properties":{
	"city":{"type":"string"},"unit":{"enum":["celsius","kelvin"]},"days":{"type":"integer","minimum":3},
	"note":{"type":"string"},"where":{"$ref":"#/$defs/place"},"tags":{"type":"array","items":{"type":"boolean"}},
	"maybe":{"anyOf":[{"type":"null"},{"type":"number"}]},"when":{"type":["null","string"],"format":"date"}},
	"required":["city","unit","days","where","tags","maybe","when"],
	"$defs":{"place":{"type":"object","properties":{"zip":{"type":"string","minLength":6}},"required":["zip"]}}}`

const weatherArguments = `{"city":"demo","unit":"celsius","days":3,"where":{"zip":"demo--"},"tags":[true],"maybe":1,"when":"2026-01-01"}`

// userSays is the messages of a request with one text.
func userSays(text string) string {
	quoted, _ := json.Marshal(text)
	return `{"role":"user","content":` + string(quoted) + `}`
}

// send makes a request and returns the answer.
func send(t *testing.T, ctx context.Context, d *demo.Transport, path, model, messages, rest string, stream bool) (*http.Response, error) {
	t.Helper()
	if !strings.Contains(rest, "max_tokens") {
		rest += `,"max_tokens":1000`
	}
	body := `{"model":"` + model + `","messages":[` + messages + `]` + rest
	if stream {
		body += `,"stream":true`
		if strings.HasSuffix(path, "/chat/completions") {
			body += `,"stream_options":{"include_usage":true}`
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://demo"+path, strings.NewReader(body+"}"))
	if err != nil {
		t.Fatal(err)
	}
	return d.RoundTrip(r)
}

// decode reads a whole answer, plain or streamed.
func decode(id format.ID, response *http.Response) (*chat.Response, error) {
	defer response.Body.Close()
	codec, _ := format.ChatOf(id)
	if response.Header.Get("Content-Type") == "text/event-stream" {
		return decodeStream(codec, response.Body)
	}
	document, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, codec.DecodeError(response.StatusCode, response.Header, document)
	}
	var index tape.Tape
	if err := index.Parse(document); err != nil {
		return nil, err
	}
	return codec.DecodeResponse(index.Root())
}

// decodeStream folds a stream into one answer.
func decodeStream(codec format.Chat, body io.Reader) (*chat.Response, error) {
	scanner := sse.NewScanner(body, 0)
	decoder := codec.NewStreamDecoder()
	var collector chat.Collector
	for {
		ev, err := scanner.Next()
		var events []chat.Event
		switch {
		case errors.Is(err, io.EOF):
			events, err = decoder.Finish(nil)
		case err == nil:
			events, err = decoder.Decode(nil, ev)
		}
		if err != nil {
			return nil, err
		}
		for i := range events {
			collector.Add(&events[i])
			if events[i].Kind == chat.EventEnd {
				return collector.Response()
			}
		}
	}
}

// eachWay runs a test for each format, plain and streaming.
func eachWay(t *testing.T, test func(t *testing.T, ask func(model, messages, rest string) (*chat.Response, error), id int)) {
	for i, f := range formats {
		for _, stream := range []bool{false, true} {
			name := string(f.id) + "/plain"
			if stream {
				name = string(f.id) + "/stream"
			}
			t.Run(name, func(t *testing.T) {
				var d demo.Transport
				test(t, func(model, messages, rest string) (*chat.Response, error) {
					response, err := send(t, t.Context(), &d, f.path, model, messages, rest, stream)
					if err != nil {
						return nil, err
					}
					return decode(f.id, response)
				}, i)
			})
		}
	}
}

// text is the text of an answer.
func text(r *chat.Response) string {
	var out strings.Builder
	for _, block := range r.Blocks {
		out.WriteString(block.Text.String())
	}
	return out.String()
}

func TestModels(t *testing.T) {
	eachWay(t, func(t *testing.T, ask func(model, messages, rest string) (*chat.Response, error), i int) {
		f := formats[i]
		for _, tc := range []struct {
			name, model, messages, rest string
			want                        string
			stop                        chat.StopReason
			in, out                     int64
		}{
			{"echo", "echo", userSays("Hello,  wörld \"x\"\n"), "", "Hello,  wörld \"x\"\n", chat.StopEnd, 3, 3},
			{"echo hears the last text", "echo", userSays("one") + `,{"role":"assistant","content":"two"},` + userSays("three"), "", "three", chat.StopEnd, 3, 1},
			{"echo of nothing", "echo", userSays(""), "", "The demo upstream heard no text.", chat.StopEnd, 0, 6},
			{"echo of a result", "echo", f.results, f.tools, "sunny in demo", chat.StopEnd, 7, 3},
			{"echo to the limit", "echo", userSays("a b c d"), `,"max_tokens":2`, "a b ", chat.StopMaxTokens, 4, 2},
			{"slow", "slow", userSays("zzz"), "", "zzz", chat.StopEnd, 1, 1},
			{"tools without tools", "tools", userSays("hi"), "", "This request has no tool to call.", chat.StopEnd, 1, 7},
			{"tools with a result", "tools", f.results, f.tools, "The tool answered: sunny in demo", chat.StopEnd, 7, 6},
		} {
			t.Run(tc.name, func(t *testing.T) {
				got, err := ask(tc.model, tc.messages, tc.rest)
				if err != nil {
					t.Fatal(err)
				}
				if text(got) != tc.want {
					t.Errorf("got text %q, want %q", text(got), tc.want)
				}
				if got.Stop.Reason != tc.stop {
					t.Errorf("got stop %v, want %v", got.Stop.Reason, tc.stop)
				}
				if !got.Usage.Known || got.Usage.Prompt() != tc.in || got.Usage.Output != tc.out {
					t.Errorf("got usage %+v, want %d in and %d out", got.Usage, tc.in, tc.out)
				}
				if !got.Model.Is(tc.model) || got.ID.Empty() {
					t.Errorf("got model %s and id %s", got.Model, got.ID)
				}
			})
		}
	})
}

func TestStory(t *testing.T) {
	eachWay(t, func(t *testing.T, ask func(model, messages, rest string) (*chat.Response, error), _ int) {
		got, err := ask("story", userSays("Tell me."), "")
		if err != nil {
			t.Fatal(err)
		}
		if n := len(strings.Fields(text(got))); n < 130 || n > 170 || got.Usage.Output != int64(n) {
			t.Errorf("got %d words and usage %+v", n, got.Usage)
		}
	})
}

func TestTools(t *testing.T) {
	eachWay(t, func(t *testing.T, ask func(model, messages, rest string) (*chat.Response, error), i int) {
		f := formats[i]
		for _, tc := range []struct {
			name, says string
			want       map[string]string
		}{
			{"one", "How is the weather?", map[string]string{"weather": weatherArguments}},
			{"parallel", "Ask both in parallel.", map[string]string{"weather": weatherArguments, "clock": "{}"}},
		} {
			t.Run(tc.name, func(t *testing.T) {
				got, err := ask("tools", userSays(tc.says), f.tools)
				if err != nil {
					t.Fatal(err)
				}
				if got.Stop.Reason != chat.StopToolUse {
					t.Errorf("got stop %v", got.Stop.Reason)
				}
				calls, ids := map[string]string{}, map[string]bool{}
				for _, block := range got.Blocks {
					arguments := string(block.Arguments.Object)
					if arguments == "" {
						arguments = block.Arguments.Text.String()
					}
					calls[block.Name.String()] = compact(t, arguments)
					ids[block.ID.String()] = true
				}
				if len(calls) != len(tc.want) || len(ids) != len(tc.want) {
					t.Fatalf("got calls %v with ids %v, want %v", calls, ids, tc.want)
				}
				for name, want := range tc.want {
					if calls[name] != want {
						t.Errorf("%s: got %s, want %s", name, calls[name], want)
					}
				}
			})
		}
	})
}

func compact(t *testing.T, document string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(document)); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return out.String()
}

func TestDeterministic(t *testing.T) {
	for _, f := range formats {
		for _, stream := range []bool{false, true} {
			var d demo.Transport
			var answers [2]string
			for i := range answers {
				response, err := send(t, t.Context(), &d, f.path, "tools", userSays("parallel"), f.tools, stream)
				if err != nil {
					t.Fatal(err)
				}
				answer, _ := io.ReadAll(response.Body)
				answers[i] = string(answer)
			}
			if answers[0] != answers[1] || answers[0] == "" {
				t.Errorf("%s: got %q and %q", f.id, answers[0], answers[1])
			}
		}
	}
}

func TestFlaky(t *testing.T) {
	eachWay(t, func(t *testing.T, ask func(model, messages, rest string) (*chat.Response, error), _ int) {
		for i, fails := range []bool{false, true, false, true} {
			_, err := ask("flaky", userSays("hi"), "")
			var e *chat.Error
			if fails != errors.As(err, &e) || fails && e.Kind != chat.ErrServer {
				t.Errorf("call %d: got %v", i+1, err)
			}
		}
	})
}

func TestErrors(t *testing.T) {
	for _, f := range formats {
		for _, tc := range []struct {
			name, method, model, body string
			status                    int
			kind                      chat.ErrorKind
			retryAfter                string
		}{
			{name: "rate limit", model: "error-429", status: 429, kind: chat.ErrRateLimit, retryAfter: "2"},
			{name: "failure", model: "error-500", status: 500, kind: chat.ErrServer},
			{name: "unknown model", model: "gpt-9", status: 404, kind: chat.ErrNotFound},
			{name: "not JSON", body: `{"model"`, status: 400, kind: chat.ErrInvalidRequest},
			{name: "not a request", body: `[]`, status: 400, kind: chat.ErrInvalidRequest},
			{name: "method", method: http.MethodGet, status: 405, kind: chat.ErrInvalidRequest},
		} {
			t.Run(string(f.id)+"/"+tc.name, func(t *testing.T) {
				body := tc.body
				if body == "" {
					body = `{"model":"` + tc.model + `","max_tokens":9,"messages":[` + userSays("hi") + `]}`
				}
				method := tc.method
				if method == "" {
					method = http.MethodPost
				}
				response, err := new(demo.Transport).RoundTrip(httptest.NewRequest(method, f.path, strings.NewReader(body)))
				if err != nil {
					t.Fatal(err)
				}
				document, _ := io.ReadAll(response.Body)
				if response.StatusCode != tc.status {
					t.Fatalf("got status %d, want %d: %s", response.StatusCode, tc.status, document)
				}
				if got := response.Header.Get("Retry-After"); got != tc.retryAfter {
					t.Errorf("got Retry-After %q, want %q", got, tc.retryAfter)
				}
				codec, _ := format.ChatOf(f.id)
				if e := codec.DecodeError(response.StatusCode, response.Header, document); tc.method == "" && e.Kind != tc.kind || e.Message == "" {
					t.Errorf("got %+v of %s", e, document)
				}
			})
		}
	}
}

func TestUnknownPath(t *testing.T) {
	response, err := new(demo.Transport).RoundTrip(httptest.NewRequest(http.MethodPost, "/v1/nothing", strings.NewReader("{}")))
	if err != nil {
		t.Fatal(err)
	}
	document, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusNotFound || !json.Valid(document) {
		t.Errorf("got %d %s", response.StatusCode, document)
	}
}

func TestListModels(t *testing.T) {
	for _, version := range []string{"", "2023-06-01"} {
		r := httptest.NewRequest(http.MethodGet, "/v1/models", nil)
		r.Header.Set("Anthropic-Version", version)
		response, err := new(demo.Transport).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		var list struct {
			Object  string
			HasMore *bool `json:"has_more"`
			Data    []struct{ ID string }
		}
		if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
			t.Fatal(err)
		}
		if len(list.Data) != 9 || list.Data[0].ID != "echo" || (version == "") != (list.Object == "list") || (version == "") != (list.HasMore == nil) {
			t.Errorf("version %q: got %+v", version, list)
		}
	}
}

func TestCut(t *testing.T) {
	for _, f := range formats {
		for _, rest := range []string{"", `,"max_tokens":1`} {
			response, err := send(t, t.Context(), new(demo.Transport), f.path, "error-cut", userSays("hi"), rest, true)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(response.Body)
			if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(string(got), "Once ") {
				t.Errorf("%s stream: got %q, %v", f.id, got, err)
			}
		}
		response, err := send(t, t.Context(), new(demo.Transport), f.path, "error-cut", userSays("hi"), "", false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(got) == 0 || response.ContentLength <= int64(len(got)) {
			t.Errorf("%s plain: got %d of %d bytes, %v", f.id, len(got), response.ContentLength, err)
		}
	}
}

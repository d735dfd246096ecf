package caddytest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// The cases of format/cases_test.go that the gateway decides, not a codec alone.

// startFormats runs a gateway in front of a provider that plays an upstream of
// each format. The models have the formats' names.
func startFormats(t *testing.T, steps ...provider.Step) (*gateway, *provider.Provider) {
	t.Helper()
	p := startProvider(t, steps...)
	var b strings.Builder
	for _, s := range speakers {
		fmt.Fprintf(&b, "upstream %s %s {\n formats %[1]s\n}\nmodel %[1]s {\n source %[1]s real\n}\n", s.id, p.URL())
	}
	return startGateway(t, b.String()), p
}

// TestCase10UsageNobodyAskedFor: the upstream is asked for usage, and a client
// that did not ask sees none of it.
func TestCase10UsageNobodyAskedFor(t *testing.T) {
	g, p := startFormats(t, provider.Say("Hello there."))
	const body = `{"model":%q,"stream":true,%s"messages":[{"role":"user","content":"Hi."}]}`
	for _, id := range []string{"openai_chat", "openai_responses", "anthropic_messages", "gemini"} {
		t.Run(id, func(t *testing.T) {
			g.t = t
			_, answer := g.post("/v1/chat/completions", fmt.Sprintf(body, id, ""))
			got, err := chatSpeaker{}.listen(answer)
			if err != nil || !got.ended || got.text != "Hello there." {
				t.Fatalf("%v: %s", err, answer)
			}
			if strings.Contains(answer, "usage") {
				t.Errorf("a client that did not ask sees usage: %s", answer)
			}
			if id == "openai_chat" && !gjson.GetBytes(last(t, p).Body, "stream_options.include_usage").Bool() {
				t.Errorf("the upstream was not asked for usage: %s", last(t, p).Body)
			}
			_, answer = g.post("/v1/chat/completions", fmt.Sprintf(body, id, `"stream_options":{"include_usage":true},`))
			if got, err := (chatSpeaker{}).listen(answer); err != nil || got.usage.Prompt != provider.InputTokens || got.usage.Output != provider.OutputTokens {
				t.Errorf("a client that asked sees %+v, %v: %s", got.usage, err, answer)
			}
		})
	}
	want := fmt.Sprintf(`"tokens_in":%d,"tokens_out":%d`, provider.InputTokens, provider.OutputTokens)
	eventually(t, "the counts in the access log", func() bool { return strings.Count(g.log.String(), want) == 8 })
}

// TestCase28SignedThinkingKeepsItsBytes: signed thinking and the order of keys in
// a tool's input reach the upstream as they were, and so does the answer.
func TestCase28SignedThinkingKeepsItsBytes(t *testing.T) {
	const content = `[{"type":"thinking","thinking":"a < b & c \u2028 \u003e","signature":"Ev\/Q=="},{"type":"tool_use","id":"toolu_1","name":"look","input":{ "z":1, "a":1.50,"n":[ ] }}]`
	const answer = `{ "id":"msg_1","type":"message","role":"assistant","model":"real","content":` + content + `,"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1} }`
	g, p := startFormats(t, provider.Status(http.StatusOK, answer))
	body := `{"max_tokens":2000, "messages":[{"role":"user","content":"Hi."},{"role":"assistant","content":` + content + `},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"ok"}]}],"model":%q}`
	resp, got := g.post("/v1/messages", fmt.Sprintf(body, "anthropic_messages"))
	if resp.StatusCode != http.StatusOK || got != answer {
		t.Errorf("the client got %d %s", resp.StatusCode, got)
	}
	if sent := string(last(t, p).Body); sent != fmt.Sprintf(body, "real") {
		t.Errorf("the upstream got %s", sent)
	}
}

// TestCase29LongNumbersKeepTheirDigits: seeds and ids above 2^53 arrive as they
// were, in every format.
func TestCase29LongNumbersKeepTheirDigits(t *testing.T) {
	g, p := startFormats(t, provider.Say("Hello."))
	const members = `"seed":9007199254740993,"metadata":{"id":12345678901234567890,"n":1.0}`
	for _, s := range speakers {
		t.Run(s.id, func(t *testing.T) {
			g.t = t
			talk := talk{model: s.id, turns: []turn{says("Hi.")}, extra: members}
			resp, answer := g.post(s.path(talk), s.say(talk))
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
			if sent := string(last(t, p).Body); !strings.HasSuffix(sent, ","+members+"}") {
				t.Errorf("the upstream got %s", sent)
			}
		})
	}
}

// TestCase33UpstreamDiesInTheStream: the client of each format sees an error, no
// mark of success, and nothing of another source.
func TestCase33UpstreamDiesInTheStream(t *testing.T) {
	dying := startProvider(t, provider.Say("some words and more").ResetAt(2))
	second := startProvider(t, provider.Say("from the second"))
	var b strings.Builder
	for _, s := range speakers {
		fmt.Fprintf(&b, "upstream %s %s {\n formats %[1]s\n}\nupstream second-%[1]s %[3]s {\n formats %[1]s\n}\nmodel %[1]s {\n source %[1]s real\n source second-%[1]s real priority 2\n}\n", s.id, dying.URL(), second.URL())
	}
	g := startGateway(t, b.String())
	for _, from := range speakers {
		for _, to := range speakers {
			t.Run(from.id+"/"+to.id, func(t *testing.T) {
				g.t = t
				talk := talk{model: to.id, stream: true, turns: []turn{says("Hi.")}}
				resp, answer := g.post(from.path(talk), from.say(talk))
				got, err := from.listen(answer)
				if err != nil {
					t.Fatalf("%v: %s", err, answer)
				}
				if resp.StatusCode != http.StatusOK || got.failure == "" || got.ended || !strings.HasPrefix(got.text, "some ") {
					t.Errorf("%d %+v: %s", resp.StatusCode, got, answer)
				}
			})
		}
	}
	if n := len(second.Requests()); n != 0 {
		t.Errorf("the second source was asked %d times", n)
	}
}

// TestCase34ErrorAsTheFirstEvent: a stream that begins with an error, and a
// document that is one, are failures with a real status: with another source the
// client sees nothing of them.
func TestCase34ErrorAsTheFirstEvent(t *testing.T) {
	for name, step := range map[string]provider.Step{
		"event":    provider.Say("never").Stream().ErrorAt(provider.Start),
		"document": provider.ErrorObject("server_error", "boom"),
	} {
		failing, second := startProvider(t, step), startProvider(t, provider.Say("from the second"))
		var b strings.Builder
		for _, s := range speakers {
			fmt.Fprintf(&b, "upstream %s %s {\n formats %[1]s\n}\nupstream second-%[1]s %[3]s {\n formats %[1]s\n}\n", s.id, failing.URL(), second.URL())
			fmt.Fprintf(&b, "model %s {\n source %[1]s real\n source second-%[1]s real priority 2\n}\nmodel alone-%[1]s {\n source %[1]s real\n}\n", s.id)
		}
		g := startGateway(t, b.String())
		for _, from := range speakers {
			for _, to := range speakers {
				t.Run(strings.Join([]string{name, from.id, to.id}, "/"), func(t *testing.T) {
					g.t = t
					talk := talk{model: to.id, stream: true, turns: []turn{says("Hi.")}}
					_, answer := g.post(from.path(talk), from.say(talk))
					if got, err := from.listen(answer); err != nil || !got.ended || got.text != "from the second" {
						t.Errorf("%v: %s", err, answer)
					}
					talk.model = "alone-" + to.id
					resp, answer := g.post(from.path(talk), from.say(talk))
					if _, err := from.refused(answer); err != nil || resp.StatusCode < 500 {
						t.Errorf("alone: %d, %v", resp.StatusCode, err)
					}
				})
			}
		}
	}
}

// TestCase40OddRequests: previous_response_id means nothing to other formats;
// Anthropic's newer SDKs send a bearer token; a query of theirs is ignored; 529
// is a status of Anthropic's only.
func TestCase40OddRequests(t *testing.T) {
	g, p := startFormats(t, provider.Say("Hello."))
	for _, s := range speakers {
		t.Run("previous_response_id/"+s.id, func(t *testing.T) {
			g.t = t
			before := len(p.Requests())
			resp, answer := g.post("/v1/responses", fmt.Sprintf(`{"model":%q,"input":"Hi.","previous_response_id":"resp_1"}`, s.id))
			if s.id == "openai_responses" {
				if resp.StatusCode != http.StatusOK || gjson.GetBytes(last(t, p).Body, "previous_response_id").String() != "resp_1" {
					t.Errorf("%d %s; the upstream got %s", resp.StatusCode, answer, last(t, p).Body)
				}
				return
			}
			if resp.StatusCode != http.StatusBadRequest || gjson.Get(answer, "error.param").String() != "previous_response_id" {
				t.Errorf("%d %s", resp.StatusCode, answer)
			}
			if n := len(p.Requests()); n != before {
				t.Errorf("the upstream was asked: %s", last(t, p).Body)
			}
		})
	}
	t.Run("bearer and beta", func(t *testing.T) {
		g.t = t
		resp, answer := g.post("/v1/messages?beta=true", `{"model":"openai_chat","max_tokens":9,"messages":[{"role":"user","content":"Hi."}]}`,
			"Authorization", "Bearer client", "Anthropic-Version", "2026-10-21")
		if resp.StatusCode != http.StatusOK || gjson.Get(answer, "content.0.text").String() != "Hello." {
			t.Errorf("%d %s", resp.StatusCode, answer)
		}
		if r := last(t, p); strings.Contains(r.Path, "beta") || strings.Contains(r.Header.Get("Authorization"), "client") {
			t.Errorf("the upstream got %s with %v", r.Path, r.Header)
		}
	})
	p.Script(provider.Status(529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`))
	for _, s := range speakers {
		t.Run("529/"+s.id, func(t *testing.T) {
			g.t = t
			want := http.StatusServiceUnavailable
			if s.id == "anthropic_messages" {
				want = 529
			}
			talk := talk{model: "anthropic_messages", turns: []turn{says("Hi.")}}
			resp, answer := g.post(s.path(talk), s.say(talk))
			if _, err := s.refused(answer); err != nil || resp.StatusCode != want {
				t.Errorf("%d, want %d, %v: %s", resp.StatusCode, want, err, answer)
			}
		})
	}
}

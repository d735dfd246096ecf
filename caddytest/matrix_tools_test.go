package caddytest

import (
	"net/http"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

var toolFeatures = []feature{
	{group: "Tools", title: "call", key: "call", run: runCall},
	{group: "Tools", title: "parallel calls", key: "parallel", run: runParallel},
	{group: "Tools", title: "results", key: "results", run: runResults},
	{group: "Tools", title: "failed result", key: "failed", run: runFailed},
	{group: "Tools", title: "image in a result", key: "result-image", absent: fromChat, run: runResultImage},
	{group: "Tools", title: "forced call", key: "forced", run: runForced},
}

var reasoningFeatures = []feature{
	{group: "Reasoning", title: "effort", key: "effort", run: runEffort},
	{group: "Reasoning", title: "reasoning", key: "thinking", run: runThinking},
	{group: "Reasoning", title: "sealed reasoning", key: "sealed", absent: unsealed, run: runSealed},
	{group: "Reasoning", title: "returned signature", key: "signature", absent: unsigned, run: runSignature},
}

var errorFeatures = []feature{
	{group: "Errors", title: "429", key: "throttled", run: runThrottled},
	{group: "Errors", title: "400", key: "invalid", run: runInvalid},
	{group: "Errors", title: "401 of the upstream", key: "credential", run: runCredential},
	{group: "Errors", title: "500", key: "broken", run: runBroken},
	{group: "Errors", title: "error before the content", key: "early", run: runEarly, backed: true},
	{group: "Errors", title: "error in the stream", key: "late", run: runLate, backed: true},
}

// weather is what an upstream calls.
var (
	weather = provider.Call("call_1", "weather", `{"city":"New Rome"}`)
	both    = weather.AndCall("call_2", "clock", `{"city":"Old Rome"}`)
)

func runCall(c *cell) {
	for _, stream := range []bool{false, true} {
		got := c.ask(talk{stream: stream, tools: []string{"weather"}, turns: []turn{says("How is it?")}}, weather)
		equal(c, "calls", callsOf(got), `call_1 weather {"city":"New Rome"}`)
		equal(c, "stop", got.stop, stopCalls)
		equal(c, "tools", strings.Join(c.seen().tools, " "), "weather")
	}
}

func runParallel(c *cell) {
	for _, stream := range []bool{false, true} {
		got := c.ask(talk{stream: stream, tools: []string{"weather", "clock"}, turns: []turn{says("How is it?")}}, both)
		equal(c, "calls", callsOf(got), `call_1 weather {"city":"New Rome"}; call_2 clock {"city":"Old Rome"}`)
		equal(c, "stop", got.stop, stopCalls)
	}
}

// callsOf writes the calls of an answer.
func callsOf(r reply) string {
	var out []string
	for _, p := range r.calls {
		out = append(out, p.id+" "+p.name+" "+p.arguments)
	}
	return strings.Join(out, "; ")
}

// toolTalk is a conversation with two calls and their results.
func toolTalk(first, second part) talk {
	first.kind, first.id, first.name = partResult, "call_1", "weather"
	second.kind, second.id, second.name = partResult, "call_2", "clock"
	return talk{tools: []string{"weather", "clock"}, turns: []turn{
		says("How is it?"),
		{assistant: true, parts: []part{
			{kind: partCall, id: "call_1", name: "weather", arguments: `{"city":"New Rome"}`},
			{kind: partCall, id: "call_2", name: "clock", arguments: `{"city":"Old Rome"}`},
		}},
		{parts: []part{first, second}},
	}}
}

// resultsSeen are the results as the upstream understands them, by their calls.
// Where a format has no ids, they are found by their names.
func (c *cell) resultsSeen() map[string]part {
	out := map[string]part{}
	names := map[string]string{"weather": "call_1", "clock": "call_2"}
	for _, turn := range c.seen().turns {
		for _, p := range turn.parts {
			if p.kind != partResult {
				continue
			}
			if p.id == "" {
				p.id = names[p.name]
			}
			out[p.id] = p
		}
	}
	return out
}

func runResults(c *cell) {
	got := c.ask(toolTalk(part{text: "sunny"}, part{text: "noon"}), provider.Say("Sunny at noon."))
	equal(c, "text", got.text, "Sunny at noon.")
	results := c.resultsSeen()
	equal(c, "results", len(results), 2)
	equal(c, "first result", results["call_1"].text, "sunny")
	equal(c, "second result", results["call_2"].text, "noon")
	calls := 0
	for _, turn := range c.seen().turns {
		for _, p := range turn.parts {
			if p.kind == partCall {
				calls++
			}
		}
	}
	equal(c, "calls", calls, 2)
}

// runFailed: only Messages and Gemini can say that a tool failed, and only
// Messages is believed.
func runFailed(c *cell) {
	c.ask(toolTalk(part{text: "no such place", failed: true}, part{text: "noon"}), provider.Say("Sorry."))
	first := c.resultsSeen()["call_1"]
	if !strings.Contains(first.text, "no such place") {
		c.t.Errorf("the result is %q: %s", first.text, c.body())
	}
	if c.client().id == messagesID {
		equal(c, "failed", first.failed, true)
	}
}

// fromChat: the tool messages of Chat hold text only.
func fromChat(c *cell) bool { return c.is(chatID, "") }

func runResultImage(c *cell) {
	c.ask(toolTalk(part{text: "a picture", image: picture}, part{text: "noon"}), provider.Say("Nice."))
	results := c.resultsSeen()
	equal(c, "text", results["call_1"].text, "a picture")
	equal(c, "second result", results["call_2"].text, "noon")
	found := results["call_1"].image
	for _, turn := range c.seen().turns {
		for _, p := range turn.parts {
			if p.kind == partImage {
				found += p.data
			}
		}
	}
	equal(c, "image", found, picture)
}

func runForced(c *cell) {
	c.ask(talk{tools: []string{"weather", "clock"}, force: "clock", turns: []turn{says("How is it?")}}, provider.Call("call_2", "clock", `{}`))
	equal(c, "forced tool", c.seen().force, "clock")
}

func runEffort(c *cell) {
	c.ask(talk{effort: "high", turns: []turn{says("Think.")}}, provider.Say("I did."))
	if got := c.seen().effort; got != "high" && !strings.HasPrefix(got, "a budget of ") {
		c.t.Errorf("the effort is %q: %s", got, c.body())
	}
}

func runThinking(c *cell) {
	for _, stream := range []bool{false, true} {
		got := c.ask(talk{stream: stream, effort: "high", turns: []turn{says("Think.")}}, provider.Think("Let me see.", "").AndSay("Yes."))
		equal(c, "reasoning", got.thinking, "Let me see.")
		equal(c, "text", got.text, "Yes.")
	}
}

// unsealed: Gemini has no reasoning that nobody can read.
func unsealed(c *cell) bool { return c.is("", geminiID) }

func runSealed(c *cell) {
	for _, stream := range []bool{false, true} {
		got := c.ask(talk{stream: stream, turns: []turn{says("Think.")}}, provider.Redacted("c2VhbGVk").AndSay("Yes."))
		equal(c, "text", got.text, "Yes.")
		equal(c, "visible reasoning", got.thinking, "")
	}
}

// unsigned: Chat itself has no signatures, so that nothing comes back to such an
// upstream from another format.
func unsigned(c *cell) bool { return c.is("", chatID) && !c.same() }

func runSignature(c *cell) {
	const signature = "c2lnbmVkIGJ5IG1l"
	t := talk{effort: "high", tools: []string{"weather"}, turns: []turn{says("How is it?")}}
	got := c.ask(t, provider.Think("Let me see.", signature).AndCall("call_1", "weather", `{"city":"New Rome"}`))
	equal(c, "calls", callsOf(got), `call_1 weather {"city":"New Rome"}`)
	t.turns = append(t.turns, got.history, turn{parts: []part{{kind: partResult, id: "call_1", name: "weather", text: "sunny"}}})
	c.ask(t, provider.Say("Sunny."))
	for _, turn := range c.seen().turns {
		for _, p := range turn.parts {
			if p.signature == signature {
				return
			}
		}
	}
	c.t.Errorf("the signature has not come back: %s\nthe client has %s", c.body(), got.history.raw)
}

// errorKinds are the words for errors, in the order of the speakers.
var errorKinds = map[int][4]string{
	429: {"rate_limit_error", "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"},
	400: {"invalid_request_error", "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"},
	500: {"server_error", "server_error", "api_error", "INTERNAL"},
	502: {"server_error", "server_error", "api_error", "UNAVAILABLE"},
}

func runThrottled(c *cell) {
	resp := c.isError(provider.Fail(http.StatusTooManyRequests, "slow down").Header("Retry-After", "7"), http.StatusTooManyRequests, "")
	equal(c, "Retry-After", resp.Header.Get("Retry-After"), "7")
}

func runInvalid(c *cell) {
	c.isError(provider.Fail(http.StatusBadRequest, "the field foo is wrong"), http.StatusBadRequest, "the field foo is wrong")
}

func runCredential(c *cell) {
	c.isError(provider.Fail(http.StatusUnauthorized, "wrong key"), http.StatusBadGateway, "")
}

func runBroken(c *cell) {
	c.isError(provider.Fail(http.StatusInternalServerError, "boom"), http.StatusInternalServerError, "")
}

// isError checks the error that a client gets, streamed or not. The vendor's own
// word for an invalid request is kept within its family.
func (c *cell) isError(step provider.Step, status int, says string) *http.Response {
	c.t.Helper()
	var last *http.Response
	for _, stream := range []bool{false, true} {
		resp, body := c.send(talk{stream: stream, turns: []turn{{parts: []part{{kind: partText, text: "Hi."}}}}}, step)
		equal(c, "status", resp.StatusCode, status)
		equal(c, "content type", resp.Header.Get("Content-Type"), "application/json")
		got, err := c.client().refused(body)
		if err != nil {
			c.t.Fatal(err)
		}
		if want := errorKinds[status][c.from]; got.kind != want && got.kind != "scripted_error" {
			c.t.Errorf("the error is %s, want %s: %s", got.kind, want, body)
		}
		if !strings.Contains(got.message, says) || strings.Contains(got.message, "wrong key") {
			c.t.Errorf("the message is %q, want %q in it", got.message, says)
		}
		last = resp
	}
	return last
}

func runEarly(c *cell) {
	got := c.ask(talk{stream: true, turns: []turn{says("Hi.")}}, provider.Say("never").ErrorAt(provider.Preamble))
	equal(c, "text", got.text, "from the second")
	got = c.ask(talk{stream: true, turns: []turn{says("Hi.")}}, provider.Say("never").ErrorAt(provider.Start))
	equal(c, "text", got.text, "from the second")
}

func runLate(c *cell) {
	step := provider.Say("some words and more")
	for name, broken := range map[string]provider.Step{"error event": step.ErrorAt(2), "cut": step.CutAt(2), "clean end": step.EndAt(2)} {
		resp, body := c.send(talk{stream: true, turns: []turn{says("Hi.")}}, broken)
		equal(c, "status", resp.StatusCode, http.StatusOK)
		got, err := c.client().listen(body)
		if err != nil {
			c.t.Fatalf("%s: %v\n%s", name, err, body)
		}
		if got.failure == "" || got.ended || !strings.HasPrefix(got.text, "some") {
			c.t.Errorf("%s: the client takes it for a success: %+v\n%s", name, got, body)
		}
		if strings.Contains(got.text, "second") {
			c.t.Errorf("%s: the stream goes on at another source: %s", name, body)
		}
	}
}

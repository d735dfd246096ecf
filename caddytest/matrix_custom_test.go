package caddytest

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// customFeatures are tools that are no plain functions.
var customFeatures = []feature{
	{group: "Tools", title: "tool that takes free text", key: "custom", absent: functionsOnly, run: runCustom},
	{group: "Tools", title: "functions in a namespace", key: "namespace", absent: spaceless, run: runNamespace},
	{group: "Tools", title: "web search", key: "search", run: runSearch, options: " native_tools web_search\n"},
	{group: "Tools", title: "web search that is not enabled", key: "search-off", run: runSearchOff},
}

// functionsOnly: only OpenAI's formats know tools that take free text.
func functionsOnly(c *cell) bool { return c.is(messagesID+" "+geminiID, "") }

// spaceless: only Responses has namespaces.
func spaceless(c *cell) bool { return c.client().id != responsesID }

// patch is what a tool that takes free text is called with.
const patch = "*** Begin \"a\"\n+ b"

// runCustom: elsewhere it is a function with one argument. So it is for upstreams of
// Chat that are asked for clients of Responses: few of them know such tools.
func runCustom(c *cell) {
	t := talk{custom: []string{"apply_patch"}, turns: []turn{says("Change it.")}}
	native := c.same() || c.is(chatID, responsesID)
	step := provider.Custom("call_1", "apply_patch", patch)
	if !native {
		arguments, err := json.Marshal(map[string]string{"input": patch})
		if err != nil {
			c.t.Fatal(err)
		}
		step = provider.Call("call_1", "apply_patch", string(arguments))
	}
	for _, stream := range []bool{false, true} {
		t.stream = stream
		got := c.ask(t, step)
		equal(c, "stop", got.stop, stopCalls)
		equal(c, "calls", len(got.calls), 1)
		equal(c, "call", got.calls[0], part{kind: partCall, custom: true, id: "call_1", name: "apply_patch", arguments: patch})
		if stream {
			continue // a stream has no history to be sent back
		}
		back := t
		back.turns = append(back.turns, got.history, turn{parts: []part{{kind: partResult, id: "call_1", name: "apply_patch", custom: true, text: "done"}}})
		c.ask(back, provider.Say("Good."))
	}
	seen := c.seen()
	equal(c, "custom tools", strings.Join(seen.custom, " ") == "apply_patch", native)
	equal(c, "functions", strings.Join(seen.tools, " ") == "apply_patch", !native)
	c.mu.Lock()
	second := c.requests[1]
	c.mu.Unlock()
	for _, turn := range c.upstream().understand(second.Body).turns {
		for _, p := range turn.parts {
			if p.kind == partCall && gjson.Get(p.arguments, "input").String() != patch && p.arguments != patch {
				c.t.Errorf("the call goes back with %q: %s", p.arguments, second.Body)
			}
		}
	}
	equal(c, "result", c.resultIn(second).text, "done")
}

// resultIn is the only result in a request.
func (c *cell) resultIn(r *provider.Request) (found part) {
	c.t.Helper()
	n := 0
	for _, turn := range c.upstream().understand(r.Body).turns {
		for _, p := range turn.parts {
			if p.kind == partResult {
				found, n = p, n+1
			}
		}
	}
	equal(c, "results", n, 1)
	return found
}

// runNamespace: elsewhere the namespace is a part of the name.
func runNamespace(c *cell) {
	t := talk{spaced: []string{"read"}, turns: []turn{says("Read it.")}}
	for _, stream := range []bool{false, true} {
		t.stream = stream
		got := c.ask(t, provider.Call("call_1", "notes__read", `{"city":"Rome"}`))
		equal(c, "calls", len(got.calls), 1)
		if c.same() {
			equal(c, "namespaces", strings.Join(c.seen().spaced, " "), "read")
			continue
		}
		equal(c, "call", got.calls[0], part{kind: partCall, id: "call_1", name: "read", namespace: "notes", arguments: `{"city":"Rome"}`})
		equal(c, "functions", strings.Join(c.seen().tools, " "), "notes__read")
	}
}

// runSearch: the server's own search becomes that of the other server, and the
// pages that the text comes from reach the client.
func runSearch(c *cell) {
	step := provider.Say("Rome is old.").Citing("https://example.com/rome", "Rome")
	for _, stream := range []bool{false, true} {
		got := c.ask(talk{search: true, stream: stream, turns: []turn{says("How old is Rome?")}}, step)
		equal(c, "text", got.text, "Rome is old.")
		equal(c, "sources", strings.Join(got.sources, "; "), "https://example.com/rome Rome")
		equal(c, "search", c.seen().search, true)
	}
}

// runSearchOff: without the operator's word nobody searches at another vendor.
func runSearchOff(c *cell) {
	got := c.ask(talk{search: true, turns: []turn{says("How old is Rome?")}}, provider.Say("Old."))
	equal(c, "text", got.text, "Old.")
	equal(c, "search", c.seen().search, c.same())
	if !c.same() {
		isTold(c)
	}
}

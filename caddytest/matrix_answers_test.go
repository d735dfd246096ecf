package caddytest

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// furtherAnswers are what only some formats have in their answers.
var furtherAnswers = []feature{
	{group: "Answers", title: "probabilities of tokens", key: "logprobs", absent: unweighed, run: runLogprobs},
	{group: "Answers", title: "stream as a JSON array", key: "array", absent: notGemini, run: runArray},
	{group: "Answers", title: "cache marks", key: "cache", absent: fromGemini, run: runCache, options: " capability cache_marks true\n"},
	{group: "Answers", title: "cache marks for a model without", key: "cache-off", absent: fromGemini, run: runCacheOff},
}

// unweighed: Messages has no probabilities.
func unweighed(c *cell) bool { return c.is(messagesID, "") }

// notGemini: only Gemini has streams that are one JSON document.
func notGemini(c *cell) bool { return c.client().id != geminiID }

// weighing is how clients ask for probabilities.
var weighing = [4]string{
	`{"logprobs":true,"top_logprobs":2}`,
	`{"top_logprobs":2,"include":["reasoning.encrypted_content","message.output_text.logprobs"]}`,
	``,
	`{"generationConfig":{"responseLogprobs":true,"logprobs":2}}`,
}

func runLogprobs(c *cell) {
	for _, stream := range []bool{false, true} {
		got := c.ask(talk{stream: stream, members: weighing[c.from], turns: []turn{says("Hi.")}}, provider.Say("Hello there.").Weighing())
		equal(c, "text", got.text, "Hello there.")
		want := "Hello-0.5 there.-0.5"
		if c.is("", messagesID) {
			want = ""
			isTold(c)
		}
		equal(c, "probabilities", strings.Join(got.weights, " "), want)
	}
}

func runArray(c *cell) {
	c.mu.Lock()
	c.steps = []provider.Step{provider.Say("Hello there.")}
	c.mu.Unlock()
	resp, body := c.post("/v1beta/models/"+c.name+":streamGenerateContent", c.client().say(talk{turns: []turn{says("Hi.")}}))
	equal(c, "status", resp.StatusCode, http.StatusOK)
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		c.t.Fatalf("%v: %s", err, body)
	}
	var got reply
	for _, element := range all {
		if err := got.takeGemini(gjson.ParseBytes(element)); err != nil {
			c.t.Fatal(err)
		}
	}
	equal(c, "text", got.text, "Hello there.")
	equal(c, "stop", got.stop, stopEnd)
}

// marks are what cache marks of a format look like.
var marks = map[string]string{
	chatID: `"prompt_cache_breakpoint":{"mode":"explicit"}`, responsesID: `"prompt_cache_breakpoint":{"mode":"explicit"}`,
	messagesID: `"cache_control":{"type":"ephemeral"}`, geminiID: "nothing",
}

// markedTalk has a mark behind the system prompt, where the format has a place for
// it, and one behind the last turn.
var markedTalk = talk{marked: true, system: "Be brief.", turns: []turn{says("One."), answers("Two."), says("Three.")}}

// runCache: what was written to the cache is counted, too.
func runCache(c *cell) {
	got := c.ask(markedTalk, provider.Say("Four.").Counting(counts))
	want := 2
	switch {
	case c.is("", geminiID):
		want = 0
		isTold(c)
	case c.is(responsesID, ""):
		want = 1 // its instructions have no place for marks
	}
	equal(c, "marks", strings.Count(c.body(), marks[c.upstream().id]), want)
	c.isCounted(got)
}

// runCacheOff: models of OpenAI that know no marks get none.
func runCacheOff(c *cell) {
	c.ask(markedTalk, provider.Say("Four."))
	if !c.same() && c.is("", chatID+" "+responsesID) {
		equal(c, "marks", strings.Count(c.body(), marks[c.upstream().id]), 0)
		isTold(c)
	}
}

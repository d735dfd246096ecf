package caddytest

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// sound is a piece of it, as base64.
const sound = "UklGRiQAAABXQVZFZm10IBAAAAABAAEA"

// historyFeatures are what conversations may hold beside texts.
var historyFeatures = []feature{
	{group: "Content", title: "sound", key: "sound", absent: soundless, run: runSound},
	{group: "Content", title: "system message in the middle", key: "mid-system", absent: fromGemini, run: runMidSystem, unchecked: (*cell).same},
	{group: "Content", title: "begun answer", key: "prefill", run: runPrefill},
}

// orphanFeatures are conversations of which a part is missing.
var orphanFeatures = []feature{
	{group: "Tools", title: "call without a result", key: "orphan-call", run: runOrphanCall, unchecked: (*cell).same},
	{group: "Tools", title: "result without a call", key: "orphan-result", run: runOrphanResult, unchecked: keepsResults},
}

// soundless: Responses and Messages take no sound.
func soundless(c *cell) bool { return c.is(responsesID+" "+messagesID, "") }

// fromGemini: Gemini has one system prompt.
func fromGemini(c *cell) bool { return c.is(geminiID, "") }

func runSound(c *cell) {
	t := talk{turns: []turn{{parts: []part{{kind: partText, text: "Listen."}, {kind: partAudio, mime: "audio/wav", data: sound}}}}}
	if c.is("", responsesID+" "+messagesID) {
		c.isUnsayable(t, "audio")
		return
	}
	c.ask(t, provider.Say("Loud."))
	equal(c, "parts", lines(c.seen()), "user text Listen.\nuser audio audio/wav "+sound)
}

// runMidSystem: where the format has no place in the middle, the text stands in
// the next turn of the user.
func runMidSystem(c *cell) {
	c.ask(talk{system: "Be brief.", turns: []turn{
		says("One."), answers("Two."),
		{system: true, parts: []part{{kind: partText, text: "Be kind."}}},
		says("Three."),
	}}, provider.Say("Four."))
	equal(c, "system prompt", c.seen().system, "Be brief.")
	if c.same() {
		return // the bytes are those of the client
	}
	got := c.seen().turns
	if c.is("", chatID+" "+responsesID) {
		equal(c, "turns", len(got), 4)
		equal(c, "system", got[2].system, true)
		equal(c, "text", got[2].parts[0].text, "Be kind.")
		return
	}
	equal(c, "turns", len(got), 3)
	equal(c, "assistant", got[2].assistant, false)
	text := ""
	for _, p := range got[2].parts {
		text += p.text
	}
	if !strings.Contains(text, "<system>Be kind.</system>") || !strings.HasSuffix(text, "Three.") {
		c.t.Errorf("the last turn is %q: %s", text, c.body())
	}
}

func runPrefill(c *cell) {
	got := c.ask(talk{turns: []turn{says("Count."), answers("One, two,")}}, provider.Say(" three."))
	equal(c, "text", got.text, " three.")
	equal(c, "conversation", lines(c.seen()), "user text Count.\nassistant text One, two,")
}

// runOrphanCall: every vendor refuses a call that has no result, so it gets one.
func runOrphanCall(c *cell) {
	c.ask(talk{tools: []string{"weather"}, turns: []turn{
		says("How is it?"),
		{assistant: true, parts: []part{{kind: partCall, id: "call_1", name: "weather", arguments: `{"city":"Rome"}`}}},
		says("Never mind."),
	}}, provider.Say("Good."))
	if c.same() {
		return
	}
	result := c.resultsSeen()["call_1"]
	if !strings.Contains(result.text, "no result") {
		c.t.Errorf("the result is %+v: %s", result, c.body())
	}
	isTold(c)
}

// keepsResults: an upstream of Responses may know the call of a result that stands
// alone.
func keepsResults(c *cell) bool { return c.same() || c.is("", responsesID) }

// runOrphanResult: a result that belongs to no call is a text, except where the
// upstream may know the call.
func runOrphanResult(c *cell) {
	c.ask(talk{tools: []string{"weather"}, turns: []turn{
		says("How is it?"), answers("Wait."),
		{parts: []part{{kind: partResult, id: "call_9", name: "weather", text: "sunny"}, {kind: partText, text: "So?"}}},
	}}, provider.Say("Good."))
	if keepsResults(c) {
		equal(c, "results", len(c.resultsSeen()), 1)
		return
	}
	if got := lines(c.seen()); !strings.Contains(got, "user text [result of tool call_9] sunny") {
		c.t.Errorf("the conversation is %s", got)
	}
	isTold(c)
}

// isTold checks that the client is told of a loss.
func isTold(c *cell) {
	c.t.Helper()
	if len(c.losses) == 0 {
		c.t.Errorf("the client is told of no loss: %s", c.body())
	}
}

package caddytest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// feature is something that clients and upstreams do.
type feature struct {
	group, title, key string
	// absent says that a cell makes no sense: one of its formats cannot do it.
	absent func(*cell) bool
	run    func(*cell)
	// options are more options of the model, each on a line of its own.
	options string
	// backed features have a second source.
	backed bool
	// unchecked says that a cell sends what the vendor would refuse.
	unchecked func(*cell) bool
}

// The ids of the formats, for feature.absent.
const (
	chatID      = "openai_chat"
	responsesID = "openai_responses"
	messagesID  = "anthropic_messages"
	geminiID    = "gemini"
)

// A picture and a document, as base64.
const (
	picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
	report  = "JVBERi0xLjQKJeLjz9MKMSAwIG9iago8PC9UeXBlL0NhdGFsb2c+PgplbmRvYmoK"
)

var features = slices.Concat(contentFeatures, historyFeatures, toolFeatures, orphanFeatures, settingFeatures(toolSettings), customFeatures,
	reasoningFeatures, answerFeatures, answerSettings(), furtherAnswers, settingFeatures(requestSettings), errorFeatures, otherFeatures)

var contentFeatures = []feature{
	{group: "Content", title: "text", key: "text", run: runText},
	{group: "Content", title: "stream", key: "stream", run: runStream},
	{group: "Content", title: "system prompt", key: "system", run: runSystem},
	{group: "Content", title: "conversation", key: "turns", run: runTurns},
	{group: "Content", title: "image", key: "image", run: runImage},
	{group: "Content", title: "image by its address", key: "image-url", run: runImageURL},
	{group: "Content", title: "document", key: "document", run: runDocument},
}

var answerFeatures = []feature{
	{group: "Answers", title: "structured output", key: "schema", run: runSchema},
	{group: "Answers", title: "limit of tokens", key: "limit", run: runLimit},
	{group: "Answers", title: "filtered answer", key: "filtered", run: runFiltered},
	{group: "Answers", title: "refusal", key: "refusal", run: runRefusal},
	{group: "Answers", title: "usage with cache counts", key: "usage", run: runUsage},
	{group: "Answers", title: "usage of a stream", key: "usage-stream", run: runUsageStream},
}

var otherFeatures = []feature{
	{group: "Other", title: "unknown fields", key: "unknown", run: runUnknown, unchecked: (*cell).same},
	{group: "Other", title: "state kept by the upstream", key: "state", absent: stateless, run: runState},
	{group: "Other", title: "list of models", key: "models", run: runModels},
}

func runText(c *cell) {
	got := c.ask(talk{turns: []turn{says("Hi.")}}, provider.Say("Hello there."))
	equal(c, "text", got.text, "Hello there.")
	equal(c, "stop", got.stop, stopEnd)
	equal(c, "the upstream's text", lines(c.seen()), "user text Hi.")
}

func runStream(c *cell) {
	got := c.ask(talk{stream: true, turns: []turn{says("Hi.")}}, provider.Say("Hello <there> & \u2028 everywhere."))
	equal(c, "text", got.text, "Hello <there> & \u2028 everywhere.")
	equal(c, "stop", got.stop, stopEnd)
}

func runSystem(c *cell) {
	c.ask(talk{system: "Be brief.", turns: []turn{says("Hi.")}}, provider.Say("Hello."))
	equal(c, "system prompt", c.seen().system, "Be brief.")
	equal(c, "conversation", lines(c.seen()), "user text Hi.")
}

func runTurns(c *cell) {
	c.ask(talk{turns: []turn{says("One."), answers("Two."), says("Three.")}}, provider.Say("Four."))
	equal(c, "conversation", lines(c.seen()), "user text One.\nassistant text Two.\nuser text Three.")
}

// lines writes a conversation as a line for each part.
func lines(t talk) string {
	var out []string
	for _, turn := range t.turns {
		who := "user"
		if turn.assistant {
			who = "assistant"
		}
		for _, p := range turn.parts {
			words := []string{who, string(p.kind), p.id, p.name, p.arguments, p.text, p.mime, p.data}
			out = append(out, strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " "))
		}
	}
	return strings.Join(out, "\n")
}

func runImage(c *cell) {
	c.ask(talk{turns: []turn{{parts: []part{{kind: partText, text: "Look."}, {kind: partImage, mime: "image/png", data: picture}}}}}, provider.Say("Nice."))
	equal(c, "parts", lines(c.seen()), "user text Look.\nuser image image/png "+picture)
}

// runImageURL: Gemini fetches nothing from ordinary addresses, and the gateway does
// not either.
func runImageURL(c *cell) {
	const address = "https://example.com/picture.png"
	t := talk{turns: []turn{{parts: []part{{kind: partText, text: "Look."}, {kind: partImage, mime: "image/png", url: address}}}}}
	if c.upstream().id == geminiID && !c.same() {
		c.isUnsayable(t, "base64")
		return
	}
	c.ask(t, provider.Say("Nice."))
	if !strings.Contains(c.body(), `"`+address+`"`) {
		c.t.Errorf("the address is missing: %s", c.body())
	}
}

// isUnsayable checks that a request is refused, since the upstream's format has no
// words for it, and that the error says what is meant.
func (c *cell) isUnsayable(t talk, says string) {
	c.t.Helper()
	resp, body := c.send(t, provider.Say("never"))
	equal(c, "status", resp.StatusCode, http.StatusBadRequest)
	equal(c, "the upstream's request", c.body(), "nothing")
	got, err := c.client().refused(body)
	if err != nil {
		c.t.Fatal(err)
	}
	equal(c, "error", got.kind, errorKinds[http.StatusBadRequest][c.from])
	if !strings.Contains(got.message, says) {
		c.t.Errorf("the message does not speak of %s: %s", says, got.message)
	}
	c.state = stateRefused
}

func runDocument(c *cell) {
	c.ask(talk{turns: []turn{{parts: []part{{kind: partText, text: "Read."}, {kind: partDocument, mime: "application/pdf", data: report}}}}}, provider.Say("Dull."))
	equal(c, "parts", lines(c.seen()), "user text Read.\nuser document application/pdf "+report)
}

func runSchema(c *cell) {
	const schema = `{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}`
	got := c.ask(talk{schema: schema, turns: []turn{says("Where?")}}, provider.Say(`{"city":"Rome"}`))
	equal(c, "text", got.text, `{"city":"Rome"}`)
	equal(c, "schema", c.seen().schema, schema)
}

func runLimit(c *cell) {
	got := c.ask(talk{limit: 50, turns: []turn{says("Talk.")}}, provider.Say("Once upon").Stopping(provider.StopMaxTokens))
	equal(c, "stop", got.stop, stopLimit)
	equal(c, "text", got.text, "Once upon")
	equal(c, "limit", c.seen().limit, 50)
	got = c.ask(talk{limit: 50, stream: true, turns: []turn{says("Talk.")}}, provider.Say("Once upon").Stopping(provider.StopMaxTokens))
	equal(c, "stop of the stream", got.stop, stopLimit)
}

func runFiltered(c *cell) {
	step := provider.Say("Well, ").Stopping(provider.StopFiltered)
	for _, stream := range []bool{false, true} {
		got := c.ask(talk{stream: stream, turns: []turn{says("Tell me.")}}, step)
		c.isRefused(got, "Well, ")
	}
}

func runRefusal(c *cell) {
	for _, stream := range []bool{false, true} {
		got := c.ask(talk{stream: stream, turns: []turn{says("Tell me.")}}, provider.Refuse("I will not."))
		c.isRefused(got, "I will not.")
	}
}

// isRefused checks that a client can tell that an answer was held back: by its
// reason to stop, or by a refusal in place of the text.
func (c *cell) isRefused(got reply, text string) {
	c.t.Helper()
	equal(c, "text", got.text+got.refusal, text)
	if got.stop != stopFiltered && got.refusal == "" {
		c.t.Errorf("the client takes it for an ordinary answer: %+v", got)
	}
}

// counts are what an upstream reports.
var counts = provider.Usage{Prompt: 130, CacheRead: 100, CacheWrite: 20, Output: 32, Reasoning: 30}

func runUsage(c *cell) {
	c.isCounted(c.ask(talk{turns: []turn{says("Hi.")}}, provider.Say("Hello.").Counting(counts)))
}

func runUsageStream(c *cell) {
	c.isCounted(c.ask(talk{stream: true, turns: []turn{says("Hi.")}}, provider.Say("Hello.").Counting(counts)))
}

// isCounted checks the usage of an answer. Gemini knows no writes to a cache.
func (c *cell) isCounted(got reply) {
	c.t.Helper()
	want := counts
	if c.client().id == geminiID || c.upstream().id == geminiID {
		want.CacheWrite = 0
	}
	equal(c, "counted", got.counted, true)
	equal(c, "usage", got.usage, want)
}

func runUnknown(c *cell) {
	t := talk{turns: []turn{says("Hi.")}, extra: `"x_unknown": {"z":1,"a":[ ],"n":9007199254740993}`}
	c.ask(t, provider.Say("Hello."))
	if c.same() {
		t.model = c.name
		equal(c, "bytes", string(c.last().Body), c.client().say(t))
		return
	}
	if strings.Contains(c.body(), "x_unknown") {
		c.t.Errorf("the field was sent on: %s", c.body())
	}
	if !slices.Contains(c.losses, "unsupported:x_unknown") {
		c.t.Errorf("the field is not reported: %q", c.losses)
	}
}

// stateless: only Responses refers to earlier answers by their id.
func stateless(c *cell) bool { return c.client().id != responsesID }

func runState(c *cell) {
	t := talk{turns: []turn{says("And now?")}, extra: `"previous_response_id":"resp_1"`}
	if !c.same() {
		c.isUnsayable(t, "previous_response_id")
		return
	}
	c.ask(t, provider.Say("Now."))
	equal(c, "previous_response_id", gjson.Get(c.body(), "previous_response_id").String(), "resp_1")
}

func runModels(c *cell) {
	path, list, id := "/v1/models", "data", c.name
	switch c.client().id {
	case messagesID:
		path += "?limit=1000"
	case geminiID:
		path, list, id = "/v1beta/models?pageSize=1000", "models", "models/"+c.name
	}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.m.gateway.url+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	resp, body := c.do(req)
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%d %s", resp.StatusCode, body)
	}
	for _, model := range gjson.Get(body, list).Array() {
		if model.Get("id").String() == id || model.Get("name").String() == id {
			return
		}
	}
	c.t.Errorf("%s is not in the list: %.500s", id, body)
}

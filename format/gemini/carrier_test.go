package gemini

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/anthropic"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func TestSignaturesTravel(t *testing.T) {
	for _, maker := range []string{origin, "anthropic_messages", "openai_responses"} {
		for _, signature := range []string{"c2ln", "a+b/c==", "with \" and \\ and ü"} {
			sent := shownSignature(chat.Quote(signature), maker)
			if maker != origin {
				if _, err := base64.StdEncoding.DecodeString(string(sent.Inner())); err != nil {
					t.Errorf("%s is no standard base64: %v", sent, err)
				}
			}
			if gotMaker, got := readSignature(sent); gotMaker != maker || got.String() != signature {
				t.Errorf("%q of %s came back as %q of %s", signature, maker, got, gotMaker)
			}
		}
	}
	if got := shownSignature(nil, "anthropic_messages"); got != nil {
		t.Errorf("no signature is shown as %s", got)
	}
	if got := shownSignature(chat.Quote("x"), ""); got != nil {
		t.Errorf("a signature of nobody is shown as %s", got)
	}
}

// The signature of an empty thought comes back without its text.
func TestEmptyThought(t *testing.T) {
	sent := shownSignature(chat.Quote("sealed"), "openai_responses")
	r := decode(t, `{"contents":[{"parts":[{"text":"x"}]},{"role":"model","parts":[{"thought":true,"thoughtSignature":`+string(sent)+`},{"thoughtSignature":"c2ln"}]}]}`)
	blocks := r.Turns[1].Blocks
	if len(blocks) != 2 || blocks[0].Kind != chat.Thinking || blocks[0].Origin != "openai_responses" || !blocks[0].Signature.Is("sealed") {
		t.Fatalf("got %+v", blocks)
	}
	if blocks[1].Kind != chat.Text || blocks[1].Origin != origin || !blocks[1].Text.Is("") {
		t.Errorf("got %+v", blocks[1])
	}
	answer, err := GenerateContent{}.DecodeResponse(formattest.Parse(t, `{"candidates":[{"content":{"parts":[{"thought":true,"thoughtSignature":"c2ln"},{"text":""},{}]},"finishReason":"STOP"}]}`))
	if err != nil || len(answer.Blocks) != 1 || answer.Blocks[0].Kind != chat.Thinking {
		t.Errorf("got %+v, %v", answer, err)
	}
}

// What only looks like a carrier is a signature of Google's.
func TestOddCarriers(t *testing.T) {
	for _, sent := range []string{
		"", "YWlndzEu", carriedPrefix + "!!", carriedPrefix + "YQ==",
		base64.StdEncoding.EncodeToString([]byte("aigw1..x")), strings.ToLower(carriedPrefix),
	} {
		if maker, got := readSignature(chat.Quote(sent)); maker != origin || got.String() != sent {
			t.Errorf("%q is read as %s of %s", sent, got, maker)
		}
	}
}

// A thought of Claude's goes through a Gemini client and back to Claude as it was.
func TestThoughtOfClaudeComesBack(t *testing.T) {
	answer := &chat.Response{Blocks: []chat.Block{
		{Kind: chat.Thinking, Text: chat.Quote("hm"), Signature: chat.Quote("EqQB+/="), Origin: "anthropic_messages"},
		{Kind: chat.ToolUse, ID: chat.Quote("t1"), Name: chat.Quote("f"), Arguments: chat.Arguments{Object: chat.Raw(`{}`)}},
	}}
	body, report := GenerateContent{}.EncodeResponse(nil, answer, exchange())
	if len(report) > 0 {
		t.Errorf("lost %v", report)
	}
	parts := formattest.Parse(t, string(body)).Get("candidates")
	var content string
	for c := range parts.Elements {
		content = string(c.Get("content").Raw())
	}
	r := decode(t, `{"contents":[{"role":"user","parts":[{"text":"x"}]},`+content+`,{"role":"user","parts":[{"functionResponse":{"id":"t1","name":"f","response":{"output":"y"}}}]}],"tools":[{"functionDeclarations":[{"name":"f"}]}],"generationConfig":{"thinkingConfig":{"thinkingBudget":2048}}}`)
	var b format.Body
	if _, err := (anthropic.Messages{}).EncodeRequest(&b, r, chat.Target{Model: "claude-sonnet-4-5"}); err != nil {
		t.Fatal(err)
	}
	if got := string(b.Bytes()); !strings.Contains(got, `{"type":"thinking","thinking":"hm","signature":"EqQB+/="}`) {
		t.Errorf("Claude gets %s", got)
	}
	doc, report := encode(t, r, target("gemini-3-flash"))
	if strings.Contains(string(doc), "hm") || !strings.Contains(string(doc), placeholder) || !strings.Contains(formattest.Losses(report), "thinking unsupported") {
		t.Errorf("Gemini gets %s, lost %v", doc, report)
	}
}

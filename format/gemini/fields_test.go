package gemini

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
)

// TestUnknownFields shows that a client is told of unknown fields in its own
// spelling, and that they reach an upstream of its own format.
func TestUnknownFields(t *testing.T) {
	const doc = `{"contents":[{"parts":[{"text":"x"}],"c_d":1}],"x_unknown":{"a_b":1},"safety_settings":[],"labels":{},` +
		`"generation_config":{"top_p":1,"y_unknown":2,"thinking_config":{"z_unknown":3}},"tool_config":{"w_unknown":4},` +
		`"tools":[{"functionDeclarations":[{"name":"f","v_unknown":5}]}]}`
	r := decode(t, doc)
	var names []string
	for _, f := range r.Extra {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	want := "contents[].c_d generationConfig.thinkingConfig.z_unknown generationConfig.y_unknown labels safetySettings toolConfig.w_unknown tools[].v_unknown x_unknown"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	own, _ := encode(t, r, target("m"))
	for _, part := range []string{`"x_unknown":{"a_b":1}`, `"y_unknown":2`, `"w_unknown":4`, `"safetySettings":[]`, `"topP":1`} {
		if !strings.Contains(string(own), part) {
			t.Errorf("%s is missing in %s", part, own)
		}
	}
	var b format.Body
	report, err := openai.Chat{}.EncodeRequest(&b, r, chat.Target{Model: "m"})
	if err != nil || !strings.Contains(formattest.Losses(report), "\nx_unknown unsupported\n") {
		t.Errorf("%v: %s", err, formattest.Losses(report))
	}
}

// TestAutoIsNoDetail shows that the default detail of an image is no loss.
func TestAutoIsNoDetail(t *testing.T) {
	for detail, lost := range map[string]string{`"auto"`: "", `"high"`: "detail unsupported\n"} {
		image := chat.Block{Kind: chat.Image, Detail: chat.Literal(detail), Source: chat.Source{Kind: chat.SourceBase64, MediaType: "image/png", Data: []byte("aWNvbg==")}}
		_, report := encode(t, &chat.Request{Format: "openai_chat", Turns: []chat.Turn{{Blocks: []chat.Block{image}}}}, target("m"))
		if got := formattest.Losses(report); got != lost {
			t.Errorf("%s: lost %q, want %q", detail, got, lost)
		}
	}
}

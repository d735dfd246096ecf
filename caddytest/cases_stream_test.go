package caddytest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestLongEventPasses shows that an event of 5 MiB, such as one with a picture,
// passes from every format, as it is, and translated.
func TestLongEventPasses(t *testing.T) {
	long := strings.Repeat("x", 5<<20)
	g, _ := startFormats(t, provider.Say(long))
	for _, from := range speakers {
		for _, to := range speakers {
			if to.id != from.id && to.id != "gemini" {
				continue // one upstream is enough to show that translation has no limit
			}
			t.Run(from.id+"/"+to.id, func(t *testing.T) {
				g.t = t
				talk := talk{model: to.id, stream: true, turns: []turn{says("Hi.")}}
				_, answer := g.post(from.path(talk), from.say(talk))
				got, err := from.listen(answer)
				if err != nil {
					t.Fatalf("%v: %.300s", err, answer)
				}
				if !got.ended || got.text != long {
					t.Errorf("%d of %d bytes came, end mark: %v", len(got.text), len(long), got.ended)
				}
			})
		}
	}
}

// TestOneEndMark shows that a client gets exactly one end mark, whether the
// upstream sends its own or not.
func TestOneEndMark(t *testing.T) {
	marks := map[string]string{
		"openai_chat":        "data: [DONE]",
		"openai_responses":   "event: response.completed",
		"anthropic_messages": "event: message_stop",
		"gemini":             `"finishReason":"STOP"`,
	}
	for name, step := range map[string]provider.Step{"own": provider.Say("Hi there."), "none": provider.Say("Hi there.").NoEndMark()} {
		g, _ := startFormats(t, step)
		for _, from := range speakers {
			for _, to := range []string{"openai_chat", "anthropic_messages"} { // the others' marks carry the reason to stop
				t.Run(strings.Join([]string{name, from.id, to}, "/"), func(t *testing.T) {
					g.t = t
					talk := talk{model: to, stream: true, turns: []turn{says("Hi.")}}
					_, answer := g.post(from.path(talk), from.say(talk))
					if got, err := from.listen(answer); err != nil || !got.ended {
						t.Fatalf("%v: %s", err, answer)
					}
					if n := strings.Count(answer, marks[from.id]); n != 1 {
						t.Errorf("%d end marks: %s", n, answer)
					}
				})
			}
		}
	}
}

// TestGeminiArray shows that a Gemini client that does not ask for events gets its
// stream as one JSON array, of every upstream.
func TestGeminiArray(t *testing.T) {
	g, _ := startFormats(t, provider.Say("Hello there."))
	for _, to := range speakers {
		t.Run(to.id, func(t *testing.T) {
			g.t = t
			resp, answer := g.post("/v1beta/models/"+to.id+":streamGenerateContent", `{"contents":[{"role":"user","parts":[{"text":"Hi."}]}]}`)
			if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
				t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, answer)
			}
			var all []json.RawMessage
			if err := json.Unmarshal([]byte(answer), &all); err != nil {
				t.Fatalf("%v: %s", err, answer)
			}
			stream := ""
			for _, element := range all {
				stream += "data: " + strings.ReplaceAll(string(element), "\n", "") + "\n\n"
			}
			if got, err := (geminiSpeaker{}).listen(stream); err != nil || !got.ended || got.text != "Hello there." || len(all) < 2 {
				t.Errorf("%v, %d elements: %s", err, len(all), answer)
			}
		})
	}
}

package probe

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// strict answers like a service that refuses requests for which refuse names a
// fault.
func strict(t *testing.T, refuse func(body map[string]any) (status int, message string)) *server {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request, body map[string]any) {
		if status, message := refuse(body); message != "" {
			if !strings.HasPrefix(message, "{") {
				message = fmt.Sprintf(`{"error":{"message":%q,"type":"invalid_request_error"}}`, message)
			}
			writeJSON(w, status, message)
			return
		}
		writeJSON(w, 200, chatAnswer)
	})
}

func has(body map[string]any, name string) bool { _, ok := body[name]; return ok }

func TestComplaintsAreMet(t *testing.T) {
	for _, tc := range []struct {
		name   string
		refuse func(body map[string]any) (int, string)
		calls  int
		usable bool
	}{
		{"temperature is never sent", func(b map[string]any) (int, string) {
			if has(b, "temperature") {
				return 400, "Unsupported parameter: 'temperature'"
			}
			return 0, ""
		}, 1, true},
		{"temperature is wanted", func(b map[string]any) (int, string) {
			if !has(b, "temperature") {
				return 422, "temperature: Field required"
			}
			return 0, ""
		}, 2, true},
		{"max_tokens is not known", func(b map[string]any) (int, string) {
			if has(b, "max_tokens") {
				return 400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
			}
			return 0, ""
		}, 2, true},
		{"named beside the sentence", func(b map[string]any) (int, string) {
			if has(b, "max_tokens") {
				return 422, `{"detail":[{"loc":["body","max_tokens"],"msg":"Extra inputs are not permitted"}]}`
			}
			return 0, ""
		}, 2, true},
		{"the limit is too low", func(b map[string]any) (int, string) {
			if has(b, "max_tokens") || has(b, "max_completion_tokens") {
				return 400, "Could not finish the message because max_tokens was reached"
			}
			return 0, ""
		}, 2, true},
		{"stream_options", func(b map[string]any) (int, string) {
			if has(b, "stream_options") {
				return 400, "Unknown field: stream_options"
			}
			return 0, ""
		}, 2, true},
		{"no streams", func(b map[string]any) (int, string) {
			if b["stream"] == true {
				return 400, "streaming is not supported by this model"
			}
			return 0, ""
		}, 2, true},
		{"no streams, 501", func(b map[string]any) (int, string) {
			if b["stream"] == true {
				return 501, "stream: not implemented"
			}
			return 0, ""
		}, 2, true},
		{"two complaints", func(b map[string]any) (int, string) {
			switch {
			case has(b, "max_tokens"):
				return 400, "unknown field max_tokens"
			case has(b, "stream_options"):
				return 400, "unknown field stream_options"
			}
			return 0, ""
		}, 3, true},
		{"it is met once", func(map[string]any) (int, string) { return 400, "unknown field max_tokens" }, 2, false},
		{"another parameter", func(map[string]any) (int, string) { return 400, "unknown field messages" }, 1, false},
		{"another status", func(map[string]any) (int, string) { return 401, "max_tokens, stream and temperature are fine" }, 1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := strict(t, tc.refuse)
			w := single(t, configOf(s.URL, format.OpenAIChat))
			r := w.probe(&Prober{Timeout: ample})
			if (r.Result == Usable) != tc.usable || len(s.asked()) != tc.calls {
				t.Errorf("got %s, code %q (%s) after %d calls; want usable %t after %d", r.Result, r.Code, r.Message, len(s.asked()), tc.usable, tc.calls)
			}
		})
	}
}

// Of the other formats the limit has one name, so that it is left out.
func TestLimitOfOtherFormats(t *testing.T) {
	for f, name := range map[format.ID]string{format.OpenAIResponses: "max_output_tokens", format.Gemini: "maxOutputTokens"} {
		t.Run(string(f), func(t *testing.T) {
			p := provider.New(t)
			p.Choose(func(r *provider.Request) provider.Step {
				if strings.Contains(string(r.Body), name) {
					return provider.Fail(400, "Unsupported parameter: "+name)
				}
				return provider.Say("OK")
			})
			w := single(t, configOf(p.URL(), f))
			w.probe(&Prober{Timeout: ample}).check(t, Usable, "", 200)
			if n := len(p.Requests()); n != 2 {
				t.Errorf("got %d calls", n)
			}
		})
	}
}

// A service that refuses streams is asked for none, in each format, and one that
// answers without a stream is understood.
func TestWithoutStreams(t *testing.T) {
	for _, f := range chatFormats {
		t.Run(string(f), func(t *testing.T) {
			p := provider.New(t)
			p.Choose(func(r *provider.Request) provider.Step {
				if strings.Contains(string(r.Body), `"stream":true`) || strings.Contains(r.Path, "streamGenerate") {
					return provider.Fail(400, "this service does not stream")
				}
				return provider.Say("OK")
			})
			r := single(t, configOf(p.URL(), f)).probe(&Prober{Timeout: ample})
			r.check(t, Usable, "", 200)
			if r.FirstTokenMS != 0 || len(p.Requests()) != 2 {
				t.Errorf("got first token %d after %d calls", r.FirstTokenMS, len(p.Requests()))
			}
			p.Choose(func(*provider.Request) provider.Step { return provider.Say("OK").Plain() })
			single(t, configOf(p.URL(), f)).probe(&Prober{Timeout: ample}).check(t, Usable, "", 200)
		})
	}
}

func TestHasWord(t *testing.T) {
	for text, want := range map[string]bool{
		"temperature": true, "'temperature' is": true, "the temperature.": true, "": false,
		"temperatures": false, "my_temperature": false, "temperatures and temperature": true,
	} {
		if got := hasWord(text, "temperature"); got != want {
			t.Errorf("%q: got %t", text, got)
		}
	}
}

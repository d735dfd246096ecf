package caddytest

import (
	"strings"
	"testing"
)

// countClients are the three ways to ask for a count.
var countClients = []struct{ name, path, body, answer string }{
	{"messages", "/v1/messages/count_tokens", `{"model":"m","system":"Be brief.","messages":[{"role":"user","content":"hi"}]}`, `{"input_tokens":42}`},
	{"responses", "/v1/responses/input_tokens", `{"model":"m","instructions":"Be brief.","input":"hi"}`, `{"object":"response.input_tokens","input_tokens":42}`},
	{"gemini", "/v1beta/models/m:countTokens", `{"generateContentRequest":{"model":"models/m","contents":[{"role":"user","parts":[{"text":"hi"}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]}}}`, `{"totalTokens":42}`},
}

// TestCountTokens: every client with an upstream of every format that counts.
func TestCountTokens(t *testing.T) {
	for _, up := range []struct{ format, path, answer, body string }{
		{"anthropic_messages", "/v1/messages/count_tokens", `{"input_tokens":42}`, `{"model":"real","system":"Be brief.","messages":[{"role":"user","content":"hi"}]}`},
		{"openai_responses", "/v1/responses/input_tokens", `{"object":"response.input_tokens","input_tokens":42}`, ""},
		{"gemini", "/v1beta/models/real:countTokens", `{"totalTokens":42}`, `{"generateContentRequest":{"model":"models/real","contents":[{"role":"user","parts":[{"text":"hi"}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]}}}`},
	} {
		t.Run(up.format, func(t *testing.T) {
			s := answering(t, 200, "application/json", up.answer)
			g := startGateway(t, served(s, up.format))
			for _, c := range countClients {
				resp, body := g.post(c.path, c.body)
				status(t, resp, body, 200)
				sameJSON(t, body, c.answer)
				got, _ := s.last(t)
				if got.path != up.path || resp.Header.Get("X-Gateway-Token-Count") != "" {
					t.Errorf("%s: asked %s, headers %v", c.name, got.path, resp.Header)
				}
				if up.body != "" {
					sameJSON(t, got.body, up.body)
				}
				for _, field := range []string{`"stream"`, `max_`, `"maxOutputTokens"`, `"store"`} {
					if strings.Contains(got.body, field) {
						t.Errorf("%s: the upstream got %s: %s", c.name, field, got.body)
					}
				}
			}
		})
	}
}

// TestCountTokensEstimated: an upstream of a format without counts, one whose
// server lacks the address, and an operator who wants estimates.
func TestCountTokensEstimated(t *testing.T) {
	chat := answering(t, 200, "application/json", `{}`)
	missing := answering(t, 404, "application/json", boom)
	for _, tc := range []struct {
		name, block string
		s           *service
		asked       bool
	}{
		{"chat", served(chat, "openai_chat"), chat, false},
		{"missing", served(missing, "anthropic_messages"), missing, true},
		{"wanted", served(chat, "anthropic_messages") + "\ncount_tokens estimate", chat, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := startGateway(t, tc.block)
			for _, c := range countClients {
				resp, body := g.post(c.path, c.body)
				status(t, resp, body, 200)
				if resp.Header.Get("X-Gateway-Token-Count") != "estimated" {
					t.Errorf("%s: headers %v", c.name, resp.Header)
				}
				// "Be brief." and "hi" are 11 bytes, and there is one turn.
				sameJSON(t, body, strings.Replace(c.answer, "42", "7", 1))
			}
			if tc.asked {
				tc.s.last(t)
				return
			}
			tc.s.never(t)
		})
	}
}

func TestCountTokensErrors(t *testing.T) {
	s := answering(t, 500, "application/json", boom)
	g := startGateway(t, served(s, "anthropic_messages"))
	for _, c := range countClients {
		if resp, body := g.post(c.path, c.body); resp.StatusCode != 500 || !strings.Contains(body, `"error"`) {
			t.Errorf("%s: status %d: %s", c.name, resp.StatusCode, body)
		}
		resp, body := g.post(strings.Replace(c.path, "/m:", "/none:", 1), strings.Replace(c.body, `"model":"m"`, `"model":"none"`, 1))
		if resp.StatusCode != 404 {
			t.Errorf("%s, unknown model: status %d: %s", c.name, resp.StatusCode, body)
		}
	}
}

func TestCountTokensOff(t *testing.T) {
	s := answering(t, 200, "application/json", `{"input_tokens":1}`)
	g := startGateway(t, served(s, "anthropic_messages")+"\ncount_tokens off")
	for _, c := range countClients {
		if resp, body := g.post(c.path, c.body); resp.StatusCode != 404 || !strings.Contains(body, "does not count") {
			t.Errorf("%s: status %d: %s", c.name, resp.StatusCode, body)
		}
	}
	s.never(t)
	if err := g.tryLoad("count_tokens never"); err == nil || !strings.Contains(err.Error(), "count_tokens") {
		t.Errorf("a wrong word is accepted: %v", err)
	}
}

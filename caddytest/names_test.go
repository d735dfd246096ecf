package caddytest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// asked are chat requests for a model in every format.
func asked(model string) map[string]string {
	return map[string]string{
		"/v1/chat/completions": fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hi"}]}`, model),
		"/v1/responses":        fmt.Sprintf(`{"model":%q,"input":"hi"}`, model),
		"/v1/messages":         fmt.Sprintf(`{"model":%q,"max_tokens":10,"messages":[{"role":"user","content":"hi"}]}`, model),
		"/v1beta/models/" + strings.ReplaceAll(model, "/", "%2F") + ":generateContent": `{"contents":[{"parts":[{"text":"hi"}]}]}`,
	}
}

// TestAliases shows that every kind of alias leads to its model, in every format.
func TestAliases(t *testing.T) {
	p := startProvider(t, provider.Say("hello"))
	g := startGateway(t, fmt.Sprintf(`upstream one %s
	model writer {
		source one real
	}
	alias exact writer
	alias claude-* writer
	alias many {
		model writer
		pattern "o[0-9](-mini)?"
		announce o1 o3-mini
	}
	alias direct @one/other-real`, p.URL()))
	for model, want := range map[string]string{
		"exact": "real", "claude-sonnet-4-5": "real", "o3-mini": "real", "o9": "real", "direct": "other-real", "@one/real": "real",
	} {
		for path, body := range asked(model) {
			resp, answer := g.post(path, body)
			status(t, resp, answer, 200)
			if got := resp.Header.Get("X-Selected-Model"); got != want {
				t.Errorf("%s at %s: the upstream model is %q", model, path, got)
			}
		}
	}
	before := len(p.Requests())
	for _, model := range []string{"claude", "my-claude-x", "o10", "xo1", "many", "@one/nope", "@nope/real", "real"} {
		for path, body := range asked(model) {
			if resp, answer := g.post(path, body); resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s at %s: status %d: %s", model, path, resp.StatusCode, answer)
			}
		}
	}
	if after := len(p.Requests()); after != before {
		t.Errorf("unknown names were sent upstream %d times", after-before)
	}
}

// TestModelNames shows what lists of models hold, in which order, and that each
// name in them can be asked for alone.
func TestModelNames(t *testing.T) {
	g := startGateway(t, `upstream demo
	upstream off {
		provider demo
		disabled
	}
	model zebra {
		order -1
		source demo echo
	}
	model apple {
		description "A fruit"
		source demo echo
	}
	model hidden {
		access internal
		source demo echo
	}
	model unusable {
		source off echo
	}
	alias another apple
	alias secret hidden
	alias useless unusable
	alias fruit-* {
		model apple
		announce fruit-pear
	}`)
	_, answer := g.get("/v1/models")
	sameJSON(t, answer, `{"object":"list","data":[
		{"id":"zebra","object":"model","created":0,"owned_by":"ai_gateway"},
		{"id":"apple","object":"model","created":0,"owned_by":"ai_gateway"},
		{"id":"another","object":"model","created":0,"owned_by":"ai_gateway"},
		{"id":"fruit-pear","object":"model","created":0,"owned_by":"ai_gateway"}]}`)
	if _, answer := g.get("/v1beta/models"); !strings.Contains(answer, `"name":"models/apple","displayName":"apple","description":"A fruit"`) {
		t.Errorf("Gemini's list: %s", answer)
	}
	for _, name := range []string{"zebra", "another", "fruit-pear", "fruit-any"} {
		resp, answer := g.get("/v1/models/" + name)
		status(t, resp, answer, 200)
		sameJSONField(t, answer, "id", name)
	}
	for _, name := range []string{"hidden", "secret", "unusable", "useless", "fruit"} {
		for path, body := range asked(name) {
			if resp, answer := g.post(path, body); resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s at %s: status %d: %s", name, path, resp.StatusCode, answer)
			}
		}
		if resp, answer := g.get("/v1/models/" + name); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d: %s", name, resp.StatusCode, answer)
		}
	}
}

// TestSiteModels shows a site that serves some models only, an internal one among
// them.
func TestSiteModels(t *testing.T) {
	g := startGateway(t, `upstream demo
	model public {
		source demo echo
	}
	model inside {
		access internal
		source demo echo
	}
	model also-inside {
		access internal
		source demo echo
	}
	alias gpt-4o inside
	models inside gpt-* *-inside
	default_model gpt-4o`)
	_, answer := g.get("/v1/models")
	sameJSON(t, answer, `{"object":"list","data":[
		{"id":"inside","object":"model","created":0,"owned_by":"ai_gateway"},
		{"id":"gpt-4o","object":"model","created":0,"owned_by":"ai_gateway"}]}`)
	for model, want := range map[string]int{"inside": 200, "gpt-4o": 200, "auto": 200, "public": 404, "also-inside": 404, "@demo/echo": 404} {
		for path, body := range asked(model) {
			if resp, answer := g.post(path, body); resp.StatusCode != want {
				t.Errorf("%s at %s: status %d, want %d: %s", model, path, resp.StatusCode, want, answer)
			}
		}
	}
	resp, answer := g.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}]}`)
	status(t, resp, answer, 200)
}

// TestNoDefaultModel shows that a request without a model is refused where the site
// has no default.
func TestNoDefaultModel(t *testing.T) {
	g := startGateway(t, "upstream demo\nmodel m {\n source demo echo\n}")
	for path, body := range asked("auto") {
		if resp, answer := g.post(path, body); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d: %s", path, resp.StatusCode, answer)
		}
	}
	resp, answer := g.post("/v1/messages", `{"max_tokens":10,"messages":[{"role":"user","content":"hi"}]}`)
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(answer, "names no model") {
		t.Errorf("status %d: %s", resp.StatusCode, answer)
	}
}

// TestTaskNotSupported shows that nothing is sent upstream for what a model does not
// serve.
func TestTaskNotSupported(t *testing.T) {
	s := answering(t, 200, "application/json", `{}`)
	g := startGateway(t, fmt.Sprintf(`upstream one %s {
		formats openai_chat openai_images openai_embeddings
	}
	model m {
		operation chat
		source one real
	}
	alias a m`, s.url))
	for _, model := range []string{"m", "a"} {
		for path, body := range map[string]string{
			"/v1/images/generations": fmt.Sprintf(`{"model":%q,"prompt":"a cat"}`, model),
			"/v1/embeddings":         fmt.Sprintf(`{"model":%q,"input":"x"}`, model),
		} {
			resp, answer := g.post(path, body)
			status(t, resp, answer, 400)
			sameJSONField(t, answer, "error.code", "task_not_supported")
		}
	}
	s.never(t)
}

// TestPinnedName shows that a source that a client has pinned never fails over.
func TestPinnedName(t *testing.T) {
	bad, good := startProvider(t, provider.Status(500, boom)), startProvider(t, provider.Say("hello"))
	g := startGateway(t, fmt.Sprintf(`upstream bad %s {
		retries 0
	}
	upstream good %s
	model m {
		source bad real
		source good real priority 2
	}`, bad.URL(), good.URL()))
	for path, body := range asked("@bad/real") {
		if resp, answer := g.post(path, body); resp.StatusCode < 500 || resp.Header.Get("X-Gateway-Attempts") == "2" {
			t.Errorf("%s: status %d: %s", path, resp.StatusCode, answer)
		}
	}
	if len(bad.Requests()) == 0 || len(good.Requests()) > 0 {
		t.Errorf("%d requests to the pinned upstream, %d to the other", len(bad.Requests()), len(good.Requests()))
	}
	resp, answer := g.post("/v1/chat/completions", asked("m")["/v1/chat/completions"])
	status(t, resp, answer, 200)
	resp, answer = g.post("/v1/chat/completions", asked("@good/real")["/v1/chat/completions"])
	status(t, resp, answer, 200)
}

// TestSourceHeaders sends the headers of a source in the place of its upstream's.
func TestSourceHeaders(t *testing.T) {
	p := startProvider(t, provider.Say("ok"))
	g := startGateway(t, `
		upstream u `+p.URL()+` {
			header X-A 1
			header X-B kept
		}
		model m {
			source u x header X-A 2 header x-c "3 4"
		}`)
	c := clients[0]
	if resp, body := g.post(c.path, c.body("m")); resp.StatusCode != 200 {
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
	h := p.Wait(1)[0].Header
	if h.Get("X-A") != "2" || len(h.Values("X-A")) != 1 || h.Get("X-B") != "kept" || h.Get("X-C") != "3 4" {
		t.Errorf("the upstream got %v", h)
	}
}

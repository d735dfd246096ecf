package probe

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// service is a service with a list of models and one that answers questions, as its
// functions say.
type service struct {
	list, chat func(w http.ResponseWriter, body map[string]any)
}

func (s service) start(t *testing.T) *server {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request, body map[string]any) {
		if strings.HasSuffix(r.URL.Path, "/models") {
			s.list(w, body)
			return
		}
		s.chat(w, body)
	})
}

// says answers always the same.
func says(status int, body string) func(http.ResponseWriter, map[string]any) {
	return func(w http.ResponseWriter, _ map[string]any) { writeJSON(w, status, body) }
}

const (
	listed     = `{"object":"list","data":[{"id":"text-embedding-3-small"},{"id":"omni-moderation-latest"},{"id":"llama"},{"id":"gpt-4o"}]}`
	wrongKey   = `{"error":{"message":"Incorrect API key provided: canary/key\"=<1>-0123456789","type":"invalid_request_error","code":"invalid_api_key"}}`
	noSuchPath = `{"error":{"message":"not found"}}`
)

// summary is the stages in a line.
func (r StageResult) summary() string {
	var parts []string
	for _, s := range r.Stages {
		part := s.Name + " " + s.Result
		if s.Code != "" {
			part += " " + string(s.Code)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func TestStages(t *testing.T) {
	// knows answers for one model only.
	knows := func(model string) func(http.ResponseWriter, map[string]any) {
		return func(w http.ResponseWriter, body map[string]any) {
			if body["model"] != model {
				writeJSON(w, 404, `{"error":{"message":"no such model","code":"model_not_found"}}`)
				return
			}
			writeJSON(w, 200, chatAnswer)
		}
	}
	for _, tc := range []struct {
		name, model string
		service     service
		want        string
		models      int
	}{
		{"all is well", "x", service{says(200, listed), knows("x")}, "connectivity ok, authentication ok, format ok", 4},
		{"the first listed model for chat", "", service{says(200, listed), knows("gpt-4o")}, "connectivity ok, authentication ok, format ok", 4},
		{"the next if that cannot be used", "", service{says(200, listed), knows("llama")}, "connectivity ok, authentication ok, format ok", 4},
		{"no model for chat", "", service{says(200, `{"data":[{"id":"text-embedding-3-small"}]}`), knows("")}, "connectivity ok, authentication ok, format skipped", 1},
		{"wrong key", "x", service{says(401, wrongKey), says(401, wrongKey)}, "connectivity ok, authentication failed auth_failed, format skipped", 0},
		{"wrong key, public list", "", service{says(200, listed), says(401, wrongKey)}, "connectivity ok, authentication failed auth_failed, format skipped", 4},
		{"key without the right to list", "x", service{says(403, noSuchPath), knows("x")}, "connectivity ok, authentication ok, format ok", 0},
		{"forbidden, and no model", "", service{says(403, noSuchPath), knows("x")}, "connectivity ok, authentication failed auth_failed, format skipped", 0},
		{"no money", "x", service{says(402, noSuchPath), knows("x")}, "connectivity ok, authentication failed quota_exhausted, format skipped", 0},
		{"no list", "x", service{says(404, noSuchPath), knows("x")}, "connectivity ok, authentication ok, format ok", 0},
		{"no list, wrong key", "", service{says(404, noSuchPath), says(401, wrongKey)}, "connectivity ok, authentication failed auth_failed, format skipped", 0},
		{"no list, no model", "", service{says(404, noSuchPath), knows("x")}, "connectivity ok, authentication ok, format skipped", 0},
		{"unknown model", "y", service{says(200, listed), knows("x")}, "connectivity ok, authentication ok, format failed model_not_found", 4},
		{"another format", "x", service{says(200, listed), says(200, `{"content":[]}`)}, "connectivity ok, authentication ok, format failed response_incompatible", 4},
		{"failing service", "x", service{says(500, noSuchPath), says(500, noSuchPath)}, "connectivity ok, authentication ok, format failed upstream_unavailable", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tc.service.start(t)
			r := TestUpstream(t.Context(), upstreamOf(t, "u", configOf(s.URL, format.OpenAIChat)), tc.model)
			if got := r.summary(); got != tc.want || r.Models != tc.models {
				t.Errorf("got  %s, %d models\nwant %s, %d", got, r.Models, tc.want, tc.models)
			}
			for _, stage := range r.Stages {
				if skipped := stage.Result == StageSkipped; !skipped && (stage.LatencyMS < 1 || !strings.Contains(stage.Endpoint, s.URL)) {
					t.Errorf("got %+v", stage)
				}
				if (stage.Result == StageFailed) == (stage.Message == "" || stage.Code == "") {
					t.Errorf("got %+v", stage)
				}
			}
			if text, err := json.Marshal(r); err != nil || strings.Contains(string(text), "0123456789") {
				t.Errorf("got %s, %v", text, err)
			}
		})
	}
}

func TestStagesOfOtherFormats(t *testing.T) {
	for _, f := range chatFormats {
		t.Run(string(f), func(t *testing.T) {
			p := provider.New(t)
			p.Choose(func(r *provider.Request) provider.Step {
				if r.Method == http.MethodGet {
					return provider.Status(404, noSuchPath)
				}
				return provider.Say("OK")
			})
			r := TestUpstream(t.Context(), upstreamOf(t, "u", configOf(p.URL(), f)), "x")
			if got := r.summary(); got != "connectivity ok, authentication ok, format ok" {
				t.Errorf("got %s: %+v", got, r)
			}
		})
	}
	t.Run("embeddings", func(t *testing.T) {
		s := service{says(200, listed), says(200, `{"object":"list","data":[{"index":0,"embedding":[1]}]}`)}.start(t)
		r := TestUpstream(t.Context(), upstreamOf(t, "u", configOf(s.URL, format.OpenAIEmbeddings)), "text-embedding-3-small")
		if got := r.summary(); got != "connectivity ok, authentication ok, format ok" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("images", func(t *testing.T) {
		s := service{says(200, listed), says(500, "{}")}.start(t)
		r := TestUpstream(t.Context(), upstreamOf(t, "u", configOf(s.URL, format.OpenAIImages)), "gpt-image-1")
		if got := r.summary(); got != "connectivity ok, authentication ok, format skipped unsupported_operation" || len(s.asked()) != 1 {
			t.Errorf("got %s after %d calls", got, len(s.asked()))
		}
	})
}

func TestStagesWithoutConnection(t *testing.T) {
	const skipped = ", authentication skipped, format skipped"
	for _, tc := range []struct{ name, config, want string }{
		{"refused", configOf(provider.Refused(t), format.OpenAIChat), "connectivity failed network_error"},
		{"unresolved", unresolved, "connectivity failed name_not_resolved"},
		{"untrusted", configOf(tlsServer(t), format.OpenAIChat), "connectivity failed tls_error"},
		{"disabled", `{"base_url":"http://127.0.0.1:1","disabled":true}`, "connectivity failed disabled"},
		{"not configured", `{"base_url":"{env.NO_SUCH_URL}"}`, "connectivity failed not_configured"},
		{"no list, refused", `{"base_url":"` + provider.Refused(t) + `","format_paths":{"openai_chat":"/ask"},"formats":["openai_chat"]}`, "connectivity failed network_error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := TestUpstream(t.Context(), upstreamOf(t, "u", tc.config), "x")
			if got := r.summary(); got != tc.want+skipped || r.Stages[0].Message == "" {
				t.Errorf("got %s (%s)", got, r.Stages[0].Message)
			}
		})
	}
}

// Without a known list the question decides about all stages.
func TestStagesWithoutList(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ map[string]any) {
		if r.Method != http.MethodPost || r.URL.Path != "/ask" {
			t.Errorf("got %s %s", r.Method, r.URL.Path)
		}
		writeJSON(w, 200, chatAnswer)
	})
	r := TestUpstream(t.Context(), upstreamOf(t, "u", `{"base_url":"`+s.URL+`","format_paths":{"openai_chat":"/ask"},"formats":["openai_chat"]}`), "x")
	if got := r.summary(); got != "connectivity ok, authentication ok, format ok" {
		t.Errorf("got %s", got)
	}
}

// A connection alone does not show that the credential is taken.
func TestStagesWithoutAnswer(t *testing.T) {
	p := provider.New(t)
	p.Choose(func(r *provider.Request) provider.Step {
		if r.Method == http.MethodGet {
			return provider.Status(404, noSuchPath)
		}
		return provider.CloseAfterRequest()
	})
	r := TestUpstream(t.Context(), upstreamOf(t, "u", configOf(p.URL(), format.OpenAIChat)), "x")
	if got := r.summary(); got != "connectivity ok, authentication failed network_error, format skipped" {
		t.Errorf("got %s", got)
	}
}

func TestStagesInTime(t *testing.T) {
	for name, tc := range map[string]struct {
		steps []provider.Step
		want  string
	}{
		"no answer":         {[]provider.Step{provider.Silent()}, "connectivity ok, authentication failed timeout, format skipped"},
		"no answer at chat": {[]provider.Step{provider.Status(200, listed), provider.Silent()}, "connectivity ok, authentication ok, format failed timeout"},
		"no word at all":    {[]provider.Step{provider.SilentAtOnce()}, "connectivity ok, authentication failed timeout, format skipped"},
	} {
		t.Run(name, func(t *testing.T) {
			p := scripted(t, tc.steps...)
			ctx, cancel := context.WithTimeout(t.Context(), 5*quick)
			defer cancel()
			began := time.Now()
			r := TestUpstream(ctx, upstreamOf(t, "u", configOf(p.URL(), format.OpenAIChat)), "x")
			if got := r.summary(); got != tc.want {
				t.Errorf("got %s: %+v", got, r)
			}
			if took := time.Since(began); took > stageTime {
				t.Errorf("it took %s", took)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := TestUpstream(ctx, upstreamOf(t, "u", configOf(provider.New(t).URL(), format.OpenAIChat)), "x")
		if got := r.summary(); got != "connectivity failed cancelled, authentication skipped, format skipped" {
			t.Errorf("got %s", got)
		}
	})
}

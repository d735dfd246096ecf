package handler

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// echoing is a handler whose upstream keeps the body of its latest request.
func echoing(t *testing.T, f format.ID) (h *Handler, sent *string) {
	t.Helper()
	sent = new(string)
	h = newHandler(t, f, func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a request: %v", err)
		}
		*sent = string(body)
		return answer(http.StatusOK, "application/json", chatAnswer)(r)
	})
	return h, sent
}

// TestDefaultModel shows what becomes of requests that name no model: the default's
// name at the upstream stands in the body, whatever stood there before.
func TestDefaultModel(t *testing.T) {
	const messages = `"messages":[{"role":"user","content":"hi"}]`
	for _, tc := range []struct{ name, body, want string }{
		{"absent", `{` + messages + `}`, `{"model":"real",` + messages + `}`},
		{"null", `{"model":null,` + messages + `}`, `{"model":"real",` + messages + `}`},
		{"empty", `{"model": "" ,` + messages + `}`, `{"model": "real" ,` + messages + `}`},
		{"auto", `{` + messages + `,"model":"auto"}`, `{` + messages + `,"model":"real"}`},
		{"absent beside a key", `{"api_key":"k",` + messages + `}`, `{"model":"real",` + messages + `}`},
		{"named", `{"model":"m",` + messages + `}`, `{"model":"real",` + messages + `}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, sent := echoing(t, format.OpenAIChat)
			h.DefaultModel = "m"
			if w := serve(t, h, post("/v1/chat/completions", tc.body)); w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if *sent != tc.want {
				t.Errorf("sent %s\nwant %s", *sent, tc.want)
			}
			if tc.name == "named" {
				return
			}
			h.DefaultModel = ""
			if w := serve(t, h, post("/v1/chat/completions", tc.body)); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"param":"model"`) {
				t.Errorf("without a default: status %d: %s", w.Code, w.Body)
			}
		})
	}
}

// TestDefaultModelAlone shows that a body in which nothing is left stays JSON.
func TestDefaultModelAlone(t *testing.T) {
	for _, body := range []string{`{}`, `{ }`, `{"api_key":"k"}`} {
		h, sent := echoing(t, format.OpenAIImages)
		h.DefaultModel = "m"
		if w := serve(t, h, post("/v1/images/generations", body)); w.Code != http.StatusOK {
			t.Fatalf("%s: status %d: %s", body, w.Code, w.Body)
		}
		if got := strings.ReplaceAll(*sent, " ", ""); got != `{"model":"real"}` {
			t.Errorf("%s: sent %s", body, *sent)
		}
	}
}

// TestDefaultModelInForm shows that a form without a model gets one.
func TestDefaultModelInForm(t *testing.T) {
	const part = "--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na cat\r\n"
	h, sent := echoing(t, format.OpenAIImages)
	h.DefaultModel = "m"
	edit := func(body string) *http.Request {
		r := post("/v1/images/edits", body)
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		return r
	}
	if w := serve(t, h, edit(part+"--b--\r\n")); w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if want := part + "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nreal\r\n--b--\r\n"; *sent != want {
		t.Errorf("sent %q\nwant %q", *sent, want)
	}
	if w := serve(t, h, edit("--b--\r\n")); w.Code != http.StatusBadRequest {
		t.Errorf("a form without parts: status %d: %s", w.Code, w.Body)
	}
}

func TestModelSettings(t *testing.T) {
	for _, tc := range []struct {
		name string
		h    Handler
		want string
	}{
		{"empty name", Handler{AllowModels: []string{"a", ""}}, "allow_models[1]: must not be empty"},
		{"control character", Handler{DefaultModel: "a\n"}, "default_model: must not hold control characters"},
		{"auto", Handler{DefaultModel: "auto"}, "default_model: must name a model; auto stands for the default"},
		{"default that is not allowed", Handler{AllowModels: []string{"a-*"}, DefaultModel: "b"}, `default_model: "b" is not among the models that the site serves`},
		{"default that is allowed", Handler{AllowModels: []string{"a-*"}, DefaultModel: "a-b"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			if err := tc.h.check(); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

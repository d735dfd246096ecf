package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// newKeyedHandler returns a handler of a model "m" whose one upstream speaks the
// formats and has a credential, and what it logs.
func newKeyedHandler(t *testing.T, credential string, answer roundTrip, formats ...format.ID) (*Handler, *observer.ObservedLogs) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	stubs.Store(t.Name(), answer)
	u := &upstream.Upstream{
		BaseURL: "http://upstream.example", Formats: formats, CredentialsRaw: []json.RawMessage{[]byte(credential)},
		TransportRaw: fmt.Appendf(nil, `{"protocol":"handler_stub","name":%q}`, t.Name()),
	}
	if err := u.Provision(ctx, "u"); err != nil {
		t.Fatal(err)
	}
	model := &routing.Model{Sources: []routing.Source{{Upstream: "u", Model: "real"}}}
	snapshot, err := routing.NewSnapshot(routing.Definitions{Upstreams: map[string]*upstream.Upstream{"u": u}, Models: map[string]*routing.Model{"m": model}})
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	return &Handler{gateway: &stubGateway{snapshot}, logger: zap.New(core)}, logs
}

// TestKeysInErrors shows that an upstream which repeats its key in an error shows it
// to nobody: neither whole, nor in parts where a text is cut off, wherever that is.
func TestKeysInErrors(t *testing.T) {
	const key = "0123456789abcdefghijklmnopqrstuvwxyz"
	part := key[:6]
	messages := map[string]func(text string) string{
		"json": func(text string) string { return `{"error":{"message":"` + text + `","type":"invalid_request_error"}}` },
		"words": func(text string) string {
			return `{"error":{"message":"no","type":"invalid_request_error","param":"` + key + `","code":"` + text[format.MaxErrorMessage-format.MaxErrorWord:] + `"}}`
		},
		"text": func(text string) string { return text },
		"escaped": func(text string) string {
			return `{"error":{"message":"` + strings.ReplaceAll(text, "0", `\u0030`) + `","type":"invalid_request_error"}}`
		},
	}
	for name, message := range messages {
		for _, success := range []bool{false, true} {
			if success && name == "text" {
				continue
			}
			t.Run(fmt.Sprintf("%s, success %t", name, success), func(t *testing.T) {
				var body string
				status := http.StatusBadRequest
				if success {
					status = http.StatusOK
				}
				h, logs := newKeyedHandler(t, `{"type":"bearer","token":"`+key+`"}`, func(r *http.Request) (*http.Response, error) {
					contentType := "application/json"
					if name == "text" {
						contentType = "text/plain"
					}
					return answer(status, contentType, body)(r)
				}, format.OpenAIChat)
				told := 0
				for length := format.MaxErrorMessage - len(key) - 20; length < format.MaxErrorMessage+10; length++ {
					body = message(strings.Repeat("x", length) + " " + key + " is wrong" + strings.Repeat(" y", 100))
					w := serve(t, h, post("/v1/chat/completions", chatRequest))
					if w.Code < 400 || strings.Contains(w.Body.String(), part) {
						t.Fatalf("at %d: the client sees %d %s", length, w.Code, w.Body)
					}
					if strings.Contains(w.Body.String(), "[hidden]") {
						told++
					}
				}
				if told == 0 {
					t.Error("nothing was hidden, so nothing was shown either")
				}
				if logs.Len() == 0 {
					t.Error("nothing was logged")
				}
				for _, entry := range logs.All() {
					if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, part) {
						t.Fatalf("logged: %s", text)
					}
				}
			})
		}
	}
}

// TestBodyCredentialNeedsAnObject shows what becomes of a form where the credential
// belongs into a JSON body: nothing is sent, the client is told what is wrong, and no
// circuit counts it.
func TestBodyCredentialNeedsAnObject(t *testing.T) {
	h, logs := newKeyedHandler(t, `{"type":"body","name":"api_key","value":"secret-value"}`, func(*http.Request) (*http.Response, error) {
		t.Error("the upstream was asked")
		return nil, http.ErrAbortHandler
	}, format.OpenAIAudio)
	const form = "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x--\r\n"
	for range 10 {
		r := post("/v1/audio/transcriptions", form)
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		w := serve(t, h, r)
		if w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), `"upstream_configuration"`) ||
			!strings.Contains(w.Body.String(), "goes into a JSON object") || strings.Contains(w.Body.String(), "secret-value") {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
	warned := logs.FilterMessage("attempt failed").FilterLevelExact(zap.WarnLevel)
	if warned.Len() != 10 || !strings.Contains(fmt.Sprint(warned.All()[0].ContextMap()["detail"]), `in the field "api_key" of a JSON object, but the body is no JSON object`) {
		t.Errorf("logged %v", warned.All())
	}
}

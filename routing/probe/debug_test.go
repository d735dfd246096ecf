package probe

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// Secrets are hidden however the upstream repeats them.
func TestSecretsAreHidden(t *testing.T) {
	quoted, _ := json.Marshal(key)
	php := bytes.ReplaceAll([]byte(`canary/key\"=<1>-0123456789`), []byte("/"), []byte(`\/`))
	for name, body := range map[string]string{
		"escaped by Go": `{"error":{"message":` + string(quoted) + `}}`,
		"as it is":      `{"error":{"message":"key canary/key\"=<1>-0123456789 is wrong"}}`,
		"no JSON":       "the key " + key + " is wrong",
		"PHP":           `{"error":{"message":"` + string(php) + `"}}`,
		"many":          `{"error":{"message":"` + strings.Repeat("canary/key=<1>-", 4000) + `"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request, _ map[string]any) { writeJSON(w, 401, body) })
			r := single(t, configOf(s.URL, format.OpenAIChat)).probe(&Prober{Timeout: ample, Debug: true})
			r.check(t, Failed, CodeAuthFailed, 401)
			if name == "many" {
				if n := len(r.Debug.ResponseBody); n != maxDebug {
					t.Errorf("got %d bytes of the body", n)
				}
				return // no secret, only much of it
			}
			shown, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(shown, []byte("canary")) || bytes.Contains(shown, []byte("0123456789")) {
				t.Errorf("the key is in %s", shown)
			}
		})
	}
}

// A secret that is cut in two by a limit is hidden as well, wherever the cut is.
func TestHalfASecretIsHidden(t *testing.T) {
	long := strings.Repeat("canary0123456789", 6)
	config := func(url string) string {
		return `{"base_url":"` + url + `","formats":["openai_chat"],"credentials":[{"type":"bearer","token":"` + long + `"}]}`
	}
	for status, body := range map[int]string{
		401: `{"error":{"message":"%s","code":"invalid_api_key"}}`,
		500: `%s`,
		200: `{"error":{"message":"%s","code":"invalid_api_key"}}`,
	} {
		for shift := range 7 {
			text := strings.Replace(body, "%s", strings.Repeat(" ", 13*shift)+strings.Repeat(long, maxErrorBody/len(long)+1), 1)
			s := serve(t, func(w http.ResponseWriter, _ *http.Request, _ map[string]any) { writeJSON(w, status, text) })
			r := single(t, config(s.URL)).probe(&Prober{Timeout: ample, Debug: true})
			shown, err := json.Marshal(r)
			if err != nil || r.Result != Failed || r.Status != status {
				t.Fatalf("got %+v, %v", r, err)
			}
			if i := bytes.Index(shown, []byte("canary")); i >= 0 || bytes.Contains(shown, []byte("0123456789")) {
				t.Errorf("status %d, shift %d: the key is in %s", status, shift, shown[max(0, i-40):])
			}
		}
	}
}

func TestDebug(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
		w.Header().Set("Set-Cookie", "a=b")
		writeJSON(w, 200, chatAnswer)
	})
	r := single(t, configOf(s.URL, format.OpenAIChat)).probe(&Prober{Timeout: ample, Debug: true})
	r.check(t, Usable, "", 200)
	want := Debug{
		RequestType:  "application/json",
		RequestBody:  `{"model":"x","messages":[{"role":"user","content":"Reply with OK."}],"max_tokens":16,"stream":true,"stream_options":{"include_usage":true}}`,
		ResponseType: "application/json", ResponseBody: chatAnswer,
	}
	if r.Debug == nil || *r.Debug != want {
		t.Errorf("got  %+v\nwant %+v", r.Debug, want)
	}
}

package upstream

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// multiline is a key that needs escapes in JSON.
const multiline = "s3cret \"key\"\n\twith ünïcode 😀 and \\"

const withBodyKey = `{"base_url":"http://h","credentials":[{"type":"body","name":"api_key","value":"{env.MULTILINE}"}]}`

// sent reads a request's body, and checks its length.
func sent(t *testing.T, r *http.Request) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.ContentLength != int64(len(text)) {
		t.Errorf("the length is told as %d, the body has %d bytes", r.ContentLength, len(text))
	}
	if err := r.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBodyCredential(t *testing.T) {
	t.Setenv("MULTILINE", multiline)
	u := mustProvision(t, "mine", withBodyKey)
	for name, body := range map[string]string{
		"small":    `{"model":"m","stream":false}`,
		"replaced": `{"model":"m","api_key":"theirs","stream":false,"api\u005fkey":{"a":1}}`,
		"large":    `{"model":"m","pad":"` + strings.Repeat("x", 2*smallBody) + `","api_key":"theirs"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := requestOf(t, u, &Call{Body: bodyOf(body)})
			first := sent(t, r)
			var fields struct {
				Model  string
				APIKey string `json:"api_key"`
			}
			if err := json.Unmarshal([]byte(first), &fields); err != nil {
				t.Fatalf("%s: %v", first, err)
			}
			if fields.Model != "m" || fields.APIKey != multiline || strings.Contains(first, "theirs") {
				t.Errorf("sent %.200s", first)
			}
			for range 2 {
				again, err := r.GetBody()
				if err != nil {
					t.Fatal(err)
				}
				if text, err := io.ReadAll(again); err != nil || string(text) != first {
					t.Errorf("again: got %.200s, %v", text, err)
				}
				if err := again.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestBodyCredentialOfAPool shows that the field is added with its own credential
// only, and that the client's own key takes its place.
func TestBodyCredentialOfAPool(t *testing.T) {
	u := mustProvision(t, "mine", `{"base_url":"http://h","allow_override":true,"credentials":[
		{"type":"body","name":"api_key","value":"in-body","id":"b"},{"type":"bearer","token":"in-header","id":"h"}]}`)
	for _, tc := range []struct {
		name, credential, override, body, header string
	}{
		{"the first", "", "", `{"api_key":"in-body","model":"m"}`, ""},
		{"in the body", "b", "", `{"api_key":"in-body","model":"m"}`, ""},
		{"in a header", "h", "", `{"model":"m"}`, "Bearer in-header"},
		{"the client's", "h", "theirs", `{"api_key":"theirs","model":"m"}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := requestOf(t, u, &Call{Credential: tc.credential, Override: tc.override})
			if got := sent(t, r); got != tc.body {
				t.Errorf("sent %s, want %s", got, tc.body)
			}
			if got := r.Header.Get("Authorization"); got != tc.header {
				t.Errorf("Authorization is %q, want %q", got, tc.header)
			}
		})
	}
	other := mustProvision(t, "mine", `{"base_url":"http://h","allow_override":true,"credentials":[
		{"type":"bearer","token":"in-header"},{"type":"body","name":"api_key","value":"in-body"}]}`)
	r := requestOf(t, other, &Call{Override: "theirs"})
	if got := sent(t, r); got != `{"model":"m"}` || r.Header.Get("Authorization") != "Bearer theirs" {
		t.Errorf("where the first stands in a header: sent %s, %v", got, r.Header)
	}
}

func TestBodyCredentialWithoutAPlace(t *testing.T) {
	u := mustProvision(t, "mine", `{"base_url":"http://h","formats":["openai_audio"],"credentials":[{"type":"body","name":"api_key","value":"secret-value"}]}`)
	body, freed := bodyOf("--x\r\n\r\n{}\r\n--x--\r\n"), false
	body.Own(func() { freed = true })
	_, err := u.Do(t.Context(), &Call{
		Format: format.OpenAIAudio, Operation: format.OperationAudioTranscribe, Body: body, Type: "multipart/form-data; boundary=x",
	})
	const want = `the credential has no place in the request: upstream "mine" wants it in the field "api_key" of a JSON object, but the body is no JSON object`
	if !errors.Is(err, ErrNoPlace) || err.Error() != want || !OwnFault(err) {
		t.Errorf("got %v", err)
	}
	if body.Release(); !freed {
		t.Error("a reader of the body was left open")
	}
}

// TestBodyCredentialOnTheWire shows that the field goes out with every try: also with
// the one that net/http makes by itself when a connection turns out to be closed.
// The list of models goes without.
func TestBodyCredentialOnTheWire(t *testing.T) {
	var drop atomic.Bool
	got := make(chan string, 10)
	server := quiet(httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a request: %v", err)
		}
		got <- r.Method + " " + string(text)
		if drop.Swap(false) {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, `{"data":[{"id":"m"}]}`) // the client may be gone
	})))
	defer server.Close()
	t.Setenv("MULTILINE", "a\"b\nsecret")
	u := mustProvision(t, "mine", strings.Replace(withBodyKey, "http://h", server.URL, 1))
	pad := strings.Repeat("x", 2*smallBody)
	for _, tc := range []struct{ name, body, want string }{
		{"small", `{"a":1,"api_key":"theirs"}`, `POST {"api_key":"a\"b\nsecret","a":1}`},
		{"large", `{"a":"` + pad + `"}`, `POST {"api_key":"a\"b\nsecret","a":"` + pad + `"}`},
	} {
		for _, broken := range []bool{false, true} {
			body, freed := bodyOf(tc.body), make(chan struct{})
			body.Own(func() { close(freed) })
			drop.Store(broken)
			response, err := u.Do(t.Context(), &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: body})
			if err != nil {
				t.Fatalf("%s, broken %t: %v", tc.name, broken, err)
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				t.Error(err)
			}
			response.Body.Close()
			body.Release()
			<-freed
			tries := 1
			if broken {
				tries = 2
			}
			for range tries {
				if sent := <-got; sent != tc.want {
					t.Errorf("%s, broken %t: sent %.200s", tc.name, broken, sent)
				}
			}
		}
	}
	if _, err := u.ListModels(t.Context()); err != nil {
		t.Error(err)
	}
	if sent := <-got; sent != "GET " {
		t.Errorf("the list was asked for with %q", sent)
	}
	if len(got) != 0 {
		t.Errorf("%d requests too many", len(got))
	}
}

// TestBodyCredentialCostsOthersNothing shows that the body of an upstream with
// another credential is sent as it is, without being read.
func TestBodyCredentialCostsOthersNothing(t *testing.T) {
	u := mustProvision(t, "openai", `{"credentials":[{"type":"bearer","token":"tok"}]}`)
	call := &Call{Format: format.OpenAIChat, Body: bodyOf("not JSON at all")}
	if n := testing.AllocsPerRun(100, func() {
		if body, err := u.body(call); err != nil || body != call.Body {
			t.Errorf("got another body, %v", err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}

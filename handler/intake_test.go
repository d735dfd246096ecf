package handler

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// parse reads a body as the handler does.
func parse(t *testing.T, body string) (*document, envelope, error) {
	t.Helper()
	d := newDocument()
	r := post("/v1/messages", body)
	if err := d.receive(httptest.NewRecorder(), r, r.Body, 1<<20); err != nil {
		return d, envelope{}, err
	}
	if err := d.parse(); err != nil {
		return d, envelope{}, err
	}
	ep, _ := format.Match("/v1/messages")
	env, err := readEnvelope(&ep, d.index.Root())
	return d, env, err
}

// pass returns the body that goes upstream in the client's own format.
func pass(d *document, env *envelope, model string) []byte {
	var s splice
	s.setModel(env, model)
	var b format.Body
	s.write(&b, d, env)
	return b.Bytes()
}

func TestEnvelope(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		model      string
		stream     bool
		param      string // of the error; "-" for an error without one
	}{
		{"plain", `{"model":"m","messages":[{}]}`, "m", false, ""},
		{"stream", `{"messages":[{}],"stream":true,"model":"a/b"}`, "a/b", true, ""},
		{"stream null", `{"model":"m","stream":null,"messages":[{}]}`, "m", false, ""},
		{"escaped key and name", `{"mod\u0065l":"m\u00e9","messages":[{}]}`, "mé", false, ""},
		{"no model", `{"messages":[{}]}`, "", false, ""},
		{"null model", `{"model":null,"messages":[{}]}`, "", false, ""},
		{"empty model", `{"model":"","messages":[{}]}`, "", false, ""},
		{"number as model", `{"model":1,"messages":[{}]}`, "", false, "model"},
		{"control character in model", `{"model":"a\nb","messages":[{}]}`, "", false, "model"},
		{"long model", `{"model":"` + strings.Repeat("m", 257) + `","messages":[{}]}`, "", false, "model"},
		{"model twice", `{"model":"a","messages":[{}],"model":"b"}`, "", false, "model"},
		{"messages twice", `{"model":"a","messages":[{}],"messages":[{}]}`, "", false, "messages"},
		{"string as stream", `{"model":"m","stream":"yes","messages":[{}]}`, "", false, "stream"},
		{"no messages", `{"model":"m"}`, "", false, "messages"},
		{"empty messages", `{"model":"m","messages":[]}`, "", false, "messages"},
		{"object as messages", `{"model":"m","messages":{}}`, "", false, "messages"},
		{"too many messages", `{"model":"m","messages":[0` + strings.Repeat(",0", 4096) + `]}`, "", false, "messages"},
		{"object as tools", `{"model":"m","messages":[{}],"tools":{}}`, "", false, "tools"},
		{"too many tools", `{"model":"m","messages":[{}],"tools":[0` + strings.Repeat(",0", 1024) + `]}`, "", false, "tools"},
		{"array", `[]`, "", false, "-"},
		{"empty", ``, "", false, "-"},
		{"broken", `{"model":"m"`, "", false, "-"},
		{"two documents", `{"model":"m","messages":[{}]}{}`, "", false, "-"},
		{"too deep", strings.Repeat("[", 200) + strings.Repeat("]", 200), "", false, "-"},
		{"not UTF-8", "{\"model\":\"m\xff\",\"messages\":[{}]}", "", false, "-"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, env, err := parse(t, tc.body)
			if tc.param == "" {
				if err != nil || env.model != tc.model || env.stream != tc.stream {
					t.Fatalf("got %q %t %v, want %q %t", env.model, env.stream, err, tc.model, tc.stream)
				}
				return
			}
			e, ok := errors.AsType[*chat.Error](err)
			if !ok || e.Kind != chat.ErrInvalidRequest {
				t.Fatalf("error is %v, want an invalid request", err)
			}
			if want := strings.TrimPrefix(tc.param, "-"); e.Param != want {
				t.Errorf("the error is about %q, want %q: %s", e.Param, want, e.Message)
			}
		})
	}
}

// TestSplice shows that a passed-through body keeps every byte but the model's
// name.
func TestSplice(t *testing.T) {
	const tail = `,"seed":9007199254740993, "messages" : [{"role":"user","content":"\u003cé\u2028\/ 😀"}],"z":1,"a":{"b":[1.0e+2]},"unknown":null }`
	for _, tc := range []struct{ name, body, want string }{
		{"other name", `{ "model" : "m"` + tail, `{ "model" : "real/name"` + tail},
		{"name with escapes", `{"model":"\u006d"` + tail, `{"model":"real/name"` + tail},
		{"model last", `{"messages":[{}],"model":"m"}`, `{"messages":[{}],"model":"real/name"}`},
		{"address and key fields", `{"api_key":"k","model":"m","base_url":"x","messages":[{}],"extra_headers":{"a":1}}`, `{"model":"real/name","messages":[{}]}`},
		{"escaped forbidden field", `{"api_k\u0065y":"k","model":"m","messages":[{}]}`, `{"model":"real/name","messages":[{}]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, env, err := parse(t, tc.body)
			if err != nil {
				t.Fatal(err)
			}
			if got := pass(d, &env, "real/name"); string(got) != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	t.Run("same name", func(t *testing.T) {
		body := `{ "model" : "\u006d"` + tail
		d, env, err := parse(t, body)
		if err != nil {
			t.Fatal(err)
		}
		if got := pass(d, &env, "m"); string(got) != body {
			t.Errorf("got %s, want %s", got, body)
		}
	})
}

func TestReadBody(t *testing.T) {
	document := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("x", 3<<20) + `"}]}`
	for _, tc := range []struct {
		name   string
		length int64
		header string
		limit  int64
		kind   chat.ErrorKind
		fails  bool
	}{
		{"declared length", int64(len(document)), "", 8 << 20, 0, false},
		{"no declared length", -1, "", 8 << 20, 0, false},
		{"declared over the limit", int64(len(document)), "", 1 << 20, chat.ErrTooLarge, true},
		{"over the limit", -1, "", 1 << 20, chat.ErrTooLarge, true},
		{"declared longer than it is", int64(len(document)) + 5, "", 8 << 20, chat.ErrInvalidRequest, true},
		{"compressed", int64(len(document)), "gzip", 8 << 20, chat.ErrUnsupportedMedia, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/v1/messages", nil)
			r.Body = io.NopCloser(&shortBody{strings.NewReader(document), tc.length})
			r.ContentLength = tc.length
			r.Header.Set("Content-Encoding", tc.header)
			d := newDocument()
			err := d.receive(httptest.NewRecorder(), r, r.Body, tc.limit)
			if !tc.fails {
				if err != nil || !bytes.Equal(d.data, []byte(document)) {
					t.Fatalf("the body was not read as it is: %v", err)
				}
				return
			}
			if e, ok := errors.AsType[*chat.Error](err); !ok || e.Kind != tc.kind {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// shortBody ends like the body of a server's request: a body that is shorter
// than announced ends with an error.
type shortBody struct {
	*strings.Reader
	announced int64
}

func (b *shortBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF && b.announced > b.Size() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// TestDocumentIsNotReusedWhileRead shows that a body's bytes go back to the pool
// only when the last reader has closed, whatever the owner does.
func TestDocumentIsNotReusedWhileRead(t *testing.T) {
	d, env, err := parse(t, `{"model":"m","messages":[{}]}`)
	if err != nil {
		t.Fatal(err)
	}
	var b format.Body
	d.retain()
	b.Own(d.release)
	var edits splice
	edits.setModel(&env, "other")
	edits.write(&b, d, &env)
	reader := b.NewReader()
	b.Release()
	d.release()
	if d.users.Load() != 1 {
		t.Fatalf("%d users while a reader is open, want 1", d.users.Load())
	}
	reader.Close()
	reader.Close() // a second Close changes nothing
	if d.users.Load() != 0 {
		t.Errorf("%d users after the last reader has closed, want 0", d.users.Load())
	}
	if _, err := reader.Read(make([]byte, 1)); err == nil {
		t.Error("a closed reader still reads")
	}
}

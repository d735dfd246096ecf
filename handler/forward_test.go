package handler

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

const boundary = "xYzZY"

// formOf is a form with the given parts.
func formOf(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString("--" + boundary + "\r\n" + part + "\r\n")
	}
	return b.String() + "--" + boundary + "--\r\n"
}

func field(name, value string) string {
	return `Content-Disposition: form-data; name="` + name + "\"\r\n\r\n" + value
}

func TestReadForm(t *testing.T) {
	file := "content-disposition: form-data; name=\"file\"; filename=\"a\\\"b.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n\x00\xff--" + boundary + "\r\n"
	for _, tc := range []struct {
		name, body, model, want string
		stream                  bool
	}{
		{"a field and a file", formOf(field("model", "m"), file), "m", formOf(field("model", "other"), file), false},
		{"the model last", formOf(file, field("stream", "true"), field("model", "m")), "m", formOf(file, field("stream", "true"), field("model", "other")), true},
		{"a preamble", "ignored\r\n" + formOf(field("model", "m")), "m", "ignored\r\n" + formOf(field("model", "other")), false},
		{"an epilogue", formOf(field("model", "m")) + "ignored", "m", formOf(field("model", "other")) + "ignored", false},
		{"forbidden", formOf(field("api_key", "k"), field("model", "m"), field("base_url", "u")), "m", "\r\n" + formOf(field("model", "other")), false},
		{"an empty model", formOf(field("model", ""), file), "", formOf(field("model", "other"), file), false},
		{"no model", formOf(file), "", formOf(file, field("model", "other")), false},
		{"nothing but what is forbidden", formOf(field("api_key", "k")), "", "\r\n" + formOf(field("model", "other")), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := readForm([]byte(tc.body), boundary)
			if err != nil {
				t.Fatal(err)
			}
			var b format.Body
			f.write(&b, "other")
			if f.model != tc.model || f.stream != tc.stream {
				t.Errorf("model %q, stream %t", f.model, f.stream)
			}
			if got := string(b.Bytes()); got != tc.want {
				t.Errorf("written as\n%q, want\n%q", got, tc.want)
			}
		})
	}
}

func TestReadFormRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"empty":                "",
		"no boundary":          "hello",
		"no parts":             "--" + boundary + "--\r\n",
		"no end":               "--" + boundary + "\r\n" + field("model", "m"),
		"no headers":           "--" + boundary + "\r\nmodel\r\n--" + boundary + "--",
		"no name":              formOf("Content-Type: text/plain\r\n\r\nx"),
		"a broken name":        formOf("Content-Disposition: form-data; name\r\n\r\nx"),
		"behind the boundary":  "--" + boundary + "x\r\n" + field("model", "m") + "\r\n--" + boundary + "--",
		"only a boundary":      "--" + boundary,
		"endless headers":      formOf("X: " + strings.Repeat("x", maxPartHeader) + "\r\n\r\n"),
		"two models":           formOf(field("model", "m"), field("model", "n")),
		"more parts than many": formOf(strings.Split(strings.Repeat(field("a", "")+"|", maxParts+1), "|")[:maxParts+1]...),
	} {
		t.Run(name, func(t *testing.T) {
			if f, err := readForm([]byte(body), boundary); err == nil {
				t.Errorf("read as %+v", f)
			}
		})
	}
}

// FuzzReadForm: no input panics, and what is read is what the standard library
// reads, and stays that when it is written.
func FuzzReadForm(f *testing.F) {
	f.Add(formOf(field("model", "m"), field("stream", "true")))
	f.Add("x\r\n" + formOf(field("api_key", "k"), field("model", "m")) + "y")
	f.Add("--" + boundary + "--")
	f.Fuzz(func(t *testing.T, body string) {
		read, err := readForm([]byte(body), boundary)
		if err != nil {
			return
		}
		var b format.Body
		read.write(&b, "other")
		again, err := readForm(b.Bytes(), boundary)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%q\n%q", err, body, b.Bytes())
		}
		for _, part := range again.parts {
			if neverForwarded[part.name] {
				t.Fatalf("%s is sent on", part.name)
			}
		}
		if again.model != "other" {
			t.Fatalf("the model is %q", again.model)
		}
	})
}

func TestFormBoundary(t *testing.T) {
	for _, tc := range []struct {
		contentType, want string
		isForm, wrong     bool
	}{
		{"", "", false, false},
		{"application/json", "", false, false},
		{"Multipart/Form-Data; boundary=a", "a", true, false},
		{`multipart/form-data; charset=utf-8; boundary="a b"`, "a b", true, false},
		{"multipart/form-data", "", true, true},
		{"multipart/form-data; boundary=" + strings.Repeat("a", 71), "", true, true},
		{"multipart/form-data; boundary=a; boundary=b", "", true, true},
	} {
		got, isForm, err := formBoundary(tc.contentType)
		if got != tc.want || isForm != tc.isForm || (err != nil) != tc.wrong {
			t.Errorf("%q: %q, %t, %v", tc.contentType, got, isForm, err)
		}
	}
}

// ask sends a request to a handler with one upstream of a format.
func ask(t *testing.T, h *Handler, path, contentType, body string) (rec *httptest.ResponseRecorder, aborted bool) {
	t.Helper()
	req := httptest.NewRequest("POST", path, strings.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	rec = httptest.NewRecorder()
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			aborted = true
		}
	}()
	if err := h.ServeHTTP(rec, req, nil); err != nil {
		t.Errorf("the handler ends with %v", err)
	}
	return rec, false
}

// pieces is a body that comes in pieces and ends with an error; nil is its end.
type pieces struct {
	left []string
	err  error
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; p.left[0] == "" {
		p.left = p.left[1:]
	}
	return n, nil
}

func (p *pieces) Close() error { return nil }

// rawAnswer is an upstream's answer that is not JSON.
func rawAnswer(contentType string, body io.ReadCloser) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, ContentLength: -1, Body: body,
			Header: http.Header{"Content-Type": {contentType}},
		}, nil
	}
}

// A raw answer that breaks off never looks complete.
func TestRawAnswersThatBreakOff(t *testing.T) {
	const speech = `{"model":"m","input":"x"}`
	t.Run("sound", func(t *testing.T) {
		h := newHandler(t, format.OpenAIAudio, rawAnswer("audio/mpeg", &pieces{[]string{"abc", "def"}, io.ErrUnexpectedEOF}))
		rec, aborted := ask(t, h, "/v1/audio/speech", "application/json", speech)
		if !aborted || rec.Body.String() != "abcdef" {
			t.Errorf("aborted: %t, body %q", aborted, rec.Body)
		}
	})
	t.Run("events", func(t *testing.T) {
		h := newHandler(t, format.OpenAIAudio, rawAnswer("text/event-stream", &pieces{[]string{"data: 1\n\n"}, io.ErrUnexpectedEOF}))
		rec, aborted := ask(t, h, "/v1/audio/speech", "application/json", speech)
		if body := rec.Body.String(); aborted || !strings.HasPrefix(body, "data: 1\n\ndata: {\"error\"") {
			t.Errorf("aborted: %t, body %q", aborted, body)
		}
	})
	t.Run("before the first byte", func(t *testing.T) {
		h := newHandler(t, format.OpenAIAudio,
			rawAnswer("audio/mpeg", &pieces{nil, io.ErrUnexpectedEOF}),
			rawAnswer("audio/mpeg", &pieces{nil, nil}),
			rawAnswer("audio/mpeg", &pieces{[]string{"whole"}, nil}))
		rec, aborted := ask(t, h, "/v1/audio/speech", "application/json", speech)
		if aborted || rec.Code != 200 || rec.Body.String() != "whole" || rec.Header().Get("X-Gateway-Attempts") != "3" {
			t.Errorf("status %d, body %q, headers %v", rec.Code, rec.Body, rec.Header())
		}
	})
}

// silent is a body that says something and then nothing until it is closed.
type silent struct {
	first  *strings.Reader
	closed chan struct{}
	done   <-chan struct{}
}

func (s *silent) Read(b []byte) (int, error) {
	if n, err := s.first.Read(b); err == nil {
		return n, nil
	}
	select {
	case <-s.closed:
	case <-s.done:
	}
	return 0, errors.New("closed")
}

func (s *silent) Close() error {
	close(s.closed)
	return nil
}

// The time of a request holds for raw answers, too.
func TestRawAnswersThatFallSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, format.OpenAIAudio, func(r *http.Request) (*http.Response, error) {
			return rawAnswer("audio/mpeg", &silent{strings.NewReader("abc"), make(chan struct{}), r.Context().Done()})(r)
		})
		h.Timeouts.Total = caddy.Duration(time.Minute)
		began := time.Now()
		rec, aborted := ask(t, h, "/v1/audio/speech", "application/json", `{"model":"m","input":"x"}`)
		if took := time.Since(began); !aborted || took != time.Minute || rec.Body.String() != "abc" {
			t.Errorf("aborted: %t, after %v, body %q", aborted, took, rec.Body)
		}
	})
}

// A form above the limit is refused, and one below keeps its content type.
func TestFormLimits(t *testing.T) {
	var got struct{ contentType, model string }
	h := newHandler(t, format.OpenAIAudio, func(r *http.Request) (*http.Response, error) {
		got.contentType = r.Header.Get("Content-Type")
		_, params, err := mime.ParseMediaType(got.contentType)
		if err != nil {
			t.Error(err)
		}
		form, err := multipart.NewReader(r.Body, params["boundary"]).ReadForm(1 << 10)
		if err != nil {
			t.Error(err)
		} else {
			got.model = form.Value["model"][0]
		}
		return rawAnswer("text/plain", io.NopCloser(bytes.NewReader([]byte("hi"))))(r)
	})
	h.MaxBody = 256
	contentType := "multipart/form-data; boundary=" + boundary
	rec, _ := ask(t, h, "/v1/audio/transcriptions", contentType, formOf(field("model", "m")))
	if rec.Code != 200 || rec.Body.String() != "hi" || got.contentType != contentType || got.model == "m" {
		t.Errorf("status %d, body %q, upstream got %+v", rec.Code, rec.Body, got)
	}
	rec, _ = ask(t, h, "/v1/audio/transcriptions", contentType, formOf(field("model", "m"), field("file", strings.Repeat("x", 256))))
	if rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d: %s", rec.Code, rec.Body)
	}
}

package caddytest

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestImages: JSON goes through as it is, streams too, and errors fail over.
func TestImages(t *testing.T) {
	const answer = `{"created":1,"data":[{"b64_json":"aGk="}],"usage":{"input_tokens":7,"output_tokens":9,"total_tokens":16}}`
	const events = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"aA==\"}\n\nevent: image_generation.completed\ndata: {\"type\":\"image_generation.completed\"}\n\n"
	s := startService(t, func(w http.ResponseWriter, r servedRequest) {
		if strings.Contains(r.body, `"stream":true`) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, events)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
	})
	bad := answering(t, 200, "application/json", `{"error":{"message":"boom","type":"server_error"}}`)
	g := startGateway(t, fmt.Sprintf("upstream bad %s {\n formats openai_images\n}\nupstream one %s {\n formats openai_images\n}\nmodel m {\n source bad x\n source one real priority 2\n}", bad.url, s.url))
	resp, body := g.post("/v1/images/generations", `{"prompt":"a cat","model":"m","size":"1x1"}`)
	status(t, resp, body, 200)
	if body != answer || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("X-Gateway-Attempts") != "2" {
		t.Errorf("answer %s, headers %v", body, resp.Header)
	}
	got, _ := s.last(t)
	if got.path != "/v1/images/generations" || got.body != `{"prompt":"a cat","model":"real","size":"1x1"}` {
		t.Errorf("the upstream got %s %s", got.path, got.body)
	}
	if line := g.accessLine(t); line["tokens_in"] != 7.0 || line["tokens_out"] != 9.0 || line["failures"] != "server" {
		t.Errorf("the access log says %v", line)
	}
	resp, body = g.post("/v1/images/generations", `{"prompt":"a cat","model":"m","stream":true}`)
	status(t, resp, body, 200)
	if body != events || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		t.Errorf("got %v\n%s", resp.Header, body)
	}
}

// multipartBody is a form with the fields in order; a name that ends in @ is a
// file.
func multipartBody(t *testing.T, fields ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		var err error
		var part io.Writer
		if name, ok := strings.CutSuffix(fields[i], "@"); ok {
			part, err = w.CreateFormFile(name, "file.bin")
		} else {
			part, err = w.CreateFormField(fields[i])
		}
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(part, fields[i+1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.String()
}

// TestForms: the model is a field of a form, and the only thing that changes.
func TestForms(t *testing.T) {
	file := "RIFF\r\n--not the boundary\x00\xff\r\n\r\n"
	var got struct {
		sync.Mutex
		fields map[string]string
	}
	s := startService(t, func(w http.ResponseWriter, r servedRequest) {
		request, _ := http.NewRequest("POST", "/", strings.NewReader(r.body))
		request.Header.Set("Content-Type", r.contentType)
		form, err := request.MultipartReader()
		if err != nil {
			t.Errorf("the upstream got no form: %v", err)
			return
		}
		fields := map[string]string{}
		for {
			part, err := form.NextPart()
			if err != nil {
				if err != io.EOF {
					t.Errorf("reading the form: %v", err)
				}
				break
			}
			content, _ := io.ReadAll(part)
			fields[part.FormName()] = string(content)
		}
		got.Lock()
		got.fields = fields
		got.Unlock()
		if fields["response_format"] == "text" {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			io.WriteString(w, "hello\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"text":"hello"}`)
	})
	g := startGateway(t, served(s, "openai_audio openai_images"))
	for _, tc := range []struct {
		path, answer, contentType string
		fields                    []string
	}{
		{"/v1/audio/transcriptions", `{"text":"hello"}`, "application/json", []string{"file@", file, "model", "m", "language", "en"}},
		{"/v1/audio/translations", "hello\n", "text/plain; charset=utf-8", []string{"model", "m", "response_format", "text", "file@", file}},
		{"/v1/images/edits", `{"text":"hello"}`, "application/json", []string{"image[]@", file, "image[]@", file, "prompt", "x", "model", "m"}},
		{"/v1/images/edits", `{"text":"hello"}`, "application/json", []string{"api_base", "http://evil", "model", "m", "image@", file}},
	} {
		contentType, form := multipartBody(t, tc.fields...)
		resp, body := g.post(tc.path, form, "Content-Type", contentType)
		status(t, resp, body, 200)
		if body != tc.answer || resp.Header.Get("Content-Type") != tc.contentType {
			t.Errorf("%s: got %q, %v", tc.path, body, resp.Header)
		}
		asked, _ := s.last(t)
		if asked.path != tc.path || asked.contentType != contentType {
			t.Errorf("asked %s %s", asked.path, asked.contentType)
		}
		got.Lock()
		for i := 0; i+1 < len(tc.fields); i += 2 {
			name, want := strings.TrimSuffix(tc.fields[i], "@"), tc.fields[i+1]
			switch name {
			case "model":
				want = "real"
			case "api_base":
				want = ""
			}
			if got.fields[name] != want {
				t.Errorf("%s: the upstream got %s = %q, want %q", tc.path, name, got.fields[name], want)
			}
		}
		got.Unlock()
	}
	_, before := s.last(t)
	contentType, form := multipartBody(t, "file@", file, "model", "m")
	for name, tc := range map[string]struct{ contentType, body string }{
		"no boundary": {"multipart/form-data", form},
		"no form":     {contentType, "hello"},
		"no end":      {contentType, form[:len(form)/2]},
		"no model":    {contentType, strings.ReplaceAll(form, `"model"`, `"mode"`)},
		"two models":  {contentType, strings.ReplaceAll(form, `"file"`, `"model"`)},
	} {
		resp, body := g.post("/v1/audio/transcriptions", tc.body, "Content-Type", tc.contentType)
		if resp.StatusCode != 400 || !strings.Contains(body, `"invalid_request_error"`) {
			t.Errorf("%s: status %d: %s", name, resp.StatusCode, body)
		}
	}
	if _, after := s.last(t); after != before {
		t.Error("a broken form was sent on")
	}
}

// TestSpeech: bytes that are no JSON, as they come; and ones that break off.
func TestSpeech(t *testing.T) {
	sound := strings.Repeat("\x00\xff sound ", 10_000)
	s := startService(t, func(w http.ResponseWriter, r servedRequest) {
		w.Header().Set("Content-Type", "audio/mpeg")
		if strings.Contains(r.body, "broken") {
			w.WriteHeader(200)
			io.WriteString(w, sound)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, sound)
	})
	g := startGateway(t, served(s, "openai_audio"))
	resp, body := g.post("/v1/audio/speech", `{"model":"m","input":"hi","voice":"alloy"}`)
	status(t, resp, body, 200)
	if body != sound || resp.Header.Get("Content-Type") != "audio/mpeg" {
		t.Errorf("got %d bytes, %v", len(body), resp.Header)
	}
	got, _ := s.last(t)
	if got.path != "/v1/audio/speech" || got.header.Get("Accept") != "*/*" {
		t.Errorf("asked %s, %v", got.path, got.header)
	}
	resp = g.open(t.Context(), "/v1/audio/speech", `{"model":"m","input":"broken","voice":"alloy"}`)
	defer resp.Body.Close()
	if data, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a broken answer of %d bytes looks complete", len(data))
	}
	if line := g.accessLine(t); line["endpoint"] != "speech" {
		t.Errorf("the access log says %v", line)
	}
}

// TestRerank passes through, under both paths.
func TestRerank(t *testing.T) {
	const answer = `{"results":[{"index":1,"relevance_score":0.9}],"usage":{"prompt_tokens":5,"total_tokens":5}}`
	s := answering(t, 200, "application/json; charset=utf-8", answer)
	g := startGateway(t, served(s, "rerank"))
	for _, path := range []string{"/v1/rerank", "/rerank"} {
		resp, body := g.post(path, `{"model":"m","query":"q","documents":["a","b"]}`)
		status(t, resp, body, 200)
		got, _ := s.last(t)
		if body != answer || got.path != "/v1/rerank" || got.body != `{"model":"real","query":"q","documents":["a","b"]}` {
			t.Errorf("got %s; the upstream got %s %s", body, got.path, got.body)
		}
	}
}

package sdk

import (
	"encoding/json"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// recorded is the upstream of the answers in testdata, in every format.
var recorded *recording

// recording is a server that answers with the files of testdata, by the model and
// the format of a request, and keeps what it was asked. It is safe for concurrent
// use.
type recording struct {
	server *httptest.Server

	mu       sync.Mutex
	requests map[string][]byte // the last body, by model and format
}

// startRecorded starts a server. Its caller closes it.
func startRecorded() *recording {
	r := &recording{requests: map[string][]byte{}}
	r.server = httptest.NewServer(r)
	return r
}

// URL is the server's origin.
func (r *recording) URL() string { return r.server.URL }

// Close stops the server.
func (r *recording) Close() { r.server.Close() }

// last is the latest body that asked for a model in a format.
func (r *recording) last(model, format string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests[model+" "+format]
}

// ServeHTTP answers with a file.
func (r *recording) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	var asked struct {
		Model  string
		Stream bool
	}
	var body json.RawMessage
	err := json.NewDecoder(request.Body).Decode(&body)
	if err == nil {
		err = json.Unmarshal(body, &asked)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	format := ""
	switch path := request.URL.Path; {
	case strings.HasSuffix(path, "/chat/completions"):
		format = "chat"
	case strings.HasSuffix(path, "/responses"):
		format = "responses"
	case strings.HasSuffix(path, "/messages"):
		format = "messages"
	default:
		format = "gemini"
		_, resource, _ := strings.Cut(path, "/models/")
		var verb string
		asked.Model, verb, _ = strings.Cut(resource, ":")
		asked.Stream = verb == "streamGenerateContent"
	}
	r.mu.Lock()
	r.requests[asked.Model+" "+format] = body
	r.mu.Unlock()
	ending, kind := ".json", "application/json"
	if asked.Stream {
		ending, kind = ".sse", "text/event-stream"
	}
	content, err := os.ReadFile(filepath.Join("testdata", filepath.Base(asked.Model), format+ending))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	if _, err := w.Write(content); err != nil {
		log.Printf("the gateway left a recorded answer: %v", err)
	}
}

package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The golden streams are what the codecs make of all kinds of upstream streams.
// Here the vendors' own readers fold them, and must find what the codecs' neutral
// events say.

// said is what an answer holds, whatever its format.
type said struct {
	text     string // with refusals
	thinking string
	calls    []toolCall
}

// toolCall is a call in an answer. The arguments are decoded JSON, or the text
// itself if it is not JSON.
type toolCall struct {
	id, name  string
	arguments any
}

// call makes a call of its parts. No arguments at all stand for an empty object.
func call(id, name, arguments string) toolCall {
	out := toolCall{id: id, name: name, arguments: map[string]any{}}
	if arguments != "" && json.Unmarshal([]byte(arguments), &out.arguments) != nil {
		out.arguments = arguments
	}
	return out
}

// check compares what an SDK has found with what was said.
func (want said) check(t *testing.T, got said) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// goldens runs a test for each golden stream that the patterns below the folder
// format name. want is what its neutral events say; failed says that they end with
// an error.
func goldens(t *testing.T, test func(t *testing.T, stream []byte, want said, failed bool), patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join("..", "..", "format", filepath.FromSlash(pattern)))
		if err != nil || len(found) == 0 {
			t.Fatalf("no golden streams match %s: %v", pattern, err)
		}
		for _, path := range found {
			name := filepath.Base(filepath.Dir(path)) + "/" + strings.TrimSuffix(filepath.Base(path), ".golden.sse")
			t.Run(name, func(t *testing.T) {
				stream, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				want, failed := readEvents(t, filepath.Dir(path))
				test(t, stream, want, failed)
			})
		}
	}
}

// readEvents reads the neutral events of a golden case.
func readEvents(t *testing.T, dir string) (want said, failed bool) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*events.golden.txt"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("got events %v, %v; want one file", paths, err)
	}
	content, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	type open struct{ id, name, arguments string }
	calls, order := map[string]*open{}, []string{}
	for line := range strings.Lines(string(content)) {
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		switch {
		case words[0] == "error":
			failed = true
		case words[0] == "block" && words[2] == "tool_use":
			id, rest := unquote(t, words[3])
			name, _ := unquote(t, rest)
			calls[words[1]] = &open{id: id, name: name}
			order = append(order, words[1])
		case words[0] == "delta" && slices.Contains([]string{"arguments", "thinking", "text", "refusal"}, words[2]):
			piece, _ := unquote(t, words[3])
			switch words[2] {
			case "arguments":
				if c := calls[words[1]]; c != nil { // a server's own tools have some, too
					c.arguments += piece
				}
			case "thinking":
				want.thinking += piece
			default:
				want.text += piece
			}
		}
	}
	if failed {
		return want, true // its calls may be incomplete
	}
	for _, number := range order {
		c := calls[number]
		want.calls = append(want.calls, call(c.id, c.name, c.arguments))
	}
	return want, false
}

// unquote reads the Go string that a text begins with, and returns what follows it
// behind a space.
func unquote(t *testing.T, text string) (value, rest string) {
	t.Helper()
	quoted, err := strconv.QuotedPrefix(text)
	if err == nil {
		value, err = strconv.Unquote(quoted)
	}
	if err != nil {
		t.Fatalf("reading %s: %v", text, err)
	}
	return value, strings.TrimPrefix(text[len(quoted):], " ")
}

// replay is a client whose every request is answered with a stream.
func replay(stream []byte) *http.Client {
	return &http.Client{Transport: replayed(stream)}
}

// replayed answers with a stream.
type replayed []byte

func (stream replayed) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	return &http.Response{
		Status:     "200 OK",
		StatusCode: http.StatusOK,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     http.Header{"Content-Type": {"text/event-stream"}},
		Body:       io.NopCloser(bytes.NewReader(stream)),
		Request:    r,
	}, nil
}

// checkFailed checks that a stream that broke says so and does not look complete.
func checkFailed(t *testing.T, err error, complete bool) {
	t.Helper()
	if err == nil || complete {
		t.Errorf("got error %v, complete: %t; want an error and no end", err, complete)
	}
}

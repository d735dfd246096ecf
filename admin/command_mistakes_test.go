package admin

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// counted serves one answer, and counts the requests.
func counted(t *testing.T, contentType, answer string) (address string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Content-Type", contentType)
		w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), requests
}

// A site is no admin endpoint: what it answers is no event, no result and no config.
func TestAnswersOfSomebodyElse(t *testing.T) {
	for _, site := range []struct{ contentType, text string }{
		{"text/html; charset=utf-8", "<html></html>"},
		{"text/html", ""},
		{"application/json", "{}"},
	} {
		address, _ := counted(t, site.contentType, site.text)
		for _, line := range []string{"events", "events -q", "export --format caddyfile", "test"} {
			out, notes, code := run(t, append(words(line), "--address", address)...)
			if code != 1 || out != "" || !strings.Contains(notes, "is no management API: it answers with "+site.contentType) || strings.Contains(notes, "repeat") {
				t.Errorf("%s, %s: exit code %d, notes %q, got %q", site.contentType, line, code, notes, out)
			}
		}
	}
}

// A variable of a script that is not set is no name: what stands at the path without
// it is something else.
func TestEmptyWordsAreRefused(t *testing.T) {
	address, requests := counted(t, "application/json", "{}")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"model", "get", ""}, "MODEL is empty"},
		{[]string{"model", "rm", "a", ""}, "MODEL is empty"},
		{[]string{"model", "add", ""}, "NAME is empty"},
		{[]string{"source", "ls", ""}, "MODEL is empty"},
		{[]string{"source", "add", "m", "", "x"}, "UPSTREAM is empty"},
		{[]string{"model", "activate", "m", ""}, "SOURCE is empty"},
		{[]string{"circuit", "ls", ""}, "UPSTREAM is empty"},
		{[]string{"circuit", "reset", ""}, "UPSTREAM is empty"},
		{[]string{"backup", ""}, "FILE is empty"},
		{[]string{"test", ""}, "MODEL is empty"},
	} {
		_, notes, code := run(t, append(tc.args, "--address", address)...)
		if code != 2 || !strings.Contains(notes, tc.want) || requests.Load() != 0 {
			t.Errorf("%q: exit code %d after %d requests: %s", tc.args, code, requests.Load(), notes)
		}
	}
}

// What cannot be sent is said before anything is.
func TestRestoreWantsAFile(t *testing.T) {
	address, requests := counted(t, "application/json", "{}")
	name := t.TempDir()
	_, notes, code := run(t, "restore", name, "--yes", "--address", address)
	if code != 2 || requests.Load() != 0 || !strings.Contains(notes, name+" is no regular file") {
		t.Errorf("exit code %d after %d requests: %s", code, requests.Load(), notes)
	}
}

// A form of the output that a command does not have is not passed over in silence.
func TestOutputsThatACommandDoesNotHave(t *testing.T) {
	address, requests := counted(t, "application/json", "{}")
	for _, tc := range []struct{ line, want string }{
		{"chat small -o json", "prints what the model says"},
		{"chat small -q", "prints what the model says"},
		{"export --format caddyfile -o json", "--format caddyfile and --output json exclude each other"},
		{"export --format caddyfile -q", "--format caddyfile and --quiet exclude each other"},
	} {
		out, notes, code := runWith(t.Context(), "hello\n", append(words(tc.line), "--address", address)...)
		if code != 2 || out != "" || requests.Load() != 0 || !strings.Contains(notes, tc.want) {
			t.Errorf("%s: exit code %d after %d requests, notes %q, got %q", tc.line, code, requests.Load(), notes, out)
		}
	}
}

func TestQuietExportPrintsNames(t *testing.T) {
	address := serve(t, newMemory(t))
	tell(t, address, []step{
		{args: words("upstream add acme --url http://127.0.0.1:9/v1")},
		{args: words("model add writer --source acme:x")},
		{args: words("model add a/b --source acme:x")},
		{args: words("alias add w --model writer")},
	})
	if out, notes, code := run(t, "export", "-q", "--address", address); code != 0 || out != "acme\na/b\nwriter\nw\n" {
		t.Errorf("exit code %d, notes %q, got %q", code, notes, out)
	}
}

// A service may say in each chunk that there is no error.
func TestChatWithoutAnError(t *testing.T) {
	address, _ := counted(t, "text/event-stream",
		"data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}],\"error\":null}\n\ndata: [DONE]\n\n")
	out, notes, code := runWith(t.Context(), "Hi\n", "chat", "m", "--gateway", "http://"+address)
	if code != 0 || out != "Hello\n" || notes != "" {
		t.Errorf("exit code %d, notes %q, got %q", code, notes, out)
	}
}

// A name that is declared and managed stands in a list twice, and not always in
// neighbouring lines.
func TestNamesStandOnce(t *testing.T) {
	got, err := namesIn([]byte(`{"items":[{"name":"b"},{"name":"a"},{"name":"b"},{"id":"c"},{"name":"a"}]}`))
	if want := []string{"b", "a", "c"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}

// What is done is told in whole sentences, and JSON in whole lines.
func TestSentencesAndLines(t *testing.T) {
	address := serve(t, newMemory(t))
	tell(t, address, []step{
		{args: words("model add bare"), out: "model bare is added, revision 1; it has no usable source: it has no source\n"},
		{args: words("fetch nobody -o json"), code: 1, out: "}\n"},
	})
}

package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Shells are told the names that the server knows, for each place.
func TestCompletion(t *testing.T) {
	g := newMemory(t)
	address := serve(t, g)
	tell(t, address, []step{
		{args: words("model add writer --source house:small --source house:large")},
		{args: words("fetch")},
	})
	for _, tc := range []struct {
		line string // an underscore is the word that is being typed
		want string
	}{
		{"_", "alias backup catalogue chat check circuit convert events explain export fetch import model restore source status test upstream"},
		{"upstream get _", "house"},
		{"upstream add _", ""},
		{"upstream get house _", ""},
		{"model rm _", "guide writer"},
		{"model rm guide _", "writer"},
		{"source rm writer _", "house:large house:small"},
		{"source add writer house _", "large small"},
		{"source add writer _", "house"},
		{"model activate writer _", "house:large house:small"},
		{"catalogue import house _", "large small"},
		{"catalogue import house small _", "large"},
		{"explain _", "guide writer"},
		{"circuit open _", "house"},
		{"upstream add --provider _", "anthropic"},
		{"model ls --sort _", "created name order status updated"},
		{"status -o _", "json table"},
		{"status _", ""},
	} {
		args := append(strings.Fields("__complete ai --address "+address), strings.Fields(tc.line)...)
		args[len(args)-1] = "" // the underscore
		var got []string
		var out bytes.Buffer
		if code := executeAll(t.Context(), strings.NewReader(""), &out, io.Discard, args); code != 0 {
			t.Errorf("%s: exit code %d", tc.line, code)
		}
		for line := range strings.Lines(out.String()) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); word != "" && !strings.HasPrefix(word, ":") {
				got = append(got, word)
			}
		}
		slices.Sort(got)
		if text := strings.Join(got, " "); text != tc.want && !(strings.Contains(tc.line, "--provider") && slices.Contains(got, tc.want)) {
			t.Errorf("%s: got %q, want %q", tc.line, text, tc.want)
		}
	}
}

// asShell runs the test's binary as caddy, and returns what it prints.
func asShell(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCaddy+"=1")
	var notes bytes.Buffer
	cmd.Stderr = &notes
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, notes.String())
	}
	return string(out)
}

// A shell does not wait for a server that does not answer, and is told of no error.
func TestCompletionOfASilentServer(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	for _, address := range []string{silent.Listener.Addr().String(), freeAddress(t), "not an address:x:y"} {
		if got := asShell(t, "__complete", "ai", "--address", address, "upstream", "get", ""); strings.TrimSpace(got) != ":4" {
			t.Errorf("%s: got %q", address, got)
		}
	}
}

// Unknown commands and flags are answered with what was probably meant.
func TestSuggestions(t *testing.T) {
	address := serve(t, newMemory(t))
	tell(t, address, []step{
		{args: words("upstraem ls"), code: 2, notes: `did you mean "upstream"?`},
		{args: words("upstream lst"), code: 2, notes: `did you mean "ls"?`},
		{args: words("upstream ls --orign managed"), code: 2, notes: `unknown flag: --orign; did you mean "--origin"?`},
		{args: words("upstream ls --outptu json"), code: 2, notes: `did you mean "--output"?`},
		{args: words("upstream ls --zzzzzzzz"), code: 2, notes: "unknown flag: --zzzzzzzz\n"},
		{args: words("explain giude"), code: 0},
		{args: words("upstream get zzzzzzzz"), code: 1, notes: "there is no upstream \"zzzzzzzz\"\n"},
		{args: words("upstream ls -q -o json"), code: 2, notes: "exclude each other"},
	})
}

// Lists of several pages are one.
func TestPages(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		page := r.URL.Query().Get("page")
		first := map[string]int{"": 0, "2": 1000, "3": 2000}[page]
		answer := Page[Definition]{Items: []Definition{}, Total: 2500, Page: 1, PageSize: 1000}
		for i := first; i < min(first+1000, 2500); i++ {
			answer.Items = append(answer.Items, Definition{Name: fmt.Sprintf("m%04d", i), Spec: json.RawMessage(`{}`), Status: ModelStatus{}})
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	out, _, code := run(t, "model", "ls", "-q", "--q", "m", "--address", server.Listener.Addr().String())
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 2500 || lines[0] != "m0000" || lines[2499] != "m2499" {
		t.Errorf("exit code %d, %d lines", code, len(lines))
	}
	if want := "[page_size=1000&q=m page=2&page_size=1000&q=m page=3&page_size=1000&q=m]"; fmt.Sprint(asked) != want {
		t.Errorf("asked for %v", asked)
	}
	out, _, _ = run(t, "model", "ls", "-o", "json", "--address", server.Listener.Addr().String())
	var page Page[Definition]
	if err := json.Unmarshal([]byte(out), &page); err != nil || len(page.Items) != 2500 || page.Total != 2500 || page.PageSize != 2500 {
		t.Errorf("%v: %d of %d", err, len(page.Items), page.Total)
	}
}

// A request that changes something is not repeated once it may have reached the
// server; one that reached nobody is.
func TestChangesAreNotRepeated(t *testing.T) {
	for _, line := range []string{
		"model add m", "model set m --order 1", "model rm m", "source add m u x", "source rm m u:x", "test",
		"fetch u", "catalogue import u x", "backup /nonexistent/file", "upstream test u",
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var requests atomic.Int32
		server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			panic(http.ErrAbortHandler) // it was read, and nobody knows what was done
		})}}
		server.Start()
		_, notes, code := run(t, append(words(line), "--address", listener.Addr().String())...)
		server.Close()
		if code != 1 || requests.Load() != 1 || !strings.Contains(notes, "look before you repeat it") {
			t.Errorf("%s: exit code %d after %d requests: %s", line, code, requests.Load(), notes)
		}
	}
}

// A change that reached nobody is repeated once, after the pause.
func TestRefusedConnectionsAreRepeated(t *testing.T) {
	address := freeAddress(t)
	synctest.Test(t, func(t *testing.T) {
		c := client{ctx: t.Context(), address: address, pause: time.Hour}
		began := time.Now()
		_, err := c.send(&request{method: http.MethodPost, path: "/models"}, createRequest{Name: "m"})
		if lost, ok := errors.AsType[*unreachableError](err); !ok || lost.doubtful {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != time.Hour {
			t.Errorf("it took %v, want one pause", took)
		}
	})
}

// A status is shown again and again until it is interrupted.
func TestWatch(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	address := serve(t, newStub())
	seen := make(chan string)
	done := make(chan int)
	go func() {
		done <- execute(ctx, strings.NewReader(""), pieces(seen), pieces(seen), []string{"status", "--watch=1ms", "-o", "json", "--address", address})
	}()
	for range 3 {
		if text := <-seen; !strings.HasPrefix(text, `{"version":"v0.1.0"`) {
			t.Errorf("got %s", text)
		}
	}
	cancel()
	for {
		select {
		case <-seen:
		case code := <-done:
			if code != 0 {
				t.Errorf("exit code %d", code)
			}
			return
		}
	}
}

// The commands work over a Unix socket, too.
func TestUnixSocketOfCommands(t *testing.T) {
	dir, err := os.MkdirTemp("", "admin") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := newAPI(newMemory(t))
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.StripPrefix(base, a)}}
	server.Start()
	t.Cleanup(server.Close)
	tell(t, "unix/"+filepath.Join(dir, "s")+"|0200", []step{
		{args: words("model add a/b --source house:small"), out: "model a/b is added"},
		{args: words("model get a/b -q"), out: "a/b\n"},
		{args: words("test a/b"), out: "1 usable"},
		{args: words("events"), out: "model a/b is added"},
		{args: words("model rm a/b"), out: "deleted"},
	})
	tell(t, "unix/"+filepath.Join(dir, "other"), []step{{args: words("model ls"), code: 1, notes: "is Caddy running?"}})
}

// What the client sends is what Caddy's admin endpoint wants to see.
func TestRequestsOfTheClient(t *testing.T) {
	c := client{ctx: t.Context(), address: "[::1]:2019"}
	r, _, err := c.request(&request{method: http.MethodDelete, path: pathOf("models", "a/b .."), query: url.Values{"cascade": {"true"}}})
	if err != nil {
		t.Fatal(err)
	}
	if r.URL.String() != "http://[::1]:2019/ai_gateway/models/a%2Fb%20..?cascade=true" || r.Header.Get("Origin") != "http://[::1]:2019" || r.Header.Get("Content-Type") != "" {
		t.Errorf("got %s %v", r.URL, r.Header)
	}
	c.address = "unix//run/caddy.sock"
	r, _, err = c.request(&request{method: http.MethodPost, path: "/import", body: strings.NewReader("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if r.Host != "127.0.0.1" || r.Header.Get("Origin") != "" || r.ContentLength != 2 || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %s %d %v", r.Host, r.ContentLength, r.Header)
	}
	for _, address := range []string{"localhost:1-5", "udp/localhost:x", "not an address:x:y"} {
		c.address = address
		if _, _, err := c.request(&request{method: http.MethodGet, path: "/status"}); err == nil {
			t.Errorf("%s was accepted", address)
		}
	}
}

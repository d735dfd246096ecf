package admin

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// serve starts an admin server over the gateway and returns its address.
func serve(t *testing.T, g Gateway) string {
	t.Helper()
	a, _ := newAPI(g)
	mux := http.NewServeMux()
	mux.Handle(base+"/", http.StripPrefix(base, a))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// run runs caddy ai with the arguments, and returns what it printed and its exit
// code.
func run(t *testing.T, args ...string) (out, notes string, code int) {
	t.Helper()
	return runWith(t.Context(), "", args...)
}

// runWith runs caddy ai with an input, until the context ends.
func runWith(ctx context.Context, input string, args ...string) (out, notes string, code int) {
	var stdout, stderr bytes.Buffer
	code = execute(ctx, strings.NewReader(input), &stdout, &stderr, args)
	return stdout.String(), stderr.String(), code
}

// execute runs caddy ai.
func execute(ctx context.Context, in io.Reader, out, notes io.Writer, args []string) int {
	return executeAll(ctx, in, out, notes, append([]string{"ai"}, args...))
}

// executeAll runs caddy with the one command ai.
func executeAll(ctx context.Context, in io.Reader, out, notes io.Writer, args []string) int {
	root := &cobra.Command{Use: "caddy", SilenceUsage: true}
	ai := &cobra.Command{Use: "ai <command>"}
	build(ai)
	root.AddCommand(ai)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(notes)
	root.SetArgs(args)
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return 0
	case err.Error() == "exiting with status 2":
		return 2
	default:
		return 1
	}
}

// pieces passes on what is written, write by write.
type pieces chan<- string

func (l pieces) Write(text []byte) (int, error) {
	l <- string(text)
	return len(text), nil
}

// golden holds what a command printed against a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestTables(t *testing.T) {
	request := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(request, []byte(`{"n":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		args []string
	}{
		{"status", []string{"status"}},
		{"circuits", []string{"circuit", "ls"}},
		{"circuits_of_one", []string{"circuit", "ls", "a/b .."}},
		{"open_for", []string{"circuit", "open", "openai", "--for", "2h", "--reason", "maintenance"}},
		{"open_until", []string{"circuit", "open", "openai", "--until", "2026-12-01T08:30:00+01:00", "--reason", "maintenance"}},
		{"open_model", []string{"circuit", "open", "openai", "--model", "gpt-4o", "--reason", "bad answers"}},
		{"open_escaped", []string{"circuit", "open", "..", "--reason", "odd name"}},
		{"reset", []string{"circuit", "reset", "openai"}},
		{"reset_model", []string{"circuit", "reset", "openai", "--model", "gpt-4o"}},
		{"explain", []string{"explain", "writer", "--format", "gemini", "-f", request}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			out, notes, code := run(t, append(tc.args, "--address", serve(t, newStub()))...)
			if code != 0 || notes != "" {
				t.Errorf("exit code %d, notes %q", code, notes)
			}
			golden(t, tc.name, out)
		})
	}
}

// With -o json the API's own answer comes out.
func TestJSONIsUnchanged(t *testing.T) {
	g := newStub()
	address := serve(t, g)
	a, _ := newAPI(g)
	want := call(a, "GET", "/status", "").Body.String()
	if out, _, code := run(t, "status", "-o", "json", "--address", address); out != want || code != 0 {
		t.Errorf("exit code %d\ngot  %s\nwant %s", code, out, want)
	}
	want = call(a, "GET", "/circuits?page_size=1000", "").Body.String()
	if out, _, code := run(t, "circuit", "ls", "-o", "json", "--address", address); out != want || code != 0 {
		t.Errorf("exit code %d\ngot  %s\nwant %s", code, out, want)
	}
}

func TestExitCodes(t *testing.T) {
	broken := newStub()
	broken.state.Models[2].Usable = false
	lost := newStub()
	lost.answer.Sources, lost.answer.Usable, lost.answer.RetryAfter = lost.answer.Sources[2:], false, 30
	faulty := newStub()
	faulty.fault = errors.New("the roof is on fire")
	fine, closed := serve(t, newStub()), freeAddress(t)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	notJSON := filepath.Join(t.TempDir(), "request")
	if err := os.WriteFile(notJSON, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}

	cases := []struct {
		name, address string
		args          []string
		code          int
		notes         string // part of what is said; nothing may be if it is empty
	}{
		{"help", fine, nil, 0, ""},
		{"a model without a source", serve(t, broken), []string{"status"}, 1, ""},
		{"the same as JSON", serve(t, broken), []string{"status", "-o", "json"}, 1, ""},
		{"no source to explain", serve(t, lost), []string{"explain", "writer"}, 1, ""},
		{"unknown upstream", fine, []string{"circuit", "open", "opnai", "--reason", "x"}, 1, `Error: unknown upstream "opnai"`},
		{"refused field", fine, []string{"circuit", "open", "openai", "--reason", "x", "--for", "soon"}, 1, "Error: for: must be a time span"},
		{"fault of the server", serve(t, faulty), []string{"circuit", "ls"}, 1, "its log says more"},
		{"another server", elsewhere.Listener.Addr().String(), []string{"status"}, 1, "the server answered with HTTP 404"},

		{"unknown command", fine, []string{"statsu"}, 2, `unknown command "statsu" for "caddy ai"; did you mean "status"?`},
		{"unknown circuit command", fine, []string{"circuit", "close"}, 2, `unknown command "close" for "caddy ai circuit"`},
		{"unknown flag", fine, []string{"status", "--verbose"}, 2, "unknown flag: --verbose"},
		{"flag without its value", fine, []string{"status", "--output"}, 2, "needs an argument"},
		{"too many words", fine, []string{"status", "now"}, 2, `"now" is too much`},
		{"two upstreams", fine, []string{"circuit", "ls", "a", "b"}, 2, `"b" is too much`},
		{"no upstream", fine, []string{"circuit", "open", "--reason", "x"}, 2, "UPSTREAM is missing"},
		{"no model", fine, []string{"explain"}, 2, "MODEL is missing"},
		{"no reason", fine, []string{"circuit", "open", "openai"}, 2, "--reason is missing"},
		{"two ends", fine, []string{"circuit", "open", "openai", "--reason", "x", "--for", "1h", "--until", "2030-01-01T00:00:00Z"}, 2, "exclude each other"},
		{"unknown output", fine, []string{"status", "-o", "yaml"}, 2, "--output must be table or json"},
		{"adapter alone", fine, []string{"status", "--adapter", "caddyfile"}, 2, "--adapter needs --config"},
		{"file that is not there", fine, []string{"explain", "writer", "-f", "/nonexistent/request"}, 2, "no such file"},
		{"file that is not JSON", fine, []string{"explain", "writer", "-f", notJSON}, 2, "not one JSON document"},
		{"nobody there", closed, []string{"status"}, 1, "is Caddy running?"},
		{"no address", "not an address:x:y", []string{"status"}, 2, `"not an address:x:y" is no address of an admin endpoint`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, notes, code := run(t, append([]string{"--address", tc.address}, tc.args...)...)
			if code != tc.code {
				t.Errorf("exit code %d, want %d: %s", code, tc.code, notes)
			}
			if !strings.Contains(notes, tc.notes) || tc.notes == "" && notes != "" {
				t.Errorf("said %q, want %q", notes, tc.notes)
			}
		})
	}
}

// The exit codes are those of the process, too.
func TestExitCodesOfTheProcess(t *testing.T) {
	broken := newStub()
	broken.state.Models[2].Usable = false
	fine, sick := serve(t, newStub()), serve(t, broken)
	for _, tc := range []struct {
		args []string
		code int
	}{
		{[]string{"ai", "status", "--address", fine}, 0},
		{[]string{"ai", "status", "--address", sick}, 1},
		{[]string{"ai", "circuit", "reset", "opnai", "--address", fine}, 1},
		{[]string{"ai", "circuit", "open", "openai", "--address", fine}, 2},
		{[]string{"ai", "status", "--adress", fine}, 2},
		{[]string{"ai", "upstream", "ls", "--address", freeAddress(t)}, 1},
		{[]string{"ai", "upstream", "add", "x", "--credential", "plain", "--address", fine}, 2},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], tc.args...)
		cmd.Env = append(os.Environ(), asCaddy+"=1")
		out, err := cmd.CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			t.Fatal(err)
		} else if got := cmd.ProcessState.ExitCode(); got != tc.code {
			t.Errorf("%q: exit code %d, want %d (%v)\n%s", tc.args, got, tc.code, exit, out)
		}
		if strings.Contains(string(out), "Usage:") || strings.Contains(string(out), "exiting with") || strings.Count(string(out), "Error:") > 1 {
			t.Errorf("%q: says too much: %s", tc.args, out)
		}
	}
}

// A config may name the admin endpoint.
func TestAddressFromConfig(t *testing.T) {
	config := filepath.Join(t.TempDir(), "caddy.json")
	if err := os.WriteFile(config, []byte(`{"admin":{"listen":"`+serve(t, newStub())+`"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, notes, code := run(t, "status", "--config", config); code != 0 || !strings.Contains(out, "anthropic") {
		t.Errorf("exit code %d, notes %q: %s", code, notes, out)
	}
	if _, _, code := run(t, "status", "--config", "/nonexistent/caddy.json"); code != 2 {
		t.Errorf("a config that is not there: exit code %d", code)
	}
}

// The admin endpoint may be a Unix socket, with the bits of its mode behind.
func TestUnixSocket(t *testing.T) {
	// The path of a socket is short on all systems, that of a test's directory not.
	dir, err := os.MkdirTemp("", "admin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	a, logs := newAPI(newStub())
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.StripPrefix(base, a)}}
	server.Start()
	t.Cleanup(server.Close)
	for _, address := range []string{"unix/" + path, "unix/" + path + "|0200"} {
		if _, notes, code := run(t, "circuit", "reset", "openai", "--address", address); code != 0 {
			t.Errorf("%s: exit code %d, notes %q", address, code, notes)
		}
	}
	if logs.FilterMessage("circuit reset by hand").Len() != 2 {
		t.Errorf("logged %v", logs.All())
	}
}

// A reload replaces the admin endpoint, and a request may find it closed for a
// moment.
func TestRetryOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cut := &cutListener{Listener: listener}
	cut.cuts.Store(1)
	a, _ := newAPI(newStub())
	server := &httptest.Server{Listener: cut, Config: &http.Server{Handler: http.StripPrefix(base, a)}}
	server.Start()
	t.Cleanup(server.Close)

	c := client{ctx: t.Context(), address: listener.Addr().String()}
	if _, err := c.post("/upstreams/openai/circuit/open", openRequest{Reason: "x"}); err != nil {
		t.Errorf("cut once: %v", err)
	}
	cut.cuts.Store(2)
	_, err = c.get("/status", nil)
	if _, alone := errors.AsType[*unreachableError](err); !alone {
		t.Errorf("cut twice: %v", err)
	}
}

// cutListener closes its next connections at once, as many as cuts says.
type cutListener struct {
	net.Listener
	cuts atomic.Int32
}

func (l *cutListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || l.cuts.Load() == 0 {
			return conn, err
		}
		l.cuts.Add(-1)
		if err := conn.Close(); err != nil {
			return nil, err
		}
	}
}

func TestAnswersThatAreNotOurs(t *testing.T) {
	for _, tc := range []struct {
		status     int
		body, want string
	}{
		{403, `{"error":"client is not allowed"}`, "client is not allowed"},
		{404, `404 page not found`, "the server answered with HTTP 404"},
		{500, `{"error":5}`, "the server answered with HTTP 500"},
		{500, `{}`, "the server answered with HTTP 500"},
		{400, `{"error":{"code":"x","message":"a\u001b[2J","field":"f"}}`, "f: a\ufffd[2J"},
	} {
		if got := refusalIn(tc.status, []byte(tc.body)).Error(); got != tc.want {
			t.Errorf("%d %s: got %q, want %q", tc.status, tc.body, got, tc.want)
		}
	}
}

func TestColours(t *testing.T) {
	tab := table{columns: []string{"NAME", "STATE", "WHY"}}
	tab.row(text("a"), cell{"open", red}, text("x"))
	tab.row(text("longer"), cell{"closed", green}, text(""))
	tab.row(text("b\x1b[2J\tc"), text("?"), text("y"))
	var colourful, pale bytes.Buffer
	if err := errors.Join(tab.write(&colourful, true), tab.write(&pale, false)); err != nil {
		t.Fatal(err)
	}
	stripped := strings.NewReplacer(string(red), "", string(green), "", string(plain), "").Replace(colourful.String())
	if strings.Contains(stripped, "\x1b") || strings.Contains(pale.String(), "\x1b") {
		t.Errorf("a text steers the terminal:\n%q\n%q", stripped, pale.String())
	}
	if !strings.Contains(colourful.String(), string(red)+"open"+string(plain)) {
		t.Errorf("no red: %q", colourful.String())
	}
	want := "NAME      STATE    WHY\n" +
		"a         open     x\n" +
		"longer    closed   -\n" +
		"b\ufffd[2J\ufffdc   ?        y\n"
	if pale.String() != want || stripped != want {
		t.Errorf("got:\n%s\n%s\nwant:\n%s", pale.String(), stripped, want)
	}
	if coloured(&pale) {
		t.Error("a buffer is no terminal")
	}
}

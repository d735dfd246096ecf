package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// What was exported can be imported elsewhere, with secrets from the environment.
func TestExportImport(t *testing.T) {
	g := newMemory(t)
	address := serve(t, g)
	t.Setenv("TEST_KEY", "canary-0123456789")
	tell(t, address, []step{
		{args: words("upstream add acme --url http://127.0.0.1:9/v1 --credential env:TEST_KEY")},
		{args: words("model add writer --source acme:x")},
		{args: words("export --format caddyfile"), out: "ai_gateway\n"},
		{args: words("export --format yaml"), code: 2, notes: "--format must be json or caddyfile"},
	})
	exported, _, code := run(t, "export", "--address", address)
	if code != 0 || strings.Contains(exported, "canary") || !strings.Contains(exported, `"{env.AI_GATEWAY_ACME}"`) {
		t.Fatalf("exit code %d: %s", code, exported)
	}
	file := filepath.Join(t.TempDir(), "export.json")
	if err := os.WriteFile(file, []byte(exported), 0o600); err != nil {
		t.Fatal(err)
	}

	other := newMemory(t)
	elsewhere := serve(t, other)
	t.Setenv("AI_GATEWAY_ACME", "canary-another-one")
	tell(t, elsewhere, []step{
		{args: []string{"import", file, "--dry-run"}, out: "2 created, 0 changed, 0 unchanged; nothing was changed"},
		{args: words("model ls --origin managed -q"), out: ""},
		{args: []string{"import", file}, out: "2 created, 0 changed, 0 unchanged\n"},
	})
	if got := other.secretOf(t, "acme", "token"); got != "canary-another-one" {
		t.Errorf("the secret is %q", got)
	}
	t.Setenv("AI_GATEWAY_ACME", "")
	tell(t, elsewhere, []step{
		{args: []string{"import", "-"}, input: exported, out: "0 created, 0 changed, 2 unchanged", notes: "AI_GATEWAY_ACME is not set: the secret that is stored stays\n"},
		{args: []string{"import", "-"}, input: `{"upstreams":{"new":{"base_url":"ftp://x"}}}`, code: 1, notes: "upstreams.new.base_url: "},
		{args: []string{"import", "-"}, input: `{"upstreams":{"a":5}}`, code: 1, notes: "Error: "},
		{args: []string{"import", "-"}, input: `{`, code: 2, notes: "not one JSON document"},
		{args: []string{"import", "/nonexistent"}, code: 2, notes: "no such file"},
	})
	if got := other.secretOf(t, "acme", "token"); got != "canary-another-one" {
		t.Errorf("the secret is %q afterwards", got)
	}
}

// Nothing but whole stand-ins in credentials is filled, and numbers stay as they are.
func TestStandInsAreFilled(t *testing.T) {
	t.Setenv("AI_GATEWAY_A", `quote " and more`)
	t.Setenv("AI_GATEWAY_B", "")
	got, left := filled(json.RawMessage(`{"models":{"{env.AI_GATEWAY_A}":{"order":12345678901234567890}},"upstreams":{"u":{"base_url":"{env.AI_GATEWAY_A}",` +
		`"credentials":[{"token":"{env.AI_GATEWAY_A}","weight":1.50},{"token":"{env.AI_GATEWAY_B}"},{"token":"x{env.AI_GATEWAY_A}"},{"token":"{env.HOME}"}]}}}`))
	want := `{"models":{"{env.AI_GATEWAY_A}":{"order":12345678901234567890}},"upstreams":{"u":{"base_url":"{env.AI_GATEWAY_A}",` +
		`"credentials":[{"token":"quote \" and more","weight":1.50},{"token":"{env.AI_GATEWAY_B}"},{"token":"x{env.AI_GATEWAY_A}"},{"token":"{env.HOME}"}]}}}`
	if string(got) != want || fmt.Sprint(left) != "[AI_GATEWAY_B]" {
		t.Errorf("left %q, got\n%s\nwant\n%s", left, got, want)
	}
}

// A backup is written whole or not at all, and goes back as it came.
func TestBackupRestore(t *testing.T) {
	g := newMemory(t)
	g.backup = []byte(strings.Repeat("\x00backup", 100_000))
	address := serve(t, g)
	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	tell(t, address, []step{
		{args: []string{"backup", file}, out: "3 records, 700000 bytes; the server keeps it as monday"},
		{args: []string{"backup", filepath.Join(dir, "no", "such", "folder")}, code: 1, notes: "writing the backup"},
		{args: []string{"restore", file}, input: "y\n", code: 2, notes: "say --yes"},
		{args: []string{"restore", file, "--yes"}, out: "is restored"},
		{args: []string{"restore", "/nonexistent", "--yes"}, code: 2, notes: "no such file"},
	})
	if string(g.restored) != string(g.backup) {
		t.Errorf("%d bytes were restored", len(g.restored))
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v: %v", info, err)
	}

	// One that is cut leaves the file of before.
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
			w.Write([]byte(`{"name":"monday","bytes":700000}`))
			return
		}
		w.Write([]byte("short"))
	}))
	t.Cleanup(cut.Close)
	_, notes, code := run(t, "backup", file, "--address", cut.Listener.Addr().String())
	if code != 1 || !strings.Contains(notes, "it has 700000 bytes, but 5 came") {
		t.Errorf("exit code %d: %s", code, notes)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() != 700_000 {
		t.Errorf("the file of before is %v: %v", info, err)
	}
}

// Events that are kept are shown, and with -f those that come.
func TestEvents(t *testing.T) {
	g := newMemory(t)
	address := serve(t, g)
	g.events.Tell(EventCircuit, Circuit{CircuitKey: routing.CircuitKey{Scope: routing.ScopeUpstream, Upstream: "acme"}, State: routing.CircuitForcedOpen, Reason: "maintenance"})
	g.events.Tell(EventCatalogue, CatalogueEvent{Upstream: "acme", Added: 2, Gone: 1})
	g.events.Tell(EventCatalogue, CatalogueEvent{Upstream: "acme", Error: "no answer"})
	g.events.Tell("weather", map[string]string{"sky": "blue"})
	tell(t, address, []step{
		{args: words("model add writer --source house:small")},
		{args: words("model rm writer")},
	})
	out, notes, code := run(t, "events", "--address", address)
	if code != 0 || notes != "" {
		t.Errorf("exit code %d: %s", code, notes)
	}
	var lines []string
	for line := range strings.Lines(out) {
		_, rest, _ := strings.Cut(line, "UTC  ")
		lines = append(lines, rest)
	}
	golden(t, "events", strings.Join(lines, ""))

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := make(chan string, 100)
	done := make(chan int)
	go func() {
		done <- execute(ctx, strings.NewReader(""), pieces(seen), io.Discard, []string{"events", "-f", "-q", "--address", address})
	}()
	var got []string
	next := func() string {
		select {
		case text := <-seen:
			return text
		case <-ctx.Done():
			t.Fatal("no event came")
			return ""
		}
	}
	for range 6 {
		got = append(got, next())
	}
	// It is not known when the stream has begun, but nothing may be lost.
	g.events.Tell(EventCatalogue, CatalogueEvent{Upstream: "late", Added: 1})
	got = append(got, next())
	if want := "catalogue of late\n"; got[6] != want {
		t.Errorf("got %q", got)
	}
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("exit code %d after an interrupt", code)
	}
}

// A conversation goes through the gateway, with what was said before.
func TestChat(t *testing.T) {
	service := newService(t)
	address := serve(t, newMemory(t))
	t.Setenv("TEST_KEY", "canary-0123456789")
	gateway := []string{"--gateway", service.URL, "--address", address}
	chat := func(input string, args ...string) (string, string, int) {
		return runWith(t.Context(), input, append(append([]string{"chat"}, gateway...), args...)...)
	}
	out, notes, code := chat("Hello\n\nAnd more", "small", "--key", "env:TEST_KEY")
	if want := "You said: Hello (1)\nYou said: And more (3)\n"; code != 0 || out != want || notes != "" {
		t.Errorf("exit code %d, notes %q, got %q", code, notes, out)
	}
	if out, _, code := chat("One\n/exit\nTwo\n", "small"); code != 0 || out != "You said: One (1)\n" {
		t.Errorf("exit code %d, got %q", code, out)
	}
	if out, notes, code := chat("break off\nTwo\n", "small"); code != 1 || out != "You said: break off (1)\n" || !strings.Contains(notes, "the answer broke off") {
		t.Errorf("exit code %d, notes %q, got %q", code, notes, out)
	}
	if _, notes, code := chat("Hello\n", "missing"); code != 1 || !strings.Contains(notes, `there is no model "missing"`) {
		t.Errorf("exit code %d, notes %q", code, notes)
	}
	if out, notes, code := chat("Hello\n", "small", "--key", "canary-0123456789"); code != 2 || strings.Contains(out+notes, "canary") {
		t.Errorf("exit code %d, notes %q", code, notes)
	}
	tell(t, address, []step{
		{args: words("chat small --gateway localhost"), code: 2, notes: "--gateway takes a URL such as"},
		{args: words("chat small --gateway http://user:pass@localhost"), code: 2, notes: "without a user or a query"},
		{args: words("chat small --key -"), code: 2, notes: "the standard input is for the questions"},
		{args: words("chat small --gateway http://" + freeAddress(t)), input: "Hello", code: 1, notes: "no answer from the gateway"},
	})
	for gateway, want := range map[string]string{
		"http://h:1": "http://h:1/v1/chat/completions", "https://h/": "https://h/v1/chat/completions", "https://h/a/v1/": "https://h/a/v1/chat/completions",
	} {
		if got, err := chatURL(gateway); err != nil || got != want {
			t.Errorf("%s: got %s, %v", gateway, got, err)
		}
	}
}

// The key goes to the gateway and to nobody whom it names.
func TestChatKeepsItsKey(t *testing.T) {
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Host+" "+r.Header.Get("Authorization")+" "+r.URL.String())
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	t.Setenv("TEST_KEY", "canary")
	_, notes, code := runWith(t.Context(), "Hello\n", "chat", "m", "--gateway", server.URL, "--key", "env:TEST_KEY")
	want := strings.TrimPrefix(server.URL, "http://") + " Bearer canary /v1/chat/completions"
	if code != 1 || len(keys) != 1 || keys[0] != want || strings.Contains(notes, "canary") {
		t.Errorf("exit code %d, asked %q, notes %q", code, keys, notes)
	}
}

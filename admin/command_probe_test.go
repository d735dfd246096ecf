package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/probe"
)

// took is a latency in a table, with the spaces that its length decides.
var took = regexp.MustCompile(`(?:\d+ ms|LATENCY) +`)

// Probes come one by one, are shown as a table or as the API's own answer, and
// decide the exit code.
func TestTest(t *testing.T) {
	address := serve(t, newMemory(t))
	tell(t, address, []step{
		{args: words("test"), out: "1 usable, 0 error, 0 timeout, 0 unsupported\n"},
		{args: words("model add writer --source house:large --source house:missing")},
		{args: words("model add lost --source house:missing")},
		{args: words("model add empty")},
		{args: words("test writer guide -q")},
		{args: words("test -q"), code: 1, out: "empty\nlost\n"},
		{args: words("test writr"), code: 1, notes: `there is no model "writr"; did you mean "writer"?`},
		{args: words("test lost --debug"), code: 1, out: `> {"model":"missing"`},
		{args: words("test guide --timeout 1ms"), code: 1, notes: "timeout: must be from 100ms to 2m"},
		{args: words("test guide --timeout soon"), code: 2, notes: "--timeout takes a time"},
		{args: words("test guide --record --timeout 10s"), out: "1 usable"},
	})
	out, _, code := run(t, words("test writer lost --all-sources --address "+address)...)
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	golden(t, "test", took.ReplaceAllString(out, "TIME "))

	out, _, _ = run(t, words("test writer --all-sources -o json --address "+address)...)
	var p probes
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Results) != 2 || p.Summary != (probe.Summary{Total: 2, Usable: 1, Error: 1}) {
		t.Errorf("got %s", out)
	}
}

// A stream that ends before its summary is no result.
func TestTestBreaksOff(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/ai_gateway/probes" || r.Header.Get("Accept") != "text/event-stream" {
			t.Errorf("asked for %s as %s", r.URL, r.Header.Get("Accept"))
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Write([]byte("event: start\ndata: {\"models\":2}\n\nevent: result\ndata: {\"model\":\"a\",\"result\":\"usable\"}\n\n"))
	}))
	t.Cleanup(server.Close)
	_, notes, code := run(t, "test", "--address", server.Listener.Addr().String())
	if code != 1 || !strings.Contains(notes, "unexpected EOF") || asked != 1 {
		t.Errorf("exit code %d after %d requests: %s", code, asked, notes)
	}
}

func TestUnusableModels(t *testing.T) {
	got := unusableModels([]probe.Result{
		{Model: "pictures", Result: probe.Unsupported},
		{Model: "slow", Result: probe.TimedOut},
		{Model: "second", Result: probe.Failed},
		{Model: "second", Result: probe.Usable},
		{Model: "mixed", Result: probe.Unsupported},
		{Model: "mixed", Result: probe.Failed},
	})
	if strings.Join(got, " ") != "mixed slow" {
		t.Errorf("got %q", got)
	}
}

// An upstream is tested in stages, whether it is there or not.
func TestTestUpstream(t *testing.T) {
	service := newService(t)
	address := serve(t, newMemory(t))
	t.Setenv("TEST_KEY", "canary-wrong")
	file := filepath.Join(t.TempDir(), "upstream.json")
	if err := os.WriteFile(file, []byte(`{"base_url":"`+service.URL+`/v1","formats":["openai_chat"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tell(t, address, []step{
		{args: words("upstream test house"), out: "it lists 2 models"},
		{args: words("upstream test -f " + file), out: "it lists 2 models"},
		{args: words("upstream test -f " + file + " --model missing"), code: 1, out: "model not found"},
		{args: words("upstream test -f " + file + " --credential env:TEST_KEY"), code: 1, out: "what to do: give it a credential that the service takes"},
		{args: words("upstream test huose"), code: 1, notes: `did you mean "house"?`},
		{args: words("upstream test"), code: 2, notes: "name an upstream, or give its definition"},
		{args: words("upstream ls -q"), out: "house\n"},
	})
	if out, _, _ := run(t, words("upstream ls -q --address "+address)...); out != "house\n" {
		t.Errorf("a test has stored something: %q", out)
	}
}

// A check finds what is wrong with each upstream and model, and says what to do.
func TestCheck(t *testing.T) {
	g := newMemory(t)
	address := serve(t, g)
	tell(t, address, []step{
		{args: words("check"), out: "house   ok       it lists 2 models"},
		{args: words("check -q")},
	})
	t.Setenv("TEST_KEY", "canary-wrong")
	closed := freeAddress(t)
	house, _, _ := run(t, words("upstream get house -o json --address "+address)...)
	var d Definition
	if err := json.Unmarshal([]byte(house), &d); err != nil {
		t.Fatal(err)
	}
	tell(t, address, []step{
		{args: words("upstream add gone --formats openai_chat --url http://" + closed + "/v1")},
		{args: words("upstream add off --disabled --url http://" + closed + "/v1")},
		{args: words("upstream add refused -f - --credential env:TEST_KEY"), input: string(d.Spec)},
		{args: words("model add writer --source off:x")},
		{args: words("model add empty")},
		{args: words("check -q"), code: 1, out: "upstream gone\nupstream refused\nmodel empty\nmodel writer\n"},
	})
	out, _, code := run(t, words("check --address "+address)...)
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	golden(t, "check", spaces.ReplaceAllString(strings.ReplaceAll(out, closed, "127.0.0.1:1"), "  "))

	out, _, _ = run(t, words("check -o json --address "+address)...)
	var all struct {
		OK     bool      `json:"ok"`
		Checks []checked `json:"checks"`
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil || all.OK || len(all.Checks) != 7 {
		t.Errorf("%v: %s", err, out)
	}
}

// spaces are those between columns, whose width may depend on an address.
var spaces = regexp.MustCompile(` {2,}`)

// Every code has something that a person can do.
func TestFixes(t *testing.T) {
	for _, code := range []probe.Code{
		probe.CodeTimeout, probe.CodeAuthFailed, probe.CodeModelNotFound, probe.CodeRateLimited, probe.CodeQuotaExhausted,
		probe.CodeRequestInvalid, probe.CodeUpstreamUnavailable, probe.CodeResponseIncompatible, probe.CodeNetworkError,
		probe.CodeTLSError, probe.CodeNameNotResolved, probe.CodeNotConfigured, probe.CodeDisabled,
	} {
		if fixOf(code) == fixOf("") {
			t.Errorf("%s has no fix of its own", code)
		}
	}
}

// Catalogues are fetched, shown, and made models of.
func TestFetch(t *testing.T) {
	service := newService(t)
	list := []string{"small", "large"}
	for i := range 20 {
		list = append(list, fmt.Sprint("old-", i))
	}
	changing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"object":"list","data":[{"id":"` + strings.Join(list, `"},{"id":"`) + `"}]}`))
	}))
	t.Cleanup(changing.Close)
	address := serve(t, newMemory(t))
	tell(t, address, []step{
		{args: words("catalogue ls house"), out: "upstream house, never synced"},
		{args: words("fetch --preview"), out: "+ house  large\n+ house  small\n"},
		{args: words("catalogue ls house -q"), out: ""},
		{args: words("fetch"), out: "house      synced"},
		{args: words("fetch -q"), out: ""},
		{args: words("catalogue ls house -q"), out: "large\nsmall\n"},
		{args: words("catalogue ls house --q sma -q"), out: "small\n"},
		{args: words("catalogue ls house --status odd"), code: 1, notes: "status: unknown"},
		{args: words("catalogue import house large small"), out: "large   created"},
		{args: words("catalogue import house large"), out: "large   existing"},
		{args: append(words("catalogue import house"), "\x01"), code: 1, out: "failed"},
		{args: words("catalogue ls house"), out: "guide, small"},
		{args: words("upstream add lab --formats openai_chat --url " + changing.URL + "/v1")},
		{args: words("fetch lab -o json"), out: `"upstream":"lab"`},
		{args: words("upstream add off --disabled --url " + service.URL)},
		{args: words("fetch lab hose"), code: 1, out: `did you mean "house"?`},
		{args: words("fetch off"), out: "off        synced"},
	})
	list = []string{"large"}
	tell(t, address, []step{
		{args: words("fetch lab --preview"), out: "would be refused"},
		{args: words("fetch lab"), code: 1, out: "force"},
		{args: words("fetch lab --force"), out: "- lab  small\n"},
		{args: words("fetch -o json"), out: `"total":2`},
	})
}

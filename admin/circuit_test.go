package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// read decodes an answer that must be a success.
func read[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

func subjects(p Page[Circuit]) string {
	var all []string
	for _, c := range p.Items {
		all = append(all, c.subject())
	}
	return strings.Join(all, " | ")
}

func TestListCircuits(t *testing.T) {
	a, _ := newAPI(newStub())
	cases := []struct {
		target, want, tag string
		total             int
	}{
		{"/circuits", "a/b .., model m | openai | openai, model gpt-4o | openai, credential second", `"12"`, 4},
		{"/upstreams/openai/circuits", "openai | openai, model gpt-4o | openai, credential second", `"11"`, 3},
		{"/upstreams/a%2Fb%20../circuits", "a/b .., model m", `"1"`, 1},
		{"/upstreams/%2E%2E/circuits", "", `"0"`, 0},
		{"/circuits?status=open", "openai, model gpt-4o | openai, credential second", `"12"`, 2},
		{"/circuits?page_size=2&page=2", "openai, model gpt-4o | openai, credential second", `"12"`, 4},
		{"/circuits?page_size=3&page=2", "openai, credential second", `"12"`, 4},
		{"/circuits?page=9223372036854775807&page_size=1000", "", `"12"`, 4},
	}
	for _, tc := range cases {
		w := call(a, "GET", tc.target, "")
		page := read[Page[Circuit]](t, w)
		if got := subjects(page); got != tc.want || page.Total != tc.total || w.Header().Get("ETag") != tc.tag {
			t.Errorf("%s: got %q, total %d, tag %s; want %q, %d, %s", tc.target, got, page.Total, w.Header().Get("ETag"), tc.want, tc.total, tc.tag)
		}
		if strings.Contains(w.Body.String(), `"items":null`) {
			t.Errorf("%s: the list is null", tc.target)
		}
	}
}

func TestCircuitAsJSON(t *testing.T) {
	a, _ := newAPI(newStub())
	w := call(a, "GET", "/upstreams/openai/circuit?upstream_model=gpt-4o", "")
	want := `{"scope":"upstream_model","upstream":"openai","upstream_model":"gpt-4o","state":"open","class":"server","cause":"failures",` +
		`"reason":"5 failures in a row: server","until":"2026-11-21T12:00:12Z","openings":1,"generation":3,` +
		`"history":[{"time":"2026-11-21T12:00:00Z","from":"closed","to":"open","class":"server","status":529,"cause":"failures","generation":3}],` +
		`"failures":[{"time":"2026-11-21T12:00:00Z","class":"server","status":529}]}` + "\n"
	if w.Body.String() != want || w.Header().Get("ETag") != `"3"` {
		t.Errorf("got %s%s\nwant %s", w.Header().Get("ETag"), w.Body, want)
	}
	w = call(a, "GET", "/upstreams/openai/circuit?upstream_model=unseen", "")
	if want := `{"scope":"upstream_model","upstream":"openai","upstream_model":"unseen","state":"closed","generation":1}` + "\n"; w.Body.String() != want {
		t.Errorf("without traffic: got %s\nwant %s", w.Body, want)
	}
}

func TestOpenCircuit(t *testing.T) {
	cases := []struct {
		name, body string
		until      time.Time
		model      string
		tag        string
	}{
		{"until it is reset", `{"reason":"x"}`, time.Time{}, "", `"8"`},
		{"for a time", `{"reason":"x","for":"90m"}`, noon.Add(90 * time.Minute), "", `"8"`},
		{"for days", `{"reason":"x","for":"2d"}`, noon.Add(48 * time.Hour), "", `"8"`},
		{"until a time elsewhere", `{"reason":"x","until":"2026-11-21T14:00:00+01:00"}`, noon.Add(time.Hour), "", `"8"`},
		{"a model", `{"reason":"x","upstream_model":"gpt-4o"}`, time.Time{}, "gpt-4o", `"4"`},
		{"a model without traffic", `{"reason":"x","upstream_model":"o/3"}`, time.Time{}, "o/3", `"2"`},
		{"a reason between spaces", `{"reason":"  x "}`, time.Time{}, "", `"8"`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			g := newStub()
			a, logs := newAPI(g)
			w := call(a, "POST", "/upstreams/openai/circuit/open", tc.body)
			got := read[Circuit](t, w)
			if got.State != routing.CircuitForcedOpen || got.Reason != "x" || got.Actor != "admin" || !got.Until.Equal(tc.until) || got.Model != tc.model {
				t.Errorf("got %+v", got)
			}
			if w.Header().Get("ETag") != tc.tag {
				t.Errorf("tag %s, want %s", w.Header().Get("ETag"), tc.tag)
			}
			entry := logs.FilterMessage("circuit opened by hand").All()
			if len(entry) != 1 || entry[0].ContextMap()["remote"] != "192.0.2.1" || entry[0].ContextMap()["reason"] != "x" {
				t.Errorf("logged %v", logs.All())
			}
		})
	}
}

// A name may hold anything that is escaped.
func TestNamesAreSegments(t *testing.T) {
	g := newStub()
	a, _ := newAPI(g)
	for _, name := range []string{"a/b ..", ".."} {
		got := read[Circuit](t, call(a, "POST", "/upstreams/"+segment(name)+"/circuit/open", `{"reason":"x"}`))
		if got.Upstream != name {
			t.Errorf("opened %q, want %q", got.Upstream, name)
		}
	}
}

func TestResetCircuit(t *testing.T) {
	g := newStub()
	a, logs := newAPI(g)
	w := call(a, "POST", "/upstreams/openai/circuit/reset", "")
	page := read[Page[Circuit]](t, w)
	if got, want := subjects(page), "openai | openai, model gpt-4o | openai, credential second"; got != want || page.Total != 3 {
		t.Errorf("got %q", got)
	}
	for _, c := range page.Items {
		if c.State != routing.CircuitClosed {
			t.Errorf("%s is %s", c.subject(), c.State)
		}
	}
	if w.Header().Get("ETag") != `"14"` {
		t.Errorf("tag %s", w.Header().Get("ETag"))
	}
	page = read[Page[Circuit]](t, call(a, "POST", "/upstreams/openai/circuit/reset", `{"upstream_model":"gpt-4o"}`))
	if got := subjects(page); got != "openai, model gpt-4o" {
		t.Errorf("got %q", got)
	}
	if got := fmt.Sprint(g.resets); got != "[admin openai  admin openai gpt-4o]" {
		t.Errorf("resets %s", got)
	}
	if logs.FilterMessage("circuit reset by hand").Len() != 2 {
		t.Errorf("logged %v", logs.All())
	}
}

func TestIfMatch(t *testing.T) {
	const open, reset = "/upstreams/openai/circuit/open", "/upstreams/openai/circuit/reset"
	cases := []struct{ name, path, body, match string }{
		{"the upstream's own generation", open, `{"reason":"x"}`, `"7"`},
		{"one of several", open, `{"reason":"x"}`, `"1", "7"`},
		{"without quotes", open, `{"reason":"x"}`, `7`},
		{"any", open, `{"reason":"x"}`, `*`},
		{"the model's generation", open, `{"reason":"x","upstream_model":"gpt-4o"}`, `"3"`},
		{"a circuit without traffic", open, `{"reason":"x","upstream_model":"new"}`, `"1"`},
		{"all of the upstream", reset, `{}`, `"11"`},
		{"reset of a model", reset, `{"upstream_model":"gpt-4o"}`, `"3"`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			a, _ := newAPI(newStub())
			if w := call(a, "POST", tc.path, tc.body, "If-Match", tc.match); w.Code != http.StatusOK {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			if tc.match == "*" {
				return
			}
			if w := call(a, "POST", tc.path, tc.body, "If-Match", tc.match); w.Code != http.StatusPreconditionFailed {
				t.Errorf("again: got %d %s", w.Code, w.Body)
			}
		})
	}
}

// Of several people who saw the same state one gets through, also when each came
// in by another mount of the API.
func TestOnlyOneOfTwoAdminsWins(t *testing.T) {
	g := newStub()
	var wg sync.WaitGroup
	codes := make([]int, 8)
	for i := range codes {
		a, _ := newAPI(g)
		wg.Go(func() {
			codes[i] = call(a, "POST", "/upstreams/openai/circuit/open", `{"reason":"x"}`, "If-Match", `"7"`).Code
		})
	}
	wg.Wait()
	won := 0
	for _, code := range codes {
		switch code {
		case http.StatusOK:
			won++
		case http.StatusPreconditionFailed:
		default:
			t.Errorf("status %d", code)
		}
	}
	if won != 1 || len(g.opened) != 1 {
		t.Errorf("%d won, %d changes", won, len(g.opened))
	}
}

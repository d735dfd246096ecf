package admin

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"
)

// eventful is a gateway that has nothing but events.
type eventful struct {
	Gateway
	events Events
}

func (g *eventful) Events() *Events { return &g.events }

// idsOf reads the ids of a stream of events.
func idsOf(stream string) string {
	var ids []string
	for line := range strings.Lines(stream) {
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			ids = append(ids, strings.TrimSpace(id))
		}
	}
	return strings.Join(ids, " ")
}

// TestEventsResume: who comes back with an id gets what came after it, as far as it is
// kept; who comes for the first time gets what comes, and one of an earlier process all.
func TestEventsResume(t *testing.T) {
	for name, tc := range map[string]struct {
		told  int
		after string
		want  string
	}{
		"new":             {3, "", ""},
		"in the middle":   {3, "1", "2 3"},
		"at the end":      {3, "3", ""},
		"earlier process": {3, "900", "1 2 3"},
		"long ago":        {keptEvents + 2, "1", fmt.Sprintf("3 %d", keptEvents+2)},
	} {
		t.Run(name, func(t *testing.T) {
			g := new(eventful)
			for range tc.told {
				g.events.Tell(EventCatalogue, CatalogueEvent{Upstream: "u"})
			}
			a, _ := newAPI(g)
			ctx, leave := context.WithCancel(t.Context())
			leave() // what was missed is sent all the same
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil)
			r.Header.Set("Last-Event-ID", tc.after)
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			got := idsOf(w.Body.String())
			if words := strings.Fields(got); name == "long ago" && len(words) == keptEvents {
				got = words[0] + " " + words[len(words)-1]
			}
			if got != tc.want {
				t.Errorf("after %q of %d came %q, want %q", tc.after, tc.told, got, tc.want)
			}
		})
	}
	a, _ := newAPI(new(eventful))
	if w := call(a, http.MethodGet, "/events?after=x", ""); w.Code != http.StatusBadRequest || gjson.Get(w.Body.String(), "error.field").String() != "after" {
		t.Errorf("an id that is none: %d %s", w.Code, w.Body)
	}
}

// stuck is the answer to a client that takes nothing: a write lasts until its deadline.
type stuck struct {
	*httptest.ResponseRecorder
	mu       sync.Mutex
	deadline time.Time
	free     bool // the first write goes through
}

func (s *stuck) SetWriteDeadline(at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = at
	return nil
}

func (s *stuck) Write(p []byte) (int, error) {
	s.mu.Lock()
	at, free := s.deadline, s.free
	s.free = false
	s.mu.Unlock()
	if free {
		return len(p), nil
	}
	if at.IsZero() {
		select {} // for ever
	}
	time.Sleep(time.Until(at)) // in a bubble
	return 0, os.ErrDeadlineExceeded
}

// TestSlowReaderIsCut: a reader that takes nothing is sent away in time, whoever tells
// of events does not wait for it, and another reader gets all of them.
func TestSlowReaderIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(eventful)
		a, _ := newAPI(g)
		slow := &stuck{ResponseRecorder: httptest.NewRecorder(), free: true}
		began, ended := time.Now(), make(chan time.Duration, 1)
		go func() {
			a.ServeHTTP(slow, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events", nil))
			ended <- time.Since(began)
		}()
		ctx, leave := context.WithCancel(t.Context())
		good := httptest.NewRecorder()
		done := make(chan bool)
		go func() {
			defer close(done)
			a.ServeHTTP(good, httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil))
		}()
		synctest.Wait()
		const told = 3 * queuedEvents
		for range told {
			g.events.Tell(EventCatalogue, CatalogueEvent{Upstream: "u"})
			synctest.Wait() // the good reader keeps up
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("telling waited for %s", took)
		}
		if took := <-ended; took > writeLimit {
			t.Errorf("the slow reader held on for %s", took)
		}
		leave()
		<-done
		if n := len(strings.Fields(idsOf(good.Body.String()))); n != told {
			t.Errorf("the other reader got %d events of %d", n, told)
		}
		if !slow.deadline.IsZero() {
			t.Error("the connection keeps the deadline of a stream that is over")
		}
	})
}

// TestEventReadersAreLimited: one too many is told so, and a place that is left is
// free again; Close sends all away.
func TestEventReadersAreLimited(t *testing.T) {
	g := new(eventful)
	a, _ := newAPI(g)
	server := httptest.NewServer(a)
	defer server.Close()
	var readers []*http.Response
	for range maxReaders {
		resp, err := http.Get(server.URL + "/events")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		readers = append(readers, resp)
	}
	if w := call(a, http.MethodGet, "/events", ""); w.Code != http.StatusServiceUnavailable || gjson.Get(w.Body.String(), "error.code").String() != "too_many_readers" {
		t.Errorf("one too many: %d %s", w.Code, w.Body)
	}
	g.events.Tell(EventCatalogue, CatalogueEvent{Upstream: "u"})
	g.events.Close()
	for _, resp := range readers {
		lines := bufio.NewScanner(resp.Body)
		var body strings.Builder
		for lines.Scan() {
			body.WriteString(lines.Text() + "\n")
		}
		if err := lines.Err(); err != nil || idsOf(body.String()) != "1" {
			t.Fatalf("a reader got %q (%v)", body.String(), err)
		}
	}
	if w := call(a, http.MethodGet, "/events", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("after the end: %d", w.Code)
	}
	g.events.Tell(EventCatalogue, nil) // nobody is there; it does not panic
}

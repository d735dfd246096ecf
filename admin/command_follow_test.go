package admin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// following runs a command that goes on until it is interrupted: as soon as it has
// printed the text. It returns what was printed, and the notes.
func following(t *testing.T, address string, cmd *cobra.Command, do func(*session, *cobra.Command, []string) error, flag, value, until string) (out, notes string, err error) {
	t.Helper()
	if err := cmd.Flags().Set(flag, value); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var told bytes.Buffer
	seen := &watched{until: until, end: cancel}
	s := &session{client: client{ctx: ctx, address: address, pause: time.Millisecond}, out: seen, notes: &told, quiet: true}
	err = do(s, cmd, nil)
	return seen.String(), told.String(), err
}

// watched ends something when it has seen a text.
type watched struct {
	bytes.Buffer
	until string
	end   func()
}

func (w *watched) Write(text []byte) (int, error) {
	n, err := w.Buffer.Write(text)
	if strings.Contains(w.String(), w.until) {
		w.end()
	}
	return n, err
}

// refused is the answer of an admin endpoint whose config has no gateway: before its
// apps have started, and after they have stopped.
func refused(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"code":%q,"message":"not now"}}`, code)
}

// While a server restarts its admin endpoint answers, and has no gateway yet or not
// any more. Who follows the events waits for it.
func TestEventsOverARestart(t *testing.T) {
	var follows atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("follow") == "false" {
			w.Header().Set("Content-Type", "text/event-stream")
			return
		}
		switch follows.Add(1) {
		case 1:
			refused(w, http.StatusNotFound, "not_configured")
		case 2:
			refused(w, http.StatusServiceUnavailable, "too_many_readers")
		case 3:
			refused(w, http.StatusInternalServerError, "internal")
		default:
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "id: 1\nevent: catalogue\ndata: {\"id\":1,\"type\":\"catalogue\",\"data\":{\"upstream\":\"late\"}}\n\n")
		}
	}))
	t.Cleanup(server.Close)
	out, notes, err := following(t, server.Listener.Addr().String(), eventsCommand(), events, "follow", "true", "late")
	if err != nil || out != "catalogue of late\n" || follows.Load() != 4 {
		t.Errorf("%v after %d requests, notes %q, got %q", err, follows.Load(), notes, out)
	}
}

// A server that has never had a gateway is not waited for.
func TestEventsOfNoGateway(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refused(w, http.StatusNotFound, "not_configured")
	}))
	t.Cleanup(server.Close)
	if _, notes, code := run(t, "events", "-f", "--address", server.Listener.Addr().String()); code != 1 || !strings.Contains(notes, "not now") {
		t.Errorf("exit code %d, notes %q", code, notes)
	}
}

// What happens between the list of what was and the stream of what comes is in the
// stream, also if it is the first of all.
func TestFirstEventIsNotLost(t *testing.T) {
	g := newMemory(t)
	a, _ := newAPI(g)
	server := httptest.NewServer(http.StripPrefix(base, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("follow") == "true" {
			a.ServeHTTP(begun{w, func() { g.events.Tell(EventCatalogue, CatalogueEvent{Upstream: "second"}) }}, r)
			return
		}
		a.ServeHTTP(w, r)
		g.events.Tell(EventCatalogue, CatalogueEvent{Upstream: "first"})
	})))
	t.Cleanup(server.Close)
	out, notes, err := following(t, server.Listener.Addr().String(), eventsCommand(), events, "follow", "true", "second")
	if want := "catalogue of first\ncatalogue of second\n"; err != nil || out != want {
		t.Errorf("%v, notes %q, got %q, want %q", err, notes, out, want)
	}
}

// begun does something when an answer has begun.
type begun struct {
	http.ResponseWriter
	do func()
}

func (w begun) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	w.do()
}

func (w begun) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// The id with which a reader asks for everything is one that no server gives out.
func TestEverythingIsAskedFor(t *testing.T) {
	e := new(Events)
	e.Tell("x", nil)
	if missed, _, ok := e.follow(math.MaxUint64); !ok || len(missed) != 1 {
		t.Errorf("got %v, %t", missed, ok)
	}
}

// A status that is watched comes back when the server does.
func TestWatchOverARestart(t *testing.T) {
	var asked atomic.Int32
	a, _ := newAPI(newStub())
	server := httptest.NewServer(http.StripPrefix(base, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			refused(w, http.StatusNotFound, "not_configured")
			return
		}
		a.ServeHTTP(w, r)
	})))
	t.Cleanup(server.Close)
	cmd := statusCommand()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := cmd.Flags().Set("watch", "1ms"); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	seen := &watched{until: "gateway v0.1.0", end: cancel}
	s := &session{client: client{ctx: ctx, address: server.Listener.Addr().String(), pause: time.Millisecond}, out: seen, notes: &told}
	if err := showStatus(s, cmd, nil); err != nil || !strings.Contains(told.String(), "not now") || !strings.Contains(seen.String(), "gateway v0.1.0") {
		t.Errorf("%v, notes %q, got %q", err, told.String(), seen.String())
	}
}

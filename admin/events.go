package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// Event is a change that people and programs may want to know of.
type Event struct {
	// ID counts the events of this process, from 1.
	ID uint64 `json:"id"`
	// Type is circuit, definition or catalogue.
	Type string    `json:"type"`
	Time time.Time `json:"time"`
	// Data is what has changed: a Circuit, a DefinitionEvent or a CatalogueEvent.
	Data any `json:"data"`
}

// The types of events.
const (
	EventCircuit    = "circuit"
	EventDefinition = "definition"
	EventCatalogue  = "catalogue"
)

// DefinitionEvent tells of a definition that was created, changed or deleted.
type DefinitionEvent struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	What     string `json:"what"`
	Revision uint64 `json:"revision"`
	Actor    string `json:"actor,omitempty"`
}

// CatalogueEvent tells of a sync that has changed a catalogue, or failed.
type CatalogueEvent struct {
	Upstream string `json:"upstream"`
	Added    int    `json:"added"`
	Gone     int    `json:"gone"`
	Changed  int    `json:"changed"`
	Error    string `json:"error,omitempty"`
}

const (
	// keptEvents is how many events somebody can come back for.
	keptEvents = 512
	// queuedEvents is how far a reader may be behind.
	queuedEvents = 128
	// maxReaders is how many may follow the events at once.
	maxReaders = 64
)

// Events passes events on to whoever follows them, and keeps the last ones for
// those who come back. Telling never waits: a reader that is too slow is sent
// away. It lives across reloads. The zero value is ready for use, and safe for
// concurrent use.
type Events struct {
	mu      sync.Mutex
	last    uint64
	kept    []Event
	readers map[chan Event]bool
	closed  bool
}

// Close sends all readers away, because nothing is told any more.
func (e *Events) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for reader := range e.readers {
		close(reader)
	}
	clear(e.readers)
}

// Tell tells of a change.
func (e *Events) Tell(kind string, data any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	event := Event{ID: e.last, Type: kind, Time: time.Now().UTC(), Data: data}
	if len(e.kept) == keptEvents {
		e.kept = slices.Delete(e.kept, 0, 1)
	}
	e.kept = append(e.kept, event)
	for reader := range e.readers {
		select {
		case reader <- event:
		default:
			delete(e.readers, reader)
			close(reader)
		}
	}
}

// follow begins to listen: events after the given one that are still there, and a
// channel of those that come. The channel is closed when the reader is too slow.
// It is false if there are too many readers. An id that was not given out yet is one
// of an earlier process: its reader gets all that is there.
func (e *Events) follow(after uint64) (missed []Event, next chan Event, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.readers) >= maxReaders {
		return nil, nil, false
	}
	if after > e.last {
		missed = slices.Clone(e.kept)
	} else if after > 0 {
		i := slices.IndexFunc(e.kept, func(x Event) bool { return x.ID > after })
		if i >= 0 {
			missed = slices.Clone(e.kept[i:])
		}
	}
	next = make(chan Event, queuedEvents)
	if e.readers == nil {
		e.readers = make(map[chan Event]bool)
	}
	e.readers[next] = true
	return missed, next, true
}

// replay sends the events after one that are still there, and ends.
func (e *Events) replay(w http.ResponseWriter, after uint64) error {
	e.mu.Lock()
	kept := slices.Clone(e.kept)
	e.mu.Unlock()
	stream := newEventStream(w)
	defer stream.end()
	for _, event := range kept {
		if event.ID > after {
			stream.event(event)
		}
	}
	return nil // a reader that has left is no failure of ours
}

// leave ends what follow has begun.
func (e *Events) leave(next chan Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.readers, next)
}

// keepAlive is how long an event stream is silent at most.
const keepAlive = 15 * time.Second

// events answers GET /events with a stream of server-sent events. A reader that
// comes back sends the last id it has seen as Last-Event-ID. With follow=false it is
// sent the events that are kept, and the stream ends.
func (a *API) events(g Gateway, w http.ResponseWriter, r *http.Request) error {
	after, err := lastEvent(r)
	if err != nil {
		return err
	}
	switch r.URL.Query().Get("follow") {
	case "", "true":
	case "false":
		return g.Events().replay(w, after)
	default:
		return invalid("follow", "must be true or false")
	}
	missed, next, ok := g.Events().follow(after)
	if !ok {
		return &Error{Status: http.StatusServiceUnavailable, Code: "too_many_readers", Message: fmt.Sprintf("%d readers follow the events already", maxReaders)}
	}
	defer g.Events().leave(next)
	stream := newEventStream(w)
	defer stream.end()
	for _, event := range missed {
		stream.event(event)
	}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for stream.err == nil {
		select {
		case <-r.Context().Done():
			return nil
		case <-alive.C:
			stream.comment()
		case event, open := <-next:
			if !open {
				return nil // the reader comes back for what it missed
			}
			stream.event(event)
		}
	}
	return nil
}

// lastEvent is the last event that a reader has seen; 0 if it has just come.
func lastEvent(r *http.Request) (uint64, error) {
	text := strings.TrimSpace(r.Header.Get("Last-Event-ID"))
	if text == "" {
		text = r.URL.Query().Get("after")
	}
	if text == "" {
		return 0, nil
	}
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, invalid("after", "must be the id of an event")
	}
	return id, nil
}

// writeLimit is how long a reader may take none of what is sent to it.
const writeLimit = 15 * time.Second

// eventStream writes server-sent events. A reader that takes nothing ends it, so that
// it holds nothing of ours for longer than writeLimit.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error // the reader is gone
}

// newEventStream begins the answer.
func newEventStream(w http.ResponseWriter) *eventStream {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no")
	s := &eventStream{w: w, control: http.NewResponseController(w)}
	w.WriteHeader(http.StatusOK)
	s.comment()
	return s
}

// event writes one of the events that are told.
func (s *eventStream) event(e Event) { s.send(e.Type, strconv.FormatUint(e.ID, 10), e) }

// send writes an event with its data as JSON.
func (s *eventStream) send(kind, id string, data any) {
	body, err := json.Marshal(data)
	if err != nil {
		s.err = fmt.Errorf("writing an event: %w", err)
		return
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	s.write(id + "event: " + kind + "\ndata: " + string(body) + "\n\n")
}

// comment writes what means nothing, so that nobody on the way takes the stream
// for dead.
func (s *eventStream) comment() { s.write(":\n\n") }

func (s *eventStream) write(text string) {
	if s.err != nil {
		return
	}
	// Where there are no deadlines, whoever serves has its own.
	_ = s.control.SetWriteDeadline(time.Now().Add(writeLimit))
	if _, s.err = s.w.Write([]byte(text)); s.err == nil {
		s.err = s.control.Flush()
	}
}

// end leaves the connection to what follows on it.
func (s *eventStream) end() { _ = s.control.SetWriteDeadline(time.Time{}) }

// CircuitEvent is what an event tells of a circuit.
func CircuitEvent(r routing.CircuitRecord) Circuit {
	return Circuit{
		CircuitKey: r.Key, State: r.State, Class: r.Class, Cause: r.Cause, Reason: r.Reason, Actor: r.Actor,
		Since: r.OpenedAt, Until: r.OpenUntil, Openings: r.Openings, Generation: r.Generation,
	}
}

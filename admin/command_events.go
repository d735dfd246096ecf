package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

func eventsCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "events [-f]",
		Short: "Shows what has changed of late",
		Long: `
Shows the last changes of circuits, definitions and catalogues that the server
remembers: up to 512 since it was started. With -f it goes on with those that come,
also over reloads and restarts, until it is interrupted. With -o json each event is
a line.`,
	}, events)
	cmd.Flags().BoolP("follow", "f", false, "Go on with those that come")
	return cmd
}

// told is an event whose data is read later, when its type is known.
type told struct {
	Event
	Data json.RawMessage `json:"data"`
}

// events prints GET events.
func events(s *session, cmd *cobra.Command, _ []string) error {
	last, err := s.eventsAfter(0, false)
	if err != nil || !given(cmd, "follow") {
		return err
	}
	if last == 0 {
		last = everything // what has come since then, too
	}
	for failures := 0; ; {
		last, err = s.eventsAfter(last, true)
		if failures++; !passing(err) {
			failures = 0
		}
		switch {
		case s.ctx.Err() != nil:
			return nil // interrupted, as it was meant to be
		case err != nil && (!passing(err) || failures > maxReturns):
			return err
		}
		// The server ends the stream when it reloads or restarts.
		select {
		case <-s.ctx.Done():
			return nil
		case <-time.After(s.pause):
		}
	}
}

// everything is the last event of a reader that has seen none. No server gives out
// that id, and whoever names an id that was not given out gets all that are kept;
// without any the stream begins with what comes.
const everything = math.MaxUint64

// passing says that an error may be over soon: nobody answers, or somebody whose
// gateway has not started yet or has stopped already, as in a restart.
func passing(err error) bool {
	if _, alone := errors.AsType[*unreachableError](err); alone {
		return true
	}
	refused, ok := errors.AsType[*refusedError](err)
	return ok && (refused.status >= http.StatusInternalServerError || refused.reason.Code == "not_configured")
}

// maxReturns is how often a reader comes back to a server that does not answer: for
// about a minute.
const maxReturns = 100

// eventsAfter prints the events after one, and those that come as well if they are to
// be followed. It returns the last one that it has seen.
func (s *session) eventsAfter(last uint64, follow bool) (uint64, error) {
	r := &request{method: http.MethodGet, path: "/events", query: url.Values{"follow": {strconv.FormatBool(follow)}}, again: true}
	if last > 0 {
		r.header = http.Header{"Last-Event-Id": {strconv.FormatUint(last, 10)}}
	}
	resp, err := s.openAs("text/event-stream", r)
	if err != nil {
		return last, err
	}
	defer resp.Body.Close()
	stream := sse.NewScanner(resp.Body, maxAnswer)
	for {
		event, err := stream.Next()
		switch {
		case errors.Is(err, io.EOF), err != nil && follow:
			return last, nil // the end, or as good as that for a stream that has none
		case err != nil:
			return last, &unreachableError{s.address, false, err}
		}
		if event.Data == nil {
			continue
		}
		var e told
		if err := json.Unmarshal(event.Data, &e); err != nil {
			return last, fmt.Errorf("reading an event: %w", err)
		}
		last = e.ID
		if err := s.showEvent(&e, event.Data); err != nil {
			return last, err
		}
	}
}

// showEvent prints one event on one line.
func (s *session) showEvent(e *told, raw []byte) error {
	subject, what, err := e.sentence()
	if err != nil {
		return err
	}
	return s.show(printout{
		answer: append(append([]byte{}, raw...), '\n'),
		names:  func() []string { return []string{subject} },
		table: func() error {
			return s.say("%s  %s %s", moment(e.Time), clean(subject), clean(what))
		},
	})
}

// sentence says what an event is about, and what has happened.
func (e *told) sentence() (subject, what string, err error) {
	switch e.Type {
	case EventCircuit:
		var c Circuit
		err = json.Unmarshal(e.Data, &c)
		what = "is " + c.state().text
		if c.Reason != "" {
			what += ": " + c.Reason
		}
		if !c.Until.IsZero() {
			what += ", until " + moment(c.Until)
		}
		subject = "circuit of " + c.subject()
	case EventDefinition:
		var d DefinitionEvent
		err = json.Unmarshal(e.Data, &d)
		subject, what = d.Kind+" "+d.Name, "is "+pastOf(d.What)
		if d.Revision > 0 {
			what += fmt.Sprintf(", revision %d", d.Revision)
		}
		if d.Actor != "" {
			what += ", by " + d.Actor
		}
	case EventCatalogue:
		var c CatalogueEvent
		err = json.Unmarshal(e.Data, &c)
		subject, what = "catalogue of "+c.Upstream, fmt.Sprintf("has %d new, %d gone, %d changed", c.Added, c.Gone, c.Changed)
		if c.Error != "" {
			what = "could not be synced: " + c.Error
		}
	default:
		return e.Type, string(e.Data), nil // of a newer server
	}
	if err != nil {
		return "", "", fmt.Errorf("reading an event: %w", err)
	}
	return subject, what, nil
}

// pastOf is what was done to a definition.
func pastOf(what string) string {
	switch registry.Verb(what) {
	case registry.Create:
		return "added"
	case registry.Delete:
		return "deleted"
	case registry.Edit, registry.Replace:
		return "changed"
	default:
		return strings.ReplaceAll(what, "_", " ")
	}
}

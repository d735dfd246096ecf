package routing

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// ErrUnknownModel means that there is no model of that name, that it is disabled,
// or that it may not be asked for.
var ErrUnknownModel = errors.New("unknown model")

// Router orders the sources of a model for a request. The zero value is ready
// for use. It is safe for concurrent use if IntN is.
type Router struct {
	// IntN returns a random number in [0,n). Default: that of math/rand/v2.
	IntN func(n int) int
}

// Request is what a plan depends on.
type Request struct {
	// Model is the name the client asked for.
	Model string
	// Names is which names may be asked for. Default: nil: those of public models.
	Names *Names
	// Format is the client's format.
	Format format.ID
	// Operation is what the client asked for.
	Operation format.Operation
	// ClientIP is the client's address without a port; "" if it is not known.
	ClientIP string
	// Sticky is what the request's conversation is known by, such as its
	// X-Session-Affinity, Session-Id or prompt_cache_key; "" if there is none. It
	// chooses among the credentials of an upstream, and among the sources of models
	// that have a sticky header.
	Sticky string
	// Stream says that a stream is asked for.
	Stream bool
	// Header holds the client's headers; it is only read.
	Header http.Header
	// Override says that the client's own credential is sent, so that those of the
	// upstreams and their circuits do not matter.
	Override bool

	intN    func(int) int
	turns   *turns
	refusal *refusal // of a credential, the latest; nil if none was refused
	dry     bool     // of an explanation: nothing is taken
}

// IntN returns a random number in [0,n).
func (r *Request) IntN(n int) int {
	if r.intN == nil {
		return rand.IntN(n)
	}
	return r.intN(n)
}

// seed is a random number from which a credential is drawn.
func (r *Request) seed() uint64 {
	if r.intN == nil {
		return rand.Uint64()
	}
	return uint64(r.intN(1 << 62))
}

// Turn counts the requests that were ordered in this priority of the model: each
// gets the next number.
func (r *Request) Turn() uint64 {
	switch {
	case r.turns == nil:
		return 0
	case r.dry:
		return r.turns.taken.Load()
	default:
		return r.turns.taken.Add(1) - 1
	}
}

// Cause classifies why a source was left out.
type Cause uint8

// The causes.
const (
	// CauseNone is the zero value.
	CauseNone Cause = iota
	// CauseDisabled: the source or its upstream is disabled.
	CauseDisabled
	// CauseUnconfigured: the upstream's address or credential comes out empty.
	CauseUnconfigured
	// CauseUnable: the upstream does not serve the operation.
	CauseUnable
	// CauseInactive: the model is pinned to another source.
	CauseInactive
	// CauseOpen: a circuit of the source has opened by itself.
	CauseOpen
	// CauseForced: a person has opened a circuit of the source.
	CauseForced
	// CauseProbing: a circuit is half open, and another request is its probe.
	CauseProbing
	// CauseThrottled: the upstream asked to be left alone for a while.
	CauseThrottled
	// CauseUnhealthy: the upstream has failed its health checks.
	CauseUnhealthy
	// CauseBusy: the upstream has as many requests as it may have.
	CauseBusy
)

var causeNames = [...]string{
	CauseNone:         "",
	CauseDisabled:     "disabled",
	CauseUnconfigured: "unconfigured",
	CauseUnable:       "unable",
	CauseInactive:     "inactive",
	CauseOpen:         "open",
	CauseForced:       "forced_open",
	CauseProbing:      "probing",
	CauseThrottled:    "throttled",
	CauseUnhealthy:    "unhealthy",
	CauseBusy:         "busy",
}

// String returns the name of the cause as the API shows it; "" for CauseNone.
func (c Cause) String() string {
	if int(c) >= len(causeNames) {
		return fmt.Sprintf("cause(%d)", uint8(c))
	}
	return causeNames[c]
}

// MarshalText implements encoding.TextMarshaler.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown name is an error.
func (c *Cause) UnmarshalText(text []byte) error {
	i, err := unmarshalName(causeNames[:], text, "cause")
	if err == nil {
		*c = Cause(i)
	}
	return err
}

// Skip is a source that was left out of a plan.
type Skip struct {
	Source *Source
	Cause  Cause
	// Reason is a predicate, such as "is disabled". Clients may see it.
	Reason string
	// Detail is what an operator should know besides; it may be empty.
	Detail string
	// Until is when the source may be used again; zero if that is not known.
	Until time.Time
}

// NoSourceError means that the model is known and none of its sources can be
// used. It must not be changed.
type NoSourceError struct {
	Model   string
	Skipped []Skip
	// RetryAfter is when the first source may be used again: whole seconds, 1 at
	// least, and a minute if nobody knows. It is 0 if no source will be as long as
	// the configuration stays as it is.
	RetryAfter time.Duration
	// Throttled says that each source that the configuration lets be used is merely
	// throttled.
	Throttled bool
}

// Error tells each source's reason.
func (e *NoSourceError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "model %q has no usable source", e.Model)
	separator := ": "
	for _, s := range e.Skipped {
		b.WriteString(separator + s.Source.ID() + " " + s.Reason)
		separator = "; "
	}
	return b.String()
}

// Disabled says that every source is disabled by configuration, so that clients
// see the model as unknown.
func (e *NoSourceError) Disabled() bool {
	for _, s := range e.Skipped {
		if s.Cause != CauseDisabled && s.Cause != CauseInactive {
			return false
		}
	}
	return true
}

// Unable says that the sources in use do not serve what is asked for, so that no
// time and no repair will help the request.
func (e *NoSourceError) Unable() bool {
	unable := false
	for _, s := range e.Skipped {
		switch s.Cause {
		case CauseUnable:
			unable = true
		case CauseDisabled, CauseInactive, CauseUnconfigured:
		default:
			return false
		}
	}
	return unable
}

// Plan finds the model and prepares the draw of its sources. The error is
// ErrUnknownModel or a *NoSourceError.
func (r *Router) Plan(s *Snapshot, req Request) (Plan, error) {
	e, ok := s.Lookup(req.Model)
	if !ok || !req.dry && !req.Names.admits(req.Model, e) {
		return Plan{}, ErrUnknownModel
	}
	way := e.route(req.Format, req.Operation)
	if way.failed != nil {
		return Plan{}, way.failed
	}
	req.intN = r.IntN
	return Plan{way: way, entry: e, req: req, group: -1}, nil
}

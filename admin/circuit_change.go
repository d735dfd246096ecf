package admin

import (
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// Opening is a person's decision to open a circuit.
type Opening struct {
	// Until is when the circuit may close again; the zero value means when somebody
	// resets it.
	Until time.Time
	// Reason is why, for everybody who wonders: 1 to 256 characters, none of them a
	// control character.
	Reason string
	// Actor is who decided it.
	Actor string
	// Holds is the condition under which it is done. Default: none.
	Holds routing.Precondition
}

// openRequest is the body of POST /upstreams/{upstream}/circuit/open.
type openRequest struct {
	// Why the circuit is opened, at most 256 characters. Required.
	Reason string `json:"reason"`
	// When it may close again. Default: when it is reset.
	Until string `json:"until,omitempty"`
	// How long it stays open, instead of until: "90s", "2h", "1d".
	For string `json:"for,omitempty"`
	// The upstream's own name of the model. Default: the upstream as a whole.
	UpstreamModel string `json:"upstream_model,omitempty"`
}

// resetRequest is the body of POST /upstreams/{upstream}/circuit/reset.
type resetRequest struct {
	// The upstream's own name of the model. Default: all circuits of the upstream.
	UpstreamModel string `json:"upstream_model,omitempty"`
}

// openCircuit answers POST /upstreams/{upstream}/circuit/open with the circuit.
func (a *API) openCircuit(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body openRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	key := keyOf(r.PathValue("name"), body.UpstreamModel)
	opening, err := body.opening(a.now())
	if err != nil {
		return err
	}
	opening.Actor, opening.Holds = actor(r), matching(r)
	after, err := g.OpenCircuit(r.Context(), key, opening)
	if err != nil && !errors.Is(err, routing.ErrNotPersisted) {
		return err
	}
	a.logger.Info("circuit opened by hand",
		zap.String("upstream", key.Upstream), zap.String("upstream_model", key.Model),
		zap.String("reason", opening.Reason), zap.Time("until", opening.Until),
		zap.String("actor", opening.Actor), zap.String("remote", remote(r)), zap.Error(err))
	if err != nil {
		return err
	}
	one := circuitOf(after)
	w.Header().Set("ETag", tagOf(one))
	a.answer(w, http.StatusOK, one)
	return nil
}

// resetCircuit answers POST /upstreams/{upstream}/circuit/reset with the circuits
// that it concerns.
func (a *API) resetCircuit(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body resetRequest
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	name, model := r.PathValue("name"), body.UpstreamModel
	reset, err := g.ResetCircuit(r.Context(), name, model, actor(r), matching(r))
	if err != nil && !errors.Is(err, routing.ErrNotPersisted) {
		return err
	}
	a.logger.Info("circuit reset by hand",
		zap.String("upstream", name), zap.String("upstream_model", model),
		zap.String("actor", actor(r)), zap.String("remote", remote(r)), zap.Error(err))
	if err != nil {
		return err
	}
	after := concerned(reset, name, model)
	w.Header().Set("ETag", tagOf(after...))
	a.answer(w, http.StatusOK, allOf(after))
	return nil
}

// concerned lists the circuits among the views that a reset is about.
func concerned(views []routing.CircuitView, name, model string) []Circuit {
	all := circuitsOf(views)
	if model == "" {
		return all
	}
	return []Circuit{single(all, keyOf(name, model))}
}

// opening checks the request.
func (o *openRequest) opening(now time.Time) (Opening, error) {
	reason := strings.TrimSpace(o.Reason)
	switch {
	case reason == "":
		return Opening{}, invalid("reason", "a circuit that is opened by hand needs a reason")
	case utf8.RuneCountInString(reason) > maxText:
		return Opening{}, invalid("reason", "must not be longer than 256 characters")
	case strings.ContainsFunc(reason, unprintable):
		return Opening{}, invalid("reason", "must not hold control characters")
	}
	until, err := o.until(now)
	return Opening{Until: until, Reason: reason}, err
}

// until is when the opening ends; the zero value means never.
func (o *openRequest) until(now time.Time) (time.Time, error) {
	switch {
	case o.Until != "" && o.For != "":
		return time.Time{}, invalid("for", "until and for exclude each other")
	case o.For != "":
		d, err := caddy.ParseDuration(o.For)
		if err != nil || d <= 0 {
			return time.Time{}, invalid("for", `must be a time span above zero, such as "90s", "2h" or "1d"`)
		}
		return now.Add(d).UTC(), nil
	case o.Until != "":
		until, err := time.Parse(time.RFC3339, o.Until)
		if err != nil {
			return time.Time{}, invalid("until", `must be a time such as "2030-01-31T18:00:00Z"`)
		}
		if !until.After(now) {
			return time.Time{}, invalid("until", "is in the past")
		}
		return until.UTC(), nil
	default:
		return time.Time{}, nil
	}
}

// matching is the precondition If-Match of a request; nil if it has none.
func matching(r *http.Request) routing.Precondition {
	if len(r.Header.Values("If-Match")) == 0 {
		return nil
	}
	return func(generation uint64) error { return checkMatch(r, tagFor(generation)) }
}

// checkMatch holds the precondition If-Match against the tag of what is about to
// change.
func checkMatch(r *http.Request, tag string) error {
	wanted := r.Header.Values("If-Match")
	for _, one := range strings.Split(strings.Join(wanted, ","), ",") {
		// People forget the quotes; a generation cannot be mistaken for a list.
		one = strings.Trim(strings.TrimSpace(one), `"`)
		if one == "*" || one == strings.Trim(tag, `"`) {
			return nil
		}
	}
	return &Error{
		Status: http.StatusPreconditionFailed, Code: "stale",
		Message: "the circuit has changed since: its entity tag is now " + tag,
	}
}

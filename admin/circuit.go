package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// Circuit is how a circuit is, as the API shows it.
type Circuit struct {
	// CircuitKey says what the circuit guards: scope, upstream, and the upstream
	// model or the credential.
	routing.CircuitKey
	State routing.CircuitState `json:"state"`
	// Class of the failure that opened it. Default: none.
	Class routing.Class `json:"class,omitempty"`
	// Cause of the state, for programs, and Reason, for people. Default: none.
	Cause  routing.CircuitCause `json:"cause,omitempty"`
	Reason string               `json:"reason,omitempty"`
	// Actor is who forced or reset it. Default: nobody.
	Actor string `json:"actor,omitempty"`
	// Since is when the state began. Default: since there is the circuit.
	Since time.Time `json:"since,omitzero"`
	// Until is when the state ends by itself. Default: never.
	Until time.Time `json:"until,omitzero"`
	// ThrottledUntil is when requests are welcome again after the upstream said that
	// there were too many. Default: now, it is not throttled.
	ThrottledUntil time.Time `json:"throttled_until,omitzero"`
	// Openings counts the times in a row that it opened; each makes the next longer.
	Openings int `json:"openings,omitempty"`
	// Generation rises with every change of the state; it begins with 1.
	Generation uint64 `json:"generation"`
	// History holds the last changes of the state, oldest first.
	History []routing.CircuitEvent `json:"history,omitempty"`
	// Failures holds the last failures that counted, oldest first.
	Failures []routing.CircuitFailure `json:"failures,omitempty"`
	// Succeeded is when an attempt last succeeded. Default: never.
	Succeeded time.Time `json:"succeeded,omitzero"`
}

// circuitOf shows what is observed.
func circuitOf(v routing.CircuitView) Circuit {
	return Circuit{
		CircuitKey: v.Key, State: v.State, Class: v.Class, Cause: v.Cause, Reason: v.Reason, Actor: v.Actor,
		Since: v.Since, Until: v.Until, ThrottledUntil: v.ThrottledUntil,
		Openings: v.Openings, Generation: v.Generation, History: v.History, Failures: v.Failures, Succeeded: v.Succeeded,
	}
}

// circuitsOf shows a list, sorted by upstream, the upstream's own circuit first,
// then those of its models and of its credentials.
func circuitsOf(views []routing.CircuitView) []Circuit {
	all := make([]Circuit, len(views))
	for i, v := range views {
		all[i] = circuitOf(v)
	}
	slices.SortFunc(all, func(a, b Circuit) int {
		return cmp.Or(
			cmp.Compare(a.Upstream, b.Upstream),
			cmp.Compare(slices.Index(scopes, a.Scope), slices.Index(scopes, b.Scope)),
			cmp.Compare(a.Model, b.Model),
			cmp.Compare(a.Credential, b.Credential),
		)
	})
	return all
}

// scopes in the order of lists.
var scopes = []routing.Scope{routing.ScopeUpstream, routing.ScopeUpstreamModel, routing.ScopeCredential}

// circuits answers GET /circuits and GET /upstreams/{upstream}/circuits.
func (a *API) circuits(g Gateway, w http.ResponseWriter, r *http.Request) error {
	views, err := g.Circuits(r.PathValue("name"))
	if err != nil {
		return err
	}
	all := circuitsOf(views)
	tag := tagOf(all...)
	if status := r.URL.Query().Get("status"); status != "" {
		var state routing.CircuitState
		if state.UnmarshalText([]byte(status)) != nil {
			return invalid("status", "unknown; known are closed, open, half_open, forced_open")
		}
		all = slices.DeleteFunc(all, func(c Circuit) bool { return c.State != state })
	}
	page, err := pageOf(r, all)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", tag)
	a.answer(w, http.StatusOK, page)
	return nil
}

// circuit answers GET /upstreams/{upstream}/circuit.
func (a *API) circuit(g Gateway, w http.ResponseWriter, r *http.Request) error {
	views, err := g.Circuits(r.PathValue("name"))
	if err != nil {
		return err
	}
	one := single(circuitsOf(views), keyOf(r.PathValue("name"), r.URL.Query().Get("upstream_model")))
	w.Header().Set("ETag", tagOf(one))
	a.answer(w, http.StatusOK, one)
	return nil
}

// keyOf is the circuit of an upstream model, or of the upstream as a whole if the
// model is empty.
func keyOf(upstream, model string) routing.CircuitKey {
	if model == "" {
		return routing.CircuitKey{Scope: routing.ScopeUpstream, Upstream: upstream}
	}
	return routing.CircuitKey{Scope: routing.ScopeUpstreamModel, Upstream: upstream, Model: model}
}

// single finds a circuit. One that has seen no traffic is closed.
func single(all []Circuit, key routing.CircuitKey) Circuit {
	for _, c := range all {
		if c.CircuitKey == key {
			return c
		}
	}
	return Circuit{CircuitKey: key, State: routing.CircuitClosed, Generation: 1}
}

// tagOf is the entity tag of one or several circuits: the sum of their
// generations, which no change of any of them leaves as it was.
func tagOf(circuits ...Circuit) string {
	var sum uint64
	for _, c := range circuits {
		sum += c.Generation
	}
	return tagFor(sum)
}

// tagFor is the entity tag of circuits by the sum of their generations.
func tagFor(sum uint64) string { return strconv.Quote(strconv.FormatUint(sum, 10)) }

package admin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// look shows definitions with what is observed of them at one moment.
type look struct {
	view   *registry.View
	survey *survey
}

// newLook takes the circuits as they are now. Those that cannot be read leave the
// definitions without; GET /circuits tells why.
func newLook(g Gateway, v *registry.View) *look {
	circuits, _ := g.Circuits("")
	return &look{view: v, survey: newSurvey(v.Snapshot, circuits)}
}

// show shows a definition with its status.
func (l *look) show(d *registry.Definition) Definition {
	shown := definitionOf(d)
	switch d.Kind {
	case registry.Upstreams:
		shown.Status = l.upstream(d)
	case registry.Models:
		shown.Status = l.model(d)
	default:
		shown.Status = l.alias(d)
	}
	return shown
}

// unused is why a definition is not in use.
func unused(d *registry.Definition) string {
	if d.Shadowed {
		return "a declared definition of this name is used instead"
	}
	return d.Problem
}

func (l *look) upstream(d *registry.Definition) UpstreamStatus {
	u, ok := l.view.Snapshot.Upstream(d.Name)
	if !d.InUse() || !ok {
		return UpstreamStatus{Name: d.Name, Reason: unused(d)}
	}
	status := *l.survey.upstream(u)
	status.Models, status.UsableModels = l.survey.served(d.Name)
	return status
}

func (l *look) model(d *registry.Definition) ModelStatus {
	e, ok := l.view.Snapshot.Entry(d.Name)
	if !d.InUse() || !ok {
		return ModelStatus{Name: d.Name, Reason: unused(d)}
	}
	return l.survey.model(d.Name, e.Model)
}

// AliasStatus is how an alias is.
type AliasStatus struct {
	// Usable says that the model it stands for can be asked now.
	Usable bool `json:"usable"`
	// Model is what it stands for.
	Model string `json:"model,omitempty"`
	// Reason is why it is not usable. Default: none.
	Reason string `json:"reason,omitempty"`
}

func (l *look) alias(d *registry.Definition) AliasStatus {
	alias, ok := l.view.Snapshot.Alias(d.Name)
	switch {
	case !d.InUse() || !ok:
		return AliasStatus{Reason: unused(d)}
	case alias.Disabled:
		return AliasStatus{Model: alias.Model, Reason: "disabled"}
	}
	if name, model, pinned := routing.PinnedName(alias.Model); pinned {
		u, ok := l.view.Snapshot.Upstream(name)
		if !ok {
			return AliasStatus{Model: alias.Model, Reason: "without its upstream"}
		}
		status := l.survey.upstream(u)
		if reason, barred := l.survey.barred(keyOf(name, model)); barred && status.Usable {
			return AliasStatus{Model: alias.Model, Reason: reason}
		}
		return AliasStatus{Model: alias.Model, Usable: status.Usable, Reason: status.Reason}
	}
	e, ok := l.view.Snapshot.Entry(alias.Model)
	if !ok {
		return AliasStatus{Model: alias.Model, Reason: "without its model"}
	}
	m := l.survey.model(alias.Model, e.Model)
	return AliasStatus{Model: alias.Model, Usable: m.Usable, Reason: m.Reason}
}

// The words of a definition's state, by which lists are filtered.
const (
	stateActive   = "active"
	stateDisabled = "disabled"
	stateOpen     = "circuit_open"
	stateUnusable = "unusable"
	stateShadowed = "shadowed"
	stateBroken   = "broken"
)

var states = []string{stateActive, stateDisabled, stateOpen, stateUnusable, stateShadowed, stateBroken}

// state is the word for how a definition is.
func (l *look) state(d *registry.Definition, status any) string {
	switch {
	case d.Shadowed:
		return stateShadowed
	case d.Problem != "":
		return stateBroken
	}
	switch s := status.(type) {
	case UpstreamStatus:
		return s.stateWord()
	case ModelStatus:
		return s.stateWord()
	case AliasStatus:
		switch {
		case s.Usable:
			return stateActive
		case s.Reason == "disabled":
			return stateDisabled
		}
	}
	return stateUnusable
}

// stateWord is the word for how an upstream is.
func (u *UpstreamStatus) stateWord() string {
	switch {
	case u.Reason == "disabled":
		return stateDisabled
	case u.Circuit.State == routing.CircuitOpen, u.Circuit.State == routing.CircuitForcedOpen:
		return stateOpen
	case u.Usable:
		return stateActive
	default:
		return stateUnusable
	}
}

// stateWord is the word for how a model is.
func (m *ModelStatus) stateWord() string {
	switch {
	case m.Disabled:
		return stateDisabled
	case m.Usable:
		return stateActive
	case m.CircuitOpen:
		return stateOpen
	default:
		return stateUnusable
	}
}

// checkState refuses a filter that nothing can match.
func checkState(r *http.Request) (string, error) {
	word := r.URL.Query().Get("status")
	if word != "" && !slices.Contains(states, word) {
		return "", invalid("status", "unknown; known are "+strings.Join(states, ", "))
	}
	return word, nil
}

package admin

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Survey says how the upstreams and the models of a snapshot are, by what is
// observed of them. Models are all that are declared, those included that the
// snapshot does not offer; circuits are those of all upstreams. A circuit that lets
// probes through, and an upstream that asked to be left alone for a moment, do not
// make a source unusable.
func Survey(s *routing.Snapshot, models map[string]*routing.Model, circuits []routing.CircuitView) ([]UpstreamStatus, []ModelStatus) {
	v := survey{
		views:     make(map[routing.CircuitKey]routing.CircuitView, len(circuits)),
		upstreams: map[string]*UpstreamStatus{},
	}
	for _, c := range circuits {
		v.views[c.Key] = c
	}
	all := s.Upstreams()
	upstreams := make([]UpstreamStatus, len(all))
	for i, u := range all {
		upstreams[i] = v.upstream(u)
		v.upstreams[u.Name()] = &upstreams[i]
	}
	var list []ModelStatus
	for _, name := range slices.Sorted(maps.Keys(models)) {
		list = append(list, v.model(name, models[name]))
	}
	return upstreams, list
}

// survey is what a status is made of.
type survey struct {
	views     map[routing.CircuitKey]routing.CircuitView
	upstreams map[string]*UpstreamStatus
}

// barred says that a circuit lets nothing through, and why.
func (v *survey) barred(key routing.CircuitKey) (reason string, barred bool) {
	c := v.views[key]
	switch c.State {
	case routing.CircuitOpen, routing.CircuitForcedOpen:
		return "circuit " + strings.ReplaceAll(c.State.String(), "_", " ") + ": " + c.Reason, true
	default:
		return "", false
	}
}

// upstream is how an upstream is.
func (v *survey) upstream(u *upstream.Upstream) UpstreamStatus {
	own := v.views[keyOf(u.Name(), "")]
	status := UpstreamStatus{
		Name:    u.Name(),
		Formats: u.Spoken(),
		Circuit: CircuitSummary{State: own.State, Until: own.Until},
	}
	if own.State != routing.CircuitClosed {
		status.Circuit.Reason = own.Reason
	}
	for key := range v.views {
		if _, barred := v.barred(key); !barred || key.Upstream != u.Name() {
			continue
		}
		switch key.Scope {
		case routing.ScopeUpstreamModel:
			status.Circuit.OpenModels = append(status.Circuit.OpenModels, key.Model)
		case routing.ScopeCredential:
			status.Circuit.OpenCredentials = append(status.Circuit.OpenCredentials, key.Credential)
		}
	}
	slices.Sort(status.Circuit.OpenModels)
	slices.Sort(status.Circuit.OpenCredentials)
	if u.Health != nil {
		health := u.HealthView()
		status.Health = &health
	}
	status.Reason = v.unusable(u)
	status.Usable = status.Reason == ""
	return status
}

// unusable says why no request may go to an upstream; "" if it may.
func (v *survey) unusable(u *upstream.Upstream) string {
	if reason := u.Unavailable(); reason != "" {
		return reason
	}
	if reason, barred := v.barred(keyOf(u.Name(), "")); barred {
		return reason
	}
	if u.Unhealthy() {
		return u.HealthView().Reason()
	}
	return v.withoutCredential(u)
}

// withoutCredential says why none of an upstream's credentials may be used; "" if
// one may, or if it needs none of ours.
func (v *survey) withoutCredential(u *upstream.Upstream) string {
	reason := ""
	for _, c := range u.Credentials() {
		if c.Missing != "" {
			continue // the others serve, or the upstream is not configured
		}
		why, barred := v.barred(routing.CircuitKey{Scope: routing.ScopeCredential, Upstream: u.Name(), Credential: c.ID})
		if !barred {
			return ""
		}
		reason = "credential " + c.ID + ": " + why
	}
	if u.AllowsOverride() {
		return ""
	}
	return reason
}

// model is how a model is.
func (v *survey) model(name string, m *routing.Model) ModelStatus {
	status := ModelStatus{Name: name, Disabled: m.Disabled, Sources: len(m.Sources)}
	if m.Disabled {
		status.Reason = "disabled"
		return status
	}
	var reasons []string
	for i := range m.Sources {
		if reason := v.sourceUnusable(m, &m.Sources[i]); reason != "" {
			reasons = append(reasons, m.Sources[i].ID()+" "+reason)
			continue
		}
		status.UsableSources++
	}
	status.Usable = status.UsableSources > 0
	if !status.Usable {
		status.Reason = strings.Join(reasons, "; ")
	}
	return status
}

// sourceUnusable says why a source may not be asked; "" if it may.
func (v *survey) sourceUnusable(m *routing.Model, source *routing.Source) string {
	u, ok := v.upstreams[source.Upstream]
	switch {
	case source.Disabled:
		return "disabled"
	case m.Mode == routing.ModePinned && m.Active != source.ID():
		return "not the active source"
	case !ok:
		return "without its upstream"
	case !u.Usable:
		return u.Reason
	}
	reason, _ := v.barred(keyOf(source.Upstream, source.Model))
	return reason
}

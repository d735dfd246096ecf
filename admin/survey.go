package admin

import (
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Survey says how the upstreams and the models of a snapshot are, by what is
// observed of them. Models are all that are defined, those included that the
// snapshot does not offer; circuits are those of all upstreams. A circuit that lets
// probes through, and an upstream that asked to be left alone for a moment, do not
// make a source unusable.
func Survey(s *routing.Snapshot, circuits []routing.CircuitView) ([]UpstreamStatus, []ModelStatus) {
	v := newSurvey(s, circuits)
	all := s.Upstreams()
	upstreams := make([]UpstreamStatus, len(all))
	for i, u := range all {
		upstreams[i] = *v.upstream(u)
		upstreams[i].Models, upstreams[i].UsableModels = v.served(u.Name())
	}
	var list []ModelStatus
	for _, e := range s.Entries() {
		list = append(list, v.model(e.Name, e.Model))
	}
	return upstreams, list
}

// survey is what a status is made of. What it has found out of an upstream it
// remembers.
type survey struct {
	snapshot  *routing.Snapshot
	views     map[routing.CircuitKey]routing.CircuitView
	open      map[string][]routing.CircuitKey // of each upstream, the circuits that let nothing through
	upstreams map[string]*UpstreamStatus
	models    map[string]*[2]int // of each upstream, the models with a source there: all, usable
}

func newSurvey(s *routing.Snapshot, circuits []routing.CircuitView) *survey {
	v := &survey{
		snapshot: s, views: make(map[routing.CircuitKey]routing.CircuitView, len(circuits)),
		open: make(map[string][]routing.CircuitKey), upstreams: make(map[string]*UpstreamStatus),
	}
	for _, c := range circuits {
		v.views[c.Key] = c
		if _, barred := v.barred(c.Key); barred {
			v.open[c.Key.Upstream] = append(v.open[c.Key.Upstream], c.Key)
		}
	}
	return v
}

// served counts the models that have a source at an upstream, and those of them
// that it can serve now.
func (v *survey) served(upstream string) (all, usable int) {
	if v.models == nil {
		v.models = make(map[string]*[2]int)
		for _, e := range v.snapshot.Entries() {
			v.count(e.Model)
		}
	}
	if n := v.models[upstream]; n != nil {
		return n[0], n[1]
	}
	return 0, 0
}

// count adds a model to the numbers of the upstreams it has sources at.
func (v *survey) count(m *routing.Model) {
	counted := make(map[string]int, len(m.Sources)) // 1: has a source there, 2: a usable one
	for i := range m.Sources {
		state := 1
		if !m.Disabled && v.sourceUnusable(m, &m.Sources[i]) == "" {
			state = 2
		}
		counted[m.Sources[i].Upstream] = max(counted[m.Sources[i].Upstream], state)
	}
	for name, state := range counted {
		if v.models[name] == nil {
			v.models[name] = new([2]int)
		}
		v.models[name][0]++
		if state == 2 {
			v.models[name][1]++
		}
	}
}

// circuitReason begins the reasons that are circuits.
const circuitReason = "circuit "

// barred says that a circuit lets nothing through, and why.
func (v *survey) barred(key routing.CircuitKey) (reason string, barred bool) {
	c := v.views[key]
	switch c.State {
	case routing.CircuitOpen, routing.CircuitForcedOpen:
		return circuitReason + strings.ReplaceAll(c.State.String(), "_", " ") + ": " + c.Reason, true
	default:
		return "", false
	}
}

// upstream is how an upstream is.
func (v *survey) upstream(u *upstream.Upstream) *UpstreamStatus {
	if status, ok := v.upstreams[u.Name()]; ok {
		return status
	}
	own := v.views[keyOf(u.Name(), "")]
	status := &UpstreamStatus{
		Name:    u.Name(),
		Formats: u.Spoken(),
		Circuit: CircuitSummary{State: own.State, Until: own.Until},
	}
	if own.State != routing.CircuitClosed {
		status.Circuit.Reason = own.Reason
	}
	for _, key := range v.open[u.Name()] {
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
	v.upstreams[u.Name()] = status
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
	status := ModelStatus{Name: name, Vendor: m.VendorOf(name), Disabled: m.Disabled, Sources: len(m.Sources)}
	if m.Disabled {
		status.Reason = "disabled"
		return status
	}
	var reasons []string
	for i := range m.Sources {
		if reason := v.sourceUnusable(m, &m.Sources[i]); reason != "" {
			reasons = append(reasons, m.Sources[i].ID()+" "+reason)
			status.CircuitOpen = status.CircuitOpen || strings.HasPrefix(reason, circuitReason)
			continue
		}
		status.UsableSources++
	}
	status.Usable = status.UsableSources > 0
	if status.Usable {
		status.CircuitOpen = false
		return status
	}
	status.Reason = strings.Join(reasons, "; ")
	if len(m.Sources) == 0 {
		status.Reason = "it has no source"
	}
	return status
}

// sourceUnusable says why a source may not be asked; "" if it may.
func (v *survey) sourceUnusable(m *routing.Model, source *routing.Source) string {
	known, ok := v.snapshot.Upstream(source.Upstream)
	var u *UpstreamStatus
	if ok {
		u = v.upstream(known)
	}
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

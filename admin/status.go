package admin

import (
	"net/http"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Status is how the gateway is.
type Status struct {
	// Version of the gateway.
	Version string `json:"version"`
	// Time is the server's clock.
	Time time.Time `json:"time"`
	// Started is when the process began to serve.
	Started time.Time `json:"started"`
	// Configured is when the config in use was loaded.
	Configured time.Time `json:"configured"`
	// UptimeSeconds is the time since Started, in whole seconds.
	UptimeSeconds int64 `json:"uptime_seconds"`
	// Store is how the state store is.
	Store StoreStatus `json:"store"`
	// Upstreams, sorted by name.
	Upstreams []UpstreamStatus `json:"upstreams"`
	// Models, sorted by name.
	Models []ModelStatus `json:"models"`
}

// The values of StoreStatus.State.
const (
	// StoreOK: what is observed survives a restart.
	StoreOK = "ok"
	// StoreDegraded: the gateway serves, but what it observes is in memory only.
	StoreDegraded = "degraded"
	// StoreOff: there is no store.
	StoreOff = "off"
)

// StoreStatus is how the state store is.
type StoreStatus struct {
	// State is one of the constants above.
	State string `json:"state"`
	// Reason is why it is not ok. Default: none.
	Reason string `json:"reason,omitempty"`
}

// UpstreamStatus is how an upstream is.
type UpstreamStatus struct {
	Name string `json:"name"`
	// Usable says that requests may go there now.
	Usable bool `json:"usable"`
	// Reason is why it is not usable: it is disabled, not configured, unhealthy, or
	// its circuit is open. Default: none.
	Reason string `json:"reason,omitempty"`
	// Formats it speaks, preferred first.
	Formats []format.ID `json:"formats"`
	// Circuit is the circuit of the upstream as a whole.
	Circuit CircuitSummary `json:"circuit"`
	// Models is how many models have a source here, and UsableModels how many of them
	// it can serve now.
	Models       int `json:"models"`
	UsableModels int `json:"usable_models"`
	// Health is what active checks have found. Default: none, without checks.
	Health *upstream.HealthView `json:"health,omitempty"`
}

// CircuitSummary is the part of an upstream's circuits that fits into one line.
type CircuitSummary struct {
	// State of the circuit of the upstream as a whole.
	State routing.CircuitState `json:"state"`
	// Reason for the state. Default: none.
	Reason string `json:"reason,omitempty"`
	// Until is when the state ends by itself. Default: never.
	Until time.Time `json:"until,omitzero"`
	// OpenModels are the upstream models with an open circuit of their own, sorted.
	OpenModels []string `json:"open_models,omitempty"`
	// OpenCredentials are the ids of the credentials with an open circuit, sorted.
	OpenCredentials []string `json:"open_credentials,omitempty"`
}

// ModelStatus is how a model is.
type ModelStatus struct {
	Name string `json:"name"`
	// Usable says that at least one source may be asked now.
	Usable bool `json:"usable"`
	// Vendor is who made the model: what its definition says, else what its name or
	// those of its upstream models tell. Default: not known.
	Vendor string `json:"vendor,omitempty"`
	// Disabled models are unknown to clients; that they are not usable is no fault.
	Disabled bool `json:"disabled,omitempty"`
	// Sources is how many the model has.
	Sources int `json:"sources"`
	// UsableSources is how many of them may be asked now.
	UsableSources int `json:"usable_sources"`
	// CircuitOpen says that it is not usable, and that an open circuit is among the
	// reasons.
	CircuitOpen bool `json:"circuit_open,omitempty"`
	// Reason is why none of them is usable. Default: none.
	Reason string `json:"reason,omitempty"`
}

// status answers GET /status.
func (a *API) status(g Gateway, w http.ResponseWriter, _ *http.Request) error {
	status := g.Status()
	if status.Upstreams == nil {
		status.Upstreams = []UpstreamStatus{} // a list is never null
	}
	if status.Models == nil {
		status.Models = []ModelStatus{}
	}
	a.answer(w, http.StatusOK, status)
	return nil
}

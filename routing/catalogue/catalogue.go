// Package catalogue knows which models the upstreams have: what their services
// said last, and what people have decided about it. It asks the services, merges
// what they answer into what is known, and keeps that in a store of others.
package catalogue

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// Origin says where an entry comes from. A sync never changes it.
type Origin string

// The origins.
const (
	// OriginSync: a list of the service. The entry is in use as long as the service
	// lists it.
	OriginSync Origin = "sync"
	// OriginManual: a person, who knows of the model without the service listing it.
	OriginManual Origin = "manual"
	// OriginImport: a list of the service or a person; a model was made from it since.
	OriginImport Origin = "import"
)

// Entry is one upstream model.
type Entry struct {
	// Name is what the service calls the model.
	Name string `json:"name"`
	// DisplayName and OwnedBy are for people; "" if not known.
	DisplayName string `json:"display_name,omitempty"`
	OwnedBy     string `json:"owned_by,omitempty"`
	// ContextWindow and MaxOutput are in tokens; 0 if not known.
	ContextWindow int `json:"context_window,omitempty"`
	MaxOutput     int `json:"max_output,omitempty"`
	// Operations are what the model is for; none if that is not known.
	Operations []format.Operation `json:"operations,omitempty"`
	// Origin is where the entry comes from.
	Origin Origin `json:"origin"`
	// Present says that the last list had the model.
	Present bool `json:"present"`
	// Disabled is a person's decision against the model. No sync undoes it.
	Disabled bool `json:"disabled,omitempty"`
	// Edited are the fields that a person has set, by their names in JSON, sorted. No
	// sync changes them.
	Edited []string `json:"edited,omitempty"`
	// FirstSeen and LastSeen are when a list had the model for the first and for the
	// last time; zero if none ever had.
	FirstSeen time.Time `json:"first_seen,omitzero"`
	LastSeen  time.Time `json:"last_seen,omitzero"`
}

// Active says that the model may be used: nobody disabled it, and the service lists
// it or a person says that it is there.
func (e *Entry) Active() bool {
	return !e.Disabled && (e.Present || e.Origin != OriginSync)
}

// Catalogue is what is known of the models of one upstream. A Catalogue that was
// handed out is shared and must not be changed.
type Catalogue struct {
	// Upstream is the name of the upstream.
	Upstream string `json:"upstream"`
	// Entries are sorted by name.
	Entries []Entry `json:"entries"`
	// SyncedAt is when the last list was taken in; zero for never. Endpoint is the
	// kind of list it was, Skipped how many of its names could not be used, and
	// Identity what the upstream was then: see upstream.Upstream.Identity.
	SyncedAt time.Time `json:"synced_at,omitzero"`
	Endpoint string    `json:"endpoint,omitempty"`
	Skipped  int       `json:"skipped,omitempty"`
	Identity string    `json:"identity,omitempty"`
	// Error is why the last sync failed, without secrets, and ErrorAt is when. A sync
	// that succeeds clears them.
	Error   string    `json:"error,omitempty"`
	ErrorAt time.Time `json:"error_at,omitzero"`
	// Revision grows with each change.
	Revision uint64 `json:"revision"`
}

// Entry finds an entry by its name.
func (c *Catalogue) Entry(name string) (Entry, bool) {
	i, ok := c.find(name)
	if !ok {
		return Entry{}, false
	}
	return c.Entries[i], true
}

// find returns the place of an entry, or where it would be.
func (c *Catalogue) find(name string) (int, bool) {
	return slices.BinarySearchFunc(c.Entries, name, func(e Entry, name string) int { return strings.Compare(e.Name, name) })
}

// sortEntries sorts by name.
func sortEntries(entries []Entry) {
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
}

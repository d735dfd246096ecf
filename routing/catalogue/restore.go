package catalogue

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Load takes the catalogues out of the store. It may be called again when a store
// that was not there has come back: what is newer in memory stays, what people decided
// before the store was away is kept beside what they have decided since, and what the
// store lacks is stored.
func (s *Syncer) Load() error {
	stored, err := s.store.LoadCatalogues()
	for _, c := range stored {
		s.restore(c)
	}
	if err != nil {
		return fmt.Errorf("reading the catalogues: %w", err)
	}
	for _, c := range s.All() {
		err = errors.Join(err, s.keep(c.Upstream))
	}
	return err
}

// restore takes in a catalogue that was stored.
func (s *Syncer) restore(c Catalogue) {
	c.Entries = cleaned(c.Entries)
	st := s.lock(c.Upstream)
	defer st.writing.Unlock()
	known := st.current.Load()
	switch {
	case known != nil && st.unstored && !st.rooted:
		joined := join(c, *known)
		st.current.Store(&joined)
	case known == nil || known.Revision < c.Revision:
		st.current.Store(&c)
		st.unstored = false
	}
	st.rooted = true
}

// cleaned are stored entries in their order, each once.
func cleaned(stored []Entry) []Entry {
	entries := slices.Clone(stored)
	sortEntries(entries)
	return slices.CompactFunc(entries, func(a, b Entry) bool { return a.Name == b.Name })
}

// keep stores a catalogue that the store lacks, if there is a store.
func (s *Syncer) keep(upstream string) error {
	st := s.lock(upstream)
	defer st.writing.Unlock()
	c := st.current.Load()
	if c == nil || !st.unstored {
		return nil
	}
	switch err := s.store.SaveCatalogue(*c); {
	case err == nil:
		st.unstored, st.rooted = false, true
	case !errors.Is(err, ErrNoStore):
		return fmt.Errorf("storing the catalogue of upstream %q: %w", upstream, err)
	}
	return nil
}

// join puts what became known without the store beside what is stored: the list is
// taken in as that of a sync, by the rules of Merge, and what people have decided
// holds on either side.
func join(stored, since Catalogue) Catalogue {
	joined := stored
	joined.Entries = slices.Clone(stored.Entries)
	if !since.SyncedAt.IsZero() {
		merged, _, err := Merge(stored, listOf(&since), since.SyncedAt, Options{Identity: since.Identity})
		joined = merged
		if err != nil { // the old entries, which are shared
			joined.Entries = slices.Clone(stored.Entries)
			joined.Error, joined.ErrorAt = err.Error(), since.SyncedAt
		}
	}
	if since.Error != "" {
		joined.Error, joined.ErrorAt = since.Error, since.ErrorAt
	}
	for i := range since.Entries {
		if e := &since.Entries[i]; e.Origin != OriginSync || e.Disabled || len(e.Edited) > 0 {
			joined.decide(e)
		}
	}
	joined.Revision = max(stored.Revision, since.Revision) + 1
	return joined
}

// listOf is the list that a catalogue was made of.
func listOf(c *Catalogue) upstream.Listing {
	l := upstream.Listing{Endpoint: c.Endpoint, Skipped: c.Skipped}
	for i := range c.Entries {
		if e := &c.Entries[i]; e.Present {
			l.Models = append(l.Models, upstream.ListedModel{
				ID: e.Name, DisplayName: e.DisplayName, OwnedBy: e.OwnedBy,
				ContextWindow: e.ContextWindow, MaxOutput: e.MaxOutput, Operations: e.Operations,
			})
		}
	}
	return l
}

// decide takes over what people have decided of an entry.
func (c *Catalogue) decide(said *Entry) {
	i, ok := c.find(said.Name)
	if !ok {
		c.Entries = slices.Insert(c.Entries, i, *said)
		return
	}
	e := &c.Entries[i]
	e.Disabled = e.Disabled || said.Disabled
	e.Edited = slices.Clone(e.Edited)
	if e.Origin == OriginSync {
		e.Origin = said.Origin
	}
	edited := func(field string) bool { return said.Origin == OriginManual || slices.Contains(said.Edited, field) }
	if edited("display_name") {
		e.DisplayName = said.DisplayName
	}
	if edited("owned_by") {
		e.OwnedBy = said.OwnedBy
	}
	if edited("context_window") {
		e.ContextWindow = said.ContextWindow
	}
	if edited("max_output") {
		e.MaxOutput = said.MaxOutput
	}
	if edited("operations") {
		e.Operations = said.Operations
	}
	for _, field := range said.Edited {
		e.mark(field)
	}
}

package catalogue

import (
	"fmt"
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Edit is what a person says of a model; nil leaves a field as it is. Syncs do not
// change it any more.
type Edit struct {
	DisplayName   *string             `json:"display_name,omitempty"`
	OwnedBy       *string             `json:"owned_by,omitempty"`
	ContextWindow *int                `json:"context_window,omitempty"`
	MaxOutput     *int                `json:"max_output,omitempty"`
	Operations    *[]format.Operation `json:"operations,omitempty"`
}

// Edit sets fields of a model, and disables it or enables it again if disabled is not
// nil, all or nothing. It is ErrUnknownModel if the catalogue has no such model.
func (s *Syncer) Edit(upstream, model string, disabled *bool, edit Edit) error {
	return s.change(upstream, func(c *Catalogue, d *Diff) error {
		e, err := c.own(model)
		if err != nil {
			return err
		}
		marks := len(e.Edited)
		changed := disabled != nil && e.Disabled != *disabled
		if changed {
			e.Disabled = *disabled
		}
		changed = set(e, "display_name", &e.DisplayName, edit.DisplayName) || changed
		changed = set(e, "owned_by", &e.OwnedBy, edit.OwnedBy) || changed
		changed = set(e, "context_window", &e.ContextWindow, edit.ContextWindow) || changed
		changed = set(e, "max_output", &e.MaxOutput, edit.MaxOutput) || changed
		if edit.Operations != nil {
			changed = changed || !slices.Equal(e.Operations, *edit.Operations)
			e.Operations = slices.Clone(*edit.Operations)
			e.mark("operations")
		}
		if changed || len(e.Edited) != marks {
			d.Changed = append(d.Changed, model)
		}
		return e.check()
	})
}

// AddManual puts models into a catalogue, all or none. One that comes from a list
// becomes manual, with what is said here; one that a person has put there before, or
// that was imported, is ErrExists. Of an entry only the name and what describes the
// model count; a person who wants it disabled says so with Edit.
func (s *Syncer) AddManual(upstream string, entries ...Entry) error {
	return s.change(upstream, func(c *Catalogue, d *Diff) error {
		for _, entry := range entries {
			if err := entry.check(); err != nil {
				return err
			}
			i, ok := c.find(entry.Name)
			if !ok {
				c.Entries = slices.Insert(c.Entries, i, Entry{Name: entry.Name})
				d.Added = append(d.Added, entry.Name)
			} else if c.Entries[i].Origin != OriginSync {
				return fmt.Errorf("%w: %q", ErrExists, entry.Name)
			} else {
				d.Changed = append(d.Changed, entry.Name)
			}
			e := &c.Entries[i]
			e.Origin = OriginManual
			e.DisplayName, e.OwnedBy = entry.DisplayName, entry.OwnedBy
			e.ContextWindow, e.MaxOutput = entry.ContextWindow, entry.MaxOutput
			e.Operations, e.Edited = slices.Clone(entry.Operations), nil
		}
		return c.checkSize(d)
	})
}

// Import marks the entries of models as imported: they stay in use when the service
// no longer lists them. Models that the catalogue does not have are added. Those
// that a person has put there stay manual. It is all or nothing.
func (s *Syncer) Import(upstream string, models ...string) (Diff, error) {
	var done Diff
	err := s.change(upstream, func(c *Catalogue, d *Diff) error {
		for _, model := range models {
			i, ok := c.find(model)
			switch {
			case !ok:
				e := Entry{Name: model, Origin: OriginImport}
				if err := e.check(); err != nil {
					return err
				}
				c.Entries = slices.Insert(c.Entries, i, e)
				d.Added = append(d.Added, model)
			case c.Entries[i].Origin == OriginSync:
				c.Entries[i].Origin = OriginImport
				d.Changed = append(d.Changed, model)
			}
		}
		done = *d
		return c.checkSize(d)
	})
	if err != nil {
		return Diff{}, err
	}
	return done, nil
}

// Remove takes a model out of a catalogue that a person has put there. It is
// ErrUnknownModel or ErrNotManual for others. If the service lists it, the next sync
// brings it back as its own; one that is disabled is that at once, for it must not
// come back enabled.
func (s *Syncer) Remove(upstream, model string) error {
	return s.change(upstream, func(c *Catalogue, d *Diff) error {
		i, ok := c.find(model)
		if !ok {
			return fmt.Errorf("%w: %q", ErrUnknownModel, model)
		}
		if c.Entries[i].Origin != OriginManual {
			return fmt.Errorf("%w: %q", ErrNotManual, model)
		}
		if e := &c.Entries[i]; e.Disabled && !e.FirstSeen.IsZero() {
			e.Origin = OriginSync
			d.Changed = append(d.Changed, model)
			return nil
		}
		c.Entries = slices.Delete(c.Entries, i, i+1)
		d.Gone = append(d.Gone, model)
		return nil
	})
}

// change changes a catalogue and stores it, unless nothing changes. The edit is given
// a copy whose entries it may change.
func (s *Syncer) change(upstream string, edit func(*Catalogue, *Diff) error) error {
	st := s.lock(upstream)
	defer st.writing.Unlock()
	next := st.catalogue(upstream)
	next.Entries = slices.Clone(next.Entries)
	var d Diff
	if err := edit(&next, &d); err != nil {
		return fmt.Errorf("catalogue of upstream %q: %w", upstream, err)
	}
	if d.Empty() {
		return nil
	}
	for _, names := range [][]string{d.Added, d.Changed, d.Gone} {
		slices.Sort(names)
	}
	_, err := s.publish(st, next, d)
	return err
}

// own returns an entry that may be changed.
func (c *Catalogue) own(model string) (*Entry, error) {
	i, ok := c.find(model)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownModel, model)
	}
	e := &c.Entries[i]
	e.Edited = slices.Clone(e.Edited)
	return e, nil
}

// set sets a field to what a person says, if anything, and says whether that is new.
func set[T comparable](e *Entry, name string, field, said *T) bool {
	if said == nil {
		return false
	}
	changed := *field != *said
	*field = *said
	e.mark(name)
	return changed
}

// mark notes that a person has set a field.
func (e *Entry) mark(name string) {
	if i, ok := slices.BinarySearch(e.Edited, name); !ok {
		e.Edited = slices.Insert(e.Edited, i, name)
	}
}

// The limits of what a person may say.
const (
	maxText   = 256 // bytes
	maxTokens = 1 << 30
)

// FieldError refuses what a person says of a model.
type FieldError struct {
	// Field is its name in JSON, and Text what is wrong with it.
	Field, Text string
}

// Error implements error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Text }

// check refuses an entry that no list could have.
func (e *Entry) check() error {
	if err := upstream.CheckModelName(e.Name); err != nil {
		return &FieldError{"name", err.Error()}
	}
	text := fmt.Sprintf("must be text of %d bytes at most, without control characters", maxText)
	tokens := fmt.Sprintf("must be from 0 to %d", maxTokens)
	switch {
	case format.Bounded(e.DisplayName, maxText) != e.DisplayName:
		return &FieldError{"display_name", text}
	case format.Bounded(e.OwnedBy, maxText) != e.OwnedBy:
		return &FieldError{"owned_by", text}
	case e.ContextWindow < 0 || e.ContextWindow > maxTokens:
		return &FieldError{"context_window", tokens}
	case e.MaxOutput < 0 || e.MaxOutput > maxTokens:
		return &FieldError{"max_output", tokens}
	}
	for i, op := range e.Operations {
		switch {
		case !isOperation(op):
			return &FieldError{"operations", fmt.Sprintf("there is no operation %q", op)}
		case slices.Contains(e.Operations[:i], op):
			return &FieldError{"operations", fmt.Sprintf("%s stands twice", op)}
		}
	}
	return nil
}

// isOperation says that upstreams can be asked for an operation.
func isOperation(op format.Operation) bool {
	return slices.ContainsFunc(upstream.KnownFormats(), func(f format.ID) bool { return upstream.Serves(f, op) })
}

// checkSize refuses to add more entries than a catalogue can have.
func (c *Catalogue) checkSize(d *Diff) error {
	if len(d.Added) > 0 && len(c.Entries) > maxEntries {
		return &FieldError{"models", fmt.Sprintf("a catalogue has at most %d models", maxEntries)}
	}
	return nil
}

// Fill sets what is said in an entry that is about to be added.
func (edit *Edit) Fill(e *Entry) {
	set(e, "display_name", &e.DisplayName, edit.DisplayName)
	set(e, "owned_by", &e.OwnedBy, edit.OwnedBy)
	set(e, "context_window", &e.ContextWindow, edit.ContextWindow)
	set(e, "max_output", &e.MaxOutput, edit.MaxOutput)
	if edit.Operations != nil {
		e.Operations = slices.Clone(*edit.Operations)
	}
	e.Edited = nil
}

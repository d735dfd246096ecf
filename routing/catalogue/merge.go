package catalogue

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Options say how a list is merged.
type Options struct {
	// Force takes in a list in which most models are missing.
	Force bool
	// MaxGone is the part of the models in use that a list may take away. Default:
	// 0.5.
	MaxGone float64
	// MinGone is how many models must be missing for MaxGone to matter: a few come
	// and go. It does not count for an empty list. Default: 5.
	MinGone int
	// Identity is what the upstream is now. The list of an upstream that is not what
	// it was may take away all, but must not be empty. Default: not known.
	Identity string
}

// The defaults.
const (
	defaultMaxGone = 0.5
	defaultMinGone = 5
)

// maxEntries is how many entries a catalogue has at most, unless a list and what
// people have decided have more: what is gone for longest is forgotten first.
const maxEntries = 100_000

// Diff is what a change has done, by the names of the models, sorted.
type Diff struct {
	// Added were not there before, Returned were not in the list before, and Gone
	// are no longer in it, or were removed by a person.
	Added    []string `json:"added,omitempty"`
	Returned []string `json:"returned,omitempty"`
	Gone     []string `json:"gone,omitempty"`
	// Changed are there as before, but something else of them is new.
	Changed []string `json:"changed,omitempty"`
	// Listed is how many models the list has, and Skipped how many names in it could
	// not be used. Both are 0 if there was no list.
	Listed  int `json:"listed"`
	Skipped int `json:"skipped,omitempty"`
}

// Empty says that nothing has changed.
func (d *Diff) Empty() bool {
	return len(d.Added)+len(d.Returned)+len(d.Gone)+len(d.Changed) == 0
}

// ErrMassDisappearance is in the error of a list that would take away too much.
var ErrMassDisappearance = errors.New("the list lacks most of the models")

// The codes of a DisappearanceError.
const (
	CodeAll  = "would_inactivate_all"
	CodeMany = "would_inactivate_many"
)

// DisappearanceError refuses a list in which most of the models are missing: it is
// more likely to be wrong than they are to be gone.
type DisappearanceError struct {
	// Code is CodeAll or CodeMany.
	Code string `json:"code"`
	// Gone is how many would no longer be in use, Present how many are, and Listed
	// how many the list has.
	Gone    int `json:"gone"`
	Present int `json:"present"`
	Listed  int `json:"listed"`
}

// Error implements error.
func (e *DisappearanceError) Error() string {
	return fmt.Sprintf("%s: %d of %d models are missing in the list, which has %d; force takes it in all the same", e.Code, e.Gone, e.Present, e.Listed)
}

// Unwrap returns ErrMassDisappearance.
func (e *DisappearanceError) Unwrap() error { return ErrMassDisappearance }

// Merge takes a list into a catalogue, and returns the new catalogue and what is
// different. It changes neither of its arguments.
//
// Entries that are missing in the list stay, as not present. What people have
// decided stays: entries that are disabled, fields that were edited, entries of
// their own, and where an entry comes from. A list in which most of the present
// entries of syncs are missing, or an empty one where any entry was present, is
// refused with a *DisappearanceError, unless it is forced; the catalogue is then
// the old one, and the Diff what would have been.
func Merge(old Catalogue, l upstream.Listing, now time.Time, o Options) (Catalogue, Diff, error) {
	listed := slices.Clone(l.Models)
	slices.SortFunc(listed, func(a, b upstream.ListedModel) int { return cmp.Compare(a.ID, b.ID) })
	listed = slices.CompactFunc(listed, func(a, b upstream.ListedModel) bool { return a.ID == b.ID })

	m := merging{now: now, diff: Diff{Listed: len(listed), Skipped: l.Skipped}}
	m.entries = make([]Entry, 0, max(len(old.Entries), len(listed)))
	i, j := 0, 0
	for i < len(old.Entries) || j < len(listed) {
		switch {
		case j == len(listed) || i < len(old.Entries) && old.Entries[i].Name < listed[j].ID:
			m.missing(old.Entries[i])
			i++
		case i == len(old.Entries) || listed[j].ID < old.Entries[i].Name:
			m.added(&listed[j])
			j++
		default:
			m.again(old.Entries[i], &listed[j])
			i, j = i+1, j+1
		}
	}
	if err := m.refusal(o, old.Identity); err != nil {
		return old, m.diff, err
	}
	merged := old
	merged.Entries = forget(m.entries)
	merged.SyncedAt, merged.Endpoint, merged.Skipped = now, l.Endpoint, l.Skipped
	merged.Identity = o.Identity
	merged.Error, merged.ErrorAt = "", time.Time{}
	return merged, m.diff, nil
}

// merging is a merge under way.
type merging struct {
	now     time.Time
	entries []Entry
	diff    Diff
	// present is how many entries were present, used how many of them come from
	// syncs, and gone how many of these are missing.
	present, used, gone int
}

// count counts an entry that was there.
func (m *merging) count(e *Entry) {
	if !e.Present {
		return
	}
	m.present++
	if e.Origin == OriginSync {
		m.used++
	}
}

// missing keeps an entry that is not in the list.
func (m *merging) missing(e Entry) {
	m.count(&e)
	if e.Present {
		e.Present = false
		m.diff.Gone = append(m.diff.Gone, e.Name)
		if e.Origin == OriginSync {
			m.gone++
		}
	}
	m.entries = append(m.entries, e)
}

// added makes an entry for a model that was not there.
func (m *merging) added(l *upstream.ListedModel) {
	e := Entry{Name: l.ID, Origin: OriginSync, Present: true, FirstSeen: m.now, LastSeen: m.now}
	e.learn(l)
	m.diff.Added = append(m.diff.Added, e.Name)
	m.entries = append(m.entries, e)
}

// again notes that the list has an entry that was there.
func (m *merging) again(e Entry, l *upstream.ListedModel) {
	m.count(&e)
	changed := e.Origin != OriginManual && e.learn(l)
	switch {
	case !e.Present:
		m.diff.Returned = append(m.diff.Returned, e.Name)
	case changed:
		m.diff.Changed = append(m.diff.Changed, e.Name)
	}
	if e.FirstSeen.IsZero() {
		e.FirstSeen = m.now
	}
	e.Present, e.LastSeen = true, m.now
	m.entries = append(m.entries, e)
}

// refusal says why the list must not be taken in; nil if it may.
func (m *merging) refusal(o Options, identity string) error {
	if o.MaxGone == 0 {
		o.MaxGone = defaultMaxGone
	}
	if o.MinGone == 0 {
		o.MinGone = defaultMinGone
	}
	refused := &DisappearanceError{Code: CodeMany, Gone: m.gone, Present: m.used, Listed: m.diff.Listed}
	empty := m.diff.Listed == 0 && m.present > 0
	if empty {
		refused.Gone, refused.Present = m.present, m.present
	}
	if refused.Gone == refused.Present {
		refused.Code = CodeAll
	}
	another := identity != "" && o.Identity != "" && identity != o.Identity
	many := m.gone >= o.MinGone && float64(m.gone) > o.MaxGone*float64(m.used) && !another
	if o.Force || !empty && !many {
		return nil
	}
	return refused
}

// learn takes over what a list says of a model, but for what a person has said. It
// says whether anything is new. What a list does not tell any more is kept.
func (e *Entry) learn(l *upstream.ListedModel) (changed bool) {
	take(e, "display_name", &e.DisplayName, l.DisplayName, &changed)
	take(e, "owned_by", &e.OwnedBy, l.OwnedBy, &changed)
	take(e, "context_window", &e.ContextWindow, l.ContextWindow, &changed)
	take(e, "max_output", &e.MaxOutput, l.MaxOutput, &changed)
	if len(l.Operations) > 0 && !slices.Contains(e.Edited, "operations") && !slices.Equal(e.Operations, l.Operations) {
		e.Operations, changed = slices.Clone(l.Operations), true
	}
	return changed
}

// take sets a field to what a list says, if that says anything and the field is
// nobody's.
func take[T comparable](e *Entry, name string, field *T, said T, changed *bool) {
	var nothing T
	if said == nothing || said == *field || slices.Contains(e.Edited, name) {
		return
	}
	*field, *changed = said, true
}

// forget drops entries if there are too many: those that are gone for longest, of
// which no person has decided anything.
func forget(entries []Entry) []Entry {
	over := len(entries) - maxEntries
	if over <= 0 {
		return entries
	}
	var gone []int
	for i := range entries {
		if entries[i].forgettable() {
			gone = append(gone, i)
		}
	}
	slices.SortStableFunc(gone, func(a, b int) int { return entries[a].LastSeen.Compare(entries[b].LastSeen) })
	drop := make(map[string]bool)
	for _, i := range gone[:min(over, len(gone))] {
		drop[entries[i].Name] = true
	}
	return slices.DeleteFunc(entries, func(e Entry) bool { return drop[e.Name] })
}

// forgettable says that nothing is lost with an entry.
func (e *Entry) forgettable() bool {
	return e.Origin == OriginSync && !e.Present && !e.Disabled && len(e.Edited) == 0
}

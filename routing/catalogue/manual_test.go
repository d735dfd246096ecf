package catalogue

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// synced returns a Syncer whose upstream "one" lists these models, and what sets
// the list of the next sync and makes it.
func synced(t *testing.T, names ...string) (s *Syncer, resync func(names ...string)) {
	t.Helper()
	s = New(new(memory))
	service, u := newService(t, "one", "")
	resync = func(names ...string) {
		t.Helper()
		service.says(names...)
		mustSync(t, s, u)
	}
	resync(names...)
	return s, resync
}

func TestDecisionsOutliveSyncs(t *testing.T) {
	s, resync := synced(t, "a", "b", "c", "d")
	operations := []format.Operation{format.OperationEmbed}
	for name, err := range map[string]error{
		"disable": s.Edit("one", "a", new(true), Edit{}),
		"edit":    s.Edit("one", "b", nil, Edit{DisplayName: new("The B"), ContextWindow: new(5), Operations: &operations}),
		"add":     s.AddManual("one", Entry{Name: "m", MaxOutput: 7}, Entry{Name: "d", DisplayName: "Mine", Disabled: true, Present: true}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d, err := s.Import("one", "c", "m", "x"); err != nil || !slices.Equal(d.Added, []string{"x"}) || !slices.Equal(d.Changed, []string{"c"}) {
		t.Errorf("import: got %+v, %v", d, err)
	}
	if d, err := s.Import("one", "c", "m", "x"); err != nil || !d.Empty() {
		t.Errorf("second import: got %+v, %v", d, err)
	}
	resync("b", "m")
	resync("a", "b", "m")
	want := []string{"a disabled", "b", "c import gone", "d manual", "m manual listed", "x import gone"}
	if got := entriesOf(s, "one"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c, _ := s.Get("one")
	b, _ := c.Entry("b")
	if b.DisplayName != "The B" || b.ContextWindow != 5 || !slices.Equal(b.Operations, operations) || !slices.Equal(b.Edited, []string{"context_window", "display_name", "operations"}) {
		t.Errorf("got %+v", b)
	}
	if d, _ := c.Entry("d"); d.DisplayName != "Mine" || d.Disabled || d.Present {
		t.Errorf("got %+v", d)
	}

	if err := s.Edit("one", "a", new(false), Edit{}); err != nil {
		t.Error(err)
	}
	if err := s.Remove("one", "m"); err != nil {
		t.Error(err)
	}
	resync("a", "b", "m")
	want = []string{"a", "b", "c import gone", "d manual", "m", "x import gone"}
	if got := entriesOf(s, "one"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRefusedDecisions(t *testing.T) {
	s, _ := synced(t, "a")
	if err := s.AddManual("one", Entry{Name: "m"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import("one", "i"); err != nil {
		t.Fatal(err)
	}
	before, _ := s.Get("one")
	long := strings.Repeat("x", 257)
	for _, tc := range []struct {
		name string
		err  error
		is   error
		want string
	}{
		{"disable an unknown one", s.Edit("one", "z", new(true), Edit{}), ErrUnknownModel, `catalogue of upstream "one": the catalogue has no such model: "z"`},
		{"disable one of an unknown upstream", s.Edit("none", "a", new(true), Edit{}), ErrUnknownModel, `catalogue of upstream "none": `},
		{"edit an unknown one", s.Edit("one", "z", nil, Edit{OwnedBy: new("x")}), ErrUnknownModel, ""},
		{"edit with a long text", s.Edit("one", "a", nil, Edit{OwnedBy: &long}), nil, "owned_by: must be text of 256 bytes at most"},
		{"edit with a line break", s.Edit("one", "a", nil, Edit{DisplayName: new("a\nb")}), nil, "display_name: must be text"},
		{"edit with a negative number", s.Edit("one", "a", nil, Edit{MaxOutput: new(-1)}), nil, "max_output: must be from 0 to"},
		{"add one that is there", s.AddManual("one", Entry{Name: "n"}, Entry{Name: "m"}), ErrExists, `"m"`},
		{"add one that is imported", s.AddManual("one", Entry{Name: "i"}), ErrExists, `"i"`},
		{"add one twice", s.AddManual("one", Entry{Name: "n"}, Entry{Name: "n"}), ErrExists, `"n"`},
		{"add a long name", s.AddManual("one", Entry{Name: long}), nil, "name: the name of the model is longer than 256 bytes"},
		{"add without a name", s.AddManual("one", Entry{}), nil, "name: the name of the model is empty"},
		{"add a large number", s.AddManual("one", Entry{Name: "n", ContextWindow: 1<<30 + 1}), nil, "context_window: must be from 0 to"},
		{"remove an unknown one", s.Remove("one", "z"), ErrUnknownModel, ""},
		{"remove a synced one", s.Remove("one", "a"), ErrNotManual, ""},
		{"remove an imported one", s.Remove("one", "i"), ErrNotManual, ""},
	} {
		if tc.err == nil || tc.is != nil && !errors.Is(tc.err, tc.is) || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%s: got %v", tc.name, tc.err)
		}
	}
	if _, err := s.Import("one", "a", "bad\x00name"); err == nil {
		t.Error("a bad name was imported")
	}
	if after, _ := s.Get("one"); !reflect.DeepEqual(before, after) {
		t.Errorf("got %+v, want %+v", after, before)
	}
	if len(s.All()) != 1 {
		t.Errorf("got %+v", s.All())
	}
}

// What was handed out does not change afterwards.
func TestCataloguesAreImmutable(t *testing.T) {
	s, resync := synced(t, "a", "b")
	if err := s.Edit("one", "b", nil, Edit{OwnedBy: new("me"), DisplayName: new("The B"), MaxOutput: new(2)}); err != nil {
		t.Fatal(err)
	}
	before, _ := s.Get("one")
	was := fmt.Sprintf("%+v", before)
	for name, err := range map[string]error{
		"edit":    s.Edit("one", "b", nil, Edit{ContextWindow: new(1)}),
		"disable": s.Edit("one", "a", new(true), Edit{}),
		"add":     s.AddManual("one", Entry{Name: "aa"}),
		"remove":  s.Remove("one", "aa"),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	resync("b")
	if now := fmt.Sprintf("%+v", before); now != was {
		t.Errorf("got %s\nwant %s", now, was)
	}
}

// No change is lost among many at the same time.
func TestChangesAtOnce(t *testing.T) {
	s, resync := synced(t, "a")
	changes := 0 // the calls come one at a time
	s.OnChange(func(string, Diff) { changes++ })
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if err := s.AddManual("one", Entry{Name: fmt.Sprintf("m%02d", i)}); err != nil {
				t.Error(err)
			}
			if c, ok := s.Get("one"); !ok || !slices.IsSortedFunc(c.Entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }) {
				t.Errorf("got %q", brief(c))
			}
		})
	}
	all.Wait()
	resync("a", "b")
	c, _ := s.Get("one")
	if len(c.Entries) != 52 || c.Revision != 52 || changes != 51 {
		t.Errorf("got %d entries, revision %d, %d changes", len(c.Entries), c.Revision, changes)
	}
}

// Whoever takes out what was put in beside the service's own list does not enable
// what somebody had disabled: the list still has it.
func TestRemovalEnablesNothing(t *testing.T) {
	s, resync := synced(t, "a", "b", "c")
	disable(t, s, "a")
	disable(t, s, "c")
	if err := s.AddManual("one", Entry{Name: "a", DisplayName: "Mine"}, Entry{Name: "c"}, Entry{Name: "m"}); err != nil {
		t.Fatal(err)
	}
	resync("a", "b") // c is gone for a while
	disable(t, s, "m")
	for _, name := range []string{"a", "c", "m"} {
		if err := s.Remove("one", name); err != nil {
			t.Error(err)
		}
	}
	if got := entriesOf(s, "one"); !slices.Equal(got, []string{"a disabled", "b", "c gone disabled"}) {
		t.Errorf("got %q", got)
	}
	resync("a", "b", "c")
	if got := entriesOf(s, "one"); !slices.Equal(got, []string{"a disabled", "b", "c disabled"}) {
		t.Errorf("after a sync: got %q", got)
	}
	if err := s.Remove("one", "a"); !errors.Is(err, ErrNotManual) {
		t.Errorf("got %v", err)
	}
}

// A change of what describes a model and of whether it is disabled is one change.
func TestEditIsAllOrNothing(t *testing.T) {
	store := new(memory)
	s := New(store)
	if err := s.AddManual("one", Entry{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	writes := store.writes
	if err := s.Edit("one", "a", new(true), Edit{DisplayName: new("The A")}); err != nil {
		t.Fatal(err)
	}
	if c, _ := s.Get("one"); store.writes != writes+1 || !c.Entries[0].Disabled || c.Entries[0].DisplayName != "The A" {
		t.Errorf("got %+v after %d writes", c.Entries, store.writes-writes)
	}
	before, _ := s.Get("one")
	if err := s.Edit("one", "a", new(false), Edit{MaxOutput: new(-1)}); err == nil {
		t.Error("a negative number is taken")
	}
	if after, _ := s.Get("one"); !reflect.DeepEqual(after, before) {
		t.Errorf("got %+v, want %+v", after, before)
	}
}

// Operations that there are not are refused.
func TestUnknownOperationsAreRefused(t *testing.T) {
	s, _ := synced(t, "a")
	for name, operations := range map[string][]format.Operation{
		"unknown": {"chat", "dance"}, "control characters": {"chat\x1b[31m"}, "twice": {"chat", "chat"}, "of the gateway itself": {format.OperationListModels},
	} {
		err := s.Edit("one", "a", nil, Edit{Operations: &operations})
		if e, ok := errors.AsType[*FieldError](err); !ok || e.Field != "operations" {
			t.Errorf("%s: got %v", name, err)
		}
		if err := s.AddManual("one", Entry{Name: "m", Operations: operations}); err == nil {
			t.Errorf("%s: can be put in by hand", name)
		}
	}
	if got := entriesOf(s, "one"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("got %q", got)
	}
}

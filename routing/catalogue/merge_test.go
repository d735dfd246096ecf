package catalogue

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

var (
	yesterday = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	today     = yesterday.Add(24 * time.Hour)
)

// listing is a list of these models.
func listing(names ...string) upstream.Listing {
	l := upstream.Listing{Endpoint: "openai_models"}
	for _, name := range names {
		l.Models = append(l.Models, upstream.ListedModel{ID: name})
	}
	return l
}

// known is a catalogue that was synced yesterday with these entries: a name, and
// behind it any of the words manual, import, gone, disabled.
func known(entries ...string) Catalogue {
	c := Catalogue{Upstream: "u", SyncedAt: yesterday, Endpoint: "openai_models", Identity: "i", Revision: 7}
	for _, text := range entries {
		words := strings.Fields(text)
		e := Entry{Name: words[0], Origin: OriginSync, Present: true, FirstSeen: yesterday, LastSeen: yesterday}
		for _, word := range words[1:] {
			switch word {
			case "manual":
				e.Origin, e.Present, e.FirstSeen, e.LastSeen = OriginManual, false, time.Time{}, time.Time{}
			case "import":
				e.Origin = OriginImport
			case "gone":
				e.Present = false
			case "disabled":
				e.Disabled = true
			}
		}
		c.Entries = append(c.Entries, e)
	}
	sortEntries(c.Entries)
	return c
}

// brief tells of entries what known can be told.
func brief(c Catalogue) (texts []string) {
	for _, e := range c.Entries {
		text := e.Name
		if e.Origin != OriginSync {
			text += " " + string(e.Origin)
		}
		if e.Present && e.Origin == OriginManual {
			text += " listed"
		}
		if !e.Present && e.Origin != OriginManual {
			text += " gone"
		}
		if e.Disabled {
			text += " disabled"
		}
		texts = append(texts, text)
	}
	return texts
}

// numbered are the names m00 to m<n-1>.
func numbered(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("m%02d", i))
	}
	return names
}

func TestMerge(t *testing.T) {
	ten := numbered(10)
	for _, tc := range []struct {
		name  string
		old   Catalogue
		list  upstream.Listing
		o     Options
		want  []string
		diff  Diff
		fails string
	}{
		{
			name: "the first list", old: Catalogue{Upstream: "u"}, list: listing("b", "a", "b"),
			want: []string{"a", "b"}, diff: Diff{Added: []string{"a", "b"}, Listed: 2},
		},
		{name: "the first list is empty", old: Catalogue{Upstream: "u"}, list: listing()},
		{
			name: "the same again", old: known("a", "b"), list: listing("a", "b"),
			want: []string{"a", "b"}, diff: Diff{Listed: 2},
		},
		{
			name: "what is missing stays", old: known("a", "b", "c"), list: listing("a", "d"),
			want: []string{"a", "b gone", "c gone", "d"}, diff: Diff{Added: []string{"d"}, Gone: []string{"b", "c"}, Listed: 2},
		},
		{
			name: "what was missing returns", old: known("a", "b gone"), list: listing("a", "b"),
			want: []string{"a", "b"}, diff: Diff{Returned: []string{"b"}, Listed: 2},
		},
		{
			name: "what is disabled stays so", old: known("a disabled", "b disabled gone", "c"), list: listing("a", "b", "c"),
			want: []string{"a disabled", "b disabled", "c"}, diff: Diff{Returned: []string{"b"}, Listed: 3},
		},
		{
			name: "manual and imported entries keep their origin", old: known("m manual", "n manual", "x import", "y import", "z"), list: listing("m", "x", "z"),
			want: []string{"m manual listed", "n manual", "x import", "y import gone", "z"}, diff: Diff{Returned: []string{"m"}, Gone: []string{"y"}, Listed: 3},
		},
		{
			name: "an empty list takes away nothing", old: known("a"), list: listing(),
			want: []string{"a"}, diff: Diff{Gone: []string{"a"}}, fails: "would_inactivate_all: 1 of 1 models are missing in the list, which has 0; force takes it in all the same",
		},
		{
			name: "an empty list, imported models only", old: known("a import"), list: listing(),
			want: []string{"a import"}, diff: Diff{Gone: []string{"a"}}, fails: "would_inactivate_all: 1 of 1",
		},
		{
			name: "an empty list of another upstream", old: known("a"), list: listing(), o: Options{Identity: "other"},
			want: []string{"a"}, diff: Diff{Gone: []string{"a"}}, fails: "would_inactivate_all",
		},
		{
			name: "an empty list where none was present", old: known("a gone", "m manual"), list: listing(),
			want: []string{"a gone", "m manual"},
		},
		{
			name: "an empty list by force", old: known("a", "m manual"), list: listing(), o: Options{Force: true},
			want: []string{"a gone", "m manual"}, diff: Diff{Gone: []string{"a"}},
		},
		{
			name: "a first page only", old: known(ten...), list: listing(ten[:4]...),
			want: ten, diff: Diff{Gone: ten[4:], Listed: 4}, fails: "would_inactivate_many: 6 of 10 models are missing in the list, which has 4",
		},
		{
			name: "a first page only, by force", old: known(ten...), list: listing(ten[:9]...), o: Options{Force: true},
			want: append(slices.Clone(ten[:9]), "m09 gone"), diff: Diff{Gone: ten[9:], Listed: 9},
		},
		{
			name: "other models only", old: known(ten...), list: listing("x"),
			want: ten, diff: Diff{Added: []string{"x"}, Gone: ten, Listed: 1}, fails: "would_inactivate_all: 10 of 10 models are missing in the list, which has 1",
		},
		{
			name: "just half of them", old: known(ten...), list: listing(ten[:5]...),
			want: append(slices.Clone(ten[:5]), "m05 gone", "m06 gone", "m07 gone", "m08 gone", "m09 gone"), diff: Diff{Gone: ten[5:], Listed: 5},
		},
		{
			name: "all of a few", old: known("a", "b", "c", "d"), list: listing("x"),
			want: []string{"a gone", "b gone", "c gone", "d gone", "x"}, diff: Diff{Added: []string{"x"}, Gone: []string{"a", "b", "c", "d"}, Listed: 1},
		},
		{
			name: "imported models are in use all the same", old: known("a import", "b import", "c import", "d import", "e import", "x", "y"), list: listing("x", "y"),
			want: []string{"a import gone", "b import gone", "c import gone", "d import gone", "e import gone", "x", "y"},
			diff: Diff{Gone: []string{"a", "b", "c", "d", "e"}, Listed: 2},
		},
		{
			name: "other bounds", old: known("a", "b", "c", "d"), list: listing("a", "b"), o: Options{MaxGone: 0.25, MinGone: 2},
			want: []string{"a", "b", "c", "d"}, diff: Diff{Gone: []string{"c", "d"}, Listed: 2}, fails: "would_inactivate_many: 2 of 4",
		},
		{
			name: "the list of another upstream", old: known(numbered(5)...), list: listing("x"), o: Options{Identity: "other"},
			want: []string{"m00 gone", "m01 gone", "m02 gone", "m03 gone", "m04 gone", "x"}, diff: Diff{Added: []string{"x"}, Gone: numbered(5), Listed: 1},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.o.Identity == "" {
				tc.o.Identity = "i"
			}
			before := brief(tc.old)
			got, diff, err := Merge(tc.old, tc.list, today, tc.o)
			if !slices.Equal(brief(got), tc.want) || !reflect.DeepEqual(diff, tc.diff) {
				t.Errorf("got  %q %+v\nwant %q %+v", brief(got), diff, tc.want, tc.diff)
			}
			if after := brief(tc.old); !slices.Equal(before, after) {
				t.Errorf("the old catalogue has become %q", after)
			}
			if tc.fails != "" {
				if !errors.Is(err, ErrMassDisappearance) || !strings.Contains(err.Error(), tc.fails) || !reflect.DeepEqual(got, tc.old) {
					t.Errorf("got %v, want %s", err, tc.fails)
				}
				return
			}
			if err != nil || got.SyncedAt != today || got.Identity != tc.o.Identity || got.Revision != tc.old.Revision {
				t.Errorf("got %v, %+v", err, got)
			}
		})
	}
}

func TestMergedFacts(t *testing.T) {
	chat := []format.Operation{format.OperationChat}
	old := known("a", "b", "m manual")
	old.Entries[0].Edited, old.Entries[0].DisplayName, old.Entries[0].ContextWindow = []string{"context_window", "display_name", "operations"}, "Mine", 10
	old.Entries[1].DisplayName, old.Entries[1].OwnedBy = "Old", "kept"
	old.Entries[2].DisplayName = "By hand"
	old.Error, old.ErrorAt = "status 500", yesterday
	list := upstream.Listing{Endpoint: "gemini_models", Skipped: 2}
	for _, name := range []string{"a", "b", "m", "n"} {
		list.Models = append(list.Models, upstream.ListedModel{ID: name, DisplayName: "New", ContextWindow: 99, MaxOutput: 5, Operations: chat})
	}
	got, diff, err := Merge(old, list, today, Options{Identity: "i"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{Name: "a", DisplayName: "Mine", ContextWindow: 10, MaxOutput: 5, Origin: OriginSync, Present: true, Edited: old.Entries[0].Edited, FirstSeen: yesterday, LastSeen: today},
		{Name: "b", DisplayName: "New", OwnedBy: "kept", ContextWindow: 99, MaxOutput: 5, Operations: chat, Origin: OriginSync, Present: true, FirstSeen: yesterday, LastSeen: today},
		{Name: "m", DisplayName: "By hand", Origin: OriginManual, Present: true, FirstSeen: today, LastSeen: today},
		{Name: "n", DisplayName: "New", ContextWindow: 99, MaxOutput: 5, Operations: chat, Origin: OriginSync, Present: true, FirstSeen: today, LastSeen: today},
	}
	if !reflect.DeepEqual(got.Entries, want) {
		t.Errorf("got  %+v\nwant %+v", got.Entries, want)
	}
	if wantDiff := (Diff{Added: []string{"n"}, Returned: []string{"m"}, Changed: []string{"a", "b"}, Listed: 4, Skipped: 2}); !reflect.DeepEqual(diff, wantDiff) {
		t.Errorf("got %+v, want %+v", diff, wantDiff)
	}
	if got.Error != "" || !got.ErrorAt.IsZero() || got.Endpoint != "gemini_models" || got.Skipped != 2 {
		t.Errorf("got %+v", got)
	}
	if old.Entries[1].DisplayName != "Old" {
		t.Error("the old catalogue was changed")
	}
}

func TestActive(t *testing.T) {
	for text, want := range map[string]bool{
		"a": true, "a gone": false, "a disabled": false, "a manual": true,
		"a manual disabled": false, "a import": true, "a import gone": true,
	} {
		if got := known(text).Entries[0].Active(); got != want {
			t.Errorf("%s: got %t", text, got)
		}
	}
}

// An upstream that has other names each time does not fill the memory, and nothing
// that a person has decided is forgotten.
func TestCatalogueIsBounded(t *testing.T) {
	c := known("aa disabled gone", "ab manual", "ac gone", "zz import gone")
	c.Entries[2].Edited = []string{"owned_by"}
	for round := range 4 {
		names := make([]string, 40_000)
		for i := range names {
			names[i] = fmt.Sprintf("m-%d-%05d", round, i)
		}
		var err error
		if c, _, err = Merge(c, listing(names...), today.Add(time.Duration(round)*time.Hour), Options{Force: true}); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.Entries) != maxEntries {
		t.Errorf("got %d entries", len(c.Entries))
	}
	rounds := make(map[string]int)
	for _, e := range c.Entries {
		rounds[e.Name[:min(3, len(e.Name))]]++
	}
	if rounds["m-3"] != 40_000 || rounds["m-2"] != 40_000 || rounds["m-0"] != 0 {
		t.Errorf("got %v", rounds)
	}
	for _, name := range []string{"aa", "ab", "ac", "zz"} {
		if _, ok := c.Entry(name); !ok {
			t.Errorf("%s was forgotten", name)
		}
	}
}

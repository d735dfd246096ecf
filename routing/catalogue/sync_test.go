package catalogue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/demo"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// mustSync syncs without force.
func mustSync(t *testing.T, s *Syncer, u *upstream.Upstream) Result {
	t.Helper()
	r, err := s.Sync(t.Context(), u, false)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// entriesOf are the entries of an upstream, in brief.
func entriesOf(s *Syncer, upstream string) []string {
	c, _ := s.Get(upstream)
	return brief(c)
}

func TestSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(memory)
		s := New(store)
		var changes []string
		s.OnChange(func(upstream string, d Diff) { changes = append(changes, fmt.Sprintf("%s%+v", upstream, d)) })
		service, u := newService(t, "one", "")
		service.says("b", "a")
		r := mustSync(t, s, u)
		got, ok := s.Get("one")
		if !ok || !reflect.DeepEqual(r.Catalogue, got) || !reflect.DeepEqual(store.kept["one"], got) {
			t.Errorf("got %+v, in memory %+v, stored %+v", r.Catalogue, got, store.kept["one"])
		}
		if !slices.Equal(brief(got), []string{"a", "b"}) || got.Revision != 1 || got.Endpoint != "openai_models" || got.Identity != u.Identity() || !got.SyncedAt.Equal(time.Now()) {
			t.Errorf("got %+v", got)
		}

		// A disabled model stays disabled, through a sync and a restart.
		if err := s.Edit("one", "a", new(true), Edit{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		mustSync(t, s, u)
		again := New(store)
		if err := again.Load(); err != nil {
			t.Fatal(err)
		}
		if got := entriesOf(again, "one"); !slices.Equal(got, []string{"a disabled", "b"}) {
			t.Errorf("after a restart: got %q", got)
		}
		if all := again.All(); len(all) != 1 || all[0].Revision != 3 {
			t.Errorf("got %+v", all)
		}
		want := []string{
			"one{Added:[a b] Returned:[] Gone:[] Changed:[] Listed:2 Skipped:0}",
			"one{Added:[] Returned:[] Gone:[] Changed:[a] Listed:0 Skipped:0}",
		}
		if !slices.Equal(changes, want) {
			t.Errorf("got changes %q, want %q", changes, want)
		}
	})
}

// The built-in upstream lists its models in each of its formats.
func TestSyncOfTheDemo(t *testing.T) {
	for id, endpoint := range map[string]string{"openai_chat": "openai_models", "anthropic_messages": "anthropic_models", "gemini": "gemini_models"} {
		u := new(upstream.Upstream)
		header := map[string]string{"gemini": "X-Goog-Api-Key"}[id] // by which it knows whose list is meant
		config := `{"formats":["` + id + `"],"credentials":[{"type":"header","name":"` + cmp.Or(header, "X-Api-Key") + `","value":"any"}]}`
		if err := caddy.StrictUnmarshalJSON([]byte(config), u); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		defer cancel()
		if err := u.Provision(ctx, "demo"); err != nil {
			t.Fatal(err)
		}
		r := mustSync(t, New(new(memory)), u)
		if _, ok := r.Catalogue.Entry("echo"); !ok || r.Catalogue.Endpoint != endpoint || r.Diff.Skipped != 0 {
			t.Errorf("%s: got %+v", id, r.Catalogue)
		}
	}
}

func TestPreviewStoresNothing(t *testing.T) {
	store := new(memory)
	s := New(store)
	service, u := newService(t, "one", "")
	service.says("a", "b", "c")
	r, err := s.Preview(t.Context(), u)
	if err != nil || !slices.Equal(r.Diff.Added, []string{"a", "b", "c"}) || len(r.Catalogue.Entries) != 3 || r.Refused != nil {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, ok := s.Get("one"); ok || store.writes != 0 {
		t.Errorf("something was stored, %d times", store.writes)
	}
	mustSync(t, s, u)
	before, _ := s.Get("one")
	service.says()
	r, err = s.Preview(t.Context(), u)
	if err != nil || r.Refused == nil || r.Refused.Code != CodeAll || len(r.Diff.Gone) != 3 {
		t.Errorf("got %+v, %v", r, err)
	}
	service.answers(500, "")
	if _, err := s.Preview(t.Context(), u); problemOf(err) != upstream.ListFailed {
		t.Errorf("got %v", err)
	}
	if after, _ := s.Get("one"); !reflect.DeepEqual(before, after) || store.writes != 1 {
		t.Errorf("got %+v, want %+v", after, before)
	}
}

// problemOf is the problem of a list; "" for another error.
func problemOf(err error) upstream.ListProblem {
	if e, ok := errors.AsType[*upstream.ListError](err); ok {
		return e.Problem
	}
	return ""
}

// A sync that fails leaves all as it is but for what it notes.
func TestFailedSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(new(memory))
		service, u := newService(t, "one", "")
		service.says("a", "b")
		mustSync(t, s, u)
		synced, _ := s.Get("one")
		for _, tc := range []struct {
			name, body string
			status     int
			want       string
		}{
			{"down", "", 503, "openai_models: status 503: the service failed"},
			{"empty", "[]", 200, "would_inactivate_all: 2 of 2 models are missing in the list, which has 0; force takes it in all the same"},
		} {
			time.Sleep(time.Minute)
			service.answers(tc.status, tc.body)
			if _, err := s.Sync(t.Context(), u, false); err == nil || err.Error() != tc.want {
				t.Errorf("%s: got %v", tc.name, err)
			}
			got, _ := s.Get("one")
			if got.Error != tc.want || !got.ErrorAt.Equal(time.Now()) {
				t.Errorf("%s: got %q at %s", tc.name, got.Error, got.ErrorAt)
			}
			got.Error, got.ErrorAt, got.Revision = "", time.Time{}, synced.Revision
			if !reflect.DeepEqual(got, synced) {
				t.Errorf("%s: got %+v, want %+v", tc.name, got, synced)
			}
		}
		r, err := s.Sync(t.Context(), u, true)
		if err != nil || !slices.Equal(brief(r.Catalogue), []string{"a gone", "b gone"}) || r.Catalogue.Error != "" {
			t.Errorf("by force: got %+v, %v", r, err)
		}
	})
}

func TestStoreThatFails(t *testing.T) {
	store := new(memory)
	s := New(store)
	service, u := newService(t, "one", "")
	service.says("a")
	mustSync(t, s, u)
	if err := s.AddManual("one", Entry{Name: "m"}); err != nil {
		t.Fatal(err)
	}
	before, _ := s.Get("one")
	changes := 0
	s.OnChange(func(string, Diff) { changes++ })
	store.breaks(true)
	service.says("a", "b")
	for name, change := range map[string]func() error{
		"sync":     func() error { _, err := s.Sync(t.Context(), u, true); return err },
		"disable":  func() error { return s.Edit("one", "a", new(true), Edit{}) },
		"edit":     func() error { return s.Edit("one", "a", nil, Edit{OwnedBy: new("me")}) },
		"add":      func() error { return s.AddManual("one", Entry{Name: "n"}) },
		"import":   func() error { _, err := s.Import("one", "a"); return err },
		"remove":   func() error { return s.Remove("one", "m") },
		"delete":   func() error { return s.Delete("one") },
		"other":    func() error { return s.AddManual("two", Entry{Name: "n"}) },
		"load":     s.Load,
		"bad sync": func() error { service.answers(500, ""); _, err := s.Sync(t.Context(), u, false); return err },
	} {
		if err := change(); !errors.Is(err, errBroken) {
			t.Errorf("%s: got %v", name, err)
		}
		if after, _ := s.Get("one"); !reflect.DeepEqual(after, before) || len(s.All()) != 1 || changes != 0 {
			t.Errorf("%s: got %+v, want %+v", name, after, before)
		}
	}
	store.breaks(false)
	service.says("a", "b")
	mustSync(t, s, u)
	if got := entriesOf(s, "one"); !slices.Equal(got, []string{"a", "b", "m manual"}) {
		t.Errorf("got %q", got)
	}
}

// Syncs and previews at the same time share one list and are one change.
func TestSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(memory)
		s := New(store)
		service, u := newService(t, "one", "")
		service.takes = time.Second
		service.says("a", "b")
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				var r Result
				var err error
				if i%5 == 0 {
					r, err = s.Preview(t.Context(), u)
				} else {
					r, err = s.Sync(t.Context(), u, i%2 == 0)
				}
				if err != nil || len(r.Catalogue.Entries) != 2 {
					t.Errorf("got %+v, %v", r, err)
				}
			})
		}
		all.Wait()
		if got := len(service.calls()); got != 1 || store.writes != 1 {
			t.Errorf("asked %d times, stored %d times", got, store.writes)
		}
		mustSync(t, s, u)
		if got := len(service.calls()); got != 2 {
			t.Errorf("asked %d times", got)
		}
	})
}

// One that is forced gets its way beside those that are not.
func TestSharedListByForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(new(memory))
		service, u := newService(t, "one", "")
		service.says("a")
		mustSync(t, s, u)
		service.takes = time.Second
		service.says()
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				force := i == 5
				if _, err := s.Sync(t.Context(), u, force); force && err != nil || err != nil && !errors.Is(err, ErrMassDisappearance) {
					t.Errorf("force %t: got %v", force, err)
				}
			})
		}
		all.Wait()
		if got := entriesOf(s, "one"); len(service.calls()) != 2 || !slices.Equal(got, []string{"a gone"}) {
			t.Errorf("got %q after %d calls", got, len(service.calls()))
		}
	})
}

// An upstream that has become another is asked for itself.
func TestOtherUpstreamOfTheSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(new(memory))
		service, u := newService(t, "one", "")
		service.takes = time.Second
		service.says("a")
		other := leadingTo(t, "one", `"credentials":[{"type":"bearer","token":"another"}],`)
		var all sync.WaitGroup
		for _, u := range []*upstream.Upstream{u, other} {
			all.Go(func() {
				// Both end at the same time, and whichever is later may overtake the other.
				if _, err := s.Sync(t.Context(), u, false); err != nil && !errors.Is(err, ErrOvertaken) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := len(service.calls()); got != 2 {
			t.Errorf("asked %d times", got)
		}
	})
}

// A wait ends with its context; the call goes on for the others, and ends when none
// is left. What was cut off is no failure.
func TestWaitsThatEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(new(memory))
		service, u := newService(t, "one", "")
		service.takes = 10 * time.Second
		service.says("a")
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := s.Sync(short, u, false); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
		all.Go(func() {
			if _, err := s.Sync(t.Context(), u, false); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		if len(service.calls()) != 1 || service.ended != 0 {
			t.Errorf("asked %d times, %d given up", len(service.calls()), service.ended)
		}

		before, _ := s.Get("one")
		alone, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Sync(alone, u, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if after, _ := s.Get("one"); service.ended != 1 || !reflect.DeepEqual(before, after) {
			t.Errorf("%d given up, got %+v", service.ended, after)
		}
		mustSync(t, s, u)
	})
}

func TestDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(memory)
		s := New(store)
		service, u := newService(t, "one", "")
		service.says("a")
		mustSync(t, s, u)
		service.takes = time.Second
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := s.Sync(t.Context(), u, false); !errors.Is(err, ErrDeleted) {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		if err := s.Delete("one"); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if _, ok := s.Get("one"); ok || len(store.kept) != 0 || len(s.All()) != 0 {
			t.Errorf("there is still %+v", store.kept)
		}
		if r := mustSync(t, s, u); r.Catalogue.Revision != 1 || len(r.Diff.Added) != 1 {
			t.Errorf("got %+v", r)
		}
	})
}

// What is newer in memory is not lost to a store that comes back.
func TestLoadKeepsWhatIsNewer(t *testing.T) {
	store := new(memory)
	store.kept = map[string]Catalogue{"one": known("z", "a", "a"), "two": known("old")}
	two := store.kept["two"]
	two.Upstream = "two"
	store.kept["two"] = two
	one := store.kept["one"]
	one.Upstream = "one"
	store.kept["one"] = one
	s := New(store)
	if err := s.Load(); err != nil {
		t.Fatal(err)
	}
	if err := s.Edit("two", "old", new(true), Edit{}); err != nil {
		t.Fatal(err)
	}
	store.kept["two"] = two
	store.broken = true
	if err := s.Load(); !errors.Is(err, errBroken) || !strings.HasPrefix(err.Error(), "reading the catalogues: ") {
		t.Errorf("got %v", err)
	}
	if got := entriesOf(s, "one"); !slices.Equal(got, []string{"a", "z"}) {
		t.Errorf("got %q", got)
	}
	if got := entriesOf(s, "two"); !slices.Equal(got, []string{"old disabled"}) {
		t.Errorf("got %q", got)
	}
}

// A list that was asked for before the upstream became another is not taken in after
// that of the other one, and what became of it is not noted.
func TestListOfAnEarlierUpstreamComesTooLate(t *testing.T) {
	for name, late := range map[string]int{"a list": 200, "a failure": 503} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(new(memory))
				earlier, u := newService(t, "one", "")
				earlier.takes = 20 * time.Second
				earlier.answers(late, `["old"]`)
				var all sync.WaitGroup
				for _, force := range []bool{false, true} {
					all.Go(func() {
						if _, err := s.Sync(t.Context(), u, force); !errors.Is(err, ErrOvertaken) {
							t.Errorf("got %v", err)
						}
					})
				}
				time.Sleep(5 * time.Second)
				service, _ := newService(t, "one", "")
				service.says("new")
				mustSync(t, s, leadingTo(t, "one", `"credentials":[{"type":"bearer","token":"another"}],`))
				want, _ := s.Get("one")
				all.Wait()
				if got, _ := s.Get("one"); !reflect.DeepEqual(got, want) || !slices.Equal(brief(got), []string{"new"}) {
					t.Errorf("got %+v, want %+v", got, want)
				}
			})
		})
	}
}

// small is a store that takes no catalogue of more than two entries.
type small struct{ memory }

func (s *small) SaveCatalogue(c Catalogue) error {
	if len(c.Entries) > 2 {
		return errBroken
	}
	return s.memory.SaveCatalogue(c)
}

// A list that the store does not take leaves the catalogue as it is, which tells why.
func TestListThatTheStoreDoesNotTake(t *testing.T) {
	s := New(new(small))
	service, u := newService(t, "one", "")
	service.says("a", "b")
	mustSync(t, s, u)
	service.says("a", "b", "c")
	_, err := s.Sync(t.Context(), u, false)
	c, _ := s.Get("one")
	if !errors.Is(err, errBroken) || c.Error != err.Error() || c.ErrorAt.IsZero() || !slices.Equal(brief(c), []string{"a", "b"}) {
		t.Errorf("got %v, noted %q in %q", err, c.Error, brief(c))
	}
	service.says("b")
	mustSync(t, s, u)
	if c, _ := s.Get("one"); c.Error != "" || !slices.Equal(brief(c), []string{"a gone", "b"}) {
		t.Errorf("got %q, noted %q", brief(c), c.Error)
	}
}

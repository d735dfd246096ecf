package storage

import (
	"context"
	"slices"
	"testing"
)

// TestKeysOfWhatIsStored: a secret that is only tried leaves no trace; one that is
// stored needs its key until the keys are forgotten.
func TestKeysOfWhatIsStored(t *testing.T) {
	first, err := NewSealer("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	if err != nil {
		t.Fatal(err)
	}
	both, err := NewSealer("ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), Options{Dir: t.TempDir(), Sealer: first, MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	needs := func(want ...string) {
		t.Helper()
		if got, err := readKeys(s.dir); err != nil || !slices.Equal(got, want) {
			t.Errorf("the store needs %q (%v), want %q", got, err, want)
		}
	}
	sealed, err := s.TrySeal("r", "f", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ForgetKeys(); err != nil {
		t.Fatal(err)
	}
	needs()
	if err := s.NoteKeys("not sealed"); err == nil {
		t.Error("a text that is not sealed is noted")
	}
	if err := s.NoteKeys(sealed, sealed); err != nil {
		t.Fatal(err)
	}
	needs(first.newest)
	if plain, err := s.Unseal("r", "f", sealed); err != nil || string(plain) != "secret" {
		t.Errorf("it opens to %q (%v)", plain, err)
	}
	if err := s.UseSealer(nil); err == nil {
		t.Error("the store goes on without the key that it needs")
	}
	if err := s.UseSealer(both); err != nil {
		t.Fatal(err)
	}
	if err := s.ForgetKeys(); err != nil {
		t.Fatal(err)
	}
	needs(both.newest)
}

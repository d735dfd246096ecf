package storage

import (
	"slices"
	"testing"
)

// sealNoted seals a secret that is about to be stored.
func sealNoted(s *Store, record, field string, plain []byte) (string, error) {
	sealed, err := s.TrySeal(record, field, plain)
	if err != nil {
		return "", err
	}
	return sealed, s.NoteKeys(sealed)
}

// TestKeyChangesBeforeTheSecretIsStored: a secret that was sealed just before the key
// changed is not stored, or the store would need a key that nobody has any more.
func TestKeyChangesBeforeTheSecretIsStored(t *testing.T) {
	s := openAny(t, Options{Dir: t.TempDir(), Sealer: newSealer(t, secretKey(1))}, system{})
	sealed, err := s.TrySeal("r", "f", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.UseSealer(newSealer(t, secretKey(2))); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.NoteKeys(sealed), ErrWrongSecretKey)
	if err := s.UseSealer(nil); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.NoteKeys(sealed), ErrNoSecretKey)
	if ids, err := readKeys(s.dir); err != nil || !slices.Equal(ids, nil) {
		t.Errorf("the store needs the keys %v, %v", ids, err)
	}
}

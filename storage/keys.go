package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// keysName is the file beside the database's own that lists the ids of the
// secret keys that secrets in the store are sealed with, one a line. It is
// read before the database is opened, so that a store whose secrets cannot be
// opened is not touched.
const keysName = "KEYS"

// TrySeal encrypts a secret for one field of one record, with the store's secret key.
// record must tell records of different tables apart. Who stores the secret calls
// NoteKeys before. It fails with ErrNoSecretKey and as writes do.
func (s *Store) TrySeal(record, field string, plain []byte) (string, error) {
	sealed, err := s.sealer.Load().seal(record, field, plain)
	if err != nil {
		return "", err
	}
	e, err := s.use()
	if err != nil {
		return "", err
	}
	defer e.leave()
	return sealed, s.checkRoom()
}

// NoteKeys notes the keys of sealed secrets that are about to be stored. From then on
// the store opens only with them. It fails as writes do, and with ErrWrongSecretKey if
// the secret key has changed since they were sealed.
func (s *Store) NoteKeys(sealed ...string) error {
	if len(sealed) == 0 {
		return nil
	}
	e, err := s.use()
	if err != nil {
		return err
	}
	defer e.leave()
	if err := s.checkRoom(); err != nil {
		return err
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	s.keysMu.Lock()
	defer s.keysMu.Unlock()
	for _, text := range sealed {
		id, _, err := splitSealed(text)
		if err != nil {
			return err
		}
		if err := s.sealer.Load().knows([]string{id}); err != nil {
			return err
		}
		if err := noteKey(e.dir, id); err != nil {
			return err
		}
	}
	return nil
}

// Unseal decrypts what TrySeal made for this field of this record. It fails as
// Sealer.Open does.
func (s *Store) Unseal(record, field, sealed string) ([]byte, error) {
	return s.sealer.Load().Open(record, field, sealed)
}

// ForgetKeys ends a change of the secret key: after every secret was sealed
// anew, the store no longer needs the earlier keys. Where it needs none of them
// it writes nothing.
func (s *Store) ForgetKeys() error {
	if s.sealer.Load() == nil {
		return ErrNoSecretKey
	}
	e, err := s.use()
	if err != nil {
		return err
	}
	defer e.leave()
	if err := s.checkRoom(); err != nil {
		return err
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	s.keysMu.Lock()
	defer s.keysMu.Unlock()
	sealer := s.sealer.Load()
	if sealer == nil {
		return ErrNoSecretKey
	}
	newest := sealer.newest
	ids, err := readKeys(e.dir)
	if err != nil || !slices.ContainsFunc(ids, func(id string) bool { return id != newest }) {
		return err
	}
	return writeKeys(e.dir, []string{newest})
}

// checkKeys fails with ErrWrongSecretKey or ErrNoSecretKey if the store in
// dir holds secrets that the sealer cannot open.
func (s *Sealer) checkKeys(dir string) error {
	ids, err := readKeys(dir)
	if err != nil {
		return err
	}
	return s.knows(ids)
}

// knows checks that the sealer has all these keys.
func (s *Sealer) knows(ids []string) error {
	for _, id := range ids {
		if s == nil {
			return fmt.Errorf("the store holds secrets, and %w; it is left as it is", ErrNoSecretKey)
		}
		if _, ok := s.keys[id]; !ok {
			return fmt.Errorf("the secrets in the store were %w, whose id is %q; it is left as it is", ErrWrongSecretKey, id)
		}
	}
	return nil
}

// readKeys lists the ids of the keys that a store needs.
func readKeys(dir string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(dir, keysName))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: reading the ids of the secret keys: %w", ErrReadOnly, err)
	}
	return strings.Fields(string(b)), nil
}

// noteKey adds a key to those that a store needs.
func noteKey(dir, id string) error {
	ids, err := readKeys(dir)
	if err != nil || slices.Contains(ids, id) {
		return err
	}
	return writeKeys(dir, append(ids, id))
}

// writeKeys replaces the list of keys that a store needs.
func writeKeys(dir string, ids []string) error {
	path := filepath.Join(dir, keysName)
	if err := writeFile(path, []byte(strings.Join(ids, "\n")+"\n")); err != nil {
		return fmt.Errorf("noting the id of the secret key: %w", err)
	}
	return nil
}

// writeFile replaces a small file: either the old or the new contents are
// there, whenever the machine stops.
func writeFile(path string, b []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

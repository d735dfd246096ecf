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

// Seal encrypts a secret for one field of one record, with the store's secret
// key. record must tell records of different tables apart. From then on the
// store opens only with that key. It fails with ErrNoSecretKey and as writes
// do.
func (s *Store) Seal(record, field string, plain []byte) (string, error) {
	sealed, err := s.opt.Sealer.seal(record, field, plain)
	if err != nil {
		return "", err
	}
	e, err := s.use()
	if err != nil {
		return "", err
	}
	defer e.leave()
	if err := s.checkRoom(); err != nil {
		return "", err
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	if err := noteKey(e.dir, s.opt.Sealer.newest); err != nil {
		return "", err
	}
	return sealed, nil
}

// Unseal decrypts what Seal made for this field of this record. It fails as
// Sealer.Open does.
func (s *Store) Unseal(record, field, sealed string) ([]byte, error) {
	return s.opt.Sealer.Open(record, field, sealed)
}

// ForgetKeys ends a change of the secret key: after every secret was sealed
// anew, the store no longer needs the earlier keys.
func (s *Store) ForgetKeys() error {
	if s.opt.Sealer == nil {
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
	return writeKeys(e.dir, []string{s.opt.Sealer.newest})
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

package aigateway

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/admin"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/storage"
)

// backupOf shows a backup of the store.
func backupOf(b storage.Backup) admin.Backup {
	return admin.Backup{Name: filepath.Base(b.Path), Time: b.Made.UTC(), Bytes: b.Bytes, Records: b.Records}
}

// Backups implements admin.Gateway.
func (a *App) Backups() ([]admin.Backup, error) {
	s, err := a.state()
	if err != nil {
		return nil, err
	}
	stored, err := s.store.Backups()
	if err != nil {
		return nil, storeError(err)
	}
	all := make([]admin.Backup, len(stored))
	for i, b := range stored {
		all[i] = backupOf(b)
	}
	return all, nil
}

// Backup implements admin.Gateway.
func (a *App) Backup() (admin.Backup, error) {
	s, err := a.state()
	if err != nil {
		return admin.Backup{}, err
	}
	b, err := s.store.Backup()
	if err != nil {
		return admin.Backup{}, storeError(err)
	}
	return backupOf(b), nil
}

// OpenBackup implements admin.Gateway.
func (a *App) OpenBackup(name string) (io.ReadCloser, error) {
	s, err := a.state()
	if err != nil {
		return nil, err
	}
	none := &admin.Error{Status: http.StatusNotFound, Code: "not_found", Field: "name", Message: fmt.Sprintf("there is no backup %q", name)}
	stored, err := s.store.Backups()
	if err != nil {
		return nil, storeError(err)
	}
	// Nothing else that lies there is opened, whatever the name leads to.
	i := slices.IndexFunc(stored, func(b storage.Backup) bool { return filepath.Base(b.Path) == name })
	if i < 0 {
		return nil, none
	}
	f, err := os.Open(stored[i].Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, none
	}
	return f, err
}

// Restore implements admin.Gateway. A backup that does not lie with the others is put
// into a file first, because nothing of it is believed before all of it was checked.
func (a *App) Restore(backup io.Reader) error {
	s, err := a.state()
	if err != nil {
		return err
	}
	path, forget, err := s.backupFile(backup)
	if err != nil {
		return err
	}
	defer forget()
	if err := s.store.Restore(path); err != nil {
		if errors.Is(err, storage.ErrDegraded) {
			return storeError(err)
		}
		if errors.Is(err, storage.ErrDamaged) || errors.Is(err, storage.ErrVersion) || errors.Is(err, storage.ErrWrongSecretKey) || errors.Is(err, storage.ErrNoSecretKey) {
			s.logger.Warn("a backup was not restored", zap.Error(err))
			return &admin.Error{Status: http.StatusConflict, Code: "backup_unusable", Message: "the backup cannot be used; nothing was changed: " + reasonOf(err)}
		}
		return storeError(err)
	}
	s.restored()
	return nil
}

// reasonOf is what a backup lacks, without the path of the file.
func reasonOf(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	return err.Error()
}

// backupFile is where a backup lies, and what removes it if it was put there for the
// purpose.
func (s *shared) backupFile(backup io.Reader) (path string, forget func(), err error) {
	if f, ok := backup.(*os.File); ok {
		return f.Name(), func() {}, nil
	}
	f, err := os.CreateTemp(filepath.Dir(s.store.BackupDir()), "restore-*")
	if err != nil {
		return "", nil, &registry.Error{Code: registry.CodeStore, Message: "the backup cannot be kept beside the store"}
	}
	forget = func() {
		if err := os.Remove(f.Name()); err != nil {
			s.logger.Warn("the file of a backup is still there", zap.Error(err))
		}
	}
	// What must stay free for the store stays free.
	spare := s.store.Spare()
	n, err := io.Copy(f, io.LimitReader(backup, spare+1))
	err = errors.Join(err, f.Close())
	switch {
	case err == nil && n > spare:
		err = storeError(storage.ErrNoSpace)
	case err != nil:
		err = fmt.Errorf("keeping the backup: %w", err)
	}
	if err != nil {
		forget()
		return "", nil, err
	}
	return f.Name(), forget, nil
}

// state is what is shared by the configs of the data directory.
func (a *App) state() (*shared, error) {
	_, err := a.registry()
	return a.shared, err
}

package admin

import (
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// Backup is a backup of the store.
type Backup struct {
	// Name of the file, in the folder backups of the data directory.
	Name string `json:"name"`
	// Time is when it was made.
	Time time.Time `json:"time"`
	// Bytes is its size.
	Bytes int64 `json:"bytes"`
	// Records is how many records it holds; a list does not tell.
	Records int64 `json:"records,omitempty"`
}

// backups answers GET /backups, the newest first.
func (a *API) backups(g Gateway, w http.ResponseWriter, r *http.Request) error {
	all, err := g.Backups()
	if err != nil {
		return err
	}
	page, err := pageOf(r, all)
	if err != nil {
		return err
	}
	a.answer(w, http.StatusOK, page)
	return nil
}

// backup answers POST /backups: one more is made and read back.
func (a *API) backup(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var body struct{}
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	made, err := g.Backup()
	if err != nil {
		return err
	}
	a.logger.Info("backup made", zap.String("name", made.Name), zap.String("actor", actor(r)))
	a.answer(w, http.StatusCreated, made)
	return nil
}

// downloadBackup answers GET /backups/{name} with the file.
func (a *API) downloadBackup(g Gateway, w http.ResponseWriter, r *http.Request) error {
	file, err := g.OpenBackup(r.PathValue("name"))
	if err != nil {
		return err
	}
	defer file.Close()
	if f, ok := file.(interface{ Stat() (fs.FileInfo, error) }); ok {
		if info, err := f.Stat(); err == nil {
			w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
		}
	}
	w.Header().Set("Content-Type", binary)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(w, file); err != nil {
		a.logger.Warn("a backup was not sent to its end", zap.Error(err))
	}
	return nil
}

// binary is the content type of backups.
const binary = "application/octet-stream"

// restoreRequest is the body of POST /restore.
type restoreRequest struct {
	// Name of the backup, as GET /backups lists it. Required.
	Name string `json:"name"`
}

// maxBackup is the largest backup that can be sent, in bytes.
const maxBackup = 1 << 30

// restore answers POST /restore: managed definitions and catalogues are what they were
// when the backup was made, and so are circuits that have not changed since the start.
// What is replaced is kept beside. The body names a backup
// of the server's, or is one, with the content type application/octet-stream.
func (a *API) restore(g Gateway, w http.ResponseWriter, r *http.Request) error {
	name, err := a.restoreBody(g, w, r)
	if err != nil {
		return err
	}
	a.logger.Warn("backup restored", zap.String("name", name), zap.String("actor", actor(r)), zap.String("remote", remote(r)))
	a.answer(w, http.StatusOK, map[string]string{"restored": name})
	return nil
}

func (a *API) restoreBody(g Gateway, w http.ResponseWriter, r *http.Request) (string, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == binary {
		err := g.Restore(http.MaxBytesReader(w, r.Body, maxBackup))
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			err = &Error{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Message: "the backup is larger than 1 GiB"}
		}
		return "the backup that was sent", err
	}
	var body restoreRequest
	if err := readBody(w, r, &body); err != nil {
		return "", err
	}
	if body.Name == "" {
		return "", invalid("name", "required: the name of a backup")
	}
	file, err := g.OpenBackup(body.Name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return body.Name, g.Restore(file)
}

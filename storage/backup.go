package storage

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// A backup is one file: the database's own backup stream, then
//
//	facts as JSON | their length 4 bytes | magic 8 | CRC-32C of all before 4
//
// Numbers are big-endian. Nothing of the stream is read before the checksum
// was found right, as the database trusts the lengths in it.
const (
	backupMagic  = "AIGWBAK1"
	backupEnding = 4 + len(backupMagic) + 4
	backupSuffix = ".backup"
	backupTime   = "20060102T150405.000Z"
	// maxFacts is the longest JSON that is read from a backup's end.
	maxFacts = 64 << 10
	// keptBackups is how many backups are kept.
	keptBackups = 7
)

// Backup is one backup of a store.
type Backup struct {
	// Path is the file.
	Path string `json:"-"`
	// Bytes is the length of the file.
	Bytes int64 `json:"-"`
	// Made is when the backup was made.
	Made time.Time `json:"made"`
	// Revision is that of the newest commit at that time.
	Revision Revision `json:"revision"`
	// Records is the number of records at that time.
	Records int64 `json:"records"`
	// Schema is the version of what the backup holds.
	Schema uint16 `json:"schema"`
	// Keys are the ids of the secret keys that its secrets are sealed with.
	Keys []string `json:"keys,omitempty"`
}

// BackupDir is where the backups lie.
func (s *Store) BackupDir() string { return filepath.Join(s.opt.Dir, "backups") }

// Backup makes a backup now, reads it back, and removes the oldest beyond
// seven. Writes go on meanwhile.
func (s *Store) Backup() (Backup, error) {
	e, err := s.use()
	if err != nil {
		return Backup{}, err
	}
	defer e.leave()
	if err := s.checkRoom(); err != nil {
		return Backup{}, err
	}
	if err := s.finishLeft(e); err != nil {
		return Backup{}, fmt.Errorf("making a backup: %w", err)
	}
	e.maintenance.Lock()
	defer e.maintenance.Unlock()
	b, err := s.makeBackup(e)
	if err != nil {
		return Backup{}, fmt.Errorf("making a backup: %w", err)
	}
	s.noteBackups()
	s.pruneBackups()
	return b, nil
}

// makeBackup writes a backup under a temporary name, makes it durable, gives
// it its name and reads it back.
func (s *Store) makeBackup(e *engine) (b Backup, err error) {
	if err := os.MkdirAll(s.BackupDir(), 0o700); err != nil {
		return b, err
	}
	if e.unfinished() {
		return b, errUnfinished
	}
	keys, err := readKeys(e.dir)
	if err != nil {
		return b, err
	}
	b = Backup{
		Made:     s.opt.Now().UTC(),
		Revision: Revision(e.last.Load()),
		Records:  e.records.Load(),
		Schema:   s.sys.schema,
		Keys:     keys,
	}
	b.Path = filepath.Join(s.BackupDir(), fmt.Sprintf("%s-%d%s", b.Made.Format(backupTime), b.Revision, backupSuffix))
	tmp := b.Path + ".tmp"
	if err := s.writeBackup(e, tmp, b); err != nil {
		return b, errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, b.Path); err != nil {
		return b, err
	}
	if err := syncDir(s.BackupDir()); err != nil {
		return b, err
	}
	return checkBackup(b.Path)
}

// writeBackup writes and syncs the file of a backup.
func (s *Store) writeBackup(e *engine, path string, b Backup) (err error) {
	defer panicked(&err)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := &boundedWriter{to: bufio.NewWriterSize(f, 64<<10), room: s.backupRoom()}
	stream := e.db.NewStream()
	stream.NumGo = 1 // Several would each begin at a moment of their own.
	if _, err := stream.Backup(w, 0); err != nil {
		// The database may only say that it was cancelled; why, the writer knows.
		return cmp.Or(w.err, err)
	}
	facts, err := json.Marshal(b)
	if err != nil {
		return err
	}
	end := binary.BigEndian.AppendUint32(facts, uint32(len(facts)))
	end = append(end, backupMagic...)
	if _, err := w.Write(end); err != nil {
		return err
	}
	if _, err := w.Write(binary.BigEndian.AppendUint32(nil, w.sum)); err != nil {
		return err
	}
	return errors.Join(w.to.Flush(), f.Sync())
}

// Spare is how many bytes others may put beside the store without taking the room
// that must stay free.
func (s *Store) Spare() int64 { return max(0, s.backupRoom()) }

// backupRoom is how many bytes a backup may take.
func (s *Store) backupRoom() int64 {
	free, err := s.room()
	if err != nil {
		return 0
	}
	return min(s.sys.fileLimit(), free-s.opt.MinFree)
}

// boundedWriter counts the room a backup takes and sums it up.
type boundedWriter struct {
	to   *bufio.Writer
	room int64
	sum  uint32
	err  error // the first failure
}

// Write fails with ErrNoSpace instead of filling the disk.
func (w *boundedWriter) Write(p []byte) (n int, err error) {
	switch {
	case w.err != nil:
		return 0, w.err
	case int64(len(p)) > w.room:
		w.err = ErrNoSpace
		return 0, w.err
	}
	w.room -= int64(len(p))
	w.sum = crc32.Update(w.sum, castagnoli, p)
	n, w.err = w.to.Write(p)
	return n, w.err
}

// Backups lists the backups that are there, the newest first, with what their
// names say. Their contents are checked only when they are used.
func (s *Store) Backups() ([]Backup, error) {
	entries, err := os.ReadDir(s.BackupDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the backups: %w", err)
	}
	var all []Backup
	for _, entry := range entries {
		made, rev, ok := splitBackupName(entry.Name())
		if !ok {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listing the backups: %w", err)
		}
		all = append(all, Backup{
			Path: filepath.Join(s.BackupDir(), entry.Name()), Bytes: info.Size(), Made: made, Revision: rev,
		})
	}
	slices.SortFunc(all, func(a, b Backup) int { return cmp.Compare(b.Path, a.Path) })
	return all, nil
}

// splitBackupName reads time and revision from a backup's name.
func splitBackupName(name string) (made time.Time, rev Revision, ok bool) {
	text, ok := strings.CutSuffix(name, backupSuffix)
	if !ok {
		return time.Time{}, 0, false
	}
	when, number, ok := strings.Cut(text, "-")
	if !ok {
		return time.Time{}, 0, false
	}
	made, err := time.Parse(backupTime, when)
	n, numberErr := strconv.ParseUint(number, 10, 64)
	return made, Revision(n), err == nil && numberErr == nil
}

// noteBackups updates what Status says about backups.
func (s *Store) noteBackups() {
	all, err := s.Backups()
	if err != nil {
		s.log.Warn("the backups could not be listed", zap.Error(err))
		return
	}
	if len(all) == 0 {
		return
	}
	s.mu.Lock()
	s.status.LastBackup = all[0].Made
	s.mu.Unlock()
}

// pruneBackups removes the oldest backups. As long as something is amiss with
// the store none is removed: an older one may hold what is missing.
func (s *Store) pruneBackups() {
	s.mu.Lock()
	amiss := s.finding != ""
	s.mu.Unlock()
	all, err := s.Backups()
	if amiss || err != nil || len(all) <= keptBackups {
		return // noteBackups has told of the error.
	}
	for _, b := range all[keptBackups:] {
		if err := os.Remove(b.Path); err != nil {
			s.log.Warn("an old backup could not be removed", zap.Error(err))
		}
	}
}

// checkBackup reads a whole backup, checks it, and returns what it says about
// itself. It fails with ErrDamaged.
func checkBackup(path string) (b Backup, err error) {
	f, err := os.Open(path)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, _, err = readBackup(f)
	return b, err
}

// readBackup checks an open backup and returns its facts and the length of
// the stream at its beginning.
func readBackup(f *os.File) (b Backup, stream int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return b, 0, err
	}
	size := info.Size()
	end := make([]byte, backupEnding)
	if size < int64(len(end)) {
		return b, 0, fmt.Errorf("%w: a backup of %d bytes", ErrDamaged, size)
	}
	if _, err := f.ReadAt(end, size-int64(len(end))); err != nil {
		return b, 0, err
	}
	length := int64(binary.BigEndian.Uint32(end))
	stream = size - int64(len(end)) - length
	if string(end[4:4+len(backupMagic)]) != backupMagic || length > maxFacts || stream < 0 {
		return b, 0, fmt.Errorf("%w: the backup does not end as it must", ErrDamaged)
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, size-4)); err != nil {
		return b, 0, err
	}
	if sum.Sum32() != binary.BigEndian.Uint32(end[len(end)-4:]) {
		return b, 0, fmt.Errorf("%w: the backup's checksum is wrong", ErrDamaged)
	}
	facts := make([]byte, length)
	if _, err := f.ReadAt(facts, stream); err != nil {
		return b, 0, err
	}
	if err := json.Unmarshal(facts, &b); err != nil {
		return b, 0, fmt.Errorf("%w: what the backup says about itself: %w", ErrDamaged, err)
	}
	b.Path, b.Bytes = f.Name(), size
	return b, stream, nil
}

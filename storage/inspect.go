package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	badgeroptions "github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"
	"go.uber.org/zap"
)

// What the database puts at the beginning of its files.
const (
	manifestMagic   = "Bdgr"
	manifestVersion = 8
	manifestHeader  = 4 + 2 + 2 // magic, our schema's version, the database's version
	logHeader       = 8 + 12    // of a memtable's or value log's file
	discardUnit     = 1 << 20   // a file of discard statistics has a multiple of this
)

// registryMark follows 16 random bytes in the file KEYREGISTRY of a database
// that is not encrypted.
const registryMark = "Hello Badger"

// inspection looks at the files of a database before the database does: it
// meets some damage by ending the process, by a panic in a goroutine of its
// own, or by deleting what it does not know.
type inspection struct {
	dir    string
	schema uint16
	// thorough also checks every block of every table.
	thorough bool
	log      *zap.Logger

	files map[string]int64 // sizes by name
}

// inspect checks a database's directory and repairs what can be repaired
// without loss. It returns the tables that the manifest does not know, which
// the database would delete. It fails with ErrDamaged; with ErrVersion or
// ErrReadOnly the files are not touched.
func inspect(dir string, schema uint16, log *zap.Logger) (orphans []string, err error) {
	in := &inspection{dir: dir, schema: schema, log: log}
	if err := in.list(); err != nil {
		return nil, err
	}
	if err := in.checkVersion(); err != nil {
		return nil, err
	}
	// A clean stop leaves little to doubt; then large stores are checked after
	// opening, to start fast.
	_, clean := in.files[cleanName]
	in.thorough = !clean || in.tableBytes() <= thoroughBytes
	if err := in.repair(); err != nil {
		return nil, err
	}
	return in.checkTables()
}

// thoroughBytes is up to which size tables are always checked whole before
// opening. Reading that much takes well under a second.
const thoroughBytes = 64 << 20

// isOurs tells whether a file of that name belongs to the database or lies
// beside it.
func isOurs(name string) bool {
	switch name {
	case badger.ManifestFilename, badger.KeyRegistryFileName, "DISCARD", "LOCK", headName, cleanName, keysName, journalName:
		return true
	}
	switch filepath.Ext(name) {
	case ".sst", ".mem", ".vlog":
		return true
	}
	return false
}

// list reads the names and sizes of the files. All that will be opened must be
// plain files that can be written: about some, the database ends the process.
func (in *inspection) list() error {
	entries, err := os.ReadDir(in.dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	in.files = make(map[string]int64, len(entries))
	for _, entry := range entries {
		if !isOurs(entry.Name()) {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%w: %s is not a plain file", ErrDamaged, in.path(entry.Name()))
		}
		f, err := os.OpenFile(in.path(entry.Name()), os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
		in.files[entry.Name()] = info.Size()
	}
	return nil
}

func (in *inspection) path(name string) string { return filepath.Join(in.dir, name) }

// named lists the files whose names end in suffix.
func (in *inspection) named(suffix string) []string {
	var names []string
	for name := range in.files {
		if strings.HasSuffix(name, suffix) {
			names = append(names, name)
		}
	}
	return names
}

func (in *inspection) tableBytes() (total int64) {
	for _, name := range in.named(".sst") {
		total += in.files[name]
	}
	return total
}

// checkVersion reads the beginning of the manifest.
func (in *inspection) checkVersion() error {
	if in.files[badger.ManifestFilename] < manifestHeader {
		if len(in.named(".sst")) > 0 {
			return fmt.Errorf("%w: there are tables, and MANIFEST is missing or empty", ErrDamaged)
		}
		return nil
	}
	var b [manifestHeader]byte
	if err := readStart(in.path(badger.ManifestFilename), b[:]); err != nil {
		return err
	}
	schema, version := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	switch {
	case string(b[:4]) != manifestMagic:
		return fmt.Errorf("%w: MANIFEST does not begin as it must", ErrDamaged)
	case schema != in.schema:
		return fmt.Errorf("%w: the store has schema %d, known is %d", ErrVersion, schema, in.schema)
	case version != manifestVersion:
		return fmt.Errorf("%w: the database has version %d, known is %d", ErrVersion, version, manifestVersion)
	}
	return nil
}

// readStart fills b from the beginning of a file.
func readStart(path string, b []byte) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.ReadFull(f, b); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, filepath.Base(path), err)
	}
	return nil
}

// repair removes files that hold nothing and that the database would stumble
// over; it makes them anew.
func (in *inspection) repair() error {
	size, ok := in.files[badger.ManifestFilename]
	if ok && size < manifestHeader { // No tables, as checkVersion has seen.
		if err := in.remove(badger.ManifestFilename); err != nil {
			return err
		}
	}
	if size, ok := in.files["DISCARD"]; ok && size%discardUnit != 0 {
		if err := in.remove("DISCARD"); err != nil {
			return err
		}
	}
	// A kill at the wrong moment leaves a memtable's file without a length.
	for _, name := range append(in.named(".mem"), in.named(".vlog")...) {
		if in.files[name] < logHeader {
			if err := in.remove(name); err != nil {
				return err
			}
		}
	}
	return in.repairRegistry()
}

// repairRegistry removes a damaged registry of encryption keys. The database
// is never encrypted as a whole, so it holds nothing.
func (in *inspection) repairRegistry() error {
	size, ok := in.files[badger.KeyRegistryFileName]
	if !ok {
		return nil
	}
	b := make([]byte, 16+len(registryMark))
	if size >= int64(len(b)) {
		if err := readStart(in.path(badger.KeyRegistryFileName), b); err != nil {
			return err
		}
		if size == int64(len(b)) && bytes.HasSuffix(b, []byte(registryMark)) {
			return nil
		}
	}
	return in.remove(badger.KeyRegistryFileName)
}

func (in *inspection) remove(name string) error {
	in.log.Warn("removing a file of the store that holds nothing of use",
		zap.String("file", in.path(name)), zap.Int64("size", in.files[name]))
	if err := os.Remove(in.path(name)); err != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	delete(in.files, name)
	return nil
}

// checkTables reads the manifest, checks the tables it names, and returns the
// names of the others.
func (in *inspection) checkTables() ([]string, error) {
	known, err := in.manifest()
	if err != nil {
		return nil, err
	}
	for id := range known {
		name := table.IDToFilename(id)
		if _, ok := in.files[name]; !ok {
			return nil, fmt.Errorf("%w: the table %s is missing", ErrDamaged, name)
		}
		if err := checkTable(in.path(name), in.thorough); err != nil {
			return nil, fmt.Errorf("%w: table %s: %v", ErrDamaged, name, err)
		}
	}
	var orphans []string
	for _, name := range in.named(".sst") {
		if id, ok := table.ParseFileID(name); ok && !known[id] {
			orphans = append(orphans, name)
		}
	}
	return orphans, nil
}

// manifest returns the numbers of the tables that the manifest names.
func (in *inspection) manifest() (known map[uint64]bool, err error) {
	f, err := os.Open(in.path(badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	m, _, err := badger.ReplayManifestFile(f, in.schema, badgerOptions(in.dir, in.schema, in.log))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	known = make(map[uint64]bool, len(m.Tables))
	for id := range m.Tables {
		known[id] = true
	}
	return known, nil
}

// checkTable opens one table alone, where a panic over its contents can be
// caught. A thorough check verifies every block.
func checkTable(path string, thorough bool) (err error) {
	defer panicked(&err)
	mode := badgeroptions.NoVerification
	if thorough {
		mode = badgeroptions.OnTableRead
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return errors.New("it is empty")
	}
	mf, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	t, err := table.OpenTable(mf, table.Options{
		ReadOnly:    true,
		BlockSize:   4096,
		Compression: badgeroptions.None,
		ChkMode:     mode,
	})
	if err != nil {
		return err // A mapping that is left over is small and rare.
	}
	return unmap(t)
}

// unmap closes a table that was only read. Its own Close would ask the system
// to write a mapping that was never written.
func unmap(t *table.Table) error {
	return errors.Join(z.Munmap(t.Data), t.Fd.Close())
}

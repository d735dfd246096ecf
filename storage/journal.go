package storage

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A batch that does not fit one transaction of the database goes through a
// journal, so that it is done as a whole wherever the process ends:
//
//  1. Its conditions are checked. Writers stand in line, so they stay true.
//  2. Its writes go into a file, which is synced. Nobody reads it yet.
//  3. One transaction writes the mark: the sequence, at the batch's revision and
//     in a version of its own. From here on the batch is in force. Readers find
//     it in memory (see view), as a whole and at once.
//  4. Several transactions put the writes into the database; the last one takes
//     the mark away. Then the file is removed.
//
// A step before the mark that fails changes nothing. One after it is repeated by
// the next commit, by the keeper, or by the next opening. An opening removes a
// file without a mark.
//
// The file is written by plain calls: a full disk refuses them, where it would end
// a process that writes through memory maps. The mark's version makes a gateway
// that knows no journals refuse the store instead of reading half a batch. When
// the batch is finished the store is as any other, so its schema stays.

// journalName is the file that holds the writes of a batch, in the order of their
// keys:
//
//	magic 8 | revision 8 | writes | CRC-32C of all before 4
//
// A write is
//
//	length of the key 4 | 0 to delete, or length of the value + 1, 4 | key | value
//
// Numbers are big-endian.
const (
	journalName   = "JOURNAL"
	journalMagic  = "AIGWJRN1"
	journalHeader = len(journalMagic) + 8
	journalWrite  = 4 + 4
	journalEnding = 4
)

// journalSize is the length in bytes of the journal of some writes.
func journalSize(writes []write) int64 {
	size := int64(journalHeader + journalEnding)
	for i := range writes {
		size += int64(journalWrite + len(writes[i].key) + len(writes[i].value))
	}
	return size
}

// writeJournal makes the journal of a batch: durable, or not there. It fails with
// ErrNoSpace.
func writeJournal(dir string, p *pending) error {
	path := filepath.Join(dir, journalName)
	err := fillJournal(path+".tmp", p)
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		err = fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return fmt.Errorf("writing the journal: %w", errors.Join(err, removeJournal(dir)))
}

// fillJournal writes and syncs the file of a journal.
func fillJournal(path string, p *pending) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := &summedWriter{to: bufio.NewWriterSize(f, 64<<10)}
	w.write([]byte(journalMagic))
	w.write(binary.BigEndian.AppendUint64(nil, uint64(p.rev)))
	var lengths [journalWrite]byte
	for i := range p.writes {
		one := &p.writes[i]
		binary.BigEndian.PutUint32(lengths[:], uint32(len(one.key)))
		binary.BigEndian.PutUint32(lengths[4:], 0)
		if one.value != nil {
			binary.BigEndian.PutUint32(lengths[4:], uint32(len(one.value))+1)
		}
		w.write(lengths[:])
		w.write(one.key)
		w.write(one.value)
	}
	w.write(binary.BigEndian.AppendUint32(nil, w.sum))
	return errors.Join(cmp.Or(w.err, w.to.Flush()), f.Sync())
}

// summedWriter writes, sums up what it has written, and keeps the first failure.
type summedWriter struct {
	to  *bufio.Writer
	sum uint32
	err error
}

func (w *summedWriter) write(p []byte) {
	if w.err == nil {
		w.sum = crc32.Update(w.sum, castagnoli, p)
		_, w.err = w.to.Write(p)
	}
}

// readJournal reads the journal that the database's mark speaks of. It fails with
// ErrDamaged if it is not there as it was written.
func readJournal(dir string, marked Revision) (*pending, error) {
	b, err := os.ReadFile(filepath.Join(dir, journalName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the journal of revision %d is missing", ErrDamaged, marked)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	p, err := parseJournal(b)
	if err == nil && p.rev != marked {
		err = fmt.Errorf("%w: it is that of revision %d, not %d", ErrDamaged, p.rev, marked)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	return p, nil
}

// parseJournal checks a journal and takes it apart. What it returns are views into b.
func parseJournal(b []byte) (*pending, error) {
	end := len(b) - journalEnding
	switch {
	case end < journalHeader, string(b[:len(journalMagic)]) != journalMagic:
		return nil, fmt.Errorf("%w: it does not begin as it must", ErrDamaged)
	case crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]):
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	p := &pending{rev: Revision(binary.BigEndian.Uint64(b[len(journalMagic):]))}
	for rest := b[journalHeader:end]; len(rest) > 0; {
		if len(rest) < journalWrite {
			return nil, fmt.Errorf("%w: it ends within a write", ErrDamaged)
		}
		key := int64(binary.BigEndian.Uint32(rest))
		value := int64(binary.BigEndian.Uint32(rest[4:])) - 1
		rest = rest[journalWrite:]
		if int64(len(rest)) < key+max(value, 0) {
			return nil, fmt.Errorf("%w: it ends within a write", ErrDamaged)
		}
		w := write{key: rest[:key:key], name: string(rest[:key])}
		if rest = rest[key:]; value >= 0 {
			w.value = rest[:value:value]
			rest = rest[value:]
		}
		p.writes = append(p.writes, w)
	}
	return p, nil
}

// removeJournal removes a journal that is finished or not in force.
func removeJournal(dir string) error {
	var errs []error
	for _, name := range []string{journalName, journalName + ".tmp"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing the journal: %w", err))
		}
	}
	return errors.Join(errs...)
}

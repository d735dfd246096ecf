package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// headName is the file beside the database's own that holds the revision of
// the newest acknowledged commit. The database opens a write-ahead file with
// a flipped bit without an error and drops what follows the bit; the head
// tells that something is missing.
const headName = "HEAD"

// head is the open file. It is written after each commit and not synced: it
// must never be ahead of the synced database, and behind is harmless.
type head struct{ file *os.File }

// headSize is a revision and its CRC-32C.
const headSize = 8 + 4

// openHead opens the head, or begins an empty one.
func openHead(path string) (*head, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the head: %w", err)
	}
	return &head{f}, nil
}

// read returns the revision of the newest acknowledged commit, or 0 if the
// file does not hold one, as in a new store or after damage.
func (h *head) read() (Revision, error) {
	var b [headSize]byte
	n, err := h.file.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("reading the head: %w", err)
	}
	if n < headSize || crc32.Checksum(b[:8], castagnoli) != binary.BigEndian.Uint32(b[8:]) {
		return 0, nil
	}
	return Revision(binary.BigEndian.Uint64(b[:8])), nil
}

// write puts rev in place of what was there.
func (h *head) write(rev Revision) error {
	var b [headSize]byte
	binary.BigEndian.PutUint64(b[:8], uint64(rev))
	binary.BigEndian.PutUint32(b[8:], crc32.Checksum(b[:8], castagnoli))
	if _, err := h.file.WriteAt(b[:], 0); err != nil {
		return fmt.Errorf("writing the head: %w", err)
	}
	return nil
}

func (h *head) close() error { return h.file.Close() }

package storage

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// someJournal makes the journal of a few writes.
func someJournal(t testing.TB) (p *pending, file []byte) {
	t.Helper()
	p = &pending{rev: 42, writes: []write{
		{key: []byte("a\x00gone"), name: "a\x00gone"},
		{key: []byte("a\x00k"), name: "a\x00k", value: []byte(`{"n":1}`)},
		{key: []byte("b\x00k"), name: "b\x00k", value: []byte(`""`)},
	}}
	dir := t.TempDir()
	if err := writeJournal(dir, p); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	if size := journalSize(p.writes); size != int64(len(file)) {
		t.Errorf("the journal has %d bytes, reckoned were %d", len(file), size)
	}
	return p, file
}

func TestJournalIsReadAsWritten(t *testing.T) {
	p, file := someJournal(t)
	dir := t.TempDir()
	_, err := readJournal(dir, 42)
	wantError(t, err, ErrDamaged)
	if err := os.WriteFile(filepath.Join(dir, journalName), file, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readJournal(dir, 42); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("it reads %+v (%v), want %+v", got, err, p)
	}
	_, err = readJournal(dir, 43)
	wantError(t, err, ErrDamaged)
}

func TestJournalNoticesDamage(t *testing.T) {
	_, file := someJournal(t)
	for i := range len(file) * 8 {
		bad := bytes.Clone(file)
		bad[i/8] ^= 1 << (i % 8)
		_, err := parseJournal(bad)
		wantError(t, err, ErrDamaged)
	}
	for n := range file {
		_, err := parseJournal(file[:n])
		wantError(t, err, ErrDamaged)
		if n < journalHeader {
			continue
		}
		// Cut before it was summed up. Where a write ends it is whole.
		p, err := parseJournal(binary.BigEndian.AppendUint32(bytes.Clone(file[:n]), crc32.Checksum(file[:n], castagnoli)))
		if err != nil {
			wantError(t, err, ErrDamaged)
		} else if size := journalSize(p.writes); size != int64(n+journalEnding) {
			t.Errorf("the first %d bytes are a journal of %d", n, size)
		}
	}
}

// TestMarkIsOfALaterVersion: a gateway that knows no journals does not read it.
func TestMarkIsOfALaterVersion(t *testing.T) {
	mark, err := encodeSequence(markVersion, 42, sequence{Records: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = decodeRecord(sequenceKey, mark)
	wantError(t, err, ErrVersion)
}

func FuzzJournal(f *testing.F) {
	_, file := someJournal(f)
	f.Add(file[:len(file)-journalEnding])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = binary.BigEndian.AppendUint32(bytes.Clone(b), crc32.Checksum(b, castagnoli))
		p, err := parseJournal(b)
		if err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), journalName)
		if err := fillJournal(path, p); err != nil {
			t.Fatal(err)
		}
		if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x was accepted and is %x when written again (%v)", b, again, err)
		}
	})
}

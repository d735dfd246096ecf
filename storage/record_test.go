package storage

import (
	"bytes"
	"runtime"
	"testing"
)

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestRecordNoticesEveryFlippedBit(t *testing.T) {
	key := []byte("notes\x00k")
	good := encodeRecord(key, 42, []byte(`{"n":1}`))
	if rev, v, err := decodeRecord(key, good); err != nil || rev != 42 || string(v) != `{"n":1}` {
		t.Fatalf("got %d %s %v", rev, v, err)
	}
	for i := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		_, _, err := decodeRecord(key, bad)
		wantError(t, err, ErrDamaged)
	}
	for n := range good {
		_, _, err := decodeRecord(key, good[:n])
		wantError(t, err, ErrDamaged)
	}
	_, _, err := decodeRecord([]byte("notes\x00other"), good)
	wantError(t, err, ErrDamaged)
}

func TestRecordOfAnotherVersion(t *testing.T) {
	key := []byte("k")
	b := encodeRecord(key, 1, []byte("{}"))
	b[0] = recordVersion + 1
	sum := recordSum(key, b[:13], []byte("{}"))
	b[13], b[14], b[15], b[16] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
	_, _, err := decodeRecord(key, b)
	wantError(t, err, ErrVersion)
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte("k"), encodeRecord([]byte("k"), 7, []byte(`"v"`)))
	f.Add([]byte(""), []byte{})
	f.Fuzz(func(t *testing.T, key, b []byte) {
		rev, value, err := decodeRecord(key, b)
		if err != nil {
			return
		}
		if again := encodeRecord(key, rev, value); !bytes.Equal(again, b) {
			t.Errorf("%x was accepted and is %x when encoded again", b, again)
		}
	})
}

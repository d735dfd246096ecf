package upstream

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestUnpacker(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	noise := make([]byte, 5<<20)
	random.Read(noise) // cannot fail
	for name, tc := range map[string]struct {
		text []byte
		err  error
	}{
		"small, whatever the ratio": {bytes.Repeat([]byte("x"), unpackedFree), nil},
		"large, an honest ratio":    {noise, nil},
		"a bomb":                    {bytes.Repeat([]byte("x"), 16<<20), errBomb},
	} {
		t.Run(name, func(t *testing.T) {
			var packed bytes.Buffer
			w := gzip.NewWriter(&packed)
			w.Write(tc.text) // to memory: an error shows in Close
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			u, err := newUnpacker(&packed)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(u)
			if !errors.Is(err, tc.err) {
				t.Fatalf("got error %v, want %v", err, tc.err)
			}
			if tc.err == nil && !bytes.Equal(got, tc.text) {
				t.Errorf("%d bytes became %d", len(tc.text), len(got))
			}
			if tc.err != nil && len(got) > 2*unpackedFree {
				t.Errorf("%d bytes of a bomb were unpacked", len(got))
			}
		})
	}
	if _, err := newUnpacker(strings.NewReader("no gzip at all")); err == nil {
		t.Error("what is no gzip was unpacked")
	}
}

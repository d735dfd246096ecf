package format

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// sample builds a body of written parts and views, and returns what it must read
// as.
func sample() (*Body, string) {
	big := strings.Repeat("i", bigSpan)
	b := new(Body)
	b.Str(`{"a":`)
	b.Quote("x\"y")
	b.View([]byte(`,"v":1`))
	b.Raw([]byte(`,"r":2`))
	b.Byte(',')
	b.Raw([]byte(big))
	b.View(nil)
	b.Append(func(dst []byte) []byte { return append(dst, '}') })
	return b, `{"a":"x\"y","v":1,"r":2,` + big + `}`
}

func TestBody(t *testing.T) {
	b, want := sample()
	if b.Len() != len(want) || string(b.Bytes()) != want {
		t.Errorf("body of %d bytes, want %d", b.Len(), len(want))
	}
	for _, tc := range []struct {
		name string
		wrap func(io.Reader) io.Reader
	}{
		{"whole", func(r io.Reader) io.Reader { return r }},
		{"one byte at a time", iotest.OneByteReader},
		{"halves", iotest.HalfReader},
	} {
		got, err := io.ReadAll(tc.wrap(b.NewReader()))
		if err != nil || string(got) != want {
			t.Errorf("%s: read %d bytes, want %d (%v)", tc.name, len(got), len(want), err)
		}
	}
	b.Reset()
	b.Str("again")
	if string(b.Bytes()) != "again" || b.Len() != 5 {
		t.Errorf("after Reset: %q", b.Bytes())
	}
}

func TestBodyReaderFollowsTheRules(t *testing.T) {
	b, want := sample()
	if err := iotest.TestReader(b.NewReader(), []byte(want)); err != nil {
		t.Error(err)
	}
}

// TestBodyIsFreedOnce shows that the memory is freed when the owner and all
// readers have let go, whatever their order, and never before.
func TestBodyIsFreedOnce(t *testing.T) {
	b, want := sample()
	freed := make(chan struct{})
	b.Own(func() { close(freed) })
	readers := []io.ReadCloser{b.NewReader(), b.NewReader(), b.NewReader()}
	b.Release()
	var wg sync.WaitGroup
	for i, r := range readers {
		wg.Go(func() {
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, []byte(want)) {
				t.Errorf("reader %d: %d bytes, %v", i, len(got), err)
			}
			select {
			case <-freed:
				t.Error("freed while a reader is open")
			default:
			}
			if i > 0 {
				r.Close()
				r.Close()
			}
		})
	}
	wg.Wait()
	select {
	case <-freed:
		t.Fatal("freed while a reader is open")
	default:
	}
	readers[0].Close()
	<-freed
	if _, err := readers[0].Read(make([]byte, 1)); err == nil {
		t.Error("a closed reader still reads")
	}
}

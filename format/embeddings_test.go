package format_test

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// vector reads a vector of a test.
func vector(t *testing.T, doc string) format.Vector {
	t.Helper()
	var index tape.Tape
	if err := index.Parse([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	v, ok := format.VectorOf(index.Root())
	if !ok {
		t.Fatalf("%s is no vector", doc)
	}
	return v
}

// floats is the base64 text of numbers.
func floats(numbers ...float32) string {
	var raw []byte
	for _, f := range numbers {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func TestVectors(t *testing.T) {
	for _, tc := range []struct{ name, doc, numbers, text string }{
		{"numbers keep their digits", `[0.10, -1e-3,2]`, `[0.10, -1e-3,2]`, `"` + floats(0.1, -0.001, 2) + `"`},
		{"base64", `"` + floats(0.25, -3, 1e-7) + `"`, `[0.25,-3,1e-07]`, `"` + floats(0.25, -3, 1e-7) + `"`},
		{"escaped base64", `"AACAPw\u003d="`, `[1]`, `"AACAPw=="`},
		{"more digits than a float32 has", `[0.123456789012345678]`, `[0.123456789012345678]`, `"` + floats(0.12345679) + `"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := vector(t, tc.doc)
			if got, err := v.AppendNumbers(nil); err != nil || string(got) != tc.numbers {
				t.Errorf("numbers are %s, %v; want %s", got, err, tc.numbers)
			}
			got, err := v.AppendBase64(nil)
			if err != nil || string(got) != tc.text {
				t.Errorf("base64 is %s, %v; want %s", got, err, tc.text)
			}
		})
	}
}

func TestVectorsThatCannotBeRead(t *testing.T) {
	for name, doc := range map[string]string{
		"not base64":          `"%%%"`,
		"half a number":       `"AAA="`,
		"not a number":        `"` + floats(float32(math.NaN())) + `"`,
		"infinite":            `"` + floats(float32(math.Inf(1))) + `"`,
		"an element of words": `[1,"2"]`,
	} {
		t.Run(name, func(t *testing.T) {
			v := vector(t, doc)
			if got, err := v.AppendNumbers(nil); err == nil {
				t.Errorf("numbers are %s", got)
			}
		})
	}
	for name, doc := range map[string]string{"an element of words": `[1,null]`, "too large": `[1e300]`} {
		t.Run("as base64: "+name, func(t *testing.T) {
			v := vector(t, doc)
			if got, err := v.AppendBase64(nil); err == nil || !strings.Contains(err.Error(), "vector") {
				t.Errorf("base64 is %s, %v", got, err)
			}
		})
	}
	var index tape.Tape
	for _, doc := range []string{`[]`, `""`, `{}`, `1`, `null`} {
		if err := index.Parse([]byte(doc)); err != nil {
			t.Fatal(err)
		}
		if _, ok := format.VectorOf(index.Root()); ok {
			t.Errorf("%s is taken for a vector", doc)
		}
	}
}

// A number in base64 and its digits are the same float32.
func TestVectorsRoundTrip(t *testing.T) {
	for _, f := range []float32{0, 1, -1, 0.1, math.MaxFloat32, math.SmallestNonzeroFloat32, 1 / 3.0} {
		v := vector(t, `"`+floats(f)+`"`)
		numbers, err := v.AppendNumbers(nil)
		if err != nil {
			t.Fatal(err)
		}
		back := vector(t, string(numbers))
		got, err := back.AppendBase64(nil)
		if err != nil || string(got) != `"`+floats(f)+`"` {
			t.Errorf("%g became %s and then %s, %v", f, numbers, got, err)
		}
	}
}

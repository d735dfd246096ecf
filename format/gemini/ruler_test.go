package gemini

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

func TestRuler(t *testing.T) {
	for _, literal := range []string{
		`""`, `"plain"`, `"é"`, `"a\né\u00e9\ud83d\ude00😀 日本語 x\"\\\/"`, `"\ud83d"`, `"\ud83dx\u0041"`,
	} {
		var text string
		if err := json.Unmarshal([]byte(literal), &text); err != nil {
			t.Fatal(err)
		}
		var r ruler
		r.add(chat.Literal(literal))
		if r.bytes != len(text) || r.chars != utf8.RuneCountInString(text) {
			t.Errorf("%s: %d bytes, %d characters; want %d, %d", literal, r.bytes, r.chars, len(text), utf8.RuneCountInString(text))
		}
		chars := 0
		for at := range text {
			if got := r.charsAt(at); got != chars {
				t.Errorf("%s: byte %d is character %d, want %d", literal, at, got, chars)
			}
			if got := r.bytesAt(chars); got != at {
				t.Errorf("%s: character %d is byte %d, want %d", literal, chars, got, at)
			}
			chars++
		}
		if r.charsAt(1<<20) != chars || r.bytesAt(1<<20) != len(text) || r.charsAt(-1) != 0 {
			t.Errorf("%s: places outside of the text", literal)
		}
	}
}

// A text of pieces is measured as the whole, and a hostile one costs little.
func TestRulerIsBounded(t *testing.T) {
	var r ruler
	for range maxRuns {
		r.add(chat.Literal(`"aé"`))
	}
	if !r.lost || len(r.runs) > maxRuns || r.bytes != 3*maxRuns || r.chars != 2*maxRuns {
		t.Errorf("lost %t, %d runs, %d bytes, %d characters", r.lost, len(r.runs), r.bytes, r.chars)
	}
	var ascii ruler
	ascii.add(chat.Quote(strings.Repeat("x\n", 1000)))
	if ascii.runs != nil {
		t.Errorf("plain text has %d runs", len(ascii.runs))
	}
}

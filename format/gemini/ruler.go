package gemini

import (
	"sort"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// maxRuns bounds the memory of a ruler: 384 KiB, for a text of many languages.
const maxRuns = 1 << 14

// ruler turns places in a text, which Gemini counts in bytes of UTF-8, into those
// of the neutral form, which counts characters, and back. The zero value measures
// the empty text.
type ruler struct {
	bytes, chars int
	// runs are where the width of the characters changes; it is 1 before the first.
	runs []stretch
	// lost says that there were too many runs to tell places.
	lost bool
}

// stretch is a place from which on all characters have the same width in bytes.
type stretch struct{ bytes, chars, width int }

// add measures a further piece of the text.
func (r *ruler) add(text chat.Literal) {
	in := text.Inner()
	for i := 0; i < len(in); {
		plain := i
		for plain < len(in) && in[plain] < utf8.RuneSelf && in[plain] != '\\' {
			plain++
		}
		if plain > i {
			r.step(1, plain-i)
			i = plain
			continue
		}
		width, used := 0, 0
		if in[i] == '\\' {
			width, used = escapeWidth(in[i:])
		} else {
			_, used = utf8.DecodeRune(in[i:])
			width = used
		}
		r.step(width, 1)
		i += used
	}
}

// step counts n characters of a width.
func (r *ruler) step(width, n int) {
	last := 1
	if len(r.runs) > 0 {
		last = r.runs[len(r.runs)-1].width
	}
	switch {
	case width == last:
	case len(r.runs) == maxRuns:
		r.lost = true
	default:
		r.runs = append(r.runs, stretch{r.bytes, r.chars, width})
	}
	r.bytes += width * n
	r.chars += n
}

// escapeWidth returns how many bytes the character of an escape at the start of
// in has, and how many the escape.
func escapeWidth(in []byte) (width, used int) {
	hi, ok := escapedUnit(in)
	if !ok {
		return 1, min(2, len(in))
	}
	if !utf16.IsSurrogate(hi) {
		return utf8.RuneLen(hi), 6
	}
	if lo, ok := escapedUnit(in[6:]); ok && utf16.DecodeRune(hi, lo) != utf8.RuneError {
		return 4, 12
	}
	return utf8.RuneLen(utf8.RuneError), 6
}

// escapedUnit reads a \uXXXX escape at the start of in.
func escapedUnit(in []byte) (rune, bool) {
	if len(in) < 6 || in[0] != '\\' || in[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(in[2:6]), 16, 16)
	return rune(n), err == nil
}

// charsAt is the number of characters before a place in bytes. A place behind the
// text is its end.
func (r *ruler) charsAt(place int) int {
	place = min(max(place, 0), r.bytes)
	i := sort.Search(len(r.runs), func(i int) bool { return r.runs[i].bytes > place })
	if i == 0 {
		return place
	}
	from := r.runs[i-1]
	return from.chars + (place-from.bytes)/from.width
}

// bytesAt is the number of bytes before a place in characters. A place behind
// the text is its end.
func (r *ruler) bytesAt(place int) int {
	place = min(max(place, 0), r.chars)
	i := sort.Search(len(r.runs), func(i int) bool { return r.runs[i].chars > place })
	if i == 0 {
		return place
	}
	from := r.runs[i-1]
	return from.bytes + (place-from.chars)*from.width
}

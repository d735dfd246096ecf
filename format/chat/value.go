package chat

import (
	"bytes"
	"math"
	"strconv"
)

// Raw is a JSON value as it stands in a document. nil means absent.
type Raw []byte

// AppendLine appends raw JSON on one line, as an event's data wants it. Line
// breaks stand between its tokens only.
func AppendLine(dst, raw []byte) []byte {
	from := len(dst)
	dst = append(dst, raw...)
	for i, c := range dst[from:] {
		if c == '\n' || c == '\r' {
			dst[from+i] = ' '
		}
	}
	return dst
}

// Bool is a truth value that may be absent.
type Bool uint8

// The truth values; the zero value is absent.
const (
	Unset Bool = iota
	False
	True
)

// BoolOf returns True or False.
func BoolOf(b bool) Bool {
	if b {
		return True
	}
	return False
}

// Number is a JSON number with its digits as they were. nil means absent.
type Number []byte

// NumberOf returns the number n.
func NumberOf(n int64) Number { return strconv.AppendInt(nil, n, 10) }

// Int returns the number as an integer; ok is false if it is absent, has a
// fraction or does not fit. An integer may be written as a fraction or with an
// exponent, as in 100.0 and 1e3, if it is not above 2^53.
func (n Number) Int() (i int64, ok bool) {
	if len(n) == 0 {
		return 0, false // An error would cost an allocation.
	}
	if !bytes.ContainsAny(n, ".eE") {
		i, err := strconv.ParseInt(string(n), 10, 64)
		return i, err == nil
	}
	const exact = 1 << 53
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return 0, false
	}
	return int64(f), true
}

// Whole returns the number written as an integer without fraction and exponent;
// ok is as for Int. A number that is written so already is returned as it is.
func (n Number) Whole() (whole Number, ok bool) {
	i, ok := n.Int()
	if !ok {
		return nil, false
	}
	if !bytes.ContainsAny(n, ".eE") {
		return n, true
	}
	return NumberOf(i), true
}

// Float returns the number as a float; ok is false if it is absent.
func (n Number) Float() (f float64, ok bool) {
	if len(n) == 0 {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(n), 64)
	return f, err == nil
}

// Arguments are the arguments of a tool call. Formats write them either as a
// JSON object or as a string that holds one; the form they came in is kept and
// the other one is made only when it is needed.
type Arguments struct {
	// Object is the object as it was. nil if Text holds the arguments.
	Object Raw
	// Text is the string that holds the object. nil if Object holds them.
	Text Literal
}

// Empty says that there are no arguments.
func (a Arguments) Empty() bool { return len(a.Object) == 0 && a.Text.Empty() }

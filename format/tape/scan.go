package tape

// skipSpace returns the offset of the first byte from i on that is not white
// space.
func skipSpace(doc []byte, i int) int {
	for i < len(doc) && doc[i] <= ' ' && isSpace(doc[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// scanNumber checks the number at i and returns the offset behind it, or of the
// byte that does not belong there.
func scanNumber(doc []byte, i int) (end int, ok bool) {
	if i < len(doc) && doc[i] == '-' {
		i++
	}
	switch {
	case i == len(doc) || !isDigit(doc[i]):
		return i, false
	case doc[i] == '0':
		i++
	default:
		i = skipDigits(doc, i)
	}
	if i < len(doc) && doc[i] == '.' {
		from := i + 1
		if i = skipDigits(doc, from); i == from {
			return i, false
		}
	}
	if i < len(doc) && doc[i]|0x20 == 'e' {
		i++
		if i < len(doc) && (doc[i] == '+' || doc[i] == '-') {
			i++
		}
		from := i
		if i = skipDigits(doc, from); i == from {
			return i, false
		}
	}
	return i, true
}

func skipDigits(doc []byte, i int) int {
	for i < len(doc) && isDigit(doc[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c-'0' < 10 }

package sse

import "bytes"

// AppendEvent appends an event with data, and with an event field if name is not
// empty. The data stands on one line unless it has line breaks. A name must not
// have any.
func AppendEvent(dst []byte, name string, data []byte) []byte {
	if name != "" {
		dst = append(dst, "event: "...)
		dst = append(dst, name...)
		dst = append(dst, '\n')
	}
	dst = appendLines(dst, "data: ", data)
	return append(dst, '\n')
}

// AppendComment appends a block with nothing but a comment, which readers
// ignore.
func AppendComment(dst []byte, text string) []byte {
	dst = appendLines(dst, ": ", text)
	return append(dst, '\n')
}

// appendLines appends every line of text behind the prefix.
func appendLines[T string | []byte](dst []byte, prefix string, text T) []byte {
	dst = append(dst, prefix...)
	from := len(dst)
	dst = append(dst, text...)
	if bytes.IndexByte(dst[from:], '\n') >= 0 || bytes.IndexByte(dst[from:], '\r') >= 0 {
		return breakLines(dst[:from], prefix, string(text))
	}
	return append(dst, '\n')
}

// breakLines appends text, whose first line's prefix has been appended, with the
// prefix before each further line.
func breakLines(dst []byte, prefix, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\r' && i+1 < len(text) && text[i+1] == '\n':
			// The LF breaks the line.
		case c == '\r' || c == '\n':
			dst = append(dst, '\n')
			dst = append(dst, prefix...)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '\n')
}

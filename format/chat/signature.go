package chat

import "bytes"

// signatureTag starts a signature that travels through a client of another
// format than its maker's.
const signatureTag = "aigw1."

// TagSignature returns the signature in a form that a client of another format
// can carry: with the name of the format that made it, so that it is sent back
// to no other.
func TagSignature(origin string, signature Literal) Literal {
	inner := signature.Inner()
	l := make(Literal, 0, len(signatureTag)+len(origin)+len(inner)+3)
	l = append(l, '"')
	l = append(l, signatureTag...)
	l = append(l, origin...)
	l = append(l, '.')
	l = append(l, inner...)
	return append(l, '"')
}

// UntagSignature returns the signature that a client of another format carried,
// and the format that made it. ok is false for any other text.
func UntagSignature(carried Literal) (origin string, signature Literal, ok bool) {
	rest, ok := bytes.CutPrefix(carried.Inner(), []byte(signatureTag))
	if !ok {
		return "", nil, false
	}
	maker, inner, ok := bytes.Cut(rest, []byte("."))
	if !ok || len(maker) == 0 {
		return "", nil, false
	}
	return string(maker), QuoteEscaped(inner), true
}

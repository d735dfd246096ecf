package gemini

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Limits of a call that comes in pieces.
const (
	maxArgNodes = 1 << 14
	maxArgDepth = 64
)

// partialCall is a call whose arguments come in pieces, as upstreams with
// streamFunctionCallArguments send them: each piece names its place by a JSON
// Path, and pieces of one string follow each other. They are put together, since
// the other formats know no such pieces.
type partialCall struct {
	id, name, signature chat.Literal
	args                argNode
	whole               []byte // an args object that came beside or instead of pieces
	nodes, size         int
}

// argNode is a value of the arguments.
type argNode struct {
	kind     argKind
	key      string     // below an object
	children []*argNode // of an object or an array
	// text is a string without its quotes, escaped, or another value as it was.
	text []byte
}

// argKind is the kind of a value.
type argKind uint8

const (
	argUnset argKind = iota
	argObject
	argArray
	argString
	argOther
)

// badPiece is the error of a piece that cannot be put to the others.
func badPiece() *chat.Error {
	return chat.BadAnswer("the upstream's stream has a piece of a function call that does not fit to the others")
}

// take takes a chunk's pieces.
func (p *partialCall) take(call tape.Value) error {
	if args := call.Get("args"); args.Kind() == tape.Object && args.Len() > 0 {
		p.whole = append(p.whole[:0], args.Raw()...)
		p.size += len(p.whole)
	}
	for piece := range member(call, "partialArgs").Elements {
		if err := p.piece(piece); err != nil {
			return err
		}
	}
	if p.size > maxHeld {
		return chat.BadAnswer("the upstream's stream has a tool call that is too large to be held back")
	}
	return nil
}

// piece takes one piece.
func (p *partialCall) piece(v tape.Value) error {
	node, err := p.at(member(v, "jsonPath").Text())
	if err != nil {
		return err
	}
	kind, value := argString, member(v, "stringValue").Literal().Inner()
	for _, name := range [...]string{"numberValue", "boolValue", "nullValue"} {
		switch other := member(v, name); {
		case name == "nullValue" && other.Exists():
			kind, value = argOther, []byte("null")
		case other.Present():
			kind, value = argOther, other.Raw()
		}
	}
	switch node.kind {
	case argUnset, kind:
	default:
		return badPiece()
	}
	if kind == argOther {
		node.text = node.text[:0]
	}
	node.kind = kind
	node.text = append(node.text, value...)
	p.size += len(value)
	return nil
}

// at returns the value at a path such as $.list[0].name or $['a name'], and makes
// it and those above it if they are new.
func (p *partialCall) at(path string) (*argNode, error) {
	rest, ok := strings.CutPrefix(path, "$")
	if !ok || rest == "" {
		return nil, badPiece()
	}
	node := &p.args
	for depth := 0; rest != ""; depth++ {
		if depth == maxArgDepth {
			return nil, badPiece()
		}
		var step pathStep
		if step, rest, ok = nextStep(rest); !ok {
			return nil, badPiece()
		}
		if node = p.child(node, step); node == nil {
			return nil, badPiece()
		}
	}
	return node, nil
}

// pathStep is one step of a path: to a member, or to an element.
type pathStep struct {
	key     string
	index   int
	element bool
}

// nextStep reads the first step of a path.
func nextStep(path string) (s pathStep, rest string, ok bool) {
	if name, isMember := strings.CutPrefix(path, "."); isMember {
		end := strings.IndexAny(name, ".[")
		if end < 0 {
			end = len(name)
		}
		return pathStep{key: name[:end]}, name[end:], end > 0
	}
	inner, ok := strings.CutPrefix(path, "[")
	if !ok || inner == "" {
		return s, "", false
	}
	if quote := inner[0]; quote == '\'' || quote == '"' {
		key, rest, ok := strings.Cut(inner[1:], string(quote)+"]")
		return pathStep{key: key}, rest, ok
	}
	digits, rest, ok := strings.Cut(inner, "]")
	if !ok {
		return s, "", false
	}
	n, err := strconv.Atoi(digits)
	return pathStep{index: n, element: true}, rest, err == nil && n >= 0
}

// child returns the value one step below another one; nil if that is of another
// kind, or there are too many.
func (p *partialCall) child(above *argNode, s pathStep) *argNode {
	kind := argObject
	if s.element {
		kind = argArray
	}
	if above.kind != argUnset && above.kind != kind {
		return nil
	}
	above.kind = kind
	if s.element && s.index < len(above.children) {
		return above.children[s.index]
	}
	if !s.element {
		// Pieces of one value follow each other, so that it is mostly the last.
		for i := len(above.children) - 1; i >= 0; i-- {
			if above.children[i].key == s.key {
				return above.children[i]
			}
		}
	}
	if s.element && s.index > len(above.children) || p.nodes == maxArgNodes || len(above.children) == maxCalls {
		return nil // Elements come in order.
	}
	p.nodes++
	p.size += len(s.key)
	node := &argNode{key: strings.Clone(s.key)}
	above.children = append(above.children, node)
	return node
}

// arguments returns the arguments as one object.
func (p *partialCall) arguments() []byte {
	if p.args.kind == argUnset && len(p.whole) > 0 {
		return p.whole
	}
	if p.args.kind != argObject {
		return []byte("{}")
	}
	return p.args.append(nil)
}

// append appends the value.
func (n *argNode) append(dst []byte) []byte {
	switch n.kind {
	case argObject:
		dst = append(dst, '{')
		for i, c := range n.children {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = chat.AppendQuoted(dst, c.key)
			dst = c.append(append(dst, ':'))
		}
		return append(dst, '}')
	case argArray:
		dst = append(dst, '[')
		for i, c := range n.children {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = c.append(dst)
		}
		return append(dst, ']')
	case argString:
		dst = append(dst, '"')
		dst = append(dst, n.text...)
		return append(dst, '"')
	case argOther:
		return append(dst, n.text...)
	default:
		return append(dst, "null"...)
	}
}

// isPartial says that a call comes in pieces of which more follow.
func isPartial(call tape.Value) bool {
	return member(call, "partialArgs").Exists() || member(call, "willContinue").Bool()
}

// partial takes a chunk of a call in pieces, and appends the call when it is
// whole. A chunk with a name begins a call; one that does not say that more will
// come ends it.
func (d *streamDecoder) partial(dst []chat.Event, v tape.Value, signature chat.Literal) ([]chat.Event, error) {
	name := v.Get("name").Literal()
	var err error
	if !name.Empty() {
		if dst, err = d.endPartial(dst); err != nil {
			return dst, err
		}
		d.pieces = &partialCall{id: bytes.Clone(v.Get("id").Literal()), name: bytes.Clone(name)}
	}
	if d.pieces == nil {
		return dst, namelessCall()
	}
	if !signature.Empty() {
		d.pieces.signature = bytes.Clone(signature)
	}
	if err = d.pieces.take(v); err != nil || member(v, "willContinue").Bool() {
		return dst, err
	}
	return d.endPartial(dst)
}

// endPartial appends the call that has come in pieces; nothing if there is none.
func (d *streamDecoder) endPartial(dst []chat.Event) ([]chat.Event, error) {
	p := d.pieces
	if p == nil {
		return dst, nil
	}
	d.pieces = nil
	return d.wholeCall(dst, p.id, p.name, p.arguments(), p.signature)
}

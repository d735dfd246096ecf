// Package tape indexes a JSON document in one pass. The index (the tape) holds
// the place of every value, so that routing and translation walk the document
// without scanning it again. Values are views into the document's bytes.
//
// The pass checks everything that a JSON grammar demands: balanced brackets,
// separators, literals, numbers, escapes, valid UTF-8, one document and nothing
// after it, and a bounded depth. It does not copy and, with a reused Tape, does
// not allocate.
package tape

import (
	"errors"
	"fmt"
)

// MaxDepth is how deep arrays and objects may be nested.
const MaxDepth = 128

// Errors of Parse. They are wrapped with the offset at which they were met.
var (
	ErrSyntax = errors.New("not valid JSON")
	ErrDepth  = errors.New("JSON nested deeper than 128 levels")
	ErrUTF8   = errors.New("not valid UTF-8")
	ErrSize   = errors.New("JSON document larger than 1 GiB, or of more than two million values")
)

// maxDocument keeps every offset and every count within the bits they have.
const maxDocument = 1 << 30

// maxNodes bounds the memory that a hostile document costs: 32 MiB of nodes. An
// agent's history of 100 KB has about 6,000.
const maxNodes = 2 << 20

// keepNodes is how many nodes Reset keeps (1 MiB).
const keepNodes = 1 << 16

// Kind is the type of a JSON value.
type Kind uint8

// The kinds. Absent is the kind of the zero Value.
const (
	Absent Kind = iota
	Null
	False
	True
	Number
	String
	Array
	Object
)

// Tape is the index of one document. The zero value is ready for use. A Tape may
// be used again for another document; values of the earlier one are then void.
// Reading is safe for concurrent use, Parse and Reset are not. A Tape takes 16
// bytes for each value and each key.
type Tape struct {
	src   []byte
	nodes []node
}

// node is one value or one key. The nodes stand in document order: after an
// object's node come its first key, that key's value and all that is in it, then
// the second key; after an array's node come its elements.
type node struct {
	start, end uint32
	// next is the node behind this one and all that is in it. While a container
	// is open it holds the enclosing container instead, so that the pass needs no
	// stack.
	next uint32
	// meta holds the Kind in its low bits and above them the number of elements
	// or members of a container, or whether a string has escapes.
	meta uint32
}

const (
	kindBits   = 3
	kindMask   = 1<<kindBits - 1
	oneMore    = 1 << kindBits // element or member
	hasEscapes = 1 << kindBits
)

// noParent stands for the container that encloses the document's value.
const noParent = 1<<32 - 1

func (n *node) kind() Kind    { return Kind(n.meta & kindMask) }
func (n *node) count() int    { return int(n.meta >> kindBits) }
func (n *node) escaped() bool { return n.meta>>kindBits != 0 }

// Parse indexes doc, which must not change as long as values are in use. After
// an error the tape is empty.
func (t *Tape) Parse(doc []byte) error {
	t.src = doc
	nodes, err := index(t.nodes[:0], doc)
	if err != nil {
		t.src, nodes = nil, nodes[:0]
	}
	t.nodes = nodes
	return err
}

// Reset empties the tape, so that one that waits in a pool does not hold on to
// its document, and gives up memory that an unusual document demanded.
func (t *Tape) Reset() {
	t.src = nil
	t.nodes = t.nodes[:0]
	if cap(t.nodes) > keepNodes {
		t.nodes = nil
	}
}

// Root is the document's value.
func (t *Tape) Root() Value {
	if len(t.nodes) == 0 {
		return Value{}
	}
	return Value{t: t}
}

// index appends the nodes of doc. On an error the nodes are meaningless.
//
// It is a machine with four states, which are its labels: depth costs no stack,
// and the state is the place in the code.
func index(nodes []node, doc []byte) ([]node, error) {
	if len(doc) > maxDocument {
		return nodes, ErrSize
	}
	if cap(nodes) == 0 {
		nodes = make([]node, 0, min(8+len(doc)/16, 4096))
	}
	var (
		parent uint32 = noParent // the innermost open container
		depth  int
		i      int
	)

value: // A value is due at i.
	i = skipSpace(doc, i)
	if i == len(doc) {
		return nodes, syntaxError(i, "a value is missing")
	}
	if len(nodes) > maxNodes {
		return nodes, fmt.Errorf("offset %d: %w", i, ErrSize)
	}
	switch c := doc[i]; c {
	case '"':
		end, found := scanString(doc, i+1)
		if found == isBroken {
			return nodes, stringError(doc, end)
		}
		nodes = append(nodes, leaf(i, end, len(nodes), uint32(String)|found))
		i = end

	case '{', '[':
		if depth == MaxDepth {
			return nodes, fmt.Errorf("offset %d: %w", i, ErrDepth)
		}
		depth++
		kind := Object
		if c == '[' {
			kind = Array
		}
		self := uint32(len(nodes))
		nodes = append(nodes, node{start: uint32(i), next: parent, meta: uint32(kind)})
		parent = self
		i = skipSpace(doc, i+1)
		if i < len(doc) && doc[i] == c+2 { // } is {+2 and ] is [+2
			goto closing
		}
		if c == '{' {
			goto key
		}
		nodes[parent].meta += oneMore
		goto value

	case 't', 'f', 'n':
		word, kind := "true", True
		switch c {
		case 'f':
			word, kind = "false", False
		case 'n':
			word, kind = "null", Null
		}
		end := i + len(word)
		if end > len(doc) || string(doc[i:end]) != word {
			return nodes, syntaxError(i, "unknown word")
		}
		nodes = append(nodes, leaf(i, end, len(nodes), uint32(kind)))
		i = end

	default:
		end, ok := scanNumber(doc, i)
		if !ok {
			return nodes, syntaxError(end, "unexpected byte")
		}
		nodes = append(nodes, leaf(i, end, len(nodes), uint32(Number)))
		i = end
	}

after: // A value ends at i.
	i = skipSpace(doc, i)
	if parent == noParent {
		if i != len(doc) {
			return nodes, syntaxError(i, "something stands behind the document")
		}
		return nodes, nil
	}
	if i == len(doc) {
		return nodes, syntaxError(i, "a bracket is not closed")
	}
	{
		isObject := nodes[parent].kind() == Object
		switch c := doc[i]; {
		case c == ',' && isObject:
			i++
			goto key
		case c == ',':
			i++
			nodes[parent].meta += oneMore
			goto value
		case c == '}' && isObject, c == ']' && !isObject:
			goto closing
		}
		return nodes, syntaxError(i, "a comma or a closing bracket is missing")
	}

key: // A key is due at i.
	i = skipSpace(doc, i)
	if i == len(doc) || doc[i] != '"' {
		return nodes, syntaxError(i, "a key is missing")
	}
	{
		end, found := scanString(doc, i+1)
		if found == isBroken {
			return nodes, stringError(doc, end)
		}
		nodes[parent].meta += oneMore
		nodes = append(nodes, leaf(i, end, len(nodes), uint32(String)|found))
		i = skipSpace(doc, end)
	}
	if i == len(doc) || doc[i] != ':' {
		return nodes, syntaxError(i, "a colon is missing")
	}
	i++
	goto value

closing: // The bracket that closes parent is at i.
	i++
	depth--
	{
		n := &nodes[parent]
		parent = n.next
		n.end, n.next = uint32(i), uint32(len(nodes))
	}
	goto after
}

// leaf is the node of a value that has nothing in it and becomes nodes[at].
func leaf(start, end, at int, meta uint32) node {
	return node{start: uint32(start), end: uint32(end), next: uint32(at + 1), meta: meta}
}

func syntaxError(at int, what string) error {
	return fmt.Errorf("offset %d: %w: %s", at, ErrSyntax, what)
}

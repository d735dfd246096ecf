package tape

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// Value is a place on a tape: a view of one JSON value. The zero Value is
// Absent: all its methods answer as for a missing value.
type Value struct {
	t *Tape
	i int32
}

// node is the value's node; v must not be Absent.
func (v Value) node() *node { return &v.t.nodes[v.i] }

// Kind is the type of the value.
func (v Value) Kind() Kind {
	if v.t == nil {
		return Absent
	}
	return v.node().kind()
}

// Exists says that the value is not Absent. A null exists.
func (v Value) Exists() bool { return v.t != nil }

// Present says that a value stands there and is not null: null means absent in
// most formats.
func (v Value) Present() bool { return v.Kind() > Null }

// Raw is the value as it stands in the document.
func (v Value) Raw() []byte {
	if v.t == nil {
		return nil
	}
	n := v.node()
	return v.t.src[n.start:n.end:n.end]
}

// Start and End are the value's place in the document: Raw is doc[Start:End].
func (v Value) Start() int {
	if v.t == nil {
		return 0
	}
	return int(v.node().start)
}

// End is the offset behind the value.
func (v Value) End() int {
	if v.t == nil {
		return 0
	}
	return int(v.node().end)
}

// Len is the number of elements of an array or members of an object, 0 for
// other kinds.
func (v Value) Len() int {
	if v.Kind() < Array {
		return 0
	}
	return v.node().count()
}

// Get returns the member named key of an object. If the key is repeated the
// last one counts; see Duplicate. Keys with escapes are compared unescaped.
func (v Value) Get(key string) Value {
	found, _ := v.find(key)
	return found
}

// Member is Get for formats in which null means absent: it returns Absent for a
// member that is null.
func (v Value) Member(key string) Value {
	if found := v.Get(key); found.Present() {
		return found
	}
	return Value{}
}

// Duplicate says that an object has more than one member named key.
func (v Value) Duplicate(key string) bool {
	_, times := v.find(key)
	return times > 1
}

// find returns the last member named key and how often the key occurs.
func (v Value) find(key string) (last Value, times int) {
	if v.Kind() != Object {
		return Value{}, 0
	}
	nodes, src := v.t.nodes, v.t.src
	for i, end := v.i+1, int32(v.node().next); i < end; i = int32(nodes[i+1].next) {
		n := &nodes[i]
		if n.escaped() {
			if !chat.Literal(src[n.start:n.end]).Is(key) {
				continue
			}
		} else if string(src[n.start+1:n.end-1]) != key {
			continue
		}
		last = Value{v.t, i + 1}
		times++
	}
	return last, times
}

// Members calls yield for each member of an object in document order until it
// returns false. Other kinds have none. It is meant for range:
//
//	for key, value := range v.Members { … }
//
// key.Is("model") compares without allocation (see chat.Literal: the same bytes).
func (v Value) Members(yield func(key, value Value) bool) {
	if v.Kind() != Object {
		return
	}
	nodes := v.t.nodes
	for i, end := v.i+1, int32(v.node().next); i < end; i = int32(nodes[i+1].next) {
		if !yield(Value{v.t, i}, Value{v.t, i + 1}) {
			return
		}
	}
}

// Elements calls yield for each element of an array in order until it returns
// false. Other kinds have none. It is meant for range:
//
//	for element := range v.Elements { … }
func (v Value) Elements(yield func(element Value) bool) {
	if v.Kind() != Array {
		return
	}
	nodes := v.t.nodes
	for i, end := v.i+1, int32(v.node().next); i < end; i = int32(nodes[i].next) {
		if !yield(Value{v.t, i}) {
			return
		}
	}
}

// Literal is the string as it stands in the document, with its quotes and
// escapes; nil for other kinds.
func (v Value) Literal() chat.Literal {
	if v.Kind() != String {
		return nil
	}
	return v.Raw()
}

// Is says that the value is a string equal to s. It does not allocate for
// strings without escapes.
func (v Value) Is(s string) bool {
	if v.Kind() != String {
		return false
	}
	n := v.node()
	if n.escaped() {
		return v.Literal().Is(s)
	}
	return string(v.t.src[n.start+1:n.end-1]) == s
}

// Text returns the string's value unescaped; "" for other kinds.
func (v Value) Text() string {
	if v.Kind() != String {
		return ""
	}
	n := v.node()
	if n.escaped() {
		return v.Literal().String()
	}
	return string(v.t.src[n.start+1 : n.end-1])
}

// Unescaped is the string's value, or the name of a member if the value is its key:
// a view if it has no escapes. nil for other kinds.
func (v Value) Unescaped() []byte {
	if v.Kind() != String {
		return nil
	}
	n := v.node()
	if n.escaped() {
		return v.Literal().Unescaped()
	}
	return v.t.src[n.start+1 : n.end-1 : n.end-1]
}

// Bool says that the value is true.
func (v Value) Bool() bool { return v.Kind() == True }

// Int returns the number as an integer; ok is false for other kinds, fractions
// and what does not fit.
func (v Value) Int() (n int64, ok bool) {
	const longest = len("-9223372036854775808")
	raw := v.Raw()
	if v.Kind() != Number || len(raw) > longest {
		return 0, false
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return n, err == nil
}

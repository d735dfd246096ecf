package routing

import (
	"fmt"
	"slices"
	"strings"
)

// Names is which names may be asked for. Nil stands for all names of public
// models. It is immutable.
type Names struct {
	exact map[string]bool
	globs []glob
}

// NewNames makes the names of a list, in which * stands for any text. An internal
// model is among them only if the list names it itself, whatever name it is asked
// for by. It is nil for an empty list.
func NewNames(list []string) (*Names, error) {
	if len(list) == 0 {
		return nil, nil
	}
	n := &Names{exact: make(map[string]bool, len(list))}
	for i, name := range list {
		if err := CheckName(name); err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		if strings.Contains(name, "*") {
			n.globs = append(n.globs, newGlob(name))
		}
		n.exact[name] = true
	}
	return n, nil
}

// Covers says whether a name is one of them, whatever it stands for.
func (n *Names) Covers(name string) bool {
	if n == nil || n.exact[name] {
		return true
	}
	return slices.ContainsFunc(n.globs, func(g glob) bool { return g.matches(name) })
}

// admits says whether a name may be asked for that stands for an entry.
func (n *Names) admits(name string, e *Entry) bool {
	if e.internal() && (n == nil || !n.exact[e.Name]) {
		return false
	}
	return n.Covers(name)
}

// internal says that only those who name the model itself know of it.
func (e *Entry) internal() bool { return e.Model.Access == AccessInternal }

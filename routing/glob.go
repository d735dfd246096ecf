package routing

import (
	"strings"
	"unicode/utf8"
)

// glob is a pattern in which * stands for any text: the texts between the stars.
type glob []string

func newGlob(pattern string) glob { return strings.Split(pattern, "*") }

// matches says whether the pattern stands for a whole name. It takes time in
// proportion to the length of the name, times that of the pattern at worst, and
// does not allocate.
func (g glob) matches(name string) bool {
	last := len(g) - 1
	if last == 0 {
		return name == g[0]
	}
	name, ok := strings.CutPrefix(name, g[0])
	if !ok {
		return false
	}
	name, ok = strings.CutSuffix(name, g[last])
	if !ok {
		return false
	}
	for _, part := range g[1:last] {
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return true
}

// literals counts the characters other than *.
func (g glob) literals() (n int) {
	for _, part := range g {
		n += utf8.RuneCountInString(part)
	}
	return n
}

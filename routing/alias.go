package routing

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// Alias is another name of a model, or a pattern of names. An alias whose name
// holds `*` stands for all names that match it: `*` is any text, and everything
// else is itself.
type Alias struct {
	// The model that is meant: its name, or `@<upstream>/<upstream model>` for one
	// upstream model. An alias of an alias is refused. Required.
	Model string `json:"model"`
	// A regular expression (RE2) that a whole name must match, at most 1024 bytes. The
	// alias then stands for these names, and not for its own. Default: none.
	Pattern string `json:"pattern,omitempty"`
	// Names that the lists of models show for an alias that stands for many. Each must
	// match the alias, and be no other model or alias. Default: none.
	Announce []string `json:"announce,omitempty"`
	// Takes the alias out of use, as if it were not there. Default: false.
	Disabled bool `json:"disabled,omitempty"`
}

// alias is an alias in a snapshot.
type alias struct {
	Alias
	name string
	// matches says whether the alias stands for a name; nil if for its own only.
	matches func(name string) bool
	// literals is how many characters a name that matches must share with the alias.
	literals int
}

// The limits of patterns. A program of 1,000 instructions takes about a
// millisecond for the longest name; an everyday pattern has less than a hundred.
const (
	maxPattern = 1 << 10
	maxProgram = 1000
)

// Check refuses an alias that cannot be right, whatever the models are. Errors begin
// with the field's name.
func (a *Alias) Check(name string) error {
	if err := CheckName(name); err != nil {
		return fmt.Errorf("name %w", err)
	}
	if _, err := newAlias(name, a); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "."))
	}
	return nil
}

// newAlias checks an alias by itself. Errors start with the field's path below the
// alias.
func newAlias(name string, def *Alias) (*alias, error) {
	a := &alias{Alias: *def, name: name}
	a.Announce = slices.Clone(def.Announce)
	switch isGlob := strings.Contains(name, "*"); {
	case isGlob && a.Pattern != "":
		return nil, errors.New(".pattern: an alias whose name holds * has no other pattern")
	case isGlob:
		g := newGlob(name)
		a.matches, a.literals = g.matches, g.literals()
	case a.Pattern != "":
		if err := a.compile(); err != nil {
			return nil, fmt.Errorf(".pattern: %w", err)
		}
	case len(a.Announce) > 0:
		return nil, errors.New(".announce: only an alias with a pattern, or with * in its name, announces names")
	}
	for i, announced := range a.Announce {
		if err := CheckName(announced); err != nil {
			return nil, fmt.Errorf(".announce[%d]: %w", i, err)
		}
		if !a.matches(announced) {
			return nil, fmt.Errorf(".announce[%d]: %q does not match the alias", i, announced)
		}
	}
	return a, nil
}

// compile compiles the pattern for whole names.
func (a *alias) compile() error {
	if len(a.Pattern) > maxPattern {
		return fmt.Errorf("must not be longer than %d bytes", maxPattern)
	}
	tree, err := syntax.Parse(a.Pattern, syntax.Perl)
	if err != nil {
		return fmt.Errorf("is no regular expression: %w", err)
	}
	a.literals = literalsIn(tree)
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return fmt.Errorf("is no regular expression: %w", err)
	}
	if len(program.Inst) > maxProgram {
		return errors.New("is too costly; use smaller repetitions")
	}
	whole, err := regexp.Compile(`\A(?:` + a.Pattern + `)\z`)
	if err != nil {
		return fmt.Errorf("is no regular expression: %w", err)
	}
	a.matches = whole.MatchString
	return nil
}

// literalsIn counts the characters that every match must hold as they are.
func literalsIn(tree *syntax.Regexp) int {
	sum := func() (n int) {
		for _, sub := range tree.Sub {
			n += literalsIn(sub)
		}
		return n
	}
	switch tree.Op {
	case syntax.OpLiteral:
		return len(tree.Rune)
	case syntax.OpConcat, syntax.OpCapture, syntax.OpPlus:
		return sum()
	case syntax.OpRepeat:
		return tree.Min * sum()
	case syntax.OpAlternate:
		least := literalsIn(tree.Sub[0])
		for _, sub := range tree.Sub[1:] {
			least = min(least, literalsIn(sub))
		}
		return least
	default:
		return 0
	}
}

// aliasTable holds the aliases of a snapshot. It is immutable.
type aliasTable struct {
	all       map[string]*alias
	exact     map[string]*alias // in use, by their own names
	announced map[string]*alias // by the names; disabled ones are among them
	// patterns are those in use that stand for many names, the most telling first.
	patterns []*alias
}

// newAliasTable sorts aliases out. It refuses names that two of them announce.
func newAliasTable(all map[string]*alias) (*aliasTable, error) {
	t := &aliasTable{all: all, exact: make(map[string]*alias), announced: make(map[string]*alias)}
	for _, name := range sortedNames(all) {
		a := all[name]
		for i, announced := range a.Announce {
			if other, ok := t.announced[announced]; ok {
				return nil, fmt.Errorf("aliases.%s.announce[%d]: %q is announced by alias %q already", name, i, announced, other.name)
			}
			t.announced[announced] = a
		}
		switch {
		case a.Disabled:
		case a.matches == nil:
			t.exact[name] = a
		default:
			t.patterns = append(t.patterns, a)
		}
	}
	slices.SortStableFunc(t.patterns, func(a, b *alias) int {
		return cmp.Or(cmp.Compare(b.literals, a.literals), strings.Compare(a.name, b.name))
	})
	return t, nil
}

// named finds the alias in use that has or announces exactly this name.
func (t *aliasTable) named(name string) (*alias, bool) {
	if a, ok := t.exact[name]; ok {
		return a, true
	}
	a, ok := t.announced[name]
	return a, ok && !a.Disabled
}

// matching finds the most telling alias in use that stands for a name.
func (t *aliasTable) matching(name string) (*alias, bool) {
	for _, a := range t.patterns {
		if a.matches(name) {
			return a, true
		}
	}
	return nil, false
}

// takeAliases puts the changed aliases into the table.
func (s *Snapshot) takeAliases(changed map[string]*Alias) error {
	if len(changed) == 0 {
		return nil
	}
	all := maps.Clone(s.aliases.all)
	if all == nil {
		all = make(map[string]*alias, len(changed))
	}
	for _, name := range sortedNames(changed) {
		if err := CheckName(name); err != nil {
			return fmt.Errorf("aliases: name %q %w", name, err)
		}
		if changed[name] == nil {
			delete(all, name)
			continue
		}
		a, err := newAlias(name, changed[name])
		if err != nil {
			return fmt.Errorf("aliases.%s%w", name, err)
		}
		all[name] = a
	}
	table, err := newAliasTable(all)
	s.aliases = table
	return err
}

// checkNames refuses names that stand for two things, and aliases of models that
// are not there. Where a changed model takes a name, it is the model's fault.
func (s *Snapshot) checkNames(changed map[string]*Model) error {
	for _, name := range sortedNames(changed) {
		if changed[name] == nil {
			continue
		}
		if a, ok := s.aliases.announced[name]; ok {
			return fmt.Errorf("models.%s: alias %q announces this name", name, a.name)
		}
		if _, ok := s.aliases.all[name]; ok {
			return fmt.Errorf("models.%s: there is an alias of this name", name)
		}
	}
	var found error
	first := ""
	for name, a := range s.aliases.all {
		if err := s.checkAlias(a); err != nil && (found == nil || name < first) {
			first, found = name, fmt.Errorf("aliases.%s%w", name, err)
		}
	}
	return found
}

// checkAlias refuses an alias that does not fit the models and the other aliases.
func (s *Snapshot) checkAlias(a *alias) error {
	if _, ok := s.models[a.name]; ok {
		return errors.New(": there is a model of this name")
	}
	for i, announced := range a.Announce {
		if _, ok := s.models[announced]; ok {
			return fmt.Errorf(".announce[%d]: there is a model %q", i, announced)
		}
		if other, ok := s.aliases.all[announced]; ok && other != a {
			return fmt.Errorf(".announce[%d]: there is an alias %q", i, announced)
		}
	}
	return s.checkTarget(a.Model)
}

// checkTarget refuses what an alias cannot stand for.
func (s *Snapshot) checkTarget(target string) error {
	if _, ok := s.models[target]; ok {
		return nil
	}
	if target == "" {
		return fmt.Errorf(".model: required; known: %s", known(s.models))
	}
	if _, ok := s.aliases.all[target]; ok {
		return fmt.Errorf(".model: %q is an alias itself; name its model", target)
	}
	name, _, ok := PinnedName(target)
	if !ok {
		return fmt.Errorf(".model: unknown model %q; known: %s", target, known(s.models))
	}
	if _, ok := s.upstreams[name]; !ok {
		return fmt.Errorf(".model: unknown upstream %q; known: %s", name, known(s.upstreams))
	}
	return nil
}

// PinnedName takes a name of the form @<upstream>/<upstream model> apart. The
// upstream's name ends at the first slash, so that one with a slash in it cannot be
// named so.
func PinnedName(name string) (upstream, model string, ok bool) {
	rest, ok := strings.CutPrefix(name, "@")
	if !ok {
		return "", "", false
	}
	upstream, model, _ = strings.Cut(rest, "/")
	return upstream, model, upstream != "" && model != ""
}

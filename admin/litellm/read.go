package litellm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth is how deep maps and lists may stand in each other. A configuration of
// LiteLLM has about eight levels.
const maxDepth = 64

// parse reads a file that holds one YAML document.
func parse(file []byte) (field, error) {
	if len(file) > MaxFile {
		return field{}, fmt.Errorf("the file is larger than %d MiB", MaxFile>>20)
	}
	var document, further yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(file))
	switch err := dec.Decode(&document); {
	case errors.Is(err, io.EOF):
		return field{}, errors.New("the file is empty")
	case err != nil:
		return field{}, fmt.Errorf("the file is not YAML: %w", plainError(err))
	}
	if err := dec.Decode(&further); !errors.Is(err, io.EOF) {
		return field{}, errors.New("the file holds more than one YAML document")
	}
	root := document.Content[0]
	if err := check(root, 0); err != nil {
		return field{}, err
	}
	if root.Kind != yaml.MappingNode {
		return field{}, errors.New("the file is no YAML map, so it is no configuration of a LiteLLM proxy")
	}
	return field{node: root}, nil
}

// lineOf finds the place in an error of the YAML parser, whose text might repeat
// what stands there.
var lineOf = regexp.MustCompile(`line \d+`)

// plainError is an error of the parser without the file's own words.
func plainError(err error) error {
	if at := lineOf.FindString(err.Error()); at != "" {
		return errors.New("it cannot be read at " + at)
	}
	return errors.New("it cannot be read")
}

// check refuses what could mean more than it says: aliases, which can make a small
// file endless, and keys that stand twice.
func check(n *yaml.Node, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("line %d: maps and lists stand more than %d deep in each other", n.Line, maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		return fmt.Errorf("line %d: YAML aliases (*name) are not read; write the values out", n.Line)
	}
	if n.Kind == yaml.MappingNode {
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			switch {
			case key.Kind != yaml.ScalarNode:
				return fmt.Errorf("line %d: a key is no plain text", key.Line)
			case seen[key.Value]:
				return fmt.Errorf("line %d: a key stands twice in one map: %s", key.Line, step("", key.Value))
			}
			seen[key.Value] = true
		}
	}
	for _, child := range n.Content {
		if err := check(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// field is a value of the file and where it stands. The zero value is one that the
// file does not have.
type field struct {
	node *yaml.Node
	path string
}

// plainKey is a key that a path can hold as it is.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// step appends a key to a path.
func step(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// get finds a value of a map; one that is null is not there.
func (f field) get(key string) field {
	for name, value := range f.pairs {
		if name == key && !value.null() {
			return value
		}
	}
	return field{}
}

// pairs runs through a map, and through nothing if the value is no map.
func (f field) pairs(yield func(string, field) bool) {
	if !f.isMap() {
		return
	}
	for i := 0; i < len(f.node.Content); i += 2 {
		key := f.node.Content[i].Value
		if !yield(key, field{f.node.Content[i+1], step(f.path, key)}) {
			return
		}
	}
}

// items runs through a list, and through nothing if the value is no list.
func (f field) items(yield func(field) bool) {
	if !f.isList() {
		return
	}
	for i, n := range f.node.Content {
		if !yield(field{n, fmt.Sprintf("%s[%d]", f.path, i)}) {
			return
		}
	}
}

func (f field) there() bool  { return f.node != nil }
func (f field) isMap() bool  { return f.there() && f.node.Kind == yaml.MappingNode }
func (f field) isList() bool { return f.there() && f.node.Kind == yaml.SequenceNode }
func (f field) null() bool   { return f.there() && f.node.ShortTag() == "!!null" }

// empty says that the value says nothing.
func (f field) empty() bool {
	return !f.there() || f.null() || (f.isMap() || f.isList()) && len(f.node.Content) == 0
}

// kind is what the value is, for the list.
func (f field) kind() string {
	switch {
	case f.isMap():
		return "map"
	case f.isList():
		return "list"
	}
	switch f.node.ShortTag() {
	case "!!null":
		return "null"
	case "!!bool":
		return "boolean"
	case "!!int", "!!float":
		return "number"
	default:
		return "string"
	}
}

// text is a value that is no map and no list, as text without space around it; ""
// if there is none.
func (f field) text() string {
	if !f.there() || f.node.Kind != yaml.ScalarNode || f.null() {
		return ""
	}
	return strings.TrimSpace(f.node.Value)
}

// number is a value that is a number, also one in quotes.
func (f field) number() (float64, bool) {
	n, err := strconv.ParseFloat(f.text(), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// boolean is a value that is true or false in any of the spellings of YAML 1.1,
// which LiteLLM reads.
func (f field) boolean() (value, ok bool) {
	switch strings.ToLower(f.text()) {
	case "true", "yes", "on", "y":
		return true, true
	case "false", "no", "off", "n":
		return false, true
	default:
		return false, false
	}
}

// fromEnvironment is how LiteLLM writes a value that it reads from the environment.
var fromEnvironment = regexp.MustCompile(`^os\.environ/([A-Za-z_][A-Za-z0-9_]*)$`)

// variable is the name of the variable that the value is read from; "" if it is not.
func (f field) variable() string {
	if m := fromEnvironment.FindStringSubmatch(f.text()); m != nil {
		return m[1]
	}
	return ""
}

// environmentOf collects the names of all variables that a document names, so that
// none of ours gets the same name.
func environmentOf(n *yaml.Node) map[string]bool {
	names := make(map[string]bool)
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if name := (field{node: n}).variable(); name != "" {
			names[name] = true
		}
		for _, child := range n.Content {
			walk(child)
		}
	}
	walk(n)
	return names
}

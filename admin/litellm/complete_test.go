package litellm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// leaf is a value of a file that holds no other.
type leaf struct {
	path string
	node *yaml.Node
}

// leaves lists the values of a file, by a walk of its own.
func leaves(n *yaml.Node, path string) (all []leaf) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i].Value
			below := path + "." + key
			if strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
				below = path + "[" + strconv.Quote(key) + "]"
			}
			all = append(all, leaves(n.Content[i+1], strings.TrimPrefix(below, "."))...)
		}
	case yaml.SequenceNode:
		for i, child := range n.Content {
			all = append(all, leaves(child, fmt.Sprintf("%s[%d]", path, i))...)
		}
	default:
		if n.Tag != "!!null" {
			all = append(all, leaf{path, n})
		}
	}
	return all
}

// covers says whether a path is another, or above it.
func covers(path, of string) bool {
	rest, ok := strings.CutPrefix(of, path)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func read(t *testing.T, text []byte) *yaml.Node {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return document.Content[0]
}

// Every value of a file is in the Caddyfile or on the list, and no path of either is
// made up.
func TestNothingIsDropped(t *testing.T) {
	for name, text := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			result, err := Convert(text)
			if err != nil {
				t.Fatal(err)
			}
			settled := slices.Clone(result.mapped)
			for _, n := range result.Unmapped {
				settled = append(settled, n.Path)
				if n.Reason == "" || n.Kind == "" || n.Line == 0 {
					t.Errorf("%+v says too little", n)
				}
			}
			all := leaves(read(t, text), "")
			for _, l := range all {
				if !slices.ContainsFunc(settled, func(path string) bool { return covers(path, l.path) }) {
					t.Errorf("%s is neither mapped nor named", l.path)
				}
			}
			for _, path := range settled {
				if !slices.ContainsFunc(all, func(l leaf) bool { return covers(path, l.path) }) {
					t.Errorf("%s is not in the file", path)
				}
			}
		})
	}
}

// What is said to be mapped, and is not on the list too, makes a difference: with
// another value in its place, or with none, something else comes out.
func TestMappedMakesADifference(t *testing.T) {
	for name, text := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			before, err := Convert(text)
			if err != nil {
				t.Fatal(err)
			}
			root := read(t, text)
			for _, l := range leaves(root, "") {
				if !slices.Contains(before.mapped, l.path) ||
					slices.ContainsFunc(before.Unmapped, func(n Note) bool { return n.Path == l.path }) {
					continue
				}
				if !slices.ContainsFunc([]string{other(l.node.Value), "-1000", "null"}, func(value string) bool {
					return differs(t, root, l.node, value, before)
				}) {
					t.Errorf("%s is said to be mapped, and changes nothing", l.path)
				}
			}
		})
	}
}

// differs says whether something else comes out with another value of a node.
func differs(t *testing.T, root, node *yaml.Node, value string, before *Result) bool {
	t.Helper()
	had := *node
	*node = yaml.Node{Kind: yaml.ScalarNode, Value: value}
	changed, err := yaml.Marshal(root)
	*node = had
	if err != nil {
		t.Fatal(err)
	}
	after, err := Convert(changed)
	return err != nil || after.Caddyfile != before.Caddyfile || !sameNotes(t, before, after)
}

// other is another value of the same kind.
func other(value string) string {
	switch value {
	case "true":
		return "false"
	case "false":
		return "true"
	}
	if n, err := strconv.ParseFloat(value, 64); err == nil {
		return strconv.FormatFloat(n+2, 'f', -1, 64)
	}
	return value + "-x"
}

// sameNotes compares the lists but for the lines, which another way of writing the
// file changes.
func sameNotes(t *testing.T, a, b *Result) bool {
	t.Helper()
	text := func(r *Result) []byte {
		notes := slices.Clone(r.Unmapped)
		for i := range notes {
			notes[i].Line = 0
		}
		encoded, err := json.Marshal(notes)
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	return bytes.Equal(text(a), text(b))
}

// No secret of a file is in the Caddyfile or on the list.
func TestSecretsStayInTheFile(t *testing.T) {
	for name, text := range fixtures(t) {
		result, err := Convert(text)
		if err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(result)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"canary", "CANARY", "hunter2"} {
			if at := bytes.Index(out, []byte(word)); at >= 0 {
				t.Errorf("%s: …%s…", name, out[max(at-60, 0):min(at+40, len(out))])
			}
		}
	}
	if text := fixtures(t)["hostile"]; bytes.Count(text, []byte("canary")) < 10 {
		t.Error("the fixture has lost its secrets")
	}
}

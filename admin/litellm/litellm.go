// Package litellm turns the configuration of a LiteLLM proxy, config.yaml, into a
// Caddyfile for the gateway. It reads no file and no environment: text goes in,
// text and a list of what has no counterpart come out. No secret of the file is in
// either.
package litellm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxFile is the size of the largest file that is read, in bytes.
const MaxFile = 8 << 20

// The largest number of entries that are read, and of the sources up to which a model
// takes on fallbacks: together they bound what a file can become.
const (
	maxEntries = 10_000
	maxSources = 100
)

// ErrNothing says that no entry of the file could be converted.
var ErrNothing = errors.New("no entry of model_list could be converted")

// Result is what a file was turned into.
type Result struct {
	// Caddyfile is complete: a global option with all upstreams, models and aliases,
	// and a site. It is empty if there is nothing to serve.
	Caddyfile string `json:"caddyfile"`
	// Unmapped is what did not map, or not wholly, in the order of the file. Every
	// value of the file is either in the Caddyfile or, itself or with what it is part
	// of, here.
	Unmapped []Note `json:"unmapped"`

	// mapped are the paths of the values that went into the Caddyfile.
	mapped []string
}

// Note names a value that did not map, and what to do about it. It never holds the
// value.
type Note struct {
	// Path is where the value stands, such as model_list[2].litellm_params.rpm.
	Path string `json:"path"`
	// Line is its line in the file, from 1.
	Line int `json:"line"`
	// Kind is what the value is: string, number, boolean, list, map or null.
	Kind string `json:"kind"`
	// Reason says why it did not map, and what to do instead.
	Reason string `json:"reason"`

	column int
}

// Convert turns a file into a Caddyfile. The error is ErrNothing, with a Result that
// says why, if nothing could be converted; any other comes with no Result: the file
// is too large, is not YAML, is no configuration of LiteLLM, or uses YAML in a way
// that is refused (aliases, keys that stand twice, several documents).
func Convert(file []byte) (*Result, error) {
	root, err := parse(file)
	if err != nil {
		return nil, err
	}
	if !root.get("model_list").isList() {
		return nil, errors.New("the file has no model_list, so it is no configuration of a LiteLLM proxy, or its models are in included files or in a database")
	}
	if len(root.get("model_list").node.Content) > maxEntries {
		return nil, fmt.Errorf("model_list has more than %d entries", maxEntries)
	}
	c := newConverter(root)
	c.convert()
	result := &Result{Unmapped: c.notes, mapped: c.mapped}
	if len(c.upstreams) == 0 {
		return result, ErrNothing
	}
	result.Caddyfile = c.write()
	return result, nil
}

// converter is one conversion.
type converter struct {
	root field
	// taken are the values that went into the Caddyfile, named those that the notes
	// name, either with all below them.
	taken, named map[*yaml.Node]bool
	notes        []Note
	noteAt       map[string]int // by path
	mapped       []string

	shared  shared
	circuit circuit
	site    site

	upstreams  []*upstreamBlock
	services   map[string]*upstreamBlock // by the key of what they are told
	ofPreset   map[string]int            // how many there are, by the preset
	models     []*modelBlock
	written    map[string]*modelBlock // by what the file calls them
	modelNames map[string]bool
	aliases    []aliasBlock
	aliasNames map[string]bool
	targets    map[string]string // of the file's aliases
	// environment are the names of the variables that the Caddyfile reads.
	environment map[string]bool
}

func newConverter(root field) *converter {
	return &converter{
		root: root, taken: make(map[*yaml.Node]bool), named: make(map[*yaml.Node]bool), noteAt: make(map[string]int),
		services: make(map[string]*upstreamBlock), ofPreset: make(map[string]int),
		written: make(map[string]*modelBlock), modelNames: make(map[string]bool), aliasNames: make(map[string]bool),
		environment: environmentOf(root.node),
	}
}

// convert reads the sections in the order in which they need each other, and names
// what is left.
func (c *converter) convert() {
	c.readShared()
	c.readCircuit()
	c.readModels()
	c.readRouting()
	c.readSite()
	c.unused()
	c.nameRest(c.root)
	slices.SortStableFunc(c.notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.column, b.column), cmp.Compare(a.Path, b.Path))
	})
	if c.notes == nil {
		c.notes = []Note{}
	}
}

// take notes that values went into the Caddyfile.
func (c *converter) take(fields ...field) {
	for _, f := range fields {
		if f.node != nil && !c.taken[f.node] {
			c.taken[f.node] = true
			c.mapped = append(c.mapped, f.path)
		}
	}
}

// name puts a value on the list of what did not map.
func (c *converter) name(f field, format string, args ...any) {
	if f.node == nil {
		return
	}
	c.named[f.node] = true
	reason := fmt.Sprintf(format, args...)
	if at, ok := c.noteAt[f.path]; ok {
		if n := &c.notes[at]; !strings.Contains(n.Reason, reason) {
			n.Reason += "; " + reason
		}
		return
	}
	c.noteAt[f.path] = len(c.notes)
	c.notes = append(c.notes, Note{Path: f.path, Line: f.node.Line, Kind: f.kind(), Reason: reason, column: f.node.Column})
}

// settled says that a value needs no further word.
func (c *converter) settled(f field) bool { return c.taken[f.node] || c.named[f.node] || f.empty() }

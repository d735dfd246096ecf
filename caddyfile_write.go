package aigateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// writeCaddyfile writes definitions as a block of global options, formatted and
// sorted by name, and returns what stands in the places of their secrets. The block
// becomes the same JSON as that of exportJSON. What the config cannot say is in
// comments: models without a source, aliases of them, and credentials for which
// there are no words.
func writeCaddyfile(e exported) (text string, standIns []standIn, err error) {
	d, err := declare(e)
	if err != nil {
		return "", nil, err
	}
	w := new(caddyfileWriter)
	w.legend(d.standIns)
	w.open("{")
	w.open("ai_gateway {")
	for _, name := range slices.Sorted(maps.Keys(d.upstreams)) {
		if err := w.upstream(name, d.upstreams[name]); err != nil {
			return "", nil, fmt.Errorf("writing upstream %q: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.models)) {
		if err := w.model(name, d.models[name]); err != nil {
			return "", nil, fmt.Errorf("writing model %q: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.aliases)) {
		a := d.aliases[name]
		target := d.models[a.Model]
		if err := w.alias(name, a, target != nil && len(target.Sources) == 0); err != nil {
			return "", nil, fmt.Errorf("writing alias %q: %w", name, err)
		}
	}
	w.close()
	w.close()
	return noVariables(w.text.String()), d.standIns, nil
}

// caddyfileWriter writes a Caddyfile line by line.
type caddyfileWriter struct {
	text  strings.Builder
	depth int
}

// raw writes a line that needs no quotes any more.
func (w *caddyfileWriter) raw(text string) {
	w.text.WriteString(strings.Repeat("\t", w.depth))
	w.text.WriteString(text)
	w.text.WriteByte('\n')
}

// open writes a line that begins a block, and close ends the block.
func (w *caddyfileWriter) open(text string) {
	w.raw(text)
	w.depth++
}

func (w *caddyfileWriter) close() {
	w.depth--
	w.raw("}")
}

// legend lists the stand-ins.
func (w *caddyfileWriter) legend(standIns []standIn) {
	if len(standIns) == 0 {
		return
	}
	w.raw("# Secrets are not exported. Set these environment variables to them, or put other")
	w.raw("# placeholders in their places:")
	w.raw("#")
	for _, s := range standIns {
		w.raw(fmt.Sprintf("#   %s: the %s of credential %q of upstream %q", s.name, s.field, s.credential, s.upstream))
	}
}

// lines writes lines and their blocks; ok is false if a word can stand in no
// Caddyfile, and then the text is of no use.
func (w *caddyfileWriter) lines(lines []line) (ok bool) {
	for _, l := range lines {
		text, ok := quotedWords(l.words)
		if !ok {
			return false
		}
		if len(l.block) == 0 {
			w.raw(text)
			continue
		}
		w.open(text + " {")
		if !w.lines(l.block) {
			return false
		}
		w.close()
	}
	return true
}

// quotedWords are words as they stand on a line.
func quotedWords(words []string) (text string, ok bool) {
	all := make([]string, len(words))
	for i, word := range words {
		if all[i], ok = quoted(word); !ok {
			return "", false
		}
	}
	return strings.Join(all, " "), true
}

// definition writes the head of a definition, and its options in a block if there
// are any.
func (w *caddyfileWriter) definition(head []string, options string) error {
	text, ok := quotedWords(head)
	if !ok {
		return errors.New("its name can stand in no Caddyfile")
	}
	if options == "" {
		w.raw(text)
		return nil
	}
	w.open(text + " {")
	w.text.WriteString(options)
	w.close()
	return nil
}

// inner is a writer for the options of a definition.
func (w *caddyfileWriter) inner() *caddyfileWriter { return &caddyfileWriter{depth: w.depth + 1} }

func (w *caddyfileWriter) upstream(name string, u *upstream.Upstream) error {
	head, behind := []string{"upstream", name}, []string{}
	if _, ok := quoted(u.BaseURL); ok && u.BaseURL != "" {
		head, behind = append(head, u.BaseURL), append(behind, "base_url")
	}
	options := w.inner()
	if err := writeFields(options, u, upstreamWords, behind, readUpstream); err != nil {
		return err
	}
	return w.definition(head, options.text.String())
}

func (w *caddyfileWriter) model(name string, m *routing.Model) error {
	options := w.inner()
	if err := writeFields(options, m, modelWords, nil, readModel); err != nil {
		return err
	}
	if len(m.Sources) > 0 {
		return w.definition([]string{"model", name}, options.text.String())
	}
	w.raw(fmt.Sprintf("# The model %q has no source yet, which a model of the config needs:", name))
	return w.comment([]string{"model", name}, options.text.String())
}

func (w *caddyfileWriter) alias(name string, a *routing.Alias, ofNothing bool) error {
	head, behind := []string{"alias", name}, []string{}
	if _, ok := quoted(a.Model); ok {
		head, behind = append(head, a.Model), append(behind, "model")
	}
	options := w.inner()
	if err := writeFields(options, a, aliasWords, behind, readAlias); err != nil {
		return err
	}
	if !ofNothing {
		return w.definition(head, options.text.String())
	}
	w.raw(fmt.Sprintf("# The alias %q has to wait for its model:", name))
	return w.comment(head, options.text.String())
}

// comment writes a definition as a comment.
func (w *caddyfileWriter) comment(head []string, options string) error {
	own := &caddyfileWriter{depth: w.depth}
	if err := own.definition(head, options); err != nil {
		return err
	}
	indent := strings.Repeat("\t", w.depth)
	for text := range strings.Lines(own.text.String()) {
		w.raw("# " + strings.TrimSuffix(strings.TrimPrefix(text, indent), "\n"))
	}
	return nil
}

// writeFields writes the fields of a definition that do not stand behind its name:
// with words if these, read back, say exactly the same, and else with the option
// json.
func writeFields[T any](w *caddyfileWriter, definition *T, table []words[T], behind []string, read func(string) (json.RawMessage, error)) error {
	fields, err := fieldsOf(definition)
	if err != nil {
		return err
	}
	for _, name := range behind {
		delete(fields, name)
	}
	for _, words := range table {
		value, ok := fields[words.field]
		if !ok {
			continue
		}
		said := &caddyfileWriter{depth: w.depth}
		if said.lines(words.lines(definition)) && saysField(said.text.String(), words.field, value, read) {
			w.text.WriteString(said.text.String())
			delete(fields, words.field)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value, err := plainJSON(fields[name])
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case name == "credentials":
			w.raw("# These credentials are left out, for there are no words for them: " + value)
		case !w.lines(say("json", name, value)):
			return fmt.Errorf("%s: can stand in no Caddyfile", name)
		}
	}
	return nil
}

// fieldsOf are the fields of a definition in JSON.
func fieldsOf(definition any) (fields map[string]json.RawMessage, err error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // people read it
	if err := e.Encode(definition); err != nil {
		return nil, err
	}
	return fields, json.Unmarshal(text.Bytes(), &fields)
}

// saysField says whether options set a field to a value.
func saysField(options, field string, value json.RawMessage, read func(string) (json.RawMessage, error)) bool {
	text, err := read(options)
	if err != nil {
		return false // the words do not go together
	}
	var fields map[string]json.RawMessage
	return json.Unmarshal(text, &fields) == nil && sameJSON(fields[field], value)
}

// sameJSON says whether two values are the same but for spaces and the order of
// members.
func sameJSON(a, b json.RawMessage) bool {
	x, err1 := sortedJSON(a)
	y, err2 := sortedJSON(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

func sortedJSON(raw json.RawMessage) ([]byte, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // durations do not fit into a float64
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// readUpstream reads options of an upstream. What depends on other options is not
// checked.
func readUpstream(options string) (json.RawMessage, error) {
	p := &upstreamParser{u: new(upstream.Upstream), places: make(map[string]caddyfile.Token)}
	err := readOptions(options, func(d *caddyfile.Dispenser) error {
		p.Dispenser = d
		return p.option(d.Val())
	})
	if err != nil {
		return nil, err
	}
	for i := range p.credentials {
		raw, err := p.credentials[i].json("")
		if err != nil {
			return nil, err
		}
		p.u.CredentialsRaw = append(p.u.CredentialsRaw, raw)
	}
	return json.Marshal(p.u)
}

// readModel reads options of a model.
func readModel(options string) (json.RawMessage, error) {
	d, m := newDefinitions(), new(routing.Model)
	if err := readOptions(options, func(disp *caddyfile.Dispenser) error { return d.modelOption(disp, m) }); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

// readAlias reads options of an alias.
func readAlias(options string) (json.RawMessage, error) {
	a := new(routing.Alias)
	if err := readOptions(options, func(disp *caddyfile.Dispenser) error { return aliasOption(disp, a, disp.Val()) }); err != nil {
		return nil, err
	}
	return json.Marshal(a)
}

// readOptions reads options one by one.
func readOptions(options string, read func(*caddyfile.Dispenser) error) error {
	tokens, err := caddyfile.Tokenize([]byte(options), "Caddyfile")
	if err != nil {
		return err
	}
	d := caddyfile.NewDispenser(tokens)
	for d.Next() {
		if err := read(d); err != nil {
			return err
		}
	}
	return nil
}

package aigateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// modelOptions are the words of a model's block, and sourceOptions those of a
// source's line.
var (
	modelOptions = []string{
		"display_name", "description", "vendor", "access", "order", "operation", "source",
		"policy", "mode", "active", "sticky", "retry_on_empty", "on_unsupported", "native_tools", "capability", "disabled", "json",
	}
	sourceOptions = []string{"format", "priority", "weight", "context_window", "header", "force_stream", "disabled"}
)

// parseModel parses a model; the cursor is on its name:
//
//	model <name> {
//		display_name <text>
//		description  <text>
//		vendor       <name>
//		access       public|internal    # default public; internal: only sites that name it
//		order        <number>           # in lists, default 0
//		operation    <operation>...     # what it may be asked for, default all
//		source       <upstream> <upstream model> [format <format>] [priority <n>] [weight <n>] [context_window <tokens>] [header <name> <value>] [force_stream] [disabled]
//		policy       <name> [<value>]   # default weighted; see routing.Policies
//		mode         balanced|pinned    # default balanced
//		active       <source>           # the source of a pinned model: <upstream>:<upstream model>[:<format>]
//		sticky       header <name>      # keeps requests with the same value at one source
//		retry_on_empty                  # an answer without content is a failure
//		on_unsupported drop|error       # default: that of the site
//		native_tools <tool>...          # server tools that may be used across formats
//		capability   <key> <value>...   # what the upstream models can do
//		disabled
//		json         <field> <value>    # what has no word; see definedFields.byJSON
//	}
func (d *definitions) parseModel(disp *caddyfile.Dispenser, name string) error {
	if disp.NextArg() {
		return disp.Errf("model takes a name and a block; %q is one value too many", disp.Val())
	}
	m := new(routing.Model)
	places := make(map[string]caddyfile.Token)
	var fields definedFields
	for nesting := disp.Nesting(); disp.NextBlock(nesting); {
		word, at := disp.Val(), disp.Token()
		if first, ok := places[word]; ok && onceOnly(word) {
			return errAt(at, "%s stands twice in model %q: first at %s:%d", word, name, first.File, first.Line)
		}
		if word == "json" {
			field, err := d.modelJSON(disp, &fields, m)
			if err != nil {
				return err
			}
			places[field] = at
			continue
		}
		places[word] = at
		if err := fields.byWord(disp, modelField(word)); err != nil {
			return err
		}
		if err := d.modelOption(disp, m); err != nil {
			return err
		}
	}
	if len(m.Sources) == 0 {
		return disp.Errf("model %q has no source; add a line such as: source openai gpt-4o", name)
	}
	if err := checkActive(m, name, places); err != nil {
		return err
	}
	d.models[name] = m
	return nil
}

// modelField is the JSON field that an option of a model sets.
func modelField(word string) string {
	switch word {
	case "source", "operation":
		return word + "s"
	case "sticky":
		return "sticky_header"
	default:
		return word
	}
}

// modelJSON parses an option json of a model and returns the field that it sets.
func (d *definitions) modelJSON(disp *caddyfile.Dispenser, fields *definedFields, m *routing.Model) (string, error) {
	at := disp.Token()
	field, err := fields.byJSON(disp, m)
	if err != nil {
		return "", err
	}
	if err := m.CheckAlone(); err != nil {
		return "", disp.Errf("%v", err)
	}
	if field == "sources" {
		for _, s := range m.Sources {
			d.sources = append(d.sources, sourceToken{s, at})
		}
	}
	return field, nil
}

// onceOnly says that an option of a model may stand only once, for a second one
// would silently replace the first. The others add up.
func onceOnly(word string) bool {
	switch word {
	case "source", "operation", "native_tools", "capability":
		return false
	default:
		return true
	}
}

// checkActive refuses a pinned model without an active source, and an active
// source that the model does not have.
func checkActive(m *routing.Model, name string, places map[string]caddyfile.Token) error {
	ids := make([]string, len(m.Sources))
	for i := range m.Sources {
		ids[i] = m.Sources[i].ID()
	}
	switch {
	case m.Active == "" && m.Mode == routing.ModePinned:
		return errAt(places["mode"], "model %q is pinned and has no active source; add a line such as: active %s", name, ids[0])
	case m.Active == "" || slices.Contains(ids, m.Active):
		return nil
	default:
		return errAt(places["active"], "model %q has no source %q%s", name, m.Active, suggestion(m.Active, ids))
	}
}

// modelOption parses one option of a model; the cursor is on its name.
func (d *definitions) modelOption(disp *caddyfile.Dispenser, m *routing.Model) (err error) {
	switch word := disp.Val(); word {
	case "display_name":
		m.DisplayName, err = oneArg(disp)
	case "description":
		m.Description, err = oneArg(disp)
	case "vendor":
		m.Vendor, err = oneArg(disp)
	case "access":
		m.Access, err = oneOf(disp, routing.AccessPublic, routing.AccessInternal)
	case "order":
		m.Order, err = intArg(disp, -maxOrder, maxOrder)
	case "operation":
		err = parseOperation(disp, m)
	case "disabled":
		m.Disabled = true
		err = noArgs(disp)
	case "policy":
		err = parsePolicy(disp, m)
	case "mode":
		m.Mode, err = oneOf(disp, routing.ModeBalanced, routing.ModePinned)
	case "active":
		m.Active, err = oneArg(disp)
	case "sticky":
		err = parseSticky(disp, m)
	case "retry_on_empty":
		m.RetryOnEmpty = true
		err = noArgs(disp)
	case "on_unsupported":
		m.OnUnsupported, err = oneOf(disp, routing.UnsupportedDrop, routing.UnsupportedError)
	case "native_tools":
		err = parseNativeTools(disp, m)
	case "capability":
		err = parseCapability(disp, m)
	case "source":
		var s routing.Source
		s, err = d.parseSource(disp)
		if err == nil && slices.ContainsFunc(m.Sources, func(o routing.Source) bool { return o.ID() == s.ID() }) {
			err = disp.Errf("source %s stands twice in this model", s.ID())
		}
		m.Sources = append(m.Sources, s)
	default:
		err = unknown(disp, "model option", word, modelOptions...)
	}
	return err
}

// parsePolicy parses the selection policy of a model:
//
//	policy <name> [<value>]
//
// The name may be a synonym and may have hyphens for underscores.
func parsePolicy(disp *caddyfile.Dispenser, m *routing.Model) error {
	if !disp.NextArg() {
		return disp.Errf("policy needs a name; known are %s", strings.Join(routing.Policies(), ", "))
	}
	word := disp.Val()
	name, ok := routing.PolicyName(word)
	if !ok {
		return unknown(disp, "policy", word, routing.Policies()...)
	}
	module, err := caddyfile.UnmarshalModule(disp, routing.PolicyNamespace+"."+name)
	if err != nil {
		return err
	}
	m.PolicyRaw = caddyconfig.JSONModuleObject(module, "policy", name, nil)
	return nil
}

// parseSticky parses what keeps requests at one source:
//
//	sticky header <name>
func parseSticky(disp *caddyfile.Dispenser, m *routing.Model) error {
	args := disp.RemainingArgs()
	switch {
	case len(args) > 0 && args[0] != "header":
		return unknown(disp, "kind of sticky key", args[0], "header")
	case len(args) != 2:
		return disp.Errf("sticky takes a kind and a name, such as: sticky header X-Session-Id")
	case !httpguts.ValidHeaderFieldName(args[1]):
		return disp.Errf("%q is no name of a header", args[1])
	}
	m.StickyHeader = args[1]
	return nil
}

// maxOrder bounds the places in lists, in both directions.
const maxOrder = 1_000_000

// parseOperation parses what a model may be asked for. Names may have hyphens for
// underscores.
func parseOperation(disp *caddyfile.Dispenser, m *routing.Model) error {
	words := disp.RemainingArgs()
	if len(words) == 0 {
		return disp.Errf("operation needs at least one of %s", strings.Join(routing.Operations(), ", "))
	}
	for _, word := range words {
		name := strings.ReplaceAll(word, "-", "_")
		if !slices.Contains(routing.Operations(), name) {
			return unknown(disp, "operation", word, routing.Operations()...)
		}
		op := format.Operation(name)
		if slices.Contains(m.Operations, op) {
			return disp.Errf("operation %s stands twice in this model", name)
		}
		m.Operations = append(m.Operations, op)
	}
	return nil
}

// parseNativeTools parses the tools of a model that its providers run.
func parseNativeTools(disp *caddyfile.Dispenser, m *routing.Model) error {
	names := disp.RemainingArgs()
	if len(names) == 0 {
		return disp.Errf("native_tools needs at least one of %s", strings.Join(routing.NativeTools(), ", "))
	}
	for _, name := range names {
		if !slices.Contains(routing.NativeTools(), name) {
			return unknown(disp, "native tool", name, routing.NativeTools()...)
		}
	}
	m.NativeTools = append(m.NativeTools, names...)
	return nil
}

// parseCapability parses a fact about the upstream models.
func parseCapability(disp *caddyfile.Dispenser, m *routing.Model) error {
	args := disp.RemainingArgs()
	if len(args) < 2 {
		return disp.Errf("capability takes a key and a value, such as: capability thinking adaptive")
	}
	key, value := args[0], strings.Join(args[1:], " ")
	var known []string
	for _, k := range capability.Keys() {
		known = append(known, k.Name)
	}
	if !slices.Contains(known, key) {
		return unknown(disp, "capability", key, known...)
	}
	if err := new(capability.Model).Set(key, value); err != nil {
		return disp.Errf("%v", err)
	}
	if _, ok := m.Capability[key]; ok {
		return disp.Errf("capability %s stands twice in this model", key)
	}
	if m.Capability == nil {
		m.Capability = make(map[string]string)
	}
	m.Capability[key] = value
	return nil
}

// parseSource parses the line of a source; the cursor is on the word source.
func (d *definitions) parseSource(disp *caddyfile.Dispenser) (routing.Source, error) {
	var s routing.Source
	at := disp.Token()
	if !disp.Args(&s.Upstream, &s.Model) {
		return s, disp.Errf("source takes an upstream and the name it has for the model, such as: source openai gpt-4o")
	}
	if err := routing.CheckName(s.Model); err != nil {
		return s, disp.Errf("the upstream model's name %v", err)
	}
	seen := make(map[string]bool)
	for disp.NextArg() {
		word := disp.Val()
		if word == "header" {
			if err := sourceHeader(disp, &s); err != nil {
				return s, err
			}
			continue
		}
		if seen[word] {
			return s, disp.Errf("%s stands twice in this source", word)
		}
		seen[word] = true
		switch word {
		case "disabled":
			s.Disabled = true
			continue
		case "force_stream":
			s.ForceStream = true
			continue
		}
		if !disp.NextArg() {
			return s, disp.Errf("%s of a source needs a value", word)
		}
		if err := sourceOption(disp, &s, word, disp.Val()); err != nil {
			return s, err
		}
	}
	d.sources = append(d.sources, sourceToken{s, at})
	return s, nil
}

// sourceHeader parses a header of a source; it may stand several times.
func sourceHeader(disp *caddyfile.Dispenser, s *routing.Source) error {
	var name, value string
	if !disp.Args(&name, &value) {
		return disp.Errf("header of a source takes a name and a value")
	}
	if s.Headers == nil {
		s.Headers = make(http.Header)
	}
	s.Headers.Add(name, value)
	if _, err := upstream.PlainHeaders("header", s.Headers); err != nil {
		return disp.Errf("%v", err)
	}
	return nil
}

// sourceOption sets one option of a source.
func sourceOption(disp *caddyfile.Dispenser, s *routing.Source, word, value string) error {
	switch word {
	case "format":
		id, err := formatArg(disp, value)
		s.Format = id
		return err
	case "priority":
		n, err := number(disp, "priority", value, 1, 1_000_000)
		s.Priority = n
		return err
	case "weight":
		n, err := number(disp, "weight", value, 0, 1000)
		s.Weight = &n
		return err
	case "context_window":
		n, err := number(disp, "context_window", value, 1, routing.MaxContextWindow)
		s.ContextWindow = n
		return err
	default:
		return unknown(disp, "source option", word, sourceOptions...)
	}
}

package aigateway

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// parseModel parses a model; the cursor is on its name:
//
//	model <name> {
//		display_name <text>
//		vendor       <name>
//		source       <upstream> <upstream model> [format <format>] [priority <n>] [weight <n>] [context_window <tokens>] [force_stream] [disabled]
//		policy       <name> [<value>]   # default weighted; see routing.Policies
//		mode         balanced|pinned    # default balanced
//		active       <source>           # the source of a pinned model: <upstream>:<upstream model>[:<format>]
//		sticky       header <name>      # keeps requests with the same value at one source
//		retry_on_empty                  # an answer without content is a failure
//		on_unsupported drop|error       # default: that of the site
//		native_tools <tool>...          # server tools that may be used across formats
//		capability   <key> <value>...   # what the upstream models can do
//		disabled
//	}
func (d *definitions) parseModel(disp *caddyfile.Dispenser, name string) error {
	if disp.NextArg() {
		return disp.Errf("model takes a name and a block; %q is one value too many", disp.Val())
	}
	m := new(routing.Model)
	places := make(map[string]caddyfile.Token)
	for nesting := disp.Nesting(); disp.NextBlock(nesting); {
		word, at := disp.Val(), disp.Token()
		if first, ok := places[word]; ok && onceOnly(word) {
			return errAt(at, "%s stands twice in model %q: first at %s:%d", word, name, first.File, first.Line)
		}
		places[word] = at
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

// onceOnly says that an option of a model may stand only once, for a second one
// would silently replace the first.
func onceOnly(word string) bool {
	switch word {
	case "policy", "mode", "active", "sticky":
		return true
	default:
		return false
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
	case "vendor":
		m.Vendor, err = oneArg(disp)
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
		err = unknown(disp, "model option", word, "display_name", "vendor", "source",
			"policy", "mode", "active", "sticky", "retry_on_empty", "on_unsupported", "native_tools", "capability", "disabled")
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
	for disp.NextArg() {
		word := disp.Val()
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
		return unknown(disp, "source option", word, "format", "priority", "weight", "context_window", "force_stream", "disabled")
	}
}

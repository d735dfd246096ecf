package aigateway

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// parseModel parses a model; the cursor is on its name:
//
//	model <name> {
//		display_name <text>
//		vendor       <name>
//		source       <upstream> <upstream model> [format <format>] [priority <n>] [weight <n>] [force_stream] [disabled]
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
	for nesting := disp.Nesting(); disp.NextBlock(nesting); {
		if err := d.modelOption(disp, m); err != nil {
			return err
		}
	}
	if len(m.Sources) == 0 {
		return disp.Errf("model %q has no source; add a line such as: source openai gpt-4o", name)
	}
	d.models[name] = m
	return nil
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
			"on_unsupported", "native_tools", "capability", "disabled")
	}
	return err
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
	default:
		return unknown(disp, "source option", word, "format", "priority", "weight", "force_stream", "disabled")
	}
}

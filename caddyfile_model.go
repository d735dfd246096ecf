package aigateway

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// parseModel parses a model; the cursor is on its name:
//
//	model <name> {
//		display_name <text>
//		vendor       <name>
//		source       <upstream> <upstream model> [format <format>] [priority <n>] [weight <n>] [disabled]
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
	case "source":
		var s routing.Source
		s, err = d.parseSource(disp)
		if err == nil && slices.ContainsFunc(m.Sources, func(o routing.Source) bool { return o.ID() == s.ID() }) {
			err = disp.Errf("source %s stands twice in this model", s.ID())
		}
		m.Sources = append(m.Sources, s)
	default:
		err = unknown(disp, "model option", word, "display_name", "vendor", "source", "disabled")
	}
	return err
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
		if word == "disabled" {
			s.Disabled = true
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
		return unknown(disp, "source option", word, "format", "priority", "weight", "disabled")
	}
}
